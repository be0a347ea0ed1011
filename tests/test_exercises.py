"""Exercises: the stub counts as blank, the solution passes, each mistake draws its hint, and nothing is raised."""

from __future__ import annotations

import ast
import inspect
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from ml4ops_helpers import exercises
from ml4ops_helpers.exercises import Exercise, Verdict, check, core, find, grade, load

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
EXERCISES = [exercise for path in NOTEBOOKS for exercise in load(path.name)]


def read_answers(page: str) -> dict[str, dict[str, str]]:
    """Bodies of answers to a page's exercises, by the hint that each must draw; ``right`` is another right way."""
    path = Path(__file__).parent / "exercises" / f"page_{page}.yml"
    answers: dict[str, dict[str, str]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return answers


ANSWERS = {name: bodies for path in NOTEBOOKS for name, bodies in read_answers(path.name[:2]).items()}
EACH_ANSWER = [(find(name), key) for name, bodies in ANSWERS.items() for key in bodies]

each_exercise = pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.name)


@cache
def page_names(page: str) -> dict[str, Any]:
    """What the learner has at hand: the names that the page's cells import."""
    path = next(p for p in NOTEBOOKS if p.name.startswith(page))
    cells = nbformat.read(path, as_version=4).cells
    sources = [c.source for c in cells if c.cell_type == "code" and "setup" not in c.metadata.get("tags", [])]
    imports = [n for s in sources for n in ast.parse(s).body if isinstance(n, ast.Import | ast.ImportFrom)]
    names: dict[str, Any] = {}
    exec(compile(ast.Module(imports, []), str(path), "exec"), names)
    return names


def as_learner(exercise: Exercise, code: str) -> Callable[..., Any]:
    """The function that a learner has after running a cell with this code on the exercise's page."""
    names = dict(page_names(exercise.name[:2]))
    exec(code, names)
    answer: Callable[..., Any] = names[exercise.function]
    return answer


def solution(name: str) -> Callable[..., Any]:
    return as_learner(find(name), find(name).solution)


# Each exercise --------------------------------------------------------------------------------------------------------


@each_exercise
def test_a_stub_is_not_answered_yet(exercise: Exercise, capsys: pytest.CaptureFixture[str]) -> None:
    """As the page runs it: nothing raised, nothing on standard error."""
    exec(exercise.cell, dict(page_names(exercise.name[:2])))
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{exercise.name}: not answered yet")
    assert printed.err == ""


@each_exercise
def test_the_solution_is_right_with_the_names_of_its_page(exercise: Exercise) -> None:
    verdict = grade(exercise.name, as_learner(exercise, exercise.solution))
    assert verdict == Verdict("right", f"{exercise.name}: right. {exercise.takeaway}")


@each_exercise
def test_the_published_solution_is_the_reference_without_annotations(exercise: Exercise) -> None:
    published, reference = (ast.parse(s) for s in (exercise.solution, inspect.getsource(exercise.reference)))
    for function in (n for n in ast.walk(reference) if isinstance(n, ast.FunctionDef)):
        function.returns = None
        for argument in function.args.args:
            argument.annotation = None
    assert ast.dump(published) == ast.dump(reference)
    assert exercise.solution.startswith(exercise.stub.splitlines()[0])


def outer(
    first: int,
    second: int,
) -> int:
    def inner(number: int) -> int:
        return number  # kept

    return inner(first) + second


def test_a_published_solution_keeps_its_comments() -> None:
    published = replace(find("05.2"), reference=outer).solution
    assert published == (
        "def outer(first, second):\n    def inner(number):\n        return number  # kept\n\n"
        "    return inner(first) + second"
    )


@pytest.mark.parametrize(("exercise", "key"), EACH_ANSWER, ids=[f"{e.name} {key}" for e, key in EACH_ANSWER])
def test_a_mistake_draws_its_own_hint_and_another_right_way_none(exercise: Exercise, key: str) -> None:
    body = ANSWERS[exercise.name][key].replace("\n", "\n    ")
    verdict = grade(exercise.name, as_learner(exercise, f"{exercise.stub.splitlines()[0]}\n    {body}"))
    expected = ("right", "") if key == "right" else ("wrong", key)
    assert (verdict.state, verdict.hint) == expected, verdict.text
    assert key == "right" or verdict.text.startswith(f"{exercise.name}: not yet. {exercise.hints[key]}")


@each_exercise
def test_every_hint_is_specific_and_staged(exercise: Exercise) -> None:
    assert len(exercise.hints) >= 3
    assert {"right", *exercise.hints} == ANSWERS[exercise.name].keys()
    assert len({*exercise.hints.values()}) == len(exercise.hints)
    assert all(len(hint) >= 30 for hint in exercise.hints.values())


@each_exercise
def test_nothing_that_a_learner_reads_gives_the_solution_away(exercise: Exercise) -> None:
    lines = [line.split("#")[0].strip() for line in exercise.solution.splitlines()[1:]]
    expressions = {e for line in lines if len(e := line.removeprefix("return ")) >= 12}
    assert expressions, "a solution with no line worth hiding"
    for text in (exercise.task, exercise.tip, exercise.takeaway, exercise.stub, *exercise.hints.values()):
        assert not [e for e in expressions if e in text]


