"""An executed notebook as one HTML file, for a browser without Jupyter and without a network."""

from __future__ import annotations

import os
import re
from pathlib import Path

from nbconvert import HTMLExporter

from .pages import read_notebook
from .writing import replace_text

OWN_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|mailto:|#)[^)]*\)")
"""A link to another page of the book, which is not beside the file."""
ROLE = re.compile(r"\{(cite)?[a-z:]*\}`([^`<]*?)\s*(?:<[^`]*>)?`")
DIRECTIVE = re.compile(
    r"^(`{3,}|:{3,})\{[\w-]+\} *([^\n]*)\n((?::[\w-]+:[^\n]*\n)*)(.*?)^\1 *$", re.MULTILINE | re.DOTALL
)


def write_notebook_html(path: Path) -> Path:
    """Write an executed notebook as HTML beside it, unless that has been done.

    Args:
        path: the notebook.

    Returns:
        The HTML file; it has the time stamp of the notebook that it shows.

    Raises:
        PageError: not a notebook.
    """
    html, written = path.with_suffix(".html"), path.stat().st_mtime_ns
    if html.exists() and html.stat().st_mtime_ns == written:
        return html
    notebook = read_notebook(path)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = plain_markdown(cell.source)
    templates = str(Path(__file__).with_name("templates"))
    exporter = HTMLExporter(template_name="offline", extra_template_basedirs=[templates])  # type: ignore[no-untyped-call]
    text, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": path.stem}})
    replace_text(html, text)
    os.utime(html, ns=(written, written))
    return html


def plain_markdown(source: str) -> str:
    r"""Markdown of the book without MyST: directives become quotations, roles and links to other pages their text.

    Args:
        source: a cell.

    >>> plain_markdown("See [the data](../book/data_card) {cite:p}`otsu`, {term}`chips <chip>`, [x](https://a.org).")
    'See the data [otsu], chips, [x](https://a.org).'
    >>> plain_markdown("```{admonition} Recall\n:class: tip\nWhich one?\n```")
    '<blockquote>\n\n**Recall**\n\nWhich one?\n\n</blockquote>'
    """
    text = DIRECTIVE.sub(_quotation, source)
    return ROLE.sub(lambda role: f"[{role[2]}]" if role[1] else role[2], OWN_LINK.sub(r"\1", text))


def _quotation(found: re.Match[str]) -> str:
    """A directive as a quotation in HTML: within one in Markdown, nbconvert shows no tables."""
    parts = ("<blockquote>", f"**{found[2]}**" if found[2] else "", found[4].strip(), "</blockquote>")
    return "\n\n".join(filter(None, parts))
