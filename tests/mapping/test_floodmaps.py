"""Flood maps: change by hand, areas, outlines with holes, files that a GIS reads, and mixed CRS."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from ml4ops_helpers.mapping import floodmaps as fm
from ml4ops_helpers.mapping.classmaps import ClassMap, align, mosaic, read_class_map, read_permanent
from ml4ops_helpers.mapping.vectors import vectorise, write_vectors
from ml4ops_helpers.scenes.grids import Grid, pixel_areas
from ml4ops_helpers.scenes.rasters import SceneError, open_raster, write_raster
from ml4ops_helpers.scenes.sentinel2 import CLOUD, INVALID, LAND, WATER

ORIGIN = Affine(10, 0, 500_000, 0, -10, 4_000_000)
TRUE_PIXEL = 100 / 0.9996**2
"""Square metres of ground under ten by ten metres of map, on the central meridian."""


def on_grid(codes: object, name: str = "a", transform: Affine = ORIGIN, crs: str = "EPSG:32630") -> ClassMap:
    array = np.array(codes, np.uint8)
    return ClassMap(array, Grid(array.shape, crs, transform), name)


def names(change: ClassMap) -> list[list[str]]:
    return [[fm.CHANGES[code] for code in row] for row in change.codes]


class TestDifference:
    def test_every_pair_of_classes(self) -> None:
        """Rows before, columns after: invalid, land, water, cloud."""
        before, after = np.repeat(np.arange(4), 4).reshape(4, 4), np.tile(np.arange(4), (4, 1))
        unseen = "not observed"
        assert names(fm.difference(on_grid(before), on_grid(after))) == [
            [unseen, "not flooded", "water, before unknown", unseen],
            [unseen, "not flooded", "new flood", unseen],
            [unseen, "receded", "permanent water", unseen],
            [unseen, "not flooded", "water, before unknown", unseen],
        ]

    def test_the_layer_knows_what_the_earlier_image_did_not_see(self) -> None:
        before, layer = on_grid([[CLOUD, CLOUD, CLOUD, LAND, LAND, WATER]]), on_grid([[3, 2, 1, 3, 3, 0]])
        wet, dry = (fm.difference(before, on_grid([[code] * 6]), layer) for code in (WATER, LAND))
        assert names(wet)[0] == ["permanent water", "new flood", "new flood", *["permanent water"] * 3]
        assert names(dry)[0] == ["receded", *["not flooded"] * 4, "receded"]

    def test_cloud_afterwards_hides_permanent_water_too(self) -> None:
        change = fm.difference(on_grid([[WATER]]), on_grid([[CLOUD]]), on_grid([[3]]))
        assert names(change) == [["not observed"]]

    @pytest.mark.parametrize(("before", "layer"), [([[CLOUD, CLOUD]], on_grid([[1]])), ([[LAND]], None)])
    def test_beyond_layer_and_earlier_map_nothing_is_known(self, before: list, layer: ClassMap | None) -> None:
        change = fm.difference(on_grid(before), on_grid([[WATER, WATER]]), layer)
        assert names(change)[0] == ["new flood", "water, before unknown"]

    @pytest.mark.parametrize("crs", ["EPSG:32629", "EPSG:4326", "EPSG:3857"])
    def test_maps_in_different_crs_are_brought_together(self, crs: str) -> None:
        """Taken as they are, the two would not even overlap; reprojected they differ nowhere but on shores."""
        codes = np.full((60, 60), LAND, np.uint8)
        codes[20:40, 10:50] = WATER
        post = on_grid(codes)
        side = 1e-4 if crs == "EPSG:4326" else 10
        left, _, _, top = gpd.GeoSeries([shapely.box(*post.grid.bounds)], crs=post.grid.crs).to_crs(crs).total_bounds
        wide = Grid((90, 90), crs, Affine(side, 0, left - 5 * side, 0, -side, top + 5 * side))
        change = fm.difference(align(post, wide), post)
        inner = change.codes[10:50, 5:55]
        assert change.grid.same_as(post.grid)
        assert np.isin(inner, (fm.PERMANENT, fm.DRY)).mean() > 0.95
        assert (inner[12:28, 7:43] == fm.PERMANENT).all()

    def test_a_map_of_another_place_is_refused(self) -> None:
        far = on_grid([[WATER]], "elsewhere", Affine(10, 0, 600_000, 0, -10, 5_000_000))
        with pytest.raises(SceneError, match="elsewhere"):
            fm.difference(far, on_grid([[WATER]]))


class TestAreas:
    def test_by_hand_in_metres_and_degrees(self) -> None:
        codes = [[0, 1, 2, 3], [4, 5, 3, 3]]
        table = fm.change_areas(on_grid(codes))
        counts = dict(zip(fm.CHANGES, (1, 1, 1, 3, 1, 1), strict=True))
        assert table["km2"].to_dict() == pytest.approx({k: n * TRUE_PIXEL / 1e6 for k, n in counts.items()}, rel=1e-5)
        assert table.loc["new flood", "percent"] == pytest.approx(37.5)
        degrees = fm.change_areas(on_grid(codes, transform=Affine(0.01, 0, 0, 0, -0.01, 60), crs="EPSG:4326"))
        assert degrees.loc["new flood", "km2"] == pytest.approx(3 * 1.1142 * 0.5580, rel=2e-3)  # km a hundredth degree

    def test_blocks_of_rows_add_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rng = np.random.default_rng(0)
        change = on_grid(rng.integers(0, 6, (50, 20)), transform=Affine(0.1, 0, 3, 0, -0.1, 50), crs="EPSG:4326")
        whole = fm.code_areas(change.codes, change.grid)
        monkeypatch.setattr(fm, "_ROWS", 7)
        assert fm.code_areas(change.codes, change.grid) == pytest.approx(whole, rel=1e-12)
        assert whole.sum() == pytest.approx(pixel_areas(change.grid).sum() / 1e6)

    def test_expected_flood_sums_probabilities_where_a_flood_is_possible(self) -> None:
        """Not over water that was there before, nor over what nobody saw."""
        water = np.array([[0.5, 0.2, 0.9, 0.8, 0.9, np.nan]], np.float32)
        change = on_grid([[fm.DRY, fm.DRY, fm.PERMANENT, fm.FLOOD, fm.UNKNOWN_BEFORE, fm.NOT_OBSERVED]])
        estimate, variance = fm.expected_flood(change, water)
        assert estimate == pytest.approx(1.5 * TRUE_PIXEL / 1e6, rel=1e-5)
        assert variance == pytest.approx((0.25 + 0.16 + 0.16) * TRUE_PIXEL / 1e6, rel=1e-5)


RING = [[3, 3, 3, 3], [3, 1, 1, 3], [3, 1, 3, 3], [3, 3, 3, 3], [1, 1, 1, 3]]


class TestOutlines:
    def test_holes_are_kept(self) -> None:
        (outline,) = vectorise(on_grid(RING), codes=[fm.FLOOD]).geometry
        assert len(outline.interiors) == 1
        assert outline.area == 1400

    def test_pixels_that_touch_at_a_corner_are_two_patches(self) -> None:
        assert vectorise(on_grid([[2, 1], [1, 2]]), ["", "land", "water"], codes=[2])["class"].tolist() == ["water"] * 2

    @pytest.mark.parametrize(("min_area", "left"), [(0, [3, 2, 1]), (150, [3, 2]), (250, [3]), (1000, [])])
    def test_minimum_mapping_unit(self, min_area: float, left: list[int]) -> None:
        """Patches of three, two and one pixels."""
        outlines = vectorise(on_grid([[3, 3, 3, 1, 3, 3, 1, 3]]), codes=[fm.FLOOD], min_area=min_area)
        assert outlines["area_km2"].tolist() == pytest.approx([n * TRUE_PIXEL / 1e6 for n in left], rel=1e-5)
        assert outlines.crs == "EPSG:32630"

    def test_no_gap_in_what_was_observed_is_too_small(self) -> None:
        outlines = vectorise(on_grid([[3, 0, 1]]), codes=[fm.NOT_OBSERVED, fm.FLOOD], min_area=1000)
        assert outlines["class"].tolist() == ["not observed"]

    def test_minimum_mapping_unit_is_in_true_square_metres_in_degrees(self) -> None:
        """At 60° north a pixel of a thousandth of a degree has about 55.8 by 111.4 metres."""
        found = on_grid([[3]], transform=Affine(0.001, 0, 10, 0, -0.001, 60), crs="EPSG:4326")
        assert [len(vectorise(found, min_area=a)) for a in (6200, 6230)] == [1, 0]

    @pytest.mark.parametrize("crs", ["EPSG:32630", "EPSG:4326"])
    def test_simplification_moves_outlines_by_metres(self, crs: str) -> None:
        rows, columns = np.mgrid[:80, :80]
        codes = np.where(np.hypot(rows - 40, columns - 40) < 30, fm.FLOOD, fm.DRY)
        transform = ORIGIN if crs == "EPSG:32630" else Affine(1e-4, 0, -3, 0, -1e-4, 36)
        found = on_grid(codes, transform=transform, crs=crs)
        plain, simple = (vectorise(found, codes=[fm.FLOOD], simplify=metres) for metres in (0, 15))
        metric = found.grid.metric_crs()
        before, after = (v.to_crs(metric).geometry[0] for v in (plain, simple))
        assert 1 < shapely.hausdorff_distance(before.exterior, after.exterior) <= 15.01
        assert shapely.get_num_coordinates(after) < shapely.get_num_coordinates(before) / 4
        assert simple["area_km2"].tolist() == plain["area_km2"].tolist()

    @pytest.mark.parametrize("seed", range(4))
    def test_outlines_that_touch_themselves_stay_valid_in_every_file(self, tmp_path: Path, seed: int) -> None:
        """A sponge: its holes touch at corners, and rounding lets their outlines cross."""
        sponge = np.where(np.random.default_rng(seed).random((60, 60)) < 0.65, fm.FLOOD, fm.DRY)
        outlines = vectorise(on_grid(sponge), codes=[fm.FLOOD], simplify=15)
        for path in (tmp_path / "a.gpkg", tmp_path / "a.geojson"):
            back = gpd.read_file(write_vectors(path, outlines))
            assert back.geometry.is_valid.all()
            assert set(back.geometry.geom_type) <= {"Polygon", "MultiPolygon"}
            area = back.to_crs(outlines.crs).geometry.area.sum()
            assert area == pytest.approx(outlines.geometry.area.sum(), rel=1e-4)

    def test_a_patch_smaller_than_the_tolerance_keeps_its_pixels(self) -> None:
        outlines = vectorise(on_grid([[3, 1, 3, 3]]), codes=[fm.FLOOD], simplify=100)
        assert outlines.geometry.area.tolist() == pytest.approx([200, 100], rel=1e-6)

    def test_negative_sizes_are_refused(self) -> None:
        with pytest.raises(ValueError, match="min_area"):
            vectorise(on_grid([[3]]), min_area=-1)

    @settings(deadline=None, max_examples=60)
    @given(arrays(np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.integers(0, 5)))
    def test_any_map_keeps_its_area_and_is_valid(self, codes: np.ndarray) -> None:
        """Without simplification the outlines hold exactly the pixels; with it they stay valid."""
        found = on_grid(codes)
        outlines, simple = vectorise(found), vectorise(found, simplify=12)
        counted = outlines.assign(m2=outlines.geometry.area).groupby("class")["m2"].sum()
        expected = {name: 100 * (codes == code).sum() for code, name in enumerate(fm.CHANGES) if code}
        assert counted.to_dict() == pytest.approx({k: n for k, n in expected.items() if n}, rel=1e-9)
        areas = fm.change_areas(found)["km2"].iloc[1:]
        assert outlines["area_km2"].sum() == pytest.approx(areas.sum(), rel=1e-9)
        for vectors in (outlines, simple):
            assert vectors.geometry.is_valid.all()
            assert set(vectors.geometry.geom_type) <= {"Polygon", "MultiPolygon"}
            assert not vectors.geometry.is_empty.any()


class TestFiles:
    @pytest.mark.parametrize("simplify", [0, 10])
    def test_geopackage_keeps_the_crs_and_geojson_is_in_degrees(self, tmp_path: Path, simplify: float) -> None:
        outlines = vectorise(on_grid(RING), simplify=simplify)
        pack, text = (write_vectors(tmp_path / f"a{ending}", outlines) for ending in (".gpkg", ".geojson"))
        back = gpd.read_file(pack)
        assert back.crs == "EPSG:32630"
        assert shapely.equals_exact(back.geometry.values, outlines.geometry.values, 1e-6).all()
        content = json.loads(text.read_text())
        assert "crs" not in content  # RFC 7946: always longitude and latitude
        lon, lat = content["features"][0]["geometry"]["coordinates"][0][0]
        assert (lon, lat) == (pytest.approx(-3, abs=0.01), pytest.approx(36.14, abs=0.01))
        again = gpd.read_file(text).to_crs("EPSG:32630").geometry.area.sum()
        assert again == pytest.approx(outlines.geometry.area.sum(), rel=1e-3)
        assert {p.name for p in tmp_path.iterdir()} == {"a.gpkg", "a.geojson"}

    @pytest.mark.parametrize("suffix", [".gpkg", ".geojson"])
    def test_a_map_without_any_patch_is_an_empty_file(self, tmp_path: Path, suffix: str) -> None:
        assert gpd.read_file(write_vectors(tmp_path / f"a{suffix}", vectorise(on_grid([[0]])))).empty

    def test_what_cannot_be_written_leaves_nothing(self, tmp_path: Path) -> None:
        outlines = vectorise(on_grid(RING))
        with pytest.raises(ValueError, match=r"a\.shp"):
            write_vectors(tmp_path / "a.shp", outlines)
        with pytest.raises(SceneError, match="coordinate reference system"):
            write_vectors(tmp_path / "a.gpkg", outlines.set_crs(None, allow_override=True))
        assert not list(tmp_path.iterdir())

    def test_change_map_names_its_codes(self, tmp_path: Path) -> None:
        with open_raster(fm.write_change(tmp_path / "change.tif", on_grid([[0, 3]]))) as source:
            assert (source.nodata, source.read(1).tolist()) == (0, [[0, 3]])
            assert "3 new flood" in source.tags()["CHANGES"]

    def test_class_map_comes_back(self, tmp_path: Path) -> None:
        path = write_raster(
            tmp_path / "x_class.tif", np.array([[0, 1, 2, 3]], np.uint8), crs="EPSG:32630", transform=ORIGIN
        )
        found = read_class_map(path, date(2024, 11, 1))
        assert (found.name, found.day) == ("x_class", date(2024, 11, 1))
        assert found.codes.tolist() == [[0, 1, 2, 3]]
        assert found.seen.tolist() == [[False, True, True, False]]

    @pytest.mark.parametrize(
        ("array", "options", "message"),
        [
            (np.full((1, 2, 2), 7, np.uint8), {}, "codes"),
            (np.ones((2, 2, 2), np.uint8), {}, "2 bands"),
            (np.ones((1, 2, 2), np.float32), {}, "float32"),
            (np.ones((1, 2, 2), np.uint8), {"crs": None}, "coordinate reference system"),
        ],
    )
    def test_files_that_are_not_class_maps(self, tmp_path: Path, array: object, options: dict, message: str) -> None:
        where = {"crs": "EPSG:32630", "transform": ORIGIN} | options
        path = write_raster(tmp_path / "bad.tif", array, **where)
        with pytest.raises(SceneError, match=rf"bad\.tif.*{message}"):
            read_class_map(path)

    def test_permanent_layer_has_codes_of_its_own(self, tmp_path: Path) -> None:
        path = write_raster(tmp_path / "jrc.tif", np.array([[4]], np.uint8), crs="EPSG:32630", transform=ORIGIN)
        with pytest.raises(SceneError, match="permanent"):
            read_permanent(path)


class TestMosaic:
    def test_the_first_that_saw_the_ground_wins(self) -> None:
        first, second = on_grid([[LAND, CLOUD, INVALID, INVALID, CLOUD]]), on_grid([[WATER, WATER, WATER, CLOUD, 0]])
        assert mosaic([first, second]).codes.tolist() == [[LAND, WATER, WATER, CLOUD, CLOUD]]

    def test_scenes_side_by_side_and_of_other_pixel_size(self) -> None:
        """A fine map, and a coarse one of 30 m that overlaps its last column and goes on to the east."""
        fine = on_grid(np.full((3, 4), LAND))
        coarse = on_grid([[WATER, CLOUD]], transform=Affine(30, 0, 500_030, 0, -30, 4_000_000))
        found = mosaic([fine, coarse])
        assert found.codes.tolist() == [[LAND] * 4 + [WATER] * 2 + [CLOUD] * 3] * 3
        assert found.grid.transform == ORIGIN

    def test_scenes_of_two_zones(self) -> None:
        """The same ground in the neighbouring zone: the mosaic is in the first's, with nothing doubled."""
        codes = np.full((40, 40), LAND, np.uint8)
        codes[10:30, 10:30] = WATER
        east = Affine(10, 0, 770_000, 0, -10, 4_000_000)
        first = on_grid(codes, transform=east)
        corner = gpd.GeoSeries([shapely.box(*first.grid.bounds)], crs=32630).to_crs(32631).total_bounds
        other = Grid((50, 50), "EPSG:32631", Affine(10, 0, corner[0], 0, -10, corner[3]))
        both = mosaic([align(first, other), first])
        water = fm.code_areas(both.codes, both.grid, 4)[WATER]
        assert water == pytest.approx(fm.code_areas(codes, first.grid, 4)[WATER], rel=0.02)

    def test_codes_must_fit_the_grid(self) -> None:
        with pytest.raises(SceneError, match="shape"):
            ClassMap(np.ones((2, 3), np.uint8), Grid((3, 2), "EPSG:32630", ORIGIN))
