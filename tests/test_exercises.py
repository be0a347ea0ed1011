"""Exercises: a stub is not answered, the solution passes, each plausible mistake draws its own hint, nothing raises."""

from __future__ import annotations

import ast
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
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from ml4ops_helpers.exercises import Exercise, Verdict, check, core, find, grade, load

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
EXERCISES = [exercise for path in NOTEBOOKS for exercise in load(path.name)]
MISTAKES = [(exercise, key) for exercise in EXERCISES for key in exercise.wrong]

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


def graded(exercise: Exercise, code: str) -> Verdict:
    answer = as_learner(exercise, code)
    started = time.perf_counter()
    verdict = grade(exercise.name, answer)
    assert time.perf_counter() - started < core.SECONDS
    return verdict


# Each exercise --------------------------------------------------------------------------------------------------------


@each_exercise
def test_a_stub_is_not_answered_yet(exercise: Exercise, capsys: pytest.CaptureFixture[str]) -> None:
    """As the page runs it: nothing raised, nothing on standard error."""
    exec(exercise.cell, dict(page_names(exercise.name[:2])))
    said = capsys.readouterr()
    assert said.out.startswith(f"{exercise.name}: not answered yet")
    assert said.err == ""


@each_exercise
def test_the_solution_is_right(exercise: Exercise) -> None:
    assert graded(exercise, exercise.solution) == Verdict("right", exercise.praise)


@pytest.mark.parametrize(("exercise", "key"), MISTAKES, ids=[f"{e.name} {key}" for e, key in MISTAKES])
def test_a_mistake_draws_its_own_hint(exercise: Exercise, key: str) -> None:
    verdict = graded(exercise, exercise.wrong[key])
    assert (verdict.state, verdict.hint) == ("wrong", key), verdict.text
    assert verdict.text.startswith(f"{exercise.name}: not yet. {exercise.hints[key]}")


@each_exercise
def test_every_hint_is_specific_and_staged(exercise: Exercise) -> None:
    assert len(exercise.wrong) >= 3
    assert exercise.wrong.keys() == exercise.hints.keys()
    assert len({*exercise.hints.values()}) == len(exercise.hints)
    assert all(len(hint) >= 30 for hint in exercise.hints.values())


@each_exercise
def test_nothing_that_a_learner_reads_gives_the_solution_away(exercise: Exercise) -> None:
    lines = [line.split("#")[0].strip() for line in exercise.solution.strip().splitlines()[1:]]
    expressions = {e for line in lines if len(e := line.removeprefix("return ")) >= 12}
    assert expressions, "a solution with no line worth hiding"
    for text in (exercise.task, exercise.tip, exercise.takeaway, exercise.stub, *exercise.hints.values()):
        assert not [e for e in expressions if e in text]


@each_exercise
def test_what_is_returned_is_judged_not_how_it_is_written(exercise: Exercise) -> None:
    """Another name, a callable object and lists instead of arrays are as good."""
    answer = as_learner(exercise, exercise.solution)

    class Callable_:
        def __call__(self, *arguments: object) -> object:
            found = answer(*arguments)
            return found.tolist() if isinstance(found, np.ndarray) else found

    assert grade(exercise.name, Callable_()).state == "right"


