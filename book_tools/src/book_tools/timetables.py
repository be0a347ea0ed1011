"""Timetables of the courses in the instructor guide: minutes to work through, and minutes that the last run took."""

from __future__ import annotations

from pathlib import Path

from .jobs import run_facts
from .plans import Plan, PlannedRun, read_plan
from .readme import page_title, replace_part

GUIDE = Path("book/instructor_guide.md")
PLANS = Path("book/lectures")
HEAD = ("| part | page | minutes to work through | minutes to run |", "|---|---|--:|--:|")


def write_timetables(stage: Path) -> None:
    """Fill the timetables of the guide, where the site has one.

    Args:
        stage: gathered sources of the site, with executed notebooks.

    Raises:
        PlanError: a plan does not fit the pages.
        ValueError: the guide has no place for a plan's timetable.
    """
    guide = stage / GUIDE
    if not guide.exists():
        return
    text = guide.read_text(encoding="utf-8")
    for path in sorted((stage / PLANS).glob("*.yml")):
        text = replace_part(text, path.stem, f"\n{timetable(read_plan(path, stage / 'notebooks'))}\n")
    guide.write_text(text, encoding="utf-8")


def timetable(plan: Plan) -> str:
    """Table of a plan in Markdown: a row for each page of each part, and the sums.

    Args:
        plan: read from executed pages; a page that was not run shows a dash.
    """
    groups: dict[tuple[str, str], list[PlannedRun]] = {}
    for run in plan.runs:
        groups.setdefault((run.part, run.page.name), []).append(run)
    rows, work, machine = [], 0.0, 0.0
    for (part, _), runs in groups.items():
        page = runs[0].page
        seconds = float(str(run_facts(page.notebook).get("seconds", 0)))
        times = f" × {len(runs)}" if len(runs) > 1 else ""
        shown = f"{seconds / 60:.1f}{times}" if seconds else "–"
        link = f"[{page_title(page.notebook)}](../notebooks/{page.path.name})"
        rows.append(f"| {part} | {link} | {page.minutes:g} | {shown} |")
        work, machine = work + page.minutes, machine + seconds * len(runs) / 60
    total = f"| **in all** | | **{work:g}** | {f'**{machine:.1f}**' if machine else '–'} |"
    return "\n".join((*HEAD, *rows, total))
