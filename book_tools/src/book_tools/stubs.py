"""Tasks and stubs of the exercises in the sources of the pages.

``python -m book_tools.stubs`` copies them from ``ml4ops_helpers.exercises`` into the notebooks.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from ml4ops_helpers.exercises import Exercise, load

from .pages import PageError, find_pages
from .publish import write_notebook
from .solutions import TAG

HEADING = "## Exercises"

INTRO = f"""{HEADING}

Replace the dots in each function and run its cell. `check` tries your function on small data of its own and says
whether it is right, or what to think about; run it as often as you like."""
"""The cell above the exercises of every page."""


def exercise_cells(exercise: Exercise) -> list[NotebookNode]:
    """The cells of an exercise as a learner gets it: task, tip, stub.

    Args:
        exercise: any exercise.
    """
    key = f"exercise-{exercise.key}"
    return [
        new_markdown_cell(f"### {exercise.name} {exercise.title}\n\n{exercise.task.strip()}", id=f"{key}-text"),  # type: ignore[no-untyped-call]
        new_markdown_cell(exercise.tip, id=f"{key}-tip"),  # type: ignore[no-untyped-call]
        new_code_cell(exercise.cell, id=key, metadata={"tags": [TAG]}),  # type: ignore[no-untyped-call]
    ]


def place_exercises(notebook: NotebookNode, exercises: Iterable[Exercise]) -> None:
    """Replace the exercises in a page's section of exercises.

    Args:
        notebook: the source of a page; it is changed.
        exercises: the exercises of that page.

    Raises:
        PageError: no cell begins with the section's heading.
    """
    kept = [cell for cell in notebook.cells if not re.match(r"exercise-\d\d-\d", cell.id)]
    at = next((i for i, cell in enumerate(kept, start=1) if cell.source.startswith(HEADING)), None)
    if at is None:
        raise PageError(f"no cell begins with {HEADING!r}; add one for the exercises")
    kept[at - 1].source = INTRO
    notebook.cells = [*kept[:at], *(cell for e in exercises for cell in exercise_cells(e)), *kept[at:]]


def main(folder: Path) -> None:
    """Write the exercises into the notebooks of a folder.

    Args:
        folder: where the notebooks are.

    Raises:
        PageError: a notebook has exercises but no section for them.
    """
    for page in find_pages(folder):
        if exercises := load(page.name):
            try:
                place_exercises(page.notebook, exercises)
            except PageError as error:
                raise PageError(f"{page.path.name}: {error}") from None
            write_notebook(page.notebook, page.path)


if __name__ == "__main__":
    try:
        main(Path("notebooks"))
    except PageError as error:
        sys.exit(str(error))
