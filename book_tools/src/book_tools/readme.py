"""What the README shows of a run: the table of pages with measured minutes, and one figure.

``python -m book_tools.readme`` in the repository's root, after ``make book``, brings both up to date.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path

from nbformat import NotebookNode

from .jobs import run_facts
from .pages import read_notebook
from .repository import read_config, repository_of
from .writing import replace_text

COVER_TAG = "cover"
"""Tag of the notebook cell whose figure the README shows."""
COVER = Path("book/figures/cover.png")


def page_title(notebook: NotebookNode) -> str:
    """First heading of level one.

    Args:
        notebook: the page.

    Raises:
        ValueError: there is none.
    """
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (found := re.search(r"^# (.+)$", cell.source, re.MULTILINE)):
            return found[1].strip()
    raise ValueError("the notebook has no heading of level one")


def table_row(source: Path, executed: Path, config: dict[str, dict[str, str]]) -> str:
    """Row of the README's table for one notebook.

    Args:
        source: the notebook.
        executed: the same page after a run; its time is left open where it does not exist.
        config: content of ``_config.yml``.
    """
    path, notebook = f"notebooks/{source.name}", read_notebook(source)
    seconds = run_facts(read_notebook(executed)).get("seconds") if executed.exists() else None
    measured = f"{float(str(seconds)) / 60:.1f}" if seconds is not None else "–"
    badge = "https://colab.research.google.com/assets/colab-badge.svg"
    url, minutes = repository_of(config).colab(path), notebook.metadata["ml4ops"]["minutes"]
    return f"| [{page_title(notebook)}]({path}) | {minutes} | {measured} | [![Open in Colab]({badge})]({url}) |"


def page_table(pages: list[Path], executed: Path, config: dict[str, dict[str, str]]) -> str:
    """The README's table of the pages; ``executed`` is the folder of the executed notebooks."""
    head = ["| page | minutes to work through | minutes to run | |", "|---|---|---|---|"]
    return "\n".join(head + [table_row(p, executed / p.name, config) for p in pages])


def cover_figure(executed: list[Path]) -> tuple[bytes, str] | None:
    """PNG and alternative text of the first figure in a cell tagged ``cover``, if there is one."""
    for path in executed:
        for cell in read_notebook(path).cells:
            if COVER_TAG in cell.metadata.get("tags", []):
                for output in cell.get("outputs", []):
                    if "image/png" in output.get("data", {}):
                        return base64.b64decode(output.data["image/png"]), cell.metadata["mystnb"]["image"]["alt"]
    return None


def replace_part(text: str, name: str, content: str) -> str:
    """Replace what stands between the two comments that mark a part of a Markdown text.

    Args:
        text: the whole text.
        name: the part's name.
        content: what is to stand there.

    Raises:
        ValueError: the text has no such part.

    >>> replace_part("a <!-- x: begin -->old<!-- x: end --> b", "x", "new").splitlines()
    ['a <!-- x: begin -->', 'new', '<!-- x: end --> b']
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"README.md: write {begin} and {end} once each where the part {name!r} belongs")
    before, rest = text.split(begin)
    return f"{before}{begin}\n{content}\n{end}{rest.split(end)[1]}"


def main(root: Path = Path()) -> None:
    """Bring the README's table and figure up to date.

    Args:
        root: the repository's root.
    """
    pages, executed = sorted((root / "notebooks").glob("*.ipynb")), root / "_build" / "notebooks"
    text = (root / "README.md").read_text(encoding="utf-8")
    text = replace_part(text, "pages", page_table(pages, executed, read_config(root)))
    if cover := cover_figure([executed / p.name for p in pages if (executed / p.name).exists()]):
        figure, alt = cover
        (root / COVER).write_bytes(figure)
        text = replace_part(text, "cover", f"![{alt}]({COVER.as_posix()})")
    replace_text(root / "README.md", text)


if __name__ == "__main__":
    main()
