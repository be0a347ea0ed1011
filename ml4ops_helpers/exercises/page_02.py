"""Exercises of ``02_explore_the_data``: what a stored number means, and a split that can be reproduced."""

from __future__ import annotations

import numpy as np

from .core import Answer, AnswerError, Exercise, close


def reflectance(dn: np.ndarray, offset: int) -> np.ndarray:
    return np.where(dn == 0, np.nan, (dn.astype(float) + offset) / 10_000)


def _judge_reflectance(answer: Answer) -> str:
    if not close(answer.numbers(np.array([3000], np.uint16), 0, shape=(1,)), 0.3):
        return "scale"
    found = answer.numbers(np.array([3000], np.uint16), -1000, shape=(1,))
    if not close(found, 0.2):
        return "offset" if close(found, 0.3) else "sign" if close(found, 0.4) else "order"
    try:
        dark_and_bright = answer.numbers(np.array([500, 13_000], np.uint16), -1000, shape=(2,))
    except AnswerError:
        return "unsigned"
    if not close(dark_and_bright, [-0.05, 1.2]):
        return "unsigned" if dark_and_bright[0] > 1 else "clipped"
    edge = answer.numbers(np.array([0, 1500], np.uint16), -1000, shape=(2,))
    return "" if close(edge, [np.nan, 0.05]) else "nodata"


REFLECTANCE = Exercise(
    name="02.1",
    title="What a number means",
    task="""
Write `reflectance(dn, offset)`. `dn` holds digital numbers as they are stored in the file, an array of unsigned 16-bit
integers in which 0 means *no data*; `offset` is the file's `RADIO_ADD_OFFSET` (0 or −1000). Return reflectance as
floats of the same shape, NaN where there is no data. A pixel of 3000 with the offset −1000 has a reflectance of 0.2.
Noise may push a pixel below 0, and a sunlit cloud may exceed 1; leave both as they are.""",
    tip="Stuck? Section 2 has the formula. What happens to an unsigned number that drops below zero?",
    reference=reflectance,
    judge=_judge_reflectance,
    hints={
        "scale": "A pixel of 3000 without an offset should have a reflectance of 0.3.",
        "offset": "With the offset −1000, a pixel of 3000 is 0.2, not 0.3: the offset is missing from your result.",
        "sign": "A negative offset makes the reflectance smaller, not larger. Add it as it is, sign included.",
        "order": "Expected 0.2 for 3000 with the offset −1000. The offset is a digital number: apply it before you "
        "scale.",
        "unsigned": "A pixel of 500 with the offset −1000 should be −0.05. Unsigned integers can't go below zero: they "
        "wrap around or raise an error. Change the type before you subtract.",
        "clipped": "A pixel of 500 with the offset −1000 is −0.05, and one of 13 000 is 1.2. Neither noise around "
        "zero nor a sunlit cloud is an error: leave them as they are.",
        "nodata": "A zero is not a measurement; it says that there is none. It must become NaN, or it passes for very "
        "dark water. Test for it before the offset hides it.",
    },
    takeaway="Four traps in one line: the offset, its sign, the data type, and the zero that is not a measurement.",
)

EVENTS = np.repeat(["Bihac", "Arad", "Emden", "Cork", "Derry", "Faro", "Gera", "Hull"], [3, 6, 2, 9, 4, 1, 5, 3])
"""Event of each scene; names out of alphabetical order, events of different size."""


def is_test(events: np.ndarray, share: float, seed: int) -> np.ndarray:
    names = np.unique(events)  # sorted, whatever the order of the rows
    count = round(share * len(names))
    chosen = np.random.default_rng(seed).choice(names, count, replace=False)
    return np.isin(events, chosen)


def _judge_split(answer: Answer) -> str:
    def split(events: np.ndarray, seed: int) -> np.ndarray:
        return answer.numbers(events, 0.25, seed, shape=events.shape) > 0

    first = split(EVENTS, 0)
    chosen = set(EVENTS[first])
    if chosen & set(EVENTS[~first]):
        return "leak"
    if len(chosen) != 2:
        return "share"
    if any((split(EVENTS, 0) != first).any() for _ in range(5)):
        return "unseeded"
    splits = [split(EVENTS, seed) for seed in range(6)]
    if all((other == first).all() for other in splits):
        return "fixed"
    order = np.random.default_rng(1).permutation(len(EVENTS))
    same = all((split(EVENTS[order], seed) == splits[seed][order]).all() for seed in range(6))
    return "" if same else "order"


SPLIT = Exercise(
    name="02.2",
    title="A reproducible split",
    task="""
Write `is_test(events, share, seed)`. `events` holds the name of each scene's event, an array of strings. Return an
array of booleans: which scenes are test scenes. All scenes of an event stay together; of $n$ events,
`round(share * n)` are drawn at random for testing. The split depends only on the seed and the *set* of names: the same
call gives the same split, even if the rows of the catalogue are in a different order.""",
    tip="Stuck? Section 10 shows two splits that are broken in different ways. Draw names, not rows.",
    reference=is_test,
    judge=_judge_split,
    hints={
        "leak": "An event has scenes on both sides, so the test asks what training has already shown. Split the "
        "events, then look up their rows.",
        "share": "Of eight events with a share of 0.25, two are for testing, however many scenes they have.",
        "unseeded": "The same call gave a different split the second time. Where does the randomness come from, and "
        "does it start afresh from the seed in each call?",
        "fixed": "Six seeds gave one and the same split: the seed has no effect.",
        "order": "With the rows in a different order, different events were drawn. Put the names into an order of "
        "their own before you draw.",
    },
    takeaway="Events instead of rows, a generator of its own, sorted names: drop one of the three and one day the "
    "split leaks.",
)

EXERCISES = (REFLECTANCE, SPLIT)
