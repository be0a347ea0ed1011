"""What a run leaves for people and machines: a table on the terminal, JSON, JUnit, and a page of the book."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from .jobs import run_facts
from .pages import read_notebook
from .runner import Outcome
from .writing import replace_text

FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 can't hold."""


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """An outcome as plain data.

    Args:
        outcome: of one page.
    """
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
    """Write ``run.json`` and ``junit.xml``, each whole or not at all.

    Args:
        outcomes: one a page.
        folder: where to; made when missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(folder / "run.json", json.dumps([as_dict(o) for o in outcomes], indent=1, ensure_ascii=False) + "\n")
    replace_text(folder / "junit.xml", junit(outcomes))


def junit(outcomes: Sequence[Outcome]) -> str:
    """The outcomes as JUnit's XML: a test case a page, with parameters, memory and metrics as properties.

    Args:
        outcomes: one a page.
    """
    counts = {
        name: str(sum(o.state == state for o in outcomes))
        for name, state in (("failures", "failed"), ("skipped", "skipped"))
    }
    total = f"{sum(o.seconds for o in outcomes):.1f}"
    suite = ET.Element("testsuite", {"name": "book run", "tests": str(len(outcomes)), "time": total} | counts)
    for outcome in outcomes:
        case = ET.SubElement(
            suite, "testcase", {"classname": "pages", "name": _clean(outcome.page), "time": f"{outcome.seconds:.1f}"}
        )
        facts = as_dict(outcome)
        properties = ET.SubElement(case, "properties")
        values = {"state": outcome.state, "peak_mb": facts["peak_mb"]} | facts["parameters"] | facts["metrics"]
        for name, value in values.items():
            ET.SubElement(properties, "property", {"name": _clean(name), "value": _clean(str(value))})
        if outcome.state in ("failed", "skipped"):
            message = _clean(outcome.message)
            tag = "failure" if outcome.state == "failed" else "skipped"
            ET.SubElement(case, tag, {"message": message.splitlines()[0] if message else ""}).text = message
    return ET.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _clean(text: str) -> str:
    return FORBIDDEN.sub("", text)


def summary(outcomes: Iterable[Outcome]) -> str:
    """Table of times and memory for the terminal.

    Args:
        outcomes: one a page.

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
    """Table of what the pages that are shown took, as Markdown; and on which machine.

    Args:
        executed: published notebooks, as ``run_pages`` writes them; others are left out.
    """
    runs: list[dict[str, Any]] = [facts for notebook in executed if (facts := run_facts(notebook)).get("record")]
    head = ["| page | profile | seconds | memory (MB) |", "|---|---|--:|--:|"]
    total = f"| all, one after another | | {sum(r['seconds'] for r in runs):.0f} | |"
    machines = sorted({str(r["provenance"]["processor"]) for r in runs if "provenance" in r})
    said = [f"\nMeasured on: {', '.join(machines)}."] if machines else []
    return "\n".join([*head, *map(_timings_row, runs), total, *said]) + "\n"


def insert_timings(stage: Path) -> None:
    """Write the table that ``book/timings.md`` includes, from the executed pages beside it.

    Args:
        stage: folder of the gathered sources of the site; without that page nothing is written.
    """
    if (stage / "book" / "timings.md").exists():
        executed = [read_notebook(path) for path in sorted(stage.glob("notebooks/*.ipynb"))]
        (stage / "book" / "tables").mkdir(exist_ok=True)
        (stage / "book" / "tables" / "timings.txt").write_text(timings_page(executed), encoding="utf-8")


def _timings_row(run: dict[str, Any]) -> str:
    page, profile = run["record"]["page"], run["record"]["profile"]
    return f"| [](../notebooks/{page}.ipynb) | {profile} | {run['seconds']:.0f} | {run.get('peak_mb', '–')} |"
