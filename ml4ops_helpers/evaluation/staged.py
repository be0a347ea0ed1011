"""A staged series: the test events' surfaces under air that gets worse step by step, all else equal.

Explained in ``04_measure_performance``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

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
SERIES = {name: tuple(levels) for name, levels in STAGES.items()}


def staged_scenes(
    bands: Sequence[str], series: Sequence[str] = tuple(STAGES), *, events: int = 8, size: int = 256, seed: int = 0
) -> Iterator[tuple[str, float, int, Float, NDArray[np.bool_], Float]]:
    """Scenes of the series: its name, the level, the event, reflectance ``(bands, …)``, water, cloud's reflectance."""
    for number in range(events):
        event = draw_event("test", number, 2, seed)
        for name in series:
            for level, air in STAGES[name].items():
                snow = level if name == "snow" else 0.0
                surface, water = event_surface(event, 0, bands, size=size, seed=seed, snow=snow)
                image, cloud = see_through(np.random.default_rng((seed, number)), surface, water, bands, air)
                factor = int(level) // 10 if name == "pixel" else 1
                image, water, cloud = (_coarser(v, factor) for v in (image, water, cloud))
                yield name, level, number, image, water > 0.5, cloud


def _coarser(image: Float, factor: int) -> Float:
    height, width = (n // factor * factor for n in image.shape[-2:])
    cut = image[..., :height, :width]
    blocks = cut.reshape(*cut.shape[:-2], height // factor, factor, width // factor, factor)
    return np.asarray(blocks.mean(axis=(-3, -1)), np.float32)


def score_stages(
    classify: Callable[[Float], Codes], bands: Sequence[str], series: Sequence[str] = tuple(STAGES), **scenes: int
) -> pd.DataFrame:
    """What a model makes of each level of each series, as means over the events.

    Args:
        classify: gives version-1 codes of reflectance ``(bands, height, width)``.
        bands: that it takes.
        series: keys of ``STAGES``.
        scenes: number of ``events``, their ``size`` and ``seed``.

    Returns:
        By ``series`` and ``level``: ``recall`` of water not under cloud, ``false_alarm`` (share of such land called
        water; ``on_dark`` and ``on_snow`` of that which is dark in the near infrared, or snowy), ``on_cloud`` (share of
        thick cloud called water), ``cloud`` (share of water not under cloud called cloud) and ``iou``.
    """
    rows = []
    band_at = [list(bands).index(band) for band in ("B3", "B8", "B11")]
    for name, level, number, image, water, cloud in staged_scenes(bands, series, **scenes):
        codes = classify(image)
        clear, thick = (codes != INVALID) & (cloud < 0.2), cloud > 0.5
        called = codes == WATER
        wet, dry = clear & water, clear & ~water
        inland = dry & ~ndimage.binary_dilation(water, iterations=SHORE)
        green, infrared, short = image[band_at]
        snowy = inland & (green > 0.3) & (green > 2.3 * short)  # the snow index of Dozier 1989, above 0.4
        rows.append(
            {
                "series": name,
                "level": level,
                "event": number,
                "recall": _share(called, wet),
                "false_alarm": _share(called, dry),
                "on_dark": _share(called, inland & (infrared < DARK)),
                "on_snow": _share(called, snowy),
                "cloud": _share(codes == CLOUD, wet),
                "on_cloud": _share(called, thick),
                "iou": (called & wet).sum() / max((clear & (called | water)).sum(), 1),
            }
        )
    measures = ["recall", "false_alarm", "on_dark", "on_snow", "on_cloud", "cloud", "iou"]
    return pd.DataFrame(rows).groupby(["series", "level"], sort=False)[measures].mean()


def _share(what: NDArray[np.bool_], of: NDArray[np.bool_]) -> float:
    return float(what[of].mean()) if of.any() else float("nan")
