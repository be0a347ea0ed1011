"""Setup cells: each page installs what its metadata ask for, in one form."""

import tomllib
from pathlib import Path

import nbformat
import pytest
from book_tools.pages import PageError, find_pages, load_page
from book_tools.repository import read_config, repository_of
from book_tools.setup_cells import MODULES, check_setup, setup_cell, write_setups
from tiny_pages import write_page

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "book_tools/src/book_tools/template/page.ipynb"
HERE = repository_of(read_config(ROOT))


@pytest.mark.parametrize("page", find_pages(ROOT / "notebooks"), ids=lambda page: page.name)
def test_every_page_of_the_book_installs_what_it_asks_for(page):
    check_setup(page, ROOT)


def test_a_new_page_installs_the_core():
    cells = nbformat.read(TEMPLATE, as_version=4).cells
    assert [c.source for c in cells if "setup" in c.metadata.get("tags", [])] == [setup_cell(HERE)]


def test_an_extra_is_installed_by_name_and_recognised_by_its_modules():
    assert setup_cell(HERE, "projects") == (
        "try:\n    import ml4ops_helpers, dvc, hydra, optuna, pandera\nexcept ImportError:\n"
        f'    %pip install -q "ml4ops-helpers[projects] @ git+{HERE.url}"'
    )


@pytest.mark.parametrize("extra", [extra for extra in MODULES if extra])
def test_the_modules_of_an_extra_come_with_it(extra):
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"][extra]
    assert all(any(line.startswith(module) for line in wanted) for module in MODULES[extra])


@pytest.mark.parametrize(
    ("cells", "metadata", "message"),
    [
        ([(setup_cell(HERE), "setup")], {"extra": "projects"}, r"01_a\.ipynb, cell 3: not the setup cell"),
        ([(setup_cell(HERE, "projects"), "setup")], {}, "cell 3: not the setup cell"),
        ([(setup_cell(HERE).replace("https", "http"), "setup")], {}, "cell 3: not the setup cell"),
        ([(setup_cell(HERE), "setup")], {"extra": "maps"}, r"ml4ops\.extra is 'maps'"),
        ([setup_cell(HERE)], {}, "0 cells are tagged 'setup'"),
        ([(setup_cell(HERE), "setup")] * 2, {}, "2 cells are tagged 'setup'"),
    ],
)
def test_another_setup_cell_is_refused(tmp_path, cells, metadata, message):
    page = load_page(write_page(tmp_path, "01_a", *cells, **metadata))
    with pytest.raises(PageError, match=message):
        check_setup(page, ROOT)


def test_setup_cells_are_written_and_nothing_else_is_touched(tmp_path):
    for name in ("pyproject.toml", "_config.yml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    right = write_page(tmp_path / "notebooks", "01_a", (setup_cell(HERE), "setup"), "x = 1")
    wrong = write_page(tmp_path / "notebooks", "02_b", (setup_cell(HERE), "setup"), "x = 1", extra="projects")
    before = right.stat().st_mtime_ns
    assert write_setups(tmp_path) == [wrong]
    assert right.stat().st_mtime_ns == before
    page = load_page(wrong)
    check_setup(page, ROOT)
    assert page.notebook.cells[-1].source == "x = 1"
    assert write_setups(tmp_path) == []
