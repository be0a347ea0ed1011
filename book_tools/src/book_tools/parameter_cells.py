"""Parameters of a page: values from the command line, other defaults in its parameters cell."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Mapping

from nbformat import NotebookNode

from .pages import Page, Value


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


def parse_parameters(given: Iterable[tuple[str, str]], pages: Iterable[Page]) -> dict[str, Value]:
    """Parameters as written on the command line.

    Args:
        given: names and values.
        pages: what is to be run. What they declare as a text is one, even if it looks like a number: ``2019_01``.
    """
    types = {name: {page.types[name] for page in pages if name in page.types} for name, _ in given}
    values = {name: parse_value(text) for name, text in given}
    return {n: text if types[n] == {"str"} and not isinstance(values[n], str) else values[n] for n, text in given}


def parse_value(text: str) -> Value:
    """A parameter's value as written on the command line.

    Args:
        text: a Python literal, ``true`` or ``false``; anything else is a text.

    >>> [parse_value(t) for t in ("3", "0.5", "true", "smoke", "'3'")]
    [3, 0.5, True, 'smoke', '3']
    """
    try:
        value = ast.literal_eval(text.title() if text in ("true", "false") else text)
    except (ValueError, SyntaxError):
        return text
    return value if isinstance(value, str | int | float | bool) else text
