"""What came back of a handout: which exercises were answered, what their checks say, which answers are the same."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nbformat import NotebookNode

from .copies import with_parameters
from .handout import LIST, HandoutError, Owner
from .lecture import open_cache
from .pages import load_page, read_notebook
from .publish import write_notebook
from .returned import Place, find_returned, read_if_whole
from .runner import run_pages

NAMES = (re.compile(r"check\(\s*[\"']([^\"']+)[\"']"), re.compile(r"^# Exercise (\S+?):", re.MULTILINE))
"""Where an exercise cell says which exercise it is."""
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


def collect(folder: Path, *, run: bool = False, jobs: int = 1, cell_timeout: int = 600) -> Collected:
    """Read what came back.

    Args:
        folder: what ``write_handout`` wrote, with the students' folders put back in place.
        run: run the answers, within pages that are otherwise as given out, with the seed that was given and the
            profile ``smoke`` (checks bring data of their own); else what the returned notebooks show is believed.
        jobs: most pages at a time.
        cell_timeout: seconds after which a cell is given up.

    Returns:
        The answers, and what is nobody's.

    Raises:
        HandoutError: the folder is no handout.
        PageError: an original is damaged.
    """
    title, owners, pages = _read_list(folder)
    originals = {page: read_notebook(folder / "originals" / page) for page in pages}
    returned, strays = find_returned(folder / "students", title, owners, pages)
    shown, failures = returned, dict[Place, str]()
    if run:
        shown, failures = _run(folder, owners, originals, returned, jobs, cell_timeout)
    answers = []
    for owner in owners:
        for page, original in originals.items():
            place = (owner.folder, page)
            answers += _answers(owner, page, original, returned[place], shown[place], failures.get(place, ""))
    return Collected(title, run, tuple(_mark_equal(answers, originals)), tuple(strays))


def _read_list(folder: Path) -> tuple[str, list[Owner], list[str]]:
    try:
        content = json.loads((folder / LIST).read_text(encoding="utf-8"))
        owners = [Owner(o["folder"], o["name"], tuple(o["names"]), o["seed"]) for o in content["owners"]]
        return str(content["title"]), owners, [str(page) for page in content["pages"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise HandoutError(f"{folder}: no handout there ({LIST}); give the folder that ml4ops handout wrote") from None


def _answers(
    owner: Owner,
    page: str,
    original: NotebookNode,
    returned: NotebookNode | str,
    shown: NotebookNode | str,
    failure: str,
) -> list[Answer]:
    """An answer for each exercise of a page."""
    given = exercise_cells(original)
    if isinstance(returned, str):
        return [Answer(owner, page, name, "missing", remark=returned) for name in given]
    theirs = exercise_cells(returned)
    told = {} if isinstance(shown, str) else exercise_cells(shown)
    remark = "; ".join(filter(None, (_seed_remark(returned, owner.seed), failure)))
    answers = []
    for name, cell in given.items():
        if name not in theirs:
            answers.append(Answer(owner, page, name, "missing", remark="its cell is gone"))
            continue
        source, said = theirs[name].source, _printed(told.get(name), name)
        same = _normal(source) == _normal(cell.source)
        answers.append(Answer(owner, page, name, "blank" if same else _state(said, name), said, source, remark))
    return answers


def _state(said: str, name: str) -> str:
    """State of a changed answer by what its check printed."""
    if said.startswith(f"{name}: right"):
        return "right"
    if said.startswith(f"{name}: not answered"):
        return "blank"
    return "wrong" if said else "answered"


def _printed(cell: NotebookNode | None, name: str) -> str:
    """What the check of a cell said, or the error that kept it from speaking."""
    for output in reversed(cell.get("outputs", []) if cell else []):
        if output.output_type == "error":
            return f"{output.ename}: {output.evalue}"
        if output.output_type == "stream" and output.name == "stdout":
            _, mark, said = f"\n{output.text}".rpartition(f"\n{name}: ")
            if mark:  # what is said runs over several lines
                return " ".join(f"{name}: {said}".split())
    return ""


def _seed_remark(notebook: NotebookNode, seed: int) -> str:
    cells = [c.source for c in notebook.cells if c.cell_type == "code" and "parameters" in c.metadata.get("tags", [])]
    cells = cells or [c.source for c in notebook.cells if re.search(r"^seed\s*(: int)?\s*=", c.source, re.MULTILINE)]
    found = re.search(r"^seed\s*(?:: int)?\s*=\s*(\S+)", cells[0] if cells else "", re.MULTILINE)
    return "" if found and found[1] == str(seed) else f"the seed is {found[1] if found else 'gone'}, given was {seed}"


def _run(
    folder: Path,
    owners: Sequence[Owner],
    originals: Mapping[str, NotebookNode],
    returned: Mapping[Place, NotebookNode | str],
    jobs: int,
    cell_timeout: int,
) -> tuple[dict[Place, NotebookNode | str], dict[Place, str]]:
    """Pages as given out, with the answers that came back, after a run in a process of its own; and what failed."""
    pages, out = {}, folder / "checked"
    for owner in owners:
        environment = {"ML4OPS_CACHE": str(open_cache(out / "caches" / owner.folder).resolve())}
        for name, original in originals.items():
            theirs = returned[owner.folder, name]
            if not isinstance(theirs, str):
                path = out / "sources" / f"{owner.folder}__{name}"
                write_notebook(_put_in(original, theirs, owner.seed), path)
                pages[owner.folder, name] = replace(load_page(path), environment=environment)
    # Not forked: whatever an answer does, it does it to a process that nobody else came from.
    outcomes = run_pages(list(pages.values()), {}, out / "notebooks", jobs=jobs, cell_timeout=cell_timeout, fork=False)
    shown, failures = dict(returned), {}
    for (place, page), outcome in zip(pages.items(), outcomes, strict=True):
        broken = ".failed" if outcome.state == "failed" else ""
        shown[place] = read_if_whole(out / "notebooks" / f"{page.name}{broken}.ipynb")
        failures[place] = outcome.message
    return shown, failures


def _put_in(original: NotebookNode, returned: NotebookNode, seed: int) -> NotebookNode:
    """A page as it was given out, but for the answers; an error in one does not keep the next from its check."""
    page = with_parameters(original, {"seed": seed, "profile": "smoke"})
    answers = exercise_cells(returned)
    for exercise, cell in exercise_cells(page).items():
        if exercise in answers:
            cell.source = answers[exercise].source
        cell.metadata["tags"] = [*cell.metadata.get("tags", []), "raises-exception"]
    page.metadata["ml4ops"] = {"after": []}  # its contract speaks of the profile that was given out
    return page


def _normal(source: str) -> str:
    """Code without comments and layout; text that is no Python without blanks."""
    try:
        return ast.unparse(ast.parse(source))
    except (SyntaxError, ValueError):
        return "".join(source.split())


def _mark_equal(answers: Sequence[Answer], originals: Mapping[str, NotebookNode]) -> list[Answer]:
    """Tell of each answer which others are the same, where it is long enough for that to mean something."""
    stubs = {(p, n): len(_normal(c.source)) for p, book in originals.items() for n, c in exercise_cells(book).items()}
    same: dict[tuple[str, str, str], list[str]] = {}
    keys = [(a.page, a.exercise, _normal(a.source)) for a in answers]
    for answer, key in zip(answers, keys, strict=True):
        if answer.state not in ("blank", "missing") and len(key[2]) >= stubs[key[:2]] + TELLING:
            same.setdefault(key, []).append(answer.owner.folder)
    return [
        replace(answer, same_as=tuple(f for f in same.get(key, []) if f != answer.owner.folder))
        for answer, key in zip(answers, keys, strict=True)
    ]
