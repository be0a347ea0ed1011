"""Slide decks: reveal.js presentations that show cells of the executed pages, checked in a real browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from .browser import ARGUMENTS
from .serving import serve_site
from .site import BUILT, SLIDES, SiteError, check_executed

SOURCES = Path("book/slides")
"""Where the decks are written, from the root: a Markdown file each."""
CELL = re.compile(r"^[`~:]{3,} *\{cell\} +(\S+)", re.MULTILINE)
SIZE = {"width": 1280, "height": 720}

LOOK = """() => {
  const slide = Reveal.getCurrentSlide(), scale = Reveal.getScale(), {width, height} = Reveal.getConfig();
  const area = slide.getBoundingClientRect(), found = [];
  for (const part of slide.querySelectorAll('h1, h2, h3, p, li, img, pre, table, aside, div, svg')) {
    if (part.closest('aside.notes') || !part.offsetParent) continue;
    const box = part.getBoundingClientRect(), name = part.tagName.toLowerCase();
    const text = (part.alt || part.innerText || '').trim().slice(0, 40);
    if (box.bottom - area.top > height * scale + 1) found.push(`${name} "${text}" reaches below the slide`);
    if (box.right - area.left > width * scale + 1) found.push(`${name} "${text}" reaches beyond the right edge`);
    if (part.scrollWidth > part.clientWidth + 1 && ['pre', 'div', 'table'].includes(name) && part.clientWidth)
      found.push(`${name} "${text}" is wider than its place`);
    if (part.scrollHeight > part.clientHeight + 3 && name === 'pre') found.push(`${name} "${text}" is cut off`);
    if (name === 'img' && !(part.complete && part.naturalWidth)) found.push(`image "${text}" did not load`);
    if (name === 'img' && box.width < 0.15 * width * scale) found.push(`image "${text}" is too small to see`);
  }
  const heading = slide.querySelector('h1, h2, h3');
  return {title: heading ? heading.innerText : '', notes: !!slide.querySelector('aside.notes'), found,
          links: [...slide.querySelectorAll('a[href^="../"]')].map(a => a.getAttribute('href')),
          last: Reveal.isLastSlide()};
}"""
"""What a slide shows, and what of it does not fit."""


def decks(root: Path) -> list[Path]:
    """Sources of the decks, by name.

    Args:
        root: folder of the book.
    """
    return sorted((root / SOURCES).glob("*.md"))


def build_slides(root: Path, executed: Path = Path("_build/notebooks")) -> Path:
    """Build the decks into the site; those that are there stay until the new ones are complete.

    Args:
        root: folder of the book.
        executed: folder of the executed notebooks, from the root.

    Returns:
        The folder of the decks.

    Raises:
        SiteError: a deck asks for a cell that is not there or for a page that was changed after it was executed, or
            Sphinx complained of something else.
    """
    for page in _pages_shown(root):
        check_executed(page, root / executed / page.name)
    stage = root / "_build" / "slides"
    shutil.rmtree(stage, ignore_errors=True)
    shutil.copytree(root / SOURCES, stage / "source")
    pages = (root / executed).resolve()
    command = [sys.executable, "-m", "sphinx", "-b", "revealjs", "-W", "-n", "--keep-going", "-q"]
    command += ["-D", f"slide_notebooks={pages}", str(stage / "source"), str(stage / "html")]
    environment = os.environ | {"PYTHONWARNINGS": "ignore", "NO_COLOR": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().replace(f"{(stage / 'source').resolve()}/", "").replace(f"{pages}/", "")
        raise SiteError(f"the slides can't be built:\n{said}")
    shutil.rmtree(stage / "html" / ".doctrees", ignore_errors=True)
    (root / BUILT).mkdir(parents=True, exist_ok=True)
    shutil.rmtree(root / SLIDES, ignore_errors=True)
    (stage / "html").replace(root / SLIDES)
    return root / SLIDES


def _pages_shown(root: Path) -> list[Path]:
    """The notebooks of which the decks show cells."""
    names = {name for deck in decks(root) for name in CELL.findall(deck.read_text(encoding="utf-8"))}
    return [page for page in sorted((root / "notebooks").glob("*.ipynb")) if page.stem in names]


def check_slides(root: Path, program: str, pictures: Path | None = None) -> list[str]:
    """Look at every slide in a browser: does all of it fit, did it load, does the speaker have notes?

    Args:
        root: folder of the book, with the decks built.
        program: a Chromium.
        pictures: folder for a picture of each slide; none is kept by default.

    Returns:
        One line a problem: deck, slide, what.

    Raises:
        SiteError: the decks are not built.
    """
    folder = root / SLIDES
    if not folder.is_dir():
        raise SiteError(f"{SLIDES}: no slides there; build them with book slides")
    with serve_site(folder, "/") as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]
        page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
        found = [p for deck in decks(root) for p in _check_deck(page, address, folder, deck.stem, pictures)]
        browser.close()
    return found


def _check_deck(page: Page, address: str, folder: Path, name: str, pictures: Path | None) -> Iterator[str]:
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("requestfailed", lambda request: told.append(f"{request.url.removeprefix(address)} did not load"))
    page.goto(f"{address}/{name}.html")
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    number, last = 0, False
    while not last:
        number += 1
        page.wait_for_timeout(50)
        seen = page.evaluate(LOOK)
        last = seen["last"]
        if pictures:
            pictures.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=pictures / f"{name}-{number:02d}.png")
        missing = [] if seen["notes"] else ["has no speaker notes"]
        missing += [f"link {to} leads nowhere" for to in seen["links"] if not (folder / to.partition("#")[0]).is_file()]
        yield from (f"{name}, slide {number} ({seen['title']}): {what}" for what in [*seen["found"], *missing])
        page.evaluate("Reveal.next()")
    yield from (f"{name}: {what}" for what in told)
