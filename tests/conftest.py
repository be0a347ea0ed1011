"""Fixtures shared by the tests: tiny scenes on disk, and real files where the machine has them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny import GRID, tiny_image, write_tiny_event

from ml4ops_helpers.scenes.rasters import write_raster
from ml4ops_helpers.scenes.sentinel2 import BANDS


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


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
