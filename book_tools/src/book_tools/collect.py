"""What came back of a handout: which exercises were answered, what their checks say, which answers are the same."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nbformat import NotebookNode

from .handout import LIST
from .owners import HandoutError, Owner
from .pages import load_page, read_notebook
from .returned import find_returned
from .runner import Outcome
from .verdicts import Said, answers_in, believed, exercise_cells, normal

TELLING = 60
"""Fewest characters, beside those given, from which on equal answers are worth a look."""


@dataclass(frozen=True)
class Answer:
    """One exercise of one student or group.

    Attributes:
        owner: whose.
        page: the notebook's file name.
        exercise: its name.
        state: ``right``, ``wrong``, ``answered`` where no check told, ``blank``, or ``missing``.
        check: what the check said.
        source: the cell as it came back.
        remark: what else a teacher should know.
        same_as: folders with the same answer.
    """

    owner: Owner
    page: str
    exercise: str
    state: str
    check: str = ""
    source: str = ""
    remark: str = ""
    same_as: tuple[str, ...] = ()


@dataclass(frozen=True)
class Collected:
    """All that came back of a handout.

    Attributes:
        title: of the handout.
        ran: whether answers were run; else what notebooks show was believed.
        answers: one for each owner, page and exercise.
        strays: a line for each file or folder that belongs to nobody.
    """

    title: str
    ran: bool
    answers: tuple[Answer, ...]
    strays: tuple[str, ...]


def collect(
    folder: Path,
    *,
    run: bool = False,
    jobs: int = 1,
    cell_timeout: int = 600,
    report: Callable[[Outcome], None] = lambda outcome: None,
) -> Collected:
    """Read what came back.

    Args:
        folder: what ``write_handout`` wrote, with the students' folders put back in place.
        run: run the answers, within pages that are otherwise as given out, with the seed that was given and the
            profile ``smoke`` (checks bring data of their own); else what the returned notebooks show is believed.
        jobs: most pages at a time.
        cell_timeout: seconds after which a cell is given up.
        report: told of each page that was run.

    Returns:
        The answers, and what is nobody's.

    Raises:
        HandoutError: the folder is no handout.
        PageError: an original is damaged.
    """
    title, owners, pages = _read_list(folder)
    originals = {page: read_notebook(folder / "originals" / page) for page in pages}
    returned, strays = find_returned(folder / "students", title, owners, pages)
    if run:
        # Here, as reading what came back needs none of what the exercises load.
        from .rerun import run_answers

        sound = {page: load_page(folder / "originals" / page) for page in pages}
        said = run_answers(
            folder / "checked", owners, sound, returned, jobs=jobs, cell_timeout=cell_timeout, report=report
        )
    else:
        books = {place: book for place, book in returned.items() if not isinstance(book, str)}
        said = {place: _believe(originals[place[1]], book) for place, book in books.items()}
    answers = []
    for owner in owners:
        for page, original in originals.items():
            place = (owner.folder, page)
            answers += _answers(owner, page, original, returned[place], said.get(place, {}))
    return Collected(title, run, tuple(_mark_equal(answers, originals)), tuple(strays))


def _read_list(folder: Path) -> tuple[str, list[Owner], list[str]]:
    try:
        content = json.loads((folder / LIST).read_text(encoding="utf-8"))
        owners = [Owner(o["folder"], o["name"], tuple(o["names"]), o["seed"]) for o in content["owners"]]
        return str(content["title"]), owners, [str(page) for page in content["pages"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise HandoutError(f"{folder}: no handout there ({LIST}); give the folder that book handout wrote") from None


def _believe(original: NotebookNode, returned: NotebookNode) -> dict[str, Said]:
    return {name: believed(written.cell, name) for name, written in answers_in(original, returned).items()}


def _answers(
    owner: Owner, page: str, original: NotebookNode, returned: NotebookNode | str, said: Mapping[str, Said]
) -> list[Answer]:
    """An answer for each exercise of a page."""
    given = exercise_cells(original)
    if isinstance(returned, str):
        return [Answer(owner, page, name, "missing", remark=returned) for name in given]
    theirs, seed = answers_in(original, returned), _seed_remark(returned, owner.seed)
    answers = []
    for name in given:
        if name not in theirs:
            answers.append(Answer(owner, page, name, "missing", remark="its cell is gone"))
            continue
        cell, attempts = theirs[name].cell, theirs[name].attempts
        known = said.get(name, Said()) if attempts else Said("blank")
        several = f"{attempts} cells answer {name}; one was read" if attempts > 1 else ""
        remark = "; ".join(filter(None, (seed, several, known.remark)))
        answers.append(Answer(owner, page, name, known.state, known.text, cell.source, remark))
    return answers


def _seed_remark(notebook: NotebookNode, seed: int) -> str:
    cells = [c.source for c in notebook.cells if c.cell_type == "code" and "parameters" in c.metadata.get("tags", [])]
    cells = cells or [c.source for c in notebook.cells if re.search(r"^seed\s*(: int)?\s*=", c.source, re.MULTILINE)]
    found = re.search(r"^seed\s*(?:: int)?\s*=\s*(\S+)", cells[0] if cells else "", re.MULTILINE)
    return "" if found and found[1] == str(seed) else f"the seed is {found[1] if found else 'gone'}, given was {seed}"


def _mark_equal(answers: Sequence[Answer], originals: Mapping[str, NotebookNode]) -> list[Answer]:
    """Tell of each answer which others are the same, where it is long enough for that to mean something."""
    stubs = {(p, n): len(normal(c.source)) for p, book in originals.items() for n, c in exercise_cells(book).items()}
    same: dict[tuple[str, str, str], list[str]] = {}
    keys = [(a.page, a.exercise, normal(a.source)) for a in answers]
    for answer, key in zip(answers, keys, strict=True):
        if answer.state not in ("blank", "missing") and len(key[2]) >= stubs[key[:2]] + TELLING:
            same.setdefault(key, []).append(answer.owner.folder)
    return [
        replace(answer, same_as=tuple(f for f in same.get(key, []) if f != answer.owner.folder))
        for answer, key in zip(answers, keys, strict=True)
    ]
