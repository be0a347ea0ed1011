"""Maps on grids of every orientation and unit: the same flood at the same place, of the same size."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from affine import Affine
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from ml4ops_helpers.mapping.classmaps import ClassMap
from ml4ops_helpers.mapping.event_map import MapOptions, map_event
from ml4ops_helpers.mapping.floodmaps import CHANGES, difference
from ml4ops_helpers.mapping.pictures import picture_of
from ml4ops_helpers.scenes.grids import Grid
from ml4ops_helpers.scenes.rasters import SceneError, open_raster, write_raster

N = 60
NORTH_UP = Affine(10, 0, 500_000, 0, -10, 4_000_000)
TURNED: dict[str, Affine] = {
    "north-up": NORTH_UP,
    "south-up": Affine(10, 0, 500_000, 0, 10, 4_000_000 - 10 * N),
    "east to the left": Affine(-10, 0, 500_000 + 10 * N, 0, -10, 4_000_000),
    "upside down": Affine(-10, 0, 500_000 + 10 * N, 0, 10, 4_000_000 - 10 * N),
    "transposed": Affine(0, 10, 500_000, -10, 0, 4_000_000),
    "rotated": NORTH_UP @ Affine.rotation(20, (N / 2, N / 2)),
}
"""Grids over the same square."""


def flooded(grid: Affine) -> np.ndarray:
    """Land, but for a square of water 200 m wide whose corner is 100 m east and south of the north-west corner."""
    columns, rows = np.meshgrid(np.arange(N) + 0.5, np.arange(N) + 0.5)
    x = grid.a * columns + grid.b * rows + grid.c - 500_000
    y = 4_000_000 - (grid.d * columns + grid.e * rows + grid.f)
    return np.where((x > 100) & (x < 300) & (y > 100) & (y < 300), 2, 1).astype(np.uint8)


def write_pair(folder: Path, grid: Affine, crs: str = "EPSG:32630") -> tuple[Path, Path]:
    pre = write_raster(folder / "pre.tif", np.ones((N, N), np.uint8), crs=crs, transform=grid)
    return pre, write_raster(folder / "post.tif", flooded(grid), crs=crs, transform=grid)


@pytest.mark.parametrize("name", TURNED)
def test_every_orientation_gives_the_same_map(name: str, tmp_path: Path) -> None:
    pre, post = write_pair(tmp_path, TURNED[name])
    made = map_event(pre, post, tmp_path / "out")
    assert pd.read_csv(made["areas"], index_col=0).km2["new flood"] == pytest.approx(0.04, rel=0.03)
    flood = gpd.read_file(made["gpkg"]).query("`class` == 'new flood'").geometry.union_all()
    assert flood.centroid.x == pytest.approx(500_200, abs=5)
    assert flood.centroid.y == pytest.approx(3_999_800, abs=5)


@pytest.mark.parametrize("name", TURNED)
def test_pictures_lie_under_their_outlines(name: str, tmp_path: Path) -> None:
    _, post = write_pair(tmp_path, TURNED[name])
    with open_raster(post) as source:
        shown = Grid(source.shape, source.crs, source.transform).north_up()
    assert shown.transform.a > 0 > shown.transform.e
    assert shown.transform.b == shown.transform.d == 0
    picture = picture_of(post, shown)
    row, column = _pixel(shown)
    assert picture[row, column].tolist() != picture[row + 25, column].tolist()
    blue = np.argwhere((picture == picture[row, column]).all(axis=-1))
    x, y = shown.transform @ (float(blue[:, 1].mean()) + 0.5, float(blue[:, 0].mean()) + 0.5)
    assert (x, y) == pytest.approx((500_200, 3_999_800), abs=10)


def _pixel(grid: Grid) -> tuple[int, int]:
    """Row and column of the middle of the flood."""
    column, row = ~grid.transform @ (500_200, 3_999_800)
    return int(row), int(column)


def test_units_are_those_of_the_projection(tmp_path: Path) -> None:
    feet = Affine(32.8, 0, 984_000, 0, -32.8, 200_000)  # New York, US survey feet
    square = np.ones((N, N), np.uint8)
    pre = write_raster(tmp_path / "pre.tif", square, crs="EPSG:2263", transform=feet)
    square[10:30, 10:30] = 2
    post = write_raster(tmp_path / "post.tif", square, crs="EPSG:2263", transform=feet)
    made = map_event(pre, post, tmp_path / "out")
    assert pd.read_csv(made["areas"], index_col=0).km2["new flood"] == pytest.approx(0.04, rel=0.01)
    assert "pixels of 32.8 US survey foot" in made["report"].read_text()
    assert "easting (US survey foot)" in made["map"].read_text()


def test_a_grid_that_is_nowhere_on_earth_is_refused(tmp_path: Path) -> None:
    site = 'LOCAL_CS["building site",UNIT["metre",1]]'
    pre, post = write_pair(tmp_path, NORTH_UP, site)
    with pytest.raises(SceneError, match="no place on Earth"):
        map_event(pre, post, tmp_path / "out")


def test_a_mask_of_water_is_no_class_map(tmp_path: Path) -> None:
    pre, _ = write_pair(tmp_path, NORTH_UP)
    mask = write_raster(tmp_path / "mask.tif", flooded(NORTH_UP) - 1, crs="EPSG:32630", transform=NORTH_UP)
    with pytest.raises(SceneError, match=r"mask\.tif: .*add 1"):
        map_event(pre, mask, tmp_path / "out")


def test_masks_of_class_maps_and_layers_count(tmp_path: Path) -> None:
    pre, post = write_pair(tmp_path, NORTH_UP)
    layer = write_raster(tmp_path / "layer.tif", np.full((N, N), 3, np.uint8), crs="EPSG:32630", transform=NORTH_UP)
    hide = np.zeros((N, N), np.uint8)
    for path in (post, layer):
        with rasterio.open(path, "r+") as sink:
            sink.write_mask(hide if path == layer else np.where(flooded(NORTH_UP) == 2, 0, 255).astype(np.uint8))
    found = map_event(pre, post, tmp_path / "out", MapOptions(permanent=layer))
    km2 = pd.read_csv(found["areas"], index_col=0).km2
    assert km2["new flood"] == km2["permanent water"] == 0
    assert km2["not observed"] == pytest.approx(0.04, rel=0.01)


@pytest.mark.parametrize("offset", [-1000, 0])
def test_options_for_scenes_are_not_lost_on_class_maps(offset: int, tmp_path: Path) -> None:
    pre, post = write_pair(tmp_path, NORTH_UP)
    with pytest.raises(SceneError, match="class maps"):
        map_event(pre, post, tmp_path / "out", MapOptions(reading={"offset": offset}))


GRID = Grid((2, 3), "EPSG:32630", NORTH_UP)
CODES = arrays(np.uint8, (2, 3), elements=st.integers(0, 3))


@given(CODES, CODES, st.none() | arrays(np.uint8, (2, 3), elements=st.sampled_from([0, 1, 2, 3, 255])))
def test_changes_follow_the_table(pre: np.ndarray, post: np.ndarray, layer: np.ndarray | None) -> None:
    """The table of page 08, pixel by pixel; a layer without observation (0, or outside) settles nothing."""
    permanent = None if layer is None else ClassMap(layer, GRID)
    found = difference(ClassMap(pre, GRID), ClassMap(post, GRID), permanent).codes
    known = np.full((2, 3), 255) if layer is None else layer
    for before, after, code, change in zip(pre.flat, post.flat, known.flat, found.flat, strict=True):
        assert CHANGES[change] == _expected(int(before), int(after), int(code))


def _expected(before: int, after: int, layer: int) -> str:
    seen = before in (1, 2)
    if after not in (1, 2):
        return "not observed"
    if after == 1:
        return "receded" if before == 2 or (not seen and layer == 3) else "not flooded"
    if before == 2 or layer == 3:
        return "permanent water"
    return "new flood" if seen or layer in (1, 2) else "water, before unknown"
