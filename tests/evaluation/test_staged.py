"""The staged series, scored for models of which the answer is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from ml4ops_helpers.evaluation.staged import STAGES, score_stages, staged_scenes
from ml4ops_helpers.scenes.sentinel2 import CLOUD, INVALID, LAND, WATER, water_index

BANDS = ("B3", "B8", "B11")
SIZE = 64
SCENES = {"events": 2, "size": SIZE, "seed": 0}


def everywhere(code: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda image: np.full(image.shape[1:], code, np.uint8)


def scored(classify: Callable[[np.ndarray], np.ndarray], *series: str) -> pd.DataFrame:
    return score_stages(classify, staged_scenes(BANDS, series or tuple(STAGES), **SCENES), BANDS)


@pytest.fixture(scope="module")
def scenes() -> list[tuple]:
    return list(staged_scenes(BANDS, **SCENES))


def test_series_and_levels_come_in_their_order(scenes: list[tuple]) -> None:
    expected = [(name, level) for name, levels in STAGES.items() for level in levels]
    assert [scene[:2] for scene in scenes] == expected * 2
    assert [scene[2] for scene in scenes] == [0] * len(expected) + [1] * len(expected)
    assert scored(everywhere(LAND)).index.tolist() == expected


def test_the_truth_is_perfect_in_every_series(scenes: list[tuple]) -> None:
    truths = iter([np.where(water, WATER, LAND) for *_, water, _ in scenes])
    table = scored(lambda image: next(truths))
    assert (table["recall"] == 1).all()
    assert (table["iou"] == 1).all()
    assert (table["false_alarm"] == 0).all()
    assert not table[["cloud", "on_dark"]].fillna(0).to_numpy().any()


def test_water_everywhere_finds_all_and_is_false_everywhere() -> None:
    table = scored(everywhere(WATER), "cumulus", "snow")
    assert (table[["recall", "false_alarm"]] == 1).all(axis=None)
    assert (table["on_cloud"].loc["cumulus"].iloc[1:] == 1).all()
    assert table["on_cloud"].loc["snow"].isna().all()
    assert (table["on_snow"].loc["snow"].iloc[1:] == 1).all()
    assert np.isnan(table["on_snow"].loc[("snow", 0)])


def test_cloud_everywhere_hides_the_water() -> None:
    table = scored(everywhere(CLOUD), "cirrus")
    assert (table["cloud"] == 1).all()
    assert not table[["recall", "false_alarm", "iou"]].to_numpy().any()


def test_what_is_invalid_does_not_count() -> None:
    def half(image: np.ndarray) -> np.ndarray:
        codes = np.full(image.shape[1:], WATER, np.uint8)
        codes[SIZE // 2 :] = INVALID
        return codes

    table = scored(half, "gain")
    assert (table[["recall", "false_alarm"]] == 1).all(axis=None)


def test_an_index_calls_snow_water() -> None:
    def mndwi(image: np.ndarray) -> np.ndarray:
        return np.where(water_index("mndwi", image, BANDS) > 0, WATER, LAND)

    snow = scored(mndwi, "snow")
    assert snow["on_snow"].iloc[1:].min() > 0.95
    assert snow["false_alarm"].is_monotonic_increasing


def test_same_seed_same_table() -> None:
    def bright(image: np.ndarray) -> np.ndarray:
        return np.where(image[1] < 0.1, WATER, LAND)

    table = scored(bright, "glint", "shade")
    pd.testing.assert_frame_equal(table, scored(bright, "glint", "shade"))
    elsewhere = staged_scenes(BANDS, ("glint", "shade"), events=2, size=SIZE, seed=1)
    other = score_stages(bright, elsewhere, BANDS)
    assert not table.equals(other)


def test_only_the_named_thing_changes_within_a_series(scenes: list[tuple]) -> None:
    first = {(name, level): (image, water) for name, level, event, image, water, _ in scenes if event == 0}
    clear = first["gain", 1.0][0]
    for key in (("cirrus", 0), ("aerosol", 0.05), ("glint", 0), ("offset", 0), ("snow", 0), ("pixel", 10)):
        assert np.array_equal(first[key][0], clear), key
    assert np.allclose(first["offset", 0.02][0], clear + 0.02, atol=1e-6)
    # Four pixels of 10 m are one of 20 m.
    blocks = clear.reshape(3, SIZE // 2, 2, SIZE // 2, 2).mean(axis=(2, 4))
    assert np.allclose(first["pixel", 20][0], blocks, atol=1e-6)
    assert first["pixel", 60][1].shape == (SIZE // 6, SIZE // 6)
