"""Slides: cells of executed pages on them, and what a browser finds wrong with them."""

import base64
import io
import shutil

import nbformat
import pytest
import yaml
from book_tools.browser import find_browser
from book_tools.site import SLIDES, SiteError
from book_tools.slides import build_slides, check_slides, decks
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

NOTES = "\n```{revealjs-notes}\nSay it.\n```\n"
SOUND = f"""---
orphan: true
---
# Deck
{NOTES}
## All of a cell

```{{cell}} 01_a shown
```
{NOTES}
## A line of it

```{{cell}} 01_a shown
:show: code
:lines: 2
```
{NOTES}"""


def png():
    buffer = io.BytesIO()
    Image.new("RGB", (600, 400), "teal").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture
def book(tmp_path, pytestconfig):
    """A book with one deck and one executed page."""
    shutil.copytree(pytestconfig.rootpath / "book/slides", tmp_path / "book/slides")
    for deck in (tmp_path / "book/slides").glob("*.md"):
        deck.unlink()
    (tmp_path / "book/slides/index.md").write_text(f"# Slides\n{NOTES}")
    (tmp_path / "book/slides/deck.md").write_text(SOUND)
    outputs = [
        new_output("display_data", data={"image/png": png()}),
        new_output("display_data", data={"text/html": "<table><tr><td>cell of a table</td></tr></table>"}),
        new_output("stream", name="stdout", text="a printed line\n"),
    ]
    cell = new_code_cell(
        "first = 1\nsecond = 2", id="shown", outputs=outputs, metadata={"mystnb": {"image": {"alt": "A teal picture"}}}
    )
    notebook = new_notebook(cells=[cell, new_code_cell("pass", id="silent")])
    (tmp_path / "_build/notebooks").mkdir(parents=True)
    nbformat.write(notebook, tmp_path / "_build/notebooks/01_a.ipynb")
    (tmp_path / "_build/html/notebooks").mkdir(parents=True)
    (tmp_path / "_build/html/notebooks/01_a.html").write_text("page")
    return tmp_path


def test_a_slide_shows_what_the_page_shows(book):
    build_slides(book)
    html = (book / SLIDES / "deck.html").read_text()
    for part in ("a printed line", "cell of a table", 'alt="A teal picture"', "../notebooks/01_a.html", "Say it."):
        assert part in html
    assert html.count("first") == 1  # once with the whole cell; the other slide shows line 2 only
    assert (book / SLIDES / "_static/revealjs/dist/reveal.js").is_file()
    assert "https://" not in "".join(line for line in html.splitlines() if "src=" in line or "stylesheet" in line)


BAD_CELLS = {
    "```{cell} 01_a lost\n```": "01_a: no cell 'lost'",
    "```{cell} 02_b shown\n```": "02_b.ipynb: no such notebook",
    "```{cell} 01_a silent\n:show: figure\n```": "01_a, cell silent: has no figure to show",
    "```{cell} 01_a shown\n:show: code\n:lines: 2-3\n```": "has 2 lines of code, not lines 2-3",
    "```{cell} 01_a shown\n:show: code\n:lines: all\n```": "has 2 lines of code, not lines all",
    "```{cell} 01_a shown\n:show: sound\n```": "sound: choose from code, figure, output",
    "```{command-output} python seed.py\n:cwd: demos\n```": "IndexError",
}


def test_slides_that_ask_for_what_is_not_there(book):
    build_slides(book)
    before = (book / SLIDES / "deck.html").read_text()
    (book / "book/slides/deck.md").write_text(SOUND + "".join(f"\n## Bad\n\n{cell}\n{NOTES}" for cell in BAD_CELLS))
    with pytest.raises(SiteError, match=r"deck\.md:\d+: ") as raised:
        build_slides(book)
    assert [message for message in BAD_CELLS.values() if message not in str(raised.value)] == []
    assert (book / SLIDES / "deck.html").read_text() == before


needs_browser = pytest.mark.skipif(find_browser() is None, reason="no Chromium on this machine; set ML4OPS_BROWSER")


@needs_browser
def test_sound_slides_give_no_problem(book):
    build_slides(book)
    assert check_slides(book, find_browser()) == []


@needs_browser
def test_what_a_browser_finds(book):
    lines = "\n".join(f"- point {i}" for i in range(30))
    wide = '<div style="width: 3000px">a very long line</div>'
    bad = f"\n## Long\n\n{lines}\n{NOTES}\n## Wide\n\n{wide}\n{NOTES}\n## Mute\n\ntext\n\n## Lost\n\n[there](https://x.test)"
    bad += '\n\n<a href="../no.html">gone</a> <img src="images/no.png" alt="lost picture">\n' + NOTES
    bad += f'\n## Cut\n\n<pre style="height: 40px; overflow: hidden">1<br>2<br>3<br>4</pre>\n{NOTES}'
    (book / "book/slides/deck.md").write_text(SOUND + bad)
    build_slides(book)
    told = "\n".join(check_slides(book, find_browser()))
    for problem in (
        'slide 4 (Long): li "point 29" reaches below the slide',
        'slide 5 (Wide): div "a very long line" reaches beyond the right edge',
        "slide 6 (Mute): has no speaker notes",
        "slide 7 (Lost): link ../no.html leads nowhere",
        'slide 7 (Lost): image "lost picture" did not load',
        "slide 8 (Cut): pre",
    ):
        assert f"deck, {problem}" in told
    assert "slide 2" not in told
    assert "slide 3" not in told


def test_commands_show_what_they_print(book):
    demo = "```{command-output} echo $((6 * 7)) $HOME\n:shell:\n:cwd: demos\n```"
    (book / "book/slides/deck.md").write_text(f"{SOUND}\n## Demo\n\n{demo}\n{NOTES}")
    build_slides(book)
    assert f"\n42 {book}/_build/slides</" in (book / SLIDES / "deck.html").read_text()


def test_no_slides_to_check(book):
    with pytest.raises(SiteError, match="run book slides"):
        check_slides(book, "chromium")


def test_every_deck_of_the_book_is_in_its_list(pytestconfig):
    names = {deck.stem for deck in decks(pytestconfig.rootpath)} - {"index"}
    listed = (pytestconfig.rootpath / "book/slides/index.md").read_text()
    assert names
    assert all(f"({name}.md)" in listed for name in names)


def test_every_part_with_pages_has_a_deck_that_shows_each_of_them(pytestconfig):
    root = pytestconfig.rootpath
    for part in yaml.safe_load((root / "_toc.yml").read_text())["parts"]:
        pages = [c["file"].removeprefix("notebooks/") for c in part["chapters"] if c["file"].startswith("notebooks/")]
        if pages:
            deck = (root / "book/slides" / f"{part['caption'].lower().replace(' ', '_')}.md").read_text()
            assert all(f"{{cell}} {page} " in deck for page in pages)


def test_cells_of_a_page_changed_since_its_run_are_not_shown(book):
    source = nbformat.read(book / "_build/notebooks/01_a.ipynb", as_version=4)
    (book / "notebooks").mkdir()
    nbformat.write(source, book / "notebooks/01_a.ipynb")
    build_slides(book)
    source.cells[0].source = "first = 3"
    nbformat.write(source, book / "notebooks/01_a.ipynb")
    with pytest.raises(SiteError, match=r"01_a\.ipynb: its code was changed after it was executed"):
        build_slides(book)
