"""A small book, built and checked: what readers get from the settings at the repository's root."""

import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
import yaml
from book_tools.publish import publish, write_notebook
from book_tools.repository import read_config, repository_of
from book_tools.site import SiteError
from bs4 import BeautifulSoup
from tiny_pages import write_page

from book_tools import browser, check, readme, site, topics

ALT = "A line that rises from zero to one."
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
ROOT = Path(__file__).parents[2]
CONFIG = read_config(ROOT)
CONFIG["repository"] |= {"url": "https://github.com/owner/repo"}
CONFIG["sphinx"]["config"] |= {"redirects": {"notebooks/01_old": "01_a.html"}}
TOPICS = {
    "Rivers": {"pages": ["notebooks/01_a"], "modules": ["rivers"], "tests": ["tests/test_a.py::test_rivers_flow"]}
}
FILES = ["notebooks/01_a", "book/glossary", "book/topics"]
TOC = {"format": "jb-book", "root": "book/introduction", "chapters": [{"file": name} for name in FILES]}


def write_book(root, prose="# Floods\n\nStart with [](../notebooks/01_a.ipynb).\n"):
    """A book of two prose pages and a notebook that has been run."""
    (root / "book").mkdir(parents=True)
    (root / "_config.yml").write_text(yaml.safe_dump(CONFIG))
    (root / "_toc.yml").write_text(yaml.safe_dump(TOC))
    (root / "book" / "introduction.md").write_text(prose)
    shutil.copytree(ROOT / "book/_static", root / "book/_static")
    shutil.copytree(ROOT / "book/figures", root / "book/figures")
    shutil.copy(ROOT / "book/references.bib", root / "book")
    (root / "book/topics.md").write_text(f"# Topics\n\n{topics.MARK}\n")
    (root / "book/topics.yml").write_text(yaml.safe_dump(TOPICS))
    for path, text in (
        ("tests/test_a.py", "\n\ndef test_rivers_flow():\n    pass\n"),
        ("ml4ops_helpers/rivers.py", ""),
    ):
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text)
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


def test_both_notebooks_can_be_downloaded(book, html):
    site = book / "_build/html"
    assert 'href="../_downloads/clean/notebooks/01_a.ipynb"' in html
    assert 'href="../_sources/notebooks/01_a.ipynb"' in html
    clean = nbformat.read(site / "_downloads/clean/notebooks/01_a.ipynb", as_version=4)
    executed = nbformat.read(site / "_sources/notebooks/01_a.ipynb", as_version=4)
    assert not [c for c in clean.cells if c.get("outputs")]
    assert [c for c in executed.cells if c.get("outputs")]


def test_a_page_is_edited_where_its_source_is(html):
    assert 'href="https://github.com/owner/repo/edit/main/notebooks/01_a.ipynb"' in html


def test_a_shared_page_shows_title_description_and_picture(book):
    page = BeautifulSoup((book / "_build/html/book/introduction.html").read_text(), "html.parser")
    card = {meta["property"]: meta["content"] for meta in page.select("meta[property^=og]")}
    assert card["og:title"] == "Floods"
    assert "Start with" in card["og:description"]
    assert card["og:url"] == "https://owner.github.io/repo/book/introduction.html"
    picture = book / "_build/html" / card["og:image"].removeprefix("https://owner.github.io/repo/")
    assert picture.suffix == ".png"
    assert picture.is_file()


def test_a_renamed_page_leads_to_the_new_one(book):
    assert "01_a.html" in (book / "_build/html/notebooks/01_old.html").read_text()


def test_the_page_for_what_is_not_found_works_at_any_depth(book):
    page = BeautifulSoup((book / "_build/html/404.html").read_text(), "html.parser")
    loads = [e.get("src") or e.get("href") for e in page.select("script[src], link[rel=stylesheet], article a[href]")]
    assert {"/repo/book/introduction.html", "/repo/search.html"} <= set(loads)
    assert [a for a in loads if not a.startswith(("/repo/", "#"))] == []


def test_topics_lead_to_pages_code_and_tests(book):
    text = (book / "_build/html/book/topics.html").read_text()
    assert 'href="../notebooks/01_a.html"' in text
    assert 'href="https://github.com/owner/repo/blob/main/ml4ops_helpers/rivers.py"' in text
    assert '<a class="reference external" href="https://github.com/owner/repo/blob/main/tests/test_a.py#L3">' in text
    assert "rivers flow" in text


def test_a_topic_that_names_what_is_not_there_stops_the_build(book, tmp_path):
    gone = {"pages": ["book/gone"], "modules": ["gone", "projects/gone.py"], "tests": ["tests/test_a.py::test_gone"]}
    shutil.copytree(book, tmp_path / "book", ignore=shutil.ignore_patterns("html", "site"))
    (tmp_path / "book/book/topics.yml").write_text(yaml.safe_dump({"Rivers": gone}))
    with pytest.raises(SiteError) as raised:
        site.build_site(tmp_path / "book")
    assert [name for names in gone.values() for name in names if name not in str(raised.value)] == []


