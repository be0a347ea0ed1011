"""Metrics of a flood map: counts, scores, confusion matrices, and which pixels to count.

Two conventions hold everywhere. A confusion matrix has rows for the truth and columns for the prediction.
A score that is 0/0 is undefined and is NaN: means leave it out and say how many values they kept.
Means over events are in ``events``, thresholds in ``curves``. Explained in ``04_measure_performance``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ml4ops_helpers.scenes.sentinel2 import CLASS_NAMES, CLOUD, INVALID, LAND, PERMANENT_WATER, WATER

Bool = NDArray[np.bool_]
Number = NDArray[np.float64]

CLASS_CODES: tuple[int, ...] = (LAND, WATER, CLOUD)
SCORES: tuple[str, ...] = ("precision", "recall", "f1", "iou")
TRUE_NEGATIVE, FALSE_POSITIVE, FALSE_NEGATIVE, TRUE_POSITIVE, LEFT_OUT = 0, 1, 2, 3, 255
"""Codes of ``error_map``."""


class Counts(NamedTuple):
    """Pixels of a two-class problem by truth and prediction."""

    tp: int
    fp: int
    fn: int
    tn: int


def as_mask(name: str, values: ArrayLike, shape: tuple[int, ...] | None = None) -> Bool:
    """Check that an array is boolean and has the shape wanted.

    Args:
        name: what to call it in the error.
        values: the array.
        shape: the shape wanted, if any.

    Raises:
        ValueError: the array holds anything but booleans (class codes, most often), or has another shape.

    >>> as_mask("truth", [True, False])
    array([ True, False])
    """
    mask: Bool = np.asarray(values)
    if mask.dtype != np.bool_:
        raise ValueError(f"{name} holds {mask.dtype}, expected booleans; compare it first, for example {name} == WATER")
    if shape is not None and mask.shape != shape:
        raise ValueError(f"{name} has shape {mask.shape}, expected {shape}; put both on the same grid")
    return mask


def error_map(truth: ArrayLike, prediction: ArrayLike, mask: ArrayLike | None = None) -> NDArray[np.uint8]:
    """Where a two-class map is right and wrong.

    Args:
        truth: boolean, any shape: is water.
        prediction: boolean, same shape: was called water.
        mask: boolean, same shape: pixels that count; all by default.

    Returns:
        uint8 of that shape: 0 true negative, 1 false positive, 2 false negative, 3 true positive, 255 left out.

    Raises:
        ValueError: an array is not boolean, or shapes differ.

    >>> error_map([True, True, False, False], [True, False, True, False]).tolist()
    [3, 2, 1, 0]
    """
    t = as_mask("truth", truth)
    errors = (2 * t + as_mask("prediction", prediction, t.shape)).astype(np.uint8)
    if mask is not None:
        errors[~as_mask("mask", mask, t.shape)] = LEFT_OUT
    return errors


def binary_counts(truth: ArrayLike, prediction: ArrayLike, mask: ArrayLike | None = None) -> Counts:
    """True and false positives and negatives of a two-class map.

    Args:
        truth: boolean, any shape: is water.
        prediction: boolean, same shape: was called water.
        mask: boolean, same shape: pixels that count; all by default. To mask cloud, leave its pixels out here.

    Raises:
        ValueError: an array is not boolean, or shapes differ.

    >>> binary_counts([True, True, False, False], [True, False, True, False], mask=[True, True, True, False])
    Counts(tp=1, fp=1, fn=1, tn=0)
    """
    errors = error_map(truth, prediction, mask)
    codes = (TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE, TRUE_NEGATIVE)
    return Counts(*(int(np.count_nonzero(errors == code)) for code in codes))


def flood_water(observed: ArrayLike, permanent: ArrayLike) -> Bool:
    """Flood water: the water observed that is not permanent water. Seasonal water counts as flood.

    Args:
        observed: boolean, any shape: water was seen.
        permanent: codes of the JRC layer, same shape: 0 and 1 land, 2 seasonal, 3 permanent water.

    Raises:
        ValueError: ``observed`` is not boolean, shapes differ, or a code is none of the layer's.

    >>> flood_water([True, True, True, False], [0, 2, 3, 3]).tolist()
    [True, True, False, False]
    """
    layer = _codes("permanent", permanent)
    return np.asarray(as_mask("observed", observed, layer.shape) & (layer != PERMANENT_WATER))


def boundary_band(mask: ArrayLike, width: float) -> Bool:
    """Pixels near the edge between the two sides of a mask, where most errors of a map lie.

    Args:
        mask: boolean ``(height, width)``, for example the true water.
        width: how far from the other side a pixel may be, pixels between centres; 1 keeps the two rows that touch.

    Returns:
        Boolean of the same shape; False everywhere if the mask has only one side.

    Raises:
        ValueError: the mask is not boolean, or ``width`` is not positive.

    Source: Cheng et al. 2021, Boundary IoU (CVPR), with a band on both sides of the edge.

    >>> boundary_band([[True, True, False, False]], 1).tolist()
    [[False, True, True, False]]
    """
    side = as_mask("mask", mask)
    if not width > 0:
        raise ValueError(f"the band is {width} pixels wide, expected more than 0")
    if side.all() or not side.any():
        return np.zeros_like(side)
    from scipy import ndimage

    distance = ndimage.distance_transform_edt(side) + ndimage.distance_transform_edt(~side)
    return np.asarray(distance <= width)


def _ratio(part: ArrayLike, whole: ArrayLike) -> Number:
    numerator, denominator = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    undefined = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    return np.asarray(np.divide(numerator, denominator, out=undefined, where=denominator != 0))


def precision(tp: ArrayLike, fp: ArrayLike) -> Number:
    """Share of the pixels called water that are water, TP / (TP + FP); NaN where none was called water.

    >>> precision([3, 0], [1, 0]).tolist()
    [0.75, nan]
    """
    return _ratio(tp, np.add(tp, fp))


def recall(tp: ArrayLike, fn: ArrayLike) -> Number:
    """Share of the water that was found, TP / (TP + FN); NaN where there is no water.

    >>> recall([3, 0], [1, 0]).tolist()
    [0.75, nan]
    """
    return _ratio(tp, np.add(tp, fn))


def false_positive_rate(fp: ArrayLike, tn: ArrayLike) -> Number:
    """Share of the land that was called water, FP / (FP + TN); NaN where there is no land.

    >>> false_positive_rate(1, 3).item()
    0.25
    """
    return _ratio(fp, np.add(fp, tn))


def f1(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> Number:
    """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN) (Dice 1945); NaN where all three are 0.

    >>> f1(2, 1, 1).item()
    0.6666666666666666
    """
    twice = np.multiply(2, tp)
    return _ratio(twice, np.add(np.add(twice, fp), fn))


def iou(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> Number:
    """Intersection over union, TP / (TP + FP + FN) (Jaccard 1912); NaN where all three are 0.

    >>> iou([2, 0], [1, 0], [1, 0]).tolist()
    [0.5, nan]
    """
    return _ratio(tp, np.add(np.add(tp, fp), fn))


def _codes(name: str, values: ArrayLike) -> NDArray[np.integer[Any]]:
    codes = np.asarray(values)
    if not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(f"{name} holds {codes.dtype}, expected integer class codes 0 to {CLOUD}")
    if codes.size and (codes.min() < INVALID or codes.max() > CLOUD):
        raise ValueError(f"{name} holds codes {codes.min()} to {codes.max()}, expected 0 to {CLOUD}")
    return codes


def confusion_matrix(
    truth: ArrayLike, prediction: ArrayLike, classes: Sequence[int] = CLASS_CODES
) -> NDArray[np.int64]:
    """Confusion matrix of class codes: rows are the truth, columns the prediction.

    Args:
        truth: integer codes, any shape: 0 invalid, 1 land, 2 water, 3 cloud.
            Pixels whose truth is not one of ``classes`` are left out, invalid ones always.
        prediction: integer codes, same shape.
        classes: the classes that count, in the order of the rows and columns.

    Returns:
        int64 ``(classes, classes)``: element ``[i, j]`` counts pixels of class ``i`` that were called ``j``.

    Raises:
        ValueError: codes are unknown, shapes differ, or a pixel that counts was called something else than ``classes``.

    >>> confusion_matrix([1, 1, 2, 3, 0], [1, 2, 2, 1, 1]).tolist()
    [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    """
    t, p = _codes("truth", truth), _codes("prediction", prediction)
    if t.shape != p.shape:
        raise ValueError(f"truth has shape {t.shape} and prediction {p.shape}; put both on the same grid")
    if not set(classes) <= set(CLASS_CODES) or len(set(classes)) != len(classes):
        raise ValueError(f"classes are {tuple(classes)}, expected different codes of {CLASS_CODES}")
    n = len(classes)
    row = np.full(CLOUD + 1, n, np.uint8)
    row[list(classes)] = range(n)
    counts = np.bincount((row[t] * (n + 1) + row[p]).ravel(), minlength=(n + 1) ** 2).reshape(n + 1, n + 1)
    if counts[:n, n].any():
        lost = f"{counts[:n, n].sum()} pixels of class {tuple(classes)} were called something else"
        raise ValueError(f"{lost}; set their truth to 0 to leave them out, or use binary_counts")
    return counts[:n, :n].astype(np.int64)


@dataclass(eq=False)
class Confusion:
    """Confusion matrix that grows batch by batch; the order and size of the batches do not matter.

    Attributes:
        classes: the codes that count, in the order of the rows and columns.
        matrix: int64 ``(classes, classes)``, rows truth, columns prediction.

    >>> confusion = Confusion()
    >>> confusion.update([1, 1, 2], [1, 2, 2])
    >>> confusion.scores()["iou"].tolist()
    [0.5, 0.5, nan]
    """

    classes: tuple[int, ...] = CLASS_CODES
    matrix: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.matrix = np.zeros((len(self.classes), len(self.classes)), np.int64)

    def update(self, truth: ArrayLike, prediction: ArrayLike) -> None:
        """Count a batch; arguments and errors as for ``confusion_matrix``."""
        self.matrix += confusion_matrix(truth, prediction, self.classes)

    def __add__(self, other: Confusion) -> Confusion:
        if self.classes != other.classes:
            raise ValueError(f"classes {self.classes} and {other.classes} differ; count both with the same")
        total = Confusion(self.classes)
        total.matrix = self.matrix + other.matrix
        return total

    def counts(self, code: int) -> Counts:
        """Counts of one class against all the others."""
        i = self.classes.index(code)
        tp, called, true = self.matrix[i, i], self.matrix[:, i].sum(), self.matrix[i].sum()
        return Counts(int(tp), int(called - tp), int(true - tp), int(self.matrix.sum() - called - true + tp))

    def scores(self) -> pd.DataFrame:
        """Precision, recall, F1 and IoU of each class, NaN where undefined, and the pixel counts behind them.

        Returns:
            One row a class, by name, with also ``support`` (pixels of that class) and ``predicted``.
        """
        names = pd.Index([CLASS_NAMES[c] for c in self.classes], name="class")
        table = score_table(pd.DataFrame([self.counts(c) for c in self.classes], names))
        return table[list(SCORES)].assign(support=table["tp"] + table["fn"], predicted=table["tp"] + table["fp"])


def score_table(counts: pd.DataFrame) -> pd.DataFrame:
    """Add precision, recall, F1 and IoU to a table with columns ``tp``, ``fp`` and ``fn``.

    Raises:
        ValueError: a column is missing.
    """
    if missing := {"tp", "fp", "fn"} - set(counts.columns):
        raise ValueError(f"the table lacks the columns {', '.join(sorted(missing))}")
    tp, fp, fn = (counts[c].to_numpy() for c in ("tp", "fp", "fn"))
    return counts.assign(precision=precision(tp, fp), recall=recall(tp, fn), f1=f1(tp, fp, fn), iou=iou(tp, fp, fn))
