"""An nbgrader course from a plan's pages: solutions in the answer cells, and below each a cell that grades the answer.

nbgrader takes the solutions and the tests out of what it releases, puts the tests back into what comes back, and keeps
the grades. The folder's README says what to type.
"""

from __future__ import annotations

import ast
import copy
import re
from itertools import groupby
from pathlib import Path
from shlex import quote

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from ml4ops_helpers.exercises import Exercise

from .parameter_cells import with_parameters
from .plans import Plan, PlannedRun
from .publish import write_notebook
from .solutions import TAG, exercise_of
from .writing import replace_text

BLANK = "    return ..."
"""Body of every stub; what nbgrader puts in place of a solution."""
TEST = """\
# Graded here: exercise {exercise.name}. Leave this cell as it is.
### BEGIN HIDDEN TESTS
from ml4ops_helpers.exercises import grade

verdict = grade("{exercise.name}", {exercise.function})
assert verdict.state == "right", verdict.text
### END HIDDEN TESTS"""
CONFIG = f"""\
import os
import sys
from pathlib import Path

c = get_config()
c.ClearSolutions.code_stub = {{"python": "{BLANK.strip()}"}}
# Cells that are not answers are graded as they were given out, but students may change them to try things.
c.LockCells.lock_readonly_cells = False
c.OverwriteCells.add_missing_cells = True
c.Execute.timeout = 1800  # seconds a cell
# What students' pages leave for each other, such as networks, stays out of your own cache.
os.environ["ML4OPS_CACHE"] = str(Path(__file__).parent / "cache")
# nbgrader calls alembic by name, pages call dvc: both lie beside this Python, also where no environment is activated.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
"""
README = """\
# {title}

`source/{assignment}` holds the pages with solutions: keep it. Type here, in this folder:

```bash
nbgrader generate_assignment {assignment}   # writes release/{assignment}, to give out
nbgrader db student import students.csv     # once: columns id, first_name, last_name, email
                                            # commas, UTF-8 without a byte order mark; IDs of letters, digits, - and _
# put the notebooks that come back into submitted/ID/{assignment}, under the names that they had
nbgrader autograde {assignment}             # runs every answer, as you
nbgrader generate_feedback {assignment}     # writes feedback/ID/{assignment}, pages to give back
nbgrader export                             # writes grades.csv
```

Name one student with `--student ID`; grade again with `--force`.
"""


FORBIDDEN = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?|.*[. ]|.*[+\"*:<>?|\\].*", re.IGNORECASE)
"""Names of folders that Windows can't make, and the plus sign, which nbgrader refuses."""


class HandoutError(Exception):
    """The course can't be written; the message says what is in the way."""


def released_runs(plan: Plan) -> list[tuple[PlannedRun, list[PlannedRun]]]:
    """The run of each page that is given out, which is the plan's first, and those that are left out for it.

    Args:
        plan: from ``read_plan``.

    Returns:
        The pages in the order of their names.
    """
    ordered = sorted(plan.runs, key=lambda run: run.page.name)  # keeps the plan's order within a page
    groups = [list(group) for _, group in groupby(ordered, key=lambda run: run.page.name)]
    return [(first, others) for first, *others in groups]


def write_course(plan: Plan, assignment: str, out: Path) -> Path:
    """Write a plan's pages as an assignment of an nbgrader course.

    Args:
        plan: from ``read_plan``; of a page with several sets of parameters, the first is given out.
        assignment: its name.
        out: folder of the course; one that is there already gets another assignment and keeps its settings.

    Returns:
        The folder of the assignment's sources.

    Raises:
        HandoutError: the course has this assignment already, or its name can't be a folder's on every system.
        PageError: a cell tagged ``exercise`` checks no exercise of the book.
    """
    if FORBIDDEN.fullmatch(assignment):
        raise HandoutError(
            f"{assignment}: not every system takes this as a folder's name; rename the plan, as week_1.yml"
        )
    source = out / "source" / assignment
    if source.exists():
        raise HandoutError(f"{source}: students may have this assignment already; rename the plan, or give a new --out")
    pages = {run.page.path.name: assignment_page(run) for run, _ in released_runs(plan)}
    for name, page in pages.items():
        write_notebook(page, source / name)
    if not (out / "nbgrader_config.py").exists():
        replace_text(out / "nbgrader_config.py", CONFIG)
    replace_text(out / "README.md", README.format(title=plan.title, assignment=quote(assignment)))
    return source


def assignment_page(run: PlannedRun) -> NotebookNode:
    """A page as nbgrader takes it: answers solved and graded, all other code fixed.

    Args:
        run: the page with its parameters.

    Raises:
        PageError: a cell tagged ``exercise`` checks no exercise of the book.
    """
    page = copy.deepcopy(with_parameters(run.page.notebook, run.parameters))
    cells = []
    for number, cell in enumerate(page.cells, start=1):
        cells.append(cell)
        if TAG in cell.metadata.get("tags", []):
            exercise = exercise_of(cell, f"{run.page.path.name}, cell {number}")
            cell.source = solved_cell(exercise)
            cell.metadata["nbgrader"] = _role(cell.id, solution=True)
            test = new_code_cell(TEST.format(exercise=exercise), id=f"test-{exercise.key}")  # type: ignore[no-untyped-call]
            test.metadata["nbgrader"] = _role(test.id, grade=True, locked=True, points=1)
            cells.append(test)
        elif cell.cell_type == "code":
            cell.metadata["nbgrader"] = _role(cell.id, locked=True)
    page.cells = cells
    return page


def solved_cell(exercise: Exercise) -> str:
    """The learner's cell of an exercise, with the solution between nbgrader's marks.

    Args:
        exercise: any exercise.

    >>> from ml4ops_helpers.exercises import find
    >>> print(solved_cell(find("10.2")))
    def draw(low, high, u):
        ### BEGIN SOLUTION
        return low * (high / low) ** u
        ### END SOLUTION
    <BLANKLINE>
    <BLANKLINE>
    check("10.2", draw)
    """
    function = ast.parse(exercise.solution).body[-1]
    assert isinstance(function, ast.FunctionDef)
    body = exercise.solution.splitlines()[function.body[0].lineno - 1 : function.end_lineno]
    marked = ["    ### BEGIN SOLUTION", *body, "    ### END SOLUTION"]
    return exercise.cell.replace(BLANK, "\n".join(marked))


def _role(
    grade_id: str, *, solution: bool = False, grade: bool = False, locked: bool = False, points: int | None = None
) -> dict[str, object]:
    """What nbgrader wants to know of a cell."""
    role = {"grade_id": grade_id, "solution": solution, "grade": grade, "locked": locked, "task": False}
    return role | {"schema_version": 3} | ({"points": points} if grade else {})
