"""A staged series: the test events' surfaces under air that gets worse step by step, all else equal.

Explained in ``04_measure_performance``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from ml4ops_helpers.scenes.sentinel2 import CLOUD, INVALID, WATER, Codes, Float
from ml4ops_helpers.simulation.air import Air, see_through
from ml4ops_helpers.simulation.events import draw_event
from ml4ops_helpers.simulation.surfaces import event_surface

CLEAR = Air(aerosol=0.05, noise=0.0003, native=True)
DARK = 0.12
"""Reflectance in the near infrared below which land is as dark as water."""
SHORE = 3
"""Pixels from water within which dark land and snow are not judged: they may hold some of it."""
STAGES: Mapping[str, Mapping[float, Air]] = {
    "cirrus": {level: replace(CLEAR, veil=level, veil_patches=0.3) for level in (0, 0.05, 0.1, 0.15)},
    "aerosol": {level: replace(CLEAR, aerosol=level) for level in (0.05, 0.2, 0.5, 1.0, 1.5)},
    "glint": {level: replace(CLEAR, glint=level) for level in (0, 0.03, 0.06, 0.1)},
    "gain": {level: replace(CLEAR, gain=level) for level in (0.9, 1.0, 1.1)},
    "offset": {level: replace(CLEAR, offset=level) for level in (-0.02, 0, 0.02)},
    "corrected": {level: replace(CLEAR, corrected=level) for level in (0, 0.5, 1.0)},
    "shade": {level: replace(CLEAR, shade=level, shaded=0.3) for level in (0, 0.5, 0.9)},
    "cumulus": {level: replace(CLEAR, cumulus=level) for level in (0, 0.2, 0.4)},
    "snow": dict.fromkeys((0, 0.2, 0.4), CLEAR),
    "pixel": dict.fromkeys((10, 20, 40, 60), CLEAR),
}
"""Air by series and level: reflectance of cirrus and glint, optical thickness of aerosol, factor, offset, share of the
path radiance corrected, depth of shade on 30 % of the land, shares of cumulus and snow, and size of a pixel in m."""


class Staged(NamedTuple):
    """A scene of a series: what was changed and how much, the event, the image, and the truth."""

    series: str
    level: float
    event: int
    image: Float  # reflectance ``(bands, height, width)``
    water: NDArray[np.bool_]
    cloud: Float  # reflectance of the cloud over each pixel


def staged_scenes(
    bands: Sequence[str], series: Sequence[str] = tuple(STAGES), *, events: int = 8, size: int = 256, seed: int = 0
) -> Iterator[Staged]:
    """Scenes of the first place of so many test events, one series after the other for each event.

    Args:
        bands: of the images, in order.
        series: keys of ``STAGES``.
        events: number of events.
        size: pixels of 10 m a side.
        seed: of the embedded data set whose places these are.
    """
    for number in range(events):
        event = draw_event("test", number, 2, seed)
        bare = event_surface(event, 0, bands, size=size, seed=seed, snow=0)
        for name in series:
            for level, air in STAGES[name].items():
                snowy = name == "snow" and level > 0
                surface, water = event_surface(event, 0, bands, size=size, seed=seed, snow=level) if snowy else bare
                image, cloud = see_through(np.random.default_rng((seed, number)), surface, water, bands, air)
                factor = int(level) // 10 if name == "pixel" else 1
                image, water, cloud = (_coarser(v, factor) for v in (image, water, cloud))
                yield Staged(name, level, number, image, water > 0.5, cloud)


def _coarser(image: Float, factor: int) -> Float:
    height, width = (n // factor * factor for n in image.shape[-2:])
    cut = image[..., :height, :width]
    blocks = cut.reshape(*cut.shape[:-2], height // factor, factor, width // factor, factor)
    return np.asarray(blocks.mean(axis=(-3, -1)), np.float32)


def score_stages(classify: Callable[[Float], Codes], scenes: Iterable[Staged], bands: Sequence[str]) -> pd.DataFrame:
    """What a model makes of each level of each series, as means over the events.

    Args:
        classify: gives version-1 codes of reflectance ``(bands, height, width)``.
        scenes: from ``staged_scenes``.
        bands: of their images; B3, B8 and B11 among them.

    Returns:
        By ``series`` and ``level``: ``recall`` of water not under cloud, ``false_alarm`` (share of such land called
        water; ``on_dark`` and ``on_snow`` of that which is dark in the near infrared, or snowy), ``on_cloud`` (share of
        thick cloud called water), ``cloud`` (share of water not under cloud called cloud) and ``iou``.
    """
    at = [list(bands).index(band) for band in ("B3", "B8", "B11")]
    rows = [{"series": s.series, "level": s.level, **_scores(classify(s.image), s, at)} for s in scenes]
    return pd.DataFrame(rows).groupby(["series", "level"], sort=False).mean()


def _scores(codes: Codes, scene: Staged, at: Sequence[int]) -> dict[str, float]:
    green, near, short = scene.image[at]
    clear = (codes != INVALID) & (scene.cloud < 0.2)
    wet, dry, called = clear & scene.water, clear & ~scene.water, codes == WATER
    inland = dry & ~ndimage.binary_dilation(scene.water, iterations=SHORE)
    snowy = inland & (green > 0.3) & (green > 2.3 * short)  # the snow index of Dozier 1989, above 0.4
    return {
        "recall": _share(called, wet),
        "false_alarm": _share(called, dry),
        "on_dark": _share(called, inland & (near < DARK)),
        "on_snow": _share(called, snowy),
        "on_cloud": _share(called, scene.cloud > 0.5),
        "cloud": _share(codes == CLOUD, wet),
        "iou": float((called & wet).sum() / max((clear & (called | scene.water)).sum(), 1)),
    }


def _share(what: NDArray[np.bool_], of: NDArray[np.bool_]) -> float:
    return float(what[of].mean()) if of.any() else float("nan")
