"""Build the site from the executed pages: same paths as the tracked sources, nothing executed, warnings are errors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

BUILT = Path("_build/html")
"""Where the site is, from the root of the repository."""

IGNORED = shutil.ignore_patterns(".*", "__pycache__", "*.tmp")


class SiteError(Exception):
    """The site can't be built; the message says what is missing or what Jupyter Book complained about."""


def build_site(root: Path, executed: Path = Path("_build/notebooks")) -> Path:
    """Build the site into ``_build/html``; the one that is there stays until the new one is complete.

    The book's sources are gathered in a folder with the tree of the repository, where each notebook is replaced by its
    executed form. So links to the source (Colab) lead to tracked paths, and no other folder is ever searched.

    Args:
        root: folder of ``_config.yml`` and ``_toc.yml``.
        executed: folder of the executed notebooks, from the root.

    Returns:
        The folder of the site.

    Raises:
        SiteError: a page is missing or was not executed, or Jupyter Book warned or failed.
    """
    stage = root / "_build" / "site"
    gather(root, stage, root / executed)
    _jupyter_book(stage)
    shutil.rmtree(root / BUILT, ignore_errors=True)
    (stage / "_build" / "html").replace(root / BUILT)
    return root / BUILT


def pages_of(toc: Path) -> list[str]:
    """Pages that a table of contents lists, as written there, in its order.

    Args:
        toc: a ``_toc.yml``.

    Raises:
        SiteError: the file is missing.
    """
    if not toc.exists():
        raise SiteError(f"{toc}: missing; give the folder of the book")

    def walk(entry: object) -> list[str]:
        if isinstance(entry, list):
            return [name for item in entry for name in walk(item)]
        if not isinstance(entry, dict):
            return []
        own = [str(entry[k]) for k in ("root", "file") if k in entry]
        return own + [name for k, v in entry.items() if k not in ("root", "file") for name in walk(v)]

    return walk(yaml.safe_load(toc.read_text(encoding="utf-8")))


def gather(root: Path, stage: Path, executed: Path) -> None:
    """Lay out the sources of the site afresh.

    Args:
        root: folder of the book.
        stage: folder to fill; what is in it is removed.
        executed: folder of the executed notebooks.

    Raises:
        SiteError: a page of the table of contents is missing or was not executed.
    """
    pages = [_page_file(root, name) for name in pages_of(root / "_toc.yml")]
    shutil.rmtree(stage, ignore_errors=True)
    for page in pages:
        folder = page.relative_to(root).parts[0] if page.parent != root else ""
        if folder and not (stage / folder).exists():
            shutil.copytree(root / folder, stage / folder, ignore=_without_notebooks)
        source = executed / page.name if page.suffix == ".ipynb" else page
        if not source.exists():
            raise SiteError(f"{page.relative_to(root)}: not executed; run ml4ops run {page.stem}")
        target = stage / page.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy2(root / name, stage / name)


def _page_file(root: Path, name: str) -> Path:
    """The source of a page, which the table of contents names without its suffix."""
    given = root / name
    for path in (given, *(given.with_name(given.name + suffix) for suffix in (".ipynb", ".md", ".rst"))):
        if path.is_file():
            return path
    raise SiteError(f"_toc.yml: lists {name}, which is no file")


def _without_notebooks(folder: str, names: list[str]) -> set[str]:
    """Files that do not belong to the site: hidden ones, left-overs, notebooks that were not executed."""
    return set(IGNORED(folder, names)) | {n for n in names if n.endswith(".ipynb")}


def _jupyter_book(stage: Path) -> None:
    """Run Jupyter Book over the gathered sources, from scratch: an old warning must show again."""
    program = Path(sys.executable).with_name("jupyter-book")
    command = [str(program), "build", str(stage), "-W", "-n", "--keep-going", "--all", "-q"]
    environment = os.environ | {"PYTHONWARNINGS": "ignore", "NO_COLOR": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        complaints = [line for line in done.stderr.splitlines() if "WARNING" in line or "ERROR" in line]
        said = "\n".join(complaints or done.stderr.strip().splitlines()[-15:])
        raise SiteError(f"Jupyter Book failed:\n{said.replace(f'{stage.resolve()}/', '')}")
