"""Answers with a stated chance to be right: sets of classes for a pixel, an interval for the area of a flood.

Conformal prediction asks of the validation events how far off the model was, and allows for as much. What is promised
holds for events like those, and on average over events, not for each one: always look at the worst. Explained in
``06_quantify_uncertainty``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ml4ops_helpers.curves import BINS, ScoreHistogram
from ml4ops_helpers.metrics import Number, as_mask
from ml4ops_helpers.sentinel2 import LAND, WATER, Codes, Float

NO_DATA, ONLY_LAND, ONLY_WATER, EITHER, NEITHER = 0, LAND, WATER, 3, 4
"""Codes of ``prediction_sets``."""
SETS: dict[int, str] = {ONLY_LAND: "land", ONLY_WATER: "water", EITHER: "land or water", NEITHER: "neither"}
"""Names of the sets."""


class SetThresholds(NamedTuple):
    """Land is an answer up to ``land``, water from ``water`` on: probabilities of water."""

    land: float
    water: float


def fit_sets(histograms: Mapping[str, ScoreHistogram], level: float = 0.9) -> SetThresholds:
    """Thresholds with which a share ``level`` of the land, and of the water, of the validation events is covered.

    Each class has its own threshold, else the much land would be covered at the expense of the little water. Each event
    counts the same, whatever its size. With few events this is an estimate without a guarantee.

    Args:
        histograms: of the probability of water, by event.
        level: share of the pixels of either class whose set is to hold the truth.

    Raises:
        ValueError: ``level`` is not between 0 and 1, or a class is in no event.

    Source: Vovk 2012, Conditional validity; Sadinle et al. 2019, Least ambiguous set-valued classifiers; events
    pooled as in Dunn et al. 2023, Distribution-free prediction sets for two-layer hierarchical models.

    >>> histogram = ScoreHistogram()
    >>> histogram.update([False] * 4 + [True] * 4, [0.0, 0.125, 0.25, 0.5, 0.25, 0.75, 0.875, 1.0])
    >>> fit_sets({"event": histogram}, level=0.75)
    SetThresholds(land=0.25, water=0.75)
    """
    if not 0 < level < 1:
        raise ValueError(f"level {level}: give a share between 0 and 1")
    land, water = (
        _mean_share([getattr(h, name) for h in histograms.values()], name) for name in ("negatives", "positives")
    )
    return SetThresholds(_first(land, level) / BINS, (BINS - _first(water[::-1], level)) / BINS)


def _mean_share(counts: list[NDArray[np.int64]], name: str) -> Number:
    """Share of a class at each step of the probability, mean of the events that have it."""
    shares = [c / c.sum() for c in counts if c.any()]
    if not shares:
        missing = {"negatives": "land", "positives": "water"}[name]
        raise ValueError(f"no event has {missing}; use validation events with both classes")
    return np.asarray(np.mean(shares, axis=0))


def _first(shares: Number, level: float) -> int:
    """First step at which the sum reaches the level, rounding aside."""
    return int(np.argmax(np.cumsum(shares) >= level - 1e-9))


def prediction_sets(probability: ArrayLike, thresholds: SetThresholds) -> Codes:
    """Which classes each pixel may be.

    Args:
        probability: of water, ``(height, width)``, NaN without data.
        thresholds: from ``fit_sets``.

    Returns:
        uint8: 0 no data, 1 land, 2 water, 3 either, 4 neither (as unlike the land as the water that is known).

    >>> prediction_sets([[0.1, 0.5, 0.9]], SetThresholds(land=0.6, water=0.4)).tolist()
    [[1, 3, 2]]
    >>> prediction_sets([[0.1, 0.5, 0.9]], SetThresholds(land=0.4, water=0.6)).tolist()
    [[1, 4, 2]]
    """
    p = np.asarray(probability, np.float64)
    sets = LAND * (p < thresholds.land + 1 / BINS) + WATER * (p >= thresholds.water)
    return np.where(np.isnan(p), NO_DATA, np.where(sets == 0, NEITHER, sets)).astype(np.uint8)


def coverage_table(histograms: Mapping[str, ScoreHistogram], thresholds: SetThresholds) -> pd.DataFrame:
    """How often the sets hold the truth, and which sets they are, for each event and for all pixels pooled.

    Args:
        histograms: of the probability of water, by event.
        thresholds: from ``fit_sets``.

    Returns:
        One row an event, then ``pooled``: ``coverage``, that of ``land`` and ``water`` alone (NaN where there is none),
        and the shares of pixels called ``either`` and ``neither``.
    """
    rows = {event: _coverage(h, thresholds) for event, h in histograms.items()}
    pooled = sum(histograms.values(), ScoreHistogram())
    return pd.DataFrame(rows | {"pooled": _coverage(pooled, thresholds)}).T


def _coverage(histogram: ScoreHistogram, thresholds: SetThresholds) -> dict[str, float]:
    step = np.arange(BINS + 1) / BINS
    land, water = step <= thresholds.land, step >= thresholds.water
    negatives, positives = histogram.negatives, histogram.positives
    held_land, held_water = negatives[land].sum(), positives[water].sum()
    pixels = negatives + positives

    def share(part: float, whole: float) -> float:
        return float(part / whole) if whole else float("nan")

    return {
        "coverage": share(held_land + held_water, pixels.sum()),
        "land": share(held_land, negatives.sum()),
        "water": share(held_water, positives.sum()),
        "either": share(pixels[land & water].sum(), pixels.sum()),
        "neither": share(pixels[~land & ~water].sum(), pixels.sum()),
    }


class Area(NamedTuple):
    """Area expected to be water, and how much of it is in doubt, both in the unit of a pixel's area."""

    estimate: float
    doubt: float


