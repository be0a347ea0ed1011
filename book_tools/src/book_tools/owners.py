"""Whom copies are for: students or groups, from a list as spreadsheets save it, each with a folder and a seed."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

COLUMNS = ("name", "group")
"""Columns that a list of students may have."""
LONGEST = 60
"""Most signs of a folder's name."""


class HandoutError(Exception):
    """Copies can't be written or read; the message names the file and line, and says what to do."""


@dataclass(frozen=True)
class Owner:
    """Whom a copy is for.

    Attributes:
        folder: name of the folder.
        name: the student or group, as the list has it.
        names: the student, or the members of the group.
        seed: of the notebooks in it.
    """

    folder: str
    name: str
    names: tuple[str, ...]
    seed: int


def read_students(path: Path, title: str) -> list[Owner]:
    """Owners of copies: one a student, or one a group where the list has a column ``group``.

    Args:
        path: a CSV file, with commas or semicolons, with a header and a column ``name``.
        title: of the plan; another plan gives the same student another seed.

    Raises:
        HandoutError: the file is missing, has no such column, another one or no names, or a name is no good or there
            twice.
    """
    columns, rows = _read_table(path)
    people = [(line, _clean(row[columns.index("name")], f"{path.name}, line {line}")) for line, row in rows]
    _refuse_doubles(people, path.name)
    if "group" not in columns:
        return [_owner(name, [name], title) for _, name in people]
    groups: dict[str, list[str]] = {}
    for (line, name), (_, row) in zip(people, rows, strict=True):
        group = _clean(row[columns.index("group")], f"{path.name}, line {line}, group")
        groups.setdefault(group, []).append(name)
    _refuse_doubles([(0, group) for group in groups], path.name)
    return [_owner(group, members, title) for group, members in groups.items()]


def _read_table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Columns of a list, and its rows with the numbers of their lines; every row has every column."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0].strip()
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in first else ",")
        columns = [column.strip().casefold() for column in next(reader, [])]
        rows = [(reader.line_num, row) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else f"not a CSV file in UTF-8 ({error})"
        raise HandoutError(f"{path}: {reason}; give a file with a line 'name' and a line for each student") from None
    if "name" not in columns or not rows:
        found = f"its first line is {first!r}" if first else "it is empty"
        raise HandoutError(
            f"{path.name}: no names, {found}; write a first line 'name' and below it a line for each student"
        )
    for number, column in enumerate(columns):
        if column not in COLUMNS or column in columns[:number]:
            raise HandoutError(f"{path.name}: column {column!r} is unknown or there twice; it may have name and group")
    for line, row in rows:
        if len(row) > len(columns):
            raise HandoutError(
                f"{path.name}, line {line}: {len(row)} cells, but the first line has {len(columns)}; quote names "
                'with commas, as in "Lovelace, Ada"'
            )
    return columns, [(line, row + [""] * (len(columns) - len(row))) for line, row in rows]


def number_groups(count: int, title: str) -> list[Owner]:
    """Owners of copies for groups that have no names.

    Args:
        count: how many.
        title: of the plan.

    >>> [owner.folder for owner in number_groups(2, "Floods")]
    ['group_01', 'group_02']
    """
    return [_owner(f"group {number:02d}", [f"group {number:02d}"], title) for number in range(1, count + 1)]


def _clean(name: str, where: str) -> str:
    """A name in one spelling, or an error."""
    clean = " ".join(unicodedata.normalize("NFC", name).split())
    if not clean:
        raise HandoutError(f"{where}: the name is empty; fill it in or remove the line")
    if not _folder(clean) or "/" in clean or "\\" in clean or len(_folder(clean)) > LONGEST:
        raise HandoutError(
            f"{where}: {clean!r} can't name a folder; use letters or digits, no / and no \\, at most {LONGEST} signs"
        )
    return clean


def _refuse_doubles(people: Sequence[tuple[int, str]], file: str) -> None:
    """Two names that some system takes for one folder."""
    seen: dict[str, str] = {}
    for line, name in people:
        folder, where = _folder(name).casefold(), f", line {line}" if line else ""
        if folder in seen:
            raise HandoutError(f"{file}{where}: {name!r} is there twice (as {seen[folder]!r}); tell the two apart")
        seen[folder] = name


def _folder(name: str) -> str:
    """A folder's name that every system takes: letters, digits and their accents, and few signs.

    >>> _folder("Lovelace, Ada (b. 1815)"), _folder("Søren O'Neil Jr."), _folder("..")
    ('Lovelace_Ada_b._1815', "Søren_O'Neil_Jr", '')
    """
    kept = [c if c.isalnum() or c in ".'’-" or unicodedata.category(c)[0] == "M" else "_" for c in name]
    return re.sub("_+", "_", "".join(kept)).strip("._-'’")


def _owner(name: str, members: Sequence[str], title: str) -> Owner:
    digest = hashlib.sha256(f"{title}\n{name.casefold()}".encode()).digest()
    return Owner(_folder(name), name, tuple(members), int.from_bytes(digest[:8], "big") % 10**9)
