"""The report of a lecture: one HTML file that tells what ran, with what, and what came out. It loads nothing."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from PIL import Image

from .lecture import Result
from .notebook_html import write_notebook_html
from .pages import Page, read_notebook
from .plans import label_of
from .readme import page_title
from .rendering import render
from .writing import replace_text

THUMBNAIL = (320, 240)
"""Most pixels of a figure in the report, width and height."""
WORDS = {"run": "done", "unchanged": "was there", "failed": "failed", "skipped": "skipped"}
SIDE_BY_SIDE = 6
"""Most runs that stand beside each other; of more, each has a row, in tables of as many metrics."""


@dataclass(frozen=True)
class Section:
    """What the report tells of one page in one part of the plan.

    Attributes:
        part: title of the part, "" without one.
        title: of the page.
        results: one a run.
    """

    part: str
    title: str
    results: list[Result]

    @property
    def name(self) -> str:
        """Of the page."""
        return self.results[0].run.page.name

    @property
    def whole(self) -> list[Result]:
        """Runs that are there."""
        return [r for r in self.results if r.whole]

    @cached_property
    def parameters(self) -> tuple[list[str], list[str]]:
        """Names of the parameters that differ between runs, and of those that are the same for all."""
        return _differing([r.run.parameters for r in self.results])

    @cached_property
    def metrics(self) -> tuple[list[str], list[str]]:
        """Names of the metrics that differ between the runs that are there, and of those that don't."""
        differing, same = _differing([r.metrics for r in self.whole])
        return (differing, same) if len(self.whole) > 1 else ([*same], [])

    @property
    def seconds(self) -> float:
        """Of all runs together."""
        return sum(r.seconds for r in self.results)

    @property
    def peak_mb(self) -> float:
        """Of the largest run; 0 when nothing is known."""
        return max((r.peak_mb or 0 for r in self.results), default=0)


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
            stale.unlink()  # the run is there by now
    shown = {r.run.name: write_notebook_html(r.notebook) for r in results if r.notebook}
    text = render(
        "lecture.html",
        title=title,
        sections=_sections(results),
        total=len(results),
        whole=sum(r.whole for r in results),
        missing=sorted((r for r in results if not r.whole), key=lambda r: r.state),  # failed before skipped
        shown={name: path.relative_to(out).as_posix() for name, path in shown.items()},
        raw={r.run.name: r.notebook.relative_to(out).as_posix() for r in results if r.notebook},
        figures={r.run.name: _figures(read_notebook(r.notebook)) for r in results if r.whole and r.notebook},
        page=lambda result: _title(result.run.page),
        reason=lambda result: re.sub(rf"^{re.escape(result.run.name)}\.ipynb[,:] ", "", result.message),
        label=_label,
        words=WORDS,
        most=SIDE_BY_SIDE,
        remark=remark,
    )
    path = out / "report.html"
    replace_text(path, text)
    return path


def _sections(results: Iterable[Result]) -> list[Section]:
    """Runs by part and page, in the order of the plan."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.run.part, result.run.page.name), []).append(result)
    return [Section(part, _title(group[0].run.page), group) for (part, _), group in groups.items()]


def _differing(columns: Sequence[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Names whose values differ between columns or are missing in one, and the others.

    >>> _differing([{"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 3}])
    (['b', 'c'], ['a'])
    """
    names = list(dict.fromkeys(name for column in columns for name in column))
    same = [n for n in names if all(n in c and c[n] == columns[0][n] for c in columns)]
    return [n for n in names if n not in same], same


def _title(page: Page) -> str:
    """Heading of a page; its name where it has none."""
    try:
        return page_title(page.notebook)
    except ValueError:
        return page.name


def _label(result: Result) -> str:
    """A run's own name within its page, without the values of parameters, which are told beside it."""
    label = result.run.name.removeprefix(result.run.page.name).removeprefix("__")
    for name, value in result.run.parameters.items():
        label = label.replace(label_of(name, value), "")
    return label.strip("-")


def _figures(notebook: NotebookNode) -> list[dict[str, str]]:
    """Thumbnails of the figures of a notebook, with their descriptions."""
    found = []
    for cell in notebook.cells:
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            for kind in ("image/png", "image/webp", "image/jpeg"):
                if kind in data:
                    found += [{"alt": alt, "source": small}] if (small := thumbnail(data[kind])) else []
                    break
    return found


def thumbnail(image: str) -> str:
    """A small copy of a picture, as an address that holds it; "" of what is none.

    Args:
        image: the file's bytes in base 64, as a notebook holds them.
    """
    try:
        picture = Image.open(io.BytesIO(base64.b64decode(image))).convert("RGBA")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # Pillow's names for broken files
        return ""
    picture.thumbnail(THUMBNAIL)
    white = Image.new("RGBA", picture.size, "white")  # figures are drawn for white paper
    white.alpha_composite(picture)
    small = io.BytesIO()
    white.convert("RGB").save(small, "WEBP", quality=60)
    return f"data:image/webp;base64,{base64.b64encode(small.getvalue()).decode()}"
