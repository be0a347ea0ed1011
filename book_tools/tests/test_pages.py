"""What is refused before a kernel starts, and how it is said."""

import json
from pathlib import Path
from typing import get_args

import pytest
from book_tools.contract_checks import broken_promises
from book_tools.contracts import Metric, Profile
from book_tools.pages import PageError, check_order, choose_parameters, find_pages, load_page, read_notebook
from tiny_pages import PARAMETERS, write_page

from ml4ops_helpers import PROFILES

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def test_a_sound_page_tells_its_parameters_and_what_it_waits_for(tmp_path):
    page = load_page(write_page(tmp_path, "04_measure", "x = 1", after=["03_train"], minutes=12))
    assert page.name == "04_measure"
    assert page.defaults == {"profile": "lecture", "seed": 0}
    assert page.types == {"profile": "str", "seed": "int"}
    assert page.after == ("03_train",)
    assert page.minutes == 12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": None}, "01_a.ipynb: kernelspec is missing"),
        ({"kernel": {"name": "my-env", "display_name": "mine"}}, "01_a.ipynb: kernelspec is my-env"),
        ({"parameters": ()}, "01_a.ipynb: no cell is tagged 'parameters'"),
        ({"parameters": (PARAMETERS, PARAMETERS)}, "01_a.ipynb: cells 2, 3 are tagged 'parameters'; tag exactly one"),
        ({"parameters": ("# prose",)}, "01_a.ipynb, cell 2: tagged 'parameters' but not a code cell"),
        ({"parameters": ("seed = ",)}, "01_a.ipynb, cell 2, line 1: invalid syntax"),
        ({"parameters": ("import os\nseed = 0",)}, "01_a.ipynb, cell 2, line 1: not a parameter"),
        ({"parameters": ("seed = 1 + 1",)}, "cell 2, line 1: not a plain value"),
        ({"parameters": ("seed = None",)}, "parameter seed has type NoneType"),
        ({"parameters": ("seed: list = 1",)}, "parameter seed has type list"),
        ({"parameters": ('seed: int = "0"',)}, "parameter seed is declared int, its default '0' is not"),
        ({"after": "03_train"}, "01_a.ipynb: metadata ml4ops.after: input should be a valid list, found '03_train'"),
        ({"minutes": 0}, "ml4ops.minutes: input should be greater than 0, found 0"),
        ({"exclusive": "yes"}, "ml4ops.exclusive: input should be a valid boolean, found 'yes'"),
        ({"reads": [3]}, "ml4ops.reads.entry 1: input should be a valid string, found 3"),
    ],
)
def test_an_unsound_page_is_refused_by_name(tmp_path, change, message):
    path = write_page(tmp_path, "01_a", "x = 1", **change)
    with pytest.raises(PageError) as raised:
        load_page(path)
    assert message in str(raised.value)


@pytest.mark.parametrize("page", find_pages(NOTEBOOKS), ids=lambda page: page.name)
def test_every_page_of_the_book_has_a_contract(page):
    promised = page.contract
    assert set(promised.parameters) == set(page.types)
    assert len(promised.metrics) >= 5
    assert promised.figures > 0
    assert set(promised.seconds) == {"smoke", "lecture"}
    assert promised.memory_mb


def test_contracts_know_the_profiles_of_lessons():
    assert get_args(Profile) == PROFILES
    assert set(PROFILES) <= set(Metric.model_fields)


@pytest.mark.parametrize(("effective", "broken"), [(50.0, 0), (61.0, 1)])
def test_waiting_for_a_processor_breaks_no_contract(tmp_path, effective, broken):
    page = load_page(write_page(tmp_path, "01_a", contract={"seconds": {"lecture": 60}}))
    record = {"seconds": 90.0, "metrics": {}, "profile": "lecture"}
    run = {"parameters": {"profile": "lecture"}, "seconds": 90.0, "effective_seconds": effective, "record": record}
    page.notebook.metadata.ml4ops.run = run
    assert len(broken_promises(page, page.notebook)) == broken


@pytest.mark.parametrize("content", ["", "{}", '{"nbformat": 4, "cells": 3}', "no json"])
def test_a_file_that_is_no_notebook_is_refused_by_name(tmp_path, content):
    (tmp_path / "01_a.ipynb").write_text(content)
    with pytest.raises(PageError, match=r"01_a\.ipynb: not a valid notebook"):
        load_page(tmp_path / "01_a.ipynb")