OTHER_WAYS = {
    "01.1": """
def f(score, flooded, cost_miss, cost_false_alarm):
    def cost(t):
        return cost_miss * (flooded & (score < t)).sum() + cost_false_alarm * (~flooded & (score >= t)).sum()
    return min(np.linspace(0, 1, 101), key=cost)""",
    "02.1": """
def f(dn, offset):
    found = dn.astype(np.float32)
    found[found == 0] = np.nan
    return (found + offset) / 10_000""",
    "02.2": """
def f(events, share, seed):
    import random
    names = sorted(set(events.tolist()))
    chosen = set(random.Random(seed).sample(names, round(share * len(names))))
    return [e in chosen for e in events]""",
    "03.1": """
def f(model, optimizer, loss_of, x, y):
    optimizer.zero_grad(set_to_none=False)
    loss = loss_of(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()""",
    "03.2": """
def f(model, loss_of, batches):
    was = model.training
    model.eval()
    with torch.no_grad():
        losses = torch.stack([loss_of(model(x), y) for x, y in batches])
    model.train(was)
    sizes = torch.tensor([len(x) for x, _ in batches])
    return (losses * sizes).sum() / sizes.sum()""",
    "04.1": """
def f(truth, prediction):
    tp, fp, fn, _ = binary_counts(truth == 2, prediction == 2, mask=(truth == 1) | (truth == 2))
    return tp / (tp + fp) if tp + fp else np.nan, tp / (tp + fn) if tp + fn else float("nan")""",
    "04.2": """
def f(val_score, val_water, test_score, test_water):
    val, test = ScoreHistogram(), ScoreHistogram()
    val.update(val_water, val_score)
    test.update(test_water, test_score)
    at = np.linspace(0.01, 0.99, 99)
    ious = [iou(c.tp, c.fp, c.fn) for c in map(val.counts_at, at)]
    c = test.counts_at(at[int(np.argmax(ious))])
    return iou(c.tp, c.fp, c.fn)""",
    "04.3": """
def f(iou_a, iou_b, rng):
    means = []
    for _ in range(1000):
        rows = rng.choice(len(iou_a), len(iou_a), replace=True)
        means.append(np.mean(iou_a[rows]) - np.mean(iou_b[rows]))
    return tuple(np.percentile(means, [2.5, 97.5]))""",
    "06.1": """
def f(p):
    both = np.stack([p, 1 - p])
    def h(q):
        return -np.where(q > 0, q * np.log(np.where(q > 0, q, 1)), 0).sum(axis=0)
    total = h(both.mean(axis=1))
    return np.stack([total, total - h(both).mean(axis=0)])""",
    "06.2": """
def f(network):
    network.train()
    for part in network.modules():
        if "Dropout" not in type(part).__name__:
            part.training = False
    return network""",
    "07.1": """
def f(p_cloud, p_water, brightness, has_data, t_cloud, t_water):
    ground = np.where(p_water >= t_water, 2, 1)
    hidden = np.logical_and(p_cloud >= t_cloud, brightness > 3500)
    return np.where(has_data, np.where(hidden, 3, ground), 0).astype(np.uint8)""",
    "07.2": """
def f(p_water, label):
    p, ground = torch.from_numpy(p_water), torch.from_numpy(label[1])
    known = ground > 0
    return torch.nn.functional.binary_cross_entropy(p[known], (ground[known] == 2).double())""",
    "08.1": """
def f(before, after, pixel_m2):
    km2 = pixel_m2 / 1e6
    low = np.count_nonzero((before == 1) & (after == 2))
    unknown = np.count_nonzero(np.isin(before, (0, 3)) & (after == 2))
    return [low * km2, (low + unknown + np.count_nonzero(np.isin(after, [0, 3]))) * km2]""",
    "08.2": """
def f(outlines):
    return outlines.to_crs(outlines.estimate_utm_crs()).area.sum() / 1_000_000""",
    "08.3": """
def f(houses, flood):
    points = gpd.GeoDataFrame(geometry=houses.to_crs("EPSG:4326"))
    areas = gpd.GeoDataFrame(geometry=flood.to_crs("EPSG:4326"))
    return gpd.sjoin(points, areas, predicate="within").index.nunique()""",
}
"""Right answers of learners who went another way than the solution."""


@pytest.mark.parametrize("name", OTHER_WAYS)
def test_another_way_is_right_too(name: str) -> None:
    names = dict(page_names(name[:2]))
    exec(OTHER_WAYS[name], names)
    assert grade(name, names["f"]).text == find(name).praise


# Whatever is handed in ------------------------------------------------------------------------------------------------

RUBBISH = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=9),
    st.binary(max_size=9),
    st.lists(st.floats(), max_size=4),
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


def test_what_is_said_fits_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    check("05.1", lambda *_: np.zeros((16, 24)))
    said = capsys.readouterr().out
    assert "Inside the scene, the result differs" in said
    assert max(len(line) for line in said.splitlines()) <= 100


def test_an_error_is_told_with_its_line() -> None:
    def reach(layers: list[tuple[int, int]]) -> int:
        return layers[3][0]

    said = grade("05.2", reach).text
    assert "IndexError: list index out of range" in said
    assert "`return layers[3][0]`" in said


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