def expected_area(probability: Float, mask: ArrayLike, pixel_area: float = 1.0) -> Area:
    """Expected area of water: the sum of the probabilities, not the count of pixels above a threshold.

    Args:
        probability: calibrated, of water, ``(height, width)``.
        mask: boolean, same shape: pixels that count; none of them NaN.
        pixel_area: of one pixel, for example 1e-4 km².

    Returns:
        The sum of p, and of p (1 − p).

    >>> expected_area(np.array([[0.5, 1.0, 0.25]]), [[True, True, False]])
    Area(estimate=1.5, doubt=0.25)
    """
    p = np.asarray(probability, np.float64)
    kept = p[as_mask("mask", mask, p.shape)]
    return Area(float(kept.sum()) * pixel_area, float((kept * (1 - kept)).sum()) * pixel_area)


def highest_level(events: int) -> float:
    """Largest chance that an interval for a new event can promise after so many events: K / (K + 1).

    >>> highest_level(4)
    0.8
    """
    return events / (events + 1)


def fit_area_factor(areas: pd.DataFrame, level: float = 0.8) -> float:
    """How many times the doubt must be allowed for so that a new event's area is in the interval often enough.

    If events are exchangeable, so that the next is like those, the interval holds the truth with a chance of at least
    ``level``, whatever the model is worth; a bad one only makes it wide.

    Args:
        areas: one row a scene: ``event``, ``truth``, ``estimate``, ``doubt``.
        level: chance wanted, at most ``highest_level`` of the number of events.

    Returns:
        Factor for ``area_interval``.

    Raises:
        ValueError: there are too few events for the level.

    Source: Lei et al. 2018, Distribution-free predictive inference for regression (scores divided by the spread);
    Lee, Barber & Willett 2023, Distribution-free inference with hierarchical data, arXiv:2306.06342 (each event the
    same weight, and one more for the event to come).

    >>> areas = pd.DataFrame({"event": list("abc"), "truth": [10, 12, 16], "estimate": 10.0, "doubt": 2.0})
    >>> fit_area_factor(areas, level=0.5), fit_area_factor(areas, level=0.75)
    (1.0, 3.0)
    """
    events = areas["event"].nunique()
    if not 0 < level <= highest_level(events) + 1e-9:
        raise ValueError(
            f"{events} events can promise a level up to {highest_level(events):.3f}, not {level}; use more events"
        )
    score = (areas["truth"] - areas["estimate"]).abs() / areas["doubt"].clip(lower=1e-12)
    weight = 1 / areas.groupby("event")["event"].transform("size") / (events + 1)
    order = score.sort_values()
    reached = weight[order.index].cumsum() >= level - 1e-9
    return float(order[reached].iloc[0])


def area_interval(area: Area, factor: float) -> tuple[float, float]:
    """Interval of the area: the estimate, give or take ``factor`` times the doubt, and not below 0.

    >>> area_interval(Area(estimate=5.0, doubt=2.0), factor=3.0)
    (0.0, 11.0)
    """
    return max(0.0, area.estimate - factor * area.doubt), area.estimate + factor * area.doubt
