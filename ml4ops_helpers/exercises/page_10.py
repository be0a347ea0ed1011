"""Exercises of ``10_configure_and_search``: override a value safely, search on the right scale, keep a budget."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from .core import Answer, Exercise, Stumble, close

_CONFIG: dict[str, Any] = {
    "data": {"rows": 8000, "source": "embedded"},
    "training": {"learning_rate": 0.001, "early_stop": True},
}


def _judge_override(answer: Answer) -> str:
    given = copy.deepcopy(_CONFIG)
    found = _taken(answer(given, "training.learning_rate=0.01"))
    if given != _CONFIG:
        return "changed"
    rate = found.get("training", {}).get("learning_rate")
    if found.get("data") != _CONFIG["data"] or set(found.get("training", {})) != set(_CONFIG["training"]):
        return "lost"
    small = _taken(answer(copy.deepcopy(_CONFIG), "training.learning_rate=1e-3"))["training"]["learning_rate"]
    if isinstance(rate, str) or isinstance(small, str):
        return "text"
    if rate != 0.01:
        return "value"
    rows = _taken(answer(copy.deepcopy(_CONFIG), "data.rows=500"))["data"]["rows"]
    stop = _taken(answer(copy.deepcopy(_CONFIG), "training.early_stop=false"))["training"]["early_stop"]
    source = _taken(answer(copy.deepcopy(_CONFIG), "data.source=kaggle"))["data"]["source"]
    if (rows, source) != (500, "kaggle") or not isinstance(rows, int):
        return "value"
    if stop is not False:
        return "truth"
    for mistake in ("training.learning_rte=0.01", "trainig.learning_rate=0.01"):
        try:
            answer(copy.deepcopy(_CONFIG), mistake)
        except Stumble as stumble:
            if isinstance(stumble.__cause__, KeyError):
                continue
        return "typo"
    return ""


def _taken(found: object) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise Stumble(
            f"your function returned a {type(found).__name__}; expected a dictionary like the one it was given"
        )
    return found


OVERRIDE = Exercise(
    name="10.1",
    title="Override one value",
    task="""
Write `override(config, change)`. `config` is a dictionary of groups, each a dictionary of values; `change` is a text
such as `"training.learning_rate=0.01"`. Return a new configuration in which that value is set; the one given stays as
it is. The new value has the type of the old one: `"data.rows=500"` gives the integer 500,
`"training.early_stop=false"` the truth value `False`. A group or name that is not there raises a `KeyError`.""",
    stub="""
def override(config, change):
    return ...""",
    tip="Stuck? `type(old)(text)` does it for all but truth values; `config | {…}` makes a new dictionary.",
    solution="""
def override(config, change):
    where, text = change.split("=", 1)
    group, name = where.split(".")
    old = config[group][name]  # a KeyError, if there is none
    new = text.lower() == "true" if isinstance(old, bool) else type(old)(text)
    return config | {group: config[group] | {name: new}}""",
    takeaway="Hydra does the same with deeper trees, and knows the allowed types and names from the structured config.",
    judge=_judge_override,
    hints={
        "changed": "The configuration that you were given has changed, too. Whoever starts the next run from it starts "
        "from somewhere else.",
        "lost": "Other values got lost on the way: the rest of the group, or the other group.",
        "text": "The value is a text now. A learning rate of '0.01' or '1e-3' fails late, deep in the training.",
        "value": "The new value is not what was asked for: 0.01, 500 (an integer) and 'kaggle' were expected.",
        "truth": 'Beware of truth values: `bool("false")` is `True`, as every text that is not empty.',
        "typo": "A name that does not exist was accepted. Somebody will misspell `learning_rate`, and wonder for a day "
        "why it has no effect; raise a `KeyError`.",
    },
    wrong={
        "changed": """
def override(config, change):
    where, text = change.split("=", 1)
    group, name = where.split(".")
    config[group][name] = type(config[group][name])(text)
    return config""",
        "lost": """
def override(config, change):
    where, text = change.split("=", 1)
    group, name = where.split(".")
    return config | {group: {name: type(config[group][name])(text)}}""",
        "text": """
def override(config, change):
    where, text = change.split("=", 1)
    group, name = where.split(".")
    return config | {group: config[group] | {name: text}}""",
        "value": """
def override(config, change):
    where, text = change.split("=", 1)
    group, name = where.split(".")
    config[group][name]
    try:
        new = float(text)
    except ValueError:
        new = text
    return config | {group: config[group] | {name: new}}""",
        "truth": """
def override(config, change):
    where, text = change.split("=", 1)
    group, name = where.split(".")
    return config | {group: config[group] | {name: type(config[group][name])(text)}}""",
        "typo": """