def test_topics_name_packages_tools_and_course_projects_too(tmp_path):
    for path in ("ml4ops_helpers/scenes/__init__.py", "book_tools/src/book_tools/keys.py", "projects/cover/split.py"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("def test_no_row_is_in_two_parts():\n    pass\n")
    test = "projects/cover/split.py::test_no_row_is_in_two_parts"
    modules = ["scenes", "book_tools.keys", "projects/cover/split.py"]
    table = {"Splits": {"pages": [], "modules": modules, "tests": [test]}}
    assert list(topics.find_missing(tmp_path, table)) == []
    row = topics.topics_table(tmp_path, table, repository_of(CONFIG)).splitlines()[-1]
    blob = "https://github.com/owner/repo/blob/main"
    for link in (
        f"[`scenes`]({blob}/ml4ops_helpers/scenes/__init__.py)",
        f"[`book_tools.keys`]({blob}/book_tools/src/book_tools/keys.py)",
        f"[`cover/split.py`]({blob}/projects/cover/split.py)",
        f"[no row is in two parts]({blob}/projects/cover/split.py#L1)",
    ):
        assert link in row


def test_a_new_part_of_the_book_is_gathered_timed_and_listed(tmp_path):
    write_book(tmp_path)
    (tmp_path / "book/timings.md").write_text("# Timings\n\n```{include} tables/timings.txt\n```\n")
    old = {"caption": "Map a flood", "chapters": TOC["chapters"] + [{"file": "book/timings"}]}
    new = {"caption": "Work reproducibly", "chapters": [{"file": "notebooks/09_b"}]}
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump({"format": "jb-book", "root": TOC["root"], "parts": [old, new]}))
    source = write_page(tmp_path / "notebooks", "09_b", "x = 1", minutes=60, extra="projects", projects=["cover"])
    ran = nbformat.read(source, as_version=4)
    ran.metadata.ml4ops["run"] = {"seconds": 90.0, "record": {"page": "09_b", "profile": "smoke"}}
    write_notebook(ran, tmp_path / "_build/notebooks/09_b.ipynb")
    stage = tmp_path / "stage"
    site.gather(tmp_path, stage, tmp_path / "_build/notebooks")
    assert (stage / "notebooks/09_b.ipynb").is_file()
    assert "[](../notebooks/09_b.ipynb) | smoke | 90 |" in (stage / "book/tables/timings.txt").read_text()
    row = readme.page_table(sorted((tmp_path / "notebooks").glob("*.ipynb")), tmp_path / "_build/notebooks", CONFIG)
    assert row.splitlines()[-1].startswith("| [09_b](notebooks/09_b.ipynb) | 60 | 1.5 | [![Open in Colab]")


def test_the_topics_of_this_book_name_what_is_there():
    assert list(topics.find_missing(ROOT, yaml.safe_load((ROOT / topics.TABLE).read_text()))) == []


@pytest.mark.skipif(browser.find_browser() is None, reason="no browser here: install Chromium or set ML4OPS_BROWSER")
def test_the_built_book_is_sound_in_a_browser(book):
    assert browser.check_in_browser(book, browser.find_browser()) == []


def test_facts_of_the_run_do_not_show(html):
    assert "secret-key" not in html


def test_other_folders_are_no_part_of_the_site(book):
    pages = {p.relative_to(book / "_build/html").as_posix() for p in (book / "_build/html").rglob("*.html")}
    assert {"book/introduction.html", "book/glossary.html", "notebooks/01_a.html"} <= pages
    assert not [p for p in pages if "stray" in p or "README" in p or "notes" in p]


def test_a_warning_stops_the_build_and_the_last_good_site_stays(book, tmp_path):
    root = tmp_path / "book"
    shutil.copytree(book, root)
    before = (root / "_build/html/book/introduction.html").read_bytes()
    (root / "book" / "introduction.md").write_text("# Floods\n\nSee [](absent.md).\n")
    with pytest.raises(SiteError, match=r"book/introduction\.md:3: WARNING: .*absent"):
        site.build_site(root)
    assert (root / "_build/html/book/introduction.html").read_bytes() == before


def test_a_page_that_was_not_executed_is_named(tmp_path):
    write_book(tmp_path)
    (tmp_path / "_build/notebooks/01_a.ipynb").unlink()
    with pytest.raises(SiteError, match=r"notebooks/01_a\.ipynb: not executed; run book run 01_a"):
        site.build_site(tmp_path)


