"""Exercises of ``04_measure_performance``: what counts, a threshold that stays frozen, an interval over events."""

from __future__ import annotations

import numpy as np

from ml4ops_helpers.scenes import LAND, WATER

from .core import Answer, AnswerError, Exercise, close


def score_water(truth: np.ndarray, prediction: np.ndarray) -> tuple[float, float]:
    seen = (truth == LAND) | (truth == WATER)
    water, called = truth[seen] == WATER, prediction[seen] == WATER
    found = (water & called).sum()
    return found / called.sum(), found / water.sum()  # numpy makes 0/0 NaN


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
    except AnswerError:
        return "undefined"
    return "" if close(found, [0, np.nan]) and close(nothing, [np.nan, np.nan]) else "undefined"


SCORES = Exercise(
    name="04.1",
    title="Precision and recall of water",
    task="""
Write `score_water(truth, prediction)`. Both are arrays of codes (0 invalid, 1 land, 2 water, 3 cloud). Return a pair:
precision and recall of water. Pixels whose *truth* is invalid or cloud don't count, whatever was predicted there. A
score that is 0/0 is NaN.

By hand: with the truth `[2, 2, 2, 1, 1]`, the prediction `[2, 1, 1, 2, 1]` finds one of three water pixels, and one of
its two detections is right.""",
    tip="Stuck? Section 3: mask first, then count. Three of the four counts are enough.",
    reference=score_water,
    judge=_judge_scores,
    hints={
        "swapped": "Precision and recall are swapped. Which of the two asks: of everything that I called water, how "
        "much is water?",
        "value": "Expected 1/2 and 1/3 for the example in the task. Count the detections that are right, all "
        "detections, and all water; a pixel predicted as cloud is not a detection.",
        "invalid": "A detection where the truth is invalid was counted as an error. Nobody knows what is there: leave "
        "those pixels out before you count.",
        "cloud": "The invalid pixels are out, but a detection where the truth is cloud was counted. What lies below a "
        "cloud is unknown, too.",
        "undefined": "With no water in the truth, recall is 0/0, and with no detection so is precision. The answer is "
        "NaN: not 0, not 1, not an error.",
    },
    takeaway="Mask, count, divide, and leave undefined what is undefined: when two scores disagree, it is mostly about "
    "one of these.",
)


def honest_iou(val_score: np.ndarray, val_water: np.ndarray, test_score: np.ndarray, test_water: np.ndarray) -> float:
    def iou_at(score: np.ndarray, water: np.ndarray, threshold: float) -> float:
        called = score >= threshold
        return float((called & water).sum() / (called | water).sum())

    frozen = max(np.linspace(0.01, 0.99, 99), key=lambda t: iou_at(val_score, val_water, t))
    return iou_at(test_score, test_water, frozen)


def _scores(rng: np.random.Generator, shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores of 4000 pixels, a quarter of them water; on another day all of them are a little higher or lower."""
    water = rng.random(4000) < 0.25
    return np.clip(rng.normal(0.35 + 0.25 * water + shift, 0.1), 0, 1), water


def _judge_frozen(answer: Answer) -> str:
    rng = np.random.default_rng(4)
    val, test = _scores(rng, 0.0), _scores(rng, 0.15)
    both = np.concatenate([val[0], test[0]]), np.concatenate([val[1], test[1]])
    called = test[0] >= 0.5
    values = {
        "": honest_iou(*val, *test),
        "test": honest_iou(*test, *test),
        "both": honest_iou(*both, *test),
        "half": (called & test[1]).sum() / (called | test[1]).sum(),
        "validation": honest_iou(*val, *val),
    }
    found = answer.numbers(*val, *test)
    return next((key for key, value in values.items() if close(found, value, 0.005)), "value")


FROZEN = Exercise(
    name="04.2",
    title="A frozen threshold",
    task="""
Write `honest_iou(val_score, val_water, test_score, test_water)`. Scores are arrays of floats from 0 to 1, `…_water` is
the true water as booleans. A pixel counts as water if its score is at or above a threshold, one of `np.linspace(0.01,
0.99, 99)`. Return the IoU on the *test* pixels that you can honestly report.""",
    tip="Stuck? Section 2 says when a threshold is chosen. Write an `iou_at(score, water, threshold)` first.",
    reference=honest_iou,
    judge=_judge_frozen,
    hints={
        "test": "That is the IoU at the threshold that suits the test pixels best. Finding it takes their truth, which "
        "nobody has for the next flood.",
        "both": "The test pixels helped to choose the threshold. However few they are, they are no longer an "
        "independent test of it.",
        "half": "That is the IoU at 0.5. A score is not a probability, and even for a probability 0.5 is a habit: "
        "choose the threshold.",
        "validation": "That is the IoU on validation, at the threshold chosen there: too good, as chosen scores are. "
        "Report the IoU on the test pixels.",
        "value": "That is not the IoU on the test pixels at the threshold with the best IoU on validation. Does a "
        "score equal to the threshold count as water, and is the IoU hits over the union?",
    },
    takeaway="It is lower than it could be, and it is what to expect of the next event: nobody chooses a threshold "
    "after a flood.",
)


def gain_interval(iou_a: np.ndarray, iou_b: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    gains = iou_a - iou_b  # of the same event, which is hard or easy for both
    draws = rng.integers(len(gains), size=(2000, len(gains)))
    return np.quantile(gains[draws].mean(axis=1), (0.025, 0.975))


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
Models A and B were scored on the same events. Write `gain_interval(iou_a, iou_b, rng)`: given an IoU per event for each
model, return the lower and upper end of a 95 % bootstrap interval of the *mean gain of A over B*. Resample the events
at least a thousand times, using the generator `rng`.""",
    tip="Stuck? Section 6 compares two models event by event. `rng.integers` draws indices of events.",
    reference=gain_interval,
    judge=_judge_interval,
    hints={
        "narrow": "The interval has hardly any width. A resample must be able to take an event twice and leave another "
        "out, or all resamples are the same set.",
        "apart": "Far too wide: each model was resampled separately. A hard event is hard for both, so score both on "
        "the same resample.",
        "events": "That is the spread of single events. The question is about their mean, which varies less: average "
        "within each resample first.",
        "sign": "That is the gain of B over A. Which of the two do you subtract?",
        "value": "That is not the middle 95 % of the mean gain over resampled events. Draw as many events as there "
        "are, with replacement, and take the 0.025 and 0.975 quantiles of the means.",
    },
    takeaway="What events have in common cancels in the difference, so you can be sure of a small gain although you "
    "are sure of neither score.",
)

EXERCISES = (SCORES, FROZEN, INTERVAL)
