"""Exercises of ``09_build_a_pipeline``: split before fitting, cap without a trace, and know what must run again."""

from __future__ import annotations

import numpy as np

from .core import Answer, Exercise, Stumble, close


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
        return "rest"
    train[:, 1], test[:, 1] = 0.0, 1.0  # a soil type that no training row has
    return "" if close(answer.numbers(train, test, shape=test.shape)[:, 1], np.ones(len(test))) else "constant"


STANDARDISE = Exercise(
    name="09.1",
    title="Scale as if the test rows did not exist yet",
    task="""
Write `standardise(train, test)`. Both are arrays `(rows, columns)` of numbers. Return the *test* rows, scaled for a
model that was trained on scaled training rows: minus a mean, over a deviation, column by column. A column that does
not vary in training is only centred.""",
    stub="""
def standardise(train, test):
    return ...""",
    tip="Stuck? Section 4 says which rows may be looked at. On the day of use, which mean do you have?",
    solution="""
def standardise(train, test):
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation[deviation == 0] = 1.0  # nothing varies, so nothing is to be scaled
    return (test - mean) / deviation""",
    takeaway="The parameters of a preparation belong to the model, and are saved with it.",
    judge=_judge_standardise,
    hints={
        "own": "You scaled the test rows by their own mean and deviation. A single row that arrives for prediction has "
        "no deviation, and a shift of the whole test set would vanish without a trace.",
        "all": "You took the mean and deviation of all rows together. The test rows have then had a say in the "
        "preparation of the model that they are to judge.",
        "rest": "The numbers are others: expected each test value minus the mean of the training rows' column, over "
        "that column's deviation.",
        "constant": "A column that is 0 in all training rows has deviation 0. A test row with a 1 there should come "
        "out as 1; yours is infinite, or huge.",
    },
    wrong={
        "own": """
def standardise(train, test):
    return (test - test.mean(axis=0)) / test.std(axis=0)""",
        "all": """
def standardise(train, test):
    rows = np.vstack([train, test])
    return (test - rows.mean(axis=0)) / rows.std(axis=0)""",
        "rest": """
def standardise(train, test):
    return (test - train.mean()) / train.std()""",
        "constant": """
def standardise(train, test):
    return (test - train.mean(axis=0)) / train.std(axis=0)""",
    },
)


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
        raise Stumble("your function returned something other than row numbers; expected integers from 0 in a row")
    return found


