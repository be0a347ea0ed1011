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
    """Expected area of water and its variance, both in the unit of a pixel's area.

    The variance is that of the number of water pixels, were they independent, times the area of a pixel.
    """

    estimate: float
    variance: float


def expected_area(probability: Float, mask: ArrayLike, pixel_area: float = 1.0) -> Area:
    """Expected area of water: the sum of p over the pixels, and as its variance that of p (1 − p).

    Args:
        probability: calibrated, of water, ``(height, width)``.
        mask: boolean, same shape: pixels that count; none of them NaN.
        pixel_area: of one pixel, for example 1e-4 km².

    >>> expected_area(np.array([[0.5, 1.0, 0.25]]), [[True, True, False]])
    Area(estimate=1.5, variance=0.25)
    """
    p = np.asarray(probability, np.float64)
    kept = p[as_mask("mask", mask, p.shape)]
    return Area(float(kept.sum()) * pixel_area, float((kept * (1 - kept)).sum()) * pixel_area)


def highest_level(events: int) -> float:
    """Highest level that an interval for a new event can guarantee from so many events: K / (K + 1).

    >>> highest_level(4)
    0.8
    """
    return events / (events + 1)


def fit_area_factor(areas: pd.DataFrame, level: float = 0.8) -> float:
    """Factor of ``area_interval`` with which the interval of a new event holds the truth at the level wanted.

    If the new event is exchangeable with these, the chance is at least ``level`` for any model; a bad one only makes
    the interval wide.

    Args:
        areas: one row per scene: ``event``, ``truth``, ``estimate``, ``variance``.
        level: at most ``highest_level`` of the number of events.

    Raises:
        ValueError: there are too few events for the level.

    Source: Lei et al. 2018, Distribution-free predictive inference for regression (scores divided by the spread);
    Lee, Barber & Willett 2023, Distribution-free inference with hierarchical data, arXiv:2306.06342 (each event the
    same weight, and one more for the new event).

    >>> import pandas as pd
    >>> areas = pd.DataFrame({"event": list("abc"), "truth": [10, 12, 16], "estimate": 10.0, "variance": 2.0})
    >>> fit_area_factor(areas, level=0.5), fit_area_factor(areas, level=0.75)
    (1.0, 3.0)
    """
    events = areas["event"].nunique()
    if not 0 < level <= highest_level(events) + 1e-9:
        highest = f"{highest_level(events):.3f}"
        raise ValueError(f"level {level} is out of reach: {events} events allow {highest} at most; use more events")
    score = (areas["truth"] - areas["estimate"]).abs() / areas["variance"].clip(lower=1e-12)
    weight = 1 / areas.groupby("event")["event"].transform("size") / (events + 1)
    order = score.sort_values()
    reached = weight[order.index].cumsum() >= level - 1e-9
    return float(order[reached].iloc[0])


def area_interval(area: Area, factor: float) -> tuple[float, float]:
    """Interval of the area: the estimate, plus or minus ``factor`` times the variance, and not below 0.

    >>> area_interval(Area(estimate=5.0, variance=2.0), factor=3.0)
    (0.0, 11.0)
    """
    return max(0.0, area.estimate - factor * area.variance), area.estimate + factor * area.variance
