"""Begin a page: a notebook and its exercises, which pass every check as they are, listed in the contents and README."""

from __future__ import annotations

import re
from pathlib import Path

from .readme import table_row
from .repository import read_config
from .writing import replace_text

TEMPLATE = Path(__file__).with_name("template")
NAME = re.compile(r"[a-z]+(_[a-z0-9]+)+")
ENTRY = re.compile(r"^ *- file: notebooks/\d\d_\w+\n", re.MULTILINE)
"""A notebook in the table of contents."""
END_OF_TABLE = "<!-- pages: end -->"


def new_page(root: Path, name: str) -> list[Path]:
    """Write a page after the last one. It runs and passes every check, so it can be rewritten step by step.

    Args:
        root: root of the repository.
        name: what the reader does, such as ``measure_a_river``; the number is added.

    Returns:
        The notebook, its exercises and the answers that test them, which are new; the contents and the README.

    Raises:
        ValueError: the name is malformed or taken, a file of the new page exists, or a file has no place for the page;
            nothing was written.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a page name; write a verb and its object, such as measure_a_river")
    stems = [p.stem for p in (root / "notebooks").glob("[0-9][0-9]_*.ipynb")]
    if taken := [stem for stem in stems if stem[3:] == name]:
        raise ValueError(f"{taken[0]} already has this name; choose another")
    number = f"{max((int(stem[:2]) for stem in stems), default=0) + 1:02d}"
    page = root / "notebooks" / f"{number}_{name}.ipynb"
    new = {
        page: "page.ipynb",
        root / "ml4ops_helpers" / "exercises" / f"page_{number}.py": "exercises.txt",
        root / "tests" / "exercises" / f"page_{number}.yml": "answers.yml",
    }
    if existing := [path for path in new if path.exists()]:
        raise ValueError(f"{existing[0]}: exists, but its page does not; delete or renumber it")
    toc, readme = root / "_toc.yml", root / "README.md"
    contents, table = _after_the_last(toc, page.stem), readme.read_text(encoding="utf-8")
    if END_OF_TABLE not in table:
        raise ValueError(f"{readme}: no line {END_OF_TABLE}; put it below the table of pages")
    title = page.stem[3:].replace("_", " ").capitalize()
    for path, template in new.items():
        text = (TEMPLATE / template).read_text(encoding="utf-8")
        text = text.replace("__PAGE__", page.stem).replace("__NN__", number).replace("__TITLE__", title)
        replace_text(path, text)
    row = table_row(page, root / "_build" / "notebooks" / page.name, read_config(root))
    replace_text(readme, table.replace(END_OF_TABLE, f"{row}\n{END_OF_TABLE}", 1))
    replace_text(toc, contents)
    return [*new, readme, toc]


def _after_the_last(toc: Path, stem: str) -> str:
    """The contents with the page after the last notebook. They are edited as text, so that comments stay."""
    text = toc.read_text(encoding="utf-8")
    if not (entries := list(ENTRY.finditer(text))):
        raise ValueError(f"{toc}: lists no notebook, so there is no place for this one; enter it by hand")
    last = entries[-1]
    return text[: last.end()] + re.sub(r"notebooks/\w+", f"notebooks/{stem}", last[0]) + text[last.end() :]
