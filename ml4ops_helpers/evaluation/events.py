"""Scores over events: pooled pixels against the mean of the events, and how sure either is.

A table of counts has one row a scene: ``event`` and the pixel counts ``tp``, ``fp``, ``fn``, ``tn``. Pooling adds up
the pixels, so large floods decide; the per-event mean gives every flood the same weight. Always say which one is shown.
Explained in ``04_measure_performance``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, SupportsFloat

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ml4ops_helpers.evaluation.metrics import SCORES, Counts, Number, score_table


class Mean(NamedTuple):
    """Mean of the defined values, how many they are, and how many were undefined."""

    value: float
    defined: int
    undefined: int


class Interval(NamedTuple):
    """Estimate, interval, and how many resamples left the statistic undefined."""

    estimate: float
    low: float
    high: float
    undefined: int


def mean_defined(values: ArrayLike) -> Mean:
    """Mean of the values that are not NaN; NaN when there are none.

    >>> mean_defined([0.75, 0.25, np.nan])
    Mean(value=0.5, defined=2, undefined=1)
    """
    x = np.asarray(values, np.float64)
    kept = x[~np.isnan(x)]
    return Mean(float(kept.mean()) if kept.size else float("nan"), kept.size, x.size - kept.size)


def per_event(table: pd.DataFrame) -> pd.DataFrame:
    """Counts and scores of each event.

    Args:
        table: one row per scene with ``event``, ``tp``, ``fp``, ``fn``, ``tn``.

    Returns:
        One row per event: ``scenes``, the summed counts, precision, recall, F1 and IoU (NaN where undefined).

    >>> scenes = pd.DataFrame({"event": ["A", "A", "B"], "tp": [3, 1, 0], "fp": [0, 1, 0], "fn": [0, 1, 0], "tn": 9})
    >>> per_event(scenes)["iou"].round(3).tolist()
    [0.667, nan]
    """
    groups = table.groupby("event", sort=True)
    return score_table(groups[list(Counts._fields)].sum().assign(scenes=groups.size()))


def pooled(table: pd.DataFrame) -> pd.Series[float]:
    """Counts and scores of all pixels together; argument as for ``per_event``."""
    return score_table(table[list(Counts._fields)].sum().to_frame().T).iloc[0]


def summarise_events(table: pd.DataFrame) -> pd.DataFrame:
    """Pooled score beside the mean of the events, for each metric; argument as for ``per_event``.

    Returns:
        One row per metric: ``pooled``, ``per_event_mean``, and how many events were ``defined`` and ``undefined``.

    >>> scenes = pd.DataFrame({"event": ["A", "B"], "tp": [3, 1], "fp": [1, 0], "fn": [0, 3], "tn": [9, 9]})
    >>> summarise_events(scenes).loc["iou"].tolist()
    [0.5, 0.5, 2.0, 0.0]
    """
    events, total = per_event(table), pooled(table)
    found = pd.DataFrame([mean_defined(events[name]) for name in SCORES], pd.Index(SCORES, name="metric"))
    found.insert(0, "pooled", total[list(SCORES)])
    return found.rename(columns={"value": "per_event_mean"})


def bootstrap_interval(
    values: ArrayLike,
    statistic: Callable[[Number], SupportsFloat] = lambda rows: mean_defined(rows).value,
    seed: int = 0,
    n: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap interval over events.

    Events are drawn, never pixels: neighbouring pixels are alike, and an interval over pixels is far too narrow.

    Args:
        values: one row per event: a score ``(events,)``, or counts ``(events, columns)``.
        statistic: computed from the rows drawn; by default the mean of the defined values.
        seed: of the draws.
        n: number of resamples.
        level: share of the resamples inside the interval; resamples with an undefined statistic are ignored.

    Raises:
        ValueError: fewer than two events, or ``level`` is not between 0 and 1.

    Source: Efron 1979, doi:10.1214/aos/1176344552.

    >>> bootstrap_interval([0.5, 0.5, 0.5])
    Interval(estimate=0.5, low=0.5, high=0.5, undefined=0)
    """
    rows = np.asarray(values, np.float64)
    if rows.ndim == 0 or len(rows) < 2:
        raise ValueError(f"an interval over events needs at least two events, got values of shape {rows.shape}")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, expected a share between 0 and 1")
    rng = np.random.default_rng(seed)
    draws = np.array([float(statistic(rows[rng.integers(0, len(rows), len(rows))])) for _ in range(n)])
    kept = draws[~np.isnan(draws)]
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2]) if kept.size else (np.nan, np.nan)
    return Interval(float(statistic(rows)), float(low), float(high), n - kept.size)
