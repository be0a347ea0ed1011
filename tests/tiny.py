"""Tiny scenes on disk for the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine

from ml4ops_helpers.scenes.rasters import write_raster
from ml4ops_helpers.scenes.sentinel2 import BANDS

GRID: dict[str, Any] = {"crs": "EPSG:32630", "transform": Affine(10, 0, 500_000, 0, -10, 4_000_000)}
"""The grid of every tiny scene."""


def tiny_image(size: int = 32, seed: int = 0, dtype: str = "uint16") -> np.ndarray:
    """Plausible digital numbers of thirteen bands, without the +1000: cirrus dark, B8A like B8, blue never dark."""
    image = np.random.default_rng(seed).integers(300, 3000, (len(BANDS), size, size))
    image[BANDS.index("B10")] = np.random.default_rng(seed).integers(5, 60, (size, size))
    image[BANDS.index("B8A")] = image[BANDS.index("B8")] + 7
    image[BANDS.index("B2")] += 300
    return image.astype(dtype)


def tiny_label(size: int = 32, seed: int = 0) -> np.ndarray:
    """A two-channel label with every code."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.choice([1, 1, 1, 2, 0], (size, size)), rng.integers(0, 3, (size, size))]).astype(np.uint8)


def write_tiny_event(root: Path, split: str, name: str, size: int = 32, seed: int = 0) -> None:
    """One scene with its label, permanent water and metadata in the WorldFloods layout."""
    tags = {"RADIO_ADD_OFFSET": 0}
    write_raster(root / split / "S2" / f"{name}.tif", tiny_image(size, seed), names=BANDS, nodata=0, tags=tags, **GRID)
    write_raster(root / split / "gt" / f"{name}.tif", tiny_label(size, seed), **GRID)
    write_raster(root / split / "PERMANENTWATERJRC" / f"{name}.tif", np.zeros((size, size), np.uint8), **GRID)
    meta = root / split / "meta" / f"{name}.json"
    meta.parent.mkdir(parents=True, exist_ok=True)
    meta.write_text(f'{{"event": "{name.split("_")[0]}"}}')
