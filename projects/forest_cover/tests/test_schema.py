"""Every rule of the schema, each broken on purpose."""

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forest_cover.columns import QUANTITIES, TARGET
from forest_cover.config import Data
from forest_cover.files import RAW, VALIDATION, ProjectError, write_table
from forest_cover.schema import SHOWN, find_violations
from forest_cover.simulate import simulate
from forest_cover.sources import load_rows
from forest_cover.stages.validate import validate

FRAME = simulate(60, seed=0)


def broken(column, value, row=7):
    frame = FRAME.astype(object)
    frame.loc[row, column] = value
    return frame


def test_good_rows_have_no_violation():
    assert find_violations(FRAME) == []


@pytest.mark.parametrize(
    ("column", "value", "check", "shown"),
    [
        ("Slope", 95, "must be from 0 to 90 (degrees)", 95),
        ("Elevation", 900, "must be from 1500 to 4400 (m)", 900),
        ("Slope", 3.5, "must be a whole number", 3.5),
        ("Slope", None, "is missing or not a number", None),
        ("Slope", "steep", "is missing or not a number", "steep"),
        (TARGET, 8, "must be one of 1, 2, 3, 4, 5, 6, 7", 8),
        (TARGET, None, "is missing or not a number", None),
    ],
)
def test_violation_is_listed_with_column_rule_row_and_value(column, value, check, shown):
    [violation] = find_violations(broken(column, value))
    assert violation == {"column": column, "check": check, "count": 1, "rows": [{"row": 7, "value": shown}]}


@pytest.mark.parametrize(("value", "total"), [(0, 0), (1, 2)])
def test_one_hot_columns_must_sum_to_one(value, total):
    frame = FRAME.copy()
    frame.loc[7, [f"Wilderness_Area{i}" for i in range(1, 5)]] = [value, value, 0, 0]
    [violation] = find_violations(frame)
    assert violation["column"] == "Wilderness_Area1 to 4"
    assert violation["rows"] == [{"row": 7, "value": total}]


def test_one_hot_value_is_0_or_1():
    frame = FRAME.copy()
    soils = [f"Soil_Type{i}" for i in range(1, 41)]
    frame.loc[7, soils] = 0
    frame.loc[7, soils[:3]] = [2, -1, 0]  # the sum is 1 all the same
    assert {(v["column"], v["check"]) for v in find_violations(frame)} == {
        ("Soil_Type1", "must be one of 0, 1"),
        ("Soil_Type2", "must be one of 0, 1"),
    }


def test_all_are_counted_and_the_first_are_shown():
    [violation] = find_violations(FRAME.assign(Slope=91))
    assert violation["count"] == len(FRAME)
    assert [r["row"] for r in violation["rows"]] == list(range(SHOWN))


def test_columns_missing_and_unexpected_are_all_named():
    found = find_violations(FRAME.drop(columns="Slope").assign(NDVI=0.5))
    assert [(v["column"], v["check"]) for v in found] == [
        ("Slope", "column is missing"),
        ("NDVI", "column is unexpected"),
    ]


def test_rows_are_named_by_their_number_in_the_source():
    [violation] = find_violations(broken("Slope", 95).iloc[5:])
    assert violation["rows"][0]["row"] == 7


@given(quantity=st.sampled_from(QUANTITIES), value=st.integers(-20000, 20000), row=st.integers(0, 59))
@settings(max_examples=25, deadline=None)
def test_a_value_is_refused_just_outside_its_range(quantity, value, row):
    found = find_violations(broken(quantity.name, value, row))
    assert bool(found) == (not quantity.low <= value <= quantity.high)
    assert all(v["column"] == quantity.name and v["rows"][0]["row"] == row for v in found)


def test_stage_writes_the_report_and_stops(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_table(FRAME.assign(Slope=91), RAW)
    with pytest.raises(ProjectError, match=r"60 violations; Slope must be from 0 to 90 .*first in row 0: 91\.0"):
        validate()
    report = json.loads(VALIDATION.read_text())
    assert (report["rows"], report["violations"], len(report["found"])) == (60, 60, 1)


def test_stage_passes_good_rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_table(FRAME, RAW)
    validate()
    assert json.loads(VALIDATION.read_text()) == {"rows": 60, "violations": 0, "found": []}


def test_stage_without_rows_names_the_stage_that_makes_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProjectError, match=r"data/raw.parquet is not there: the stage fetch makes it"):
        validate()


@pytest.mark.skipif("ML4OPS_DATA" not in os.environ, reason="the real rows lie in the folder that ML4OPS_DATA names")
def test_real_rows_have_no_violation():
    frame, _ = load_rows(Data(source="kaggle"))
    assert find_violations(frame) == []
