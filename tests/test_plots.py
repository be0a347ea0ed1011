"""What a reader relies on in a figure: fixed colours, units, nothing hidden, nothing drawn that is not there."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from ml4ops_helpers import plots
from ml4ops_helpers.datasets import explore_plots
from ml4ops_helpers.scenes.sentinel2 import CLASS_NAMES, WAVELENGTH


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def legend(fig):
    return [text.get_text() for source in [*fig.legends, *[a.get_legend() for a in fig.axes if a.get_legend()]]
            for text in source.get_texts()]  # fmt: skip


@pytest.fixture
def pixels():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"class": ["land", "water"] * 50, "B3": rng.random(100), "B8": rng.random(100)})
    return table.assign(source=["one"] * 60 + ["two"] * 40)


def test_a_class_has_the_same_colour_everywhere(pixels):
    picture = plots.label_picture(np.arange(4, dtype=np.uint8)[None])
    for code, name in enumerate(CLASS_NAMES):
        assert picture[0, code] == pytest.approx(to_rgb(plots.CLASS_COLOURS[name]))
    line = next(x for x in explore_plots.spectra_figure(pixels).axes[0].lines if x.get_label() == "water")
    assert line.get_color() == plots.CLASS_COLOURS["water"]


def test_classes_differ_in_brightness_too():
    """They can be told apart in print, and by readers with any colour vision."""
    grey = sorted(np.dot(to_rgb(c), (0.299, 0.587, 0.114)) for c in plots.CLASS_COLOURS.values())
    assert min(np.diff(grey)) > 0.02


def test_the_style_is_set():
    with plt.rc_context():
        plots.set_style()
        assert plt.rcParams["image.interpolation"] == "nearest"
        assert plt.rcParams["axes.prop_cycle"].by_key()["color"] == list(plots.OKABE_ITO)


def test_a_gallery_shows_pictures_labels_and_numbers():
    codes = np.array([[1, 2], [2, 2]], np.uint8)
    fig = plots.gallery({"a": np.zeros((2, 2, 3)), "b": codes, "c": np.arange(4.0).reshape(2, 2)}, unit="metres")
    titles = [ax.get_title() for ax in fig.axes if ax.get_title()]
    assert titles == ["a", "b", "c"]
    assert legend(fig) == ["land", "water"]  # only the classes that are there
    assert "metres" in [ax.get_xlabel() for ax in fig.axes]


def test_the_scale_bar_is_a_kilometre():
    fig = plots.gallery({"a": np.zeros((200, 200, 3))}, pixel=40)
    start, end = fig.axes[0].lines[0].get_xdata()
    assert end - start == pytest.approx(25)
    assert not plots.gallery({"a": np.zeros((9, 9, 3))}, pixel=0).axes[0].lines


def test_places_that_are_not_needed_stay_empty():
    fig = plots.gallery({name: np.zeros((4, 4, 3)) for name in "abcd"}, columns=3)
    assert len(fig.axes) == 4


def test_lines_carry_their_index_and_marks():
    index = pd.Index([1.0, 2.0, 3.0], name="threshold")
    fig = plots.lines(pd.DataFrame({"a": [1, 10, 100], "b": [2, 2, 2]}, index), "cost", {"b": (2, 2)}, yscale="log")
    ax = fig.axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("threshold", "cost", "log")
    assert legend(fig) == ["a", "b"]
    assert len(ax.lines) == 3
    assert ax.lines[2].get_color() == ax.lines[1].get_color()


def test_an_event_is_on_the_map_once_and_only_where_it_has_a_place():
    facts = pd.DataFrame({"split": ["train", "train", "test", "test"], "event": ["A", "A", "B", "C"],
                          "lon": [1.0, 1.1, 50, np.nan], "lat": [2.0, 2.1, 60, np.nan]})  # fmt: skip
    fig = explore_plots.event_locations(facts)
    drawn = {c.get_label(): np.asarray(c.get_offsets()).tolist() for c in fig.axes[0].collections}
    assert drawn == {"train": [[1.0, 2.0]], "test": [[50.0, 60.0]]}


def test_bars_end_at_their_sum():
    fig = explore_plots.class_bars(pd.DataFrame({"land": [0.75, 0.5], "water": [0.25, 0.5]}, index=["train", "test"]))
    bars = fig.axes[0].patches
    assert [b.get_width() for b in bars] == [75, 50, 25, 50]
    assert [b.get_x() + b.get_width() for b in bars[2:]] == [100, 100]
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["train", "test"]


def test_a_bar_as_thin_as_the_water_of_the_training_scenes_has_its_number():
    fig = explore_plots.class_bars(pd.DataFrame({"land": [0.95], "water": [0.034], "cloud": [0.016]}, index=["train"]))
    assert [t.get_text() for t in fig.axes[0].texts] == ["95", "3"]


def test_two_events_on_one_place_can_be_told_from_one():
    facts = pd.DataFrame({"split": "train", "event": ["A", "B"], "lon": [1.0, 1.0], "lat": [2.0, 2.0]})
    (drawn,) = explore_plots.event_locations(facts).axes[0].collections
    assert len(drawn.get_offsets()) == 2
    assert drawn.get_facecolor()[0, 3] < 1


def test_spectra_are_medians_at_the_wavelengths():
    table = pd.DataFrame({"class": "land", "B3": [0.1, 0.2, 0.6], "B8": [0.3, 0.3, 0.3], "B11": np.nan})
    line = explore_plots.spectra_figure(table).axes[0].lines[0]
    assert list(line.get_xdata()) == [WAVELENGTH["B3"], WAVELENGTH["B8"]]  # a band without values is left out
    assert list(line.get_ydata()) == pytest.approx([0.2, 0.3])


def test_panels_share_the_height_so_that_they_can_be_compared(pixels):
    pixels.loc[pixels["source"] == "two", ["B3", "B8"]] *= 3
    fig = explore_plots.spectra_figure(pixels, panel="source")
    assert [ax.get_title() for ax in fig.axes] == ["one", "two"]
    assert fig.axes[0].get_ylim() == fig.axes[1].get_ylim()
    assert fig.axes[0].get_ylim()[1] > 2


def test_a_line_that_a_panel_lacks_is_not_drawn(pixels):
    only_land = pixels[(pixels["source"] == "one") | (pixels["class"] == "land")]
    for fig in (
        explore_plots.spectra_figure(only_land, panel="source"),
        explore_plots.histograms(only_land, "B3", panel="source"),
    ):
        drawn = fig.axes[1].get_legend_handles_labels()[1]
        assert drawn == ["land"]
        assert legend(fig) == ["land", "water"]


def test_histograms_have_area_one(pixels):
    ax = explore_plots.histograms(pixels, "B3", label="green").axes[0]
    corners = ax.patches[0].get_xy()
    area = 0.5 * abs(
        np.dot(corners[:, 0], np.roll(corners[:, 1], 1)) - np.dot(corners[:, 1], np.roll(corners[:, 0], 1))
    )
    assert area == pytest.approx(1)
    assert ax.get_xlabel() == "green"


def test_a_histogram_shows_all_that_an_index_can_be():
    table = pd.DataFrame({"class": "water", "ndwi": np.linspace(-0.9, 0.9, 200)})
    assert explore_plots.histograms(table, "ndwi").axes[0].get_xlim() == (-1, 1)
    assert explore_plots.histograms(table, "ndwi", span=(0, 0.5)).axes[0].get_xlim() == (0, 0.5)


def test_a_class_keeps_its_colour_and_an_origin_its_style(pixels):
    table = pd.concat([pixels.assign(line=pixels["class"] + f", {origin}") for origin in ("simulated", "real")])
    drawn = {p.get_label(): p for p in explore_plots.histograms(table, "B3", line="line", span=(0, 1)).axes[0].patches}
    assert set(drawn) == {f"{c}, {o}" for c in ("land", "water") for o in ("simulated", "real")}
    for name, outline in drawn.items():
        assert outline.get_edgecolor()[:3] == pytest.approx(to_rgb(plots.CLASS_COLOURS[name.split(", ")[0]]))
        solid = outline.get_linestyle()[1] is None
        assert solid == name.endswith("simulated")


def test_heat_maps_with_the_same_limits_have_the_same_colours():
    one, two = (plots.heat_map(pd.DataFrame({"a": [1.0, top]}), "x", centre=1, limits=(0, 3)) for top in (1.5, 3.0))
    first, second = (fig.axes[0].collections[0] for fig in (one, two))
    assert first.get_clim() == second.get_clim()
    assert first.to_rgba(1.0) == second.to_rgba(1.0)
    assert min(first.to_rgba(1.0)[:3]) > 0.95  # the centre is white


def test_a_heat_map_writes_its_numbers():
    table = pd.DataFrame([[1.0, -0.25], [np.nan, 0.5]], index=["x", "y"], columns=["a", "b"])
    fig = plots.heat_map(table, "correlation", centre=0, decimals=2)
    assert [t.get_text() for t in fig.axes[0].texts] == ["1.00", "-0.25", "0.50"]
    assert fig.axes[1].get_ylabel() == "correlation"
