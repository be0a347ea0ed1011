"""What an exercise is, and how an answer to it is judged: by what it does on data made here, never by its text."""

from __future__ import annotations

import ast
import importlib
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

SECONDS = 2.0
"""Longest time that an answer may take on all the data that it is tried on."""


class Stumble(Exception):
    """The answer raised, or returned something that can't be judged; the message says so to the learner."""


class Blank(Exception):
    """The answer is still the stub's ``...``."""


class TimeIsUp(BaseException):
    """The answer took too long. Not an ``Exception``, so that an answer that catches those doesn't catch this one."""


@dataclass(frozen=True)
class Exercise:
    """A task, what solves it, and what goes wrong.

    Attributes:
        name: page and number, such as ``04.1``.
        title: a few words.
        task: what is asked for, in Markdown.
        stub: the function that the learner fills in; its body is ``return ...``.
        tip: where to look, one sentence.
        solution: code that is right, with nothing but what the page has imported.
        takeaway: what to take from it, told with "right".
        judge: tries an answer and returns the key of a hint, or "" when it is right.
        hints: what to say, by the mistake that was found.
        wrong: code of plausible wrong answers, by the key of the hint that each must draw.
    """

    name: str
    title: str
    task: str
    stub: str
    tip: str
    solution: str
    takeaway: str
    judge: Callable[[Answer], str]
    hints: Mapping[str, str]
    wrong: Mapping[str, str]

    @property
    def function(self) -> str:
        """Name of the function that the learner writes."""
        first = ast.parse(self.stub).body[0]
        assert isinstance(first, ast.FunctionDef)
        return first.name

    @property
    def key(self) -> str:
        """Its name as part of a cell's id."""
        return self.name.replace(".", "-")

    @property
    def cell(self) -> str:
        """Code of the learner's cell."""
        return f'{self.stub.strip()}\n\n\ncheck("{self.name}", {self.function})'

    @property
    def praise(self) -> str:
        """What is said to a right answer."""
        return f"{self.name}: right. {self.takeaway}"


@dataclass(frozen=True)
class Verdict:
    """What became of an answer.

    Attributes:
        state: ``right``, ``wrong``, or ``blank`` for a stub that was not filled in.
        text: what to tell the learner.
        hint: key of the hint that was given, or "" where no hint of the exercise fits.
    """

    state: Literal["right", "wrong", "blank"]
    text: str
    hint: str = ""


@dataclass
class Answer:
    """A learner's function, called with care.

    Attributes:
        function: what was handed in.
        returned: what its last call returned, when that was numbers.
        left: seconds that it may still take; what the judge does between its calls is not counted.
    """

    function: Callable[..., Any]
    returned: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    left: float = field(default_factory=lambda: SECONDS)

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401
        """Call the function; arrays are copied first, so that nothing it does to them lasts.

        Args:
            arguments: what to call it with.

        Raises:
            Stumble: it raised, or returned nothing.
            Blank: it returned the stub's ``...``.
            TimeIsUp: all its calls together took too long.
        """
        self.returned = np.empty(0)
        given = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
        started = time.perf_counter()
        try:
            with time_limit(self.left):
                found = self.function(*given)
        except (Exception, SystemExit) as error:
            raise Stumble(f"your function stopped with {_describe(error, self.function)}") from error
        self.left -= time.perf_counter() - started
        if found is ...:
            raise Blank
        if found is None:
            raise Stumble("your function returned nothing; its last line should begin with return")
        return found

    def numbers(self, *arguments: Any, shape: tuple[int, ...] = ()) -> NDArray[np.float64]:  # noqa: ANN401
        """Call the function and take what it returns as numbers.

        Args:
            arguments: what to call it with.
            shape: shape that the result must have; ``()`` for a single number, ``(2,)`` for a pair.

        Raises:
            Stumble: it raised, or returned something of another kind or shape.
        """
        found = self(*arguments)
        try:
            array = np.array(_plain(found), dtype=np.float64)
        except Exception:
            raise Stumble(f"your function returned a {type(found).__name__}; expected {_form(shape)}") from None
        if array.shape != shape:
            raise Stumble(f"your function returned {_form(array.shape)}; expected {_form(shape)}")
        self.returned = array
        return array


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Tensors as arrays, also within a pair."""
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value


def _form(shape: tuple[int, ...]) -> str:
    """A shape in words."""
    if not shape:
        return "one number"
    if len(shape) == 1:
        return "a pair of numbers" if shape == (2,) else f"{shape[0]} numbers in a row"
    return f"an array of shape {shape}"


def _describe(error: BaseException, function: Callable[..., Any]) -> str:
    """An error in a line: its kind, what it says, and the learner's line that it comes from."""
    said = traceback.format_exception_only(error)[-1].strip()
    said = said if len(said) <= 200 else f"{said[:200]}…"
    code = getattr(function, "__code__", None)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if code and frame.filename == code.co_filename]
    return f"{said} (in the line `{own[-1].line}`)" if own and own[-1].line else said


