"""Figures of clouds say what they are given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from ml4ops_helpers.evaluation import cloud_plots as cp
from ml4ops_helpers.inference.decisions import Thresholds


def test_lines_keep_the_order_of_the_parts() -> None:
    table = pd.DataFrame({"a": [0.9, 0.5, np.nan], "b": [0.8, 0.7, 0.1]}, index=["none", "1 to 2", "over 2"])
    fig = cp.part_lines(table, "thickness")
    (ax,) = fig.axes
    assert [label.get_text() for label in ax.get_xticklabels()] == ["none", "1 to 2", "over 2"]
    assert np.array_equal(ax.lines[0].get_ydata(), table["a"], equal_nan=True)
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["a", "b"]
    assert ax.get_xlabel() == "thickness"


def test_every_bar_adds_up_to_all_of_the_water() -> None:
    table = pd.DataFrame({"found": [0.5, 0.25], "called land": [0.45, 0.25], "not observed": [0.05, 0.5]}, ["x", "y"])
    (ax,) = cp.fate_bars(table).axes
    bars = {container.get_label(): [bar.get_width() for bar in container] for container in ax.containers}
    assert bars["called land"] == pytest.approx([45, 25])
    assert np.allclose(np.sum(list(bars.values()), axis=0), 100)
    assert [text.get_text() for text in ax.texts] == ["50", "25", "45", "25", "", "50"]  # 5 % has no room for a number
    assert {to_hex(c.patches[0].get_facecolor()).upper() for c in ax.containers} == set(cp.FATES.values())


def test_the_plane_shades_what_the_rule_hides() -> None:
    pixels = np.array([1000, 5000], np.float32), np.array([0.2, 0.9], np.float32)
    fig = cp.decision_plane({"clear": pixels, "thick cloud": pixels}, Thresholds(0.5, 0.7))
    (ax,) = fig.axes
    (corner,) = ax.patches
    assert (corner.get_x(), corner.get_y()) == (3500, 0.7)
    assert corner.get_x() + corner.get_width() >= ax.get_xlim()[1]
    assert corner.get_y() + corner.get_height() >= ax.get_ylim()[1]
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["not observed", "clear", "thick cloud"]
