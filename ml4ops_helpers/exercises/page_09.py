"""Exercises of ``09_build_a_pipeline``: split before fitting, cap the training rows, and know what must run again."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .core import Answer, AnswerError, Exercise, close


def standardise(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation[deviation == 0] = 1.0  # nothing varies, so there is nothing to scale
    return (test - mean) / deviation


def _judge_standardise(answer: Answer) -> str:
    rng = np.random.default_rng(9)
    train, test = rng.normal(50, 4, (40, 3)), rng.normal(58, 9, (10, 3))
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    found = answer.numbers(train, test, shape=test.shape)
    if close(found, (test - test.mean(axis=0)) / test.std(axis=0)):
        return "own"
    both = np.vstack([train, test])
    if close(found, (test - both.mean(axis=0)) / both.std(axis=0)):
        return "all"
    if not close(found, (test - mean) / deviation) and not close(found, (test - mean) / train.std(axis=0, ddof=1)):
        return "value"
    train[:, 1], test[:, 1] = 0.0, 1.0  # a soil type that no training row has
    return "" if close(answer.numbers(train, test, shape=test.shape)[:, 1], np.ones(len(test))) else "constant"


STANDARDISE = Exercise(
    name="09.1",
    title="Scale as if the test rows did not exist yet",
    task="""
Write `standardise(train, test)`. Both are arrays `(rows, columns)` of numbers. Return the *test* rows, scaled for a
model that was trained on scaled training rows: subtract a mean and divide by a standard deviation, column by column. A
column that does not vary in training is only centred.""",
    tip="Stuck? Section 4 says which rows you may look at. When the model is in use, which mean do you have?",
    reference=standardise,
    judge=_judge_standardise,
    hints={
        "own": "You scaled the test rows by their own mean and deviation. A single row that arrives for prediction has "
        "no deviation, and a shift of the whole test set would go unnoticed.",
        "all": "You took the mean and deviation of all rows together. The test rows have then influenced the model "
        "that they are to evaluate.",
        "value": "Expected each test value minus the mean of the training rows in its column, divided by their "
        "standard deviation.",
        "constant": "A column that is 0 in all training rows has a deviation of 0. A test row with a 1 there should "
        "come out as 1; yours is infinite, or huge.",
    },
    takeaway="The parameters of the preparation belong to the model, and are saved with it.",
)


def cap(labels: np.ndarray, most: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    classes = [np.flatnonzero(labels == name) for name in np.unique(labels)]
    return np.concatenate([rng.permutation(rows)[:most] for rows in classes])


def _judge_cap(answer: Answer) -> str:
    labels = np.repeat([0, 1, 2], [301, 183, 730])
    rows = _rows(answer, labels, 200, 0)
    counts = np.bincount(labels[rows], minlength=3)
    if len(np.unique(rows)) < len(rows):
        return "twice"
    if counts.tolist() == [183, 183, 183]:
        return "smallest"
    if len(rows) == 200:
        return "total"
    if counts.tolist() != [200, 183, 200]:
        return "counts"
    first = rows[labels[rows] == 2] - 484
    if first.max() < 250 or first.min() > 480:  # the chance that a random draw does this is far below 1e-30
        return "first"
    return "" if np.array_equal(np.sort(rows), np.sort(_rows(answer, labels, 200, 0))) else "seed"


def _rows(answer: Answer, labels: np.ndarray, most: int, seed: int) -> np.ndarray:
    found = np.asarray(answer(labels, most, seed))
    if found.ndim != 1 or found.dtype.kind not in "iu" or (len(found) and not 0 <= found.min() <= found.max() < 1214):
        raise AnswerError("your function returned something other than row numbers; expected integers from 0 in a row")
    return found


CAP = Exercise(
    name="09.2",
    title="Cap the large classes",
    task="""