def override(config, change):
    where, text = change.split("=", 1)
    group, name = where.split(".")
    old = config.get(group, {}).get(name, "")
    new = text.lower() == "true" if isinstance(old, bool) else type(old)(text)
    return config | {group: config.get(group, {}) | {name: new}}""",
    },
)


def _judge_draw(answer: Answer) -> str:
    ends = [float(answer.numbers(1e-4, 1e-2, u)) for u in (0.0, 1.0)]
    middle = float(answer.numbers(1e-4, 1e-2, 0.5))
    if close(middle, 0.5 * (1e-4 + 1e-2), 1e-6):
        return "even"
    if not close(ends, [1e-4, 1e-2], 1e-7):
        return "logarithm" if close(ends, np.log([1e-4, 1e-2])) or close(ends, np.log10([1e-4, 1e-2])) else "ends"
    return "" if close(middle, 1e-3, 1e-7) and close(answer.numbers(2.0, 32.0, 0.25), 4.0) else "middle"


DRAW = Exercise(
    name="10.2",
    title="A learning rate is a matter of magnitude",
    task="""
Write `draw(low, high, u)`. It turns a random number `u` between 0 and 1 into a learning rate between `low` and `high`,
such that each power of ten gets the same share of the draws: between 0.0001 and 0.01, half of them lie below 0.001.""",
    stub="""
def draw(low, high, u):
    return ...""",
    tip="Stuck? On which scale do 0.0001, 0.001 and 0.01 lie at equal distances?",
    solution="""
def draw(low, high, u):
    return low * (high / low) ** u""",
    takeaway="In a search space this is `log: true`. Drawn evenly, nine of ten trials would lie above 0.001.",
    judge=_judge_draw,
    hints={
        "even": "In the middle you get 0.005: the draws are spread evenly, and nine of ten lie above 0.001, one half "
        "of the magnitudes.",
        "logarithm": "You returned the logarithm of a rate; take it back from there.",
        "ends": "For `u` of 0 and 1, `low` and `high` themselves are expected.",
        "middle": "The ends are right, the way between them is not: halfway from 0.0001 to 0.01 lies 0.001, and a "
        "quarter of the way from 2 to 32 lies 4.",
    },
    wrong={
        "even": """
def draw(low, high, u):
    return low + u * (high - low)""",
        "logarithm": """
def draw(low, high, u):
    return np.log(low) + u * (np.log(high) - np.log(low))""",
        "ends": """
def draw(low, high, u):
    return 10 ** (u * np.log10(high / low))""",
        "middle": """
def draw(low, high, u):
    return low + (high - low) * u**2""",
    },
)


def _judge_budget(answer: Answer) -> str:
    fresh = ["complete"] * 4 + ["pruned"] * 2
    if not close(answer.numbers(fresh, 10), 4):
        return "pruned" if close(answer.returned, 6) else "rest"
    if not close(answer.numbers([*fresh, "failed"], 10), 4):
        return "failed"
    if not close(answer.numbers([*fresh, "running", "running"], 10), 2):
        return "running"
    if not close(answer.numbers([*fresh, "waiting"], 10), 3):
        return "waiting"
    return "" if close(answer.numbers(fresh * 3, 10), 0) else "below"


BUDGET = Exercise(
    name="10.3",
    title="How many more trials",
    task="""
Several processes work on one study, and some get killed. Write `to_begin(states, trials)`: how many *new* trials may
be begun, so that in the end exactly `trials` are finished. `states` lists the state of each trial so far: `"complete"`,
`"pruned"` (stopped early, because it was hopeless), `"running"`, `"failed"` (its process died), and `"waiting"` (a
failed one, entered once more; somebody will take it).""",
    stub="""
def to_begin(states, trials):
    return ...""",
    tip="Stuck? Which of the five states stand for a trial that is finished, or will be?",
    solution="""
def to_begin(states, trials):
    counted = [state for state in states if state != "failed"]
    return max(0, trials - len(counted))""",
    takeaway="Count and begin under one lock, or two processes take the same last place.",
    judge=_judge_budget,
    hints={
        "pruned": "You begin other trials in place of pruned ones. A pruned trial has told what it could, and its time "
        "is spent.",
        "failed": "A failed trial has told nothing; it does not count.",
        "running": "Two trials are running. They will be finished without your doing.",
        "waiting": "A waiting trial will be taken up by somebody; it has its place already.",
        "below": "More trials than wanted are there; expected 0, not a negative number.",
        "rest": "With four complete and two pruned trials of ten, four are left.",
    },
    wrong={
        "pruned": """
def to_begin(states, trials):
    return max(0, trials - states.count("complete") - states.count("running") - states.count("waiting"))""",
        "failed": """
def to_begin(states, trials):
    return max(0, trials - len(states))""",
        "running": """
def to_begin(states, trials):
    return max(0, trials - states.count("complete") - states.count("pruned") - states.count("waiting"))""",
        "waiting": """
def to_begin(states, trials):
    return max(0, trials - states.count("complete") - states.count("pruned") - states.count("running"))""",
        "rest": """
def to_begin(states, trials):
    return max(0, trials - states.count("pruned"))""",
        "below": """
def to_begin(states, trials):
    return trials - sum(state != "failed" for state in states)""",
    },
)

EXERCISES = (OVERRIDE, DRAW, BUDGET)
