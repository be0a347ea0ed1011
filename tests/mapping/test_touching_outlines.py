"""Patches of different classes that touch: no ground is lost between them, and none counts twice."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine

from ml4ops_helpers.mapping import floodmaps as fm
from ml4ops_helpers.mapping.classmaps import ClassMap
from ml4ops_helpers.mapping.vectors import vectorise, write_vectors
from ml4ops_helpers.scenes.grids import Grid


@pytest.mark.parametrize("seed", range(3))
def test_neighbours_share_their_borders(tmp_path: Path, seed: int) -> None:
    codes = np.random.default_rng(seed).choice([fm.FLOOD, fm.DRY, fm.NOT_OBSERVED], (40, 40)).astype(np.uint8)
    grid = Grid(codes.shape, "EPSG:32630", Affine(10, 0, 700_000, 0, -10, 4_300_000))
    outlines = vectorise(ClassMap(codes, grid), codes=[fm.FLOOD, fm.DRY, fm.NOT_OBSERVED])
    back = gpd.read_file(write_vectors(tmp_path / "a.geojson", outlines)).to_crs(grid.crs)
    for found, close in ((outlines, 1e-9), (back, 1e-4)):
        assert found.geometry.is_valid.all()
        assert found.geometry.area.sum() == pytest.approx(codes.size * 100, rel=close)
        assert found.geometry.union_all().area == pytest.approx(codes.size * 100, rel=close)
