"""Notebooks that came back of a handout: whose each is, by what was written into it, else by its folder's name."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from .owners import Owner
from .pages import PageError, read_notebook

DECORATION = re.compile(r"^(Copy of )+|(-Copy\d+|-\d+|_\d+| ?\(\d+\))+$")
"""What browsers, Jupyter and Colab add to the name of a second copy."""
UNREAD = (".ipynb_checkpoints", "__MACOSX")
"""Folders that hold nobody's work."""
Place = tuple[str, str]
"""Folder of an owner, and file name of a page."""


def find_returned(
    students: Path, title: str, owners: Sequence[Owner], pages: Sequence[str]
) -> tuple[dict[Place, NotebookNode | str], list[str]]:
    """The notebook of every owner and page, and what belongs to nobody.

    Args:
        students: folder of the students' folders.
        title: of the handout; copies of another one are nobody's.
        owners: whom copies were given.
        pages: file names of the notebooks.

    Returns:
        For each place the notebook or why there is none; and a line for each file or folder that nobody's answers
        were read from.
    """
    fitting: dict[Place, list[tuple[bool, bool, Path]]] = {}
    read: dict[Path, NotebookNode | str] = {}
    strays: dict[Path, str] = {}
    for path in sorted(_notebooks(students)):
        read[path] = read_if_whole(path)
        folder, page = _owner_of(path, students, read[path], title, owners), _page_of(path, pages)
        if folder and page:
            misplaced = _plain(path.relative_to(students).parts[0]) != _plain(folder)
            fitting.setdefault((folder, page), []).append((misplaced, _plain(path.name) != _plain(page), path))
        else:
            strays[path] = "has the name of no page that was given out" if folder else "is no copy for one on the list"
    found: dict[Place, NotebookNode | str] = {}
    for place in ((owner.folder, page) for owner in owners for page in pages):
        there = sorted(fitting.get(place, []))
        best = [path for *rank, path in there if rank == list(there[0][:2])]
        names = ", ".join(printable(path.relative_to(students)) for path in best)
        found[place] = read[best[0]] if len(best) == 1 else f"{names} fit; leave one" if best else "did not come back"
        unused = "another was read in its place" if len(best) == 1 else "several fit; leave one"
        strays |= {path: f"{unused} for {place[0]}" for *_, path in there if [path] != best}
    lines = [f"{printable(path.relative_to(students))}: {reason}" for path, reason in strays.items()]
    return found, sorted(lines + list(_without_notebooks(students, owners)))


def _notebooks(students: Path) -> Iterator[Path]:
    for path in students.rglob("*.ipynb"):
        parts = path.relative_to(students).parts
        if path.is_file() and not path.name.startswith("._") and not any(part in UNREAD for part in parts):
            yield path


def read_if_whole(path: Path) -> NotebookNode | str:
    """A notebook whose texts every file can hold, or why it can't be read.

    Args:
        path: the file.
    """
    try:
        text = json.dumps(read_notebook(path), ensure_ascii=False)
        return nbformat.from_dict(json.loads(printable(text)))  # type: ignore[no-untyped-call, no-any-return]
    except PageError as error:
        return str(error).split(": ", 1)[1]
    except RecursionError:
        return "not a valid notebook (nested too deeply)"
    except OSError as error:
        return f"can't be read ({error.strerror})"


def printable(text: str | Path) -> str:
    r"""A text that can be written: halves of signs, and bytes of a file's name that are none, become question marks.

    Args:
        text: any text, or a path.

    >>> printable("wave \ud83c")
    'wave ?'
    """
    return str(text).encode("utf-8", "replace").decode()


def _owner_of(
    path: Path, students: Path, notebook: NotebookNode | str, title: str, owners: Sequence[Owner]
) -> str | None:
    """Folder of the owner that a notebook names, else that of its folder."""
    named = {} if isinstance(notebook, str) else notebook.metadata.get("ml4ops", {})
    mark = named.get("copy") if isinstance(named, dict) else None
    if isinstance(mark, dict):
        wanted = mark.get("owner") if mark.get("title") == title else None
        return next((owner.folder for owner in owners if owner.folder == wanted), None)
    folder = _plain(path.relative_to(students).parts[0])
    return next((owner.folder for owner in owners if _plain(owner.folder) == folder), None)


def _page_of(path: Path, pages: Sequence[str]) -> str | None:
    """The page that a file's name means."""
    names = (path.stem, DECORATION.sub("", path.stem))
    return next((page for name in names for page in pages if _plain(page) == _plain(f"{name}.ipynb")), None)


def _without_notebooks(students: Path, owners: Sequence[Owner]) -> Iterator[str]:
    """Folders of nobody that hold no notebook, and files beside the folders, such as archives."""
    known = {_plain(owner.folder) for owner in owners}
    for path in students.iterdir() if students.is_dir() else ():
        if path.name.startswith(".") or path.name in UNREAD or path.suffix == ".ipynb":
            continue
        if path.is_file():
            yield f"{printable(path.name)}: is no folder; unpack it if it is an archive"
        elif _plain(path.name) not in known and not any(_notebooks(path)):
            yield f"{printable(path.name)}: belongs to no one on the list, and holds no notebook"


def _plain(name: str) -> str:
    """A name as all systems compare it: macOS writes accents apart, Windows minds no case."""
    return unicodedata.normalize("NFC", name).casefold()
