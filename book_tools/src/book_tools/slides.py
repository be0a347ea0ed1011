"""Slide decks: reveal.js presentations that show cells of the executed pages, checked in a real browser."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.async_api import Page

from .browser import HOST, launch, serve
from .site import BUILT, QUIET, SLIDES, SiteError, check_executed, find_built

SOURCES = Path("book/slides")
"""Where the decks are written, from the root: a Markdown file each."""
CELL = re.compile(r"^[`~:]{3,} *\{cell\} +(\S+)", re.MULTILINE)

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
  if (!slide.querySelector('aside.notes')) found.push('has no speaker notes');
  const heading = slide.querySelector('h1, h2, h3');
  return {title: heading ? heading.innerText : '', found, last: Reveal.isLastSlide(),
          links: [...slide.querySelectorAll('a[href^="../"]')].map(a => a.getAttribute('href'))};
}"""
"""What a slide shows, and what of it does not fit."""


def decks(root: Path) -> list[Path]:
    """Sources of the decks, by name."""
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
    shown = {name for deck in decks(root) for name in CELL.findall(deck.read_text(encoding="utf-8"))}
    for page in sorted((root / "notebooks").glob("*.ipynb")):
        if page.stem in shown:
            check_executed(page, root / executed / page.name)
    stage, pages = root / "_build" / "slides", (root / executed).resolve()
    shutil.rmtree(stage, ignore_errors=True)
    shutil.copytree(root / SOURCES, stage / "source")
    command = [sys.executable, "-m", "sphinx", "-b", "revealjs", "-W", "-n", "--keep-going", "-q"]
    command += [
        "-D",
        f"slide_notebooks={pages}",
        "-d",
        str(stage / "doctrees"),
        str(stage / "source"),
        str(stage / "html"),
    ]
    # Commands on slides are those of this environment, and find no settings of the person who builds.
    given = QUIET | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(stage)}
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = done.stderr.strip().replace(f"{(stage / 'source').resolve()}/", "").replace(f"{pages}/", "")
        raise SiteError(f"the slides can't be built:\n{errors}")
    (root / BUILT).mkdir(parents=True, exist_ok=True)
    shutil.rmtree(root / SLIDES, ignore_errors=True)
    (stage / "html").replace(root / SLIDES)
    return root / SLIDES


def check_slides(root: Path, program: str) -> list[str]:
    """Look at every slide in a browser: does all of it fit, did it load, does the speaker have notes?

    Args:
        root: folder of the book, with the decks built.
        program: a Chromium.

    Returns:
        One line a problem: deck, slide, what.

    Raises:
        SiteError: the decks are not built.
    """
    return asyncio.run(_check_decks(find_built(root, SLIDES), [deck.stem for deck in decks(root)], program))


async def _check_decks(folder: Path, names: list[str], program: str) -> list[str]:
    found = []
    async with launch(program) as browser:
        context = await browser.new_context(viewport={"width": 1280, "height": 720})
        await serve(context, folder, f"{HOST}/")
        for name in names:
            page = await context.new_page()
            found += [f"{name}{problem}" for problem in await _check_deck(page, folder, name)]
    return found


async def _check_deck(page: Page, folder: Path, name: str) -> list[str]:
    found: list[str] = []
    page.on("console", lambda message: found.append(f": {message.text}") if message.type == "error" else None)
    page.on("pageerror", lambda error: found.append(f": {error}"))
    await page.goto(f"{HOST}/{name}.html")
    await page.wait_for_function("window.Reveal && Reveal.isReady()")
    number, last = 0, False
    while not last:
        number += 1
        await page.wait_for_timeout(50)
        seen = await page.evaluate(LOOK)
        dead = [to for to in seen["links"] if not (folder / to.partition("#")[0]).is_file()]
        problems = [*seen["found"], *(f"link {to} leads nowhere" for to in dead)]
        found += [f", slide {number} ({seen['title']}): {problem}" for problem in problems]
        last = seen["last"]
        await page.evaluate("Reveal.next()")
    return found
