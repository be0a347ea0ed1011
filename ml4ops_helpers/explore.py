"""Look at data before a model does: facts of each scene, samples of pixels, distances between distributions.

A sample is a table with one row a pixel: ``source`` (event or chip), ``split``, ``class``, and reflectance by band.
Explained in ``02_explore_the_data``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from ml4ops_helpers.catalogues import label_codes, load_scene
from ml4ops_helpers.datasets import terramesh
from ml4ops_helpers.rasters import open_raster
from ml4ops_helpers.scenes import SceneError, read_label
from ml4ops_helpers.sentinel2 import CLASS_NAMES, INVALID, LAND, WATER, Codes, Float, merge_label, select_bands
from ml4ops_helpers.sources import CHIP_40M_BANDS, DownloadError, data_dir, load_chip, load_chip_40m

FEWEST = 30
"""Pixels that a distribution needs before it is compared."""


class RealImage(NamedTuple):
    """A real image with its label: ``name``, reflectance ``(bands, height, width)``, version-1 codes, band names."""

    name: str
    reflectance: Float
    codes: Codes
    bands: tuple[str, ...]


def scene_facts(table: pd.DataFrame) -> pd.DataFrame:
    """What labels and metadata say of each scene, without reading the images.

    Args:
        table: catalogue of labelled scenes.

    Returns:
        The catalogue's ``split, event, aoi`` with the share of each class of ``CLASS_NAMES`` (0 to 1), and ``date``,
        ``lon``, ``lat`` and ``offset`` from the metadata, empty where these are silent.

    Raises:
        SceneError: a label cannot be read.
    """
    rows = []
    for _, row in table.iterrows():
        codes = merge_label(read_label(row["label"], row["image"], codes=label_codes(row["label"])))
        shares = np.bincount(codes.ravel(), minlength=len(CLASS_NAMES)) / codes.size
        meta: dict[str, Any] = json.loads(Path(row["meta"]).read_text(encoding="utf-8")) if row["meta"] else {}
        facts = {"lon": meta.get("lon", np.nan), "lat": meta.get("lat", np.nan), "offset": meta.get("radio_add_offset")}
        names = {key: row[key] for key in ("split", "event", "aoi")}
        rows.append(names | dict(zip(CLASS_NAMES, shares.tolist(), strict=True)) | facts | {"date": meta.get("date")})
    return pd.DataFrame(rows).astype({"date": "datetime64[ns]"})


def draw_pixels(
    reflectance: Float, codes: Codes, bands: Sequence[str], per_class: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Draw pixels of every class from one image.

    Args:
        reflectance: ``(bands, height, width)``; NaN where there are no data.
        codes: version-1 codes, ``(height, width)``; invalid pixels are never drawn.
        bands: names of the bands.
        per_class: how many pixels of each class, or all where there are fewer.
        rng: source of randomness.

    Returns:
        One row a pixel: ``class`` and a column for each band.

    >>> image, codes = np.full((1, 2, 2), 0.1, np.float32), np.array([[0, 1], [1, 2]])
    >>> draw_pixels(image, codes, ["B3"], 1, np.random.default_rng(0))["class"].tolist()
    ['land', 'water']
    """
    known = np.where(np.isfinite(reflectance).all(axis=0), codes, INVALID).ravel()
    pixels = reflectance.reshape(len(bands), -1)
    parts = []
    for code in range(INVALID + 1, len(CLASS_NAMES)):
        places = np.flatnonzero(known == code)
        places = rng.choice(places, min(per_class, places.size), replace=False)
        part = pd.DataFrame(pixels[:, places].T, columns=list(bands))
        part.insert(0, "class", CLASS_NAMES[code])
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def sample_pixels(
    table: pd.DataFrame, bands: str | Sequence[str] = "all", per_class: int = 500, seed: int = 0
) -> pd.DataFrame:
    """Draw pixels of every class from every scene of a catalogue; each scene has the same say.

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
    rng, names = np.random.default_rng(seed), select_bands(bands)
    parts = []
    for _, row in table.iterrows():
        scene, label = load_scene(row, names)
        if label is None:
            raise ValueError(f"{row['image']}: no label; pixels are drawn by class and need one")
        part = draw_pixels(scene.reflectance(), merge_label(label), names, per_class, rng)
        parts.append(part.assign(source=row["event"], split=row["split"]))
    return pd.concat(parts, ignore_index=True)


def real_images() -> tuple[list[RealImage], list[str]]:
    """The real images of the book that this machine has or can download, and a line for each that it lacks.

    They are the Sen1Floods11 chip Spain_7370579 (13 bands), the chips in ``sen1floods11_40m`` (six bands, averaged to
    40 m) and the TerraMesh tiles, whose land cover class 1 is taken as water and every other as land.
    """
    images: list[RealImage] = []
    missing: list[str] = []
    sources = {"Sen1Floods11": _chips, "40 m chips": _chips_40m, "TerraMesh": _tiles}
    for name, source in sources.items():
        try:
            images += list(source())
        except (DownloadError, SceneError) as error:
            missing.append(f"{name}: not here and not to be had ({error})")
    return images, missing


def _chips() -> Iterator[RealImage]:
    scene, label = load_chip("Spain_7370579")
    yield RealImage("Spain_7370579", scene.reflectance(), merge_label(label), scene.bands)


def _chips_40m() -> Iterator[RealImage]:
    folder = data_dir() / "sen1floods11_40m"
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise SceneError(f"no .npz file in {folder}; they are not published for download")
    for path in paths:
        reflectance, label = load_chip_40m(path)
        yield RealImage(f"{path.stem} (40 m)", reflectance, merge_label(label), CHIP_40M_BANDS)


def _tiles() -> Iterator[RealImage]:
    for _, row in terramesh().iterrows():
        scene, _ = load_scene(row)
        with open_raster(row["lulc"]) as file:
            cover = file.read(1)
        codes = np.where(cover == 1, WATER, np.where(cover == 0, INVALID, LAND)).astype(np.uint8)
        yield RealImage(f"TerraMesh {Path(row['image']).stem}", scene.reflectance(), codes, scene.bands)


def sample_images(images: Sequence[RealImage], per_class: int = 500, seed: int = 0) -> pd.DataFrame:
    """Draw pixels of every class from real images; a band that an image lacks is NaN.

    Args:
        images: from ``real_images``.
        per_class: pixels of each class drawn from an image.
        seed: of the draw.

    Returns:
        As ``sample_pixels``; ``source`` is the image's name and ``split`` is ``real``.
    """
    rng = np.random.default_rng(seed)
    parts = [draw_pixels(i.reflectance, i.codes, i.bands, per_class, rng).assign(source=i.name) for i in images]
    return pd.concat(parts, ignore_index=True).assign(split="real") if parts else pd.DataFrame()


def _distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """First Wasserstein distance; NaN where a sample is too small."""
    x, y = a[np.isfinite(a)], b[np.isfinite(b)]
    return float(wasserstein_distance(x, y)) if min(x.size, y.size) >= FEWEST else float("nan")


def compare_distributions(
    simulated: pd.DataFrame, other: pd.DataFrame, columns: Sequence[str], class_name: str
) -> pd.DataFrame:
    """How far other images lie from the simulated ones, measured by how far simulated events lie from each other.

    The distance is the first Wasserstein distance: how far, on average, the values of one distribution must be moved
    to make the other, in the unit of the column. Each simulated event is compared with all the others, and the median
    of these is the yardstick: a ratio of 1 is no further away than a simulated event is from its companions.

    Args:
        simulated: sample of two or more simulated events, from ``sample_pixels``.
        other: sample of other images, from ``sample_images``.
        columns: bands, or other numbers in both tables.
        class_name: class whose pixels are compared.

    Returns:
        One row a source and column: ``source, column, distance, yardstick, ratio``; NaN where a sample has too few
        pixels. Empty where ``other`` is.

    Source: Villani 2009, Optimal Transport, doi:10.1007/978-3-540-71050-9.
    """
    if other.empty:
        return pd.DataFrame(columns=["source", "column", "distance", "yardstick", "ratio"])
    inside, outside = (t[t["class"] == class_name] for t in (simulated, other))
    rows = []
    for column in columns:
        values = {name: part.to_numpy() for name, part in inside.groupby("source")[column]}
        among = [
            _distance(v, np.concatenate([w for n, w in values.items() if n != name])) for name, v in values.items()
        ]
        yardstick = float(np.nanmedian(among))
        everything = inside[column].to_numpy()
        for source, part in outside.groupby("source", sort=False)[column]:
            distance = _distance(part.to_numpy(), everything)
            rows.append([source, column, distance, yardstick, distance / yardstick])
    return pd.DataFrame(rows, columns=["source", "column", "distance", "yardstick", "ratio"])
