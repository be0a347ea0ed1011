"""The setup cell of a page: one form, made from where the book lives and from the extra that the page asks for.

``python -m book_tools.setup_cells`` in the repository's root writes it into every page; a test compares them.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from nbformat import NotebookNode

from .pages import Page, PageError, find_pages
from .publish import write_notebook
from .repository import Repository, read_config, repository_of

PACKAGE = "ml4ops-helpers"
MODULES = {"": (), "projects": ("dvc", "hydra", "optuna", "pandera")}
"""Modules by which a page sees whether an extra is there."""


def setup_cell(here: Repository, extra: str = "") -> str:
    """Source of a setup cell. Where all is there, it installs nothing.

    Args:
        here: where the book lives.
        extra: of the helper package; "" for the core alone.

    >>> print(setup_cell(Repository("owner/repo", "main", "https://owner.github.io/repo/"), "projects"))
    try:
        import ml4ops_helpers, dvc, hydra, optuna, pandera
    except ImportError:
        %pip install -q "ml4ops-helpers[projects] @ git+https://github.com/owner/repo"
    """
    modules = ", ".join(("ml4ops_helpers", *MODULES[extra]))
    wanted = f"{PACKAGE}[{extra}] @ git+{here.url}" if extra else f"git+{here.url}"
    return f'try:\n    import {modules}\nexcept ImportError:\n    %pip install -q "{wanted}"'


def check_setup(page: Page, root: Path) -> None:
    """Check that a page's setup cell installs what the page's metadata ask for.

    Args:
        page: the page.
        root: root of the repository.

    Raises:
        PageError: there is no such extra, not one setup cell, or it has another form.
    """
    number, cell = _find(page, root)
    wanted = setup_cell(repository_of(read_config(root)), page.extra)
    if cell.source != wanted:
        raise PageError(f"{page.path.name}, cell {number}: not the setup cell of this page, which is\n{wanted}")


def _find(page: Page, root: Path) -> tuple[int, NotebookNode]:
    """Number and content of a page's setup cell, once its extra is known to exist."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = sorted(MODULES.keys() & project["optional-dependencies"].keys())
    if page.extra and page.extra not in known:
        raise PageError(f"{page.path.name}: metadata ml4ops.extra is {page.extra!r}; use {' or '.join(known)}")
    cells = [(n, c) for n, c in enumerate(page.notebook.cells, 1) if "setup" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise PageError(f"{page.path.name}: {len(cells)} cells are tagged 'setup'; tag exactly one")
    return cells[0]


def write_setups(root: Path) -> list[Path]:
    """Write the setup cell of every page of a repository that has another one; the pages that were changed."""
    here = repository_of(read_config(root))
    changed = []
    for page in find_pages(root / "notebooks"):
        _, cell = _find(page, root)
        if cell.source != (wanted := setup_cell(here, page.extra)):
            cell.source = wanted
            write_notebook(page.notebook, page.path)
            changed.append(page.path)
    return changed


if __name__ == "__main__":
    print(*write_setups(Path()), sep="\n")
