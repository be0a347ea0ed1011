"""Clouds: the rule that joins two heads, its thresholds, and scores by what hides the ground."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from tiny import GRID, tiny_label

from ml4ops_helpers.datasets.catalogues import catalogue, load_scene
from ml4ops_helpers.evaluation import scoring
from ml4ops_helpers.evaluation.cloud_scores import (
    CloudyScene,
    add_uniform_cloud,
    by_label,
    by_thickness,
    cloudy_scenes,
    count_parts,
)
from ml4ops_helpers.evaluation.metrics import iou
from ml4ops_helpers.evaluation.scoring import cloud_threshold, confuse
from ml4ops_helpers.inference import decisions as cl
from ml4ops_helpers.inference.decisions import classify, model_input
from ml4ops_helpers.inference.tiling import predict_scene
from ml4ops_helpers.models.networks import Network, build_model
from ml4ops_helpers.scenes.rasters import write_raster
from ml4ops_helpers.scenes.scene import Scene, read_scene
from ml4ops_helpers.scenes.sentinel2 import (
    BANDS,
    CLOUD,
    INVALID,
    LAND,
    THICK_CLOUD_BRIGHTNESS,
    WATER,
    brightness,
    join_probabilities,
)
from ml4ops_helpers.simulation.events import draw_event
from ml4ops_helpers.simulation.simulate import TRUTH_BANDS, write_scene
from ml4ops_helpers.simulation.spectra import add_cloud

EVEN = cl.Thresholds(0.5, 0.5)
share = st.floats(0, 1, width=32)


class TestRule:
    def test_by_hand(self) -> None:
        """Clear land, clear water, thin cloud over water, thick cloud, bright sand, dark "cloud", no data."""
        cloud = np.array([[0.1, 0.1, 0.9, 0.9, 0.1, 0.9, np.nan]], np.float32)
        water = np.array([[0.2, 0.8, 0.8, 0.8, 0.2, 0.2, np.nan]], np.float32)
        visible = np.array([[1500, 1500, 3400, 6000, 6000, THICK_CLOUD_BRIGHTNESS, np.nan]], np.float32)
        codes = cl.decide(join_probabilities(cloud, water), visible, EVEN)
        assert codes.dtype == np.uint8
        assert codes[0].tolist() == [LAND, WATER, WATER, CLOUD, LAND, LAND, INVALID]

    def test_three_classes_by_hand(self) -> None:
        """They hide the water under thin cloud, which the rule of two heads keeps."""
        p = [[0.6, 0.3, 0.1, 0.1, np.nan], [0.3, 0.3, 0.5, 0.2, np.nan], [0.1, 0.4, 0.4, 0.7, np.nan]]
        assert classify(np.array(p, np.float32)[:, None], 0.5).tolist() == [[LAND, WATER, WATER, CLOUD, INVALID]]
        assert classify(join_probabilities([[0.9]], [[0.8]]), 0.5).tolist() == [[CLOUD]]

    @given(cloud=share, water=share, visible=st.floats(0, 20_000, width=32), t_c=share, t_w=share)
    def test_cloud_needs_both_conditions(self, cloud: float, water: float, visible: float, t_c: float, t_w: float):
        p = join_probabilities([[cloud]], [[water]])
        (code,) = cl.decide(p, np.array([[visible]], np.float32), cl.Thresholds(t_w, t_c)).flatten()
        assert (code == CLOUD) == (p[2].item() >= t_c and visible > THICK_CLOUD_BRIGHTNESS)

    @given(cloud=st.floats(0, 0.875, width=32), water=share)
    def test_the_cloud_head_never_changes_the_ground_of_a_dark_pixel(self, cloud: float, water: float) -> None:
        dark = np.array([[2000.0]], np.float32)
        near = abs(water - 0.5) < 1e-3  # rounding decides there
        assert near or cl.decide(join_probabilities([[cloud]], [[water]]), dark, EVEN) == cl.decide(
            join_probabilities([[0.0]], [[water]]), dark, EVEN
        )

    def test_thresholds_travel_with_the_weights(self) -> None:
        assert cl.Thresholds.of({"threshold": 0.4, "cloud_threshold": 0.7, "data": ""}) == cl.Thresholds(0.4, 0.7)

    def test_trace_is_water_that_the_index_calls_dry(self) -> None:
        x = np.zeros((13, 1, 4), np.float32)
        x[BANDS.index("B3")] = [[0.1, 0.2, 0.1, np.nan]]
        x[BANDS.index("B11")] = [[0.2, 0.1, 0.2, np.nan]]
        codes = np.array([[WATER, WATER, LAND, WATER]], np.uint8)
        assert cl.flood_trace(codes, x).tolist() == [[True, False, False, False]]


@pytest.fixture
def scene(tiny_scene: Callable[..., Path]) -> Scene:
    image = np.full((13, 40, 40), 900, np.uint16)
    image[BANDS.index("B10")] = 20
    image[:, :, 20:] += 3000
    image[:, 0] = 0
    return read_scene(tiny_scene(image=image))


class TestMaps:
    def test_brightness_knows_nothing_of_the_offset(self, tiny_scene: Callable[..., Path]) -> None:
        image = np.full((13, 16, 16), 3000, np.uint16) + np.arange(13, dtype=np.uint16)[:, None, None]
        one = read_scene(tiny_scene("A.tif", image=image, tags={"RADIO_ADD_OFFSET": -1000}))
        two = read_scene(tiny_scene("B.tif", image=image - 1000))
        assert np.allclose(cl.scene_brightness(one), cl.scene_brightness(two))
        assert np.allclose(cl.scene_brightness(two), brightness(two.image.astype(np.float32)))

    def test_without_a_mask_there_is_no_cloud(self) -> None:
        cloud, water = np.array([[0.9, 0.9, 0.1, np.nan]]), np.array([[0.8, 0.2, 0.5, np.nan]])
        codes = cl.ground_map(join_probabilities(cloud, water), 0.5)
        assert codes.tolist() == [[WATER, LAND, WATER, INVALID]]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Four small simulated scenes of four events."""
    root = tmp_path_factory.mktemp("events")
    for number in range(4):
        write_scene(root, draw_event("test", number, 1, 0), 0, 128, 0)
    return catalogue(root)


