"""Answers that came back, run in pages as they were given out, and judged by cells that the book puts below them.

Answers and judges share a process: what an answer prints, defines or deletes does not reach its judge, but code written
to change the checks themselves does. So an answer that names what such code needs gets a remark.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from ml4ops_helpers.exercises import find

from .contracts import Contract
from .copies import with_parameters
from .lecture import open_cache
from .owners import Owner
from .pages import Page, Value, read_notebook
from .publish import ANSWER, write_notebook
from .returned import Place, printable, read_if_whole
from .runner import Outcome, run_pages
from .verdicts import Said, answers_in, believed, exercise_cells, printed, raised

JUDGE = """\
from builtins import print as _print_{token}
from json import dumps as _dumps_{token}
from ml4ops_helpers.exercises import grade as _grade_{token}

_verdict_{token} = _grade_{token}({name!r}, {function})
_print_{token}("\\n" + _dumps_{token}({{"{token}": _verdict_{token}.state, "text": _verdict_{token}.text}}))
"""
"""Judges an answer. The names hold a token that no copy shows: nothing gives them another meaning by accident."""
SUSPECT = re.compile(
    r"ml4ops_helpers(?:\.| import )exercises(?! import check *$)|(?<![\w.])(?:exec|eval|globals|__import__)(?= *\()"
    r"|sys\.modules|\bget_ipython\b|\bbuiltins\b",
    re.MULTILINE,
)
"""What an answer needs to change how it is judged, and hardly ever for anything else."""


def run_answers(
    out: Path,
    owners: Sequence[Owner],
    originals: Mapping[str, Page],
    returned: Mapping[Place, NotebookNode | str],
    *,
    jobs: int,
    cell_timeout: int,
    report: Callable[[Outcome], None],
) -> dict[Place, dict[str, Said]]:
    """Run every page with an answer that is not blank, each in a process of its own.

    Args:
        out: folder for what was run.
        owners: whose pages came back.
        originals: pages as given out, by file name.
        returned: pages that came back, or why one did not.
        jobs: most pages at a time.
        cell_timeout: seconds after which a cell is given up.
        report: told of each page when it is done.

    Returns:
        For each page that was run what is known of its answers, by exercise.
    """
    secret, pages = _secret(out / "secret.txt"), {}
    # Elsewhere, as a page knows the folder of its cache, and the tokens and all other copies are beside ``out``.
    with tempfile.TemporaryDirectory(prefix="ml4ops-", ignore_cleanup_errors=True) as caches:
        for owner in owners:
            cache = open_cache(Path(caches) / owner.folder).resolve()
            for name, original in originals.items():
                theirs = returned[owner.folder, name]
                if not isinstance(theirs, str) and any(
                    w.attempts for w in answers_in(original.notebook, theirs).values()
                ):
                    path = out / "sources" / f"{owner.folder}__{name}"
                    write_notebook(_put_in(original.notebook, theirs, owner, secret), path)
                    pages[owner.folder, name] = _page(original, path, owner, cache)
                    # Else one of an earlier time would be read where the kernel never begins.
                    (out / "notebooks" / f"{path.stem}.failed.ipynb").unlink(missing_ok=True)
        # Not forked: whatever an answer does, it does it to a process that nobody else came from.
        outcomes = run_pages(
            list(pages.values()), {}, out / "notebooks", jobs=jobs, cell_timeout=cell_timeout, report=report
        )
    said = {}
    for (place, page), outcome in zip(pages.items(), outcomes, strict=True):
        broken = ".failed" if outcome.state == "failed" else ""
        path = out / "notebooks" / f"{page.name}{broken}.ipynb"
        executed = read_if_whole(path) if path.exists() else page.notebook
        executed = page.notebook if isinstance(executed, str) else executed
        said[place] = _with_failure(_said(executed, place[0], secret), page.notebook, printable(outcome.message))
    return said


def _page(original: Page, path: Path, owner: Owner, cache: Path) -> Page:
    """A page with answers in it. Only the original was checked: what students write need not suit a book."""
    given: dict[str, Value] = {"seed": owner.seed, "profile": "smoke"}
    return replace(
        original,
        path=path,
        notebook=read_notebook(path),
        defaults=original.defaults | {name: value for name, value in given.items() if name in original.types},
        after=(),
        contract=Contract(),  # it speaks of the profile that was given out
        environment={"ML4OPS_CACHE": str(cache)},
    )


def _secret(path: Path) -> str:
    """What the tokens are made from; the same in every run, so that what didn't change isn't run again."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(secrets.token_hex(16), encoding="utf-8")
    return path.read_text(encoding="utf-8")


