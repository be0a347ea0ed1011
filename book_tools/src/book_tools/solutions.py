"""Folded solutions below the exercises of a published page. The sources hold none."""

from __future__ import annotations

import re

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from ml4ops_helpers.exercises import Exercise, find

from .pages import PageError

TAG = "exercise"
"""Tag of the code cells that hold learners' answers."""

CALL = re.compile(r"""^check\(["'](\d\d\.\d+)["']""", re.MULTILINE)


def add_solutions(page: NotebookNode, name: str = "page") -> None:
    """Put a folded solution below each exercise of a page; code cells stay unchanged.

    Args:
        page: a notebook on its way to the site; it is changed.
        name: its file name, for messages.

    Raises:
        PageError: a cell tagged ``exercise`` does not call ``check``, or there is no such exercise.
    """
    cells = []
    for number, cell in enumerate(page.cells, start=1):
        cells.append(cell)
        if TAG in cell.metadata.get("tags", []):
            cells.append(_solution(_exercise_of(cell, f"{name}, cell {number}")))
    page.cells = cells


def _exercise_of(cell: NotebookNode, where: str) -> Exercise:
    """The exercise that a cell checks."""
    if not (called := CALL.search(cell.source)):
        raise PageError(f'{where} is tagged {TAG!r}, but no line of it begins with check("NN.N", …)')
    try:
        return find(called[1])
    except ValueError as error:
        raise PageError(f"{where}: {error}") from None


def _solution(exercise: Exercise) -> NotebookNode:
    """The cell that a reader unfolds."""
    code = f"```python\n{exercise.solution}\n```"
    text = f"````{{admonition}} Solution {exercise.name}\n:class: dropdown\n\n{code}\n\n{exercise.takeaway}\n````"
    return new_markdown_cell(text, id=f"solution-{exercise.key}")  # type: ignore[no-untyped-call, no-any-return]
