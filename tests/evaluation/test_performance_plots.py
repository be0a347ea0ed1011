"""Figures of learning, curves, errors and events say what they are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from ml4ops_helpers.datasets.catalogues import catalogue
from ml4ops_helpers.evaluation import performance_plots as pp
from ml4ops_helpers.evaluation.curves import ScoreHistogram
from ml4ops_helpers.evaluation.metrics import Confusion, error_map
from ml4ops_helpers.evaluation.scoring import map_scenes
from ml4ops_helpers.plots import thin_out
from ml4ops_helpers.scenes.scene import Scene


def texts(fig: Figure) -> str:
    fig.draw_without_rendering()
    return " | ".join(t.get_text() for t in fig.findobj(lambda a: hasattr(a, "get_text")))


def points(fig: Figure) -> list[list[tuple[float, float]]]:
    return [list(zip(*line.get_data(), strict=True)) for ax in fig.axes for line in ax.lines]


def histogram() -> ScoreHistogram:
    found = ScoreHistogram()
    found.update([True, True, False, False], np.array([0.75, 0.25, 0.5, 0.25], np.float32))
    return found


def test_learning_curves_mark_the_best_epoch() -> None:
    table = pd.DataFrame({"loss": [0.6, 0.4, 0.3], "val_iou": [0.5, 0.7, 0.6]}, pd.RangeIndex(1, 4))
    fig = pp.learning_curves({"unet": table})
    assert [(2, 0.7)] in points(fig)
    assert "unet" in texts(fig)


def test_confusion_figure_has_truth_in_rows_and_shares_of_the_row() -> None:
    confusion = Confusion()
    confusion.matrix = np.array([[3, 1, 0], [0, 1234, 0], [0, 0, 0]])
    fig = pp.confusion_figure(confusion)
    assert (fig.axes[0].get_ylabel(), fig.axes[0].get_xlabel()) == ("truth", "prediction")
    written = {(t.get_position(), t.get_text()) for t in fig.axes[0].texts}
    assert ((1, 0), "25.0 %\n1") in written  # column 1, row 0: land called water
    assert ((1, 1), "100.0 %\n1,234") in written


def test_skill_curves_have_marks_and_the_line_of_no_skill() -> None:
    fig = pp.skill_curves({"a": histogram()}, {"a": 0.5})
    left, right = fig.axes[:2]
    assert [0.5, 0.5] in [list(line.get_ydata()) for line in left.lines]  # half of the pixels are water
    assert [(0.5, 0.5)] in points(fig)  # at 0.5: recall 1/2, precision 1/2, false positive rate 1/2
    assert right.lines[0].get_xydata().tolist() == [[0, 0], [0, 0.5], [0.5, 0.5], [1, 1]]
    assert "no skill" in texts(fig)


def test_thinned_curve_keeps_its_ends() -> None:
    curve = pd.DataFrame({"x": range(1000)})
    thin = thin_out(curve, 10)
    assert len(thin) == 10
    assert (thin["x"].iloc[0], thin["x"].iloc[-1]) == (0, 999)
    assert len(thin_out(curve.head(3), 10)) == 3


def test_every_error_has_its_own_colour() -> None:
    errors = error_map([True, True, False, False, True], [True, False, True, False, True], [True] * 4 + [False])
    picture = pp.error_picture(errors[None])
    assert len({tuple(pixel) for pixel in picture[0].tolist()}) == 5
    assert picture[0, 4].tolist() == [1, 1, 1]


def test_error_gallery_shows_each_scene_by_name(tiny_dataset: Path) -> None:
    def score(scene: Scene) -> np.ndarray:
        return np.full(scene.shape, 0.5, np.float32)

    maps = list(map_scenes(score, catalogue(tiny_dataset).tail(2)))
    fig = pp.error_gallery(maps, 0.4)
    assert len(fig.axes) == 3 * 2 + 1  # and the colour bar
    for name in ("DELTA_1", "EPSILON_1", "missed water", "false alarm"):
        assert name in texts(fig)


def test_event_dots_end_with_the_mean_of_the_defined() -> None:
    fig = pp.event_dots(pd.DataFrame({"unet": [0.5, 0.7, np.nan]}, index=["A", "B", "C"]))
    assert points(fig)[0][-1] == (pytest.approx(0.6), 3)
    assert "mean of events" in texts(fig)


def test_interval_bars_reach_from_low_to_high_and_gains_have_lines_to_pass() -> None:
    table = pd.DataFrame({"estimate": [0.5], "low": [0.4], "high": [0.8]}, index=["unet"])
    gains = pd.DataFrame({"estimate": [0.1], "low": [-0.1], "high": [0.2]}, index=["unet minus index"])
    fig = pp.interval_bars(table, gains, 0.15, "water IoU")
    above, below = (ax.collections[0].get_segments()[0][:, 0] for ax in fig.axes)
    assert np.allclose(above, [0.4, 0.8])
    assert np.allclose(below, [-0.1, 0.2])
    assert [list(line.get_xdata()) for line in fig.axes[1].lines[-2:]] == [[0, 0], [0.15, 0.15]]
    assert [ax.get_xlabel() for ax in fig.axes] == ["water IoU", "gain in water IoU"]