def test_forgetting_to_return_is_told() -> None:
    def reach(layers: object) -> None:
        pass

    assert "should begin with return" in grade("05.2", reach).text


def test_wrong_number_of_arguments_is_told() -> None:
    assert "takes 0 positional arguments" in grade("05.2", lambda: 3).text


def test_wrong_shape_and_kind_are_told_in_words() -> None:
    assert "returned an array of shape (1, 2); expected one number" in grade("05.2", lambda _: np.ones((1, 2))).text
    assert "returned a str; expected a pair of numbers" in grade("04.1", lambda *_: "half").text


def test_a_few_wrong_numbers_are_shown() -> None:
    assert grade("04.1", lambda *_: (0.25, 1)).text.endswith("(Yours returned 0.25, 1.)")


def test_an_answer_may_spoil_what_it_is_given() -> None:
    """The next call must get the data as they were."""
    exercise = find("02.2")
    solution = as_learner(exercise, exercise.solution)

    def is_test(events: np.ndarray, share: float, seed: int) -> np.ndarray:
        found: np.ndarray = solution(events, share, seed)
        events[:] = "X"
        return found

    assert grade("02.2", is_test).state == "right"


def test_a_loop_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "SECONDS", 0.2)

    def reach(layers: object) -> int:
        while True:
            try:
                time.sleep(0.01)
            except Exception:  # what learners write
                continue

    verdict = grade("05.2", reach)
    assert verdict.state == "wrong"
    assert "still running after 0.2 s" in verdict.text


def test_all_calls_of_an_answer_share_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "SECONDS", 0.3)
    solution = as_learner(find("05.2"), find("05.2").solution)

    def reach(layers: object) -> int:
        time.sleep(0.1)
        found: int = solution(layers)
        return found

    assert "still running" in grade("05.2", reach).text


def test_the_time_that_a_judge_takes_is_not_the_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a fresh process a judge may have to load torch."""
    exercise = find("05.2")
    answer = as_learner(exercise, exercise.solution)
    monkeypatch.setattr(core, "SECONDS", 0.1)

    def slow(asked: core.Answer) -> str:
        time.sleep(0.3)
        return exercise.judge(asked)

    monkeypatch.setattr(core, "find", lambda name: replace(exercise, judge=slow))
    assert grade("05.2", answer).state == "right"


def test_the_alarm_is_off_after_an_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "SECONDS", 0.2)
    before = signal.getsignal(signal.SIGALRM)
    exercise = find("05.2")
    assert grade("05.2", as_learner(exercise, exercise.solution)).state == "right"
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_checking_works_in_a_thread_where_no_alarm_can_be_set() -> None:
    exercise, found = find("05.2"), []
    answer = as_learner(exercise, exercise.solution)
    thread = threading.Thread(target=lambda: found.append(grade("05.2", answer).state))
    thread.start()
    thread.join()
    assert found == ["right"]


@pytest.mark.parametrize(("name", "said"), [("05.9", "that page has 05.1, 05.2"), ("99.1", "that page has none")])
def test_an_unknown_exercise_is_named(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"no exercise '{name}'; {said}"):
        check(name, lambda: 0)


def test_an_error_within_a_page_is_not_taken_for_a_missing_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise ModuleNotFoundError(name="geopandas")

    monkeypatch.setattr(core.importlib, "import_module", broken)
    with pytest.raises(ModuleNotFoundError):
        load("08")


def test_looking_up_exercises_loads_nothing_heavy() -> None:
    code = (
        "import sys; from ml4ops_helpers.exercises import load\n"
        "assert not [m for m in sys.modules if 'page_' in m]\n"
        "assert all(load(f'{n:02d}') for n in range(1, 9))\n"
        "print(*{'torch', 'pandas', 'scipy', 'geopandas', 'nbformat'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""


# In the notebooks -----------------------------------------------------------------------------------------------------


def test_names_are_those_of_the_page_and_in_order() -> None:
    for path in NOTEBOOKS:
        names = [exercise.name for exercise in load(path.name)]
        assert names == [f"{path.name[:2]}.{i}" for i in range(1, len(names) + 1)]
        assert len(names) >= 2, f"{path.name} has {len(names)} exercises"
