"""What a run leaves for people and programs: a table on the terminal, JSON, and a page of the book."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from .jobs import run_facts
from .pages import read_notebook
from .runner import Outcome
from .writing import replace_text


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """An outcome of one page as plain data."""
    facts = outcome.facts
    return {
        "page": outcome.page,
        "state": outcome.state,
        "seconds": outcome.seconds,
        "peak_mb": facts.get("peak_mb"),
        "parameters": facts.get("parameters", {}),
        "metrics": (facts.get("record") or {}).get("metrics", {}),
        "provenance": facts.get("provenance", {}),
        "message": outcome.message,
    }


def write_reports(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Write ``run.json`` into a folder, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(folder / "run.json", json.dumps([as_dict(o) for o in outcomes], indent=1, ensure_ascii=False) + "\n")


def summary(outcomes: Iterable[Outcome]) -> str:
    """Table of times and memory for the terminal.

    >>> print(summary([Outcome("01_a", "run", 3.5, facts={"peak_mb": 812}), Outcome("02_b", "skipped")]))
    page      state   seconds      MB
    01_a        run       3.5     812
    02_b    skipped         –       –
    """
    rows = [("page", "state", "seconds", "MB")]
    for o in outcomes:
        seconds, peak = f"{o.seconds:.1f}" if o.seconds else "–", o.facts.get("peak_mb")
        rows.append((o.page, o.state, seconds, f"{peak:.0f}" if peak else "–"))
    width = max(len(row[0]) for row in rows)
    return "\n".join(f"{page:{width}}  {state:>9}  {seconds:>8}  {peak:>6}" for page, state, seconds, peak in rows)


def timings_page(executed: Iterable[NotebookNode]) -> str:
    """Table of what the published pages took, as Markdown, and the machine they were measured on.

    Args:
        executed: published notebooks, as ``run_pages`` writes them; others are left out.
    """
    runs: list[dict[str, Any]] = [facts for notebook in executed if (facts := run_facts(notebook)).get("record")]
    lines = ["| page | profile | seconds | memory (MB) |", "|---|---|--:|--:|"]
    for run in runs:
        page, profile = run["record"]["page"], run["record"]["profile"]
        lines.append(
            f"| [](../notebooks/{page}.ipynb) | {profile} | {run['seconds']:.0f} | {run.get('peak_mb', '–')} |"
        )
    lines.append(f"| all, one after another | | {sum(r['seconds'] for r in runs):.0f} | |")
    if machines := sorted({str(r["provenance"]["processor"]) for r in runs if "provenance" in r}):
        lines.append(f"\nMeasured on: {', '.join(machines)}.")
    return "\n".join(lines) + "\n"


def insert_timings(stage: Path) -> None:
    """Write the table that ``book/timings.md`` includes, where the gathered sources of the site have that page."""
    if (stage / "book" / "timings.md").exists():
        executed = [read_notebook(path) for path in sorted(stage.glob("notebooks/*.ipynb"))]
        (stage / "book" / "tables").mkdir(exist_ok=True)
        (stage / "book" / "tables" / "timings.txt").write_text(timings_page(executed), encoding="utf-8")
