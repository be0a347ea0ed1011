"""Students' copies of a plan's pages: no solutions, a seed and so a data set for each, and a place for each answer."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode

from .copies import solutions_in, with_parameters, without_solutions
from .owners import HandoutError, Owner
from .plans import Plan, PlannedRun
from .publish import write_notebook
from .readme import page_title

LIST = "handout.json"
"""File that tells what was given to whom."""
EXERCISE_TAG = "exercise"
"""Tag of the code cells in which answers are written."""


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
        PageError: a page seems to hold a solution that can't be taken out.
    """
    if out.exists() and any(out.iterdir()):
        raise HandoutError(f"{out}: is there already and may hold students' work; give a new folder")
    runs = [run for run, _ in given_out(plan)]
    if seedless := [run.page.path.name for run in runs if run.page.types.get("seed") != "int"]:
        raise HandoutError(f"{seedless[0]}: has no parameter seed: int, so that all copies would be the same")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as beside:
        part = Path(beside) / out.name
        _write(plan, runs, owners, part)
        if out.exists():
            out.rmdir()  # empty, as was checked above
        part.replace(out)
    return out / "students"


def _write(plan: Plan, runs: Sequence[PlannedRun], owners: Sequence[Owner], part: Path) -> None:
    """All files of a handout."""
    originals = [(run, with_answer_cells(run.page.notebook, run.page.path.name)) for run in runs]
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


def with_answer_cells(notebook: NotebookNode, name: str) -> NotebookNode:
    """Copy of a page without solutions; an exercise that has no code cell gets one for the answer.

    Args:
        notebook: the page.
        name: its file name, for messages.

    Raises:
        PageError: a cell seems to hold a solution still.
    """
    without_solutions(notebook, name)  # what it refuses, it tells with the numbers of these cells
    wanted = {cell.id: [m["number"] for m in solutions_in(cell.source) if m["number"]] for cell in notebook.cells}
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
