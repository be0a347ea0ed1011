"""Calibration of probabilities: reliability, proper scores, and a temperature that corrects them.

Everything is computed from a ``ScoreHistogram`` of the probability of water, which grows scene by scene; a pixel counts
with the middle of its step, 1/65 536 wide. Scenes of one event are alike, so a fit gives each event the same weight.
Explained in ``06_quantify_uncertainty``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from ml4ops_helpers.evaluation.curves import BINS, ScoreHistogram
from ml4ops_helpers.scenes.sentinel2 import Float

if TYPE_CHECKING:
    from ml4ops_helpers.evaluation.metrics import Number

RELIABILITY_BINS = 15
"""Bins of a reliability diagram, as in Guo et al. 2017."""
HOTTEST = 20.0
"""Temperatures are looked for between this and its inverse."""
MIDDLES = np.append((np.arange(BINS) + 0.5) / BINS, 1 - 0.25 / BINS)  # the last step holds scores of exactly 1
"""Probability with which the pixels of each step of a histogram count."""


def scale_temperature(probability: ArrayLike, temperature: float) -> Float:
    """Divide the logit of a probability by a temperature, above 0: above 1 it is more cautious; the order stays.

    Source: Guo et al. 2017, On calibration of modern neural networks.

    >>> scale_temperature([0.5, 0.9], 2).round(3).tolist()
    [0.5, 0.75]
    """
    if not temperature > 0:
        raise ValueError(f"temperature {temperature}: give a number above 0")
    return np.asarray(expit(logit(np.asarray(probability, np.float64)) / temperature), np.float32)


def fit_temperature(histograms: Mapping[str, ScoreHistogram]) -> float:
    """Temperature with the lowest mean log loss over events, each with the same weight; ``ValueError`` without pixels.

    >>> histogram = ScoreHistogram()
    >>> histogram.update([True, True, True, False], [0.9, 0.9, 0.9, 0.9])  # states 0.9, is right in 3 of 4
    >>> round(fit_temperature({"event": histogram}), 2)
    2.0
    """
    counted = [h for h in histograms.values() if _pixels(h).any()]
    if not counted:
        raise ValueError("no event has a pixel, so no temperature can be fitted; use labelled validation events")

    def loss(log_temperature: float) -> float:
        return float(np.mean([log_loss(h, float(np.exp(log_temperature))) for h in counted]))

    limit = np.log(HOTTEST)
    return float(np.exp(minimize_scalar(loss, bounds=(-limit, limit), method="bounded", options={"xatol": 1e-4}).x))


def _pixels(histogram: ScoreHistogram) -> Number:
    return np.asarray(histogram.positives + histogram.negatives, np.float64)


def log_loss(histogram: ScoreHistogram, temperature: float = 1.0) -> float:
    """Mean negative log-likelihood of the truth, in nats; a proper score: the true probabilities have the lowest.

    NaN without pixels. A pixel that was certain and wrong costs about 12, the most a step can resolve.

    >>> histogram = ScoreHistogram()
    >>> histogram.update([True], [0.5])
    >>> round(log_loss(histogram), 3)
    0.693
    """
    z, total = logit(MIDDLES) / temperature, _pixels(histogram).sum()
    surprise = histogram.positives @ np.logaddexp(0, -z) + histogram.negatives @ np.logaddexp(0, z)
    return float(surprise / total) if total else float("nan")


def brier_score(histogram: ScoreHistogram, temperature: float = 1.0) -> float:
    """Mean squared distance from probability to truth, 0 to 1 (Brier 1950); a proper score; NaN without pixels."""
    p, total = expit(logit(MIDDLES) / temperature), _pixels(histogram).sum()
    distance = histogram.positives @ (1 - p) ** 2 + histogram.negatives @ p**2
    return float(distance / total) if total else float("nan")


def reliability(histogram: ScoreHistogram, temperature: float = 1.0, bins: int = RELIABILITY_BINS) -> pd.DataFrame:
    """Stated probability against observed frequency, for bins of equal width.

    Returns:
        One row per bin: ``low``, ``high``, ``pixels``, mean ``probability`` and ``frequency`` of water (NaN: empty).

    >>> histogram = ScoreHistogram()
    >>> histogram.update([True, False, True, True], [0.2, 0.2, 0.8, 0.8])
    >>> reliability(histogram, bins=2).round(2).values.tolist()
    [[0.0, 0.5, 2.0, 0.2, 0.5], [0.5, 1.0, 2.0, 0.8, 1.0]]
    """
    p = expit(logit(MIDDLES) / temperature)
    place = np.minimum((p * bins).astype(int), bins - 1)
    weight = _pixels(histogram)
    pixels, stated, water = (np.bincount(place, w, bins) for w in (weight, weight * p, histogram.positives))
    edges = np.arange(bins + 1) / bins
    columns = {"low": edges[:-1], "high": edges[1:], "pixels": pixels.astype(np.int64)}
    with np.errstate(invalid="ignore"):
        return pd.DataFrame(columns | {"probability": stated / pixels, "frequency": water / pixels})


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Mean distance of probability and frequency, bins weighted by their pixels (ECE, Naeini et al. 2015).

    Where bins are small, chance alone makes it larger than 0: see ``debiased_calibration_error``.

    Args:
        table: from ``reliability``; NaN where it has no pixel.

    >>> expected_calibration_error(pd.DataFrame({"pixels": [3, 1], "probability": [0.25, 0.5], "frequency": [0, 1]}))
    0.3125
    """
    full = table[table["pixels"] > 0]
    gap = (full["probability"] - full["frequency"]).abs()
    return float((gap * full["pixels"]).sum() / full["pixels"].sum()) if len(full) else float("nan")


def debiased_calibration_error(table: pd.DataFrame) -> float:
    """Root mean squared distance of probability and frequency, less what chance adds in bins of so few pixels.

    It assumes independent pixels. Neighbours are alike, so it subtracts too little: resample events to see how sure
    the number is. 0 where chance explains all; NaN where no bin has two pixels.

    Args:
        table: from ``reliability``; bins of fewer than two pixels are ignored.

    Source: Kumar, Liang & Ma 2019, Verified uncertainty calibration.

    >>> table = pd.DataFrame({"pixels": [5], "probability": [0.5], "frequency": [0.6]})
    >>> expected_calibration_error(table).__round__(2), debiased_calibration_error(table)
    (0.1, 0.0)
    """
    full = table[table["pixels"] > 1]
    if full.empty:
        return float("nan")
    chance = full["frequency"] * (1 - full["frequency"]) / (full["pixels"] - 1)
    square = (full["probability"] - full["frequency"]) ** 2 - chance
    return float(np.sqrt(max((square * full["pixels"]).sum() / full["pixels"].sum(), 0.0)))


def calibration_table(histograms: Iterable[tuple[str, ScoreHistogram, float]]) -> pd.DataFrame:
    """``ECE``, ``debiased``, ``Brier``, ``NLL`` and ``temperature`` of each candidate: name, histogram, temperature."""
    rows = {}
    for name, histogram, temperature in histograms:
        table = reliability(histogram, temperature)
        rows[name] = {
            "ECE": expected_calibration_error(table),
            "debiased": debiased_calibration_error(table),
            "Brier": brier_score(histogram, temperature),
            "NLL": log_loss(histogram, temperature),
            "temperature": temperature,
        }
    return pd.DataFrame(rows).T
