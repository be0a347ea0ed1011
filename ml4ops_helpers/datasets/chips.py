"""Real images with labels: chips of Sen1Floods11, tiles of TerraMesh. Explained in ``02_explore_the_data``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from affine import Affine
from rasterio.crs import CRS

from ml4ops_helpers.datasets.catalogues import load_scene
from ml4ops_helpers.datasets.folders import data_dir
from ml4ops_helpers.datasets.loaders import terramesh
from ml4ops_helpers.datasets.sources import DownloadError, sen1floods11_files
from ml4ops_helpers.scenes.labels import from_sen1floods11, read_label
from ml4ops_helpers.scenes.rasters import SceneError, open_raster
from ml4ops_helpers.scenes.scaling import digital_numbers
from ml4ops_helpers.scenes.scene import Scene, read_scene
from ml4ops_helpers.scenes.sentinel2 import INVALID, LAND, QUANTIFICATION, WATER, Codes, merge_label

CHIP_40M_BANDS = ("B2", "B3", "B4", "B8", "B10", "B11")
"""Band order of the 40 m chips, checked against the full-resolution chip."""


def load_chip(chip: str, bands: str | Sequence[str] | None = None, root: Path | None = None) -> tuple[Scene, Codes]:
    """A Sen1Floods11 chip, found on disk or downloaded.

    Args:
        chip: its name, such as ``Spain_7370579``.
        bands: a key of ``BAND_SETS`` or band names; default all thirteen.
        root: folder of the data set; default in ``ML4OPS_DATA``, then in the cache.

    Returns:
        The scene, and its label, version 2, uint8 ``(2, height, width)``.

    Raises:
        DownloadError: the chip is not on disk and cannot be downloaded.
        SceneError: a file cannot be read.
    """
    image, label = sen1floods11_files([chip], root)[chip]
    scene = read_scene(image, bands)
    return scene, read_label(label, scene, codes="sen1floods11")


def load_chip_40m(path: Path) -> tuple[Scene, Codes]:
    """A Sen1Floods11 chip averaged over 4 × 4 pixels, without a CRS.

    Args:
        path: an ``.npz`` with ``image`` (reflectance, ``(6, n, n)``) and ``label`` (−1, 0, 1, ``(n, n)``).

    Returns:
        The scene, with the bands of ``CHIP_40M_BANDS``, and its label, version 2.

    Raises:
        SceneError: the file is missing or holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            image, label = file["image"].astype(np.float32), from_sen1floods11(file["label"])
        if image.shape != (len(CHIP_40M_BANDS), *label.shape[1:]):
            raise ValueError(f"image {image.shape}, label {label.shape[1:]}")
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise SceneError(f"{path}: not a 40 m chip with image and label ({error}); fetch it again") from error
    numbers, valid = np.round(image * QUANTIFICATION).astype(np.int32), (image != 0).any(axis=0)
    scaling = digital_numbers(len(CHIP_40M_BANDS))
    return Scene(numbers, CHIP_40M_BANDS, CRS(), Affine.scale(40, -40), valid, scaling, path), label


def real_chips() -> dict[str, tuple[Scene, Codes]]:
    """Hand-labelled real chips, by name: Spain at 10 m, and those of ``load_chip_40m`` that the data folder holds.

    Returns:
        Scene and version-1 label.

    Raises:
        DownloadError: the chip of Spain is not on disk and cannot be downloaded.
    """
    chips = {"Spain_7370579": load_chip("Spain_7370579")}
    chips |= {path.stem: load_chip_40m(path) for path in sorted((data_dir() / "sen1floods11_40m").glob("*.npz"))}
    return {name: (scene, merge_label(label)) for name, (scene, label) in chips.items()}


def real_images() -> tuple[dict[str, tuple[Scene, Codes]], list[str]]:
    """The real images that are on this machine or can be downloaded, and a line for each source that is missing.

    They are those of ``real_chips`` and the two TerraMesh tiles, whose land cover class 1 is taken as water and every
    other as land.

    Returns:
        Scene and version-1 label by name; and the missing sources, with the reason.
    """
    images: dict[str, tuple[Scene, Codes]] = {}
    missing: list[str] = []
    for name, source in {"Sen1Floods11": real_chips, "TerraMesh": _tiles}.items():
        try:
            images |= source()
        except DownloadError as error:
            missing.append(f"{name}: not here, and {error}")
    return images, missing


def _tiles() -> dict[str, tuple[Scene, Codes]]:
    tiles = {}
    for _, row in terramesh().iterrows():
        scene, _ = load_scene(row)
        with open_raster(row["lulc"]) as file:
            cover = file.read(1)
        codes = np.where(cover == 1, WATER, np.where(cover == 0, INVALID, LAND)).astype(np.uint8)
        tiles[f"TerraMesh {scene.path.stem}"] = scene, codes
    return tiles
