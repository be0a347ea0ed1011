"""Cells for answers, and what notebooks show of how good an answer is."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from nbformat import NotebookNode

NAMES = (re.compile(r"check\(\s*[\"']([^\"']+)[\"']"), re.compile(r"^# Exercise (\S+?):", re.MULTILINE))
"""Where an exercise cell says which exercise it is."""


@dataclass(frozen=True)
class Said:
    """What is known of an answer that is not blank.

    Attributes:
        state: ``right``, ``wrong``, ``blank``, or ``answered`` where no check told.
        text: what the check said.
        remark: what else a teacher should know.
    """

    state: str = "answered"
    text: str = ""
    remark: str = ""


def exercise_cells(notebook: NotebookNode) -> dict[str, NotebookNode]:
    """The cells for answers, by the name of their exercise; cell numbers and ids don't matter, as Colab changes them.

    Args:
        notebook: a page given out, or one that came back.
    """
    found: dict[str, NotebookNode] = {}
    for cell in notebook.cells:
        if name := _exercise_of(cell):
            found.setdefault(name, cell)
    return found


def _exercise_of(cell: NotebookNode) -> str:
    """The exercise that a cell names, or ""."""
    found = [m[1] for pattern in NAMES if cell.cell_type == "code" and (m := pattern.search(cell.source))]
    return found[0] if found else ""


@dataclass(frozen=True)
class Written:
    """What was written to answer an exercise.

    Attributes:
        cell: the cell that counts.
        attempts: how many cells were written in for this exercise; 0 where all is as it was given out.
    """

    cell: NotebookNode
    attempts: int


def answers_in(original: NotebookNode, returned: NotebookNode) -> dict[str, Written]:
    """What came back for each exercise, by name; exercises whose cells are gone are left out.

    Of several cells that were written in, the one that was given out counts, else the last.

    Args:
        original: the page as given out.
        returned: the page that came back.
    """
    found = {}
    for name, stub in exercise_cells(original).items():
        cells = [cell for cell in returned.cells if _exercise_of(cell) == name]
        attempts = [cell for cell in cells if _is_written_in(cell, stub)]
        if cells:
            ours = [cell for cell in attempts if cell.get("id") == stub.id]
            found[name] = Written((ours or attempts or cells)[-1], len(attempts))
    return found


def _is_written_in(cell: NotebookNode, stub: NotebookNode) -> bool:
    """Whether a cell holds other code than it had; where nothing checks it, a comment is an answer, too."""
    if normal(cell.source) != normal(stub.source):
        return True
    return "check(" not in stub.source and cell.source.split() != stub.source.split()


def normal(source: str) -> str:
    """Code without comments and layout; text that is no Python, or nothing but comments, without blanks.

    Args:
        source: of a cell.

    >>> normal("x = ( 1 )  # mine") == normal("x=1")
    True
    """
    try:
        return ast.unparse(ast.parse(source)) or "".join(source.split())
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: nested too deeply
        return "".join(source.split())


def raised(cell: NotebookNode) -> str:
    """The error that a cell ended with, or "".

    Args:
        cell: a code cell that was run.
    """
    return next((f"{o.ename}: {o.evalue}" for o in cell.get("outputs", []) if o.output_type == "error"), "")


def printed(cell: NotebookNode) -> str:
    """What a cell wrote to standard output.

    Args:
        cell: a code cell that was run.
    """
    streams = [o for o in cell.get("outputs", []) if o.output_type == "stream" and o.name == "stdout"]
    return "".join(o.text for o in streams)


def believed(cell: NotebookNode, name: str) -> Said:
    """What the outputs of an answer's cell say, whoever wrote them.

    Args:
        cell: that of the answer.
        name: of the exercise.
    """
    if error := raised(cell):
        return Said("wrong", error)
    _, mark, rest = f"\n{printed(cell)}".rpartition(f"\n{name}: ")
    text = " ".join(f"{name}: {rest}".split()) if mark else ""  # what is said runs over several lines
    if text.startswith(f"{name}: right"):
        return Said("right", text)
    if text.startswith(f"{name}: not answered"):
        return Said("blank", text)
    return Said("wrong" if text else "answered", text)
