"""Exercises in the sources of the pages, and folded solutions in what is published."""

from pathlib import Path

import nbformat
import pytest
from book_tools.pages import PageError, read_notebook
from book_tools.publish import publish
from book_tools.solutions import add_solutions
from tiny_pages import PARAMETERS, write_page

from book_tools import stubs
from ml4ops_helpers.exercises import find, load

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.fixture
def page(tmp_path):
    """A page with both exercises of page 05 in it."""
    folder = tmp_path / "notebooks"
    path = write_page(folder, "05_a", "x = 1", "## Exercises", "# Recap", "x")
    stubs.main(folder)
    return read_notebook(path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_the_notebooks_hold_the_exercises_as_written(path):
    notebook = read_notebook(path)
    before = nbformat.from_dict(notebook)
    stubs.place_exercises(notebook, load(path.name))
    assert notebook == before, "stale: run .venv/bin/python -m book_tools.stubs"
    checked = [c for c in notebook.cells if "exercise" in c.metadata.get("tags", [])]
    assert len(checked) >= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_no_source_holds_a_solution(path):
    text = "\n".join(cell.source for cell in read_notebook(path).cells)
    assert ":class: dropdown" not in text
    for exercise in load(path.name):
        assert exercise.solution not in text


def test_exercises_come_after_their_heading_and_before_what_follows(page):
    assert [c.id for c in page.cells] == [
        *("cell-0", "cell-1", "cell-2", "cell-3"),
        *("exercise-05-1-text", "exercise-05-1-tip", "exercise-05-1"),
        *("exercise-05-2-text", "exercise-05-2-tip", "exercise-05-2"),
        *("cell-4", "cell-5"),
    ]
    assert page.cells[6].source.endswith('check("05.1", in_windows)')
    assert page.cells[4].source.startswith("### 05.1 Tiles without seams\n\nWrite `in_windows")


def test_writing_them_again_changes_nothing(tmp_path):
    path = write_page(tmp_path, "05_a", "## Exercises", "x")
    stubs.main(tmp_path)
    first = path.read_bytes()
    stubs.main(tmp_path)
    assert path.read_bytes() == first


def test_what_was_changed_only_in_the_notebook_is_restored(tmp_path):
    path = write_page(tmp_path, "05_a", "## Exercises", "x")
    stubs.main(tmp_path)
    right = path.read_bytes()
    path.write_text(path.read_text().replace("def reach(layers)", "def reach(network)"))
    stubs.main(tmp_path)
    assert path.read_bytes() == right


def test_a_page_without_the_section_is_named(tmp_path):
    write_page(tmp_path, "05_a", "x")
    with pytest.raises(PageError, match=r"05_a\.ipynb: .*## Exercises"):
        stubs.main(tmp_path)


def test_a_page_without_exercises_is_left_alone(tmp_path):
    path = write_page(tmp_path, "99_a", "x")
    before = path.read_bytes()
    stubs.main(tmp_path)
    assert path.read_bytes() == before


def test_a_published_page_folds_a_solution_below_each_exercise(page):
    published, _ = publish(page, page, {})
    for name in ("05.1", "05.2"):
        at = next(i for i, c in enumerate(published.cells) if c.id == f"exercise-{name.replace('.', '-')}")
        solution = published.cells[at + 1]
        assert solution.cell_type == "markdown"
        assert solution.source.startswith(f"````{{admonition}} Solution {name}\n:class: dropdown\n")
        assert find(name).solution in solution.source
    assert [c.id for c in page.cells if "solution" in c.id] == []
    nbformat.validate(published)


def test_a_published_page_is_published_again_with_one_solution_each(page):
    """The runner brings new prose to outputs that are there: the source and the page published before."""
    published, _ = publish(page, page, {})
    again, _ = publish(page, published, {})
    assert [c.id for c in again.cells] == [c.id for c in published.cells]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("f(1)", r"cell 3 .*check\("),
        ("check('05.7', f)", r"cell 3: .*05\.7"),
    ],
)
def test_an_exercise_that_does_not_exist_is_not_published(tmp_path, source, message):
    path = write_page(tmp_path, "05_a", (source, "exercise"), parameters=(PARAMETERS,))
    with pytest.raises(PageError, match=message):
        add_solutions(read_notebook(path))
