"""Does an uncertainty find the errors of a map? Error detection, risk against coverage, and rejection.

Counts of right and wrong pixels by their uncertainty grow scene by scene. Explained in ``06_quantify_uncertainty``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ml4ops_helpers.evaluation.curves import ScoreHistogram
from ml4ops_helpers.evaluation.metrics import as_mask, iou

LN_2 = float(np.log(2))
"""Largest entropy, and largest mutual information, of two classes, in nats."""


@dataclass(eq=False)
class SelectiveHistogram:
    """Pixels by what they are, what they were called, and how uncertain that was.

    Attributes:
        limit: the largest value the uncertainty can take.
        called_water: of pixels called water, those that are (positives) and are not (negatives).
        called_land: the same of pixels called land.

    >>> counts = SelectiveHistogram(limit=1)
    >>> counts.update([True, True, False, False], [True, False, False, False], [0.1, 0.9, 0.2, 0.3])
    >>> counts.error_auroc()
    1.0
    """

    limit: float = LN_2
    called_water: ScoreHistogram = field(default_factory=ScoreHistogram)
    called_land: ScoreHistogram = field(default_factory=ScoreHistogram)

    def update(
        self, truth: ArrayLike, prediction: ArrayLike, uncertainty: ArrayLike, mask: ArrayLike | None = None
    ) -> None:
        """Count a scene: truth, prediction and mask boolean, of one shape; uncertainty 0 to ``limit``.

        Raises:
            ValueError: an array is not boolean, shapes differ, or an uncertainty that counts is NaN or out of range.
        """
        called = as_mask("prediction", prediction)
        kept = np.ones_like(called) if mask is None else as_mask("mask", mask, called.shape)
        with np.errstate(invalid="ignore"):  # the root spreads out the many small values
            score = np.sqrt(np.asarray(uncertainty, np.float32) / np.float32(self.limit))
        self.called_water.update(truth, score, kept & called)
        self.called_land.update(truth, score, kept & ~called)

    def error_auroc(self) -> float:
        """Probability that a wrong pixel is more uncertain than a right one; 0.5 is chance, NaN without errors."""
        wrong = self.called_water.negatives + self.called_land.positives
        right = self.called_water.positives + self.called_land.negatives
        return ScoreHistogram(wrong, right).auc()

    def rejection(self) -> pd.DataFrame:
        """What remains when the most uncertain pixels are rejected, from none to all but the surest.

        Returns:
            Columns ``coverage`` (share of the pixels kept), ``risk`` (share of the kept that are wrong) and ``iou`` of
            water among the kept (NaN without water); one row for each step of uncertainty that occurs.
        """
        wet, dry = self.called_water, self.called_land
        tp, fp, fn, tn = map(np.cumsum, (wet.positives, wet.negatives, dry.positives, dry.negatives))
        kept = tp + fp + fn + tn
        steps = np.flatnonzero(np.diff(kept, prepend=0))[::-1]
        tp, fp, fn, kept = (x[steps] for x in (tp, fp, fn, kept))
        shares = {"coverage": kept / max(kept.max(initial=0), 1), "risk": (fp + fn) / kept}
        return pd.DataFrame(shares).assign(iou=iou(tp, fp, fn))

    def kept(self, coverage: float) -> pd.Series[float]:
        """The row of ``rejection`` that keeps at least this share of the pixels, and as few more as it can.

        Raises:
            ValueError: there is no pixel, or ``coverage`` is not a share above 0.
        """
        table = self.rejection()
        if table.empty or not 0 < coverage <= 1:
            raise ValueError(f"coverage {coverage} of {len(table)} steps: pass a share above 0, after counting a scene")
        return table[table["coverage"] >= coverage].iloc[-1]

    def area_under_risk(self) -> float:
        """Mean risk over all coverages (AURC, Geifman et al. 2019): lower is better; NaN without pixels."""
        table = self.rejection()
        if table.empty:
            return float("nan")
        coverage, risk = np.append(table["coverage"], 0), np.append(table["risk"], table["risk"].iloc[-1])
        return float(-np.trapezoid(risk, coverage))


def best_risk(coverage: ArrayLike, error_rate: float) -> np.ndarray:
    """Risk at each coverage if the errors were known and rejected first: a bound for every uncertainty.

    >>> best_risk([1.0, 0.9, 0.8], 0.1).round(2).tolist()
    [0.1, 0.0, 0.0]
    """
    kept = np.asarray(coverage, np.float64)
    return np.maximum(kept - (1 - error_rate), 0) / kept
