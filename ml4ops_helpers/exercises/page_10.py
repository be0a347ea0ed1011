"""Exercises of ``10_configure_and_search``: override a value, search on the right scale, stay within a budget."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from .core import Answer, AnswerError, Exercise, close

_CONFIG: dict[str, Any] = {
    "data": {"rows": 8000, "source": "embedded"},
    "training": {"learning_rate": 0.001, "early_stop": True},
}


def override(config: dict[str, Any], change: str) -> dict[str, Any]:
    where, text = change.split("=", 1)
    group, name = where.split(".")
    old = config[group][name]  # a KeyError, if there is none
    new = text.lower() == "true" if isinstance(old, bool) else type(old)(text)
    return config | {group: config[group] | {name: new}}


def _judge_override(answer: Answer) -> str:
    given = copy.deepcopy(_CONFIG)
    found = _overridden(answer, given, "training.learning_rate=0.01")
    if given != _CONFIG:
        return "changed"
    rate = found.get("training", {}).get("learning_rate")
    if found.get("data") != _CONFIG["data"] or set(found.get("training", {})) != set(_CONFIG["training"]):
        return "lost"

    def new(where: str, value: str) -> object:
        group, name = where.split(".")
        return _overridden(answer, copy.deepcopy(_CONFIG), f"{where}={value}")[group][name]

    if isinstance(rate, str) or isinstance(new("training.learning_rate", "1e-3"), str):
        return "text"
    rows = new("data.rows", "500")
    if (rate, rows, new("data.source", "kaggle")) != (0.01, 500, "kaggle") or not isinstance(rows, int):
        return "value"
    if new("training.early_stop", "false") is not False:
        return "truth"
    for mistake in ("training.learning_rte=0.01", "trainig.learning_rate=0.01"):
        try:
            answer(copy.deepcopy(_CONFIG), mistake)
        except AnswerError as error:
            if isinstance(error.__cause__, KeyError):
                continue
        return "typo"
    return ""


def _overridden(answer: Answer, config: dict[str, Any], change: str) -> dict[str, Any]:
    found = answer(config, change)
    if not isinstance(found, dict):
        raise AnswerError(f"your function returned a {type(found).__name__}; expected a dictionary like the one given")
    return found


OVERRIDE = Exercise(
    name="10.1",
    title="Override one value",
    task="""
Write `override(config, change)`. `config` is a dictionary of groups, each a dictionary of values; `change` is a string
such as `"training.learning_rate=0.01"`. Return a new configuration with that value; the one you were given stays as it
is. The new value has the type of the old one: `"data.rows=500"` gives the integer 500, `"training.early_stop=false"`
the boolean `False`. A group or name that does not exist raises a `KeyError`.""",
    tip="Stuck? `type(old)(text)` works for everything except booleans; `config | {…}` makes a new dictionary.",
    reference=override,
    judge=_judge_override,
    hints={
        "changed": "The configuration that you were given has changed, too. The next run that uses it would start from "
        "other values.",
        "lost": "Other values were lost on the way: the rest of the group, or the other group.",
        "text": "The value is a string now. A learning rate of '0.01' or '1e-3' fails late, deep in the training.",
        "value": "The new value is not what was asked for: expected 0.01, 500 (an integer) and 'kaggle'.",
        "truth": 'Beware of booleans: `bool("false")` is `True`, like every string that is not empty.',
        "typo": "A name that does not exist was accepted. Somebody will misspell `learning_rate`, and wonder for a day "
        "why it has no effect; raise a `KeyError`.",
    },
    takeaway="Hydra does the same with deeper trees, and knows the allowed names and types from the structured config.",
)


def draw(low: float, high: float, u: float) -> float:
    return low * (high / low) ** u


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
    title="Search learning rates by magnitude",
    task="""
Write `draw(low, high, u)`. It turns a random number `u` between 0 and 1 into a learning rate between `low` and `high`,
so that each power of ten gets the same share of the draws: between 0.0001 and 0.01, half of them are below 0.001.""",
    tip="Stuck? On which scale are 0.0001, 0.001 and 0.01 equally far apart?",
    reference=draw,
    judge=_judge_draw,
    hints={
        "even": "Halfway you get 0.005: the draws are spread evenly, so nine of ten are above 0.001, in one half of "
        "the magnitudes.",
        "logarithm": "You returned the logarithm of a rate; convert it back.",
        "ends": "For `u` of 0 and 1, expected `low` and `high` themselves.",
        "middle": "The ends are right, the values between them are not: halfway from 0.0001 to 0.01 is 0.001, and a "
        "quarter of the way from 2 to 32 is 4.",
    },
    takeaway="In a search space this is `log: true`. Drawn evenly, nine of ten trials would be above 0.001.",
)


def to_start(states: list[str], trials: int) -> int:
    counted = [state for state in states if state != "failed"]
    return max(0, trials - len(counted))


def _judge_budget(answer: Answer) -> str:
    fresh = ["complete"] * 4 + ["pruned"] * 2
    if not close(answer.numbers(fresh, 10), 4):
        return "pruned" if close(answer.returned, 6) else "value"
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
Several processes work on one study, and some get killed. Write `to_start(states, trials)`: how many *new* trials may be
started so that exactly `trials` are finished in the end? `states` lists the state of each trial so far: `"complete"`,
`"pruned"` (stopped early, because it was hopeless), `"running"`, `"failed"` (its process died), and `"waiting"` (a
failed one that was queued again; some process will take it).""",
    tip="Stuck? Which of the five states stand for a trial that is finished, or will be?",
    reference=to_start,
    judge=_judge_budget,
    hints={
        "pruned": "You start other trials in place of pruned ones. A pruned trial has told us enough, and its time is "
        "spent.",
        "failed": "A failed trial has told us nothing; it does not count.",
        "running": "Two trials are running. They will finish by themselves.",
        "waiting": "Some process will take the waiting trial; it already has its place.",
        "below": "There are more trials than wanted; expected 0, not a negative number.",
        "value": "With four complete and two pruned trials out of ten, four are left.",
    },
    takeaway="Count and start under one lock, or two processes take the same last place.",
)

EXERCISES = (OVERRIDE, DRAW, BUDGET)