def test_a_page_that_does_not_exist_is_named(tmp_path):
    write_book(tmp_path)
    (tmp_path / "book/glossary.md").unlink()
    with pytest.raises(SiteError, match="lists book/glossary"):
        site.build_site(tmp_path)


def test_a_folder_without_a_book_or_a_site(tmp_path):
    with pytest.raises(SiteError, match=r"_toc\.yml: missing"):
        site.build_site(tmp_path)
    with pytest.raises(SiteError, match="run book site"):
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
        ("<h1>01_a", f'<img src="gone.png" alt="{ALT}"><h1>01_a', "image gone.png leads nowhere"),
        ("<h1>01_a", '<script src="https://cdn.example/a.js"></script><h1>', "loads https://cdn.example/a.js from"),
        ("<h1>01_a", '<a href="gone.html">x</a><h1>01_a', "link gone.html leads nowhere"),
        ("<h1>01_a", '<a href="../book/introduction.html#gone">x</a><h1>', "leads to a page without that place"),
        ("blob/main/notebooks/01_a", "blob/main/book/01_a", "Colab link to book/01_a.ipynb, which is not tracked"),
        ("github/owner/repo/blob", "github/other/repo/blob", "Colab link to other/repo, main; the settings name owner"),
        ("repo/blob/main/notebooks", "repo/blob/dev/notebooks", "Colab link to owner/repo, dev; the settings name"),
        ("edit/main/notebooks/01_a.ipynb", "edit/main/book/glossary.md", "edit link to book/glossary.md, which is an"),
        ("<h1>01_a", f'<img alt="{ALT}" src="../_static/logo.png"><h1>', "has the alt text of another one"),
        ("colab.research.google.com", "example.org", "has no Colab link to notebooks/01_a.ipynb"),
    ],
)
def test_each_problem_of_a_page_is_found(broken, old, new, problem):
    found = broken(old, new)
    assert any(p.startswith("notebooks/01_a.html: ") and problem in p for p in found), found


def test_a_heavy_figure_is_reported(broken):
    (broken.root / "_build/html/_images/big.webp").write_bytes(bytes(260_000))
    assert "_images/big.webp: 260 kB, more than 250; draw it with less detail" in broken()


def test_a_redirect_that_leads_nowhere_is_reported(broken):
    problem = "_config.yml: redirect of notebooks/01_old to 01_a.html leads nowhere"
    assert problem in broken(remove="notebooks/01_old.html")


def test_a_page_that_is_missing_is_reported(broken):
    assert "book/glossary: listed in _toc.yml, not in the site" in broken(remove="book/glossary.html")


def test_colab_links_lead_to_what_git_tracks(broken):
    subprocess.run(["git", "init", "-q"], cwd=broken.root, check=True)
    assert "notebooks/01_a.html: Colab link to notebooks/01_a.ipynb, which is not tracked" in broken()
    subprocess.run(["git", "add", "book", "ml4ops_helpers", "notebooks", "tests"], cwd=broken.root, check=True)
    assert broken() == []


@pytest.mark.parametrize("what", ["code", "failure"])
def test_outputs_of_another_time_are_not_published(tmp_path, what):
    write_book(tmp_path)
    executed = tmp_path / "_build/notebooks"
    if what == "code":
        write_page(tmp_path / "notebooks", "01_a", ("import ml4ops_helpers", "setup"), "show(2)", after=[], minutes=2)
        message = "01_a.ipynb: its code was changed after it was executed; run make book"
    else:
        shutil.copy(executed / "01_a.ipynb", executed / "01_a.failed.ipynb")
        message = "01_a.ipynb: its last run failed, see .*01_a.failed.ipynb"
    with pytest.raises(SiteError, match=message):
        site.gather(tmp_path, tmp_path / "stage", executed)


def test_a_new_site_keeps_the_slides(tmp_path, monkeypatch):
    write_book(tmp_path)
    monkeypatch.setattr(site, "_jupyter_book", lambda stage: (stage / "_build/html").mkdir(parents=True))
    monkeypatch.setattr(site, "optimise_assets", lambda site: None)
    slide = tmp_path / site.SLIDES / "overview.html"
    slide.parent.mkdir(parents=True)
    slide.write_text("slide")
    (tmp_path / site.BUILT / "old.html").write_text("page")
    site.build_site(tmp_path)
    assert slide.read_text() == "slide"
    assert not (tmp_path / site.BUILT / "old.html").exists()


def test_new_prose_or_looks_need_no_new_run_to_be_published(tmp_path):
    write_book(tmp_path)
    cells = [("import ml4ops_helpers", "setup"), "# Words.", ("show()", "hide-input")]
    write_page(tmp_path / "notebooks", "01_a", *cells, after=[], minutes=2)
    site.gather(tmp_path, tmp_path / "stage", tmp_path / "_build/notebooks")
