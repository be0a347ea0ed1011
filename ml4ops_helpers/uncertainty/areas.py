"""How much water there is, and how far the estimate may be off. Explained in ``06_quantify_uncertainty``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ml4ops_helpers.evaluation.metrics import as_mask
from ml4ops_helpers.scenes.sentinel2 import Float

if TYPE_CHECKING:
    import pandas as pd


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
