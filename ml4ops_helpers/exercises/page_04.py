"""Exercises of ``04_measure_performance``: what counts, a threshold that stays frozen, an interval over events."""

from __future__ import annotations

import numpy as np

from .core import Answer, Exercise, Stumble, close


def _judge_scores(answer: Answer) -> str:
    found = answer.numbers(np.array([2, 2, 2, 1, 1]), np.array([2, 1, 1, 2, 1]), shape=(2,))
    if not close(found, [1 / 2, 1 / 3]):
        return "swapped" if close(found, [1 / 3, 1 / 2]) else "value"
    if not close(answer.numbers(np.array([2, 1, 1]), np.array([2, 2, 3]), shape=(2,)), [1 / 2, 1]):
        return "value"
    found = answer.numbers(np.array([2, 2, 1, 0, 0, 3]), np.array([2, 1, 2, 2, 2, 2]), shape=(2,))
    if not close(found, [1 / 2, 1 / 2]):
        return "cloud" if close(found, [1 / 3, 1 / 2]) else "invalid"
    try:
        found = answer.numbers(np.array([1, 1, 1]), np.array([1, 1, 2]), shape=(2,))
        nothing = answer.numbers(np.array([1, 1, 1]), np.array([1, 1, 1]), shape=(2,))
    except Stumble:
        return "undefined"
    return "" if close(found, [0, np.nan]) and close(nothing, [np.nan, np.nan]) else "undefined"


SCORES = Exercise(
    name="04.1",
    title="Precision and recall of water",
    task="""
Write `score_water(truth, prediction)`. It is given two arrays of codes (0 invalid, 1 land, 2 water, 3 cloud) and
returns a pair: precision and recall of water. Pixels whose *truth* is invalid or cloud don't count, whatever was
predicted there. A score that is 0/0 is NaN.

By hand: of the truth `[2, 2, 2, 1, 1]` the prediction `[2, 1, 1, 2, 1]` finds one of three, and one of its two calls
is right.""",
    stub="""
def score_water(truth, prediction):
    return ...""",
    tip="Stuck? Section 3: mask first, then count. Three of the four counts are enough.",
    solution="""
def score_water(truth, prediction):
    seen = (truth == LAND) | (truth == WATER)
    water, called = truth[seen] == WATER, prediction[seen] == WATER
    found = (water & called).sum()
    return found / called.sum(), found / water.sum()  # numpy makes 0/0 NaN""",
    takeaway="Mask, count, divide, and leave undefined what is undefined: scores that differ mostly differ in one "
    "of these.",
    judge=_judge_scores,
    hints={
        "swapped": "Precision and recall have changed places. Which of the two asks: of all that I called water, "
        "how much is?",
        "value": "Expected 1/2 and 1/3 for the example in the task. Count the calls that are right, all calls, and "
        "all water, and mind that a predicted cloud is no call of water.",
        "invalid": "A call where the truth is invalid was counted as an error. Nobody knows what is there: leave "
        "those pixels out before you count.",
        "cloud": "The invalid pixels are out, but a call where the truth is cloud was counted. What is under it is "
        "unknown, too.",
        "undefined": "With no water in the truth recall is 0/0, and with nothing called water so is precision. "
        "Neither 0 nor 1 nor an error is the answer, but NaN.",
    },
    wrong={
        "swapped": """
def score_water(truth, prediction):
    seen = np.isin(truth, (LAND, WATER))
    tp, fp, fn, _ = binary_counts(truth == WATER, prediction == WATER, mask=seen)
    return np.float64(tp) / (tp + fn), np.float64(tp) / (tp + fp)""",
        "value": """
def score_water(truth, prediction):
    accuracy = (truth == prediction)[truth > 0].mean()
    return accuracy, accuracy""",
        "invalid": """
def score_water(truth, prediction):
    tp, fp, fn, _ = binary_counts(truth == WATER, prediction == WATER)
    return np.float64(tp) / (tp + fp), np.float64(tp) / (tp + fn)""",
        "cloud": """
def score_water(truth, prediction):
    tp, fp, fn, _ = binary_counts(truth == WATER, prediction == WATER, mask=truth != 0)
    return np.float64(tp) / (tp + fp), np.float64(tp) / (tp + fn)""",
        "undefined": """
def score_water(truth, prediction):
    tp, fp, fn, _ = binary_counts(truth == WATER, prediction == WATER, mask=np.isin(truth, (LAND, WATER)))
    return tp / (tp + fp + 1e-9), tp / (tp + fn + 1e-9)""",
    },
)

