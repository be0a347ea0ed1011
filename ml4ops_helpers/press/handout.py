"""Students' copies of a plan's pages: no solutions, a seed and so a data set for each, and a place for each answer."""

from __future__ import annotations

import copy
import csv
import hashlib
import io
import json
import re
import shutil
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode

from .copies import SOLUTION, with_parameters, without_solutions
from .plans import Plan, PlannedRun
from .publish import write_notebook
from .readme import page_title

COLUMNS = ("name", "group")
"""Columns that a list of students may have."""
LONGEST = 60
"""Most signs of a folder's name."""
NUMBER = re.compile(r"\{admonition\} Solution (\d+)")
LIST = "handout.json"
"""File that tells what was given to whom."""
EXERCISE_TAG = "exercise"
"""Tag of the code cells in which answers are written."""


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


def given_out(plan: Plan) -> list[tuple[PlannedRun, list[PlannedRun]]]:
    """The run of each page that is given out, which is the plan's first, and those that are left out for it.

    Args:
        plan: from ``read_plan``.

    Returns:
        The pages in the order of their names.
    """
    ordered = sorted(plan.runs, key=lambda run: run.page.name)  # keeps the plan's order within a page
    groups = [list(group) for _, group in groupby(ordered, key=lambda run: run.page.name)]
    return [(first, others) for first, *others in groups]


def write_handout(plan: Plan, owners: Sequence[Owner], out: Path) -> Path:
    """Write the copies: ``students/NAME/`` to give away, the rest for the teacher.

    The same plan, pages and names give the same bytes.

    Args:
        plan: from ``read_plan``; of a page with several sets of parameters, the first is given out.
        owners: from ``read_students`` or ``number_groups``.
        out: a new folder.

    Returns:
        The folder of the students' folders.

    Raises:
        HandoutError: the folder is there already and may hold work that came back, or a page has no seed.
    """
    if out.exists() and any(out.iterdir()):
        raise HandoutError(f"{out}: is there already and may hold students' work; give a new folder")
    runs = [run for run, _ in given_out(plan)]
    if seedless := [run.page.path.name for run in runs if run.page.types.get("seed") != "int"]:
        raise HandoutError(f"{seedless[0]}: has no parameter seed: int, so that all copies would be the same")
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    originals = [(run, with_answer_cells(run.page.notebook)) for run in runs]
    for run, notebook in originals:
        write_notebook(with_parameters(notebook, run.parameters), part / "originals" / run.page.path.name)
        for owner in owners:
            own = with_parameters(notebook, run.parameters | {"seed": owner.seed})
            own.metadata.setdefault("ml4ops", {})["copy"] = {"owner": owner.folder, "title": plan.title}
            write_notebook(own, part / "students" / owner.folder / run.page.path.name)
    for owner in owners:
        (part / "students" / owner.folder / "README.txt").write_text(_readme(plan.title, owner, runs), encoding="utf-8")
    facts = {"title": plan.title, "pages": [run.page.path.name for run in runs], "owners": [asdict(o) for o in owners]}
    (part / LIST).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (part / "seeds.yml").write_text(_seeds_plan(plan.title, runs, owners), encoding="utf-8")
    if out.exists():
        out.rmdir()  # empty, as was checked above
    part.replace(out)
    return out / "students"


def with_answer_cells(notebook: NotebookNode) -> NotebookNode:
    """Copy of a page without solutions; an exercise that has no code cell gets one for the answer.

    Args:
        notebook: the page.
    """
    wanted = {cell.id: NUMBER.findall(cell.source) for cell in notebook.cells if SOLUTION.search(cell.source)}
    marked = copy.deepcopy(notebook)
    cells = []
    for cell in marked.cells:
        cells.append(cell)
        for number in wanted.get(cell.id, []):
            source = f"# Exercise {number}: write your answer below this line.\n"
            tags = {"tags": [EXERCISE_TAG]}
            cells.append(nbformat.v4.new_code_cell(source, id=f"answer-{number}", metadata=tags))  # type: ignore[no-untyped-call]
    marked.cells = cells
    return without_solutions(marked)


def _readme(title: str, owner: Owner, runs: Sequence[PlannedRun]) -> str:
    pages = [
        f"  {run.page.path.name}   {page_title(run.page.notebook)}, about {run.page.minutes:g} minutes" for run in runs
    ]
    lines = [
        title,
        f"For: {', '.join(owner.names)}",
        "",
        *pages,
        "",
        "Open the notebooks in Jupyter, or upload them to Google Colab, and run the cells from the first to the last.",
        f"Your seed is {owner.seed}. It makes a world of your own: your numbers differ from those of the others.",
        "Answer in the exercise cells near the end of each notebook. Add no cells there; leave the seed as it is.",
        "Save, and give back this folder, with the notebooks under their names.",
    ]
    return "\n".join(lines) + "\n"


def _seeds_plan(title: str, runs: Sequence[PlannedRun], owners: Sequence[Owner]) -> str:
    """A plan that runs every page with every seed given out, so that a teacher knows beforehand that they work."""
    entries = []
    for run in runs:
        cases = {f"seed-{owner.seed}": {"seed": owner.seed} for owner in owners}
        fixed = {name: value for name, value in run.parameters.items() if name != "seed"}
        entries.append({"pages": [run.page.name], "parameters": fixed, "cases": cases})
    text: str = yaml.safe_dump({"title": f"{title}: every seed", "runs": entries}, sort_keys=False, allow_unicode=True)
    return text
