"""A small book, built and checked: what readers get from the settings at the repository's root."""

import shutil
import subprocess

import nbformat
import pytest
import yaml
from tiny_pages import write_page

from ml4ops_helpers.press import check, site
from ml4ops_helpers.press.publish import publish, write_notebook
from ml4ops_helpers.press.site import SiteError

ALT = "A line that rises from zero to one."
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CONFIG = {
    "title": "Floods",
    "only_build_toc_files": True,
    "repository": {"url": "https://github.com/owner/repo", "branch": "main", "path_to_book": ""},
    "execute": {"execute_notebooks": "off"},
    "launch_buttons": {"colab_url": "https://colab.research.google.com"},
    "sphinx": {"recursive_update": True, "config": {"html_theme_options": {"navbar_persistent": []}}},
}
TOC = {"format": "jb-book", "root": "book/intro", "chapters": [{"file": "notebooks/01_a"}, {"file": "book/glossary"}]}


def write_book(root, prose="# Floods\n\nStart with [](../notebooks/01_a.ipynb).\n"):
    """A book of two prose pages and a notebook that has been run."""
    (root / "book").mkdir(parents=True)
    (root / "_config.yml").write_text(yaml.safe_dump(CONFIG))
    (root / "_toc.yml").write_text(yaml.safe_dump(TOC))
    (root / "book" / "intro.md").write_text(prose)
    (root / "book" / "glossary.md").write_text("# Glossary\n\nChip\n: A small scene.\n")
    cells = [("import ml4ops_helpers", "setup"), "show()"]
    source = nbformat.read(write_page(root / "notebooks", "01_a", *cells, after=[], minutes=2), as_version=4)
    done = nbformat.from_dict(source)
    done.cells[3].outputs = [
        nbformat.v4.new_output("display_data", data={"image/png": PIXEL}, metadata={"image/png": {"alt": ALT}})
    ]
    page, _ = publish(source, done, {"key": "secret-key", "seconds": 2.0})
    write_notebook(page, root / "_build" / "notebooks" / "01_a.ipynb")
    for stray in (".venv/lib/README.md", "_build/old/stray.md", "tests/notes.md"):
        (root / stray).parent.mkdir(parents=True, exist_ok=True)
        (root / stray).write_text("# Stray\n\nNot a page: [](nowhere.md)\n")


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    root = tmp_path_factory.mktemp("book")
    write_book(root)
    site.build_site(root)
    return root


@pytest.fixture(scope="module")
def html(book):
    return (book / "_build" / "html" / "notebooks" / "01_a.html").read_text()


def test_the_built_book_is_sound(book):
    assert check.check_site(book) == []


def test_the_colab_button_opens_the_tracked_notebook(html):
    assert 'href="https://colab.research.google.com/github/owner/repo/blob/main/notebooks/01_a.ipynb"' in html


def test_the_recorded_alt_text_reaches_the_reader(html):
    assert f'<img alt="{ALT}"' in html


def test_setup_is_folded_and_parameters_are_shown_as_written(html):
    assert "tag_hide-input" in html
    assert "injected-parameters" not in html
    assert html.count("tag_parameters") == 1


def test_facts_of_the_run_do_not_show(html):
    assert "secret-key" not in html


def test_other_folders_are_no_part_of_the_site(book):
    pages = {p.relative_to(book / "_build/html").as_posix() for p in (book / "_build/html").rglob("*.html")}
    assert {"book/intro.html", "book/glossary.html", "notebooks/01_a.html"} <= pages
    assert not [p for p in pages if "stray" in p or "README" in p or "notes" in p]


