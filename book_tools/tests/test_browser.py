"""The site in a real browser: a sound page passes, and each problem of a page is reported."""

import base64
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from book_tools.site import SiteError
from sites import page, write_site

from book_tools import browser

PROGRAM = browser.find_browser()
needs_browser = pytest.mark.skipif(PROGRAM is None, reason="no browser here: install Chromium or set ML4OPS_BROWSER")
NOISE = base64.b64encode(random.Random(0).randbytes(700_000)).decode()
SOUND = page('<p>A sentence.</p><img src="line.svg" alt="A line that rises from left to right.">')
TRAP = "<script>document.querySelector('article a').onfocus = () => document.querySelector('button').focus()</script>"
NIGHT = "<style>@media (prefers-color-scheme: dark) { p { color: #333; background: #000 } }</style>"
BROKEN = {
    "image": (page('<img src="gone.png" alt="A figure that is not there.">'), "request failed: gone.png (404)"),
    "damaged": (page('<img src="search.html" alt="A figure that is no figure.">'), "image does not load: search.html"),
    "script": (page("<script>throw new Error('no water')</script>"), "error in a script: no water"),
    "console": (page("<script>console.error('bad mode')</script>"), "error in the console: bad mode"),
    "wide": (page('<p id="broad" style="width: 2000px">wide</p>'), "scrolls sideways by"),
    "faint": (page('<p style="color: #ccc; background: #fff">faint</p>'), "color-contrast (serious), 1 of them"),
    "night": (page(NIGHT), "night.html, dark, 390 px: color-contrast (serious), 2 of them"),
    "nameless": (page("<button></button>"), "button-name (critical), 1 of them, the first"),
    "away": (page('<script src="https://cdn.example/a.js"></script>'), "asks another server: https://cdn.example/a.js"),
    "formula": (page(r'<p><span class="math">\(x^2\)</span></p>'), r"1 of 1 formulas are not set: \(x^2\)"),
    "blind": (page("<style>a:focus { outline: none }</style>"), "one can't see that a more rivers has the focus"),
    "trapped": (page(TRAP), "keyboard: 80 steps do not reach the text"),
    "lost": (
        page(text="<h1>Lakes</h1><p>Lakes. <a href='#text'>More</a></p>"),
        "the search for its title, 'Lakes', does not find it",
    ),
    "heavy": (page(f"<script>// {NOISE}</script>"), "kB, more than 600 (heavy.html"),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Problems of a site that has a sound page and a broken one for each kind of problem."""
    pages = {"sound": SOUND} | {name: text for name, (text, _) in BROKEN.items()}
    return browser.check_in_browser(write_site(tmp_path_factory.mktemp("site"), pages), PROGRAM)


@needs_browser
@pytest.mark.parametrize("place", ["sound.html", "search.html", browser.NOT_FOUND])
def test_a_sound_page_has_no_problem(found, place):
    assert [f for f in found if f.startswith(f"{place}, ")] == []


@needs_browser
@pytest.mark.parametrize(("name", "message"), [(name, message) for name, (_, message) in BROKEN.items()])
def test_each_problem_is_reported_with_page_theme_and_width(found, name, message):
    mine = [f for f in found if f.startswith(f"{name}.html, ")]
    assert any(message in f for f in mine), mine
    assert {tuple(f.split(": ")[0].split(", ")[1:]) for f in mine} <= {
        (theme, f"{width} px") for theme in browser.THEMES for width in browser.WIDTHS
    }


@needs_browser
def test_a_problem_of_one_theme_or_width_is_reported_there_only(found):
    shown = "".join(f for f in found if f.startswith("wide.html") and "sideways" in f)
    assert "390 px: scrolls sideways by 16" in shown
    assert "p#broad" in shown
    assert {f.split(":")[0] for f in found if f.startswith("night")} == {
        f"night.html, dark, {w} px" for w in (390, 1280)
    }


def test_the_browser_that_is_named_must_be_there(monkeypatch):
    monkeypatch.setenv("ML4OPS_BROWSER", "/no/such/browser")
    with pytest.raises(SiteError, match="/no/such/browser, which is not a program"):
        browser.find_browser()


def test_a_site_that_was_not_built(tmp_path):
    with pytest.raises(SiteError, match="run book site"):
        browser.check_in_browser(tmp_path, "chromium")


def test_the_servers_name_a_browser_or_say_what_to_do(tmp_path):
    """Where none is and none can be installed, CI fails instead of skipping the check."""
    for tool in ("bash", "env"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    for tool, answer in (("id", "echo 1000"), ("my-browser", "exit 0")):
        (tmp_path / tool).write_text(f"#!/bin/sh\n{answer}\n")
        (tmp_path / tool).chmod(0o755)
    script = Path(__file__).parents[2] / ".ci/browser"
    only = {"PATH": str(tmp_path)}
    done = subprocess.run([script], env=only, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "install Chromium" in done.stderr
    named = only | {"ML4OPS_BROWSER": "my-browser"}
    done = subprocess.run([script], env=named, capture_output=True, text=True, check=True)
    assert done.stdout == f"{tmp_path}/my-browser\n"