def cells_of(path, change, encoding="utf-8"):
    """Ids and sources of the cells of a page that another program has saved; each reading gives the same."""
    content = json.loads(path.read_text("utf-8-sig"))
    for cell in content["cells"]:
        change(cell)
    content |= {"nbformat_minor": 0} if change is not keep else {}
    path.write_text(json.dumps(content), encoding=encoding)
    first, second = (read_notebook(path).cells for _ in range(2))
    assert first == second
    return [(cell.id, cell.source) for cell in first]


def keep(cell):
    """Change nothing."""


def move_id(cell):
    cell["metadata"]["id"] = cell.pop("id")


def test_a_page_saved_without_cell_ids_is_read_as_before(tmp_path):
    path = write_page(tmp_path, "01_a", ("x = 1", "setup"), "x = 2")
    before = [(cell.id, cell.source) for cell in load_page(path).notebook.cells]
    assert cells_of(path, keep, "utf-8-sig") == before
    assert cells_of(path, move_id) == before  # as Colab saves it
    assert load_page(path).notebook.cells[2].metadata == {"tags": ["setup"]}
    assert cells_of(path, lambda cell: cell["metadata"].pop("id")) == [
        (f"cell-{number}", source) for number, (_, source) in enumerate(before, start=1)
    ]


@pytest.mark.filterwarnings("error")
def test_missing_and_duplicate_ids_come_from_the_place(tmp_path):
    path = write_page(tmp_path, "01_a", "x = 1", "x = 2")
    for wanted in ({"id": "same"}, {"id": "no id!"}, {}):
        content = json.loads(path.read_text())
        content["cells"] = [{k: v for k, v in c.items() if k != "id"} | wanted for c in content["cells"]]
        path.write_text(json.dumps(content))
        assert [c.id for c in read_notebook(path).cells][1:] == ["cell-2", "cell-3", "cell-4"]


def test_a_folder_under_a_page_s_name_is_said(tmp_path):
    (tmp_path / "01_a.ipynb").mkdir()
    with pytest.raises(PageError, match=r"01_a\.ipynb: can't be read \(Is a directory\)"):
        load_page(tmp_path / "01_a.ipynb")


def test_a_missing_notebook_is_said(tmp_path):
    with pytest.raises(PageError, match="no such notebook"):
        load_page(tmp_path / "01_a.ipynb")


def test_parameters_take_the_place_of_defaults(tmp_path):
    page = load_page(
        write_page(tmp_path, "01_a", parameters=(f"{PARAMETERS}\nrate: float = -0.1\nfast: bool = False",))
    )
    chosen = choose_parameters(page, {"profile": "smoke", "rate": 1, "fast": True})
    assert chosen == {"profile": "smoke", "seed": 0, "rate": 1, "fast": True}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"profil": "smoke"}, "01_a.ipynb: no parameter 'profil'; it has profile, seed"),
        ({"seed": "0"}, "01_a.ipynb: parameter seed is int, got '0'"),
        ({"seed": 0.5}, "parameter seed is int, got 0.5"),
        ({"seed": True}, "parameter seed is int, got True"),
        ({"profile": 3}, "parameter profile is str, got 3"),
    ],
)
def test_a_wrong_parameter_is_refused(tmp_path, given, message):
    page = load_page(write_page(tmp_path, "01_a"))
    with pytest.raises(PageError) as raised:
        choose_parameters(page, given)
    assert message in str(raised.value)


def test_pages_are_found_by_name_path_or_beginning(tmp_path):
    for name in ("01_scope", "02_explore", "10_configure", "11_track"):
        write_page(tmp_path, name)

    def names(*wanted):
        return [p.name for p in find_pages(tmp_path, wanted)]

    assert names() == ["01_scope", "02_explore", "10_configure", "11_track"]
    assert names("11", "notebooks/02_explore.ipynb", "02") == ["02_explore", "11_track"]
    with pytest.raises(PageError, match=r"'1' fits several pages: 10_configure, 11_track"):
        names("1")
    with pytest.raises(PageError, match=r"'09' fits no page: 01_scope, "):
        names("09")


def test_an_empty_folder_is_said(tmp_path):
    with pytest.raises(PageError, match="no notebook there"):
        find_pages(tmp_path)


def test_order_must_be_possible(tmp_path):
    first = load_page(write_page(tmp_path, "01_a", after=["02_b"]))
    with pytest.raises(PageError, match=r"01_a\.ipynb: is to run after '02_b', which is not a page"):
        check_order([first])
    second = load_page(write_page(tmp_path, "02_b", after=["01_a"]))
    with pytest.raises(PageError, match=r"pages wait for each other: 0._. → 0._. → 0._."):
        check_order([first, second])
