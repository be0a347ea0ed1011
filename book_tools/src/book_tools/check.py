"""Examine the built site as a reader would meet it: every page, figure and link."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

from .repository import Repository, read_config, repository_of
from .site import BUILT, SiteError, pages_of
from .slim import FIGURE_BYTES

ALT_LENGTH = 20
"""Fewest characters that describe a figure."""

HASHED = re.compile(r"[0-9a-f]{16,}|\.(png|jpe?g|svg|gif|webp)\b", re.IGNORECASE)
"""What an alt text made from a file name looks like."""

SOURCE = re.compile(
    r"https://(?:(?P<kind>colab)\.research\.google\.com/github|github\.com)"
    r"/(?P<slug>[^/]+/[^/]+)/(?:blob|edit|raw)/(?P<branch>[^/]+)/(?P<path>[^?#]+)"
)
"""A link that opens a file of a repository: in Colab, to read or to edit."""

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
        raise SiteError(f"{root / BUILT}: no site there; build it with book site")
    problems = [f"{name}: missing, the search does not work" for name in _missing_search(site)]
    problems += [*_check_figures(site), *_check_redirects(root, site)]
    here, tracked = repository_of(read_config(root)), tracked_files(root)
    for name in pages_of(root / "_toc.yml"):
        page = site / f"{name.removesuffix('.md').removesuffix('.ipynb')}.html"
        if not page.exists():
            problems.append(f"{name}: listed in _toc.yml, not in the site")
            continue
        where = page.relative_to(site).as_posix()
        soup = _read_page(page)
        problems += [f"{where}: {p}" for check in PAGE_CHECKS for p in check(soup, page, site)]
        problems += [f"{where}: {p}" for p in _check_source_links(soup, where, here, tracked)]
    return problems


def tracked_files(root: Path) -> set[str]:
    """Paths of the files that the repository tracks, from its root; all files when it is no repository.

    Args:
        root: root of the repository.
    """
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False)
    if listing.returncode:
        return {p.relative_to(root).as_posix() for p in root.glob("[!._]*/**/*") if p.is_file()}
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
    seen: set[str] = set()
    for image in soup.select("article img"):
        alt = str(image.get("alt", ""))
        if alt in seen:
            yield f"image {image.get('src')} has the alt text of another one, {alt!r}; say what is different"
        seen.add(alt)
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


def _check_source_links(soup: BeautifulSoup, where: str, here: Repository, tracked: set[str]) -> Iterator[str]:
    """Links to the book's own files name the repository that the settings name, and a tracked file.

    The page of a notebook opens that notebook in Colab; the button to edit a page opens that page's source.
    """
    links = [(str(a["href"]), m) for a in soup.select("a[href]") if (m := SOURCE.match(str(a["href"])))]
    own = [f"{where.removesuffix('.html')}{suffix}" for suffix in (".ipynb", ".md")]
    for address, link in links:
        buttons = link["kind"] == "colab" or "/edit/" in address
        if link["slug"] != here.slug and not buttons:
            continue
        kind = "Colab link" if link["kind"] == "colab" else "source link"
        if (link["slug"], link["branch"]) != (here.slug, here.branch):
            yield f"{kind} to {link['slug']}, {link['branch']}; the settings name {here.slug}, {here.branch}"
        elif unquote(link["path"]) not in tracked:
            yield f"{kind} to {link['path']}, which is not tracked"
        elif "/edit/" in address and link["path"] not in own:
            yield f"edit link to {link['path']}, which is another page"
    if own[0] in tracked and own[0] not in [m["path"] for _, m in links if m["kind"] == "colab"]:
        yield f"has no Colab link to {own[0]}"


def _check_figures(site: Path) -> Iterator[str]:
    """No figure is heavy."""
    for path in sorted((site / "_images").glob("*")):
        if path.is_file() and path.stat().st_size > FIGURE_BYTES:
            size = f"{path.stat().st_size / 1000:.0f} kB"
            yield f"_images/{path.name}: {size}, more than {FIGURE_BYTES / 1000:.0f}; draw it with less detail"


def _check_redirects(root: Path, site: Path) -> Iterator[str]:
    """Renamed pages lead to pages that exist."""
    redirects = read_config(root).get("sphinx", {}).get("config", {}).get("redirects") or {}
    for old, new in redirects.items():
        page = site / f"{old}.html"
        if not page.is_file() or not _target(str(new), page, site).is_file():
            yield f"_config.yml: redirect of {old} to {new} leads nowhere"


def external_links(root: Path) -> dict[str, list[str]]:
    """Addresses elsewhere that the built site links to, and the pages that do; the book's own files are left out.

    Args:
        root: folder of ``_toc.yml``, with the site in ``_build/html``.
    """
    site, found = (root / BUILT).resolve(), dict[str, list[str]]()
    slug = repository_of(read_config(root)).slug
    for name in pages_of(root / "_toc.yml"):
        page = site / f"{name.removesuffix('.md').removesuffix('.ipynb')}.html"
        for link in BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").select("article a[href]"):
            address = str(link["href"]).split("#")[0]
            if _is_external(address) and f"/{slug}/" not in address:
                found.setdefault(address, []).append(name)
    return {address: sorted(set(pages)) for address, pages in sorted(found.items())}


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
