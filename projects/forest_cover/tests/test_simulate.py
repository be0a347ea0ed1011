"""Simulated rows look like real ones, and ask for the same kind of model."""

import os
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from forest_cover.columns import COUNTS, FEATURES, QUANTITIES, SOIL, TARGET, WILDERNESS
from forest_cover.config import Data
from forest_cover.prepare import allot, apply_scaling, fit_scaling, split
from forest_cover.schema import find_violations
from forest_cover.simulate import ALLUVIUM, COVERS, SOIL_ROWS, SOLAR_HOURS, ZONES, hillshade, simulate
from forest_cover.sources import load_rows

ROWS = simulate(20000, seed=0)
MEASURED = [q.name for q in QUANTITIES]
needs_real_rows = pytest.mark.skipif(
    "ML4OPS_DATA" not in os.environ, reason="the real rows lie in the folder that ML4OPS_DATA names"
)


@pytest.fixture(scope="module")
def real():
    return load_rows(Data(source="kaggle"))[0]


@given(st.integers(700, 3000), st.integers(0, 10**6))
@settings(max_examples=8, deadline=None)
def test_rows_keep_to_the_schema_whatever_the_seed(rows, seed):
    frame = simulate(rows, seed)
    assert find_violations(frame) == []
    assert list(frame) == [*FEATURES, TARGET]
    assert frame[TARGET].value_counts().sort_index().tolist() == allot(COUNTS, rows)


def test_commonest_class_has_103_times_the_rows_of_the_rarest():
    counts = ROWS[TARGET].value_counts()
    assert counts.max() / counts.min() == pytest.approx(283301 / 2747, rel=0.02)


def test_same_seed_same_rows_other_seed_other_rows():
    pd.testing.assert_frame_equal(simulate(1000, 3), simulate(1000, 3))
    assert not simulate(1000, 3).equals(simulate(1000, 4))


def test_rows_are_in_no_order():
    halves = (half[TARGET].value_counts(normalize=True)[2] for half in (ROWS[:10000], ROWS[10000:]))
    assert abs(np.subtract(*halves)) < 0.03


def test_published_counts_of_soils_are_whole():
    assert sum(SOIL_ROWS) == sum(COUNTS) == 581012
    assert [last + 1 for _, last in ZONES.values()][:-1] == [first for first, _ in ZONES.values()][1:]
    assert all(sum(c.wilderness) == pytest.approx(1) and sum(c.zones) == pytest.approx(1) for c in COVERS)


@pytest.mark.parametrize(
    ("name", "mean", "deviation"),
    # The published summary of all 581 012 rows.
    [
        ("Elevation", 2959.36, 279.98),
        ("Slope", 14.10, 7.49),
        ("Horizontal_Distance_To_Hydrology", 269.43, 212.55),
        ("Vertical_Distance_To_Hydrology", 46.42, 58.30),
        ("Horizontal_Distance_To_Roadways", 2350.15, 1559.25),
        ("Hillshade_9am", 212.15, 26.77),
        ("Hillshade_Noon", 223.32, 19.77),
        ("Hillshade_3pm", 142.53, 38.27),
        ("Horizontal_Distance_To_Fire_Points", 1980.29, 1324.19),
    ],
)
def test_means_and_deviations_of_columns_are_the_published_ones(name, mean, deviation):
    # A sixth of a deviation: which stands are drawn moves a mean by up to a tenth of one.
    assert ROWS[name].mean() == pytest.approx(mean, abs=deviation / 6)
    assert ROWS[name].std() == pytest.approx(deviation, rel=0.15)


def test_classes_follow_each_other_in_height():
    height = ROWS.groupby(TARGET)["Elevation"].mean()
    assert all(height[a] < height[b] for a, b in pairwise((4, 3, 5, 2, 1, 7)))


def test_distances_are_skewed():
    for name in ("Hydrology", "Roadways", "Fire_Points"):
        values = ROWS[f"Horizontal_Distance_To_{name}"]
        assert values.median() < 0.95 * values.mean()


def test_areas_have_the_species_that_the_description_names():
    common = {area: ROWS.loc[ROWS[area] == 1, TARGET].value_counts().index for area in WILDERNESS}
    assert common["Wilderness_Area1"][0] == 2
    assert common["Wilderness_Area2"][0] == 1
    assert common["Wilderness_Area3"][0] == 2
    assert set(common["Wilderness_Area4"][:3]) >= {3, 6}
    assert set(ROWS.loc[ROWS[TARGET] == 4, WILDERNESS[3]]) == {1}


