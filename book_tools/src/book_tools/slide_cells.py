"""Sphinx extension for slides: what a cell of an executed page holds, shown on a slide.

```{cell} 05_run_inference seams-figure
:show: figure
```

``show`` is ``code``, ``figure``, ``output`` (tables and printed lines), or several with commas; default all there are.
So code and figures of the slides are those of the pages, and can't drift from them. And what commands print, run when
the slides are built, in a folder that holds the files of ``demos``:

```{demo}
python seed.py 1
```

``file`` shows one of those files first; ``fails`` is for commands that are to end with an error.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import tempfile
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


def _parts(argument: str) -> tuple[str, ...]:
    chosen = tuple(part.strip() for part in argument.split(","))
    if unknown := set(chosen) - set(PARTS):
        raise ValueError(f"{', '.join(sorted(unknown))}: choose of {', '.join(PARTS)}")
    return chosen


class Cell(SphinxDirective):
    """Show a cell: its page and its id; ``lines`` shows only those of its code, such as ``1-4``."""

    required_arguments = 2
    option_spec: ClassVar[dict[str, Any]] = {"show": _parts, "lines": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """Nodes of the parts asked, code first."""
        page, identity = self.arguments
        folder = Path(self.config.slide_notebooks)
        try:
            cell = find_cell(read_notebook(folder / f"{page}.ipynb"), page, identity)
        except PageError as error:
            raise self.error(str(error)) from error
        self.env.note_dependency(str(folder / f"{page}.ipynb"))
        made = {"code": self._code, "figure": self._figure, "output": self._output}
        shown = self.options.get("show", PARTS)
        found = [node for part in PARTS if part in shown for node in made[part](cell)]
        if not found:
            raise self.error(f"{page}, cell {identity}: has no {' or '.join(shown)} to show")
        return [*found, self._source(page)]

    def _source(self, page: str) -> nodes.Node:
        """Where on the site the cell stands and can be run."""
        link = nodes.reference("", page, refuri=f"../notebooks/{page}.html")
        return nodes.paragraph("", "", link, classes=["source"])

    def _code(self, cell: NotebookNode) -> Iterator[nodes.Node]:
        lines = cell.source.splitlines()
        chosen = lines
        if asked := self.options.get("lines"):
            first, _, last = asked.partition("-")
            numbers = [int(n) if n.strip().isdecimal() else 0 for n in (first, last or first)]
            if not 1 <= numbers[0] <= numbers[1] <= len(lines):
                raise self.error(f"{' '.join(self.arguments)}: has {len(lines)} lines of code, not lines {asked}")
            chosen = lines[numbers[0] - 1 : numbers[1]]
        yield nodes.literal_block("\n".join(chosen), "\n".join(chosen), language="python")

    def _figure(self, cell: NotebookNode) -> Iterator[nodes.Node]:
        for output in cell.get("outputs", []):
            for kind, suffix in IMAGES.items():
                if kind in output.get("data", {}):
                    name = f"{'-'.join(self.arguments)}{suffix}"
                    target = Path(self.env.srcdir) / "images" / name
                    target.parent.mkdir(exist_ok=True)
                    target.write_bytes(base64.b64decode(output.data[kind]))
                    yield nodes.image(uri=f"images/{name}", alt=_alt(cell))

    def _output(self, cell: NotebookNode) -> Iterator[nodes.Node]:
        printed, others = "", []
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if output.output_type == "stream":
                printed += output.text  # comes in pieces, is shown as one
            elif "text/html" in data:
                others.append(nodes.raw("", data["text/html"], format="html"))
            elif not IMAGES.keys() & data.keys() and "text/plain" in data:
                others.append(_block(data["text/plain"]))
        yield from [_block(printed), *others] if printed.strip() else others


class Demo(SphinxDirective):
    """Show commands, one a line, and what they print."""

    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"file": directives.unchanged, "fails": directives.flag}

    def run(self) -> list[nodes.Node]:
        """The file, when one is named, then the commands with what each printed."""
        demos = Path(self.env.srcdir) / "demos"
        shown: list[nodes.Node] = []
        if name := self.options.get("file"):
            text = (demos / name).read_text(encoding="utf-8").rstrip().replace("\n\n\n", "\n\n")
            shown.append(nodes.literal_block(text, text, language="bash" if name.endswith(".sh") else "python"))
            self.env.note_dependency(str(demos / name))
        lines = []
        with tempfile.TemporaryDirectory(prefix="ml4ops-demo-") as folder:
            work = Path(folder) / "work"
            shutil.copytree(demos, work)
            for command in self.content:
                lines += [f"$ {command}", *self._output(command, work).splitlines()]
        text = "\n".join(lines)
        return [*shown, nodes.literal_block(text, text, language="console", classes=["output"])]

    def _output(self, command: str, work: Path) -> str:
        """What a command prints, errors too, as the programs of this environment run it."""
        given = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        given |= {"HYDRA_FULL_ERROR": "", "PYTHONWARNINGS": "ignore", "HOME": str(work.parent)}
        # Where no command may fail, none in a pipe may either.
        options = [] if "fails" in self.options else ["-o", "pipefail"]
        done = subprocess.run(
            ["bash", *options, "-c", command], cwd=work, env=given, text=True, timeout=300, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        if bool(done.returncode) != ("fails" in self.options):
            raise self.error(f"{command}: ended with {done.returncode}: {done.stdout.strip()[-400:]}")
        return done.stdout


def _block(text: str) -> nodes.literal_block:
    return nodes.literal_block(text, text.rstrip(), language="none", classes=["output"])


def _alt(cell: NotebookNode) -> str:
    return str(cell.metadata.get("mystnb", {}).get("image", {}).get("alt", ""))


def find_cell(notebook: NotebookNode, page: str, identity: str) -> NotebookNode:
    """The cell of an id.

    Args:
        notebook: an executed page.
        page: its name.
        identity: of the cell.

    Raises:
        PageError: there is no such cell.
    """
    cell: NotebookNode
    for cell in notebook.cells:
        if cell.id == identity:
            return cell
    raise PageError(f"{page}: no cell {identity!r}; its cells have an id in the notebook's file")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive and where the executed pages are."""
    app.add_config_value("slide_notebooks", "", "env")
    app.add_directive("cell", Cell)
    app.add_directive("demo", Demo)
    return {"parallel_read_safe": True, "version": "1"}
