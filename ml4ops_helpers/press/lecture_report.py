"""The report of a lecture: one HTML file that tells what ran, with what, and what came out. It loads nothing."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from nbformat import NotebookNode
from PIL import Image

from .lecture import Result
from .pages import Value, read_notebook

THUMBNAIL = (320, 240)
"""Most pixels of a figure in the report, width and height."""
WORDS = {"run": "done", "unchanged": "was there", "failed": "failed", "skipped": "skipped"}


def write_report(results: Sequence[Result], title: str, out: Path, remark: str = "") -> Path:
    """Write ``report.html``.

    Args:
        results: from ``run_lecture``.
        title: of the plan.
        out: folder of the lecture.
        remark: what else the reader must know, such as why MLflow was not reached.

    Returns:
        The file.
    """
    ordered = sorted(results, key=lambda r: r.run.page.name)
    pages = {name: _page(list(group), out) for name, group in groupby(ordered, key=lambda r: r.run.page.name)}
    text = render(
        "lecture.html",
        title=title,
        pages=pages,
        total=len(results),
        whole=sum(r.whole for r in results),
        missing=[r for r in results if not r.whole],
        link=lambda result: _link(result, out),
        label=lambda run: run.name.removeprefix(f"{run.page.name}__"),
        words=WORDS,
        remark=remark,
    )
    path = out / "report.html"
    replace_text(path, text)
    return path


def render(template: str, **content: Any) -> str:  # noqa: ANN401 - whatever the template needs
    """Fill a template of the package.

    Args:
        template: its file name.
        **content: its variables.
    """
    environment = Environment(
        loader=PackageLoader("ml4ops_helpers"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["value"] = _value
    return environment.get_template(template).render(**content)


def replace_text(path: Path, text: str) -> None:
    """Write a text under a temporary name and rename it.

    Args:
        path: the file.
        text: its content.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _page(results: list[Result], out: Path) -> dict[str, Any]:
    """What the report tells of one page: a table with a row a run, and the figures of each run."""
    return {
        "parameters": list(results[0].run.parameters),
        "metrics": list(dict.fromkeys(name for r in results for name in r.metrics)),
        "results": results,
        "figures": {r.run.name: _figures(read_notebook(r.notebook)) for r in results if r.whole and r.notebook},
    }


def _figures(notebook: NotebookNode) -> list[dict[str, str]]:
    """Thumbnails of the figures of a notebook, with their descriptions."""
    found = []
    for cell in notebook.cells:
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            for kind in ("image/png", "image/webp", "image/jpeg"):
                if kind in data:
                    found.append({"alt": alt, "source": thumbnail(base64.b64decode(data[kind]))})
                    break
    return found


def thumbnail(image: bytes) -> str:
    """A small copy of a picture, as an address that holds it.

    Args:
        image: the file's bytes.
    """
    picture = Image.open(io.BytesIO(image)).convert("RGBA")
    picture.thumbnail(THUMBNAIL)
    white = Image.new("RGBA", picture.size, "white")  # figures are drawn for white paper
    white.alpha_composite(picture)
    small = io.BytesIO()
    white.convert("RGB").save(small, "WEBP", quality=60)
    return f"data:image/webp;base64,{base64.b64encode(small.getvalue()).decode()}"


def _link(result: Result, out: Path) -> str:
    return result.notebook.relative_to(out).as_posix() if result.notebook else ""


def _value(value: Value | None) -> str:
    """A metric or parameter as it is shown.

    >>> [_value(v) for v in (0.123456, 3, True, "smoke", None)]
    ['0.1235', '3', 'True', 'smoke', 'undefined']
    """
    if value is None:
        return "undefined"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
