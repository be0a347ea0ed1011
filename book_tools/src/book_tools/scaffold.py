"""Begin a page: a notebook and its exercises that pass every check as they are, entered in the contents and README."""

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
    """Write a page after the last one. Replace what it says, bit by bit; it runs and is checked at every step.

    Args:
        root: root of the repository.
        name: what the reader does, such as ``measure_a_river``; its number is found.

    Returns:
        The files: notebook and exercises, which are new, and those in which the page was entered.

    Raises:
        ValueError: the name has another form, a page has it already, exercises with its number are there, or a file
            has no place for the page; nothing was written.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a page; write a verb and its object, such as measure_a_river")
    there = [p.stem for p in (root / "notebooks").glob("[0-9][0-9]_*.ipynb")]
    if taken := [stem for stem in there if stem[3:] == name]:
        raise ValueError(f"{taken[0]} has this name already")
    number = f"{max((int(stem[:2]) for stem in there), default=0) + 1:02d}"
    page = root / "notebooks" / f"{number}_{name}.ipynb"
    exercises = root / "ml4ops_helpers" / "exercises" / f"page_{number}.py"
    if exercises.exists():
        raise ValueError(f"{exercises}: is there already, without a page; give its page or its file another number")
    contents = _after_the_last(root / "_toc.yml", page.stem)
    readme = (root / "README.md").read_text(encoding="utf-8")
    if END_OF_TABLE not in readme:
        raise ValueError(f"{root / 'README.md'}: no line {END_OF_TABLE}; put it below the table of pages")
    replace_text(page, _filled("page.ipynb", page.stem))
    replace_text(exercises, _filled("exercises.txt", page.stem))
    row = table_row(page, root / "_build" / "notebooks" / page.name, read_config(root))
    replace_text(root / "README.md", readme.replace(END_OF_TABLE, f"{row}\n{END_OF_TABLE}", 1))
    replace_text(root / "_toc.yml", contents)
    return [page, exercises, root / "README.md", root / "_toc.yml"]


def _filled(template: str, stem: str) -> str:
    """A template with the page's name, number and title."""
    text = (TEMPLATE / template).read_text(encoding="utf-8")
    title = stem[3:].replace("_", " ").capitalize()
    return text.replace("__PAGE__", stem).replace("__NN__", stem[:2]).replace("__TITLE__", title)


def _after_the_last(toc: Path, stem: str) -> str:
    """The contents with the page after the last notebook. They are edited as text, so that comments stay."""
    text = toc.read_text(encoding="utf-8")
    if not (entries := list(ENTRY.finditer(text))):
        raise ValueError(f"{toc}: lists no notebook, so there is no place for this one; enter it by hand")
    last = entries[-1]
    return text[: last.end()] + re.sub(r"notebooks/\w+", f"notebooks/{stem}", last[0]) + text[last.end() :]
