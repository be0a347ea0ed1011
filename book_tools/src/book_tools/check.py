"""Examine the files of the built site: every page, figure and link. What a browser finds is in ``browser``."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

from .optimise_assets import FIGURE_BYTES
from .repository import Repository, read_config, repository_of
from .site import find_built, pages_of

ALT_LENGTH = 20
"""Fewest characters that describe a figure."""
HASHED = re.compile(r"[0-9a-f]{16,}|\.(png|jpe?g|svg|gif|webp)\b", re.IGNORECASE)
"""What an alt text made from a file name looks like."""
SOURCE = re.compile(
    r"https://(?:(?P<kind>colab)\.research\.google\.com/github|github\.com)"
    r"/(?P<slug>[^/]+/[^/]+)/(?:blob|edit|raw)/(?P<branch>[^/]+)/(?P<path>[^?#]+)"
)
"""A link that opens a file of a repository: in Colab, to read or to edit."""


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
    site, here, tracked = find_built(root), repository_of(read_config(root)), tracked_files(root)
    problems = [*_check_figures(site), *_check_redirects(root, site)]
    for name in pages_of(root):
        page = site / f"{name}.html"
        if not page.exists():
            problems.append(f"{name}: listed in _toc.yml, not in the site")
            continue
        soup = _read_page(page)
        found = [*_check_images(soup), *_check_links(soup, page, site), *_check_source_links(soup, name, here, tracked)]
        if "Traceback (most recent call last)" in soup.get_text() or soup.select(".output.traceback"):
            found.append("shows a traceback")
        problems += [f"{name}.html: {problem}" for problem in found]
    return problems


def tracked_files(root: Path) -> set[str]:
    """Paths of the files that the repository tracks, from its root; all files when it is not a repository."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=False)
    if listing.returncode:
        return {p.relative_to(root).as_posix() for p in root.glob("[!._]*/**/*") if p.is_file()}
    return set(listing.stdout.split("\0"))


@cache
def _read_page(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def _check_images(soup: BeautifulSoup) -> Iterator[str]:
    """Every image in the text has words of its own that describe it."""
    seen: set[str] = set()
    for image in soup.select("article img"):
        alt = str(image.get("alt", ""))
        if alt in seen:
            yield f"image {image.get('src')} has the alt text of another one, {alt!r}; say what is different"
        seen.add(alt)
        if len(alt) < ALT_LENGTH or HASHED.search(alt):
            yield f"image {image.get('src')} has the alt text {alt!r}; describe what it shows"


def _check_links(soup: BeautifulSoup, page: Path, site: Path) -> Iterator[str]:
    """Links and images lead to a file of the site, and to a place in it where they name one; all else loads offline."""
    for element in soup.select("a[href], script[src], img[src], iframe[src], link[rel~=stylesheet][href]"):
        address = str(element.get("href") or element.get("src"))
        parts = urlsplit(address)
        if parts.netloc and element.name != "a":
            yield f"loads {address} from the network"
        if parts.netloc or parts.scheme:
            continue
        target = _target(address, page, site)
        if not target.is_file():
            yield f"{'image' if element.name == 'img' else 'link'} {address} leads nowhere"
        elif parts.fragment and target.suffix == ".html":
            there, place = _read_page(target), unquote(parts.fragment)
            if not (there.find(id=place) or there.find("a", attrs={"name": place})):
                yield f"link {address} leads to a page without that place"


def _check_source_links(soup: BeautifulSoup, name: str, here: Repository, tracked: set[str]) -> Iterator[str]:
    """Links to the book's own files name the repository that the settings name, and a tracked file.

    The page of a notebook opens that notebook in Colab; the button to edit a page opens that page's source.
    """
    links = [(str(a["href"]), m) for a in soup.select("a[href]") if (m := SOURCE.match(str(a["href"])))]
    own = [f"{name}.ipynb", f"{name}.md"]
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
        if (size := path.stat().st_size) > FIGURE_BYTES:
            limit = f"{size / 1000:.0f} kB, more than {FIGURE_BYTES / 1000:.0f}"
            yield f"_images/{path.name}: {limit}; draw it with less detail"


def _check_redirects(root: Path, site: Path) -> Iterator[str]:
    """Renamed pages lead to pages that exist."""
    redirects = read_config(root).get("sphinx", {}).get("config", {}).get("redirects") or {}
    for old, new in redirects.items():
        page = site / f"{old}.html"
        if not page.is_file() or not _target(str(new), page, site).is_file():
            yield f"_config.yml: redirect of {old} to {new} leads nowhere"


def _target(address: str, page: Path, site: Path) -> Path:
    """File of the site that a relative address means."""
    path = unquote(urlsplit(address).path)
    if not path:
        return page
    target = site / path.lstrip("/") if path.startswith("/") else page.parent / path
    return target / "index.html" if target.is_dir() else target.resolve()