Write `cap(labels, most, seed)`. `labels` is an array with the class of each training row. Return the *numbers* of the
rows to keep, counted from 0, so that no class keeps more than `most` rows and smaller classes keep all of theirs: 301,
183 and 730 rows, capped at 200, become 200, 183 and 200. A class's rows are drawn at random; the same seed draws the
same rows.""",
    tip="Stuck? `np.random.default_rng(seed)` has `permutation`; `np.flatnonzero` finds the rows of a class.",
    reference=cap,
    judge=_judge_cap,
    hints={
        "twice": "Some row is kept more than once; draw without replacement.",
        "smallest": "All classes were cut to the smallest, 183. Only those above 200 should lose rows.",
        "total": "You kept 200 rows in all. The limit applies to each class.",
        "counts": "Of 301, 183 and 730 rows, the numbers kept should be 200, 183 and 200; yours differ.",
        "first": "The rows kept are all at one end of their class. Rows are often in the order of a survey, so that "
        "would keep a single region.",
        "seed": "Two calls with the same seed kept different rows; create the generator from the seed, inside the "
        "function.",
    },
    takeaway="Capping changes what the model learns from, never what evaluates it: leave out training rows only.",
)

_READS: dict[str, set[str]] = {
    "package": {"model", "scores"},
    "fetch": {"data.rows"},
    "split": {"raw", "data.seed"},
    "scale": {"rows", "data.scaling"},
    "train": {"scaled", "training.epochs"},
    "evaluate": {"scaled", "model"},
}
_WRITES: dict[str, set[str]] = {
    "fetch": {"raw"},
    "split": {"rows"},
    "scale": {"scaled"},
    "train": {"model"},
    "evaluate": {"scores"},
    "package": {"parcel"},
}


def to_run(reads: Mapping[str, set[str]], writes: Mapping[str, set[str]], changed: str) -> set[str]:
    stale = {changed}
    stages: set[str] = set()
    while found := {s for s in reads if reads[s] & stale} - stages:
        stages |= found
        stale = set.union(*(writes[s] for s in found))
    return stages


def _judge_again(answer: Answer) -> str:
    last = _names(answer, "training.epochs")
    if last == {"train"}:
        return "direct"
    if last == {"train", "evaluate"}:
        return "one step"
    if last == {"train", "evaluate", "package"} and _names(answer, "data.rows") == {"fetch", "split"}:
        return "one step"
    if last == set(_READS):
        return "all"
    if last != {"train", "evaluate", "package"}:
        return "value"
    if _names(answer, "data.rows") != set(_READS) or _names(answer, "data.scaling") != last | {"scale"}:
        return "one step"
    return "" if _names(answer, "plots.colour") == set() else "nothing"


def _names(answer: Answer, changed: str) -> set[str]:
    copies = [{stage: set(names) for stage, names in table.items()} for table in (_READS, _WRITES)]
    found = answer(*copies, changed)
    try:
        return {str(name) for name in found}
    except TypeError:
        raise AnswerError("your function returned something other than stages; expected a set of their names") from None


AGAIN = Exercise(
    name="09.3",
    title="What must run again",
    task="""
Write `to_run(reads, writes, changed)`: the set of stages that must run again when `changed` has changed. `reads` maps
each stage to the set of files and parameters that it reads, `writes` to the set of files that it writes. The stages
are in no particular order, and there are no cycles.""",
    tip="Stuck? A stage that runs changes what it writes. Repeat until you find nothing new.",
    reference=to_run,
    judge=_judge_again,
    hints={
        "direct": "You found the stage that reads what has changed. It will write a new file, which others read.",
        "one step": "You followed the change for one or two steps; a chain may be longer. When `data.rows` changes, "
        "every stage of this pipeline is stale.",
        "all": "You run everything again. When `training.epochs` changes, the data stay as they are: fetching, "
        "splitting and scaling them again is a waste.",
        "value": "For `training.epochs`, expected train, evaluate and package: the first reads it, the others read "
        "what the first writes.",
        "nothing": "No stage reads `plots.colour`, so nothing has to run; expected an empty set.",
    },
    takeaway="This is all that `dvc repro` decides; the hashes of the files tell it what has changed.",
)

EXERCISES = (STANDARDISE, CAP, AGAIN)
