"""Exercises that answer back: a page holds the stub, the site a folded solution, and ``check`` says what is wrong.

There is one module per page, loaded when one of its exercises is checked. It holds the task, the solution, the judge
and the hints of each exercise; the wrong answers that must draw those hints are in ``tests/exercises``. A solution is
run on its page and never here: what is slow to load is imported for type checkers only.
"""

from __future__ import annotations

import importlib
import textwrap

from .core import Exercise, Verdict

__all__ = ["Exercise", "Verdict", "check", "find", "grade", "load"]

WIDTH = 100
"""Longest line that is printed."""


def check(name: str, answer: object) -> None:
    """Print whether an answer is right, and if it isn't, what to think about. Works offline, within seconds.

    Args:
        name: the exercise's number, such as ``04.1``.
        answer: the function that the exercise asks for; whatever it is or does, nothing is raised.

    Raises:
        ValueError: there is no such exercise.

    >>> check("05.2", lambda layers: ...)
    05.2: not answered yet. Write the function and run its cell again.
    """
    print(textwrap.fill(grade(name, answer).text, WIDTH, break_long_words=False, break_on_hyphens=False))


def grade(name: str, answer: object) -> Verdict:
    """Judge an answer.

    Args:
        name: the exercise's number, such as ``04.1``.
        answer: the function that the exercise asks for, or anything else.

    Raises:
        ValueError: there is no such exercise.
    """
    return find(name).grade(answer)


def find(name: str) -> Exercise:
    """The exercise with a number.

    Args:
        name: its number, such as ``04.1``.

    Raises:
        ValueError: there is no such exercise.
    """
    exercises = {exercise.name: exercise for exercise in load(str(name))}
    if name not in exercises:
        raise ValueError(f"no exercise {name!r}; that page has {', '.join(exercises) or 'none'}")
    return exercises[name]


def load(page: str) -> tuple[Exercise, ...]:
    """Exercises of a page in their order; none for a page without a module of exercises.

    Args:
        page: its two digits, or any name that begins with them.

    >>> [exercise.name for exercise in load("07_see_through_clouds")]
    ['07.1', '07.2']
    """
    module = f"{__package__}.page_{page[:2]}"
    try:
        found: tuple[Exercise, ...] = importlib.import_module(module).EXERCISES
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        return ()
    return found
