"""What is done to the rows before a model sees them: pure functions, table in, table out.

The order matters: split first; then whatever is fitted or thrown away looks at the training rows only. What the other
order would claim is measured in `forest_cover.leak`. The index of a table holds the row numbers of the source and
is kept throughout, so it is known at any point which part a row is in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from forest_cover.columns import CLASSES, COUNTS, LABELS, QUANTITIES, TARGET
from forest_cover.files import PARTS, ProjectError

if TYPE_CHECKING:
    import torch


def split(frame: pd.DataFrame, val: float, test: float, seed: int) -> dict[str, pd.DataFrame]:
    """Split the rows into three parts, each class in the same shares.

    Args:
        frame: features and target.
        val: share of the rows for validation.
        test: share of the rows for the final test.
        seed: of the draw.

    Returns:
        Tables ``train``, ``val`` and ``test``; no row is in two of them.

    Raises:
        ProjectError: a class would be missing in a part.
    """
    counts = frame[TARGET].value_counts()
    for code in CLASSES:
        if counts.get(code, 0) < len(PARTS):
            raise ProjectError(_missing(code, counts.get(code, 0), "each of three parts"))
    rest, tested = _split_two(frame, test, seed)
    train, validated = _split_two(rest, val / (1 - test), seed)
    parts = dict(zip(PARTS, (train, validated, tested), strict=True))
    for name, part in parts.items():
        for code in set(CLASSES) - set(part[TARGET]):
            raise ProjectError(_missing(code, counts[code], name))
    return parts


def _split_two(frame: pd.DataFrame, share: float, seed: int) -> list[pd.DataFrame]:
    try:
        parts = train_test_split(frame, test_size=share, random_state=seed, stratify=frame[TARGET])
    except ValueError:  # fewer rows than classes in a part
        raise ProjectError(
            f"{len(frame)} rows are too few for a part of {share:.2g} with all classes: raise data.rows"
        ) from None
    return [part.sort_index() for part in parts]


def _missing(code: int, rows: int, part: str) -> str:
    label = LABELS[code - 1]
    return f"class {code} ({label}) has {rows} rows, too few for {part}: raise data.rows, data.val or data.test"


@dataclass(frozen=True)
class Scaling:
    """What makes columns comparable; fitted on training rows, kept for inference.

    Attributes:
        columns: names of the columns that are scaled; all others stay as they are.
        means: of the training rows, one for each of these columns.
        deviations: standard deviations, likewise; 1 for a constant column.
    """

    columns: list[str]
    means: list[float]
    deviations: list[float]


def fit_scaling(train: pd.DataFrame, method: str = "standard") -> Scaling:
    """Means and standard deviations of the measured columns; one-hot columns stay as they are.

    Args:
        train: the training rows, and no others.
        method: ``standard``, or ``none`` to scale nothing.

    Returns:
        The scaling.

    >>> fit_scaling(pd.DataFrame({"Slope": [2.0, 4.0], "Aspect": [7, 7], "Soil_Type1": [0, 1]}))
    Scaling(columns=['Aspect', 'Slope'], means=[7.0, 3.0], deviations=[1.0, 1.0])
    """
    columns = [q.name for q in QUANTITIES if q.name in train] if method == "standard" else []
    values = train[columns].to_numpy(np.float64)
    constant = values.max(axis=0) == values.min(axis=0)  # its deviation may differ from 0 by rounding
    deviations = np.where(constant, 1.0, values.std(axis=0))
    return Scaling(columns, values.mean(axis=0).tolist(), deviations.tolist())


def apply_scaling(frame: pd.DataFrame, scaling: Scaling) -> pd.DataFrame:
    """Subtract the means and divide by the deviations.

    Args:
        frame: rows of any part.
        scaling: fitted on the training rows.

    Returns:
        A table with the scaled columns in place of the measured ones.

    >>> apply_scaling(pd.DataFrame({"Slope": [6], "Cover_Type": [5]}), Scaling(["Slope"], [3.0], [2.0]))
       Slope  Cover_Type
    0    1.5           5
    """
    scaled = (frame[scaling.columns] - scaling.means) / scaling.deviations
    return frame.assign(**{name: scaled[name] for name in scaling.columns})


def cap(frame: pd.DataFrame, limit: int, seed: int) -> pd.DataFrame:
    """Limit the rows of each class. For training rows: a test set keeps the shares of the world.

    Args:
        frame: features and target.
        limit: most rows of one class, 0 for no limit.
        seed: of the choice; what is kept of one class does not depend on the others.

    Returns:
        The kept rows in their order.

    >>> cap(pd.DataFrame({"Cover_Type": [1, 1, 1, 2]}), 2, seed=0)["Cover_Type"].tolist()
    [1, 1, 2]
    """
    return choose(frame, dict.fromkeys(frame[TARGET].unique(), limit), seed) if limit else frame


def choose(frame: pd.DataFrame, most: Mapping[int, int], seed: int) -> pd.DataFrame:
    """Draw rows of each class.

    Args:
        frame: features and target.
        most: rows of each class, where there are fewer, all; none of a class that is not named.
        seed: of the draw.

    Returns:
        The drawn rows in their order.
    """
    codes = frame[TARGET].to_numpy()
    kept = [
        np.random.default_rng([seed, int(code) % 2**32]).permutation(np.flatnonzero(codes == code))[:rows]
        for code, rows in most.items()
    ]
    return frame.iloc[np.sort(np.concatenate(kept))]


def allot(counts: Sequence[int], rows: int) -> list[int]:
    """Allot rows to classes in proportion to their counts, with an exact sum.

    Args:
        counts: of the classes in the whole.
        rows: to allot.

    Returns:
        Rows of each class; what rounding leaves over goes to those that lost most by it.

    >>> allot([500, 301, 199], 10)
    [5, 3, 2]
    """
    exact = np.array(counts) * (rows / sum(counts))
    allotted = np.floor(exact).astype(int)
    allotted[np.argsort(allotted - exact, kind="stable")[: rows - allotted.sum()]] += 1
    return [int(n) for n in allotted]


def take(frame: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    """Draw rows, each class in the share that it has.

    Args:
        frame: features and target.
        rows: to draw, 0 for all.
        seed: of the draw.

    Returns:
        The drawn rows in their order.

    Raises:
        ProjectError: there are fewer, or one has no class.
    """
    if rows > len(frame):
        raise ProjectError(f"data.rows={rows}: the source has {len(frame)} rows; 0 takes all")
    if rows in (0, len(frame)):
        return frame
    if frame[TARGET].isna().any():
        row = frame.index[frame[TARGET].isna()][0]
        raise ProjectError(
            f"{TARGET} is missing in row {row}: rows can't be drawn by class; correct it, or data.rows=0"
        )
    counts = frame[TARGET].value_counts().sort_index()
    return choose(frame, dict(zip(counts.index, allot(counts.tolist(), rows), strict=True)), seed)


def as_imbalanced(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Draw the largest sample with the class shares of the whole data set, where lodgepole is 103 times cottonwood.

    Args:
        frame: rows with other class shares, such as the balanced subset.
        seed: of the draw.

    Returns:
        The drawn rows in their order; at least one of each class.

    Raises:
        ProjectError: a class has no row.
    """
    counts = frame[TARGET].value_counts()
    for code in CLASSES:
        if code not in counts:
            raise ProjectError(_missing(code, 0, "any sample"))
    whole = dict(zip(CLASSES, COUNTS, strict=True))
    scarce = min(CLASSES, key=lambda code: counts[code] / whole[code])
    most = {code: max(1, n * int(counts[scarce]) // whole[scarce]) for code, n in whole.items()}
    return choose(frame, most, seed)


def to_tensors(frame: pd.DataFrame) -> dict[str, torch.Tensor]:
    """A table as the two tensors that a network takes.

    Args:
        frame: features and target.

    Returns:
        ``features``, float32 ``(rows, columns)`` in the order of the table, and ``labels``, int64 ``(rows,)`` from 0.

    >>> to_tensors(pd.DataFrame({"Slope": [1.5], "Cover_Type": [5]}))
    {'features': tensor([[1.5000]]), 'labels': tensor([4])}
    """
    import torch  # takes a second, and no other stage of the data needs it

    features = frame.drop(columns=TARGET).to_numpy(np.float32)
    labels = frame[TARGET].to_numpy(np.int64) - 1
    return {"features": torch.from_numpy(features.copy()), "labels": torch.from_numpy(labels)}
