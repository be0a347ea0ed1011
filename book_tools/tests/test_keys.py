"""Keys of pages, and what the book's own pages depend on; the edits that change a key are in ``test_edits``."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from book_tools.dependencies import dependencies, parse_cell
from book_tools.pages import find_pages, load_page
from tiny_pages import write_page

from book_tools import keys

ROOT = Path(__file__).parents[2]
PAGES = find_pages(ROOT / "notebooks")
MAKERS = {
    "read_targets": "01_scope_the_problem",
    "trained_model": "03_train_a_model",
    "trained_path": "03_train_a_model",
}
"""Helpers that find what a page left for others, and that page."""


def cells_of(page):
    return [str(source) for source, _ in keys.code_of(page.notebook)]


def called(page):
    nodes = [node for cell in cells_of(page) if (tree := parse_cell(cell)) for node in ast.walk(tree)]
    return [node for node in nodes if isinstance(node, ast.Call)]


def test_the_same_code_in_another_folder_is_another_page(tmp_path):
    pages = [load_page(write_page(tmp_path / folder, "01_a", "x = 1")) for folder in "ab"]
    assert len({keys.page_key(page, page.defaults, "", []) for page in pages}) == 2


def test_files_of_a_project_count_by_path_and_content_also_without_git(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "projects/cover/__pycache__").mkdir(parents=True)
    (tmp_path / "projects/cover/a.py").write_text("x = 1")
    page = load_page(write_page(tmp_path / "notebooks", "01_a", "x = 1", projects=["cover"]))
    first = keys.page_key(page, page.defaults, "", [])
    (tmp_path / "projects/cover/__pycache__/a.pyc").write_text("compiled")
    assert keys.page_key(page, page.defaults, "", []) == first
    (tmp_path / "projects/cover/a.py").rename(tmp_path / "projects/cover/b.py")
    assert keys.page_key(page, page.defaults, "", []) != first


TIMED = """
import time
from pathlib import Path
from book_tools import jobs, pages

found = pages.find_pages(Path("notebooks"))[:8]
began = time.process_time()
jobs.prepare(found, {}, Path("nowhere"), "")
print(time.process_time() - began)
"""


def test_the_keys_of_eight_pages_take_less_than_two_seconds():
    # In a process of its own, where coverage does not slow it down.
    assert float(subprocess.check_output([sys.executable, "-c", TIMED], cwd=ROOT, text=True)) < 2


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_depends_on_modules_that_it_uses_and_not_on_the_whole_helper(page):
    found = dependencies(keys.PACKAGE, cells_of(page))
    assert {"ml4ops_helpers.lesson", f"ml4ops_helpers.exercises.page_{page.name[:2]}"} <= set(found)
    assert "ml4ops_helpers.cli" not in found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_goes_after_those_whose_files_it_finds(page):
    makers = {MAKERS[name] for call in called(page) if (name := ast.unparse(call.func).split(".")[-1]) in MAKERS}
    assert makers <= {page.name, *page.after}


@pytest.mark.parametrize("name", MAKERS)
def test_helpers_that_find_what_pages_left_are_called_by_pages_only(name):
    assert len([path for path in keys.PACKAGE.rglob("*.py") if f"{name}(" in path.read_text(encoding="utf-8")]) == 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_lists_the_projects_that_it_opens(page):
    opened = {c.args[0].value for c in called(page) if ast.unparse(c.func).endswith("Project.open")}
    assert opened <= set(page.notebook.metadata.ml4ops.get("projects", []))
