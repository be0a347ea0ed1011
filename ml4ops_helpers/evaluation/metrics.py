"""Metrics of a flood map: counts, scores, confusion matrices, and which pixels to count.

Two conventions hold everywhere. A confusion matrix has rows for the truth and columns for the prediction.
A score that is 0/0 is undefined and NaN: means ignore it and report how many values they kept.
Means over events are in ``events``, thresholds in ``curves``. Explained in ``04_measure_performance``.
"""

from __future__ import annotations

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
    """The array ``name``, if it is boolean and has the shape wanted; else ``ValueError``.

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
    """Where a two-class map is right and wrong; arguments and errors as for ``binary_counts``.

    Returns:
        uint8 of that shape: 0 true negative, 1 false positive, 2 false negative, 3 true positive, 255 not counted.

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
        mask: boolean, same shape: pixels that count; all by default.

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
        permanent: codes of the JRC layer, same shape: 0 no observation, 1 not water, 2 seasonal, 3 permanent.

    >>> flood_water([True, True, True, False], [0, 2, 3, 3]).tolist()
    [True, True, False, False]
    """
    layer = _codes("permanent", permanent)
    return np.asarray(as_mask("observed", observed, layer.shape) & (layer != PERMANENT_WATER))


def boundary_band(mask: ArrayLike, width: float) -> Bool:
    """Pixels near the edge between the two sides of a mask, where most errors of a map lie.

    Args:
        mask: boolean ``(height, width)``, for example the true water.
        width: largest distance to the other side, pixels between centres; 1 keeps the two rows that touch.

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
    """Share of the land that was called water, FP / (FP + TN); NaN where there is no land."""
    return _ratio(fp, np.add(fp, tn))


def f1(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> Number:
    """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN) (Dice 1945); NaN where all three are 0."""
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


@dataclass(eq=False)
class Confusion:
    """Confusion matrix of land, water and cloud; the order and size of the batches do not matter.

    Attributes:
        matrix: int64 ``(3, 3)``: element ``[i, j]`` counts pixels of class ``i`` that were called ``j``.

    >>> confusion = Confusion()
    >>> confusion.update([1, 1, 2, 0], [1, 2, 2, 1])
    >>> confusion.scores()["iou"].tolist()
    [0.5, 0.5, nan]
    """

    matrix: NDArray[np.int64] = field(default_factory=lambda: np.zeros((len(CLASS_CODES),) * 2, np.int64))

    def update(self, truth: ArrayLike, prediction: ArrayLike) -> None:
        """Count a batch.

        Args:
            truth: integer codes, any shape: 0 invalid, which is not counted, 1 land, 2 water, 3 cloud.
            prediction: integer codes, same shape.

        Raises:
            ValueError: codes are unknown, shapes differ, or a pixel with a valid truth was called invalid.
        """
        t, p = _codes("truth", truth), _codes("prediction", prediction)
        if t.shape != p.shape:
            raise ValueError(f"truth has shape {t.shape} and prediction {p.shape}; put both on the same grid")
        n = CLOUD + 1
        counts = np.bincount((t * n + p).ravel(), minlength=n * n).reshape(n, n)[LAND:]
        if invalid := counts[:, INVALID].sum():
            raise ValueError(f"{invalid} pixels of known truth were called invalid; exclude them: set their truth to 0")
        self.matrix += counts[:, LAND:]

    def counts(self, code: int) -> Counts:
        """Counts of one class against all the others."""
        i = CLASS_CODES.index(code)
        tp, called, true = self.matrix[i, i], self.matrix[:, i].sum(), self.matrix[i].sum()
        return Counts(int(tp), int(called - tp), int(true - tp), int(self.matrix.sum() - called - true + tp))

    def scores(self) -> pd.DataFrame:
        """Precision, recall, F1 and IoU of each class, NaN where undefined, and the pixel counts behind them.

        Returns:
            One row per class, with also ``support`` (pixels of that class) and ``predicted``.
        """
        names = pd.Index([CLASS_NAMES[c] for c in CLASS_CODES], name="class")
        table = score_table(pd.DataFrame([self.counts(c) for c in CLASS_CODES], names))
        return table[list(SCORES)].assign(support=table["tp"] + table["fn"], predicted=table["tp"] + table["fp"])


def score_table(counts: pd.DataFrame) -> pd.DataFrame:
    """Add precision, recall, F1 and IoU to a table with columns ``tp``, ``fp`` and ``fn``."""
    tp, fp, fn = (counts[c].to_numpy() for c in ("tp", "fp", "fn"))
    return counts.assign(precision=precision(tp, fp), recall=recall(tp, fn), f1=f1(tp, fp, fn), iou=iou(tp, fp, fn))