def _token(secret: str, owner: str, exercise: str) -> str:
    """One for each exercise: those of earlier cells can be read by later ones."""
    return hashlib.sha256(f"{secret}\n{owner}\n{exercise}".encode()).hexdigest()[:16]


def _put_in(original: NotebookNode, returned: NotebookNode, owner: Owner, secret: str) -> NotebookNode:
    """A page as it was given out, but for the answers; an error in one does not keep the next from its check."""
    page = with_parameters(original, {"seed": owner.seed, "profile": "smoke"})
    answers = answers_in(original, returned)
    exercises = {cell.id: name for name, cell in exercise_cells(page).items()}
    cells = []
    for cell in page.cells:
        cells.append(cell)
        if not (name := exercises.get(cell.id)):
            continue
        function = _function(cell.source, name)
        cell.metadata["tags"] = ["raises-exception", ANSWER]
        if name in answers:
            cell.source = answers[name].cell.source
        if function:
            source = JUDGE.format(token=_token(secret, owner.folder, name), name=name, function=function)
            tags = {"tags": ["raises-exception"]}
            cells.append(nbformat.v4.new_code_cell(source, id=_judge_id(name), metadata=tags))  # type: ignore[no-untyped-call]
    page.cells = cells
    page.metadata["ml4ops"] = {"after": []}
    return page


def _judge_id(name: str) -> str:
    return f"judge-{name.replace('.', '-')}"


def _function(stub: str, name: str) -> str:
    """The function that an exercise of the package asks for; "" where the page has a check of its own, or none."""
    try:
        return find(name).function if "check(" in stub else ""
    except ValueError:
        return ""


def _said(executed: NotebookNode, owner: str, secret: str) -> dict[str, Said]:
    """What became of each answer of a page that was run; those that were not reached say so."""
    judges = {cell.id: cell for cell in executed.cells}
    said = {}
    for name, cell in exercise_cells(executed).items():
        judge = judges.get(_judge_id(name))
        said[name] = _verdict(cell, judge, _token(secret, owner, name)) if judge else believed(cell, name)
        if (judge or cell).get("execution_count") is None:
            said[name] = replace(said[name], remark="was not run to its end")
        if suspect := SUSPECT.search(cell.source):
            remark = "; ".join(filter(None, (f"names {suspect[0]}: read what it does", said[name].remark)))
            said[name] = replace(said[name], remark=remark)
    return said


def _verdict(cell: NotebookNode, judge: NotebookNode, token: str) -> Said:
    """What our own cell found; an answer's cell that raised is wrong, as its function may be another one's."""
    if error := raised(cell) or raised(judge):
        return Said("wrong", error)
    for line in reversed(printed(judge).splitlines()):
        if line.startswith(f'{{"{token}"'):
            with suppress(ValueError, KeyError):  # an answer that spoils what is printed gains nothing by it
                verdict = json.loads(line)
                return Said(verdict[token], printable(verdict["text"]))
    return Said(remark="its check did not tell")


def _with_failure(said: dict[str, Said], source: NotebookNode, message: str) -> dict[str, Said]:
    """Tell of a page that failed at the exercise whose cell it was, or the last one before it."""
    place = re.search(r", cell (\d+)", message)
    if not said or not message:
        return said
    before = source.cells[: int(place[1])] if place else source.cells
    reached = [name for name, cell in exercise_cells(source).items() if any(cell.id == c.id for c in before)]
    concerned = reached[-1] if reached else next(iter(said))
    remark = "; ".join(filter(None, (message, said[concerned].remark)))
    return said | {concerned: replace(said[concerned], remark=remark)}
