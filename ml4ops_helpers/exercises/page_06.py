"""Exercises of ``06_quantify_uncertainty``: two kinds of uncertainty, what must be random, a number for calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .core import Answer, AnswerError, Exercise, close

if TYPE_CHECKING:
    import torch

LN2 = float(np.log(2))


def uncertainties(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    def entropy(q: np.ndarray) -> np.ndarray:
        q = np.clip(q, 1e-12, 1 - 1e-12)  # 0 ln 0 is 0
        return -q * np.log(q) - (1 - q) * np.log(1 - q)

    total = entropy(p.mean(axis=0))
    return total, total - entropy(p).mean(axis=0)


def _judge_uncertainties(answer: Answer) -> str:
    total, mutual = answer.numbers(np.array([[0.6], [0.6]]), shape=(2, 1))[:, 0]
    if not close(total, 0.6730):
        mistakes = {"half": 0.3065, "bits": 0.9710, "votes": 0.0}
        return next((key for key, value in mistakes.items() if close(total, value, 1e-3)), "value")
    if not close(mutual, 0):
        return "expected" if close(mutual, 0.6730) else "value"
    total, mutual = answer.numbers(np.array([[0.1], [0.9]]), shape=(2, 1))[:, 0]
    if not close(total, LN2):
        return "order"
    if not close(mutual, 0.3681):
        return "spread"
    certain = answer.numbers(np.array([[0.0, 1.0], [1.0, 1.0]]), shape=(2, 2))
    return "" if close(certain, [[LN2, 0], [LN2, 0]]) else "zero"


UNCERTAINTIES = Exercise(
    name="06.1",
    title="Two kinds of uncertainty",
    task="""
Write `uncertainties(p)`. `p` holds samples of the probability of water, an array of shape `(samples, pixels)`; the
other class is land. Return two arrays with one number per pixel, in nats: the predictive entropy and the mutual
information.

By hand: if two samples both say 0.6, all uncertainty comes from the image: entropy 0.673, mutual information 0. If one
says 0.1 and the other 0.9, they are 0.693 and 0.368.""",
    tip="Stuck? Section 1 has the formula. First write a function for the entropy of a pixel with two classes.",
    reference=uncertainties,
    judge=_judge_uncertainties,
    hints={
        "half": "Two samples that say 0.6 should have an entropy of 0.673; yours has only the term for water. Land is "
        "a class, too, with 1 − p.",
        "bits": "That is an entropy in bits. Nats come from the natural logarithm.",
        "votes": "Two samples that both say 0.6 agree, but neither is certain. Average the probabilities, not the "
        "votes.",
        "value": "For two samples that both say 0.6, expected an entropy of 0.673 and a mutual information of 0.",
        "expected": "Two samples that agree have a mutual information of 0. What you returned is the uncertainty of "
        "each sample by itself; the mutual information is what remains without it.",
        "order": "Samples of 0.1 and 0.9 have a mean of 0.5, and the predictive entropy is the entropy of that mean: "
        "0.693. You averaged too late.",
        "spread": "Samples of 0.1 and 0.9 have a mutual information of 0.693 − 0.325 = 0.368, a difference of two "
        "entropies. A variance or standard deviation is a different measure.",
        "zero": "Where a sample is certain, with p of 0 or 1, your result is wrong: p ln p is 0 there, although the "
        "computer says NaN.",
    },
    takeaway="Whether you take the mean or the entropy first is the whole difference between the two kinds of "
    "uncertainty.",
)


def enable_dropout(network: torch.nn.Module) -> torch.nn.Module:
    network.eval()
    for part in network.modules():
        if isinstance(part, torch.nn.Dropout | torch.nn.Dropout2d):
            part.train()
    return network


def _modes(answer: Answer, dropout: str) -> tuple[bool, bool]:
    """Whether two passes through the network that the answer returns differ, and whether batch norm has changed."""
    import torch

    model: Any = torch.nn.Sequential(torch.nn.BatchNorm2d(1), getattr(torch.nn, dropout)(0.5)).train()
    made = answer(model)
    if not isinstance(made, torch.nn.Module):
        raise AnswerError(f"your function returned a {type(made).__name__}; expected the network")
    x = torch.linspace(1, 9, 64).reshape(16, 1, 2, 2)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        differ = not torch.equal(made(x), made(x))
    return differ, any(bool((value != 0).any()) for name, value in made.named_buffers() if name.endswith("_mean"))


def _judge_modes(answer: Answer) -> str:
    differ, changed = _modes(answer, "Dropout")
    if changed:
        return "norm"
    if not differ:
        return "inactive"
    differ, changed = _modes(answer, "Dropout2d")
    return "norm" if changed else "" if differ else "kinds"


MODES = Exercise(
    name="06.2",
    title="Only dropout is random",
    task="""
