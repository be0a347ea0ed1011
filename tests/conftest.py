"""Fixtures shared by the tests: tiny scenes on disk, and real files where the machine has them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine

from ml4ops_helpers.scenes import write_raster
from ml4ops_helpers.sentinel2 import BANDS

GRID: dict[str, Any] = {"crs": "EPSG:32630", "transform": Affine(10, 0, 500_000, 0, -10, 4_000_000)}
"""The grid of every tiny scene."""


def tiny_image(size: int = 32, seed: int = 0, dtype: str = "uint16") -> np.ndarray:
    """Plausible digital numbers of thirteen bands, cirrus dark, without the +1000."""
    image = np.random.default_rng(seed).integers(300, 3000, (len(BANDS), size, size))
    image[BANDS.index("B10")] = np.random.default_rng(seed).integers(5, 60, (size, size))
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


@pytest.fixture
def tiny_scene(tmp_path: Path) -> Callable[..., Path]:
    """Write a scene; keywords change what is written (``image``, ``names``, ``tags``, ``crs``, …)."""

    def write(name: str = "EMSR1_AOI1.tif", **changes: Any) -> Path:
        options = {"names": BANDS, "nodata": 0, "tags": {"RADIO_ADD_OFFSET": 0}, **GRID, **changes}
        return write_raster(tmp_path / name, options.pop("image", tiny_image()), **options)

    return write


@pytest.fixture
def tiny_dataset(tmp_path: Path) -> Path:
    """Root of a data set in the WorldFloods layout: three splits, five events, one scene each or two."""
    root = tmp_path / "tiny"
    names = {"train": ["ALPHA_1", "ALPHA_2", "BETA_1", "GAMMA_1"], "val": ["DELTA_1"], "test": ["EPSILON_1"]}
    for split, scenes in names.items():
        for number, name in enumerate(scenes):
            write_tiny_event(root, split, name, seed=number)
    return root


@pytest.fixture
def real_data() -> Path:
    """Folder of real files (``ML4OPS_DATA``); the test is skipped where there is none."""
    folder = os.environ.get("ML4OPS_DATA")
    if not folder:
        pytest.skip("ML4OPS_DATA is not set: no real scenes on this machine")
    if not (Path(folder) / "sen1floods11").is_dir():
        pytest.skip(f"{folder} (ML4OPS_DATA) holds no sen1floods11: no real scenes on this machine")
    return Path(folder)
