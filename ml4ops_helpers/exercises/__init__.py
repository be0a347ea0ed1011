"""Exercises that answer back: a page holds the stub, the site a hidden solution, and ``check`` says what is wrong.

One module a page; each exercise stands whole in one place, with its task, solution, judge, and the mistakes that its
hints know. A page's module is loaded when one of its exercises is checked.
"""

from __future__ import annotations

import textwrap

from .core import Exercise, Verdict, find, grade, load

__all__ = ["Exercise", "Verdict", "check", "find", "grade", "load"]


WIDTH = 100
"""Longest line that is printed."""


def check(name: str, answer: object) -> None:
    """Say whether an answer is right, and if it isn't, what to think about. Works offline, within seconds.

    Args:
        name: the exercise's number, such as ``04.1``.
        answer: the function that the exercise asks for; whatever it is or does, it raises nothing here.

    Raises:
        ValueError: there is no such exercise.

    >>> check("05.2", lambda layers: ...)
    05.2: not answered yet. Write the function and run its cell again.
    """
    print(textwrap.fill(grade(name, answer).text, WIDTH, break_long_words=False, break_on_hyphens=False))
