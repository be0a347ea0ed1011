"""What an exercise is, and how an answer is judged: by what it returns for data made here, never by its text."""

from __future__ import annotations

import ast
import inspect
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

SECONDS = 10.0
"""Longest time that one call of an answer may take."""


class AnswerError(Exception):
    """The answer raised, or returned something that can't be judged; the message is for the learner."""


class Blank(Exception):
    """The answer is still the stub's ``...``."""


class TimeIsUp(BaseException):
    """The answer took too long. Not an ``Exception``, so that an answer that catches those doesn't catch this one."""


@dataclass(frozen=True)
class Exercise:
    """A task, its solution, and the hints for common mistakes.

    Attributes:
        name: page and number, such as ``04.1``.
        title: a few words.
        task: what the learner is asked to write, in Markdown.
        tip: where to look, one or two sentences.
        reference: a right answer. It runs on the page, so it uses only names that the page imports.
        judge: tries an answer and returns the key of a hint, or "" if the answer is right.
        hints: what to tell the learner, by the mistake that was found.
        takeaway: what to remember, printed with "right".
    """

    name: str
    title: str
    task: str
    tip: str
    reference: Callable[..., Any]
    judge: Callable[[Answer], str]
    hints: Mapping[str, str]
    takeaway: str

    @property
    def function(self) -> str:
        """Name of the function that the learner writes."""
        return self.reference.__name__

    @property
    def stub(self) -> str:
        """The function that the learner fills in."""
        return f"def {self.function}({', '.join(inspect.signature(self.reference).parameters)}):\n    return ..."

    @property
    def solution(self) -> str:
        """Source of the reference in the style of a page: no annotations of arguments and results."""
        source = inspect.getsource(self.reference)
        lines, functions = (
            source.splitlines(),
            [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef)],
        )
        for node in sorted(functions, key=lambda n: -n.lineno):  # from below, so that line numbers above stay right
            names = ", ".join(argument.arg for argument in node.args.args)
            header = f"{' ' * node.col_offset}def {node.name}({names}):"
            lines[node.lineno - 1 : node.body[0].lineno - 1] = [header]
        return "\n".join(lines)

    @property
    def key(self) -> str:
        """Its name as part of a cell's id."""
        return self.name.replace(".", "-")

    @property
    def cell(self) -> str:
        """Code of the learner's cell."""
        return f'{self.stub}\n\n\ncheck("{self.name}", {self.function})'

    def grade(self, answer: object) -> Verdict:
        """Judge an answer; whatever it is or does, nothing is raised."""
        hint = ""
        try:
            if answer is ...:
                raise Blank
            if not callable(answer):
                raise AnswerError(f"hand in the function itself, {self.function}, not a {type(answer).__name__}")
            asked = Answer(answer)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                hint = self.judge(asked)
        except Blank:
            return Verdict("blank", f"{self.name}: not answered yet. Write the function and run its cell again.")
        except (AnswerError, TimeIsUp) as error:
            text = f"{error}."
        except Exception as error:  # an answer may break what it was given, such as a model
            text = f"your function left something behind that can't be judged: {_describe(error, asked.function)}."
        else:
            if not hint:
                return Verdict("right", f"{self.name}: right. {self.takeaway}")
            values = ", ".join(f"{value:.4g}" for value in asked.returned.ravel())
            text = self.hints[hint] + (f" (Yours returned {values}.)" if 0 < asked.returned.size <= 4 else "")
        return Verdict("wrong", f"{self.name}: not yet. {text[0].upper()}{text[1:]}", hint)


@dataclass(frozen=True)
class Verdict:
    """The result of a check.

    Attributes:
        state: ``right``, ``wrong``, or ``blank`` for a stub that was not filled in.
        text: what to tell the learner.
        hint: key of the hint that was given, or "" where none of the exercise's hints fits.
    """

    state: Literal["right", "wrong", "blank"]
    text: str
    hint: str = ""


@dataclass
class Answer:
    """A learner's function, called with care.

    Attributes:
        function: what was handed in.
        returned: what its last call returned, if that was numbers.
    """

    function: Callable[..., Any]
    returned: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def __call__(self, *arguments: Any) -> Any:  # noqa: ANN401
        """Call the function with copies of arrays, so that it can't change the judge's data."""
        self.returned = np.empty(0)
        copies = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
        try:
            with time_limit():
                found = self.function(*copies)
        except (Exception, SystemExit) as error:
            raise AnswerError(f"your function stopped with {_describe(error, self.function)}") from error
        if found is ...:
            raise Blank
        if found is None:
            raise AnswerError("your function returned nothing; its last line should begin with return")
        return found

    def numbers(self, *arguments: Any, shape: tuple[int, ...] = ()) -> NDArray[np.float64]:  # noqa: ANN401
        """Call the function and convert what it returns to an array of floats.

        Args:
            arguments: what to call it with.
            shape: shape that the result must have; ``()`` for a single number, ``(2,)`` for a pair.

        Raises:
            AnswerError: it raised, or returned something of another kind or shape.
        """
        found = self(*arguments)
        try:
            array = np.array(found.detach() if hasattr(found, "detach") else found, dtype=np.float64)
        except Exception:
            raise AnswerError(f"your function returned a {type(found).__name__}; expected {_form(shape)}") from None
        if array.shape != shape:
            raise AnswerError(f"your function returned {_form(array.shape)}; expected {_form(shape)}")
        self.returned = array
        return array


def _form(shape: tuple[int, ...]) -> str:
    """A shape in words."""
    words = {(): "one number", (2,): "a pair of numbers"}
    return words.get(shape) or (f"{shape[0]} numbers in a row" if len(shape) == 1 else f"an array of shape {shape}")


def _describe(error: BaseException, function: Callable[..., Any]) -> str:
    """An error in a line: its type, its message, and the learner's line that it comes from."""
    message = traceback.format_exception_only(error)[-1].strip()
    message = message if len(message) <= 200 else f"{message[:200]}…"
    code = getattr(function, "__code__", None)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if code and frame.filename == code.co_filename]
    return f"{message} (in the line `{own[-1].line}`)" if own and own[-1].line else message


def close(found: ArrayLike, expected: ArrayLike, tolerance: float = 1e-4) -> bool:
    """Whether numbers are equal up to rounding; NaN equals NaN.

    Args:
        found: what an answer returned.
        expected: numbers of the same shape.
        tolerance: largest difference, absolute and relative.

    >>> close([0.5, np.nan], [0.500001, np.nan]), close([0.5], [np.nan])
    (True, False)
    """
    return bool(np.allclose(found, expected, rtol=tolerance, atol=tolerance, equal_nan=True))


@contextmanager
def time_limit() -> Iterator[None]:
    """Raise ``TimeIsUp`` in what runs too long. Only a main thread can set an alarm, and not on Windows."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: object) -> None:
        raise TimeIsUp(f"your function was still running after {SECONDS:g} s; does each of its loops end?")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