GRID = np.linspace(0.01, 0.99, 99)
"""Thresholds to choose from."""


def _scores(rng: np.random.Generator, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores of 4000 pixels, a quarter of them water; on another day all of them lie a little higher or lower."""
    water = rng.random(4000) < 0.25
    return np.clip(rng.normal(0.35 + 0.25 * water + shift, 0.1), 0, 1), water


def _iou(score: np.ndarray, water: np.ndarray, threshold: float) -> float:
    called = score >= threshold
    return float((called & water).sum() / (called | water).sum())


def _best(score: np.ndarray, water: np.ndarray) -> float:
    return float(max(GRID, key=lambda t: _iou(score, water, t)))


def _judge_frozen(answer: Answer) -> str:
    rng = np.random.default_rng(4)
    val, test = _scores(rng, 0.0), _scores(rng, 0.15)
    both = np.concatenate([val[0], test[0]]), np.concatenate([val[1], test[1]])
    found = answer.numbers(*val, *test)
    if close(found, _iou(*test, _best(*val)), 0.005):
        return ""
    mistakes = {
        "test": _iou(*test, _best(*test)),
        "both": _iou(*test, _best(*both)),
        "half": _iou(*test, 0.5),
        "validation": _iou(*val, _best(*val)),
    }
    return next((key for key, value in mistakes.items() if close(found, value, 0.005)), "value")


FROZEN = Exercise(
    name="04.2",
    title="Chosen and frozen",
    task="""
Write `honest_iou(val_score, val_water, test_score, test_water)`. Scores are arrays of floats from 0 to 1, `…_water`
the true water as booleans. A pixel is called water if its score reaches a threshold, one of `np.linspace(0.01, 0.99,
99)`. Return the IoU on the *test* pixels that you may honestly report.""",
    stub="""
def honest_iou(val_score, val_water, test_score, test_water):
    return ...""",
    tip="Stuck? Section 2 says when a threshold is chosen. Write an `iou_at(score, water, threshold)` first.",
    solution="""
def honest_iou(val_score, val_water, test_score, test_water):
    def iou_at(score, water, threshold):
        called = score >= threshold
        return (called & water).sum() / (called | water).sum()

    frozen = max(np.linspace(0.01, 0.99, 99), key=lambda t: iou_at(val_score, val_water, t))
    return iou_at(test_score, test_water, frozen)""",
    takeaway="It is lower than it could be, and it is what the next event may expect: nobody chooses a threshold "
    "after a flood.",
    judge=_judge_frozen,
    hints={
        "test": "That is the IoU with the threshold that suits the test pixels best. It is found by looking at "
        "their truth, which nobody has for the next flood.",
        "both": "The test pixels had a say in the threshold. However few they are, a threshold that has seen them "
        "is no longer judged by strangers.",
        "half": "That is the IoU at 0.5. A score is not a probability, and even for one 0.5 is a habit: choose the "
        "threshold.",
        "validation": "That is the IoU on validation, with the threshold chosen there: too good, as chosen scores "
        "are. Judge on the test pixels.",
        "value": "That is not the IoU of the test pixels at the threshold with the best IoU on validation. Does a "
        "score that equals the threshold count as water, and is the IoU hits over the union?",
    },
    wrong={
        "test": """
def honest_iou(val_score, val_water, test_score, test_water):
    def iou_at(t):
        called = test_score >= t
        return (called & test_water).sum() / (called | test_water).sum()

    return max(iou_at(t) for t in np.linspace(0.01, 0.99, 99))""",
        "both": """
def honest_iou(val_score, val_water, test_score, test_water):
    score, water = np.concatenate([val_score, test_score]), np.concatenate([val_water, test_water])
    ious = [((score >= t) & water).sum() / ((score >= t) | water).sum() for t in np.linspace(0.01, 0.99, 99)]
    called = test_score >= np.linspace(0.01, 0.99, 99)[np.argmax(ious)]
    return (called & test_water).sum() / (called | test_water).sum()""",
        "half": """
def honest_iou(val_score, val_water, test_score, test_water):
    called = test_score >= 0.5
    return (called & test_water).sum() / (called | test_water).sum()""",
        "validation": """
def honest_iou(val_score, val_water, test_score, test_water):
    called = [val_score >= t for t in np.linspace(0.01, 0.99, 99)]
    return max((c & val_water).sum() / (c | val_water).sum() for c in called)""",
        "value": """
def honest_iou(val_score, val_water, test_score, test_water):
    called = [val_score >= t for t in np.linspace(0.01, 0.99, 99)]
    best = np.linspace(0.01, 0.99, 99)[np.argmax([(c == val_water).mean() for c in called])]
    return ((test_score >= best) == test_water).mean()""",
    },
)


def _judge_interval(answer: Answer) -> str:
    """Twelve events of very different difficulty, and a small gain on nearly all of them."""
    rng = np.random.default_rng(2)
    b = rng.uniform(0.2, 0.8, 12)
    a = b + rng.normal(0.05, 0.03, 12)
    low, high = answer.numbers(a, b, np.random.default_rng(0), shape=(2,))
    gains, rows = a - b, np.random.default_rng(1).integers(12, size=(2, 5000, 12))
    quantiles = (0.025, 0.975)
    right = np.quantile(gains[rows[0]].mean(1), quantiles)
    apart = np.quantile(a[rows[0]].mean(1) - b[rows[1]].mean(1), quantiles)
    events = np.quantile(gains, quantiles)

    def like(interval: np.ndarray) -> bool:
        width = interval[1] - interval[0]
        return bool(0.85 < (high - low) / width < 1.18 and abs(low + high - interval.sum()) < 0.3 * width)

    if high - low < 0.1 * (right[1] - right[0]):
        return "narrow"
    if like(right):
        return ""
    if like(-right[::-1]):
        return "sign"
    return "apart" if like(apart) else "events" if like(events) else "value"


INTERVAL = Exercise(
    name="04.3",
    title="How sure is a gain?",
    task="""
Models A and B were scored on the same events. Write `gain_interval(iou_a, iou_b, rng)`: given an IoU for each event
and model, return the lower and upper end of a 95 % bootstrap interval of the *mean gain of A over B*. Draw events
with a thousand draws or more, using the generator `rng`.""",
    stub="""
def gain_interval(iou_a, iou_b, rng):
    return ...""",
    tip="Stuck? Section 6 compares two models event by event. `rng.integers` draws numbers of events.",
    solution="""
def gain_interval(iou_a, iou_b, rng):
    gains = iou_a - iou_b  # of the same event, which is hard or easy for both
    draws = rng.integers(len(gains), size=(2000, len(gains)))
    return np.quantile(gains[draws].mean(axis=1), (0.025, 0.975))""",
    takeaway="What events have in common cancels in the difference, so a small gain can be sure although both "
    "scores are not.",
    judge=_judge_interval,
    hints={
        "narrow": "The interval has no width to speak of. A draw must be able to take an event twice and leave "
        "another out, or each draw is the same set.",
        "apart": "Far too wide: each model got events of its own. A hard event is hard for both, so both must be "
        "scored on the same draw.",
        "events": "That is the spread of single events. The question is about their mean, which varies less: "
        "average within each draw first.",
        "sign": "That is the gain of B over A. Which of the two is taken from the other?",
        "value": "That is not the middle 95 % of the mean gain over drawn sets of events. Draw as many events as "
        "there are, with replacement, and take the quantiles 0.025 and 0.975 of the means.",
    },
    wrong={
        "narrow": """
def gain_interval(iou_a, iou_b, rng):
    means = [rng.permutation(iou_a - iou_b).mean() for _ in range(1000)]
    return np.quantile(means, (0.025, 0.975))""",
        "apart": """
def gain_interval(iou_a, iou_b, rng):
    a = [rng.choice(iou_a, len(iou_a)).mean() for _ in range(2000)]
    b = [rng.choice(iou_b, len(iou_b)).mean() for _ in range(2000)]
    return np.quantile(np.subtract(a, b), (0.025, 0.975))""",
        "events": """
def gain_interval(iou_a, iou_b, rng):
    return np.quantile(iou_a - iou_b, (0.025, 0.975))""",
        "sign": """
def gain_interval(iou_a, iou_b, rng):
    means = [rng.choice(iou_b - iou_a, len(iou_a)).mean() for _ in range(2000)]
    return np.quantile(means, (0.025, 0.975))""",
        "value": """
def gain_interval(iou_a, iou_b, rng):
    means = [rng.choice(iou_a - iou_b, len(iou_a)).mean() for _ in range(2000)]
    return np.quantile(means, (0.25, 0.75))""",
    },
)

EXERCISES = (SCORES, FROZEN, INTERVAL)
