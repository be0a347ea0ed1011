"""Exercises of ``07_see_through_clouds``: the rule with two conditions, and a loss that knows what is unknown."""

from __future__ import annotations

import numpy as np

from .core import Answer, Exercise, close

INVALID, LAND, WATER, CLOUD = range(4)

PLACES = {
    "land": (0.1, 0.1, 1500.0, True, LAND),
    "water": (0.1, 0.9, 800.0, True, WATER),
    "veil": (0.9, 0.9, 2500.0, True, WATER),
    "sand": (0.1, 0.1, 5000.0, True, LAND),
    "thick": (0.9, 0.9, 6000.0, True, CLOUD),
    "outside": (0.9, 0.9, 6000.0, False, INVALID),
}
"""Places with the probabilities of cloud and water, their brightness, whether there are data, and the right code."""


def _judge_rule(answer: Answer) -> str:
    cloud, water, bright, data, right = (np.array(column) for column in zip(*PLACES.values(), strict=True))
    found = answer.numbers(cloud, water, bright, data, 0.5, 0.5, shape=right.shape)
    got = dict(zip(PLACES, found, strict=True))
    wrong = {place for place in PLACES if got[place] != PLACES[place][-1]}
    if {"water", "land"} & wrong:
        return "ground"
    if {"veil", "sand"} <= wrong:
        return "either"
    if wrong:
        return next(place for place in PLACES if place in wrong)
    higher = answer.numbers(cloud, water, bright, data, 0.95, 0.95, shape=right.shape)
    return "" if (higher[:5] == LAND).all() else "limits"


RULE = Exercise(
    name="07.1",
    title="Hidden, or only veiled?",
    task="""
Write `map_codes(p_cloud, p_water, brightness, has_data, t_cloud, t_water)`, the rule of section 4. The first three
are arrays of floats (brightness in digital numbers), `has_data` an array of booleans; the last two are thresholds.
Return an array of codes: 0 without data; 3 where the ground counts as hidden, which takes a probability of cloud of
at least `t_cloud` and a brightness above 3500; elsewhere 2 where the probability of water reaches `t_water`, and 1
where not.""",
    stub="""
def map_codes(p_cloud, p_water, brightness, has_data, t_cloud, t_water):
    return ...""",
    tip="Stuck? Start with land or water everywhere, then write over it what is known better. `np.where` or "
    "indexing will do.",
    solution="""
def map_codes(p_cloud, p_water, brightness, has_data, t_cloud, t_water):
    codes = np.where(p_water >= t_water, WATER, LAND)
    codes[(p_cloud >= t_cloud) & (brightness > 3500)] = CLOUD
    codes[~has_data] = INVALID
    return codes""",
    takeaway="The two conditions mend each other: sand is bright but no cloud, a veil is cloud but not bright.",
    judge=_judge_rule,
    hints={
        "either": "Water under a veil and bright sand both came out as cloud. Which word stands between the two "
        "conditions?",
        "veil": "Water under a thin, dark veil is no longer there. The cloud head is sure, but one condition is not "
        "enough to hide the ground.",
        "sand": "Bright sand came out as cloud, although the cloud head sees none there.",
        "thick": "A thick, bright cloud should be 3, also where the water head believes in water: nobody can see it.",
        "outside": "Where there are no data the code is 0, whatever the network says of it.",
        "ground": "Clear ground is wrong: 2 from a probability of water of `t_water` on, 1 below.",
        "limits": "With both thresholds at 0.95, nothing here is sure enough to be cloud or water. Do you use the "
        "thresholds that you are given?",
    },
    wrong={
        "either": """
def map_codes(p_cloud, p_water, brightness, has_data, t_cloud, t_water):
    codes = np.where(p_water >= t_water, WATER, LAND)
    codes[(p_cloud >= t_cloud) | (brightness > 3500)] = CLOUD
    codes[~has_data] = INVALID
    return codes""",
        "veil": """
def map_codes(p_cloud, p_water, brightness, has_data, t_cloud, t_water):
    codes = np.where(p_water >= t_water, WATER, LAND)
    codes[p_cloud >= t_cloud] = CLOUD
    codes[~has_data] = INVALID
    return codes""",
        "sand": """
def map_codes(p_cloud, p_water, brightness, has_data, t_cloud, t_water):
    codes = np.where(p_water >= t_water, WATER, LAND)
    codes[brightness > 3500] = CLOUD
    codes[~has_data] = INVALID
    return codes""",
        "thick": """
def map_codes(p_cloud, p_water, brightness, has_data, t_cloud, t_water):
    codes = np.where((p_cloud >= t_cloud) & (brightness > 3500), CLOUD, LAND)
    codes[p_water >= t_water] = WATER
    codes[~has_data] = INVALID
    return codes""",
        "outside": """
def map_codes(p_cloud, p_water, brightness, has_data, t_cloud, t_water):
    codes = np.where(p_water >= t_water, WATER, LAND)
    codes[(p_cloud >= t_cloud) & (brightness > 3500)] = CLOUD
    return codes""",
        "ground": """
def map_codes(p_cloud, p_water, brightness, has_data, t_cloud, t_water):
    codes = (p_water >= t_water).astype(int)
    codes[(p_cloud >= t_cloud) & (brightness > 3500)] = CLOUD
    codes[~has_data] = INVALID
    return codes""",
        "limits": """
def map_codes(p_cloud, p_water, brightness, has_data, t_cloud, t_water):
    codes = np.where(p_water > 0.5, WATER, LAND)
    codes[(p_cloud > 0.5) & (brightness > 3500)] = CLOUD
    codes[~has_data] = INVALID
    return codes""",
    },
)