def close(found: ArrayLike, expected: ArrayLike, tolerance: float = 1e-4) -> bool:
    """Whether numbers are equal up to rounding; NaN equals NaN.

    Args:
        found: what an answer returned.
        expected: numbers of the same shape.
        tolerance: largest difference, absolute and as a share.

    >>> close([0.5, np.nan], [0.500001, np.nan]), close([0.5], [np.nan])
    (True, False)
    """
    return bool(np.allclose(found, expected, rtol=tolerance, atol=tolerance, equal_nan=True))


def load(page: str) -> tuple[Exercise, ...]:
    """Exercises of a page, in their order.

    Args:
        page: its two digits, or any name that begins with them.

    Returns:
        None at all for a page without exercises.

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


def find(name: str) -> Exercise:
    """The exercise of a name.

    Args:
        name: page and number, such as ``04.1``.

    Raises:
        ValueError: there is no such exercise.
    """
    there = {exercise.name: exercise for exercise in load(str(name))}
    if name not in there:
        raise ValueError(f"no exercise {name!r}; that page has {', '.join(there) or 'none'}")
    return there[name]


def grade(name: str, answer: object) -> Verdict:
    """Judge an answer.

    Args:
        name: page and number of the exercise, such as ``04.1``.
        answer: the function that it asks for, or anything else.

    Raises:
        ValueError: there is no such exercise.
    """
    exercise = find(name)
    if answer is ...:
        return _blank(name)
    if not callable(answer):
        kind = type(answer).__name__
        return _not_yet(name, f'hand in the function itself, check("{name}", {exercise.function}), not a {kind}.')
    asked = Answer(answer)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            hint = exercise.judge(asked)
    except Blank:
        return _blank(name)
    except Stumble as stumble:
        return _not_yet(name, f"{stumble}.")
    except TimeIsUp:
        return _not_yet(name, f"your function was still running after {SECONDS:g} s; does each of its loops end?")
    except Exception as error:  # an answer may break what it was given, such as a model
        return _not_yet(name, f"your function left something behind that can't be judged: {_describe(error, answer)}.")
    if not hint:
        return Verdict("right", exercise.praise)
    values = asked.returned.ravel()
    shown = f" (Yours returned {', '.join(f'{v:.4g}' for v in values)}.)" if 0 < values.size <= 4 else ""
    return _not_yet(name, exercise.hints[hint] + shown, hint)


def _blank(name: str) -> Verdict:
    return Verdict("blank", f"{name}: not answered yet. Write the function and run its cell again.")


def _not_yet(name: str, said: str, hint: str = "") -> Verdict:
    return Verdict("wrong", f"{name}: not yet. {said[0].upper()}{said[1:]}", hint)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise ``TimeIsUp`` in what runs longer, where the system has an alarm and this is the main thread.

    Args:
        seconds: the limit; where none are left, time is up at once.
    """
    if seconds <= 0:
        raise TimeIsUp
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: object) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left, interval)
        signal.signal(signal.SIGALRM, before)
