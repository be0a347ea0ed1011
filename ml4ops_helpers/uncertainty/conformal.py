"""Conformal prediction: sets of classes for a pixel that hold the truth at a stated level.

It measures on the validation events how far off the model was, and allows for as much. The level holds for events like
those, and on average over events, not for each one: always look at the worst. Explained in ``06_quantify_uncertainty``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, SupportsFloat

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ml4ops_helpers.evaluation.curves import ScoreHistogram
from ml4ops_helpers.scenes.sentinel2 import LAND, WATER, Codes
from ml4ops_helpers.uncertainty.calibration import MIDDLES

if TYPE_CHECKING:
    from ml4ops_helpers.evaluation.metrics import Number

NO_DATA, ONLY_LAND, ONLY_WATER, EITHER, NEITHER = 0, LAND, WATER, 3, 4
"""Codes of ``prediction_sets``."""
SETS: dict[int, str] = {ONLY_LAND: "land", ONLY_WATER: "water", EITHER: "land or water", NEITHER: "neither"}
"""Names of the sets."""


Kind = Literal["lac", "aps"]
"""Sets of least ambiguous classifiers (lac) or adaptive prediction sets (aps): see ``fit_sets``."""


class SetRule(NamedTuple):
    """Which classes a pixel may be: the kind, and for each class the largest score with which it is in the set."""

    kind: Kind
    land: float
    water: float


def fit_sets(histograms: Mapping[str, ScoreHistogram], level: float = 0.9, kind: Kind = "aps") -> SetRule:
    """A rule that covers a share ``level`` of the land, and of the water, of the validation events.

    Each class has its own limit; with one for both, much land would be covered at the expense of little water. Each
    event has the same weight, whatever its size. With few events this is an estimate without a guarantee.

    ``lac`` sets (least ambiguous classifiers) hold the classes with a probability above a limit: their coverage in an
    event follows how sure the network is there. ``aps`` (adaptive prediction sets) take classes from the most likely
    one until the level is reached, the last one by a draw: their coverage follows calibration, clear or hazy.

    Args:
        histograms: of the probability of water, by event.
        level: share of the pixels of either class whose set is to hold the truth.
        kind: of sets.

    Raises:
        ValueError: ``level`` is not between 0 and 1, or a class is in no event.

    Source: Sadinle et al. 2019, Least ambiguous set-valued classifiers; Romano, Sesia & Candès 2020, Classification
    with valid and adaptive coverage; events pooled as in Dunn et al. 2023, Distribution-free prediction sets for
    two-layer hierarchical models.

    >>> histogram = ScoreHistogram()
    >>> histogram.update([False] * 4 + [True] * 4, [0.0, 0.125, 0.25, 0.5, 0.25, 0.75, 0.875, 1.0])
    >>> rule = fit_sets({"event": histogram}, level=0.75, kind="lac")
    >>> round(rule.land, 3), round(rule.water, 3)
    (0.25, 0.25)
    """
    if not 0 < level < 1:
        raise ValueError(f"level {level}: give a share between 0 and 1")
    land = _mean_share([h.negatives for h in histograms.values()], "land")
    water = _mean_share([h.positives for h in histograms.values()], "water")
    return SetRule(kind, _limit(kind, land, 1 - MIDDLES, level), _limit(kind, water, MIDDLES, level))


def _mean_share(counts: list[NDArray[np.int64]], name: str) -> Number:
    """Share of a class at each step of the probability, mean over the events that have it."""
    shares = [c / c.sum() for c in counts if c.any()]
    if not shares:
        raise ValueError(f"no event has {name}; use validation events with both classes")
    return np.asarray(np.mean(shares, axis=0))


def _limit(kind: Kind, shares: Number, probability: Number, level: float) -> float:
    """Smallest limit of the score with which a class is covered at the level, by bisection."""
    low, high = 0.0, 1.0
    while high - low > 1e-7:
        middle = (low + high) / 2
        low, high = (low, middle) if shares @ _chance(kind, probability, middle) >= level - 1e-9 else (middle, high)
    return high


def _chance(kind: Kind, probability: Number, limit: float) -> Number:
    """Chance that a class of a given probability is in the set: 0 or 1, except for the last class of an aps set."""
    if kind == "lac":
        return np.asarray(1 - probability <= limit, np.float64)
    before = np.where(probability >= 0.5, 0, 1 - probability)  # the probability of the other class, if more likely
    return np.asarray(np.clip((limit - before) / np.maximum(probability, 1e-12), 0, 1))


def prediction_sets(probability: ArrayLike, rule: SetRule, seed: int = 0) -> Codes:
    """Which classes each pixel may be: uint8, 0 no data, 1 land, 2 water, 3 either, 4 neither.

    Args:
        probability: of water, ``(height, width)``, NaN without data.
        rule: from ``fit_sets``.
        seed: of the draws of aps sets.

    >>> prediction_sets([[0.1, 0.5, 0.9]], SetRule("lac", land=0.6, water=0.6)).tolist()
    [[1, 3, 2]]
    >>> prediction_sets([[0.1, 0.5, 0.9]], SetRule("lac", land=0.4, water=0.4)).tolist()
    [[1, 4, 2]]
    """
    # No more certain than the rule could see: in a histogram, 0 and 1 count as the middle of their steps.
    p = np.clip(np.asarray(probability, np.float64), MIDDLES[0], MIDDLES[-1])
    draw = np.random.default_rng(seed).random(p.shape)
    sets = LAND * (draw < _chance(rule.kind, 1 - p, rule.land)) + WATER * (draw < _chance(rule.kind, p, rule.water))
    return np.where(np.isnan(p), NO_DATA, np.where(sets == 0, NEITHER, sets)).astype(np.uint8)


def coverage_table(histograms: Mapping[str, ScoreHistogram], rule: SetRule) -> pd.DataFrame:
    """How often the sets hold the truth, and which sets they are, for each event and, last, all pixels pooled.

    Args:
        histograms: of the probability of water, by event.
        rule: from ``fit_sets``; draws are replaced by their chances.

    Returns:
        ``coverage``, that of ``land`` and ``water`` alone (NaN where there is none), and the shares of pixels called
        ``either`` and ``neither``.
    """
    rows = {event: _coverage(h, rule) for event, h in histograms.items()}
    return pd.DataFrame(rows | {"pooled": _coverage(sum(histograms.values(), ScoreHistogram()), rule)}).T


def _coverage(histogram: ScoreHistogram, rule: SetRule) -> dict[str, float]:
    land, water = _chance(rule.kind, 1 - MIDDLES, rule.land), _chance(rule.kind, MIDDLES, rule.water)
    negatives, positives = histogram.negatives, histogram.positives
    pixels = negatives + positives

    def share(part: SupportsFloat, whole: SupportsFloat) -> float:
        return float(part) / float(whole) if float(whole) else float("nan")

    return {
        "coverage": share(negatives @ land + positives @ water, pixels.sum()),
        "land": share(negatives @ land, negatives.sum()),
        "water": share(positives @ water, positives.sum()),
        "either": share(pixels @ np.minimum(land, water), pixels.sum()),
        "neither": share(pixels @ (1 - np.maximum(land, water)), pixels.sum()),
    }
