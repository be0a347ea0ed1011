"""Exercises of ``01_scope_the_problem``: from costs to a threshold, from a need to a number."""

from __future__ import annotations

import numpy as np

from .core import Answer, Exercise, close


def _cost(threshold: float, score: np.ndarray, flooded: np.ndarray, miss: float, alarm: float) -> float:
    called = score >= threshold
    return float(miss * (flooded & ~called).sum() + alarm * (called & ~flooded).sum())


def _judge_threshold(answer: Answer) -> str:
    rng = np.random.default_rng(1)
    score = rng.beta(0.5, 1.0, 20_000)
    flooded = rng.random(score.size) < score
    sharp = score**3 / (score**3 + (1 - score) ** 3)
    for given in (score, sharp):
        found = float(answer.numbers(given, flooded, 1.0, 3.0))

        def near_best(miss: float, alarm: float, given: np.ndarray = given, found: float = found) -> bool:
            costs = [_cost(t, given, flooded, miss, alarm) for t in np.linspace(0, 1, 101)]
            return _cost(found, given, flooded, miss, alarm) <= 1.01 * min(costs)

        if not near_best(1.0, 3.0):
            if near_best(3.0, 1.0):
                return "swapped"
            if near_best(1.0, 1.0):
                return "equal"
            return "formula" if close(found, 0.75) else "dear"
    return ""


THRESHOLD = Exercise(
    name="01.1",
    title="Another user",
    task="""
An insurer pays out where the map says *flooded*. To them a wrong payout (a false alarm) costs 3 and a missed claim
costs 1, as it will be reported anyway. Their scores come from a model that nobody has calibrated.

Write `cheapest_threshold(score, flooded, cost_miss, cost_false_alarm)`. It is given the scores of many blocks (0 to
1), the truth for each (booleans), and the two costs. It returns the threshold that would have cost least *on these
blocks*, where a block is called flooded if its score reaches the threshold.""",
    stub="""
def cheapest_threshold(score, flooded, cost_miss, cost_false_alarm):
    return ...""",
    tip="Stuck? Section 2 finds a threshold from data, without the formula; or try a hundred thresholds and add up "
    "the costs.",
    solution="""
def cheapest_threshold(score, flooded, cost_miss, cost_false_alarm):
    histogram = ScoreHistogram()
    histogram.update(flooded, score)
    return operating_threshold(histogram, cost_miss, cost_false_alarm)""",
    takeaway="One map, made with one threshold, can't serve both users: deliver scores, and let each user choose by "
    "cost.",
    judge=_judge_threshold,
    hints={
        "swapped": "That is the threshold of somebody to whom a miss is the dearer error. Which of the two costs "
        "goes with a flooded block that was not called?",
        "equal": "That threshold makes the fewest errors, whatever they cost. Here the two kinds cost differently.",
        "formula": "The formula holds for honest probabilities. These scores are too sure of themselves, and "
        "another threshold is cheaper on the blocks that you were given: look at them.",
        "dear": "Another threshold is cheaper on these blocks. Add up the cost of both errors for each threshold "
        "you try, and take the lowest sum.",
    },
    wrong={
        "swapped": """
def cheapest_threshold(score, flooded, cost_miss, cost_false_alarm):
    histogram = ScoreHistogram()
    histogram.update(flooded, score)
    return operating_threshold(histogram, cost_false_alarm, cost_miss)""",
        "equal": """
def cheapest_threshold(score, flooded, cost_miss, cost_false_alarm):
    thresholds = np.linspace(0, 1, 101)
    return thresholds[np.argmin([((score >= t) != flooded).sum() for t in thresholds])]""",
        "formula": """
def cheapest_threshold(score, flooded, cost_miss, cost_false_alarm):
    return cost_false_alarm / (cost_false_alarm + cost_miss)""",
        "dear": """
def cheapest_threshold(score, flooded, cost_miss, cost_false_alarm):
    return 0.0""",
    },
)


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
A national agency must map 240 000 km² within 20 minutes and has eight computers. May a model take 5 seconds for each
megapixel, as this page's target allows?

Write `seconds_allowed(km2, minutes, computers, pixel_m)`: the most seconds that a model may take for a megapixel, if
each computer maps an equal share and pixels are squares with sides of `pixel_m` metres. Call it for the agency.""",
    stub="""
def seconds_allowed(km2, minutes, computers, pixel_m):
    return ...""",
    tip="Stuck? First work out by hand how many megapixels 100 km² are at 10 m: it is a round number.",
    solution="""
def seconds_allowed(km2, minutes, computers, pixel_m):
    megapixels = km2 * 1e6 / pixel_m**2 / 1e6
    return 60 * minutes / (megapixels / computers)""",
    takeaway="The agency may take 4 s, so a model that just meets the target of 5 is too slow. Ten computers would do.",
    judge=_judge_seconds,
    hints={
        "minutes": "Expected 600 for 100 km² of 10 m pixels, 10 minutes and one computer. Mind the unit of the time.",
        "pixels": "Expected 600 for 100 km², 10 minutes, one computer and pixels of 10 m. How many pixels of 10 m "
        "lie along one kilometre, and how many in a square kilometre?",
        "computers": "With four computers instead of one, the limit should be four times as generous, since each "
        "maps a quarter.",
        "size": "With pixels of 20 m instead of 10 m there are four times fewer: the side of a pixel counts twice.",
    },
    wrong={
        "minutes": """
def seconds_allowed(km2, minutes, computers, pixel_m):
    return minutes * computers / (km2 / pixel_m**2)""",
        "pixels": """
def seconds_allowed(km2, minutes, computers, pixel_m):
    return 60 * minutes * computers / (km2 * 1000 / pixel_m / 1e6)""",
        "computers": """
def seconds_allowed(km2, minutes, computers, pixel_m):
    return 60 * minutes / (km2 / pixel_m**2 * computers)""",
        "size": """
def seconds_allowed(km2, minutes, computers, pixel_m):
    return 60 * minutes * computers / (km2 / (10 * pixel_m))""",
    },
)

EXERCISES = (THRESHOLD, SECONDS_EACH)
