"""Exercises of ``07_see_through_clouds``: a rule with two conditions, and a loss that leaves out what is unknown."""

from __future__ import annotations

import numpy as np

from ml4ops_helpers.scenes import CLOUD, INVALID, LAND, WATER

from .core import Answer, Exercise, close

PLACES = {
    "land": (0.1, 0.1, 1500.0, True, LAND),
    "water": (0.1, 0.9, 800.0, True, WATER),
    "thin": (0.9, 0.9, 2500.0, True, WATER),
    "sand": (0.1, 0.1, 5000.0, True, LAND),
    "thick": (0.9, 0.9, 6000.0, True, CLOUD),
    "outside": (0.9, 0.9, 6000.0, False, INVALID),
}
"""Places with the probabilities of cloud and water, their brightness, whether there are data, and the right code."""


def map_codes(
    p_cloud: np.ndarray,
    p_water: np.ndarray,
    brightness: np.ndarray,
    has_data: np.ndarray,
    t_cloud: float,
    t_water: float,
) -> np.ndarray:
    codes = np.where(p_water >= t_water, WATER, LAND)
    codes[(p_cloud >= t_cloud) & (brightness > 3500)] = CLOUD
    codes[~has_data] = INVALID
    return codes


def _judge_rule(answer: Answer) -> str:
    cloud, water, bright, data, right = (np.array(column) for column in zip(*PLACES.values(), strict=True))
    found = answer.numbers(cloud, water, bright, data, 0.5, 0.5, shape=right.shape)
    wrong = [place for place, code, expected in zip(PLACES, found, right, strict=True) if code != expected]
    if {"water", "land"} & set(wrong):
        return "ground"
    if {"thin", "sand"} <= set(wrong):
        return "either"
    if wrong:
        return wrong[0]
    higher = answer.numbers(cloud, water, bright, data, 0.95, 0.95, shape=right.shape)
    return "" if (higher[:5] == LAND).all() else "limits"


RULE = Exercise(
    name="07.1",
    title="Hidden, or under thin cloud?",
    task="""
Write `map_codes(p_cloud, p_water, brightness, has_data, t_cloud, t_water)`, the rule of section 4. The first three are
arrays of floats (brightness in digital numbers), `has_data` is an array of booleans; the last two are thresholds.
Return an array of codes: 0 without data; 3 where the ground counts as hidden, which takes a cloud probability of at
least `t_cloud` and a brightness above 3500; elsewhere 2 where the water probability is at least `t_water`, and 1 where
it is not.""",
    tip="Stuck? Start with land or water everywhere, then overwrite what you know better. `np.where` or indexing will "
    "do.",
    reference=map_codes,
    judge=_judge_rule,
    hints={
        "either": "Water under thin cloud and bright sand both came out as cloud. Which word joins the two conditions?",
        "thin": "Water under a thin, dark cloud has disappeared. The cloud head is certain, but one condition is not "
        "enough to hide the ground.",
        "sand": "Bright sand came out as cloud, although the cloud head sees none there.",
        "thick": "A thick, bright cloud should be 3, even where the water head predicts water: nobody can see it.",
        "outside": "Where there are no data the code is 0, whatever the network predicts.",
        "ground": "Clear ground is wrong: 2 where the probability of water is at least `t_water`, 1 below it.",
        "limits": "With both thresholds at 0.95, nothing here is certain enough to be cloud or water. Do you use the "
        "thresholds that you are given?",
    },
    takeaway="Each condition corrects the other: sand is bright but not cloud, thin cloud is cloud but not bright.",
)


def water_loss(p_water: np.ndarray, label: np.ndarray) -> float:
    ground = label[1]
    known = ground != INVALID
    right = np.where(ground == WATER, p_water, 1 - p_water)  # the probability of what is there
    return -np.log(right[known]).mean()


def _judge_loss(answer: Answer) -> str:
    """Clear water, clear land, thick cloud over unknown ground, water under thin cloud."""
    p = np.array([0.9, 0.8, 0.4, 0.5])
    label = np.array([[1, 1, 2, 2], [2, 1, 0, 2]])
    water, land, unknown, thin = 0.10536, 1.60944, 0.51083, 0.69315
    values = {
        "": (water + land + thin) / 3,
        "filled": (water + land + unknown + thin) / 4,
        "all": (water + land + thin) / 4,
        "clear": (water + land) / 2,
        "half": (water + thin) / 3,
        "swapped": (2.30259 + 0.22314 + thin) / 3,
    }
    found = answer.numbers(p, label)
    return next((key for key, value in values.items() if close(found, value)), "value")


LOSS = Exercise(
    name="07.2",
    title="Unknown is not land",
    task="""
Write `water_loss(p_water, label)`, the cross-entropy of the water head. `p_water` holds a probability for each pixel;
`label` is of version 2, with shape `(2, pixels)`: its first row is 1 clear, 2 cloud, 0 invalid; its second is 1 land,
2 water, 0 unknown. Return the mean of −ln p over water and −ln(1 − p) over land, over all pixels whose *ground is
known*.""",
    tip="Stuck? Section 3 masks the loss. Which row of the label says what this head may learn?",
    reference=water_loss,
    judge=_judge_loss,
    hints={
        "filled": "A pixel whose ground is unknown was treated as land. The network learns that there is no flood "
        "under thick cloud.",
        "all": "The unknown pixels add nothing to the sum, but they are still in the count that you divide by: the "
        "more cloud, the smaller the loss.",
        "clear": "Cloudy pixels are left out altogether. Under thin cloud the ground is known, and those pixels are "
        "the reason for this kind of label.",
        "half": "Only water contributes. The network also learns from land: there, 1 − p is the probability of what is "
        "there.",
        "swapped": "The two cases are swapped: over water the loss is −ln p.",
        "value": "Four pixels: clear water with p = 0.9, clear land with 0.8, unknown ground with 0.4, water under "
        "thin cloud with 0.5. Expected (0.105 + 1.609 + 0.693) / 3.",
    },
    takeaway="Each head learns where its own answer is known: under thin cloud it is, under thick cloud it isn't.",
)

EXERCISES = (RULE, LOSS)
