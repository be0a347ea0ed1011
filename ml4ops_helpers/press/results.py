"""Tables of what came back of a handout: one for spreadsheets, one to look at."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from .collect import Answer
from .lecture_report import render, replace_text

COLUMNS = ("student", "members", "page", "exercise", "state", "check", "same_as", "remark")


def write_results(answers: Sequence[Answer], folder: Path) -> tuple[Path, Path]:
    """Write ``results.csv`` and ``results.html``.

    Args:
        answers: from ``collect``.
        folder: of the handout.

    Returns:
        Both files.
    """
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for a in answers:
        members = ", ".join(a.owner.names)
        cells = (a.owner.folder, members, a.page, a.exercise, a.state, a.check, " ".join(a.same_as), a.remark)
        writer.writerow([_harmless(cell) for cell in cells])
    exercises = list(dict.fromkeys((a.page, a.exercise) for a in answers))
    rows: dict[str, dict[tuple[str, str], Answer]] = {}
    for a in answers:
        rows.setdefault(a.owner.folder, {})[a.page, a.exercise] = a
    text = render("results.html", exercises=exercises, rows=rows)
    files = folder / "results.csv", folder / "results.html"
    for file, content in zip(files, (table.getvalue(), text), strict=True):
        replace_text(file, content)
    return files


def _harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula.

    >>> _harmless("=1+1"), _harmless("01.1: right")
    ("'=1+1", '01.1: right')
    """
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t") else cell
