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
        names = [m[1] for pattern in NAMES if cell.cell_type == "code" and (m := pattern.search(cell.source))]
        if names:
            found.setdefault(names[0], cell)
    return found


def changed(original: NotebookNode, returned: NotebookNode) -> set[str]:
    """Names of the exercises whose cells came back with other code than they had.

    Args:
        original: the page as given out.
        returned: the page that came back.
    """
    given = {name: normal(cell.source) for name, cell in exercise_cells(original).items()}
    return {n for n, cell in exercise_cells(returned).items() if n in given and normal(cell.source) != given[n]}


def normal(source: str) -> str:
    """Code without comments and layout; text that is no Python without blanks.

    Args:
        source: of a cell.

    >>> normal("x = ( 1 )  # mine") == normal("x=1")
    True
    """
    try:
        return ast.unparse(ast.parse(source))
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
