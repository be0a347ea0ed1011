"""What a run leaves for servers, for whoever watches the terminal, and for readers of the book."""

import json
import xml.etree.ElementTree as ET

import nbformat
import pytest
from book_tools.publish import publish, write_notebook
from book_tools.reports import insert_timings, summary, timings_page, write_reports
from book_tools.runner import Outcome
from tiny_pages import write_page

FACTS = {
    "parameters": {"profile": "smoke", "seed": 0},
    "seconds": 4.4,
    "peak_mb": 812,
    "provenance": {"commit": "1a2b", "processor": "Abacus 3"},
    "record": {"page": "01_a", "profile": "smoke", "metrics": {"water IoU": 0.5, "clouds": None}},
}
OUTCOMES = [
    Outcome("01_a", "run", 4.4, facts=FACTS),
    Outcome("02_b", "failed", 1.5, "02_b.ipynb, cell 3: ValueError: \x1bno <water>\nmore", {"peak_mb": 300}),
    Outcome("03_c", "skipped", message="03_c.ipynb: waits for 02_b, which failed"),
]


@pytest.fixture
def reports(tmp_path):
    write_reports(OUTCOMES, tmp_path / "report")
    assert sorted(p.name for p in (tmp_path / "report").iterdir()) == ["junit.xml", "run.json"]
    return tmp_path / "report"


def test_json_holds_all_that_is_known_of_a_run(reports):
    run, failed, skipped = json.loads((reports / "run.json").read_text())
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
    assert skipped["message"] == "03_c.ipynb: waits for 02_b, which failed"


def test_junit_is_what_servers_count(reports):
    suite = ET.parse(reports / "junit.xml").getroot()
    assert suite.attrib == {"name": "book run", "tests": "3", "time": "5.9", "failures": "1", "skipped": "1"}
    run, failed, skipped = suite.iter("testcase")
    assert run.attrib == {"classname": "pages", "name": "01_a", "time": "4.4"}
    values = {p.get("name"): p.get("value") for p in run.iter("property")}
    assert values == {
        "state": "run", "peak_mb": "812", "profile": "smoke", "seed": "0", "water IoU": "0.5", "clouds": "None"
    }  # fmt: skip
    assert failed.find("failure").get("message") == "02_b.ipynb, cell 3: ValueError: no <water>"
    assert failed.find("failure").text.endswith("no <water>\nmore")
    assert skipped.find("skipped").get("message").startswith("03_c.ipynb: waits")
    assert run.find("failure") is None


def test_the_terminal_shows_times_and_memory():
    assert summary(OUTCOMES).splitlines() == [
        "page      state   seconds      MB",
        "01_a        run       4.4     812",
        "02_b     failed       1.5     300",
        "03_c    skipped         –       –",
    ]


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


def test_junit_stays_xml_whatever_a_page_says(tmp_path):
    facts = {"parameters": {"seed": 0}, "record": {"metrics": {"water\ufffe IoU": "\ud83d"}}}
    write_reports([Outcome("01_a", "failed", 1.0, "no\ufffe wa\ud83dter\x01 \U0001f30a", facts)], tmp_path)
    (case,) = ET.parse(tmp_path / "junit.xml").getroot().iter("testcase")
    assert case.find("failure").get("message") == "no water \U0001f30a"
    assert [p.get("name") for p in case.iter("property")][-1] == "water IoU"
    (run,) = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert run["message"] == "no\ufffe wa\ud83dter\x01 \U0001f30a"
