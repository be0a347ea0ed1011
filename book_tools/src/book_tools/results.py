"""Tables of what came back of a handout: one for spreadsheets, one to look at."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from .collect import Answer, Collected
from .rendering import render
from .writing import replace_text

COLUMNS = ("student", "members", "page", "exercise", "state", "check", "same_as", "remark")


def write_results(collected: Collected, folder: Path) -> tuple[Path, Path]:
    """Write ``results.csv`` and ``results.html``.

    Args:
        collected: from ``collect``.
        folder: of the handout.

    Returns:
        Both files.
    """
    names = {a.owner.folder: a.owner.name for a in collected.answers}
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for a in collected.answers:
        members, same = ", ".join(a.owner.names), "; ".join(names[folder] for folder in a.same_as)
        cells = (a.owner.name, members, a.page, a.exercise, a.state, a.check, same, a.remark)
        writer.writerow([_harmless(cell) for cell in cells])
    rows: dict[str, dict[tuple[str, str], Answer]] = {}
    for a in collected.answers:
        rows.setdefault(a.owner.folder, {})[a.page, a.exercise] = a
    exercises = list(dict.fromkeys((a.page, a.exercise) for a in collected.answers))
    text = render("results.html", collected=collected, names=names, exercises=exercises, rows=rows)
    files = folder / "results.csv", folder / "results.html"
    # The mark at the beginning of the first is for Excel, which takes a file without one for its country's old signs.
    for file, content in zip(files, ("\ufeff" + table.getvalue(), text), strict=True):
        replace_text(file, content)
    return files


def _harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula.

    >>> _harmless("=1+1"), _harmless("01.1: right")
    ("'=1+1", '01.1: right')
    """
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t") else cell