def test_river_deposits_lie_under_cottonwood():
    rows = pd.concat(simulate(20000, seed) for seed in range(4))  # one seed has 16 stands of it
    alluvium = rows[[SOIL[i - 1] for i in ALLUVIUM]].sum(axis=1).groupby(rows[TARGET]).mean()
    assert alluvium.idxmax() == 4


def test_flat_ground_and_a_slope_at_noon_by_hand():
    # At noon of the solstice the sun stands 90 - (40.6 - 23.44) = 72.84 degrees high in the south.
    slope, aspect = np.array([0.0, 17.16, 17.16]), np.array([0.0, 180.0, 0.0])
    expected = 255 * np.sin(np.radians([72.84, 90, 72.84 - 17.16]))
    np.testing.assert_allclose(hillshade(slope, aspect, 12), expected)


@given(st.floats(0, 90), st.floats(0, 360), st.floats(6, 18))
@settings(max_examples=50, deadline=None)
def test_hillshade_keeps_to_its_range_and_mirrors_at_noon(slope, aspect, hour):
    here = hillshade(np.array([slope]), np.array([aspect]), hour)
    assert 0 <= here[0] <= 255
    np.testing.assert_allclose(here, hillshade(np.array([slope]), np.array([360 - aspect]), 24 - hour), atol=1e-6)


@needs_real_rows
@pytest.mark.parametrize("name", SOLAR_HOURS)
def test_hillshade_of_real_rows_is_what_we_compute(name, real):
    ours = hillshade(real["Slope"].to_numpy(float), real["Aspect"].to_numpy(float), SOLAR_HOURS[name])
    at_the_name = hillshade(real["Slope"].to_numpy(float), real["Aspect"].to_numpy(float), SOLAR_HOURS[name] - 1)
    assert np.abs(ours - real[name]).mean() < 3  # rounding of slope, aspect and sun
    assert np.abs(at_the_name - real[name]).mean() > 10  # without the hour that SOLAR_HOURS adds


@needs_real_rows
@pytest.mark.parametrize("name", MEASURED)
def test_each_class_has_the_mean_of_real_rows(name, real):
    # In deviations of the class. 0.6 of one: a class has as few as 16 stands, so a mean moves by a quarter of one and
    # more with the seed, and slopes and aspects, which brightness follows from, are drawn without regard to each other.
    ours, theirs = ROWS.groupby(TARGET)[name].mean(), real.groupby(TARGET)[name].agg(["mean", "std"])
    difference = (ours - theirs["mean"]) / theirs["std"]
    assert difference.abs().max() < (0.25 if name == "Elevation" else 0.6)


@needs_real_rows
def test_each_class_has_the_areas_and_soil_zones_of_real_rows(real):
    # Shares within 0.15: with 16 stands one stand is a share of 0.06.
    columns = {name: [name] for name in WILDERNESS}
    columns |= {zone: list(SOIL[first - 1 : last]) for zone, (first, last) in ZONES.items()}
    for names in columns.values():
        ours, theirs = (frame[names].sum(axis=1).groupby(frame[TARGET]).mean() for frame in (ROWS, real))
        assert (ours - theirs).abs().max() < 0.15


@needs_real_rows
def test_strong_correlations_are_those_of_real_rows(real):
    # Only what follows from the lie of the land; roads and fires are drawn for each stand alone.
    names = ["Aspect", "Slope", "Hillshade_9am", "Hillshade_Noon", "Hillshade_3pm"]
    assert (ROWS[names].corr() - real[names].corr()).abs().to_numpy().max() < 0.25
    both = ["Horizontal_Distance_To_Hydrology", "Vertical_Distance_To_Hydrology"]
    assert ROWS[both].corr().iloc[0, 1] == pytest.approx(real[both].corr().iloc[0, 1], abs=0.2)


def test_boosting_beats_a_linear_model_and_neither_is_perfect():
    parts = split(ROWS, 0.15, 0.15, seed=0)
    scaling = fit_scaling(parts["train"])
    train, val = (apply_scaling(parts[name], scaling) for name in ("train", "val"))
    models = {
        "linear": LogisticRegression(max_iter=300),
        "boosting": HistGradientBoostingClassifier(max_iter=60, random_state=0),
    }
    score = {}
    for name, model in models.items():
        model.fit(train[list(FEATURES)], train[TARGET])
        score[name] = f1_score(val[TARGET], model.predict(val[list(FEATURES)]), average="macro")
    assert 0.45 < score["linear"] < 0.72
    assert 0.65 < score["boosting"] < 0.9
    assert score["boosting"] > score["linear"] + 0.08
