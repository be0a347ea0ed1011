"""Exercises of ``02_explore_the_data``: what a stored number means, and a split that stays one."""

from __future__ import annotations

import numpy as np

from .core import Answer, Exercise, Stumble, close


def _judge_reflectance(answer: Answer) -> str:
    if not close(answer.numbers(np.array([3000], np.uint16), 0, shape=(1,)), 0.3):
        return "scale"
    found = answer.numbers(np.array([3000], np.uint16), -1000, shape=(1,))
    if not close(found, 0.2):
        return "offset" if close(found, 0.3) else "sign" if close(found, 0.4) else "order"
    try:
        dark_and_bright = answer.numbers(np.array([500, 13_000], np.uint16), -1000, shape=(2,))
    except Stumble:
        return "unsigned"
    if not close(dark_and_bright, [-0.05, 1.2]):
        return "unsigned" if dark_and_bright[0] > 1 else "clipped"
    edge = answer.numbers(np.array([0, 1500], np.uint16), -1000, shape=(2,))
    return "" if close(edge, [np.nan, 0.05]) else "nodata"


REFLECTANCE = Exercise(
    name="02.1",
    title="What a number means",
    task="""
Write `reflectance(dn, offset)`. It is given digital numbers as the file holds them, an array of unsigned 16-bit
integers in which 0 means *no data*, and the file's `RADIO_ADD_OFFSET` (0 or −1000). It returns reflectance as floats
of the same shape, NaN where there is no data. A pixel of 3000 with the offset −1000 has the reflectance 0.2; noise
may put one below 0 and a lit cloud above 1, and both stay as they are.""",
    stub="""
def reflectance(dn, offset):
    return ...""",
    tip="Stuck? Section 2 has the formula. Think about what happens to an unsigned number below zero.",
    solution="""
def reflectance(dn, offset):
    return np.where(dn == 0, np.nan, (dn.astype(float) + offset) / 10_000)""",
    takeaway="Four traps in one line: the offset, its sign, the data type, and the zero that is no measurement.",
    judge=_judge_reflectance,
    hints={
        "scale": "A pixel of 3000 without offset should have the reflectance 0.3.",
        "offset": "With the offset −1000 a pixel of 3000 is 0.2, not 0.3: the offset is not in your result.",
        "sign": "A negative offset makes the reflectance smaller, not larger. It is added as it is, with its sign.",
        "order": "Expected 0.2 for 3000 with the offset −1000. The offset is a digital number: it belongs to those, "
        "before they are scaled.",
        "unsigned": "A pixel of 500 with the offset −1000 should be −0.05. Unsigned integers can't go below zero: "
        "they wrap around or refuse. Change the type before you subtract.",
        "clipped": "A pixel of 500 with the offset −1000 is −0.05, and one of 13 000 is 1.2. Neither noise around "
        "zero nor a lit cloud is an error: leave them as they are.",
        "nodata": "A zero is no measurement but says that there is none: it must become NaN, or it passes for very "
        "dark water. Ask for it before the offset hides it.",
    },
    wrong={
        "scale": """
def reflectance(dn, offset):
    return np.where(dn == 0, np.nan, (dn.astype(float) + offset) / dn.max())""",
        "offset": """
def reflectance(dn, offset):
    return np.where(dn == 0, np.nan, dn / 10_000)""",
        "sign": """
def reflectance(dn, offset):
    return np.where(dn == 0, np.nan, (dn.astype(float) - offset) / 10_000)""",
        "order": """
def reflectance(dn, offset):
    return np.where(dn == 0, np.nan, dn / 10_000 + offset)""",
        "unsigned": """
def reflectance(dn, offset):
    return np.where(dn == 0, np.nan, (dn + np.array(offset).astype(dn.dtype)) / 10_000)""",
        "clipped": """
def reflectance(dn, offset):
    return np.where(dn == 0, np.nan, np.clip((dn.astype(float) + offset) / 10_000, 0, 1))""",
        "nodata": """
def reflectance(dn, offset):
    return (dn.astype(float) + offset) / 10_000""",
    },
)

EVENTS = np.repeat(["Bihac", "Arad", "Emden", "Cork", "Derry", "Faro", "Gera", "Hull"], [3, 6, 2, 9, 4, 1, 5, 3])
"""Event of each scene; names out of alphabetical order, events of different size."""


def _judge_split(answer: Answer) -> str:
    def deal(events: np.ndarray, seed: int) -> np.ndarray:
        return answer.numbers(events, 0.25, seed, shape=events.shape) > 0

    first = deal(EVENTS, 0)
    chosen = set(EVENTS[first])
    if chosen & set(EVENTS[~first]):
        return "leak"
    if len(chosen) != 2:
        return "share"
    if any((deal(EVENTS, 0) != first).any() for _ in range(5)):
        return "rolled"
    deals = [deal(EVENTS, seed) for seed in range(6)]
    if all((other == first).all() for other in deals):
        return "fixed"
    turned = np.random.default_rng(1).permutation(len(EVENTS))
    same = all((deal(EVENTS[turned], seed) == deals[seed][turned]).all() for seed in range(6))
    return "" if same else "order"


SPLIT = Exercise(
    name="02.2",
    title="A split that stays one",
    task="""
Write `is_test(events, share, seed)`. It is given the name of the event of each scene, as an array of texts, and returns
an array of booleans: which scenes are test scenes. All scenes of an event stay together; of $n$ events,
`round(share * n)` are for testing, drawn by chance. The seed and the *set* of names decide alone: the same call gives
the same answer, also when the rows of the catalogue stand in another order.""",
    stub="""
def is_test(events, share, seed):
    return ...""",
    tip="Stuck? Section 10 shows two splits that are broken, each in another way. Draw names, not rows.",
    solution="""
def is_test(events, share, seed):
    names = np.unique(events)  # sorted, whatever the order of the rows
    count = round(share * len(names))
    chosen = np.random.default_rng(seed).choice(names, count, replace=False)
    return np.isin(events, chosen)""",
    takeaway="Events and not rows, a generator of its own, sorted names: drop one of the three and the split leaks "
    "one day.",
    judge=_judge_split,
    hints={
        "leak": "An event has scenes on both sides. The test would ask what training has already shown: deal out "
        "the events, then look up the rows.",
        "share": "Of eight events with a share of 0.25, two are for testing, however many scenes they have.",
        "rolled": "The same call gave another answer the second time. Where does the chance come from, and does it "
        "start afresh from the seed in each call?",
        "fixed": "Six seeds, one and the same split: the seed decides nothing.",
        "order": "With the rows in another order, other events came out. The names must be in an order of their own "
        "before any is drawn.",
    },
    wrong={
        "leak": """
def is_test(events, share, seed):
    return np.random.default_rng(seed).random(len(events)) < share""",
        "rolled": """
def is_test(events, share, seed):
    names = sorted(set(events))
    chosen = np.random.default_rng().permutation(names)[: round(share * len(names))]
    return np.isin(events, chosen)""",
        "fixed": """
def is_test(events, share, seed):
    names = sorted(set(events))
    return np.isin(events, names[: round(share * len(names))])""",
        "order": """
def is_test(events, share, seed):
    names = pd.unique(events)
    chosen = np.random.default_rng(seed).permutation(names)[: round(share * len(names))]
    return np.isin(events, chosen)""",
        "share": """
def is_test(events, share, seed):
    names = np.unique(events)
    chosen = np.random.default_rng(seed).permutation(names)
    return np.isin(events, chosen[: int(share * len(names)) + 1])""",
    },
)

EXERCISES = (REFLECTANCE, SPLIT)
