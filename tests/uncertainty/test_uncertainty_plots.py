"""Figures of uncertainty say what they are given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from ml4ops_helpers.evaluation.curves import ScoreHistogram
from ml4ops_helpers.plots import CLASS_COLOURS
from ml4ops_helpers.uncertainty import uncertainty_plots as up
from ml4ops_helpers.uncertainty.calibration import reliability
from ml4ops_helpers.uncertainty.conformal import SetRule, coverage_table, prediction_sets
from ml4ops_helpers.uncertainty.selective import SelectiveHistogram


def line(fig: Figure, label: str, axes: int = 0) -> list[tuple[float, float]]:
    found = next(x for x in fig.axes[axes].lines if x.get_label() == label)
    return [(round(float(x), 3), round(float(y), 3)) for x, y in zip(*found.get_data(), strict=True)]


def histogram() -> ScoreHistogram:
    found = ScoreHistogram()
    found.update([True, False, True, True], np.array([0.25, 0.25, 0.75, 0.75], np.float32))
    return found


def test_reliability_leaves_empty_bins_out() -> None:
    fig = up.reliability_figure({"raw": reliability(histogram())})
    assert line(fig, "raw") == [(0.25, 0.5), (0.75, 1)]
    assert [int(y) for _, y in line(fig, "_child0", 1)] == [2, 2]
    assert fig.axes[1].get_yscale() == "log"


def test_risk_lies_between_chance_and_knowing() -> None:
    counts = SelectiveHistogram(limit=1)
    counts.update([True, False, True, False], [True, False, False, False], [0.1, 0.2, 0.5, 0.9])
    fig = up.risk_figure({"entropy": counts.rejection()})
    assert line(fig, "entropy")[0] == (100, 25)
    assert line(fig, "rejected at random")[0][1] == 25
    assert line(fig, "errors rejected first")[-1] == (100, 25)


def test_coverage_has_a_row_for_each_event_and_the_level() -> None:
    table = coverage_table({"A": histogram()}, SetRule("lac", 0.3, 0.5))
    fig = up.coverage_figure(table, 0.9)
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["A", "pooled"]
    assert line(fig, "asked for")[0][0] == 90
    assert line(fig, "water") == [(66.667, 0), (66.667, 1)]


def test_each_set_has_its_colour() -> None:
    sets = prediction_sets([[0.1, 0.5, 0.9, np.nan]], SetRule("lac", 0.6, 0.6))
    picture = up.set_picture(sets)
    assert picture[0, 0].tolist() == pytest.approx(to_rgb(CLASS_COLOURS["land"]))
    assert picture[0, 2].tolist() == pytest.approx(to_rgb(CLASS_COLOURS["water"]))
    assert picture[0, 3].tolist() == [0, 0, 0]
    assert len({tuple(p) for p in picture[0].tolist()}) == 4
    fig = up.sets_figure(np.zeros((1, 4, 3), np.float32), sets)
    assert {t.get_text() for t in fig.legends[0].texts} == {"land", "water", "land or water", "neither", "not counted"}


def test_areas_show_which_truth_is_missed() -> None:
    rows = {"estimate": [5.0, 5.0], "low": [4.0, 4.0], "high": [6.0, 6.0], "truth": [5.5, 7.0]}
    fig = up.expected_area_figure(pd.DataFrame(rows, ["a", "b"]))
    assert line(fig, "truth, held") == [(5.5, 0)]
    assert line(fig, "truth, missed") == [(7, 1)]
