"""From a run to a page: the source as it is now, with the outputs of the run that its code had."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from ml4ops_helpers import RECORD_MIME

from .pages import PageError
from .provenance import box
from .run_errors import code_cells
from .solutions import add_solutions
from .writing import ESCAPE, replace_text

WIDGET_MIME = "application/vnd.jupyter.widget-view+json"
"""Marks a widget, such as a progress bar where ipywidgets is installed: dead on a page, drawn by foreign scripts."""


def publish(
    source: NotebookNode, executed: NotebookNode, run: dict[str, Any], name: str = "page"
) -> tuple[NotebookNode, str]:
    """Put the outputs of a run into the source.

    Standard error and widgets are taken out, alt texts of figures move to where the site looks for them, cells tagged
    ``setup`` are folded, the lesson's record moves from its output to the metadata, and the machine's paths are left
    behind. A box at the end tells what the outputs were made from.

    Args:
        source: the page as it is now.
        executed: a run of the same code cells, or a page published before.
        run: facts about the run, kept as ``metadata.ml4ops.run``.
        name: the page's file name, for messages.

    Returns:
        The page with outputs, and what the run wrote to standard error.

    Raises:
        PageError: the code cells differ in number, or a cell shows several figures or one without alt text.
    """
    page = copy.deepcopy(source)
    ours, theirs = code_cells(page), code_cells(executed)
    if len(ours) != len(theirs):
        raise PageError(f"{name}: {len(theirs)} code cells were run, the page has {len(ours)}")
    run, errors = dict(run), []
    for (number, cell), (_, done) in zip(ours, theirs, strict=True):
        errors += [o.text for o in done.outputs if o.output_type == "stream" and o.name == "stderr"]
        shown = [o for o in done.outputs if o.get("name") != "stderr" and WIDGET_MIME not in o.get("data", {})]
        cell.outputs = copy.deepcopy(shown)
        cell.execution_count = done.execution_count
        run |= _take_record(cell)
        if "setup" in cell.metadata.get("tags", []):
            cell.metadata.tags.append("hide-input")
        _place_alt_text(cell, f"{name}, cell {number}")
    if "language_info" in executed.metadata:
        page.metadata["language_info"] = copy.deepcopy(executed.metadata.language_info)
    page.metadata["ml4ops"] = page.metadata.get("ml4ops", {}) | {"run": run}
    add_solutions(page, name)
    if about := box(run):
        page.cells.append(nbformat.v4.new_markdown_cell(about, id="provenance"))  # type: ignore[no-untyped-call]
    return page, "".join(errors)


def _take_record(cell: NotebookNode) -> dict[str, Any]:
    """Take the lesson's record out of a cell's outputs."""
    records = [o.data.pop(RECORD_MIME) for o in cell.outputs if RECORD_MIME in o.get("data", {})]
    return {"record": records[-1]} if records else {}


def _place_alt_text(cell: NotebookNode, where: str) -> None:
    """Copy a figure's alt text to the cell: the site's parser reads it there and nowhere else."""
    figures = [o for o in cell.outputs if any(m.startswith("image/") for m in o.get("data", {}))]
    if not figures:
        return
    texts = [
        alt for f in figures for meta in f.metadata.values() if isinstance(meta, dict) and (alt := meta.get("alt"))
    ]
    if len(figures) > 1:
        raise PageError(f"{where} shows {len(figures)} figures; one alt text serves a cell: use a cell for each")
    if not texts:
        raise PageError(f"{where} shows a figure without alt text; show it with lesson.figure(fig, alt=…)")
    cell.metadata["mystnb"] = cell.metadata.get("mystnb", {}) | {"image": {"alt": texts[0]}}


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook to a temporary name beside and rename it; leave the file alone when nothing changed.

    Args:
        notebook: what to write.
        path: where to.
    """
    text = f"{nbformat.writes(notebook)}\n"  # type: ignore[no-untyped-call]
    if path.exists() and path.read_bytes() == text.encode("utf-8", ESCAPE):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, text)
