"""The report of a lecture: one HTML file with what failed and why, then parameters and metrics of each page's runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from .lecture import Result
from .notebook_html import write_notebook_html
from .writing import replace_text


def write_report(results: Sequence[Result], title: str, out: Path, remark: str = "") -> Path:
    """Write ``report.html``, and each executed notebook as HTML beside it.

    Args:
        results: from ``run_lecture``.
        title: of the plan.
        out: folder of the lecture.
        remark: what else the reader must know, such as why MLflow was not reached.

    Returns:
        The file.
    """
    for stale in out.glob("notebooks/*.failed.html"):
        if not stale.with_suffix(".ipynb").exists():
            stale.unlink()  # the run has succeeded since
    environment = Environment(loader=PackageLoader("book_tools"), autoescape=True, undefined=StrictUndefined)
    text = environment.get_template("lecture.html").render(
        title=title,
        remark=remark,
        results=results,
        complete=sum(r.complete for r in results),
        minutes=sum(r.outcome.seconds for r in results) / 60,
        missing=sorted((r for r in results if not r.complete), key=lambda r: r.outcome.state),  # failed before skipped
        sections=[list(runs) for _, runs in groupby(results, lambda r: (r.run.part, r.run.page.name))],
        rows=table_rows,
        links={r.run.name: write_notebook_html(r.notebook).relative_to(out).as_posix() for r in results if r.notebook},
        reason=lambda r: re.sub(rf"^{re.escape(r.run.name)}\.ipynb[,:] ", "", r.outcome.message),
        label=lambda r: r.run.name.removeprefix(r.run.page.name).removeprefix("__") or r.run.name,
    )
    path = out / "report.html"
    replace_text(path, text)
    return path


def table_rows(results: Iterable[Result]) -> list[tuple[str, list[str], bool]]:
    """Rows of the table of a page: name, a value for each run, and whether the runs differ in it.

    Args:
        results: of the runs of the page.
    """
    columns = [
        {"state": r.outcome.state, "minutes": f"{r.outcome.seconds / 60:.1f}"}
        | {"memory (MB)": r.outcome.facts.get("peak_mb", "–")}
        | r.run.parameters
        | r.metrics
        for r in results
    ]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [(name, [_text(column.get(name, "–")) for column in columns]) for name in names]
    return [(name, values, len(set(values)) > 1) for name, values in rows]


def _text(value: object) -> str:
    """A metric or parameter as it is shown.

    >>> [_text(v) for v in (0.123456, 3, True, "smoke", None)]
    ['0.1235', '3', 'True', 'smoke', 'undefined']
    """
    if value is None:
        return "undefined"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