def _judge_loss(answer: Answer) -> str:
    """Clear water, clear land, thick cloud over the unknown, water under a veil."""
    p = np.array([0.9, 0.8, 0.4, 0.5])
    label = np.array([[1, 1, 2, 2], [2, 1, 0, 2]])
    water, land, unknown, veiled = 0.10536, 1.60944, 0.51083, 0.69315
    found = answer.numbers(p, label)
    if close(found, (water + land + veiled) / 3):
        return ""
    mistakes = {
        "filled": (water + land + unknown + veiled) / 4,
        "all": (water + land + veiled) / 4,
        "clear": (water + land) / 2,
        "half": (water + veiled) / 3,
        "turned": (2.30259 + 0.22314 + veiled) / 3,
    }
    return next((key for key, value in mistakes.items() if close(found, value)), "value")


LOSS = Exercise(
    name="07.2",
    title="Unknown is not land",
    task="""
Write `water_loss(p_water, label)`, the cross-entropy of the water head. `p_water` holds a probability for each pixel;
`label` is of version 2, with shape `(2, pixels)`: its first row says 1 clear, 2 cloud, 0 invalid; its second 1 land,
2 water, 0 unknown. Return the mean of −ln p over water and −ln(1 − p) over land, over all pixels whose *ground is
known*.""",
    stub="""
def water_loss(p_water, label):
    return ...""",
    tip="Stuck? Section 3 masks the loss. Which row of the label says what this head may learn?",
    solution="""
def water_loss(p_water, label):
    ground = label[1]
    known = ground != INVALID
    right = np.where(ground == WATER, p_water, 1 - p_water)  # the probability of what is there
    return -np.log(right[known]).mean()""",
    takeaway="Each head learns where its own answer is known: under a veil it is, under a thick cloud it isn't.",
    judge=_judge_loss,
    hints={
        "filled": "A pixel whose ground is unknown was taken for land. The network learns that there is no flood "
        "under thick clouds.",
        "all": "The unknown pixels add nothing to the sum, but they are still in the number that you divide by: the "
        "more cloud, the smaller the loss.",
        "clear": "Cloudy pixels are left out altogether. Under a veil the ground is known, and those pixels are the "
        "reason for this kind of label.",
        "half": "Only the water has a say. Land is learned from as well: there, 1 − p is the probability of what is "
        "there.",
        "turned": "The two cases have changed places: over water the loss is −ln p.",
        "value": "Four pixels: clear water with p = 0.9, clear land with 0.8, unknown ground with 0.4, water under "
        "a veil with 0.5. Expected (0.105 + 1.609 + 0.693) / 3.",
    },
    wrong={
        "filled": """
def water_loss(p_water, label):
    return -np.log(np.where(label[1] == WATER, p_water, 1 - p_water)).mean()""",
        "all": """
def water_loss(p_water, label):
    losses = -np.log(np.where(label[1] == WATER, p_water, 1 - p_water))
    return (losses * (label[1] != INVALID)).mean()""",
        "clear": """
def water_loss(p_water, label):
    losses = -np.log(np.where(label[1] == WATER, p_water, 1 - p_water))
    return losses[label[0] == 1].mean()""",
        "half": """
def water_loss(p_water, label):
    return -np.log(p_water[label[1] == WATER]).sum() / (label[1] != INVALID).sum()""",
        "turned": """
def water_loss(p_water, label):
    losses = -np.log(np.where(label[1] == LAND, p_water, 1 - p_water))
    return losses[label[1] != INVALID].mean()""",
        "value": """
def water_loss(p_water, label):
    known = label[1] != INVALID
    return ((p_water - (label[1] == WATER))[known] ** 2).mean()""",
    },
)

EXERCISES = (RULE, LOSS)
