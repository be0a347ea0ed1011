"""Look at the built site in a real browser: every page, light and dark, as wide as a phone and as a desktop."""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
from collections.abc import AsyncIterator
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
    Route,
    TimeoutError,
    async_playwright,
)

from .probes import KEYBOARD_STEP, MEASURE, RUN_AXE, SHOWN, STOPS_IN_TEXT
from .repository import read_config, repository_of
from .site import SiteError, find_built, pages_of

THEMES = ("light", "dark")
WIDTHS = (1280, 390)
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
"""Rules of axe-core whose findings depend on the theme."""
PAGE_BYTES = 600_000
"""Most that a page may weigh without its figures, compressed as servers send it."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PARALLEL = 3
"""Pages looked at a time: while one waits for the browser, another one computes."""
PATIENCE, SEARCH_TIME, SETTLE_TIME = 120_000, 15_000, 400
"""Milliseconds to wait for a page on a busy machine, for a result of the search, for a change of width or theme."""
MOST_STEPS = 80
"""Steps by keyboard within which one reaches the text."""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND",
]
HOST = "http://localhost"
"""Where the pages seem to come from: scripts may do there what they may do on a host with https."""
NOT_FOUND = "no/such/page.html"
"""Any address that the site does not have, in a folder that it does not have."""


def find_browser() -> str | None:
    """Program of a browser: ``ML4OPS_BROWSER``, else the first one found; None where there is none.

    Raises:
        SiteError: ``ML4OPS_BROWSER`` does not name a program.
    """
    if named := os.environ.get("ML4OPS_BROWSER"):
        if found := shutil.which(named):
            return found
        raise SiteError(f"ML4OPS_BROWSER is {named}, which is not a program; name a Chromium or unset it")
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
    site, address = find_built(root), HOST + repository_of(read_config(root)).prefix
    paths = [*(f"{name}.html" for name in pages_of(root)), "search.html", NOT_FOUND]
    visits = [Visit(site, address, path) for path in paths]
    asyncio.run(_make(visits, program))
    return sorted({problem for visit in visits for problem in visit.problems})


async def _make(visits: list[Visit], program: str) -> None:
    """Make the visits, several at a time."""
    turns = asyncio.Semaphore(PARALLEL)

    async def make(visit: Visit) -> None:
        async with turns:
            await visit.make(browser)

    async with launch(program) as browser:
        await asyncio.gather(*map(make, visits))


@asynccontextmanager
async def launch(program: str) -> AsyncIterator[Browser]:
    """A running browser that reaches no network."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


async def serve(context: BrowserContext, folder: Path, address: str) -> None:
    """Answer a browser's requests from a folder as the site's host does: with ``404.html`` for what is not there.

    Args:
        context: the browser's profile.
        folder: where the files are.
        address: where they seem to come from, with a slash at the end; requests elsewhere fail.
    """

    async def answer(route: Route) -> None:
        if not route.request.url.startswith(address):
            await route.abort()
            return
        file = folder / unquote(urlsplit(route.request.url.removeprefix(address)).path)
        if file.is_file():
            await route.fulfill(path=file)
        else:
            page = folder / "404.html"
            body = page.read_text(encoding="utf-8") if page.is_file() else ""
            await route.fulfill(status=404, body=body, content_type="text/html; charset=utf-8")

    await context.route("**/*", answer)


