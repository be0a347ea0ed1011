"""Evaluation of models on scenes: what is scored, what counts, thresholds, baselines, real chips."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml4ops_helpers.datasets import chips
from ml4ops_helpers.datasets.catalogues import catalogue, load_scene
from ml4ops_helpers.datasets.chips import real_chips
from ml4ops_helpers.evaluation import scoring as ev
from ml4ops_helpers.evaluation.curves import ScoreHistogram, otsu
from ml4ops_helpers.evaluation.events import per_event
from ml4ops_helpers.inference.tiling import predict_scene
from ml4ops_helpers.models.index import IndexModel
from ml4ops_helpers.models.networks import build_model
from ml4ops_helpers.scenes.scene import Scene, read_scene
from ml4ops_helpers.scenes.sentinel2 import CLOUD, INVALID, LAND, WATER, merge_label, water_index


@pytest.fixture
def table(tiny_dataset: Path) -> pd.DataFrame:
    return catalogue(tiny_dataset)


def histogram(truth: list[bool], score: list[float]) -> ScoreHistogram:
    found = ScoreHistogram()
    found.update(truth, np.array(score, np.float32))
    return found


def half(scene: Scene) -> np.ndarray:
    """Water on the left half, with a score of ¾ against ¼; no score in the first row."""
    score = np.full(scene.shape, 0.25, np.float32)
    score[:, : scene.shape[1] // 2] = 0.75
    score[0] = np.nan
    return score


class TestScorers:
    def test_index_is_read_from_the_bands_it_needs(self, table: pd.DataFrame) -> None:
        scene, _ = load_scene(table.iloc[0])
        model = IndexModel("mndwi")
        expected = water_index("mndwi", scene.reflectance(), scene.bands) > 0
        assert np.array_equal(ev.water_scorer(model)(scene) > 0.5, expected)

    def test_network_sees_its_own_bands(self, table: pd.DataFrame) -> None:
        scene, _ = load_scene(table.iloc[0])
        model = build_model("linear", ["B11", "B3"])
        assert ev.model_input(model, scene).tolist() == scene.reflectance()[[11, 2]].tolist()

    def test_network_score_is_given_that_the_ground_is_seen(self, table: pd.DataFrame) -> None:
        scene, _ = load_scene(table.iloc[0])
        model = build_model("cnn")
        land, water, _ = predict_scene(model, ev.model_input(model, scene))
        assert np.allclose(ev.water_scorer(model)(scene), water / (land + water), atol=1e-6)
        assert np.array_equal(ev.water_scorer(model, given_seen=False)(scene), water)

    def test_always_land_never_sees_water(self, tiny_scene: Callable[..., Path]) -> None:
        image = np.full((13, 8, 8), 500, np.uint16)
        image[10] = 10
        image[:, 0, 0] = 0
        score = ev.always_land(read_scene(tiny_scene(image=image)))
        assert np.isnan(score[0, 0])
        assert np.nansum(score) == 0

    def test_otsu_is_found_in_each_scene(self, table: pd.DataFrame) -> None:
        scorer = ev.otsu_scorer("ndwi")
        for _, row in table.head(2).iterrows():
            scene, _ = load_scene(row)
            value = water_index("ndwi", scene.reflectance(), scene.bands)
            score = scorer(scene)
            assert set(np.unique(score)) == {0.0, 1.0}
            assert (score == 1).mean() == pytest.approx((value >= otsu(value)).mean(), abs=0.01)

    def test_latency_is_the_best_of_the_repeats_per_megapixel(self, table: pd.DataFrame) -> None:
        scene, _ = load_scene(table.iloc[0])
        waits = iter([0.0, 0.2, 0.02, 0.2])

        def slow(scene: Scene) -> np.ndarray:
            time.sleep(next(waits))
            return half(scene)

        seconds = ev.seconds_per_megapixel(slow, scene, repeats=3)
        assert 0.02 <= seconds * scene.valid.size / 1e6 < 0.15


class TestScoreEvents:
    def test_every_counted_pixel_once_by_event(self, table: pd.DataFrame) -> None:
        found = ev.score_events(half, table[table["split"] == "train"])
        assert list(found) == ["ALPHA", "BETA", "GAMMA"]
        expected = 0
        for _, row in table[table["event"] == "ALPHA"].iterrows():
            _, label = load_scene(row)
            assert label is not None
            expected += int(np.isin(merge_label(label)[1:], (LAND, WATER)).sum())
        assert (found["ALPHA"].positives + found["ALPHA"].negatives).sum() == expected

    def test_clouds_count_as_not_water_when_asked(self, table: pd.DataFrame) -> None:
        without, with_clouds = (ev.score_events(half, table, clouds=clouds) for clouds in (False, True))
        _, label = load_scene(table[table["event"] == "EPSILON"].iloc[0])
        assert label is not None
        cloudy = int((merge_label(label)[1:] == CLOUD).sum())
        assert cloudy > 0
        assert (with_clouds["EPSILON"].negatives - without["EPSILON"].negatives).sum() == cloudy
        assert np.array_equal(with_clouds["EPSILON"].positives, without["EPSILON"].positives)

    def test_a_scene_without_label_is_refused_by_name(self, table: pd.DataFrame) -> None:
        with pytest.raises(ValueError, match=r"ALPHA_1\.tif: no label"):
            ev.score_events(half, table.assign(label=""))
        with pytest.raises(ValueError, match="no label"):
            ev.confuse(build_model("linear"), table.assign(label=""), 0.5)


class TestThreshold:
    def test_counts_table_is_one_row_an_event(self) -> None:
        found = {"A": histogram([True, False], [0.75, 0.5]), "B": histogram([True, True], [0.25, 0.75])}
        counts = ev.counts_table(found, 0.5)
        assert counts.to_dict("list") == {"event": ["A", "B"], "tp": [1, 1], "fp": [1, 0], "fn": [0, 1], "tn": [0, 0]}

    def test_each_event_has_the_same_weight(self) -> None:
        """A hundred pixels want a threshold above .6, two events of two pixels want one below .4."""
        large = histogram([True] * 50 + [False] * 50, [0.9] * 50 + [0.6] * 50)
        small = {name: histogram([True, False], [0.4, 0.1]) for name in "BC"}
        threshold, mean = ev.best_event_threshold({"A": large, **small})
        assert 0.1 < threshold <= 0.4
        assert mean == pytest.approx((0.5 + 1 + 1) / 3)

    def test_an_event_without_water_does_not_count(self) -> None:
        found = {"A": histogram([True, False], [0.4, 0.1]), "dry": histogram([False, False], [0.9, 0.95])}
        assert ev.best_event_threshold(found)[1] == 1
        threshold, mean = ev.best_event_threshold({"dry": found["dry"]})
        assert threshold == 0.5
        assert np.isnan(mean)


class TestMaps:
    def test_confusion_adds_up_to_the_labelled_pixels(self, table: pd.DataFrame) -> None:
        model, part = build_model("cnn"), table[table["split"] == "test"]
        confusion = ev.confuse(model, part, 0.5)
        scene, label = load_scene(part.iloc[0])
        assert label is not None
        truth = merge_label(label)
        codes = ev.classify(predict_scene(model, ev.model_input(model, scene)), 0.5)
        for row, true in enumerate((LAND, WATER, CLOUD)):
            for column, called in enumerate((LAND, WATER, CLOUD)):
                assert confusion.matrix[row, column] == ((truth == true) & (codes == called)).sum()

    def test_mapped_scene_knows_what_counts(self, table: pd.DataFrame) -> None:
        mapped = list(ev.map_scenes(half, table[table["split"] == "test"]))
        assert [m.name for m in mapped] == ["EPSILON_1"]
        only = mapped[0]
        assert only.event == "EPSILON"
        known = np.isin(only.truth, (LAND, WATER))
        known[0] = False
        assert np.array_equal(only.clear, known)
        assert np.argwhere(only.water(0.5)).tolist() == [[r, c] for r in range(1, 32) for c in range(16)]

    def test_permanent_water_is_read_or_none(self, table: pd.DataFrame) -> None:
        for part in (table.head(1), table.head(1).assign(permanent="")):
            only = next(ev.map_scenes(half, part))
            assert only.permanent.shape == only.truth.shape
            assert not only.permanent.any()


class TestRealChips:
    def test_coarse_chips_become_scenes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = tmp_path / "sen1floods11_40m"
        folder.mkdir()
        image = np.random.default_rng(0).uniform(0.01, 0.4, (6, 4, 4)).astype(np.float32)
        image[:, 0, 0] = 0
        np.savez(folder / "Nowhere_1.npz", image=image, label=np.ones((4, 4), np.int8))
        monkeypatch.setenv("ML4OPS_DATA", str(tmp_path))
        monkeypatch.setattr(chips, "load_chip", lambda chip: (None, np.ones((2, 1, 1), np.uint8)))
        scene, truth = real_chips()["Nowhere_1"]
        assert scene.bands == ("B2", "B3", "B4", "B8", "B10", "B11")
        assert np.allclose(scene.reflectance()[:, 1:], image[:, 1:], atol=5e-5)
        assert not scene.valid[0, 0]
        assert (truth == WATER).all()

    def test_published_indices_on_the_real_files(self, real_data: Path) -> None:
        """The scores of NDWI and MNDWI above zero, worked out independently of this code."""
        chips = real_chips()
        truth = chips["Spain_7370579"][1]
        assert [int((truth == code).sum()) for code in (INVALID, LAND, WATER)] == [99, 192_010, 70_035]
        expected = {"ndwi": (0.676, 0.650), "mndwi": (0.612, 0.669)}
        for index, (spain, mean) in expected.items():
            scorer = ev.water_scorer(IndexModel(index))
            found = {name: ev.score_scene(ScoreHistogram(), scorer, *chip) for name, chip in chips.items()}
            scores = per_event(ev.counts_table(found, 0.5))["iou"]
            assert scores["Spain_7370579"] == pytest.approx(spain, abs=1.1e-3)
            if len(chips) == 4:
                assert scores.mean() == pytest.approx(mean, abs=1e-3)
