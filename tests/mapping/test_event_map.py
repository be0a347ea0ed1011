"""The command ``ml4ops map``, the report and the interactive map, as a user meets them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from affine import Affine
from bs4 import BeautifulSoup
from made import truth, write as write_scene, write_landsat, write_safe
from rasterio.windows import Window
from tiny import GRID, tiny_image

from ml4ops_helpers import cli
from ml4ops_helpers.inference.decisions import water_given_seen
from ml4ops_helpers.inference.tiling import predict_scene
from ml4ops_helpers.mapping import event_map, floodmaps as fm, pictures, report
from ml4ops_helpers.mapping.classmaps import ClassMap, read_class_map
from ml4ops_helpers.mapping.event_map import MapOptions, map_event
from ml4ops_helpers.mapping.vectors import vectorise
from ml4ops_helpers.mapping.webmap import interactive_map, show_page
from ml4ops_helpers.models.networks import build_model
from ml4ops_helpers.models.saved import load_pretrained, save_model
from ml4ops_helpers.scenes.bands import LANDSAT_8
from ml4ops_helpers.scenes.grids import Grid
from ml4ops_helpers.scenes.opening import open_product
from ml4ops_helpers.scenes.products import Product
from ml4ops_helpers.scenes.rasters import SceneError, open_raster, write_raster
from ml4ops_helpers.scenes.sentinel2 import CLOUD, LAND, WATER, select_bands

CHROMIUM = Path("/usr/bin/chromium")
SIZE = 40


@pytest.fixture(autouse=True)
def _keep_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.signal, "signal", lambda number, handler: None)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def put(name: str, codes: np.ndarray, **where: object) -> Path:
        return write_raster(tmp_path / name, codes.astype(np.uint8), **{**GRID, **where})

    return put


@pytest.fixture
def pair(write: Callable[..., Path]) -> tuple[Path, Path]:
    """A river of 4 columns; afterwards a square of 100 pixels is flooded and 2 rows are under cloud."""
    pre = np.full((SIZE, SIZE), LAND)
    pre[:, :4] = WATER
    post = pre.copy()
    post[10:20, 10:20] = WATER
    post[-2:] = CLOUD
    return write("before.tif", pre), write("after.tif", post)


def loads(page: str) -> list[str]:
    """Addresses that a page would fetch from elsewhere."""
    soup = BeautifulSoup(page, "html.parser")
    found = [str(e.get("src") or e.get("href")) for e in soup.select("[src], link[href]")]
    return [address for address in found if not address.startswith("data:")]


class TestMapEvent:
    def test_everything_is_written_and_agrees(self, pair: tuple[Path, Path], tmp_path: Path) -> None:
        made = map_event(*pair, tmp_path / "out", MapOptions(days=(date(2024, 10, 1), date(2024, 11, 1))))
        assert sorted(made) == ["areas", "change", "geojson", "gpkg", "map", "report"]
        assert {p.name for p in (tmp_path / "out").iterdir()} == {p.name for p in made.values()}
        with open_raster(made["change"]) as source:
            assert (source.read(1) == fm.FLOOD).sum() == 100
            assert source.crs == GRID["crs"]
        areas = pd.read_csv(made["areas"], index_col="change")["km2"]
        assert areas["new flood"] == pytest.approx(0.01, rel=2e-3)
        for kind in ("gpkg", "geojson"):
            outlines = gpd.read_file(made[kind]).set_index("class")
            assert outlines.loc["new flood", "area_km2"] == pytest.approx(areas["new flood"])
            assert sorted(outlines.index) == ["new flood", "not observed", "permanent water"]
        text = made["report"].read_text()
        assert "New flood seen: 0.010 km²." in text
        assert "0.018 km²" in text  # 80 pixels under cloud besides
        assert "after.tif, 2024-11-01" in text
        assert event_map.SHIPPED not in text  # the class maps were made elsewhere

    def test_scenes_are_mapped_first(self, tiny_scene: Callable[..., Path], tmp_path: Path) -> None:
        pre, post = tiny_scene("a.tif"), tiny_scene("b.tif", image=tiny_image(seed=1))
        network, _ = load_pretrained("linear")
        options = MapOptions(model="linear", threshold=0.5, min_area=0, area_factor=0, area_level=0.6)
        made = map_event(pre, post, tmp_path / "out", options)
        codes = {kind: read_class_map(made[kind]) for kind in ("pre_class", "post_class")}
        with open_raster(made["change"]) as source:
            change = fm.difference(codes["pre_class"], codes["post_class"])
            assert np.array_equal(source.read(1), change.codes)
        with open_product(post, network.bands) as product:
            water = water_given_seen(predict_scene(network, product.read(Window(0, 0, 32, 32))))
        expected = fm.expected_flood(change, water).estimate
        assert f"{expected:.3f} to {expected:.3f} km²" in made["report"].read_text()
        text = made["report"].read_text()
        assert "a chance of 60 % or more" in text
        assert "linear; water from a probability of 0.500 on" in text
        assert event_map.SHIPPED in text

    def test_packed_products_are_mapped_as_unpacked(self, tmp_path: Path) -> None:
        """A Sentinel-2 product before, a Landsat one after: names are those of the files, whatever packs them."""
        scene = "LC08_L2SP_200033_20200101_20200823_02_T1"
        safe, landsat = tmp_path / "in" / "S2A_X.SAFE", tmp_path / scene
        write_safe(safe, truth())
        write_landsat(landsat, scene, LANDSAT_8, truth())
        packed = (
            Path(shutil.make_archive(str(tmp_path / "S2A_X.SAFE"), "zip", safe.parent)),
            Path(shutil.make_archive(str(tmp_path / scene), "gztar", landsat)),
        )
        lines: list[str] = []
        whole = map_event(safe, landsat, tmp_path / "a", MapOptions(model="linear"))
        found = map_event(*packed, tmp_path / "b", MapOptions(model="linear"), lines.append)
        assert {kind: path.name for kind, path in found.items()} == {kind: path.name for kind, path in whole.items()}
        for kind in ("change", "pre_class", "post_class"):
            with open_raster(whole[kind]) as one, open_raster(found[kind]) as other:
                assert np.array_equal(one.read(), other.read())
        assert [line.partition(": ")[0] for line in lines] == list(map(str, packed))

    def test_an_option_that_suits_one_image_only(self, tiny_scene: Callable[..., Path], tmp_path: Path) -> None:
        safe = write_safe(tmp_path / "S2A_X.SAFE", truth())
        scene = tiny_scene(image=tiny_image() + 1000, tags=None)
        with pytest.raises(SceneError, match=r"leave --offset out\. .*both images.* `ml4ops predict` each"):
            map_event(scene, safe, tmp_path / "out", MapOptions(model="linear", reading={"offset": 0}))
        with pytest.raises(SceneError, match="--offset -1000") as raised:
            map_event(safe, scene, tmp_path / "out", MapOptions(model="linear"))
        assert "both images" not in str(raised.value)  # no option was given
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("bands", ["bgri", "bgriswir", "all", ["B8", "B3"]])
    def test_pictures_are_read_as_the_map_is(self, bands: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever bands a network needs: nothing else decides, so that no picture fails once a map is made."""
        weights = str(save_model(build_model("linear", bands, seed=1), tmp_path / "m.safetensors", {"threshold": 0.4}))
        needed = select_bands(bands)
        # Dark in B12 alone, and not in the bands of the picture.
        values = [np.maximum(truth([b]), 0.0 if b in ("B12", "B3") else 0.09)[0] for b in needed]
        stored = np.round(np.stack(values) * 10_000).astype(np.uint16)
        scenes = [write_scene(tmp_path / f"{n}.tif", np.roll(stored, n, axis=1), names=needed) for n in (1, 2)]
        read: list[str] = []
        lines: list[str] = []

        @contextmanager
        def noted(*arguments: Any, **reading: Any) -> Iterator[Product]:
            with open_product(*arguments, **reading) as product:
                read.append(f"{product.path}: {product.decision}")
                yield product

        monkeypatch.setattr(pictures, "open_product", noted)
        map_event(*scenes, tmp_path / "out", MapOptions(model=weights), lines.append)
        assert read == lines
        assert len(lines) == 2

    def test_images_of_other_crs_and_size(self, pair: tuple[Path, Path], tiny_scene: Callable[..., Path]) -> None:
        """A scene in degrees against a class map in metres; the picture is moved as well."""
        where = {"crs": "EPSG:4326", "transform": Affine(1e-4, 0, -3.001, 0, -1e-4, 36.146)}
        scene = tiny_scene("wide.tif", image=tiny_image(80), **where)
        picture = pictures.picture_of(scene, read_class_map(pair[1]).grid)
        assert picture.shape == (SIZE, SIZE, 3)
        assert (picture > 0).any(axis=2).mean() > 0.9
        made = map_event(scene, pair[1], scene.parent / "out", MapOptions(model="linear"))
        with open_raster(made["change"]) as source:
            assert source.shape == (SIZE, SIZE)

    def test_large_pictures_are_thinned(self, tiny_scene: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
        scene = tiny_scene(image=tiny_image(50))
        grid = Grid((50, 50), **GRID)
        whole = pictures.picture_of(scene, grid)
        monkeypatch.setattr(pictures, "MOST_PIXELS", 20)
        assert np.allclose(pictures.picture_of(scene, grid), whole[::3, ::3], atol=1e-6)

    def test_permanent_layer_settles_what_was_hidden_before(
        self, pair: tuple[Path, Path], write: Callable[..., Path], tmp_path: Path
    ) -> None:
        hidden = write("cloudy.tif", np.full((SIZE, SIZE), CLOUD))
        layer = write("jrc.tif", np.where(np.arange(SIZE) < 4, 3, 1) * np.ones((SIZE, 1), int))
        without = map_event(hidden, pair[1], tmp_path / "a")
        given = map_event(hidden, pair[1], tmp_path / "b", MapOptions(permanent=layer))
        tables = [pd.read_csv(made["areas"], index_col="change")["km2"] for made in (without, given)]
        assert tables[0]["new flood"] == 0
        assert tables[0]["water, before unknown"] == pytest.approx(tables[1][["new flood", "permanent water"]].sum())
        assert tables[1]["new flood"] == pytest.approx(0.01, rel=2e-3)


class TestCommand:
    def test_tells_what_it_wrote(self, pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
        out = tmp_path / "deep" / "out"
        dates = ["--dates", "2024-10-01", "2024-11-01"]
        code = cli.main(["map", *map(str, pair), "--out", str(out), *dates, "--area-factor", "2"])
        assert code == 0
        printed = dict(line.split() for line in capsys.readouterr().out.splitlines())
        assert all(Path(path).is_file() for path in printed.values())
        text = Path(printed["report"]).read_text()
        assert "after.tif, 2024-11-01" in text
        assert "they were not given to this report" in text  # class maps do not say how sure they are

    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            ("absent.tif", "absent.tif"),
            ("text.tif", "text.tif"),
            ("codes.tif", "codes.tif: codes"),
            ("nowhere.tif", "nowhere.tif: no coordinate reference system"),
            ("far.tif", "far: "),
            ("two_bands.tif", "two_bands.tif: 2 bands"),
        ],
    )
    def test_bad_input_is_one_line_and_leaves_nothing(
        self, pair: tuple[Path, Path], write: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture,
        bad: str, message: str,
    ) -> None:  # fmt: skip
        (tmp_path / "text.tif").write_text("no image")
        write("codes.tif", np.full((4, 4), 9))
        write("nowhere.tif", np.ones((4, 4)), crs=None)
        write("far.tif", np.ones((4, 4)), transform=Affine(10, 0, 300_000, 0, -10, 1_000_000))
        write("two_bands.tif", np.ones((2, 4, 4)))
        before = sorted(tmp_path.rglob("*"))
        arguments = ["map", str(tmp_path / bad), str(pair[1]), "--out", str(tmp_path / "out"), "--model", "linear"]
        assert cli.main(arguments) == 2
        printed = capsys.readouterr()
        assert printed.err.count("\n") == 1
        assert message in printed.err
        assert sorted(tmp_path.rglob("*")) == before

    def test_a_run_that_breaks_leaves_the_old_map_alone(
        self, pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = map_event(*pair, tmp_path / "out")
        old = {path: path.read_bytes() for path in made.values()}

        def breaks(*arguments: object, **options: object) -> str:
            raise OSError("disk full")

        monkeypatch.setattr("ml4ops_helpers.mapping.webmap.interactive_map", breaks)
        with pytest.raises(OSError, match="disk full"):
            map_event(*pair, tmp_path / "out")
        assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == old

    def test_bands_without_names_are_taken_from_the_option(
        self, pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture
    ) -> None:
        scene = write_raster(tmp_path / "five.tif", tiny_image(SIZE)[[1, 2, 3, 7, 11]], **GRID)
        names = ["--bands", "bgriswir", "--offset", "0", "--model", "linear"]
        assert cli.main(["map", str(scene), str(pair[1]), "--out", str(tmp_path / "out"), *names]) == 0
        assert "pre_class" in capsys.readouterr().out

    def test_wrong_options(self, pair: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
        pre, post, out = *map(str, pair), str(tmp_path / "out")
        for wrong in ("--threshold 2", "--min-area -1", "--simplify x", "--dates 2024-13-01 2024-11-01"):
            with pytest.raises(SystemExit) as raised:
                cli.main(["map", pre, post, "--out", out, *wrong.split()])
            assert raised.value.code == 2
        assert "'2024-13-01'" in capsys.readouterr().err
        (tmp_path / "file").write_text("")
        for arguments, message in (
            ([pre, post, "--out", out, "--dates", "2024-11-01", "2024-10-01"], "2024-11-01"),
            ([pre, pre, "--out", out], "before.tif"),
            ([pre, post, "--out", str(tmp_path / "file")], "folder"),
        ):
            assert cli.main(["map", *arguments]) == 2
            assert message in capsys.readouterr().err


def change_map(codes: list[list[int]]) -> ClassMap:
    array = np.array(codes, np.uint8)
    return ClassMap(array, Grid(array.shape, **GRID), "change")


class TestReport:
    def page(self, codes: list[int], **options: Any) -> str:
        return report.event_report(change_map([codes]), title="T", **{"pictures": {}, "facts": {}, **options})

    def words(self, page: str) -> str:
        return " ".join(BeautifulSoup(page, "html.parser").get_text().split())

    def test_is_one_file_and_says_what_is_not_known(self) -> None:
        facts = {"image <after>": "b.tif & more"}
        page = self.page([0, 3, 5, 1], pictures={"x": np.zeros((4, 4, 3))}, facts=facts)
        assert loads(page) == []
        soup = BeautifulSoup(page, "html.parser")
        assert [len(str(image["alt"])) >= 20 for image in soup.find_all("img")] == [True, True]
        words = self.words(page)
        assert "Not observed: 25.0 % of the map. Not observed does not mean not flooded." in words
        assert "Errors of the map itself come on top" in words
        assert "Without a layer of permanent water" in words
        assert "image <after>" in words
        assert "b.tif & more" in words

    def test_a_fully_seen_map_does_not_claim_to_hide_anything(self) -> None:
        words = self.words(self.page([1, 3], interval=fm.Bounds(0.5, 2)))
        assert "Both images show the whole map." in words
        assert "Parts of the map were not observed" not in words
        assert "0.500 to 2.000 km². How often such an interval holds the true area was not given" in words

    def test_an_interval_comes_with_its_chance(self) -> None:
        words = self.words(self.page([1, 3], interval=fm.Bounds(0.5, 2), level=0.75))
        assert "0.500 to 2.000 km². Such an interval holds the true area with a chance of 75 % or more" in words

    def test_every_change_has_a_row(self) -> None:
        page = self.page([0])
        rows = BeautifulSoup(page, "html.parser").select("tbody tr")
        assert [row.td.get_text() for row in rows] == list(fm.CHANGES)  # type: ignore[union-attr]
        assert "No pixel was seen in both images" in page


class TestInteractiveMap:
    def page(self, crs: str = "EPSG:32630", side: float = 10, left: float = 500_000, top: float = 4_000_000) -> str:
        codes = np.full((30, 30), fm.DRY, np.uint8)
        codes[5:25, 5:25] = fm.FLOOD
        codes[12:18, 12:18] = fm.DRY
        codes[:, 28:] = fm.PERMANENT
        grid = Grid(codes.shape, crs, Affine(side, 0, left, 0, -side, top))
        outlines = vectorise(ClassMap(codes, grid), codes=[fm.FLOOD, fm.PERMANENT])
        pictures = {"before": np.full((30, 30, 3), 0.3), "after": np.full((30, 30, 3), 0.6)}
        return interactive_map(outlines, grid, pictures, "A map")

    def test_holds_its_script_and_loads_nothing(self) -> None:
        page = self.page()
        assert loads(page) == []
        assert not re.search(r"@import|url\(['\"]?http", page)
        assert "<title>A map</title>" in page

    def test_in_a_notebook_it_sits_in_a_frame(self) -> None:
        frame = BeautifulSoup(show_page(self.page(), "A map of <floods>").data, "html.parser").iframe
        assert frame is not None
        assert "<title>A map</title>" in str(frame["srcdoc"])
        assert frame["title"] == "A map of <floods>"

    @pytest.mark.skipif(not CHROMIUM.exists(), reason="no chromium on this machine")
    def test_in_a_browser_without_network(self, tmp_path: Path) -> None:
        """It draws, zooms, pans and switches layers, and asks nobody for anything."""
        sync_api = pytest.importorskip("playwright.sync_api")
        path, asked, errors = tmp_path / "map.html", [], []
        path.write_text(self.page())
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
            tab = browser.new_page(viewport={"width": 900, "height": 900})
            tab.on("request", lambda request: asked.append(request.url))
            tab.on("pageerror", lambda error: errors.append(str(error)))
            tab.context.set_offline(True)
            tab.goto(path.as_uri())
            tab.wait_for_function("Bokeh.documents.length > 0 && Bokeh.documents[0].is_idle")
            find = "const plot = Bokeh.documents[0].roots()[0];"
            spans = f"() => {{ {find} return [plot.x_range.start, plot.x_range.end] }}"
            start, end = tab.evaluate(spans)
            tab.mouse.move(450, 250)
            tab.mouse.wheel(0, -400)
            tab.wait_for_timeout(300)
            zoomed = tab.evaluate(spans)
            tab.mouse.down()
            tab.mouse.move(550, 250, steps=4)
            tab.mouse.up()
            tab.wait_for_timeout(300)
            panned = tab.evaluate(spans)
            items = "plot.below.find(p => p.items).items.map(i => [i.label.value, i.renderers[0].visible])"
            layers = f"() => {{ {find} return {items} }}"
            at_first = dict(tab.evaluate(layers))
            for name in ("before", "new flood"):
                tab.get_by_text(name, exact=True).click()
            switched = dict(tab.evaluate(layers))
            path.write_text(self.page("EPSG:4326", 1e-4, 10, 60))
            tab.goto(path.as_uri())
            tab.wait_for_function("Bokeh.documents.length > 0 && Bokeh.documents[0].is_idle")
            frame = "const f = Object.values(Bokeh.index)[0].frame; const [x, y] = [plot.x_range, plot.y_range];"
            pixels = "f.bbox.width / (x.end - x.start) / (f.bbox.height / (y.end - y.start))"
            stretch = tab.evaluate(f"() => {{ {find} {frame} return {pixels} }}")
            browser.close()
        assert stretch == pytest.approx(0.5, rel=0.01)  # at 60° north a degree of longitude is half as long
        assert zoomed[1] - zoomed[0] < 0.9 * (end - start)
        assert panned[0] < zoomed[0]
        assert at_first == {"before": False, "after": True, "permanent water": True, "new flood": True}
        assert switched == {"before": True, "after": True, "permanent water": True, "new flood": False}
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
        assert errors == []