Write `enable_dropout(network)`: set a PyTorch network so that each prediction draws a new dropout mask while nothing
else behaves as in training, and return it. The network may contain batch norm, and dropout of single values (`Dropout`)
or of whole channels (`Dropout2d`), at any depth.""",
    tip="Stuck? Section 1 shows what `network.train()` breaks. Each part of a network has a mode of its own: see "
    "`network.modules()`.",
    reference=enable_dropout,
    judge=_judge_modes,
    hints={
        "norm": "Batch norm is in training mode: each prediction changes the averages that it stores, so the network "
        "that you measure is not the one that you had.",
        "inactive": "Two predictions of the same image are equal: dropout is inactive, so there is no uncertainty to "
        "see.",
        "kinds": "`Dropout` is active, but a network with `Dropout2d` predicts the same twice. Neither is a subclass "
        "of the other.",
    },
    takeaway="A mode belongs to a layer. Measuring uncertainty must not teach the network anything, or the next map "
    "will differ.",
)


def calibration_error(p: np.ndarray, water: np.ndarray, bins: int) -> float:
    number = np.minimum((p * bins).astype(int), bins - 1)  # p = 1 belongs to the last bin
    error = 0.0
    for i in np.unique(number):
        inside = number == i
        error += inside.mean() * abs(water[inside].mean() - p[inside].mean())
    return error


def _judge_calibration(answer: Answer) -> str:
    """90 pixels of 0.02 of which a tenth is water, 10 of 0.95 of which eight are."""
    p = np.repeat([0.02, 0.95], [90, 10])
    water = np.concatenate([np.arange(90) < 9, np.arange(10) < 8])
    found = answer.numbers(p, water, 10)
    if not close(found, 0.087):
        if np.isnan(found):
            return "empty"
        mistakes = {"weights": 0.115, "signed": 0.057, "middle": 0.06}
        return next((key for key, value in mistakes.items() if close(abs(found), value)), "value")
    try:
        certain = answer.numbers(np.ones(4), np.arange(4) < 3, 10)
    except AnswerError:
        return "one"
    return "" if close(certain, 0.25) else "one"


CALIBRATION = Exercise(
    name="06.3",
    title="One number for calibration",
    task="""
Write `calibration_error(p, water, bins)`, the expected calibration error: divide the probabilities from 0 to 1 into
`bins` bins of equal width; in each, how far is the share of water from the *mean probability of its pixels*? Average
these distances, weighting each bin by its number of pixels. `water` holds booleans.

By hand: of 90 pixels with p = 0.02 nine are water, of 10 with p = 0.95 eight are. The distances are 0.08 and 0.15, so
the error is 0.9 · 0.08 + 0.1 · 0.15 = 0.087.""",
    tip="Stuck? Section 4 explains it. Loop over the bins and leave out the empty ones.",
    reference=calibration_error,
    judge=_judge_calibration,
    hints={
        "empty": "A bin without pixels has no mean. It has no weight, either: leave it out.",
        "weights": "All bins had the same weight. A bin with nine tenths of the pixels should have nine tenths of it.",
        "signed": "A bin that is too high and one that is too low cancelled each other. A distance has no sign.",
        "middle": "You compared with the middle of the bin. Its pixels say 0.02, not 0.05: take their own mean.",
        "value": "Expected 0.087 for the example in the task.",
        "one": "Four pixels with p = 1, three of them water, should have an error of 0.25. Which bin holds a "
        "probability of exactly 1?",
    },
    takeaway="Nearly all pixels are in the outer bins, so these decide; the middle of the diagram can look as bad as "
    "it likes.",
)

EXERCISES = (UNCERTAINTIES, MODES, CALIBRATION)
