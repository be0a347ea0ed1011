"""Where pixels lie and how large they are: areas by hand, grids told apart, unions."""

from __future__ import annotations

import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS

from ml4ops_helpers.scenes.grids import Grid, pixel_areas, union_grid
from ml4ops_helpers.scenes.rasters import SceneError

UTM = Grid((20, 30), "EPSG:32630", Affine(10, 0, 500_000, 0, -10, 4_000_000))
"""Its left edge is the central meridian of the zone."""


def ellipsoid_area(south: float, north: float, degrees: float) -> float:
    """Square metres between two parallels, by summing thin bands of the WGS 84 ellipsoid."""
    a, e2 = 6_378_137.0, 0.00669437999014
    edges = np.radians(np.linspace(south, north, 20_001))
    middle = (edges[1:] + edges[:-1]) / 2
    strip = a**2 * (1 - e2) * np.cos(middle) / (1 - e2 * np.sin(middle) ** 2) ** 2
    return float((strip * np.diff(edges)).sum() * np.radians(degrees))


class TestAreas:
    @pytest.mark.parametrize(("south", "north"), [(0, 1), (38, 39), (-61, -60), (79, 80)])
    def test_a_degree_has_the_area_of_the_ellipsoid(self, south: int, north: int) -> None:
        grid = Grid((1, 1), "EPSG:4326", Affine(1, 0, 12, 0, -1, north))
        assert pixel_areas(grid)[0, 0] == pytest.approx(ellipsoid_area(south, north, 1), rel=1e-6)

    def test_ten_metres_of_a_map_are_not_ten_metres_of_ground(self) -> None:
        """On the central meridian UTM shrinks lengths to 0.9996."""
        assert pixel_areas(UTM)[:, 0] == pytest.approx(100 / 0.9996**2, rel=1e-6)

    def test_pixels_in_degrees_shrink_towards_the_pole(self) -> None:
        """Every row of a tall raster by itself, though only some rows are worked out."""
        grid = Grid((500, 3), "EPSG:4326", Affine(0.1, 0, 5, 0, -0.1, 70))
        found = pixel_areas(grid)
        for row in (0, 137, 300, 499):
            north = 70 - 0.1 * row
            assert found[row] == pytest.approx(ellipsoid_area(north - 0.1, north, 0.1), rel=2e-4)
        assert found.sum() == pytest.approx(ellipsoid_area(20, 70, 0.3), rel=1e-4)

    def test_rows_are_the_rows_of_the_whole(self) -> None:
        grid = Grid((200, 70), "EPSG:4326", Affine(0.01, 0, 5, 0, -0.01, 50))
        assert np.array_equal(pixel_areas(grid, slice(50, 90)), pixel_areas(grid)[50:90])

    def test_a_map_across_the_date_line(self) -> None:
        """Zone 60 reaches over 180°: its pixels are as large there as on this side."""
        grid = Grid((4, 4), "EPSG:32760", Affine(10_000, 0, 790_000, 0, -10_000, 8_000_000))
        assert pixel_areas(grid) == pytest.approx(1e8, rel=5e-3)

    def test_turned_grids_have_the_same_area(self) -> None:
        turned = Grid((5, 5), UTM.crs, UTM.transform @ Affine.rotation(30))
        assert pixel_areas(turned) == pytest.approx(100 / 0.9996**2, rel=1e-5)


class TestGrid:
    def test_without_crs_nothing_can_be_measured(self) -> None:
        for crs in (CRS(), "EPSG:99"):
            with pytest.raises(SceneError, match="CRS"):
                Grid((2, 2), crs, UTM.transform)

    def test_same_pixels_or_not(self) -> None:
        assert UTM.same_as(Grid(UTM.shape, 32630, UTM.transform))
        assert UTM.same_as(Grid(UTM.shape, 32630, UTM.transform @ Affine.translation(0.005, 0)))
        others = [
            Grid((20, 31), UTM.crs, UTM.transform),
            Grid(UTM.shape, 32631, UTM.transform),
            Grid(UTM.shape, UTM.crs, UTM.transform @ Affine.translation(0.5, 0)),
            Grid(UTM.shape, UTM.crs, UTM.transform @ Affine.scale(1.01)),
        ]
        assert not any(UTM.same_as(other) for other in others)

    def test_metric_crs_measures_metres_around_the_grid(self) -> None:
        lon, lat = UTM.centre
        assert (lon, lat) == (pytest.approx(-3, abs=0.01), pytest.approx(36.1, abs=0.1))
        assert f"lat_0={lat:.4f}"[:10] in UTM.metric_crs().to_proj4()


class TestUnion:
    def test_keeps_the_pixels_of_the_first(self) -> None:
        other = Grid((20, 30), UTM.crs, UTM.transform @ Affine.translation(-12, 7))
        union = union_grid([UTM, other])
        assert union.shape == (27, 42)
        assert union.bounds == (499_880, 3_999_730, 500_300, 4_000_000)
        assert union_grid([UTM]).same_as(UTM)

    def test_covers_grids_of_other_crs(self) -> None:
        other = Grid((10, 10), "EPSG:4326", Affine(0.0001, 0, -3.001, 0, -0.0001, 36.145))
        union = union_grid([UTM, other])
        assert union.crs == UTM.crs
        assert union.bounds[0] < UTM.bounds[0]
        corner = (union.bounds[0] - UTM.bounds[0]) / 10
        assert corner == pytest.approx(round(corner), abs=1e-6)


def test_areas_around_a_pole() -> None:
    """EPSG:3031 is true to scale at 71° S; at the pole its scale is 0.97277 (Snyder 1987, eq. 21-34, 21-35)."""
    grid = Grid((30, 30), "EPSG:3031", Affine(100, 0, -1500, 0, -100, 1500))
    assert pixel_areas(grid).sum() == pytest.approx(9e6 / 0.97277**2, rel=1e-3)
