"""The three sources: what they give, and what is said when they can't."""

import json
import os
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets

from forest_cover import sources
from forest_cover.columns import COUNTS, FEATURES, TARGET
from forest_cover.config import Config, Data
from forest_cover.files import PROVENANCE, RAW, ProjectError
from forest_cover.prepare import allot
from forest_cover.simulate import simulate
from forest_cover.sources import find_csv, load_rows, read_csv
from forest_cover.stages.fetch import fetch, fingerprint


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "rows.csv"
    simulate(300, seed=1).rename_axis("Id").to_csv(path)
    return path


def edit(path, change):
    frame = pd.read_csv(path).astype(object)
    change(frame).to_csv(path, index=False)
    return path


def test_csv_gives_the_rows_that_were_written(csv):
    pd.testing.assert_frame_equal(read_csv(csv), simulate(300, seed=1))


def test_missing_file_is_named_with_every_place_that_was_looked_at(tmp_path, monkeypatch):
    monkeypatch.setenv("ML4OPS_DATA", str(tmp_path))
    with pytest.raises(ProjectError, match=rf"nowhere.csv and {tmp_path}/nowhere.csv: no such file; set data.file"):
        find_csv("nowhere.csv")


def test_file_is_found_in_the_data_folder(csv, monkeypatch):
    monkeypatch.setenv("ML4OPS_DATA", str(csv.parent))
    assert find_csv("rows.csv") == csv


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns=["Slope", "Soil_Type7"]), "has no column Slope, Soil_Type7; the names stand in"),
        (lambda f: f.rename(columns={"Slope": "slope"}), "has no column Slope;"),
        (lambda f: f.assign(NDVI=1), "has an unexpected column NDVI; take it out"),
        (lambda f: f.iloc[:0], "has column names, but no rows"),
        (lambda f: f.assign(Slope=["steep" if i == 4 else 3 for i in range(300)]), "column Slope, row 4 .* 'steep'"),
    ],
)
def test_bad_table_is_refused_in_one_line_that_names_file_and_column(csv, change, message):
    with pytest.raises(ProjectError, match=message) as caught:
        read_csv(edit(csv, change))
    assert str(caught.value).startswith(f"{csv}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2,3\n4\n1,2,3,4\n", b"\xff\xfe\x00\x81\n", b"PK\x03\x04\x00\x00"])
def test_what_is_no_table_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(ProjectError, match=r"rows\.csv: ") as caught:
        read_csv(path)
    assert "\n" not in str(caught.value)


def test_folder_in_place_of_a_file_is_refused(tmp_path):
    with pytest.raises(ProjectError, match="can't be read as a CSV file"):
        read_csv(tmp_path)


def test_empty_cell_is_left_to_the_validation(csv):
    frame = read_csv(edit(csv, lambda f: f.assign(Slope=[None if i == 4 else 3 for i in range(300)])))
    assert frame["Slope"].isna().to_numpy().nonzero()[0].tolist() == [4]


def theirs(order=FEATURES):
    """A table as scikit-learn returns it: areas and soils are counted from 0."""
    frame = simulate(50, seed=2)[[*order, TARGET]]
    names = [n if n[-1] not in "0123456789" else None for n in frame]
    areas = [f"Wilderness_Area_{i}" for i in range(4)] + [f"Soil_Type_{i}" for i in range(40)]
    return frame.set_axis([n or areas.pop(0) for n in names], axis=1).astype("float64")


def test_download_gets_the_names_of_the_description(monkeypatch):
    monkeypatch.setattr(sklearn.datasets, "fetch_covtype", lambda **_: SimpleNamespace(frame=theirs()))
    frame, _ = load_rows(Data(source="covtype"))
    pd.testing.assert_frame_equal(frame, simulate(50, seed=2))


def test_download_knows_the_order_that_scikit_learn_declares():
    from sklearn.datasets._covtype import FEATURE_NAMES

    assert [c for c in theirs() if c != TARGET] == FEATURE_NAMES


def test_download_in_another_order_is_refused(monkeypatch):
    other = theirs((FEATURES[1], FEATURES[0], *FEATURES[2:]))
    monkeypatch.setattr(sklearn.datasets, "fetch_covtype", lambda **_: SimpleNamespace(frame=other))
    with pytest.raises(ProjectError, match="other columns"):
        load_rows(Data(source="covtype"))


def test_without_network_one_line_says_what_to_do(monkeypatch):
    def refuse(**_):
        raise URLError("Name or service not known")

    monkeypatch.setattr(sklearn.datasets, "fetch_covtype", refuse)
    with pytest.raises(ProjectError, match=r"download failed .*Name or service not known.* or use data=embedded"):
        sources.download(None)


def test_stage_writes_rows_with_their_provenance(tmp_path, monkeypatch, csv):
    monkeypatch.chdir(tmp_path)
    fetch(Config(data=Data(source="kaggle", file=str(csv), rows=200, seed=3)))
    facts, frame = json.loads(PROVENANCE.read_text()), pd.read_parquet(RAW)
    assert facts["rows"] == len(frame) == 200
    assert {int(k): v for k, v in facts["classes"].items()} == frame[TARGET].value_counts().to_dict()
    assert facts["sha256"] == fingerprint(frame)
    assert facts["address"] == str(csv)
    assert facts["steps"] == [
        "300 rows from the source kaggle",
        "200 of them drawn with the seed 3, every class in its share",
    ]
    pd.testing.assert_frame_equal(frame, simulate(300, seed=1).loc[frame.index])  # the index counts in the source


def test_stage_gives_the_same_file_twice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = []
    for _ in range(2):
        fetch(Config(data=Data(rows=500)))
        files.append(RAW.read_bytes() + PROVENANCE.read_bytes())
    assert files[0] == files[1]


def test_drawn_rows_keep_the_class_shares():
    from forest_cover.prepare import take

    drawn = take(simulate(5000, seed=0), 1000, seed=0)
    assert drawn[TARGET].value_counts().sort_index().tolist() == allot(COUNTS, 1000)
    assert drawn.index.is_unique


def test_more_rows_than_there_are_is_refused(tmp_path, monkeypatch, csv):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProjectError, match=r"data\.rows=301: the source has 300 rows; 0 takes all"):
        fetch(Config(data=Data(source="kaggle", file=str(csv), rows=301)))


def test_fingerprint_sees_a_value_a_name_and_the_order():
    frame = simulate(20, seed=0)
    changed = frame.copy()
    changed.iloc[7, 0] += 1
    others = [changed, frame.rename(columns={"Slope": "slope"}), frame.iloc[::-1]]
    assert len({fingerprint(f) for f in (frame, *others)}) == 4
    assert fingerprint(frame) == fingerprint(frame.astype(np.float64))


@pytest.mark.skipif("ML4OPS_DATA" not in os.environ, reason="the real rows lie in the folder that ML4OPS_DATA names")
def test_real_subset_is_read():
    frame, origin = load_rows(Data(source="kaggle"))
    assert frame[TARGET].value_counts().to_dict() == dict.fromkeys(range(1, 8), 2160)
    assert origin.address == "covtype/kaggle_train_15120.csv"  # and not where it lies on this machine
