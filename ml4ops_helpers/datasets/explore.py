"""Explore a data set: facts of each scene, samples of pixels.

A sample is a table with one row a pixel: ``source`` (event or chip), ``split``, ``class``, and reflectance by band.
Samples of real images are in ``compare``. Explained in ``02_explore_the_data``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage

from ml4ops_helpers.datasets.catalogues import label_codes, load_labelled
from ml4ops_helpers.scenes import sentinel2 as s2
from ml4ops_helpers.scenes.labels import read_label


def scene_facts(table: pd.DataFrame) -> pd.DataFrame:
    """Facts of each scene from its label and metadata; images are not read.

    Args:
        table: catalogue of labelled scenes.

    Returns:
        The catalogue's ``split, event, aoi`` with the share of each class of ``CLASS_NAMES`` (0 to 1), and ``date``,
        ``lon``, ``lat`` and ``offset`` from the metadata, empty where they are missing.

    Raises:
        SceneError: a label cannot be read.
    """
    rows = []
    for _, row in table.iterrows():
        codes = s2.merge_label(read_label(row["label"], row["image"], codes=label_codes(row["label"])))
        shares = np.bincount(codes.ravel(), minlength=len(s2.CLASS_NAMES)) / codes.size
        meta: dict[str, Any] = json.loads(Path(row["meta"]).read_text(encoding="utf-8")) if row["meta"] else {}
        facts = {"lon": meta.get("lon", np.nan), "lat": meta.get("lat", np.nan), "offset": meta.get("radio_add_offset")}
        names = {key: row[key] for key in ("split", "event", "aoi")}
        rows.append(
            names | dict(zip(s2.CLASS_NAMES, shares.tolist(), strict=True)) | facts | {"date": meta.get("date")}
        )
    return pd.DataFrame(rows).astype({"date": "datetime64[ns]"})


def draw_pixels(
    reflectance: s2.Float, codes: s2.Codes, bands: Sequence[str], per_class: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw pixels of each class from one image.

    Args:
        reflectance: ``(bands, height, width)``; NaN where there are no data.
        codes: version-1 codes, ``(height, width)``; invalid pixels are never drawn.
        bands: names of the bands.
        per_class: pixels of each class; all if there are fewer.
        rng: source of randomness.

    Returns:
        One row a pixel: ``class`` and a column for each band.

    >>> image, codes = np.full((1, 2, 2), 0.1, np.float32), np.array([[0, 1], [1, 2]])
    >>> draw_pixels(image, codes, ["B3"], 1, np.random.default_rng(0))["class"].tolist()
    ['land', 'water']
    """
    known = np.where(np.isfinite(reflectance).all(axis=0), codes, s2.INVALID).ravel()
    pixels = reflectance.reshape(len(bands), -1)
    parts = []
    for code in range(s2.INVALID + 1, len(s2.CLASS_NAMES)):
        places = np.flatnonzero(known == code)
        places = rng.choice(places, min(per_class, places.size), replace=False)
        part = pd.DataFrame(pixels[:, places].T, columns=list(bands))
        part.insert(0, "class", s2.CLASS_NAMES[code])
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def sample_pixels(
    table: pd.DataFrame, bands: str | Sequence[str] = "all", per_class: int = 500, seed: int = 0
) -> pd.DataFrame:
    """Draw pixels of each class from each scene of a catalogue; all scenes have the same weight.

    Args:
        table: catalogue of labelled scenes.
        bands: a key of ``BAND_SETS`` or band names.
        per_class: pixels of each class drawn from a scene.
        seed: of the draw.

    Returns:
        One row a pixel: ``source`` (the event), ``split``, ``class`` and a column for each band.

    Raises:
        SceneError: a scene or label cannot be read.
        ValueError: a scene has no label.
    """
    rng, names = np.random.default_rng(seed), s2.select_bands(bands)
    parts = []
    for _, row in table.iterrows():
        scene, label = load_labelled(row, names)
        part = draw_pixels(scene.reflectance(), s2.merge_label(label), names, per_class, rng)
        parts.append(part.assign(source=row["event"], split=row["split"]))
    return pd.concat(parts, ignore_index=True)


def add_index(pixels: pd.DataFrame, name: s2.IndexName) -> pd.DataFrame:
    """Add a water index to a sample, as a column of its name; an empty sample is returned unchanged.

    >>> add_index(pd.DataFrame({"B3": [0.3], "B8": [0.1]}), "ndwi")["ndwi"].round(3).tolist()
    [0.5]
    """
    if pixels.empty:
        return pixels
    bands = [band for band in s2.BANDS if band in pixels]
    return pixels.assign(**{name: s2.water_index(name, pixels[bands].to_numpy().T[..., None], bands)[:, 0]})


def narrow_water(codes: s2.Codes, side: int, narrower: int = 5) -> tuple[slice, slice]:
    """Find the square in which most of the water is narrow: ditches, lanes, small ponds.

    Args:
        codes: version-1 codes, ``(height, width)``, no smaller than the square.
        side: of the square, pixels; cloud and missing data are avoided if possible.
        narrower: water is narrow if it holds no square of this side, pixels.

    Returns:
        Rows and columns of the square.

    >>> codes = np.ones((20, 20), np.uint8)
    >>> codes[:, 15] = 2
    >>> narrow_water(codes, 8)[1]
    slice(8, 16, None)
    """
    wet = codes == s2.WATER
    wanted = wet & ~ndimage.binary_opening(wet, np.ones((narrower, narrower)))
    blocked = (codes != s2.WATER) & (codes != s2.LAND)
    sums = np.pad(wanted.astype(np.int64) - 5 * blocked, (1, 0)).cumsum(0).cumsum(1)
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    row, column = (int(i) for i in np.unravel_index(inside.argmax(), inside.shape))
    return slice(row, row + side), slice(column, column + side)


def medians_outside(simulated: pd.DataFrame, other: pd.DataFrame, bands: Sequence[str]) -> pd.DataFrame:
    """Medians of other images outside the range that holds 80 % of the simulated pixels.

    Args:
        simulated: from ``sample_pixels``.
        other: from ``compare.sample_images``; may be empty.
        bands: columns of both; a band that an image lacks is left out.

    Returns:
        One row for each class and image: ``class, source``, the number of ``medians`` and of those ``outside``, and
        the names of the bands ``below`` and ``above`` the range.
    """
    rows = []
    for (name, source), part in [] if other.empty else other.groupby(["class", "source"], sort=False):
        median = part[list(bands)].median().dropna()
        within = simulated.loc[simulated["class"] == name, median.index].quantile([0.1, 0.9])
        below, above = median.index[median < within.loc[0.1]], median.index[median > within.loc[0.9]]
        rows.append([name, source, len(median), len(below) + len(above), ", ".join(below), ", ".join(above)])
    return pd.DataFrame(rows, columns=["class", "source", "medians", "outside", "below", "above"])
