"""The picture of the house: packages, and what they import."""

import pytest
from book_tools.house import draw_house, insert_house, read_rooms


def write_package(root, **modules):
    for name, text in {"__init__": "", **modules}.items():
        path = root / "ml4ops_helpers" / f"{name.replace('__in__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / "ml4ops_helpers"


def test_rooms_are_packages_and_modules_with_what_they_import(tmp_path):
    package = write_package(
        tmp_path,
        scenes__in____init__="from .rasters import read",
        scenes__in__rasters="import numpy",
        models="def load():\n    from ml4ops_helpers.scenes import bands",
        mapping__in__predict="from ..models import load\nfrom .. import scenes, PROFILES\nimport ml4ops_helpers.models",
    )
    assert read_rooms(package) == {"scenes": set(), "models": {"scenes"}, "mapping": {"scenes", "models"}}


def test_the_picture_shows_every_room_and_no_arrow_twice(tmp_path):
    picture = draw_house({"scenes": set(), "models": {"scenes"}, "mapping": {"scenes", "models"}})
    assert [picture.index(f">{room}</text>") for room in ("mapping", "models", "scenes")] == sorted(
        picture.index(f">{room}</text>") for room in ("mapping", "models", "scenes")
    )
    assert picture.count('class="arrow"') == 2  # mapping reaches scenes through models
    with pytest.raises(ValueError, match="→"):
        draw_house({"a": {"b"}, "b": {"a"}})


def test_it_is_drawn_for_the_page_that_shows_it(tmp_path):
    write_package(tmp_path, scenes="")
    (tmp_path / "stage/book/figures").mkdir(parents=True)
    insert_house(tmp_path, tmp_path / "stage")
    assert not list((tmp_path / "stage/book/figures").iterdir())
    (tmp_path / "stage/book/contributing.md").write_text("# Contributing\n")
    insert_house(tmp_path, tmp_path / "stage")
    assert ">scenes</text>" in (tmp_path / "stage/book/figures/house.svg").read_text()