@each_exercise
def test_what_is_returned_is_judged_not_how_it_is_written(exercise: Exercise) -> None:
    """A callable object and lists instead of arrays are as good."""
    answer = as_learner(exercise, exercise.solution)

    class Callable_:
        def __call__(self, *arguments: object) -> object:
            found = answer(*arguments)
            return found.tolist() if isinstance(found, np.ndarray) else found

    assert grade(exercise.name, Callable_()).state == "right"


def test_names_are_those_of_the_page_and_in_order() -> None:
    for path in NOTEBOOKS:
        names = [exercise.name for exercise in load(path.name)]
        assert names == [f"{path.name[:2]}.{i}" for i in range(1, len(names) + 1)]
        assert len(names) >= 2, f"{path.name} has {len(names)} exercises"


# Whatever is handed in ------------------------------------------------------------------------------------------------

RUBBISH = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.complex_numbers()),
    *(st.text(max_size=9), st.binary(max_size=9), st.lists(st.floats(), max_size=4)),
    st.dictionaries(st.text(max_size=2), st.floats(), max_size=2),
    hnp.arrays(np.float64, hnp.array_shapes(max_dims=3, max_side=4)),
    st.sampled_from(
        [object(), type, iter([1]), torch.zeros(2, requires_grad=True), torch.nn.Identity(), print, Path()]
    ),
)


@settings(max_examples=30, deadline=None)
@given(thing=RUBBISH)
def test_rubbish_is_judged_not_raised(thing: object) -> None:
    for exercise in EXERCISES:
        assert grade(exercise.name, lambda *_, thing=thing: thing).state == "wrong"
        if not callable(thing):
            assert exercise.function in grade(exercise.name, thing).text


def test_the_dots_themselves_are_not_answered_yet(capsys: pytest.CaptureFixture[str]) -> None:
    check("04.1", ...)
    assert capsys.readouterr().out.startswith("04.1: not answered yet")


def test_what_is_printed_fits_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    check("05.1", lambda *_: np.zeros((16, 24)))
    printed = capsys.readouterr().out
    assert find("05.1").hints["seams"][:30] in printed
    assert max(len(line) for line in printed.splitlines()) <= 100


def test_an_error_is_reported_with_its_line() -> None:
    def reach(layers: list[tuple[int, int]]) -> int:
        return layers[3][0]

    text = grade("05.2", reach).text
    assert "IndexError: list index out of range" in text
    assert "`return layers[3][0]`" in text


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize("error", [SystemExit(1), RecursionError(), Mute(), StopIteration(), Warning("x" * 9999)])
def test_no_error_of_an_answer_gets_out(error: BaseException) -> None:
    def answer(*_: object) -> None:
        raise error

    verdict = grade("05.2", answer)
    assert verdict.state == "wrong"
    assert type(error).__name__ in verdict.text
    assert len(verdict.text) < 500


@pytest.mark.parametrize(
    ("name", "answer", "text"),
    [
        ("05.2", lambda layers: None, "should begin with return"),
        ("05.2", lambda: 3, "takes 0 positional arguments"),
        ("05.2", lambda _: np.ones((1, 2)), "returned an array of shape (1, 2); expected one number"),
        ("04.1", lambda *_: "half", "returned a str; expected a pair of numbers"),
        ("04.1", lambda *_: (0.25, 1), "(Yours returned 0.25, 1.)"),
    ],
)
def test_what_was_returned_is_reported_in_words(name: str, answer: Callable[..., Any], text: str) -> None:
    assert text in grade(name, answer).text


def test_an_answer_may_change_the_arrays_that_it_is_given() -> None:
    def is_test(events: np.ndarray, share: float, seed: int) -> np.ndarray:
        found: np.ndarray = solution("02.2")(events, share, seed)
        events[:] = "X"
        return found

    assert grade("02.2", is_test).state == "right"


def test_an_endless_loop_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "SECONDS", 0.2)
    before, started = signal.getsignal(signal.SIGALRM), time.perf_counter()

    def reach(layers: object) -> int:
        while time.perf_counter() < started + 20:
            try:
                time.sleep(0.01)
            except Exception:  # what learners write
                continue
        return 0

    verdict = grade("05.2", reach)
    assert verdict.state == "wrong"
    assert "still running after 0.2 s" in verdict.text
    assert grade("05.2", solution("05.2")).state == "right"
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_checking_works_in_a_thread_where_no_alarm_can_be_set() -> None:
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(grade("05.2", solution("05.2")).state))
    thread.start()
    thread.join()
    assert found == ["right"]


# Looking up -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "there"), [("05.9", "05.1, 05.2"), ("99.1", "none")])
def test_an_unknown_exercise_is_named(name: str, there: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}.*{there}"):
        check(name, lambda: 0)


def test_an_error_within_a_page_is_not_taken_for_a_missing_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ModuleNotFoundError(name="geopandas")

    monkeypatch.setattr(exercises.importlib, "import_module", broken)
    with pytest.raises(ModuleNotFoundError):
        load("08")


def test_looking_up_exercises_loads_nothing_heavy() -> None:
    code = (
        "import sys; from ml4ops_helpers.exercises import load\n"
        "assert not [m for m in sys.modules if 'page_' in m]\n"
        f"assert all(load(page)[0].solution for page in {[path.name for path in NOTEBOOKS]})\n"
        "print(*{'torch', 'mlflow', 'pandas', 'scipy', 'geopandas', 'nbformat'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""
