"""The report holds what was in the rows, and can be read without network."""

import json
import re

import numpy as np
import pytest

from forest_cover.columns import COUNTS, QUANTITIES, TARGET
from forest_cover.explore import class_table, correlated_pairs, describe, draw
from forest_cover.files import EXPLORE, EXPLORE_NUMBERS, RAW, VALIDATION, ProjectError, write_json, write_table
from forest_cover.prepare import allot
from forest_cover.simulate import simulate
from forest_cover.stages.explore import explore

FRAME = simulate(2000, seed=0)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("project")
        patch.chdir(folder)
        write_table(FRAME, RAW)
        write_json({"rows": 2000, "violations": 0, "found": []}, VALIDATION)
        explore()
    return folder


def test_classes_are_counted_beside_their_real_shares():
    table = class_table(FRAME)
    assert table["rows"].tolist() == allot(COUNTS, 2000)
    assert table["share"].sum() == pytest.approx(1)
    assert table["share of all"].tolist() == [n / 581012 for n in COUNTS]


def test_missing_values_are_counted_by_column():
    frame = FRAME.astype(float)
    frame.loc[[3, 5], "Slope"] = np.nan
    table = describe(frame)["measured"].set_index("column")
    assert table["missing"].to_dict() == {**dict.fromkeys(table.index, 0), "Slope": 2}
    assert table.loc["Slope", "unit"] == "degrees"
    assert table.loc[TARGET, "role"] == "target"


def test_every_category_is_listed_with_its_rows():
    table = describe(FRAME)["categories"]
    assert len(table) == 44
    assert table["rows"].sum() == 2 * len(FRAME)  # each row has one area and one soil
    assert table.loc[table["rows"] == 0, "commonest class"].isna().all()


def test_correlated_pairs_are_found_once_and_the_strongest_first():
    frame = FRAME.astype(float)
    frame["Slope"] = -2 * frame["Elevation"] + 7
    pairs = correlated_pairs(frame)
    assert pairs.iloc[0].tolist() == ["Elevation", "Slope", pytest.approx(-1)]
    assert pairs["correlation"].abs().is_monotonic_decreasing
    assert pairs["correlation"].abs().min() >= 0.5
    assert len({frozenset(p) for p in zip(pairs["first"], pairs["second"], strict=True)}) == len(pairs)


def test_every_axis_of_a_measured_column_has_its_unit():
    figures = {name: figure for name, _, figure in draw(FRAME)}
    labels = [axes.get_xlabel() for axes in figures["measured"].axes]
    assert labels == [q.unit for q in QUANTITIES]


def test_page_shows_every_figure_with_words_and_asks_nobody_else(report):
    page = (report / EXPLORE / "index.html").read_text()
    images = dict(re.findall(r'<img src="([^"]+)" alt="([^"]+)">', page))
    assert {path.name for path in (report / EXPLORE).glob("*.png")} == set(images)
    assert len(images) == 5
    assert not re.findall(r"https?://|<script", page)
    assert not re.findall(r"<td>[^<]*e\+", page)  # 2960 m, and not 2.96e+03
    assert all(f"<td>{n}</td>" in page for n in allot(COUNTS, 2000))


def test_numbers_are_those_of_the_page(report):
    numbers = json.loads((report / EXPLORE_NUMBERS).read_text())
    assert (numbers["rows"], numbers["columns"], numbers["missing values"]) == (2000, 55, 0)
    assert [row["rows"] for row in numbers["classes"]] == allot(COUNTS, 2000)
    assert numbers["measured"][0]["mean"] == pytest.approx(FRAME["Elevation"].mean())


def test_report_waits_for_the_validation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_table(FRAME, RAW)
    with pytest.raises(ProjectError, match=r"validation\.json is not there: the stage validate makes it"):
        explore()
