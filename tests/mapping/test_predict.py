"""From files to files: what is written, what a user did wrong, runs that were interrupted."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made
import numpy as np
import pytest
import rasterio
import rasterio.shutil
import torch
from scipy.ndimage import gaussian_filter
from tiny import GRID, tiny_image

from ml4ops_helpers import cli
from ml4ops_helpers.inference.adaptation import adapt, draw_pixels
from ml4ops_helpers.inference.decisions import Thresholds, classify, decide, water_given_seen
from ml4ops_helpers.inference.familiarity import Usual, describe
from ml4ops_helpers.inference.tiling import predict_scene
from ml4ops_helpers.mapping import predict
from ml4ops_helpers.mapping.predict import MappedFiles, map_file, map_files
from ml4ops_helpers.models.common import ModelError
from ml4ops_helpers.models.networks import build_model
from ml4ops_helpers.models.saved import save_model
from ml4ops_helpers.scenes import opening
from ml4ops_helpers.scenes.rasters import SceneError
from ml4ops_helpers.scenes.scene import read_scene
from ml4ops_helpers.scenes.sentinel2 import BANDS, CLOUD, INVALID, LAND, WATER, brightness, water_index

Writer = Callable[..., Path]


@pytest.fixture(autouse=True)
def _keep_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.signal, "signal", lambda number, handler: None)


@pytest.fixture
def weights(tmp_path: Path) -> str:
    """A small network whose answers vary."""
    model = build_model("cnn", "bgri", seed=1)
    model(torch.rand(2, 4, 64, 64) * 0.4)
    return str(save_model(model, tmp_path / "small.safetensors", {"threshold": 0.4, "data": "abc"}))


@pytest.fixture
def scene(tiny_scene: Writer) -> Path:
    """100 × 100 pixels in four windows of at most 64; a corner without data."""
    image = tiny_image(100)
    image[:, :20, :30] = 0
    return tiny_scene("EMSR1_AOI1.tif", image=image)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as source:
        return source.read()


def tags(path: Path) -> dict[str, str]:
    with rasterio.open(path) as source:
        return source.tags()


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []


class TestFiles:
    def test_hold_what_the_network_says_of_the_whole_scene(self, weights: str, scene: Path, tmp_path: Path) -> None:
        model = predict.load_model(weights)[0]
        probabilities = predict_scene(model, read_scene(scene, model.bands).reflectance())
        middle = float(np.nanmedian(water_given_seen(probabilities)))
        found = map_file(scene, tmp_path / "out", model=weights, threshold=middle, tile=64)
        assert found == MappedFiles(
            tmp_path / "out" / "EMSR1_AOI1_class.tif", tmp_path / "out" / "EMSR1_AOI1_water.tif"
        )
        assert np.nanmax(np.abs(read(found.water)[0] - water_given_seen(probabilities))) <= 1e-5
        assert np.array_equal(read(found.class_map)[0], classify(probabilities, middle))
        assert set(np.unique(read(found.class_map))) >= {INVALID, LAND, WATER}
        assert names(tmp_path / "out") == ["EMSR1_AOI1_class.tif", "EMSR1_AOI1_water.tif"]

    def test_know_where_they_come_from(self, weights: str, scene: Path, tmp_path: Path) -> None:
        found = map_file(scene, tmp_path / "out", model=weights)
        layers = (found.class_map, "class", "uint8", 0), (found.water, "water", "float32", np.nan)
        for path, name, dtype, nodata in layers:
            with rasterio.open(path) as source:
                assert (source.crs, source.transform) == (GRID["crs"], GRID["transform"])
                assert source.descriptions == (name,)
                assert source.dtypes == (dtype,)
                assert np.array_equal(source.nodata, nodata, equal_nan=True)
                tags, layout = source.tags(), source.tags(ns="IMAGE_STRUCTURE")
            assert (tags["MODEL"], tags["DATA_SHA256"], tags["THRESHOLD"]) == (weights, "abc", "0.4")
            assert len(tags["MODEL_SHA256"]) == 64
            assert (tags["ENGINE"], tags["SOURCE"]) == ("torch", "EMSR1_AOI1.tif")
            assert (layout["LAYOUT"], layout["COMPRESSION"]) == ("COG", "ZSTD")
        assert np.array_equal(np.isnan(read(found.water)), read(found.class_map) == INVALID)

    def test_two_heads_follow_the_rule_of_thin_and_thick_cloud(self, tiny_scene: Writer, tmp_path: Path) -> None:
        model = build_model("linear", "bgri", heads="cloud_water", seed=2)
        with torch.no_grad():
            model.body.bias.copy_(torch.tensor([3.0, 0.0]))  # cloud everywhere, most of it too dark to hide anything
        saved = save_model(model, tmp_path / "heads.safetensors", {"threshold": 0.5, "cloud_threshold": 0.5})
        path = tiny_scene("EMSR2_AOI1.tif")
        found = map_file(path, tmp_path / "out", model=str(saved))
        image = read_scene(path, model.bands).reflectance()
        expected = decide(predict_scene(model, image), brightness(image, model.bands) * 1e4, Thresholds(0.5, 0.5))
        assert np.array_equal(read(found.class_map)[0], expected)
        assert set(np.unique(expected)) > {CLOUD}

    def test_uncertainty_has_no_seams(self, tiny_scene: Writer, tmp_path: Path) -> None:
        model = build_model("unet", "bgri", dropout=0.3)
        saved = str(save_model(model, tmp_path / "wet.safetensors", {"threshold": 0.5}))
        path = tiny_scene("EMSR3_AOI1.tif", image=tiny_image(96))
        made = [map_file(path, tmp_path / str(t), model=saved, uncertainty=3, tile=t).uncertainty for t in (96, 64)]
        one, many = (read(Path(str(file))) for file in made)
        entropy, information = one
        assert np.abs(many - one).max() <= 1e-5
        assert (information >= 0).all()
        assert (information <= entropy + 1e-6).all()
        assert information.max() > 1e-4


class TestResume:
    @pytest.fixture
    def computed(self, monkeypatch: pytest.MonkeyPatch) -> list[object]:
        """The windows that were computed; an exception put in ``stop`` is raised at the third."""
        seen: list[object] = []
        original = predict.predict_window

        def counted(run, image, window, halo):  # type: ignore[no-untyped-def]
            if len(seen) == 2 and self.stop:
                raise self.stop
            seen.append(window)
            return original(run, image, window, halo)

        self.stop: BaseException | None = None
        monkeypatch.setattr(predict, "predict_window", counted)
        return seen

    def interrupt(self, error: type[BaseException], weights: str, scene: Path, out: Path) -> None:
        """Map until the third window, which raises."""
        self.stop = error("stop")
        with pytest.raises(error):
            map_file(scene, out, model=weights, tile=64)
        self.stop = None

    def test_interrupted_run_resumes(self, weights: str, scene: Path, tmp_path: Path, computed: list[object]) -> None:
        expected = read(map_file(scene, tmp_path / "whole", model=weights, tile=64).water)
        computed.clear()
        self.interrupt(KeyboardInterrupt, weights, scene, tmp_path / "out")
        assert names(tmp_path / "out") == [".EMSR1_AOI1.part"]
        found = map_file(scene, tmp_path / "out", model=weights, tile=64)
        assert len(computed) == 4
        assert np.array_equal(read(found.water), expected, equal_nan=True)
        assert ".EMSR1_AOI1.part" not in names(tmp_path / "out")

    def test_other_settings_restart(self, weights: str, scene: Path, tmp_path: Path, computed: list[object]) -> None:
        self.interrupt(KeyboardInterrupt, weights, scene, tmp_path / "out")
        found = map_file(scene, tmp_path / "out", model=weights, tile=64, threshold=0.0)
        assert len(computed) == 6
        assert LAND not in read(found.class_map)

    def test_finished_scenes_are_not_computed_again(
        self, weights: str, scene: Path, tmp_path: Path, computed: list[object]
    ) -> None:
        for _ in range(2):
            map_file(scene, tmp_path / "out", model=weights)
        assert len(computed) == 1
        scene.touch()
        map_file(scene, tmp_path / "out", model=weights)
        assert len(computed) == 2

    def test_an_error_leaves_nothing_behind(
        self, weights: str, scene: Path, tmp_path: Path, computed: list[object]
    ) -> None:
        self.interrupt(SceneError, weights, scene, tmp_path / "out")
        assert names(tmp_path / "out") == []


def test_a_scene_is_mapped_as_was_told_decided_once(
    weights: str, tiny_scene: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes, asked = [tiny_scene(f"EMSR{i}_AOI1.tif", image=tiny_image(40, i)) for i in (1, 2)], []
    decide = opening.decide
    monkeypatch.setattr(opening, "decide", lambda path, *rest, **how: asked.append(path) or decide(path, *rest, **how))
    map_files(scenes, tmp_path / "out", model=weights)
    assert asked == scenes


def test_a_source_of_a_vrt_that_changed_makes_the_map_anew(weights: str, tiny_scene: Writer, tmp_path: Path) -> None:
    source = tiny_scene("source.tif")
    rasterio.shutil.copy(source, tmp_path / "a.vrt", driver="VRT")
    before = read(map_file(tmp_path / "a.vrt", tmp_path / "out", model=weights).water)
    tiny_scene("source.tif", image=tiny_image(seed=7))
    after = read(map_file(tmp_path / "a.vrt", tmp_path / "out", model=weights).water)
    assert not np.array_equal(before, after)


class TestAdapted:
    """A network that is adapted to each scene, in two passes over its windows."""

    @staticmethod
    def saved(folder: Path, **about: Any) -> str:
        """Water where MNDWI is above 0.4; cloud where B2 is above 0.42."""
        model = build_model("linear", made.FIVE, heads="cloud_water")
        with torch.no_grad():
            model.body.weight.zero_()
            model.body.weight[0, 0], model.body.bias[0] = 20, -30  # its feature is (√0.42 − 0.35) / 0.2 = 1.5
            model.body.weight[1, 6], model.body.bias[1] = 20, -8
        facts = {"threshold": 0.5, "cloud_threshold": 0.9, "data": "x", "adapts": True} | about
        return str(save_model(model, folder / "adapts.safetensors", facts))

    @pytest.fixture
    def weights(self, tmp_path: Path) -> str:
        return self.saved(tmp_path)

    @pytest.fixture
    def hazy(self, tiny_scene: Writer) -> Path:
        """A lake whose MNDWI falls from 0.72 to 0.063 / 0.203 = 0.31 at its lower end; no data in the last window.

        Its wide shore is of mixed pixels, of which nothing is sure.
        """
        image = gaussian_filter(made.truth(made.FIVE, 160), (0, 4, 4)) + 0.1 * np.linspace(0, 1, 160)[:, None]
        image[:, 110:, 110:] = 0
        return tiny_scene("A.tif", image=np.round(image * 1e4).astype(np.uint16), names=made.FIVE)

    def test_tiles_change_nothing(self, weights: str, hazy: Path, tmp_path: Path) -> None:
        one, *others = (map_file(hazy, tmp_path / str(tile), model=weights, tile=tile) for tile in (160, 64, 96))
        assert set(np.unique(read(one.class_map))) == {INVALID, LAND, WATER}
        for other in others:
            assert np.array_equal(read(one.class_map), read(other.class_map))
            assert np.allclose(read(one.water), read(other.water), atol=1e-5, equal_nan=True)

    def test_it_is_the_average_in_memory(self, weights: str, hazy: Path, tmp_path: Path) -> None:
        model = predict.load_model(weights)[0]
        image = read_scene(hazy, made.FIVE).reflectance()
        water = water_given_seen(predict_scene(model, image))
        found = map_file(hazy, tmp_path / "out", model=weights, tile=64)
        expected = adapt(model, image, water, np.ones(water.shape, bool))
        assert np.nanmax(np.abs(read(found.water)[0] - expected)) < 0.02  # reflectance was kept in 16 bits
        assert np.array_equal(np.isnan(expected), read(found.class_map)[0] == INVALID)
        assert np.array_equal(read(found.class_map)[0] == WATER, read(found.water)[0] >= 0.5)

    def test_tags_say_so_and_it_is_left_out_on_request(self, weights: str, hazy: Path, tmp_path: Path) -> None:
        model = predict.load_model(weights)[0]
        plain = water_given_seen(predict_scene(model, read_scene(hazy, made.FIVE).reflectance()))
        own = map_file(hazy, tmp_path / "own", model=weights, adapt=False)
        adapted = map_file(hazy, tmp_path / "adapted", model=weights)
        assert np.allclose(read(own.water)[0], plain, atol=1e-6, equal_nan=True)
        truth = np.where(np.isnan(plain), INVALID, np.where(made.water(160), WATER, LAND))
        before, after = ((read(files.class_map)[0] != truth).sum() for files in (own, adapted))
        assert after < 0.5 * before
        assert tags(own.class_map)["ADAPTED"] == "no"
        for path in (adapted.class_map, adapted.water):
            assert tags(path)["ADAPTED"].startswith("quadratic discriminant from ")
        found = map_file(hazy, tmp_path / "own", model=weights)  # another result, so it is made anew
        assert np.array_equal(read(found.water), read(adapted.water), equal_nan=True)

    def test_a_network_not_made_for_it_is_left_alone(self, hazy: Path, tmp_path: Path) -> None:
        weights = self.saved(tmp_path, adapts=False)
        assert tags(map_file(hazy, tmp_path / "out", model=weights).water)["ADAPTED"] == "no"

    def test_a_scene_without_water_is_mapped_by_the_network_alone(
        self, weights: str, tiny_scene: Writer, tmp_path: Path
    ) -> None:
        image = np.tile(np.round(made.truth(made.FIVE)[:, -12:] * 1e4).astype(np.uint16), (1, 6, 1))
        path = tiny_scene("dry.tif", image=image, names=made.FIVE)
        one, two = (map_file(path, tmp_path / str(a), model=weights, adapt=a, tile=64) for a in (True, False))
        assert tags(one.class_map)["ADAPTED"].startswith("no: too few sure pixels, from 0 pixels of water and 3")
        assert np.array_equal(read(one.water), read(two.water))
        assert np.array_equal(read(one.class_map), read(two.class_map))

    @pytest.mark.parametrize("stage", ["write_cogs", "keep_window"])
    def test_a_run_that_was_killed_between_its_passes_resumes(
        self, stage: str, weights: str, hazy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The second pass is over, or has done two windows of nine."""
        expected = map_file(hazy, tmp_path / "whole", model=weights, tile=64)
        original, calls = getattr(predict, stage), []

        def killed(*arguments: Any) -> None:
            calls.append(arguments)
            if len(calls) == (1 if stage == "write_cogs" else 12):
                raise KeyboardInterrupt
            original(*arguments)

        monkeypatch.setattr(predict, stage, killed)
        with pytest.raises(KeyboardInterrupt):
            map_file(hazy, tmp_path / "out", model=weights, tile=64)
        assert names(tmp_path / "out") == [".A.part"]
        found = map_file(hazy, tmp_path / "out", model=weights, tile=64)
        assert np.array_equal(read(found.water), read(expected.water), equal_nan=True)
        assert np.array_equal(read(found.class_map), read(expected.class_map))
        assert tags(found.water)["ADAPTED"] == tags(expected.water)["ADAPTED"]

    def test_cloud_is_neither_learnt_from_nor_changed(self, weights: str, tiny_scene: Writer, tmp_path: Path) -> None:
        image = made.truth(made.FIVE, 96)
        image[:, 60:, :] = np.reshape([0.6, 0.6, 0.6, 0.6, 0.1], (5, 1, 1))  # ice, of the MNDWI of water
        path = tiny_scene("cloudy.tif", image=np.round(image * 1e4).astype(np.uint16), names=made.FIVE)
        adapted, own = (map_file(path, tmp_path / str(a), model=weights, adapt=a, tile=64) for a in (True, False))
        assert (read(adapted.class_map)[0, 60:] == CLOUD).all()
        assert np.array_equal(read(adapted.water)[0, 60:], read(own.water)[0, 60:])
        assert not np.array_equal(read(adapted.water)[0, :60], read(own.water)[0, :60])
        sampled = tags(adapted.water)["ADAPTED"]
        assert f"from {int((read(own.water)[0, :60] > 0.9).sum())} pixels of water" in sampled

    def test_the_unusual_is_reported_and_the_usual_is_not(self, tiny_scene: Writer, tmp_path: Path) -> None:
        model = build_model("index", made.FIVE)
        shown = [made.truth(made.FIVE, seed=seed) * np.exp(0.02 * (seed % 5)) for seed in range(100)]
        every = np.ones(shown[0].shape[1:], bool)
        described = [describe(draw_pixels(model, np.float32(image), every).features) for image in shown]
        usual = Usual.of({"toa": described})
        weights = self.saved(tmp_path, usual={"kinds": usual.kinds, "distances": usual.distances})
        told: list[str] = []
        for name, haze in (("usual.tif", 0.0), ("hazy.tif", 0.3)):
            image = np.round((made.truth(made.FIVE, seed=200) * 1.04 + haze) * 1e4).astype(np.uint16)
            path = tiny_scene(name, image=image, names=made.FIVE)
            found = map_file(path, tmp_path / "out", model=weights, report=told.append)
            assert ("UNLIKE_TRAINING" in tags(found.class_map)) == bool(haze)
            assert ("UNLIKE_TRAINING" in tags(found.water)) == bool(haze)
            assert (float(tags(found.water)["NEARER_SIMULATED"]) >= 0.99) == bool(haze)
        assert ["reflectance = " in line for line in told] == [True, True, False]
        assert told[2].startswith(f"{path}: its spectra lie farther")
        assert tags(found.class_map)["UNLIKE_TRAINING"] in told[2]
        map_file(path, tmp_path / "out", model=weights, report=told.append)  # kept from before, told again
        assert told[4:] == told[2:3]


