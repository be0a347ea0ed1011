"""Handouts: what a course folder holds, what students get, and what nbgrader makes of their answers."""

import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from book_tools.commands import main
from book_tools.handout import HandoutError, solved_cell, write_course
from book_tools.pages import PageError
from book_tools.plans import read_plan
from tiny_pages import write_page

from book_tools import stubs
from ml4ops_helpers.exercises import load

ROOT = Path(__file__).parents[2]
PAGE = "10_search.ipynb"
SETUP = "from ml4ops_helpers.exercises import check"
EXERCISES = load("10")


@pytest.fixture
def course(tmp_path):
    """Write a course from a page with the three exercises of page 10, planned with two seeds."""
    write_page(tmp_path / "notebooks", Path(PAGE).stem, SETUP, "## Exercises", "end = seed")
    stubs.main(tmp_path / "notebooks")
    plan = tmp_path / "week_1.yml"
    plan.write_text("title: Searching\nruns: [{pages: ['10'], parameters: {profile: smoke}, grid: {seed: [7, 8]}}]\n")
    write_course(read_plan(plan, tmp_path / "notebooks"), "week_1", tmp_path / "course")
    return tmp_path / "course"


def cells(path):
    return {cell.id: cell for cell in nbformat.read(path, as_version=4).cells}


