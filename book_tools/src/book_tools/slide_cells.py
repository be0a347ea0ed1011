"""Sphinx extension for slides: what a cell of an executed page holds, shown on a slide.

```{cell} 05_run_inference seams-figure
:show: figure
```

``show`` is ``code``, ``figure``, ``output`` (tables and printed lines), or several with commas; default all there are.
``lines`` shows only those of the code, such as ``1-4``. So code and figures of the slides are those of the pages, and
can't drift from them.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from .pages import PageError, read_notebook

PARTS = ("code", "figure", "output")
"""What of a cell can be shown."""
IMAGES = {"image/png": ".png", "image/webp": ".webp", "image/jpeg": ".jpg"}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives and the setting that says where the executed pages are."""
    app.add_config_value("slide_notebooks", "", "env")
    app.add_directive("cell", Cell)
    return {"parallel_read_safe": True, "version": "1"}


def _parts(argument: str) -> tuple[str, ...]:
    chosen = tuple(part.strip() for part in argument.split(","))
    if unknown := set(chosen) - set(PARTS):
        raise ValueError(f"{', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
    return chosen


class Cell(SphinxDirective):
    """Show a cell, given by its page and its id."""

    required_arguments = 2
    option_spec: ClassVar[dict[str, Any]] = {"show": _parts, "lines": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """Nodes of the parts asked for, code first, and a link to the page."""
        page, identity = self.arguments
        path = Path(self.config.slide_notebooks) / f"{page}.ipynb"
        try:
            cells = read_notebook(path).cells
        except PageError as error:
            raise self.error(str(error)) from error
        self.env.note_dependency(str(path))
        cell = next((cell for cell in cells if cell.id == identity), None)
        if cell is None:
            raise self.error(f"{page}: no cell {identity!r}; its cells have an id in the notebook's file")
        make = {"code": self._code, "figure": self._figure, "output": self._output}
        shown = self.options.get("show", PARTS)
        found = [node for part in PARTS if part in shown for node in make[part](cell)]
        if not found:
            raise self.error(f"{page}, cell {identity}: has no {' or '.join(shown)} to show")
        link = nodes.reference("", page, refuri=f"../notebooks/{page}.html")
        return [*found, nodes.paragraph("", "", link, classes=["source"])]

    def _code(self, cell: NotebookNode) -> Iterator[nodes.Node]:
        lines = cell.source.splitlines()
        if asked := self.options.get("lines"):
            first, _, last = asked.partition("-")
            start, end = (int(n) if n.strip().isdecimal() else 0 for n in (first, last or first))
            if not 1 <= start <= end <= len(lines):
                raise self.error(f"{' '.join(self.arguments)}: has {len(lines)} lines of code, not lines {asked}")
            lines = lines[start - 1 : end]
        yield nodes.literal_block("\n".join(lines), "\n".join(lines), language="python")

    def _figure(self, cell: NotebookNode) -> Iterator[nodes.Node]:
        for output in cell.get("outputs", []):
            for kind in IMAGES.keys() & output.get("data", {}).keys():
                target = Path(self.env.srcdir) / "images" / f"{'-'.join(self.arguments)}{IMAGES[kind]}"
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(base64.b64decode(output.data[kind]))
                alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
                yield nodes.image(uri=f"images/{target.name}", alt=alt)

    def _output(self, cell: NotebookNode) -> Iterator[nodes.Node]:
        outputs = cell.get("outputs", [])
        # What is printed comes in pieces, and is shown as one.
        if printed := "".join(o.text for o in outputs if o.output_type == "stream").rstrip():
            yield _block(printed)
        for data in (o.get("data", {}) for o in outputs):
            if "text/html" in data:
                yield nodes.raw("", data["text/html"], format="html")
            elif "text/plain" in data and not IMAGES.keys() & data.keys():
                yield _block(data["text/plain"])


def _block(text: str) -> nodes.literal_block:
    return nodes.literal_block(text, text.rstrip(), language="none", classes=["output"])
