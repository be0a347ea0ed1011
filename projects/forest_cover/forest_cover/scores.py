"""How good predictions are: scores in which a rare class counts as much as a frequent one, and calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forest_cover.columns import CLASSES, LABELS

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
"""Classes 0 to 6, as tensors hold them."""


def confusion(truth: Labels, predicted: Labels, classes: int = len(LABELS)) -> Counts:
    """Rows of each true class (down) that were predicted as each class (across).

    Args:
        truth: ``(rows,)``, 0 to ``classes - 1``.
        predicted: likewise.
        classes: how many there are.

    Returns:
        ``(classes, classes)``.

    Example:
        >>> confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), classes=2).tolist()
        [[1, 1], [0, 1]]
    """
    return np.bincount(truth * classes + predicted, minlength=classes**2).reshape(classes, classes)


def recall(counts: Counts) -> Floats:
    """Share of each true class that was found; NaN for a class without rows.

    Args:
        counts: from ``confusion``.

    Example:
        >>> recall(np.array([[1, 1], [0, 1]])).tolist()
        [0.5, 1.0]
    """
    return _ratio(np.diag(counts), counts.sum(axis=1))


def f1(counts: Counts) -> Floats:
    """F1 of each class: twice the hits over true plus predicted rows; NaN for a class that is in neither.

    Args:
        counts: from ``confusion``.

    Example:
        >>> f1(np.array([[1, 1], [0, 1]])).round(3).tolist()
        [0.667, 0.667]
    """
    return _ratio(2 * np.diag(counts), counts.sum(axis=0) + counts.sum(axis=1))


def _ratio(part: Counts, whole: Counts) -> Floats:
    found: Floats = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return found


def scores(truth: Labels, probabilities: Floats) -> dict[str, float]:
    """The numbers by which models are compared.

    Args:
        truth: ``(rows,)``, 0 to 6.
        probabilities: ``(rows, 7)``; the most probable class is the prediction.

    Returns:
        ``macro_f1`` (mean over classes that occur in truth or prediction), ``balanced_accuracy`` (mean recall of the
        classes that occur), ``accuracy`` and ``ece`` (expected calibration error).
    """
    counts = confusion(truth, probabilities.argmax(axis=1), probabilities.shape[1])
    return {
        "macro_f1": float(np.nanmean(f1(counts))),
        "balanced_accuracy": float(np.nanmean(recall(counts))),
        "accuracy": float(np.trace(counts) / counts.sum()),
        "ece": calibration_error(reliability(truth, probabilities)),
    }


def reliability(truth: Labels, probabilities: Floats, bins: int = 10) -> pd.DataFrame:
    """How often predictions of each confidence are right. Confidence is the probability of the predicted class.

    Args:
        truth: ``(rows,)``, 0 to 6.
        probabilities: ``(rows, 7)``.
        bins: of equal width between 0 and 1; a value on an edge belongs to the bin above.

    Returns:
        A row for each bin that holds predictions: ``low``, ``high``, ``rows``, ``confidence`` (mean), ``accuracy``.
    """
    confidence = probabilities.max(axis=1)
    table = pd.DataFrame(
        {
            "bin": np.minimum((confidence * bins).astype(int), bins - 1),
            "confidence": confidence,
            "accuracy": probabilities.argmax(axis=1) == truth,
        }
    )
    grouped = table.groupby("bin").agg(
        rows=("confidence", "size"), confidence=("confidence", "mean"), accuracy=("accuracy", "mean")
    )
    edges = pd.DataFrame({"low": grouped.index / bins, "high": (grouped.index + 1) / bins}, index=grouped.index)
    return edges.join(grouped).reset_index(drop=True)


def calibration_error(table: pd.DataFrame) -> float:
    """Expected calibration error: mean distance of confidence and accuracy over rows (Guo et al. 2017).

    The paper is arXiv:1706.04599.

    Args:
        table: from ``reliability``.

    Example:
        >>> calibration_error(pd.DataFrame({"rows": [3, 1], "confidence": [0.9, 0.5], "accuracy": [0.8, 0.5]}))
        0.075
    """
    gap = (table["confidence"] - table["accuracy"]).abs()
    return round(float((gap * table["rows"]).sum() / table["rows"].sum()), 12)


def class_table(counts: Counts) -> pd.DataFrame:
    """Recall and F1 of each class by its name.

    Args:
        counts: from ``confusion``, 7 by 7.

    Returns:
        Columns ``class`` (1 to 7), ``name``, ``rows``, ``recall``, ``f1``.
    """
    content: dict[str, Any] = {"class": CLASSES, "name": LABELS, "rows": counts.sum(axis=1)}
    return pd.DataFrame(content | {"recall": recall(counts), "f1": f1(counts)})