def nbgrader(course, *arguments):
    done = subprocess.run([sys.executable, "-m", "nbgrader", *arguments], cwd=course, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_an_answer_cell_holds_the_solution_and_the_cell_below_grades_it(course):
    found = cells(course / "source/week_1" / PAGE)
    names = list(found)
    for exercise in EXERCISES:
        answer, test = found[f"exercise-{exercise.key}"], found[f"test-{exercise.key}"]
        assert names.index(test.id) == names.index(answer.id) + 1
        assert answer.metadata.nbgrader.solution
        assert not answer.metadata.nbgrader.locked
        assert test.metadata.nbgrader.grade
        assert test.metadata.nbgrader.points == 1
        namespace = {}
        exec(answer.source.replace("check(", "("), namespace)
        exec(test.source, namespace)  # raises nothing
        namespace[exercise.function] = lambda *_: ...
        with pytest.raises(AssertionError, match="not answered"):
            exec(test.source, namespace)


@pytest.mark.parametrize("exercise", [e for n in range(1, 11) for e in load(f"{n:02d}")], ids=lambda e: e.name)
def test_every_exercise_of_the_book_can_be_handed_out(exercise):
    lines = solved_cell(exercise).splitlines()
    begin, end = lines.index("    ### BEGIN SOLUTION"), lines.index("    ### END SOLUTION")
    assert "\n".join([*lines[:begin], "    return ...", *lines[end + 1 :]]) == exercise.cell
    assert "\n".join(lines[begin + 1 : end]).strip() in exercise.solution
    compile("\n".join(lines), exercise.name, "exec")


def test_the_first_parameters_of_a_plan_are_handed_out(course, tmp_path, capsys):
    assert "seed: int = 7" in cells(course / "source/week_1" / PAGE)["cell-1"].source
    options = ["--notebooks", str(tmp_path / "notebooks"), "--out", str(tmp_path / "other")]
    assert main(["handout", str(tmp_path / "week_1.yml"), *options]) == 0
    said = capsys.readouterr().out
    assert "given out is 10_search" in said
    assert "seed-8" in said


def test_a_second_assignment_keeps_the_course_as_it_is(course, tmp_path):
    (course / "nbgrader_config.py").write_text("# mine\n")
    before = (course / "source/week_1" / PAGE).read_bytes()
    plan = read_plan(tmp_path / "week_1.yml", tmp_path / "notebooks")
    write_course(plan, "week_2", course)
    with pytest.raises(HandoutError, match="week_1"):
        write_course(plan, "week_1", course)
    assert (course / "nbgrader_config.py").read_text() == "# mine\n"
    assert (course / "source/week_1" / PAGE).read_bytes() == before
    assert "release/week_2" in (course / "README.md").read_text()


@pytest.mark.parametrize("name", ["Con", "aux", "NUL", "COM1", "lpt9", "con.1", "week_1.", "week ", "week:1", "1+2"])
def test_a_name_that_is_no_folder_s_on_every_system_is_refused(course, tmp_path, name):
    plan = read_plan(tmp_path / "week_1.yml", tmp_path / "notebooks")
    with pytest.raises(HandoutError, match=r"^[^\n]*rename the plan"):
        write_course(plan, name, tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("name", ["Week 1", "console", "com10", "week.1", "wöche"])
def test_other_names_can_be_typed_as_the_readme_shows_them(course, tmp_path, name):
    write_course(read_plan(tmp_path / "week_1.yml", tmp_path / "notebooks"), name, tmp_path / "other")
    (line,) = [li for li in (tmp_path / "other/README.md").read_text().splitlines() if "generate_assignment" in li]
    assert shlex.split(line, comments=True) == ["nbgrader", "generate_assignment", name]


def test_a_cell_that_checks_no_exercise_is_named_and_nothing_is_written(tmp_path, capsys):
    write_page(tmp_path / "notebooks", "10_search", ("answer = 1", "exercise"))
    (tmp_path / "plan.yml").write_text("title: T\nruns: [{pages: ['10']}]\n")
    plan = read_plan(tmp_path / "plan.yml", tmp_path / "notebooks")
    with pytest.raises(PageError, match=r"10_search\.ipynb, cell 3"):
        write_course(plan, "plan", tmp_path / "course")
    assert not (tmp_path / "course").exists()


@pytest.mark.slow
def test_released_pages_of_the_book_hold_no_solution(tmp_path):
    pages = sorted((ROOT / "notebooks").glob("*.ipynb"))
    (tmp_path / "book.yml").write_text(f"title: All\nruns: [{{pages: [{', '.join(page.stem for page in pages)}]}}]\n")
    course = tmp_path / "course"
    write_course(read_plan(tmp_path / "book.yml", ROOT / "notebooks"), "book", course)
    nbgrader(course, "generate_assignment", "book")
    for page in pages:
        released = cells(course / "release/book" / page.name)
        text = "\n".join(cell.source for cell in released.values())
        assert not [mark for mark in ("### BEGIN", "### END", "grade(", "verdict.state") if mark in text]
        for exercise in load(page.stem):
            assert released[f"exercise-{exercise.key}"].source == exercise.cell


def hand_in(course, student, answers, changes):
    """Fill in a released page as a student does; ``changes`` are other cells by id, None for one that is deleted."""
    page = nbformat.read(course / "release/week_1" / PAGE, as_version=4)
    changes |= {f"exercise-{e.key}": f'{answers[e.name]}\n\n\ncheck("{e.name}", {e.function})' for e in EXERCISES}
    page.cells = [cell for cell in page.cells if changes.get(cell.id, "") is not None]
    for cell in page.cells:
        cell.source = changes.get(cell.id, cell.source)
    path = course / "submitted" / student / "week_1" / PAGE
    path.parent.mkdir(parents=True)
    nbformat.write(page, path)


@pytest.mark.slow
def test_nbgrader_releases_grades_and_gives_feedback(course):
    nbgrader(course, "generate_assignment", "week_1")
    right = {e.name: e.solution.strip() for e in EXERCISES}
    wrong = {"10.1": "def override(:", "10.2": "def draw(low, high, u):\n    return low + u * (high - low)"}
    hand_in(course, "ada", right, {"cell-2": "check = print"})
    hand_in(course, "bob", right | wrong, {"test-10-2": "pass", "test-10-3": None})  # tests are put back
    hand_in(course, "cy", {e.name: e.stub.strip() for e in EXERCISES}, {})
    nbgrader(course, "autograde", "week_1")
    nbgrader(course, "generate_feedback", "week_1")

    from nbgrader.api import Gradebook  # an extra that the other tests do without

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        grades = {
            s.student.id: {g.name: g.score for g in s.notebooks[0].grades}
            for s in book.assignment_submissions("week_1")
        }
    tests = [f"test-{e.key}" for e in EXERCISES]
    scores = {student: [found[test] for test in tests] for student, found in grades.items()}
    assert scores == {"ada": [1, 1, 1], "bob": [0, 0, 1], "cy": [0, 0, 0]}
    assert cells(course / "autograded/ada/week_1" / PAGE)["cell-2"].source == SETUP  # all but answers is put back
    assert "the draws are spread evenly" in (course / "feedback/bob/week_1/10_search.html").read_text()