def test_the_index_maps_by_its_rule(tiny_scene: Writer, tmp_path: Path) -> None:
    model = build_model("index", made.FIVE)
    weights = str(save_model(model, tmp_path / "rule.safetensors", {"threshold": 0.5}))
    path = tiny_scene(image=tiny_image(100))
    found = map_file(path, tmp_path / "out", model=weights, tile=64)
    image = read_scene(path, made.FIVE).reflectance()
    ndwi, mndwi = (water_index(name, image, made.FIVE) for name in ("ndwi", "mndwi"))
    assert np.array_equal(read(found.class_map)[0], np.where((mndwi >= 0) & (ndwi >= -0.1), WATER, LAND))
    assert tags(found.class_map)["ADAPTED"] == "no"


class TestInspect:
    def test_says_what_was_decided_and_counts_refusals(
        self, tiny_scene: Writer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        good, bad = tiny_scene(), tiny_scene("BAD_1.tif", image=tiny_image() + 1000, tags=None)
        assert cli.main(["inspect", str(good)]) == 0
        table = capsys.readouterr().out
        assert all(word in table for word in (str(good), "named in the file", "× 0.0001", "100.0% with data"))
        assert cli.main(["inspect", str(good), str(bad)]) == 2
        captured = capsys.readouterr()
        assert "refused" in captured.out
        assert captured.err == "1 of 2 scenes can't be used as they are\n"
        assert cli.main(["inspect", str(bad), "--offset", "-1000"]) == 0


class TestCommand:
    def run(self, *arguments: object) -> int:
        return cli.main(["predict", *map(str, arguments)])

    def refuses(self, capsys: pytest.CaptureFixture[str], match: str, *arguments: object) -> None:
        assert self.run(*arguments) == 2
        message = capsys.readouterr().err.splitlines()
        assert match in message[-1]
        assert all("reflectance = " in line for line in message[:-1])  # how the scenes before it are read

    def test_maps_several_and_says_where(
        self, weights: str, tiny_scene: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        scenes = [tiny_scene(f"EMSR{i}_AOI1.tif", image=tiny_image(40, i)) for i in (1, 2)]
        assert self.run(*scenes, "--out", tmp_path / "out", "--model", weights) == 0
        captured = capsys.readouterr()
        told = captured.err.splitlines()  # no progress bar where nobody watches
        assert [line.split(": ")[0] for line in told] == list(map(str, scenes))
        assert captured.out.split() == [
            str(tmp_path / "out" / f"EMSR{i}_AOI1_{kind}.tif") for i in (1, 2) for kind in ("class", "water")
        ]

    def test_shows_progress_to_who_watches(
        self, weights: str, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Terminal(io.StringIO):
            def isatty(self) -> bool:
                return True

        terminal = Terminal()
        monkeypatch.setattr("sys.stderr", terminal)
        assert self.run(scene, "--out", tmp_path / "out", "--model", weights) == 0
        assert "EMSR1_AOI1.tif: 100%" in terminal.getvalue()

    def test_one_bad_scene_stops_all_before_the_first(
        self, weights: str, scene: Path, tiny_scene: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bad = tiny_scene("BAD_1.tif", image=tiny_image() + 1000, tags=None)
        self.refuses(capsys, "--offset", scene, bad, "--out", tmp_path / "out", "--model", weights)
        assert not (tmp_path / "out").exists()

    def test_bands_and_offset_are_passed_on(self, weights: str, tiny_scene: Writer, tmp_path: Path) -> None:
        image = tiny_image()[[BANDS.index(b) for b in ("B8", "B4", "B3", "B2")]] + 1000
        path = tiny_scene("EMSR1_AOI1.tif", image=image, names=None, tags=None)
        plain = tiny_scene("EMSR2_AOI1.tif")
        same = self.run(path, "--bands", "B8,B4,B3,B2", "--offset", -1000, "--out", tmp_path / "o", "--model", weights)
        assert same == self.run(plain, "--out", tmp_path / "o", "--model", weights) == 0
        one, two = (read(tmp_path / "o" / f"EMSR{i}_AOI1_water.tif") for i in (1, 2))
        assert np.allclose(one, two, atol=1e-5)

    def test_wrong_settings(
        self, weights: str, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = ("--out", tmp_path / "out")
        self.refuses(capsys, "vit", scene, *out, "--model", "vit")
        self.refuses(capsys, "abacus", scene, *out, "--model", weights, "--engine", "abacus")
        self.refuses(capsys, "dropout", scene, *out, "--model", weights, "--uncertainty", 5)
        self.refuses(capsys, "EMSR1_AOI1", scene, scene, *out, "--model", weights)
        self.refuses(capsys, "none.tif", tmp_path / "none.tif", *out, "--model", weights)
        (tmp_path / "file").write_text("")
        self.refuses(capsys, "file", scene, "--out", tmp_path / "file", "--model", weights)
        assert not (tmp_path / "out").exists()

    def test_engine_is_chosen_by_a_trial_once_for_the_scene(
        self, weights: str, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tried: list[tuple[int, ...]] = []

        def trial(model, window, halo):  # type: ignore[no-untyped-def]
            tried.append(window.shape)
            return ["torch-bf16"]

        monkeypatch.setattr(predict, "try_engines", trial)
        monkeypatch.setattr(predict, "choose_engine", lambda names: names[0])
        assert self.run(scene, "--out", tmp_path / "out", "--model", weights, "--engine", "auto") == 0
        assert len(tried) == 1
        with rasterio.open(tmp_path / "out" / "EMSR1_AOI1_water.tif") as source:
            assert source.tags()["ENGINE"] == "torch-bf16"


def test_weights_without_what_the_map_needs(tmp_path: Path, scene: Path) -> None:
    bare = save_model(build_model("linear", "bgri"), tmp_path / "bare.safetensors")
    with pytest.raises(ModelError, match="threshold"):
        map_files([scene], tmp_path / "out", model=str(bare))
    heads = save_model(
        build_model("linear", "bgri", heads="cloud_water"), tmp_path / "h.safetensors", {"threshold": 0.5}
    )
    with pytest.raises(ModelError, match="cloud"):
        map_files([scene], tmp_path / "out", model=str(heads))
    infrared = build_model("linear", ["B3", "B8", "B11"], heads="cloud_water")
    rule = save_model(infrared, tmp_path / "i.safetensors", {"threshold": 0.5, "cloud_threshold": 0.5})
    with pytest.raises(ModelError, match="B2, B3 and B4"):
        map_files([scene], tmp_path / "out", model=str(rule))
    assert not (tmp_path / "out").exists()
