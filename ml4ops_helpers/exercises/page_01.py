"""Exercises of ``01_scope_the_problem``: from costs to a threshold, from a requirement to a number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .core import Answer, Exercise, close

if TYPE_CHECKING:
    from ml4ops_helpers import evaluation as ev


def cheapest_threshold(score: np.ndarray, flooded: np.ndarray, cost_miss: float, cost_false_alarm: float) -> float:
    histogram = ev.ScoreHistogram()
    histogram.update(flooded, score)
    return ev.operating_threshold(histogram, cost_miss, cost_false_alarm)


def _cost(threshold: float, score: np.ndarray, flooded: np.ndarray, miss: float, alarm: float) -> float:
    called = score >= threshold
    return float(miss * (flooded & ~called).sum() + alarm * (called & ~flooded).sum())


def _judge_threshold(answer: Answer) -> str:
    rng = np.random.default_rng(1)
    score = rng.beta(0.5, 1.0, 20_000)
    flooded = rng.random(score.size) < score
    overconfident = score**3 / (score**3 + (1 - score) ** 3)
    for given in (score, overconfident):
        found = float(answer.numbers(given, flooded, 1.0, 3.0))

        def near_best(miss: float, alarm: float, given: np.ndarray = given, found: float = found) -> bool:
            costs = [_cost(t, given, flooded, miss, alarm) for t in np.linspace(0, 1, 101)]
            return _cost(found, given, flooded, miss, alarm) <= 1.01 * min(costs)

        if not near_best(1.0, 3.0):
            if near_best(3.0, 1.0):
                return "swapped"
            if near_best(1.0, 1.0):
                return "equal"
            return "formula" if close(found, 0.75) else "costly"
    return ""


THRESHOLD = Exercise(
    name="01.1",
    title="Another user",
    task="""
An insurer pays out where the map says *flooded*. To them a wrong payout (a false alarm) costs 3, and a missed claim
costs 1, since the client will report it anyway. Their scores come from a model that nobody has calibrated.

Write `cheapest_threshold(score, flooded, cost_miss, cost_false_alarm)`. `score` holds the scores of many blocks (0 to
1), `flooded` the truth as booleans; the last two arguments are the costs. Return the threshold that would have cost
least *on these blocks*. A block is mapped as flooded if its score is at or above the threshold.""",
    tip="Stuck? Section 2 finds a threshold from data, without the formula. Or try a hundred thresholds and add up the "
    "costs of each.",
    reference=cheapest_threshold,
    judge=_judge_threshold,
    hints={
        "swapped": "That is the threshold for somebody to whom a miss is the more expensive error. Which of the two "
        "costs belongs to a flooded block that the map calls dry?",
        "equal": "That threshold makes the fewest errors, as if both kinds cost the same. Here they don't.",
        "formula": "The formula holds for calibrated probabilities. These scores are overconfident, and another "
        "threshold is cheaper on the blocks that you were given: look at them.",
        "costly": "Another threshold is cheaper on these blocks. For each threshold that you try, add up the costs of "
        "both kinds of error, and take the threshold with the lowest sum.",
    },
    takeaway="No single threshold serves both users: deliver scores, and let each user choose a threshold by cost.",
)


def seconds_allowed(km2: float, minutes: float, computers: int, pixel_m: float) -> float:
    megapixels = km2 * 1e6 / pixel_m**2 / 1e6
    return 60 * minutes / (megapixels / computers)


def _judge_seconds(answer: Answer) -> str:
    found = float(answer.numbers(100, 10, 1, 10))  # 100 km² are one megapixel
    if not close(found, 600):
        return "minutes" if close(found, 10) else "pixels"
    if not close(answer.numbers(100, 10, 4, 10), 2400):
        return "computers"
    return "" if close(answer.numbers(100, 10, 1, 20), 2400) else "size"


SECONDS_EACH = Exercise(
    name="01.2",
    title="A larger area",
    task="""
A national agency must map 240 000 km² at 10 m within 20 minutes and has eight computers. This page's target allows a
model 5 seconds per megapixel. Is that fast enough?

Write `seconds_allowed(km2, minutes, computers, pixel_m)`: the most seconds that a model may take per megapixel if the
computers share the area equally. Pixels are squares with sides of `pixel_m` metres. Call it for the agency.""",
    tip="Stuck? First work out by hand how many megapixels there are in 100 km² at 10 m: it is a round number.",
    reference=seconds_allowed,
    judge=_judge_seconds,
    hints={
        "minutes": "Expected 600 for 100 km² of 10 m pixels, 10 minutes and one computer. Check the unit of time.",
        "pixels": "Expected 600 for 100 km² of 10 m pixels, 10 minutes and one computer. How many such pixels lie "
        "along one kilometre, and how many in a square kilometre?",
        "computers": "Four computers instead of one should allow four times as many seconds, since each maps a quarter "
        "of the area.",
        "size": "There are four times fewer pixels of 20 m than of 10 m: the side of a pixel counts twice.",
    },
    takeaway="The agency can allow 4 s, so a model that just meets the target of 5 s is too slow. Ten computers would "
    "be enough.",
)

EXERCISES = (THRESHOLD, SECONDS_EACH)
