"""Examine the built site as a reader would meet it: every page, figure and link."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

from .site import BUILT, SiteError, pages_of

ALT_LENGTH = 20
"""Fewest characters that describe a figure."""

HASHED = re.compile(r"[0-9a-f]{16,}|\.(png|jpe?g|svg|gif|webp)\b", re.IGNORECASE)
"""What an alt text made from a file name looks like."""

COLAB = re.compile(r"https://colab\.research\.google\.com/github/[^/]+/[^/]+/blob/[^/]+/(?P<path>[^?#]+)")

Check = Callable[[BeautifulSoup, Path, Path], Iterator[str]]


def check_site(root: Path) -> list[str]:
    """Problems of the built site, none when it is sound.

    Args:
        root: folder of ``_toc.yml``, with the site in ``_build/html``.

    Returns:
        One line a problem, which names the page.

    Raises:
        SiteError: there is no site.
    """
    _read_page.cache_clear()
    site = (root / BUILT).resolve()
    if not site.is_dir():
        raise SiteError(f"{root / BUILT}: no site there; build it with ml4ops site")
    problems = [f"{name}: missing, the search does not work" for name in _missing_search(site)]
    tracked = tracked_files(root)
    for name in pages_of(root / "_toc.yml"):
        page = site / f"{name.removesuffix('.md').removesuffix('.ipynb')}.html"
        if not page.exists():
            problems.append(f"{name}: listed in _toc.yml, not in the site")
            continue
        where = page.relative_to(site).as_posix()
        soup = _read_page(page)
        problems += [f"{where}: {p}" for check in PAGE_CHECKS for p in check(soup, page, site)]
        problems += [f"{where}: {p}" for p in _check_colab(soup, where, tracked)]
    return problems


def tracked_files(root: Path) -> set[str]:
    """Paths of the files that the repository tracks, from its root; all notebooks there are when it is no repository.

    Args:
        root: root of the repository.
    """
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False)
    if listing.returncode:
        return {p.relative_to(root).as_posix() for p in root.glob("*/*.ipynb")}
    return set(listing.stdout.split("\0"))


@cache
def _read_page(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def _missing_search(site: Path) -> list[str]:
    """Files of the search that are absent or empty."""
    index = site / "searchindex.js"
    sound = index.exists() and "Search.setIndex" in index.read_text(encoding="utf-8")[:100]
    return ([] if sound else ["searchindex.js"]) + ([] if (site / "search.html").exists() else ["search.html"])


def _check_traceback(soup: BeautifulSoup, page: Path, site: Path) -> Iterator[str]:
    """A page that shows an error was published by mistake."""
    if "Traceback (most recent call last)" in soup.get_text() or soup.select(".output.traceback"):
        yield "shows a traceback"


def _check_images(soup: BeautifulSoup, page: Path, site: Path) -> Iterator[str]:
    """Every image is there; every one in the text has words that describe it."""
    for image in soup.find_all("img"):
        source = str(image.get("src", ""))
        if not _is_external(source) and not source.startswith("data:") and not _target(source, page, site).is_file():
            yield f"image {source} is missing"
    for image in soup.select("article img"):
        alt = str(image.get("alt", ""))
        if len(alt) < ALT_LENGTH or HASHED.search(alt):
            yield f"image {image.get('src')} has the alt text {alt!r}; describe what it shows"


def _check_loads(soup: BeautifulSoup, page: Path, site: Path) -> Iterator[str]:
    """Nothing that a page needs comes from another server: it must read the same offline."""
    loads = soup.select("script[src], img[src], iframe[src], link[rel~=stylesheet][href]")
    for address in (str(e.get("src") or e.get("href")) for e in loads):
        if _is_external(address):
            yield f"loads {address} from the network"


def _check_links(soup: BeautifulSoup, page: Path, site: Path) -> Iterator[str]:
    """Links within the site lead to a file, and to a place in it where they name one."""
    for link in soup.select("a[href]"):
        address = str(link["href"])
        if _is_external(address) or address.startswith(("mailto:", "javascript:", "data:")):
            continue
        target = _target(address, page, site)
        fragment = unquote(urlsplit(address).fragment)
        if not target.is_file():
            yield f"link {address} leads nowhere"
        elif fragment and target.suffix == ".html" and not _has_id(_read_page(target), fragment):
            yield f"link {address} leads to a page without that place"


def _check_colab(soup: BeautifulSoup, where: str, tracked: set[str]) -> Iterator[str]:
    """The Colab button of a page made from a notebook opens that notebook; every Colab link opens a tracked file."""
    found = [m["path"] for a in soup.select("a[href]") if (m := COLAB.match(str(a["href"])))]
    yield from (f"Colab link to {path}, which is not tracked" for path in found if unquote(path) not in tracked)
    own = where.removesuffix(".html") + ".ipynb"
    if own in tracked and own not in found:
        yield f"has no Colab link to {own}"


def _has_id(soup: BeautifulSoup, name: str) -> bool:
    return isinstance(soup.find(id=name) or soup.find("a", attrs={"name": name}), Tag)


def _is_external(address: str) -> bool:
    return bool(urlsplit(address).netloc)


def _target(address: str, page: Path, site: Path) -> Path:
    """File of the site that a relative address means."""
    path = unquote(urlsplit(address).path)
    if not path:
        return page
    target = site / path.lstrip("/") if path.startswith("/") else page.parent / path
    return target / "index.html" if target.is_dir() else target.resolve()


PAGE_CHECKS: tuple[Check, ...] = (_check_traceback, _check_images, _check_loads, _check_links)
