"""What is done to rows: the order and the parameters that a user relies on."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from forest_cover.columns import CLASSES, COUNTS, FEATURES, QUANTITIES, TARGET, WILDERNESS
from forest_cover.config import Config, Data
from forest_cover.files import (
    CAPPED,
    COLUMNS,
    NORMAL,
    PARTS,
    RAW,
    SCALING,
    SPLIT,
    TENSORS,
    VALIDATION,
    ProjectError,
    write_json,
    write_table,
)
from forest_cover.prepare import (
    Scaling,
    allot,
    apply_scaling,
    as_imbalanced,
    cap,
    choose,
    fit_scaling,
    split,
    take,
    to_tensors,
)
from forest_cover.simulate import simulate
from forest_cover.stages.cap import cap_rows
from forest_cover.stages.drop import drop
from forest_cover.stages.normalise import normalise
from forest_cover.stages.split import split_rows
from forest_cover.stages.tensors import write_tensors

FRAME = simulate(4000, seed=0)


def classes(*counts):
    labels = np.repeat(np.arange(1, len(counts) + 1), counts)
    return pd.DataFrame({"Slope": np.arange(len(labels)), TARGET: np.random.default_rng(0).permutation(labels)})


def counted(frame):
    return frame[TARGET].value_counts().sort_index().tolist()


def test_cap_of_301_183_730_at_200_leaves_200_183_200():
    assert counted(cap(classes(301, 183, 730), 200, seed=0)) == [200, 183, 200]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(1, 40), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_cap_keeps_rows_as_they_are_and_at_most_so_many(counts, limit, seed):
    frame = classes(*counts, 1)
    kept = cap(frame, limit, seed)
    assert counted(kept) == [min(n, limit) for n in (*counts, 1) if n]
    assert kept.index.is_monotonic_increasing
    pd.testing.assert_frame_equal(kept, frame.loc[kept.index])


def test_cap_chooses_with_the_seed_and_not_the_first_rows():
    frame = classes(301, 183, 730)
    assert cap(frame, 200, 1).index.equals(cap(frame, 200, 1).index)
    assert not cap(frame, 200, 1).index.equals(cap(frame, 200, 2).index)
    assert not cap(frame, 200, 1).index.equals(frame.groupby(TARGET).head(200).index)


def test_cap_of_one_class_does_not_depend_on_the_others():
    frame = classes(301, 183, 730)
    alone = frame[frame[TARGET] == 3]
    kept = cap(frame, 200, 0)
    assert kept[kept[TARGET] == 3].index.equals(cap(alone, 200, 0).index)


def test_cap_of_0_keeps_all():
    assert len(cap(FRAME, 0, 0)) == len(FRAME)


def test_split_puts_every_row_in_one_part():
    parts = split(FRAME, 0.15, 0.2, seed=0)
    rows = pd.concat(parts.values()).sort_index()
    pd.testing.assert_frame_equal(rows, FRAME)
    assert [len(parts[name]) for name in PARTS] == [2600, 600, 800]


@given(st.integers(0, 20))
@settings(max_examples=8, deadline=None)
def test_split_gives_every_class_its_share_of_every_part(seed):
    for name, share in zip(PARTS, (0.7, 0.15, 0.15), strict=True):
        part = split(FRAME, 0.15, 0.15, seed)[name][TARGET].value_counts()
        assert all(abs(part[code] - share * n) <= 1 for code, n in FRAME[TARGET].value_counts().items())


def test_split_follows_the_seed():
    a, b, c = (split(FRAME, 0.15, 0.15, seed)["test"].index for seed in (0, 0, 1))
    assert a.equals(b)
    assert not a.equals(c)


@pytest.mark.parametrize(
    ("frame", "val", "test", "message"),
    [
        (FRAME[FRAME[TARGET] != 4], 0.15, 0.15, r"class 4 \(cottonwood/willow\) has 0 rows.* raise data\.rows"),
        (classes(90, 90, 90, 3, 90, 90, 90), 0.15, 0.15, r"class 4 \(cottonwood/willow\) has 3 rows, too few for"),
        (classes(3, 3, 3, 3, 3, 3, 3), 0.1, 0.1, "21 rows are too few"),
    ],
)
def test_split_that_would_lack_a_class_says_which_and_what_to_do(frame, val, test, message):
    with pytest.raises(ProjectError, match=message):
        split(frame, val, test, seed=0)


def test_scaling_worked_by_hand():
    train = pd.DataFrame({"Elevation": [2000, 2000, 2600, 2600], "Slope": [5, 5, 5, 5], WILDERNESS[0]: [0, 1, 1, 1]})
    scaling = fit_scaling(train)
    assert scaling == Scaling(["Elevation", "Slope"], [2300.0, 5.0], [300.0, 1.0])
    other = apply_scaling(pd.DataFrame({"Elevation": [2900], "Slope": [7], WILDERNESS[0]: [1]}), scaling)
    assert other.iloc[0].tolist() == [2.0, 2.0, 1.0]


def test_constant_column_gets_deviation_1_whatever_rounding_does():
    train = pd.DataFrame({"Slope": np.full(1001, 0.1)})  # numpy's deviation of these is not exactly 0
    assert fit_scaling(train).deviations == [1.0]


def test_scaled_training_rows_have_mean_0_and_deviation_1_and_one_hot_columns_stay():
    scaled = apply_scaling(FRAME, fit_scaling(FRAME))
    measured = [q.name for q in QUANTITIES]
    np.testing.assert_allclose(scaled[measured].mean(), 0, atol=1e-9)
    np.testing.assert_allclose(scaled[measured].std(ddof=0), 1)
    others = [*FEATURES[10:], TARGET]
    pd.testing.assert_frame_equal(scaled[others], FRAME[others])
    assert list(scaled) == list(FRAME)


def test_scaling_none_changes_nothing():
    pd.testing.assert_frame_equal(apply_scaling(FRAME, fit_scaling(FRAME, "none")), FRAME)


def test_tensors_hold_rows_columns_and_labels_from_0():
    tensors = to_tensors(FRAME)
    assert tensors["features"].dtype == torch.float32
    assert tensors["features"].shape == (4000, 54)
    assert tensors["labels"].dtype == torch.int64
    assert tensors["features"][3].tolist() == FRAME.iloc[3][list(FEATURES)].tolist()
    assert (tensors["labels"].numpy() + 1 == FRAME[TARGET]).all()


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=9), st.integers(0, 10**5))
@settings(max_examples=50, deadline=None)
def test_allotted_rows_sum_up_and_are_within_one_of_their_share(counts, rows):
    allotted = allot(counts, rows)
    assert sum(allotted) == rows
    assert all(abs(n - rows * count / sum(counts)) < 1 + 1e-6 for n, count in zip(allotted, counts, strict=True))


def test_imbalanced_sample_has_the_shares_of_the_world_and_is_as_large_as_can_be():
    balanced = choose(simulate(60000, seed=0), dict.fromkeys(CLASSES, 250), seed=0)
    sample = as_imbalanced(balanced, seed=0)
    assert counted(sample) == [n * 250 // COUNTS[1] for n in COUNTS]
    assert not sample.index.equals(as_imbalanced(balanced, seed=1).index)


def test_rows_without_a_class_are_not_drawn_in_silence():
    frame = FRAME.astype({TARGET: float})
    frame.loc[17, TARGET] = np.nan
    with pytest.raises(ProjectError, match="Cover_Type is missing in row 17"):
        take(frame, 100, seed=0)


@pytest.fixture
def ready(tmp_path, monkeypatch):
    """A project's folder after fetch and validate."""
    monkeypatch.chdir(tmp_path)
    write_table(FRAME, RAW)
    write_json({"rows": 4000, "violations": 0, "found": []}, VALIDATION)
    return Config(data=Data(rows=4000, cap=300, drop=["Aspect"]))


