"""What a run leaves for programs, for the terminal, and for readers of the book."""

import json

import nbformat
from book_tools.publish import publish, write_notebook
from book_tools.reports import insert_timings, timings_page, write_reports
from book_tools.runner import Outcome
from tiny_pages import write_page

FACTS = {
    "parameters": {"profile": "smoke", "seed": 0},
    "seconds": 4.4,
    "peak_mb": 812,
    "provenance": {"commit": "1a2b", "processor": "Abacus 3"},
    "record": {"page": "01_a", "profile": "smoke", "metrics": {"water IoU": 0.5, "clouds": None}},
}


def test_json_holds_all_that_is_known_of_a_run(tmp_path):
    failed = Outcome("02_b", "failed", 1.5, "02_b.ipynb, cell 3: ValueError: no <wäter>", {"peak_mb": 300})
    write_reports([Outcome("01_a", "run", 4.4, facts=FACTS), failed], tmp_path / "report")
    run, failed = json.loads((tmp_path / "report/run.json").read_text(encoding="utf-8"))
    assert run == {
        "page": "01_a",
        "state": "run",
        "seconds": 4.4,
        "peak_mb": 812,
        "parameters": FACTS["parameters"],
        "metrics": {"water IoU": 0.5, "clouds": None},
        "provenance": FACTS["provenance"],
        "message": "",
    }
    assert (failed["state"], failed["metrics"], failed["peak_mb"]) == ("failed", {}, 300)
    assert failed["message"] == "02_b.ipynb, cell 3: ValueError: no <wäter>"


def test_the_book_shows_what_its_pages_took(tmp_path):
    source = nbformat.read(write_page(tmp_path, "01_a", "x = 1"), as_version=4)
    page, _ = publish(source, source, FACTS)
    write_notebook(page, tmp_path / "notebooks" / "01_a.ipynb")
    insert_timings(tmp_path)
    assert not (tmp_path / "book").exists()  # a book without that page
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "timings.md").write_text("# Timings\n")
    insert_timings(tmp_path)
    assert (tmp_path / "book" / "tables" / "timings.txt").read_text() == (
        "| page | profile | seconds | memory (MB) |\n|---|---|--:|--:|\n"
        "| [](../notebooks/01_a.ipynb) | smoke | 4 | 812 |\n"
        "| all, one after another | | 4 | |\n\n"
        "Measured on: Abacus 3.\n"
    )


def test_a_page_that_was_never_run_has_no_timing(tmp_path):
    assert "01_a" not in timings_page([nbformat.read(write_page(tmp_path, "01_a"), as_version=4)])
