"""Figures of flood maps say what they are given."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from affine import Affine
from matplotlib.figure import Figure

from ml4ops_helpers.mapping import map_plots as mp
from ml4ops_helpers.mapping.classmaps import ClassMap
from ml4ops_helpers.mapping.floodmaps import CHANGES, FLOOD
from ml4ops_helpers.mapping.series import flood_series
from ml4ops_helpers.scenes.grids import Grid


def on_grid(codes: object, day: date | None = None, crs: str = "EPSG:32630") -> ClassMap:
    array = np.array(codes, np.uint8)
    transform = Affine(10, 0, 500_000, 0, -10, 4_000_000) if crs == "EPSG:32630" else Affine(1e-4, 0, 0, 0, -1e-4, 60)
    return ClassMap(array, Grid(array.shape, crs, transform), "a", day)


def texts(fig: Figure) -> list[str]:
    fig.draw_without_rendering()
    return [t.get_text() for t in fig.findobj(lambda a: hasattr(a, "get_text"))]


def test_every_change_has_its_own_colour() -> None:
    picture = mp.change_picture(np.arange(6, dtype=np.uint8)[None])
    assert len({tuple(pixel) for pixel in picture[0].tolist()}) == len(CHANGES)


def test_change_figure_names_what_is_there_and_nothing_else() -> None:
    found = texts(mp.change_figure({"before and after": on_grid([[FLOOD, 0], [0, 0]])}, columns=1))
    assert {"before and after", "new flood", "not observed", "1 km"} <= set(found)
    assert "receded" not in found


@pytest.mark.parametrize(("crs", "pixels"), [("EPSG:32630", 100), ("EPSG:4326", 1000 / 7.89)])
def test_scale_bar_is_a_kilometre_on_the_ground(crs: str, pixels: float) -> None:
    """At 60° north a ten-thousandth of a degree is 5.58 by 11.14 m, as large as a square of 7.89 m."""
    fig = mp.change_figure({"": on_grid(np.ones((200, 200)), crs=crs)})
    bar = fig.axes[0].lines[0].get_xdata()
    assert bar[1] - bar[0] == pytest.approx(pixels, rel=2e-3)


def test_large_maps_are_thinned_but_keep_their_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mp, "MOST_PIXELS", 70)
    fig = mp.change_figure({"": on_grid(np.ones((200, 150)))})
    assert fig.axes[0].images[0].get_array().shape[:2] == (67, 50)
    bar = fig.axes[0].lines[0].get_xdata()
    assert bar[1] - bar[0] == pytest.approx(100, rel=2e-3)
    assert fig.axes[0].get_xlim() == (0, 150)


def test_series_figure_leaves_the_never_seen_blank() -> None:
    days = date(2024, 11, 1), date(2024, 11, 11)
    series = flood_series([on_grid([[1, 3, 1]], days[0]), on_grid([[2, 3, 1]], days[1])])
    fig = mp.series_figure(series)
    looks, first, waiting = (np.ma.filled(ax.images[0].get_array(), np.nan).tolist() for ax in fig.axes[:3])
    assert looks == [[2, 0, 2]]
    assert np.array_equal(first, [[10, np.nan, np.nan]], equal_nan=True)
    assert np.array_equal(waiting, [[10, np.nan, np.nan]], equal_nan=True)
    assert "days after 2024-11-01" in texts(fig)


def test_area_figure_shows_bounds_mapped_and_true() -> None:
    table = pd.DataFrame({"mapped": [2.0], "low": [1.0], "high": [4.0], "true": [3.0]}, index=["event"])
    fig = mp.flood_area_figure(table)
    segment = fig.axes[0].collections[0].get_segments()[0]
    assert segment[:, 0].tolist() == [1, 4]
    assert [line.get_xdata().tolist() for line in fig.axes[0].lines] == [[2], [3]]
    assert "true" in texts(fig)