CAP = Exercise(
    name="09.2",
    title="Cap the large classes",
    task="""
Write `cap(labels, most, seed)`. `labels` is an array with the class of each training row. Return the *numbers* of the
rows to keep, counted from 0, so that no class keeps more than `most` and smaller classes keep all: 301, 183 and 730
rows at 200 become 200, 183 and 200. Which rows a class keeps is drawn at random; the same seed draws the same.""",
    stub="""
def cap(labels, most, seed):
    return ...""",
    tip="Stuck? `np.random.default_rng(seed)` has `permutation`; `np.flatnonzero` finds the rows of a class.",
    solution="""
def cap(labels, most, seed):
    rng = np.random.default_rng(seed)
    classes = [np.flatnonzero(labels == name) for name in np.unique(labels)]
    return np.concatenate([rng.permutation(rows)[:most] for rows in classes])""",
    takeaway="Capping changes what the model sees, never what judges it: only training rows may be left out.",
    judge=_judge_cap,
    hints={
        "twice": "Some row is kept more than once; draw without putting back.",
        "smallest": "All classes were cut down to the smallest, 183. Only those above 200 are to lose rows.",
        "total": "You kept 200 rows in all. The limit holds for each class.",
        "counts": "Of 301, 183 and 730 rows, other numbers than 200, 183 and 200 were kept.",
        "first": "The rows that were kept lie all at one end of their class. Rows are often in the order of a survey: "
        "that would keep one region.",
        "seed": "Two calls with the same seed kept different rows; make the generator from the seed, in the function.",
    },
    wrong={
        "twice": """
def cap(labels, most, seed):
    rng = np.random.default_rng(seed)
    classes = [np.flatnonzero(labels == name) for name in np.unique(labels)]
    return np.concatenate([rng.choice(rows, min(most, len(rows))) for rows in classes])""",
        "smallest": """
def cap(labels, most, seed):
    rng = np.random.default_rng(seed)
    classes = [np.flatnonzero(labels == name) for name in np.unique(labels)]
    most = min(most, *(len(rows) for rows in classes))
    return np.concatenate([rng.permutation(rows)[:most] for rows in classes])""",
        "total": """
def cap(labels, most, seed):
    return np.random.default_rng(seed).permutation(len(labels))[:most]""",
        "counts": """
def cap(labels, most, seed):
    rng = np.random.default_rng(seed)
    classes = [np.flatnonzero(labels == name) for name in np.unique(labels)]
    return np.concatenate([rng.permutation(rows)[: most - 1] for rows in classes])""",
        "first": """
def cap(labels, most, seed):
    return np.concatenate([np.flatnonzero(labels == name)[:most] for name in np.unique(labels)])""",
        "seed": """
def cap(labels, most, seed):
    rng = np.random.default_rng()
    classes = [np.flatnonzero(labels == name) for name in np.unique(labels)]
    return np.concatenate([rng.permutation(rows)[:most] for rows in classes])""",
    },
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


def _judge_again(answer: Answer) -> str:
    last = _names(answer, "training.epochs")
    if last == {"train"}:
        return "direct"
    if last == {"train", "evaluate"} or (last == {"train", "package", "evaluate"} and _one_step(answer)):
        return "one step"
    if last == set(_READS):
        return "all"
    if last != {"train", "evaluate", "package"}:
        return "rest"
    if _names(answer, "data.rows") != set(_READS) or _names(answer, "data.scaling") != last | {"scale"}:
        return "one step"
    return "" if _names(answer, "plots.colour") == set() else "nobody"


def _one_step(answer: Answer) -> bool:
    return _names(answer, "data.rows") == {"fetch", "split"}


def _names(answer: Answer, changed: str) -> set[str]:
    copies = [{stage: set(names) for stage, names in table.items()} for table in (_READS, _WRITES)]
    found = answer(*copies, changed)
    try:
        return {str(name) for name in found}
    except TypeError:
        raise Stumble("your function returned something other than names of stages; expected a set of them") from None


AGAIN = Exercise(
    name="09.3",
    title="What must run again",
    task="""
Write `to_run(reads, writes, changed)`: the set of the stages that must run again when `changed` has changed. `reads`
maps each stage to the set of files and parameters that it reads, `writes` to the set of files that it writes. The
stages are in no particular order, and nobody reads in circles.""",
    stub="""
def to_run(reads, writes, changed):
    return ...""",
    tip="Stuck? A stage that runs changes what it writes. Repeat until nothing new is found.",
    solution="""
def to_run(reads, writes, changed):
    stale, stages = {changed}, set()
    while found := {s for s in reads if reads[s] & stale} - stages:
        stages |= found
        stale = set.union(*(writes[s] for s in found))
    return stages""",
    takeaway="This is all that `dvc repro` decides; hashes of the files tell it what has changed.",
    judge=_judge_again,
    hints={
        "direct": "You found the stage that reads what has changed. It will write a new file, and others read that.",
        "one step": "You followed the change one step or two; a chain may be longer. When `data.rows` changes, every "
        "stage of this pipeline is stale.",
        "all": "You run everything again. When `training.epochs` changes, the data are as they were: fetching, "
        "splitting and scaling them again is a waste.",
        "rest": "For `training.epochs`, expected train, evaluate and package: the first reads it, the others read what "
        "the first writes.",
        "nobody": "Nobody reads `plots.colour`, so nothing has to run; expected an empty set.",
    },
    wrong={
        "direct": """
def to_run(reads, writes, changed):
    return {s for s in reads if changed in reads[s]}""",
        "one step": """
def to_run(reads, writes, changed):
    first = {s for s in reads if changed in reads[s]}
    return first | {s for s in reads for f in first if reads[s] & writes[f]}""",
        "all": """
def to_run(reads, writes, changed):
    return set(reads)""",
        "rest": """
def to_run(reads, writes, changed):
    stages = {s for s in reads if changed in reads[s]}
    for _ in reads:
        stages |= {s for s in reads for f in stages if writes[s] & reads[f]}
    return stages""",
        "nobody": """
def to_run(reads, writes, changed):
    stages = {s for s in reads if changed in reads[s]} or {min(reads)}
    for _ in reads:
        stages |= {s for s in reads for f in stages if reads[s] & writes[f]}
    return stages""",
    },
)

EXERCISES = (STANDARDISE, CAP, AGAIN)
