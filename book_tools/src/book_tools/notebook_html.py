"""An executed notebook as one HTML file, for a browser without Jupyter: it loads nothing, figures are within it."""

from __future__ import annotations

import copy
import hashlib
import re
from pathlib import Path

from nbconvert import HTMLExporter
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from .pages import read_notebook
from .rendering import render
from .writing import replace_text

LIGHT, DARK = "default", "github-dark"
"""Styles of Pygments."""
OWN_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|mailto:|#)[^)]*\)")
"""A link to another page of the book, which is not beside the file."""
CITATION = re.compile(r"\{cite(?::\w+)?\}`([^`]*)`")
ROLE = re.compile(r"\{[a-z:]+\}`([^`<]*?)\s*(?:<[^`]*>)?`")
DIRECTIVE = re.compile(r"^(`{3,}|:{3,})\{[\w-]+\} *([^\n]*)\n(.*?)^\1 *$", re.MULTILINE | re.DOTALL)


def write_notebook_html(path: Path) -> Path:
    """Write an executed notebook as HTML beside it, unless that is there and tells of the same notebook.

    Args:
        path: the notebook.

    Returns:
        The HTML file.

    Raises:
        PageError: it is no notebook.
    """
    html, notebook = path.with_suffix(".html"), read_notebook(path)
    # Clocks are set back and files copied: only the content tells.
    mark = f"<!-- notebook {hashlib.sha256(path.read_bytes()).hexdigest()} -->\n"
    if not html.exists() or not html.read_bytes().endswith(mark.encode()):
        replace_text(html, f"{notebook_html(notebook, path.stem)}\n{mark}")
    return html


def notebook_html(notebook: NotebookNode, title: str) -> str:
    """A notebook as a whole HTML page.

    Args:
        notebook: executed; it is not changed.
        title: for the browser's tab.
    """
    shown = copy.deepcopy(notebook)
    for cell in shown.cells:
        if cell.cell_type == "markdown":
            cell.source = plain_markdown(cell.source)
    body, _ = HTMLExporter(template_name="basic").from_notebook_node(shown)  # type: ignore[no-untyped-call]
    styles = [HtmlFormatter(style=style).get_style_defs(".highlight") for style in (LIGHT, DARK)]
    return render("notebook.html", title=title, body=body, light=styles[0], dark=styles[1])


def plain_markdown(source: str) -> str:
    r"""Markdown of the book in the words that every reader of Markdown knows.

    Args:
        source: a cell; directives become quotations, roles and links to other pages their text.

    >>> plain_markdown("See [the data](../book/data_card) {cite:p}`otsu`, {term}`chips <chip>`, [x](https://a.org).")
    'See the data [otsu], chips, [x](https://a.org).'
    >>> print(plain_markdown("```{admonition} Recall\n:class: tip\nWhich one?\n```"))
    > **Recall**
    >
    > Which one?
    """
    text = DIRECTIVE.sub(_quotation, source)
    return ROLE.sub(r"\1", CITATION.sub(r"[\1]", OWN_LINK.sub(r"\1", text)))


def _quotation(found: re.Match[str]) -> str:
    body = [line for line in found[3].strip().splitlines() if not re.match(r":[\w-]+:", line)]
    lines = [f"**{found[2]}**", "", *body] if found[2] else body
    return "\n".join(f"> {line}".rstrip() for line in lines)