class TestCloudThreshold:
    def answer(self, monkeypatch: pytest.MonkeyPatch, cloud: dict[str, np.ndarray]) -> None:
        def fake(model: Network, reflectance: np.ndarray) -> np.ndarray:
            return join_probabilities(cloud["now"], np.zeros_like(cloud["now"]))

        monkeypatch.setattr(scoring, "predict_scene", fake)
        monkeypatch.setattr(scoring, "model_input", lambda model, scene: cloud.update(now=cloud[scene.path.stem]))

    def test_found_where_the_hidden_ground_is(self, tiny_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Hidden ground scores .6, thin cloud .3: the threshold must lie between. Dark pixels never count as hidden."""
        part = catalogue(tiny_dataset).query("split == 'train'")
        scores = {}
        for number, (_, row) in enumerate(part.iterrows()):
            label = tiny_label(seed=number)
            hidden = (label[0] == 2) & (label[1] == 0)
            scores[Path(row["image"]).stem] = np.where(hidden, 0.6, np.where(label[0] == 2, 0.3, 0.1)).astype(
                np.float32
            )
        self.answer(monkeypatch, scores)
        monkeypatch.setattr(scoring, "scene_brightness", lambda scene: np.full(scene.shape, 5000, np.float32))
        assert 0.3 < cloud_threshold(build_model("linear"), part) <= 0.6

    def test_a_scene_without_label_is_named(self, tiny_dataset: Path) -> None:
        part = catalogue(tiny_dataset).head(1).assign(label="")
        with pytest.raises(ValueError, match=r"ALPHA_1.*label"):
            cloud_threshold(build_model("linear", heads="cloud_water"), part)


class TestParts:
    def test_by_label_and_by_thickness_cover_each_pixel_once(self, table: pd.DataFrame) -> None:
        for cloudy in cloudy_scenes(table):
            for parts in (by_label(cloudy), by_thickness(cloudy)):
                assert (sum(mask.astype(int) for mask in parts.values()) == 1).all()

    def test_the_truth_under_the_cloud_agrees_with_the_label_where_both_speak(self, table: pd.DataFrame) -> None:
        found = 0
        for cloudy in cloudy_scenes(table):
            known = cloudy.label[1] != INVALID
            assert np.array_equal(cloudy.ground[known], cloudy.label[1][known])
            assert (cloudy.ground[cloudy.label[0] != INVALID] != INVALID).all()
            found += int(((cloudy.label[0] == 2) & ~known).sum())
        assert found > 0

    def test_edges_belong_to_the_class_below(self) -> None:
        thickness = np.array([[0.0, 0.1, 0.25, 0.3, 5.0, 5.1]], np.float32)
        flat = np.ones((2, 1, 6), np.uint8)
        parts = by_thickness(CloudyScene("A", None, flat, flat[0], thickness))  # type: ignore[arg-type]
        found = {name: np.flatnonzero(mask).tolist() for name, mask in parts.items() if mask.any()}
        assert found == {"none": [0], "0 to 0.25": [1, 2], "0.25 to 0.5": [3], "3 to 5": [4], "over 5": [5]}

    def test_a_real_scene_has_no_truth_under_its_clouds(self, tiny_dataset: Path) -> None:
        with pytest.raises(ValueError, match=r"ALPHA_1.*truth"):
            next(cloudy_scenes(catalogue(tiny_dataset)))


def write_truth(table: pd.DataFrame, root: Path, ground: np.ndarray, thickness: np.ndarray) -> pd.DataFrame:
    """Give every scene of a catalogue the same truth."""
    truth = np.stack([ground, thickness, *np.zeros((3, *ground.shape))]).astype(np.float32)
    path = write_raster(root / "truth.tif", truth, names=TRUTH_BANDS, **GRID)
    return table.assign(truth=str(path))


class TestCounts:
    def test_hand_worked(self, tiny_dataset: Path, tmp_path: Path) -> None:
        """Left half water, right half land; the lower half under cloud. The map observes no outer column."""
        ground = np.full((32, 32), LAND)
        ground[:, :16] = WATER
        thickness = np.zeros((32, 32))
        thickness[16:] = 2
        part = write_truth(catalogue(tiny_dataset).query("event == 'BETA'"), tmp_path, ground, thickness)

        def mapper(scene: Scene) -> np.ndarray:
            codes = np.full(scene.shape, LAND, np.uint8)
            codes[:, 1:20] = WATER
            codes[:, [0, 31]] = CLOUD
            return codes

        counts = count_parts(lambda scene: {"map": mapper(scene)}, part).set_index("part")
        for name in ("none", "1.5 to 2"):
            row = counts.loc[name, ["tp", "fp", "fn", "tn", "unobserved"]]
            assert row.tolist() == [15 * 16, 4 * 16, 16, 12 * 16, 16]
        rest = counts.drop(index=["none", "1.5 to 2"])
        assert rest[["tp", "fp", "fn", "tn", "unobserved"]].to_numpy().sum() == 0
        assert np.isnan(iou(rest["tp"], rest["fp"], rest["fn"])).all()  # no cloud of that thickness: undefined

    def test_scenes_of_an_event_add_up_and_invalid_pixels_do_not_count(
        self, tiny_dataset: Path, tmp_path: Path
    ) -> None:
        ground = np.full((32, 32), WATER)
        ground[:8] = INVALID
        part = write_truth(catalogue(tiny_dataset).query("event == 'ALPHA'"), tmp_path, ground, np.zeros((32, 32)))

        def mapper(scene: Scene) -> np.ndarray:
            codes = np.full(scene.shape, WATER, np.uint8)
            codes[:, :4] = INVALID
            return codes

        counts = count_parts(lambda scene: {"map": mapper(scene)}, part)
        assert len(part) == 2
        assert counts["event"].unique().tolist() == ["ALPHA"]
        assert counts[["tp", "fp", "fn", "tn"]].sum().tolist() == [2 * 24 * 28, 0, 0, 0]


class TestUniformCloud:
    def test_is_the_simulator_s_cloud(self, tiny_scene: Callable[..., Path]) -> None:
        image = np.full((13, 16, 16), 2000, np.uint16) + np.arange(13, dtype=np.uint16)[:, None, None]
        scene = read_scene(tiny_scene(image=image, tags={"RADIO_ADD_OFFSET": -1000}))
        one = np.ones(scene.shape, np.float32)
        expected = add_cloud(scene.reflectance(), 1.5 * one, one)
        assert np.allclose(add_uniform_cloud(scene, 1.5).reflectance(), expected, atol=1e-4)

    def test_no_cloud_changes_nothing_and_no_data_stay_no_data(self, scene: Scene) -> None:
        assert np.array_equal(add_uniform_cloud(scene, 0.0).image, scene.image)
        cloudy = add_uniform_cloud(scene, 3.0, high=0.0)
        assert np.isnan(cloudy.reflectance()[:, 0]).all()
        assert np.array_equal(cloudy.valid, scene.valid)

    def test_missing_bands_are_refused(self, tiny_scene: Callable[..., Path]) -> None:
        with pytest.raises(ValueError, match="6 bands"):
            add_uniform_cloud(read_scene(tiny_scene(), "bgriswirs"), 1.0)


def test_the_rest_of_the_book_takes_two_heads(table: pd.DataFrame) -> None:
    """Evaluation reads joined probabilities, and does not care how many heads they come from."""
    model = build_model("cnn", "bgriswirs", heads="cloud_water")
    scene, _ = load_scene(table.iloc[0])
    p = predict_scene(model, model_input(model, scene))
    assert p.shape == (3, 128, 128)
    assert np.allclose(p.sum(axis=0)[scene.valid], 1, atol=1e-5)
    assert confuse(model, table, 0.5).matrix.sum() > 0
