"""Build the site from the executed pages: same paths as the tracked sources, nothing executed, warnings are errors."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from .extension import CLEAN
from .keys import code_of
from .pages import PageError, read_notebook
from .plans import PlanError
from .reports import insert_timings
from .repository import read_config, repository_of
from .slim import slim_site
from .timetables import write_timetables
from .topics import TopicError, insert_topics

BUILT = Path("_build/html")
"""Where the site is, from the root of the repository."""

SLIDES = BUILT / "slides"
"""Where the slides are built, beside the pages of the site."""

IGNORED = shutil.ignore_patterns(".*", "__pycache__", "*.tmp")


class SiteError(Exception):
    """The site can't be built; the message says what is missing or what Jupyter Book complained about."""


def build_site(root: Path, executed: Path = Path("_build/notebooks")) -> Path:
    """Build the site into ``_build/html``; the one that is there stays until the new one is complete.

    Slides that were built stay.

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
    site = stage / "_build" / "html"
    _add_clean_notebooks(root, site)
    slim_site(site)
    if (root / SLIDES).is_dir():
        (root / SLIDES).replace(site / SLIDES.name)
    shutil.rmtree(root / BUILT, ignore_errors=True)
    site.replace(root / BUILT)
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
        SiteError: a page of the table of contents is missing, or was not executed as it is now.
    """
    pages = page_files(root)
    shutil.rmtree(stage, ignore_errors=True)
    for page in pages:
        folder = page.relative_to(root).parts[0] if page.parent != root else ""
        if folder and not (stage / folder).exists():
            shutil.copytree(root / folder, stage / folder, ignore=_without_notebooks)
        source = executed / page.name if page.suffix == ".ipynb" else page
        if source != page:
            check_executed(page, source)
        target = stage / page.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    shutil.copy2(root / "_toc.yml", stage / "_toc.yml")
    (stage / "_config.yml").write_text(yaml.safe_dump(site_config(read_config(root))), encoding="utf-8")
    insert_timings(stage)
    try:
        insert_topics(root, stage)
        write_timetables(stage)
    except (TopicError, PlanError) as error:
        raise SiteError(str(error)) from error


def check_executed(page: Path, executed: Path) -> None:
    """Refuse outputs that are not those of a page as it is now.

    Args:
        page: the notebook.
        executed: the same, with its outputs.

    Raises:
        SiteError: it was not executed, its code is another one now, or its last run failed.
    """
    name, failed = f"{page.parent.name}/{page.name}", executed.with_suffix(".failed.ipynb")
    if failed.exists():
        raise SiteError(f"{name}: its last run failed, see {failed}; mend it and run make book")
    if not executed.exists():
        raise SiteError(f"{name}: not executed; run book run {page.stem}")
    try:
        same = code_of(read_notebook(page)) == code_of(read_notebook(executed))
    except PageError as error:
        raise SiteError(str(error)) from error
    if not same:
        raise SiteError(f"{name}: its code was changed after it was executed; run make book")


def site_config(config: dict[str, Any]) -> dict[str, Any]:
    """Settings of Jupyter Book: those of the book, and the addresses that follow from its repository.

    Args:
        config: content of ``_config.yml``.

    Returns:
        The settings with the site's address filled in for canonical links, social cards and the page that tells of a
        page not found. That page is shown at any depth, so it needs the site's path before every link.
    """
    config = copy.deepcopy(config)
    here = repository_of(config)
    config.setdefault("html", {})["baseurl"] = here.site
    sphinx = config.setdefault("sphinx", {}).setdefault("config", {})
    sphinx |= {"ogp_site_url": here.site, "ogp_site_name": config["title"], "notfound_urls_prefix": here.prefix}
    if "notfound_context" in sphinx:
        sphinx["notfound_context"]["body"] = sphinx["notfound_context"]["body"].replace("SITE/", here.prefix)
    return config


def page_files(root: Path) -> list[Path]:
    """Sources of the book's pages, in the order of its contents.

    Args:
        root: folder of the book.

    Raises:
        SiteError: there are no contents, or they list a page that does not exist.
    """
    return [_page_file(root, name) for name in pages_of(root / "_toc.yml")]


def _add_clean_notebooks(root: Path, site: Path) -> None:
    """The notebooks as they are tracked, for download from their pages."""
    for page in page_files(root):
        if page.suffix == ".ipynb":
            target = site / CLEAN / page.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(page, target)


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
