"""Look at the built site in a real browser: every page, light and dark, as wide as a phone and as a desktop."""

from __future__ import annotations

import asyncio
import gzip
import os
import re
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    TimeoutError,
    async_playwright,
)

from .probes import FIND_WORDS, KEYBOARD_STEP, MEASURE, RUN_AXE, SHOWN, STOPS_IN_TEXT
from .repository import read_config, repository_of
from .serving import serve_site
from .site import BUILT, SiteError, pages_of

THEMES = ("light", "dark")
WIDTHS = (1280, 390)
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
"""Rules of axe-core whose findings hang on the theme."""

PAGE_BYTES = 600_000
"""Most that a page may weigh without its figures, compressed as servers send it."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SIDE_BY_SIDE = 3
"""Pages looked at a time: while one waits for the browser, another one computes."""

PATIENCE = 120_000
"""Milliseconds to wait for a page on a busy machine."""

SEARCH_TIME = 15_000
"""Milliseconds within which the search must find a page."""

SETTLE = 400
"""Milliseconds that a page takes to adapt to another width or theme."""

MOST_STEPS = 80
"""Steps by keyboard within which one reaches the text."""

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ARGUMENTS += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]  # no other server is ever asked
NOT_FOUND = "no/such/page.html"
"""Any address that the site does not have, in a folder that it does not have."""


def find_browser() -> str | None:
    """Program of a browser: ``ML4OPS_BROWSER``, else the first one found; None where there is none.

    Raises:
        SiteError: ``ML4OPS_BROWSER`` names no program.
    """
    if named := os.environ.get("ML4OPS_BROWSER"):
        if found := shutil.which(named):
            return found
        raise SiteError(f"ML4OPS_BROWSER is {named}, which is no program; name a Chromium or unset it")
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def check_in_browser(root: Path, program: str) -> list[str]:
    """Problems that a reader would meet, none when the site is sound.

    Args:
        root: folder of ``_toc.yml``, with the site in ``_build/html``.
        program: a Chromium.

    Returns:
        One line a problem: page, theme, width, what.

    Raises:
        SiteError: there is no site.
    """
    site = (root / BUILT).resolve()
    if not site.is_dir():
        raise SiteError(f"{root / BUILT}: no site there; build it with book site")
    pages = [f"{name.removesuffix('.md').removesuffix('.ipynb')}.html" for name in pages_of(root / "_toc.yml")]
    prefix = repository_of(read_config(root)).prefix
    with serve_site(site, prefix) as address:
        found = asyncio.run(_check_pages(program, address + prefix, site, [*pages, "search.html", NOT_FOUND]))
    return sorted(set(found))


async def _check_pages(program: str, address: str, site: Path, pages: list[str]) -> list[str]:
    """Every page, several at a time."""
    turns = asyncio.Semaphore(SIDE_BY_SIDE)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        visits = [Visit(address, site, page, turns) for page in pages]
        try:
            await asyncio.gather(*(visit.make(browser) for visit in visits))
        finally:
            await browser.close()
    return [problem for visit in visits for problem in visit.problems]


@dataclass
class Visit:
    """One page, at every width and in every theme.

    Attributes:
        address: where the site is served.
        site: its files.
        page: path of the page.
        turns: how many visits may go on at a time.
        problems: what was found.
    """

    address: str
    site: Path
    page: str
    turns: asyncio.Semaphore
    problems: list[str] = field(default_factory=list)
    _loaded: dict[str, int] = field(default_factory=dict)
    _width: int = WIDTHS[0]
    _theme: str = THEMES[0]

    def report(self, what: str) -> None:
        """Note a problem of the page as it is shown now."""
        self.problems.append(f"{self.page}, {self._theme}, {self._width} px: {what}")

    async def make(self, browser: Browser) -> None:
        """Look at the page in a fresh browser profile, so that it is met for the first time."""
        async with self.turns, self._open(browser) as page:
            await page.goto(self.address + self.page, wait_until="load")
            await page.wait_for_function(
                "!window.MathJax?.startup?.promise || MathJax.startup.promise.then(() => true)"
            )
            await page.evaluate(AXE_SCRIPT)
            for self._width in WIDTHS:
                for self._theme in THEMES:
                    await self._set(page)
                    await self._measure(page)
            self._width, self._theme = WIDTHS[0], THEMES[0]
            await self._set(page)
            self._weigh()
            await self._walk(page)
            if self.page not in ("search.html", NOT_FOUND):
                await self._search(page)

    async def _set(self, page: Page) -> None:
        """Bring a page to the width and theme of now, as a reader's window and system would."""
        await page.set_viewport_size({"width": self._width, "height": 900})
        await page.emulate_media(color_scheme="dark" if self._theme == "dark" else "light")
        await page.wait_for_function(SHOWN, arg=[self._width, self._theme])
        await page.wait_for_timeout(SETTLE)

    @asynccontextmanager
    async def _open(self, browser: Browser) -> AsyncIterator[Page]:
        context: BrowserContext = await browser.new_context(
            color_scheme="light",
            reduced_motion="reduce",
            viewport={"width": self._width, "height": 900},
        )
        context.set_default_timeout(PATIENCE)
        page = await context.new_page()
        page.on("request", self._see)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.report(f"error in a script: {error.message.splitlines()[0]}"))
        page.on("requestfailed", self._miss)
        page.on("response", self._note)
        try:
            yield page
        finally:
            await context.close()

    def _see(self, request: Request) -> None:
        if urlsplit(request.url).scheme not in ("data", "blob") and not request.url.startswith(self.address):
            self.report(f"asks another server: {request.url[:120]}")

    def _hear(self, message: ConsoleMessage) -> None:
        # A resource that did not come is reported as such, with its address.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.report(f"error in the console: {message.text.splitlines()[0][:200]}")

    def _miss(self, request: Request) -> None:
        if request.url.startswith(self.address) and request.failure != "net::ERR_ABORTED":
            self.report(f"request failed: {self._path(request.url)} ({request.failure})")

    def _note(self, response: Response) -> None:
        """Remember what was loaded; the page that tells of a page not found comes with the status 404, as it should."""
        path = self._path(response.url)
        if response.status >= 400 and path != NOT_FOUND:
            self.report(f"request failed: {path} ({response.status})")
        elif response.request.resource_type not in ("image", "media") and response.frame.parent_frame is None:
            self._loaded[path] = packed_size(self.site / ("404.html" if path == NOT_FOUND else path))

    def _path(self, url: str) -> str:
        return unquote(urlsplit(url)._replace(query="", fragment="").geturl().removeprefix(self.address))

    def _weigh(self) -> None:
        """The page with its styles, scripts and fonts."""
        if (total := sum(self._loaded.values())) > PAGE_BYTES:
            heaviest = sorted(self._loaded, key=lambda path: -self._loaded[path])[:3]
            parts = ", ".join(f"{Path(p).name} {self._loaded[p] / 1000:.0f}" for p in heaviest)
            self.report(f"weighs {total / 1000:.0f} kB, more than {PAGE_BYTES / 1000:.0f} ({parts})")

    async def _measure(self, page: Page) -> None:
        """What can be read from the page as it stands, and what axe-core says of it."""
        for problem in await page.evaluate(MEASURE):
            self.report(problem)
        rules = None if self._theme == THEMES[0] else COLOUR_RULES  # the others see the same in each theme
        for finding in await page.evaluate(RUN_AXE, rules):
            self.report(finding)

    async def _walk(self, page: Page) -> None:
        """Go through the page by keyboard, as far as the text."""
        wanted = {"skip link", "search", "navigation"} | ({"text"} if await page.evaluate(STOPS_IN_TEXT) else set())
        met: list[str] = []
        while not wanted <= set(met) and len(met) < MOST_STEPS:
            await page.keyboard.press("Tab")
            step = await page.evaluate(KEYBOARD_STEP)
            if not step["seen"]:
                self.report(f"keyboard: one can't see that {step['name']} has the focus")
            met.append(step["place"])
        if met[0] != "skip link":
            self.report("keyboard: the first stop is not the link that skips to the text")
        for place in sorted(wanted - set(met)):
            self.report(f"keyboard: {len(met)} steps do not reach the {place}")

    async def _search(self, page: Page) -> None:
        """Search for the page by a word that it uses often."""
        if not (word := own_word(await page.evaluate(FIND_WORDS))):
            return
        await page.goto(f"{self.address}search.html?q={quote(word)}", wait_until="load")
        found = f'#search-results a[href*="{Path(self.page).name}"]'
        try:
            await page.wait_for_selector(found, state="attached", timeout=SEARCH_TIME)
        except TimeoutError:
            self.report(f"the search for {word!r}, a word of the page, does not find it")


def own_word(words: Iterable[str]) -> str:
    """The word of at least five letters that is used most often, the longest of several; "" where there is none.

    Args:
        words: words of a page.

    >>> own_word(["the", "flood", "flooded", "flood", "water"])
    'flood'
    """
    counts = Counter(w for w in words if re.fullmatch(r"[a-z]{5,}", w))
    return max(counts, key=lambda w: (counts[w], len(w), w), default="")


@cache
def packed_size(path: Path) -> int:
    """Bytes of a file as servers send it: text compressed, fonts as they are.

    Args:
        path: the file; one that does not exist weighs nothing.
    """
    if not path.is_file():
        return 0
    content = path.read_bytes()
    return len(content) if path.suffix in (".woff", ".woff2") else len(gzip.compress(content, mtime=0))