@dataclass
class Visit:
    """One page, at every width and in every theme.

    Attributes:
        site: files of the site.
        address: where it seems to come from.
        path: of the page.
        problems: what was found.
    """

    site: Path
    address: str
    path: str
    problems: list[str] = field(default_factory=list)
    _loaded: dict[str, int] = field(default_factory=dict)
    _width: int = WIDTHS[0]
    _theme: str = THEMES[0]

    def report(self, what: str) -> None:
        """Note a problem of the page as it is shown now."""
        self.problems.append(f"{self.path}, {self._theme}, {self._width} px: {what}")

    async def make(self, browser: Browser) -> None:
        """Look at the page in a fresh browser profile, as at a first visit."""
        async with self._open(browser) as page:
            await page.goto(self.address + self.path, wait_until="load")
            await page.wait_for_function(
                "!window.MathJax?.startup?.promise || MathJax.startup.promise.then(() => true)"
            )
            await page.evaluate(AXE_SCRIPT)
            for width in WIDTHS:
                for theme in THEMES:
                    await self._show(page, width, theme)
                    # In the second theme only colours can be different.
                    rules = None if theme == THEMES[0] else COLOUR_RULES
                    for problem in [*await page.evaluate(MEASURE), *await page.evaluate(RUN_AXE, rules)]:
                        self.report(problem)
            await self._show(page, WIDTHS[0], THEMES[0])
            self._weigh()
            await self._walk(page)
            if self.path not in ("search.html", NOT_FOUND):
                await self._search(page)

    @asynccontextmanager
    async def _open(self, browser: Browser) -> AsyncIterator[Page]:
        context = await browser.new_context(color_scheme="light", reduced_motion="reduce")
        context.set_default_timeout(PATIENCE)
        await serve(context, self.site, self.address)
        page = await context.new_page()
        await page.set_viewport_size({"width": self._width, "height": 900})
        page.on("request", self._on_request)
        page.on("response", self._on_response)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.report(f"error in a script: {error.message.splitlines()[0]}"))
        try:
            yield page
        finally:
            await context.close()

    async def _show(self, page: Page, width: int, theme: str) -> None:
        """Bring the page to a width and a theme, as a reader's window and system would."""
        self._width, self._theme = width, theme
        await page.set_viewport_size({"width": width, "height": 900})
        await page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        await page.wait_for_function(SHOWN, arg=[width, theme])
        await page.wait_for_timeout(SETTLE_TIME)

    def _on_request(self, request: Request) -> None:
        if urlsplit(request.url).scheme not in ("data", "blob") and not request.url.startswith(self.address):
            self.report(f"asks another server: {request.url[:120]}")

    def _on_response(self, response: Response) -> None:
        path = unquote(urlsplit(response.url.removeprefix(self.address)).path)
        if response.status >= 400 and path != NOT_FOUND:
            self.report(f"request failed: {path} ({response.status})")
        elif response.request.resource_type not in ("image", "media") and response.frame.parent_frame is None:
            self._loaded[path] = packed_size(self.site / ("404.html" if path == NOT_FOUND else path))

    def _on_console(self, message: ConsoleMessage) -> None:
        # A resource that did not come is reported as such, with its address.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.report(f"error in the console: {message.text.splitlines()[0][:200]}")

    def _weigh(self) -> None:
        """The page with its styles, scripts and fonts."""
        if (total := sum(self._loaded.values())) > PAGE_BYTES:
            heaviest = sorted(self._loaded, key=lambda path: -self._loaded[path])[:3]
            parts = ", ".join(f"{Path(p).name} {self._loaded[p] / 1000:.0f}" for p in heaviest)
            self.report(f"weighs {total / 1000:.0f} kB, more than {PAGE_BYTES / 1000:.0f} ({parts})")

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
        """Search for the page by its title."""
        title = await page.locator("article.bd-article h1").first.evaluate("h => h.firstChild.textContent")
        await page.goto(f"{self.address}search.html?q={quote(title)}", wait_until="load")
        found = f'#search-results a[href*="{Path(self.path).name}"]'
        try:
            await page.wait_for_selector(found, state="attached", timeout=SEARCH_TIME)
        except TimeoutError:
            self.report(f"the search for its title, {title!r}, does not find it")


@cache
def packed_size(path: Path) -> int:
    """Bytes of a file as servers send it: text compressed, fonts as they are; 0 where there is no such file."""
    if not path.is_file():
        return 0
    content = path.read_bytes()
    return len(content) if path.suffix in (".woff", ".woff2") else len(gzip.compress(content, mtime=0))
