"""Curves over every threshold, from a histogram of the score that grows batch by batch.

The score is quantised to 65 536 steps, so a curve over any number of pixels needs about a megabyte and no sorting.
A pixel is called water where ``score >= threshold``. Explained in ``04_measure_performance``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ml4ops_helpers.evaluation.metrics import Counts, Number, as_mask, false_positive_rate, precision, recall

BINS = 65_536
"""Steps of the score. A power of two: multiplying by it is exact, so ``score >= k / BINS`` is decided exactly."""
_SLOTS = BINS + 1  # one more, for a score of exactly 1
_CHUNK = 1 << 18  # pixels counted at a time: the buffers stay in the processor's cache


def _zeros() -> NDArray[np.int64]:
    return np.zeros(_SLOTS, np.int64)


def _count(truth: NDArray[np.bool_], score: NDArray[Any]) -> NDArray[np.int64]:
    """Histogram of one chunk: land in the first ``_SLOTS`` places, water in the rest."""
    if score.size and not (score.min() >= 0 and score.max() <= 1):
        raise ValueError(
            f"scores span {score.min()} to {score.max()}, expected 0 to 1; exclude pixels without a prediction (NaN) "
            "by mask=, rescale an index"
        )
    slot = (score * np.float32(BINS)).astype(np.int32)
    slot += truth * np.int32(_SLOTS)
    return np.bincount(slot, minlength=2 * _SLOTS)


@dataclass(eq=False)
class ScoreHistogram:
    """Histogram of a score by truth; the order and size of the batches do not matter.

    A threshold ``k / 65536`` is exact; any other acts as the next step above it. Curves have a point at every occupied
    step, and are straight between points. Areas are those of the unrounded score to about a millionth, less closely
    where an overconfident model piles its scores up within a step of 0 or 1.

    Attributes:
        positives: int64 ``(65537,)``: water pixels whose score lies in each step; the last holds scores of exactly 1.
        negatives: the same for land pixels.

    >>> histogram = ScoreHistogram()
    >>> histogram.update([True, True, False, False], [0.75, 0.25, 0.5, 0.25])
    >>> histogram.counts_at(0.5)
    Counts(tp=1, fp=1, fn=1, tn=1)
    """

    positives: NDArray[np.int64] = field(default_factory=_zeros)
    negatives: NDArray[np.int64] = field(default_factory=_zeros)

    def update(self, truth: ArrayLike, score: ArrayLike, mask: ArrayLike | None = None) -> None:
        """Count a batch.

        Args:
            truth: boolean, any shape: is water.
            score: 0 to 1, same shape: probability of water.
            mask: boolean, same shape: pixels that count; all by default.

        Raises:
            ValueError: truth or mask is not boolean, shapes differ, or a score that counts is NaN or outside 0 to 1;
                the histogram then stays as it was.
        """
        s = np.asarray(score)
        operands = [as_mask("truth", truth, s.shape), s]
        if mask is not None:
            operands.append(as_mask("mask", mask, s.shape))
        total = np.zeros(2 * _SLOTS, np.int64)
        chunks = np.nditer(
            operands,
            flags=["external_loop", "buffered", "zerosize_ok"],
            op_flags=[["readonly"]] * len(operands),
            buffersize=_CHUNK,
        )
        for t, x, *kept in chunks:
            total += _count(t[kept[0]], x[kept[0]]) if kept else _count(t, x)
        self.negatives = self.negatives + total[:_SLOTS]
        self.positives = self.positives + total[_SLOTS:]

    def __add__(self, other: ScoreHistogram) -> ScoreHistogram:
        return ScoreHistogram(self.positives + other.positives, self.negatives + other.negatives)

    @property
    def no_skill(self) -> float:
        """Share of water: the precision at every recall of a score without skill. NaN when empty."""
        positives, total = self.positives.sum(), (self.positives + self.negatives).sum()
        return float(positives / total) if total else float("nan")

    def occupied(self) -> Number:
        """Thresholds at which the counts change, from the highest to the lowest."""
        return np.flatnonzero(self.positives + self.negatives)[::-1] / BINS

    def table(self, thresholds: ArrayLike) -> pd.DataFrame:
        """Counts at each threshold: columns ``threshold``, ``tp``, ``fp``, ``fn``, ``tn``.

        Raises:
            ValueError: a threshold is NaN.
        """
        asked = np.atleast_1d(np.asarray(thresholds, np.float64))
        if np.isnan(asked).any():
            raise ValueError("a threshold is NaN; was it chosen where the score is undefined?")
        slot = np.clip(np.ceil(asked * BINS), 0, _SLOTS).astype(np.intp)
        below_p, below_n = (np.concatenate([[0], np.cumsum(h)]) for h in (self.positives, self.negatives))
        fn, tn = below_p[slot], below_n[slot]
        return pd.DataFrame({"threshold": asked, "tp": below_p[-1] - fn, "fp": below_n[-1] - tn, "fn": fn, "tn": tn})

    def counts_at(self, threshold: float) -> Counts:
        """Counts of the map ``score >= threshold``; arguments and error as for ``table``."""
        row = self.table(threshold).iloc[0]
        return Counts(*(int(row[name]) for name in Counts._fields))

    def pr_curve(self, thresholds: ArrayLike | None = None) -> pd.DataFrame:
        """``table`` with ``precision`` and ``recall``, NaN where undefined.

        Args:
            thresholds: 0 to 1; by default every occupied step, from the highest to the lowest.
        """
        points = self.table(self.occupied() if thresholds is None else thresholds)
        return points.assign(precision=precision(points["tp"], points["fp"]), recall=recall(points["tp"], points["fn"]))

    def roc_curve(self) -> pd.DataFrame:
        """``table`` with ``false_positive_rate`` and ``true_positive_rate``, from (0, 0) to (1, 1)."""
        points = self.table(np.concatenate([[np.inf], self.occupied()]))
        return points.assign(
            false_positive_rate=false_positive_rate(points["fp"], points["tn"]),
            true_positive_rate=recall(points["tp"], points["fn"]),
        )

    def average_precision(self) -> float:
        """Area under the precision-recall curve by the trapezoid rule, from precision 1 at recall 0; NaN without water.

        As scikit-learn's ``auc(recall, precision)``; its ``average_precision_score`` is a step sum and differs where
        the curve has few points. Straight lines are optimistic (Davis and Goadrich 2006, doi:10.1145/1143844.1143874).
        """
        curve = self.pr_curve()
        heights, widths = np.append(1.0, curve["precision"]), np.append(0.0, curve["recall"])
        return float(np.trapezoid(heights, widths)) if self.positives.any() else float("nan")

    def auc(self) -> float:
        """Area under the ROC curve by the trapezoid rule; NaN without water or without land."""
        curve = self.roc_curve()
        area = np.trapezoid(curve["true_positive_rate"], curve["false_positive_rate"])
        return float(area) if self.positives.any() and self.negatives.any() else float("nan")


def operating_threshold(histogram: ScoreHistogram, cost_fn: float, cost_fp: float) -> float:
    """Threshold with the lowest total cost of missed floods and false alarms; the highest of equals.

    For a calibrated probability it is near ``cost_fp / (cost_fp + cost_fn)`` (Elkan 2001, The foundations of
    cost-sensitive learning, IJCAI). Where never calling water is cheapest, it is one step above the highest score.

    Args:
        histogram: scores of the validation events; freeze the threshold found on them.
        cost_fn: cost of a missed water pixel, above 0, any unit.
        cost_fp: cost of a land pixel called water, above 0, same unit.

    >>> histogram = ScoreHistogram()
    >>> histogram.update([True, False, True, False], [0.75, 0.5, 0.25, 0.0])
    >>> operating_threshold(histogram, cost_fn=1, cost_fp=3), operating_threshold(histogram, cost_fn=3, cost_fp=1)
    (0.75, 0.25)
    """
    if not (cost_fn > 0 and cost_fp > 0):
        raise ValueError(f"costs are {cost_fn} and {cost_fp}, expected both above 0")
    candidates = histogram.occupied()
    if not candidates.size:
        raise ValueError("the histogram is empty; update it with validation scores first")
    points = histogram.table(np.concatenate([[candidates[0] + 1 / BINS], candidates]))
    cost = cost_fn * points["fn"] + cost_fp * points["fp"]
    return float(points["threshold"].iloc[int(np.argmin(cost))])


def otsu(values: ArrayLike, bins: int = 256) -> float:
    """Threshold that best separates the values into two groups, without labels; NaN are ignored.

    It maximises the variance between the groups over the edges of a histogram; where several edges tie, it is the
    middle of the gap. ``values >= threshold`` is the upper group. Source: Otsu 1979, doi:10.1109/TSMC.1979.4310076.

    >>> otsu([0.0, 0.0, 1.0, 1.0])
    0.5
    """
    x = np.asarray(values, np.float64)
    x = x[~np.isnan(x)]
    if x.size == 0 or not np.isfinite(x).all() or x.min() == x.max():
        raise ValueError("Otsu's threshold needs at least two different, finite values")
    counts, edges = np.histogram(x, bins)
    sums = counts * (edges[:-1] + edges[1:]) / 2
    lower, lower_sum = np.cumsum(counts)[:-1], np.cumsum(sums)[:-1]
    upper, upper_sum = x.size - lower, sums.sum() - lower_sum
    best = int(np.argmax(lower * upper * (lower_sum / lower - upper_sum / upper) ** 2))
    gap_end = best + 1 + int(np.argmax(counts[best + 1 :] > 0))
    return float(edges[best + 1] + edges[gap_end]) / 2