def test_stage_drop_leaves_the_columns_out(ready):
    drop(ready)
    assert list(pd.read_parquet(COLUMNS)) == [n for n in FRAME if n != "Aspect"]


def test_stage_drop_refuses_rows_that_are_not_valid(ready):
    write_json({"rows": 4000, "violations": 2, "found": []}, VALIDATION)
    with pytest.raises(ProjectError, match=r"validation\.json lists violations"):
        drop(ready)


def test_stage_split_writes_the_three_parts(ready):
    write_table(FRAME, COLUMNS)
    split_rows(ready)
    for name, part in split(FRAME, 0.15, 0.15, 0).items():
        pd.testing.assert_frame_equal(pd.read_parquet(SPLIT / f"{name}.parquet"), part)


def test_stage_normalise_learns_from_the_training_rows_alone(ready):
    parts = split(FRAME, 0.15, 0.15, 0)
    saved = []
    for factor in (1, 100):  # validation and test rows may be anything
        for name, part in parts.items():
            write_table(part if name == "train" else part * factor, SPLIT / f"{name}.parquet")
        normalise(ready)
        saved.append((SCALING.read_text(), (NORMAL / "train.parquet").read_bytes()))
    assert saved[0] == saved[1]
    scaling = Scaling(**json.loads(SCALING.read_text()))
    assert scaling == fit_scaling(parts["train"])
    pd.testing.assert_frame_equal(pd.read_parquet(NORMAL / "val.parquet"), apply_scaling(parts["val"] * 100, scaling))


def test_stage_cap_caps_the_training_rows(ready):
    write_table(FRAME, NORMAL / "train.parquet")
    cap_rows(ready)
    assert counted(pd.read_parquet(CAPPED)) == [min(n, 300) for n in counted(FRAME)]


def test_stage_tensors_can_be_loaded_without_running_code(ready):
    parts = split(FRAME, 0.15, 0.15, 0)
    for name, part in parts.items():
        write_table(part, NORMAL / f"{name}.parquet")
    write_table(cap(parts["train"], 300, 0), CAPPED)
    write_tensors()
    loaded = {name: torch.load(TENSORS / f"{name}.pt", weights_only=True) for name in PARTS}
    assert len(loaded["train"]["labels"]) == len(pd.read_parquet(CAPPED))  # capped
    assert len(loaded["test"]["labels"]) == len(parts["test"])  # as it was
    assert json.loads((TENSORS / "columns.json").read_text()) == list(FEATURES)


@pytest.mark.parametrize(
    ("stage", "makes"),
    [(drop, "validate"), (split_rows, "drop"), (normalise, "split"), (cap_rows, "normalise")],
)
def test_stage_without_its_input_names_the_stage_that_makes_it(stage, makes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProjectError, match=f"is not there: the stage {makes} makes it; run `dvc repro {makes}`"):
        stage(Config())
