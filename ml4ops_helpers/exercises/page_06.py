"""Exercises of ``06_quantify_uncertainty``: two kinds of doubt, what must be random, and one number for calibration."""

from __future__ import annotations

from typing import Any

import numpy as np

from .core import Answer, Exercise, Stumble, close

LN2 = float(np.log(2))


def _judge_doubts(answer: Answer) -> str:
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
    sure = answer.numbers(np.array([[0.0, 1.0], [1.0, 1.0]]), shape=(2, 2))
    return "" if close(sure, [[LN2, 0], [LN2, 0]]) else "zero"


DOUBTS = Exercise(
    name="06.1",
    title="Two kinds of doubt",
    task="""
Write `doubts(p)`. It is given samples of the probability of water, an array of shape `(samples, pixels)`; the other
class is land. It returns two arrays, each with a number a pixel, in nats: the predictive entropy and the mutual
information.

By hand: if both of two samples say 0.6, all doubt is the image's own: entropy 0.673, mutual information 0. If one
says 0.1 and the other 0.9, it is 0.693 and 0.368.""",
    stub="""
def doubts(p):
    return ...""",
    tip="Stuck? Section 1 has the formula. Write the entropy of a pixel of two classes as a function first.",
    solution="""
def doubts(p):
    def entropy(q):
        q = np.clip(q, 1e-12, 1 - 1e-12)  # 0 ln 0 is 0
        return -q * np.log(q) - (1 - q) * np.log(1 - q)

    total = entropy(p.mean(axis=0))
    return total, total - entropy(p).mean(axis=0)""",
    takeaway="Whether the mean or the entropy comes first is the whole difference between the two kinds of doubt.",
    judge=_judge_doubts,
    hints={
        "half": "Two samples that say 0.6 should have the entropy 0.673; yours has only the part of the water. Land "
        "is a class, too, with 1 − p.",
        "bits": "That is an entropy in bits. Nats come from the natural logarithm.",
        "votes": "Two samples that both say 0.6 are not sure, only of one opinion. Average the probabilities, not "
        "the votes.",
        "value": "For two samples that both say 0.6, expected an entropy of 0.673 and a mutual information of 0.",
        "expected": "Two samples that agree can't contradict each other, so their mutual information is 0. What you "
        "returned is the doubt that each sample has by itself; the mutual information is what is left without it.",
        "order": "Samples of 0.1 and 0.9 have the mean 0.5, and the predictive entropy is that of the mean: 0.693. "
        "Yours averaged too late.",
        "spread": "Samples of 0.1 and 0.9 have the mutual information 0.693 − 0.325 = 0.368, a difference of two "
        "entropies. A variance or deviation is another measure.",
        "zero": "Where a sample is quite sure, with p of 0 or 1, your result is not right: p ln p is 0 there, "
        "though the computer says NaN.",
    },
    wrong={
        "half": """
def doubts(p):
    def entropy(q):
        return -q * np.log(q)

    return entropy(p.mean(axis=0)), entropy(p.mean(axis=0)) - entropy(p).mean(axis=0)""",
        "bits": """
def doubts(p):
    def entropy(q):
        return -q * np.log2(q) - (1 - q) * np.log2(1 - q)

    return entropy(p.mean(axis=0)), entropy(p.mean(axis=0)) - entropy(p).mean(axis=0)""",
        "votes": """
def doubts(p):
    votes = np.clip((p > 0.5).mean(axis=0), 1e-12, 1 - 1e-12)
    total = -votes * np.log(votes) - (1 - votes) * np.log(1 - votes)
    return total, total""",
        "value": """
def doubts(p):
    return 1 - np.maximum(p, 1 - p).mean(axis=0), p.var(axis=0)""",
        "expected": """
def doubts(p):
    def entropy(q):
        return -q * np.log(q) - (1 - q) * np.log(1 - q)

    return entropy(p.mean(axis=0)), entropy(p).mean(axis=0)""",
        "order": """
def doubts(p):
    h = -p * np.log(p) - (1 - p) * np.log(1 - p)
    return h.mean(axis=0), p.var(axis=0)""",
        "spread": """
def doubts(p):
    q = p.mean(axis=0)
    return -q * np.log(q) - (1 - q) * np.log(1 - q), p.var(axis=0)""",
        "zero": """
def doubts(p):
    def entropy(q):
        return -q * np.log(q) - (1 - q) * np.log(1 - q)

    return entropy(p.mean(axis=0)), entropy(p.mean(axis=0)) - entropy(p).mean(axis=0)""",
    },
)


def _awake(answer: Answer, dropout: str) -> tuple[bool, bool]:
    """Whether two passes through what the answer made differ, and whether batch norm has moved."""
    import torch

    model: Any = torch.nn.Sequential(torch.nn.BatchNorm2d(1), getattr(torch.nn, dropout)(0.5)).train()
    made = answer(model)
    if not isinstance(made, torch.nn.Module):
        raise Stumble(f"your function returned a {type(made).__name__}; expected the network")
    x = torch.linspace(1, 9, 64).reshape(16, 1, 2, 2)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        differ = not torch.equal(made(x), made(x))
    return differ, any(bool((value != 0).any()) for name, value in made.named_buffers() if name.endswith("_mean"))


