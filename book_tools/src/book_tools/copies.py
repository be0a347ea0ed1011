"""Copies of a notebook for one purpose: other defaults in its parameters cell, solutions taken out."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Mapping

from nbformat import NotebookNode

from .pages import PageError, Value

SOLUTION = re.compile(
    r"^[ \t]*(?P<fence>(?P<sign>[`~:])(?P=sign){2,})[ \t]*\{[\w-]+\}[ \t]*Solution\b(?:[ \t]+(?P<number>\d+))?"
    r".*?(?:^[ \t]*(?P=fence)(?P=sign)*[ \t]*$\n?|\Z)"
    r"|<details\b[^>]*>\s*<summary\b[^>]*>[^<]*\bSolution\b.*?(?:</details>|\Z)",
    re.MULTILINE | re.DOTALL | re.IGNORECASE,
)
"""A solution in a page's prose. A block that is not closed goes to the end of its cell, as in Markdown."""
SOLUTION_TAG = "solution"
"""Tag of cells, of any kind, that hold a solution and nothing else."""
REST = re.compile(
    r"^[ \t>]*(?:(?:[-*+]|\d+[.)])[ \t]+)*(?:[`~:]{3,}|#+[ \t]).*\bsolutions?\b|<summary\b[^>]*>.*?\bsolutions?\b",
    re.MULTILINE | re.IGNORECASE,
)
"""What announces a solution, in whatever form."""


def with_parameters(notebook: NotebookNode, values: Mapping[str, Value]) -> NotebookNode:
    """Copy of a page whose parameters cell has other defaults; types and comments stay.

    Args:
        notebook: a page that ``load_page`` accepts.
        values: the new defaults; names that the page does not have are left out.
    """
    changed = copy.deepcopy(notebook)
    cell = next(c for c in changed.cells if "parameters" in c.metadata.get("tags", []))
    cell.source = set_defaults(cell.source, values)
    return changed


def set_defaults(source: str, values: Mapping[str, Value]) -> str:
    r"""Source of a parameters cell with other values.

    Args:
        source: assignments ``name: type = value``.
        values: new values by name.

    >>> set_defaults('profile: str = "lecture"  # size\nseed: int = 0', {"seed": 7, "profile": "smoke"})
    "profile: str = 'smoke'  # size\nseed: int = 7"
    """
    lines = [line.encode() for line in source.splitlines()]  # positions are counted in bytes
    for statement in reversed(ast.parse(source).body):
        name = statement.target if isinstance(statement, ast.AnnAssign) else getattr(statement, "targets", [None])[0]
        if not (isinstance(name, ast.Name) and name.id in values):
            continue
        old = statement.value  # type: ignore[attr-defined]
        first, last = old.lineno - 1, old.end_lineno - 1
        new = lines[first][: old.col_offset] + repr(values[name.id]).encode() + lines[last][old.end_col_offset :]
        lines[first : last + 1] = [new]
    return b"\n".join(lines).decode()


def without_solutions(notebook: NotebookNode, name: str = "page") -> NotebookNode:
    """Copy of a page without the solutions in its prose; a cell that held nothing else is taken out.

    Args:
        notebook: the page.
        name: the page's file name, for messages.

    Raises:
        PageError: a cell seems to hold a solution still.
    """
    stripped = copy.deepcopy(notebook)
    kept = []
    for number, cell in enumerate(stripped.cells, start=1):
        tags = [tag.casefold() for tag in cell.metadata.get("tags", [])]
        if SOLUTION_TAG in tags:
            continue
        if cell.cell_type == "markdown" and solutions_in(cell.source):
            cell.source = SOLUTION.sub("", unix_lines(cell.source)).strip()
            if not cell.source:
                continue
        if left := REST.search(cell.source if cell.cell_type == "markdown" else ""):
            line = left[0].strip().splitlines()[-1]
            advice = f"tag the cells that hold it {SOLUTION_TAG!r}, or use another word"
            raise PageError(f"{name}, cell {number}: `{line}` seems to announce a solution; {advice}")
        if tag := next((tag for tag in tags if SOLUTION_TAG in tag), ""):
            raise PageError(f"{name}, cell {number}: is tagged {tag!r}; tag a cell with a solution {SOLUTION_TAG!r}")
        kept.append(cell)
    stripped.cells = kept
    return stripped


def solutions_in(source: str) -> list[re.Match[str]]:
    """Solutions in prose; each match has a group ``number``, None where it names no exercise.

    Args:
        source: of a cell.
    """
    return list(SOLUTION.finditer(unix_lines(source)))


def unix_lines(source: str) -> str:
    """A text whose lines end as rules expect, wherever it was written.

    Args:
        source: any text.
    """
    return source.replace("\r\n", "\n")