def test_a_warning_keeps_the_last_good_site_until_a_build_succeeds(book, tmp_path):
    root = tmp_path / "book"
    shutil.copytree(book, root)
    before = (root / "_build/html/book/intro.html").read_bytes()
    (root / "book" / "intro.md").write_text("# Floods\n\nSee [](absent.md).\n")
    with pytest.raises(SiteError, match=r"book/intro\.md:3: WARNING: .*absent"):
        site.build_site(root)
    assert (root / "_build/html/book/intro.html").read_bytes() == before
    (root / "book" / "intro.md").write_text("# Rivers\n")
    (root / "_toc.yml").write_text(yaml.safe_dump(TOC | {"chapters": TOC["chapters"][:1]}))
    site.build_site(root)
    assert "<h1>Rivers" in (root / "_build/html/book/intro.html").read_text()
    assert not (root / "_build/html/book/glossary.html").exists()


def test_a_page_that_was_not_executed_is_named(tmp_path):
    write_book(tmp_path)
    (tmp_path / "_build/notebooks/01_a.ipynb").unlink()
    with pytest.raises(SiteError, match=r"notebooks/01_a\.ipynb: not executed; run ml4ops run 01_a"):
        site.build_site(tmp_path)


def test_a_page_that_does_not_exist_is_named(tmp_path):
    write_book(tmp_path)
    (tmp_path / "book/glossary.md").unlink()
    with pytest.raises(SiteError, match=r"lists book/glossary, which is no file"):
        site.build_site(tmp_path)


def test_a_folder_without_a_book_or_a_site_is_said(tmp_path):
    with pytest.raises(SiteError, match=r"_toc\.yml: missing"):
        site.build_site(tmp_path)
    with pytest.raises(SiteError, match="no site there; build it with ml4ops site"):
        check.check_site(tmp_path)


@pytest.fixture
def broken(book, tmp_path):
    """Copy of the built book in which to break a page; returns the problems found afterwards."""
    root = tmp_path / "book"
    shutil.copytree(book, root)

    def change(old="", new="", page="notebooks/01_a.html", remove=""):
        path = root / "_build/html" / page
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new) if old else text)
        if remove:
            (root / "_build/html" / remove).unlink()
        return check.check_site(root)

    change.root = root
    return change


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("<h1>01_a", "<h1>Traceback (most recent call last)", "shows a traceback"),
        ("<h1>01_a", '<div class="output traceback">x</div><h1>01_a', "shows a traceback"),
        (ALT, "A line", "has the alt text 'A line'; describe what it shows"),
        (ALT, "../_images/0123456789abcdef0123456789abcdef.png", "describe what it shows"),
        (f'alt="{ALT}"', "", "has the alt text ''"),
        ("<h1>01_a", f'<img src="gone.png" alt="{ALT}"><h1>01_a', "image gone.png is missing"),
        ("<h1>01_a", '<script src="https://cdn.example/a.js"></script><h1>', "loads https://cdn.example/a.js from"),
        ("<h1>01_a", '<a href="gone.html">x</a><h1>01_a', "link gone.html leads nowhere"),
        ("<h1>01_a", '<a href="../book/intro.html#gone">x</a><h1>', "leads to a page without that place"),
        ("blob/main/notebooks/01_a", "blob/main/book/01_a", "Colab link to book/01_a.ipynb, which is not tracked"),
        ("colab.research.google.com", "example.org", "has no Colab link to notebooks/01_a.ipynb"),
    ],
)
def test_each_fault_of_a_page_is_found(broken, old, new, problem):
    found = broken(old, new)
    assert any(p.startswith("notebooks/01_a.html: ") and problem in p for p in found), found


@pytest.mark.parametrize(
    ("remove", "problem"),
    [
        ("searchindex.js", "searchindex.js: missing, the search does not work"),
        ("search.html", "search.html: missing, the search does not work"),
        ("book/glossary.html", "book/glossary: listed in _toc.yml, not in the site"),
    ],
)
def test_each_missing_file_is_found(broken, remove, problem):
    assert problem in broken(remove=remove)


def test_colab_links_lead_to_what_git_tracks(broken):
    subprocess.run(["git", "init", "-q"], cwd=broken.root, check=True)
    assert "notebooks/01_a.html: Colab link to notebooks/01_a.ipynb, which is not tracked" in broken()
    subprocess.run(["git", "add", "notebooks/01_a.ipynb"], cwd=broken.root, check=True)
    assert broken() == []