def _judge_modes(answer: Answer) -> str:
    differ, moved = _awake(answer, "Dropout")
    if moved:
        return "norm"
    if not differ:
        return "asleep"
    differ, moved = _awake(answer, "Dropout2d")
    return "norm" if moved else "" if differ else "kinds"


MODES = Exercise(
    name="06.2",
    title="Only dropout is random",
    task="""
Write `let_dropout_speak(network)`: set a PyTorch network so that each prediction draws a new dropout mask and nothing
else is as in training, and return it. The network may hold batch norm, and dropout of single numbers (`Dropout`) or
of whole channels (`Dropout2d`), anywhere inside.""",
    stub="""
def let_dropout_speak(network):
    return ...""",
    tip="Stuck? Section 1 shows what `network.train()` breaks. Every part of a network has a mode of its own: "
    "`network.modules()`.",
    solution="""
def let_dropout_speak(network):
    network.eval()
    for part in network.modules():
        if isinstance(part, torch.nn.Dropout | torch.nn.Dropout2d):
            part.train()
    return network""",
    takeaway="A mode belongs to a layer. Measuring doubt must not teach the network anything, or the next map is "
    "another one.",
    judge=_judge_modes,
    hints={
        "norm": "Batch norm is awake: each prediction moved the averages that it stores, so the network that you "
        "measure is not the one that you had.",
        "asleep": "Two predictions of the same image are equal: dropout is asleep, and there is no doubt to be seen.",
        "kinds": "`Dropout` is awake, but a network with `Dropout2d` gives the same answer twice. One is not a kind "
        "of the other.",
    },
    wrong={
        "norm": """
def let_dropout_speak(network):
    return network.train()""",
        "asleep": """
def let_dropout_speak(network):
    return network.eval()""",
        "kinds": """
def let_dropout_speak(network):
    network.eval()
    for part in network.modules():
        if isinstance(part, torch.nn.Dropout):
            part.train()
    return network""",
    },
)


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
    except Stumble:
        return "one"
    return "" if close(certain, 0.25) else "one"


CALIBRATION = Exercise(
    name="06.3",
    title="One number for calibration",
    task="""
Write `calibration_error(p, water, bins)`, the expected calibration error: cut the probabilities from 0 to 1 into
`bins` bins of equal width; in each, how far is the share of water from the *mean probability of its pixels*? Average
these distances, a bin counting as much as it has pixels. `water` holds booleans.

By hand: of 90 pixels with p = 0.02 nine are water, of 10 with p = 0.95 eight are. The distances are 0.08 and 0.15,
and the error is 0.9 · 0.08 + 0.1 · 0.15 = 0.087.""",
    stub="""
def calibration_error(p, water, bins):
    return ...""",
    tip="Stuck? Section 4 has the words. Loop over the bins and leave out the empty ones.",
    solution="""
def calibration_error(p, water, bins):
    number = np.minimum((p * bins).astype(int), bins - 1)  # p = 1 belongs to the last bin
    error = 0.0
    for i in np.unique(number):
        inside = number == i
        error += inside.mean() * abs(water[inside].mean() - p[inside].mean())
    return error""",
    takeaway="Nearly all pixels sit in the outer bins, so these decide; the middle of the diagram may look as bad "
    "as it likes.",
    judge=_judge_calibration,
    hints={
        "empty": "A bin without pixels has no mean. It has no weight, either: leave it out.",
        "weights": "Each bin had the same say. A bin with nine tenths of the pixels weighs nine tenths.",
        "signed": "A bin that claims too much and one that claims too little cancelled each other. A distance has "
        "no sign.",
        "middle": "That compares with the middle of the bin. The pixels in it say 0.02, not 0.05: take their own mean.",
        "value": "Expected 0.087 for the example in the task.",
        "one": "Four pixels with p = 1, three of them water, should have the error 0.25. In which bin is a "
        "probability of exactly 1?",
    },
    wrong={
        "empty": """
def calibration_error(p, water, bins):
    number = np.minimum((p * bins).astype(int), bins - 1)
    return sum((number == i).mean() * abs(water[number == i].mean() - p[number == i].mean()) for i in range(bins))""",
        "weights": """
def calibration_error(p, water, bins):
    number = np.minimum((p * bins).astype(int), bins - 1)
    return np.mean([abs(water[number == i].mean() - p[number == i].mean()) for i in np.unique(number)])""",
        "signed": """
def calibration_error(p, water, bins):
    return abs(water.mean() - p.mean())""",
        "middle": """
def calibration_error(p, water, bins):
    number = np.minimum((p * bins).astype(int), bins - 1)
    return sum((number == i).mean() * abs(water[number == i].mean() - (i + 0.5) / bins) for i in np.unique(number))""",
        "value": """
def calibration_error(p, water, bins):
    return ((p - water) ** 2).mean()""",
        "one": """
def calibration_error(p, water, bins):
    error = 0.0
    for i in range(bins):
        inside = (p >= i / bins) & (p < (i + 1) / bins)
        if inside.any():
            error += inside.mean() * abs(water[inside].mean() - p[inside].mean())
    return error""",
    },
)

EXERCISES = (DOUBTS, MODES, CALIBRATION)
