"""Build the site from the executed pages: same paths as the tracked sources, nothing executed, warnings are errors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from sphinx_external_toc.parsing import parse_toc_yaml

from .extension import CLEAN
from .house import insert_house
from .keys import code_of
from .optimise_assets import optimise_assets
from .pages import PageError, read_notebook
from .plans import PlanError
from .reports import insert_timings
from .repository import read_config, repository_of
from .timetables import write_timetables
from .topics import TopicError, insert_topics

BUILT = Path("_build/html")
"""Where the site is, from the root of the repository."""
SLIDES = BUILT / "slides"
"""Where the slides are built, beside the pages of the site."""
QUIET = os.environ | {"PYTHONWARNINGS": "ignore", "NO_COLOR": "1"}
"""Environment of Sphinx, so that it prints nothing but what it complains of."""


class SiteError(Exception):
    """The site can't be built; the message says what is missing or what Jupyter Book complained about."""


def build_site(root: Path, executed: Path = Path("_build/notebooks")) -> Path:
    """Build the site into ``_build/html``; the one that is there stays until the new one is complete.

    Slides that were built stay. The book's sources are gathered in ``_build/site`` with the tree of the repository,
    where each notebook is replaced by its executed form. So links to the source (Colab) lead to tracked paths.

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
    for page in page_files(root):
        if page.suffix == ".ipynb":  # as it is tracked, for download from its page
            _copy(page, site / CLEAN / page.relative_to(root))
    optimise_assets(site)
    if (root / SLIDES).is_dir():
        (root / SLIDES).replace(site / SLIDES.name)
    shutil.rmtree(root / BUILT, ignore_errors=True)
    site.replace(root / BUILT)
    return root / BUILT


def find_built(root: Path, part: Path = BUILT) -> Path:
    """Folder of the built site, or of the slides in it.

    Raises:
        SiteError: it was not built.
    """
    if not (root / part).is_dir():
        raise SiteError(f"{root / part}: not built; run book {'slides' if part == SLIDES else 'site'}")
    return (root / part).resolve()


def pages_of(root: Path) -> list[str]:
    """Pages that a book's ``_toc.yml`` lists, in its order, as paths without suffix.

    Raises:
        SiteError: the file is missing.
    """
    if not (root / "_toc.yml").exists():
        raise SiteError(f"{root / '_toc.yml'}: missing; give the folder of the book")
    return list(parse_toc_yaml(root / "_toc.yml"))


def page_files(root: Path) -> list[Path]:
    """Sources of the book's pages, in the order of its contents.

    Raises:
        SiteError: there are no contents, or they list a page that does not exist.
    """
    found = []
    for name in pages_of(root):
        files = [path for suffix in (".ipynb", ".md") if (path := root / f"{name}{suffix}").is_file()]
        if not files:
            raise SiteError(f"_toc.yml: lists {name}, and there is no such notebook or Markdown file")
        found.append(files[0])
    return found


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
    shutil.copytree(root / "book", stage / "book", ignore=shutil.ignore_patterns(".*", "*.tmp"))
    for page in pages:
        if page.suffix == ".ipynb":
            check_executed(page, executed / page.name)
        _copy(executed / page.name if page.suffix == ".ipynb" else page, stage / page.relative_to(root))
    _copy(root / "_toc.yml", stage / "_toc.yml")
    (stage / "_config.yml").write_text(yaml.safe_dump(site_config(read_config(root))), encoding="utf-8")
    insert_timings(stage)
    insert_house(root, stage)
    try:
        insert_topics(root, stage)
        write_timetables(stage)
    except (TopicError, PlanError) as error:
        raise SiteError(str(error)) from error


def check_executed(page: Path, executed: Path) -> None:
    """Refuse outputs in ``executed`` that are not those of a page as it is now.

    Raises:
        SiteError: it was not executed, its code has changed since, or its last run failed.
    """
    name, failed = f"{page.parent.name}/{page.name}", executed.with_suffix(".failed.ipynb")
    if failed.exists():
        raise SiteError(f"{name}: its last run failed, see {failed}; fix it and run make book")
    if not executed.exists():
        raise SiteError(f"{name}: not executed; run book run {page.stem}")
    try:
        same = code_of(read_notebook(page)) == code_of(read_notebook(executed))
    except PageError as error:
        raise SiteError(str(error)) from error
    if not same:
        raise SiteError(f"{name}: its code was changed after it was executed; run make book")


def site_config(config: dict[str, Any]) -> dict[str, Any]:
    """Content of ``_config.yml`` with the site's address filled in, for canonical links, social cards and ``404.html``.

    That page is shown at any depth, so it needs the site's path before every link.
    """
    here = repository_of(config)
    config.setdefault("html", {})["baseurl"] = here.site
    sphinx = config.setdefault("sphinx", {}).setdefault("config", {})
    sphinx |= {"ogp_site_url": here.site, "ogp_site_name": config["title"], "notfound_urls_prefix": here.prefix}
    if "notfound_context" in sphinx:
        sphinx["notfound_context"]["body"] = sphinx["notfound_context"]["body"].replace("SITE/", here.prefix)
    return config


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def _jupyter_book(stage: Path) -> None:
    """Run Jupyter Book over the gathered sources, from scratch: an old warning must show again."""
    program = Path(sys.executable).with_name("jupyter-book")
    command = [str(program), "build", str(stage), "-W", "-n", "--keep-going", "--all", "-q"]
    done = subprocess.run(command, env=QUIET, capture_output=True, text=True, check=False)
    if done.returncode:
        complaints = [line for line in done.stderr.splitlines() if "WARNING" in line or "ERROR" in line]
        shown = "\n".join(complaints or done.stderr.strip().splitlines()[-15:])
        raise SiteError(f"Jupyter Book failed:\n{shown.replace(f'{stage.resolve()}/', '')}")
