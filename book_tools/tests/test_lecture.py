"""Lectures: what a plan may say, what runs and runs again, and what the report and MLflow tell."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
import yaml
from book_tools.lecture import run_lecture
from book_tools.lecture_log import log_results
from book_tools.notebook_html import write_notebook_html
from book_tools.parameter_cells import set_defaults
from book_tools.plans import PlanError, read_plan
from book_tools.publish import RECORD_MIME
from book_tools.runner import Outcome
from book_tools.timetables import write_timetables
from bs4 import BeautifulSoup
from tiny_pages import write_page

from book_tools import lecture, lecture_report
from ml4ops_helpers.cli import main

ROOT = Path(__file__).parents[2]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture
def plan(tmp_path):
    """Write a plan for three pages, the third of which goes after the first, and read it."""
    for name, after in (("01_a", []), ("02_b", []), ("03_c", ["01_a"])):
        write_page(tmp_path / "notebooks", name, "x = 1", after=after, minutes=1)

    def read(content):
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        (tmp_path / "plan.yml").write_text(text)
        return read_plan(tmp_path / "plan.yml", tmp_path / "notebooks")

    return read


def test_a_plan_is_pages_times_cases_times_grid(plan):
    entry = {"pages": ["01", "02_b"], "cases": {"dry": {"profile": "smoke"}, "wet": {}}, "grid": {"seed": [3, 4]}}
    runs = plan({"title": "T", "defaults": {"profile": "full"}, "runs": [entry]}).runs
    assert len(runs) == 8
    assert [r.name for r in runs[:3]] == ["01_a__dry-seed-3", "01_a__dry-seed-4", "01_a__wet-seed-3"]
    assert runs[0].parameters == {"profile": "smoke", "seed": 3}
    assert runs[2].parameters == {"profile": "full", "seed": 3}


def test_a_run_goes_after_the_run_with_its_parameters(plan):
    runs = plan(
        {"title": "T", "runs": [{"pages": ["03_c", "01_a"], "grid": {"seed": [1, 2]}}, {"pages": ["02_b"]}]}
    ).runs
    assert {r.name: r.after for r in runs} == {
        "03_c__seed-1": ("01_a__seed-1",),
        "03_c__seed-2": ("01_a__seed-2",),
        "01_a__seed-1": (),
        "01_a__seed-2": (),
        "02_b": (),
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"title": "T", "runs": [{"pages": ["01"]}], "job": 2},
            r"plan\.yml: the plan has an unknown key 'job'",
        ),
        ({"runs": [{"pages": ["01"]}]}, r"plan\.yml: title is missing; write title:"),
        ({"title": "T", "runs": []}, r"plan\.yml: runs is missing or empty"),
        (
            {"title": "T", "runs": [{"pages": ["01"]}, {"page": ["01"]}]},
            r"entry 2 has an unknown key 'page'",
        ),
        ({"title": "T", "runs": [{"pages": ["09"]}]}, r"plan\.yml, entry 1: '09' fits no page: 01_a, 02_b, 03_c"),
        ({"title": "T", "runs": [{"pages": [1]}]}, r"plan\.yml, entry 1: pages is \[1\]; write a list of page names"),
        (
            {"title": "T", "runs": [{"pages": ["01"], "parameters": {"sede": 1}}]},
            r"plan\.yml, entry 1: 01_a\.ipynb: no parameter 'sede'; it has profile, seed",
        ),
        (
            {"title": "T", "runs": [{"pages": ["01"], "grid": {"seed": [1, "two"]}}]},
            r"plan\.yml, entry 1: 01_a\.ipynb: parameter seed is int, got 'two'",
        ),
        ({"title": "T", "runs": [{"pages": ["01"], "grid": {"seed": 3}}]}, r"entry 1, grid: seed is 3; give a list"),
        (
            {"title": "T", "defaults": {"sede": 1}, "runs": [{"pages": ["01"]}]},
            r"plan\.yml, defaults: no page of the plan has a parameter 'sede'",
        ),
        (
            "title: T\nruns:\n- pages: [01_a]\n  cases:\n    dry: {seed: 1}\n    dry: {seed: 2}\n",
            r"plan\.yml, line 6: no valid YAML \('dry' is there twice\)",
        ),
        (
            {"title": "T", "runs": [{"pages": ["01"], "cases": {"../x": {"seed": 1}}}]},
            r"entry 1: case '\.\./x'; name it with letters",
        ),
        (
            {"title": "T", "runs": [{"pages": ["01"], "cases": {"x" * 61: {"seed": 1}}}]},
            r"entry 1: case 'x+'; name it with letters, .*, at most 60",
        ),
        ({"title": "T", "runs": [{"pages": ["01"]}, {"pages": "all"}]}, r"plan\.yml: run 01_a is there twice"),
        (
            {"title": "T", "runs": [{"pages": ["01"]}, {"pages": ["01"], "cases": {"same": {"seed": 0}}}]},
            r"01_a__same and 01_a are the same page and parameters",
        ),
        ("title: [", r"plan\.yml, line 1: no valid YAML"),
        ("- 1", r"plan\.yml: the plan is no mapping; write keys title, defaults, runs"),
    ],
)
def test_a_plan_with_a_mistake_is_refused_in_one_line(plan, content, message):
    with pytest.raises(PlanError, match=message) as refused:
        plan(content)
    assert "\n" not in str(refused.value)


def test_a_missing_plan_is_said_by_the_command(tmp_path, capsys):
    assert main(["lecture", str(tmp_path / "gone.yml")]) == 2
    assert "gone.yml: No such file or directory; give a plan such as" in capsys.readouterr().err


def test_a_parameters_cell_keeps_types_and_comments():
    source = 'größe: str = "ä"; seed: int = 0  # of all\nrate = (\n    0.5\n)'
    changed = set_defaults(source, {"seed": 5, "rate": 0.25, "größe": "ö", "other": 1})
    assert changed == "größe: str = 'ö'; seed: int = 5  # of all\nrate = (\n    0.25\n)"


@pytest.mark.parametrize("path", sorted((ROOT / "book/lectures").glob("*.yml")), ids=lambda p: p.stem)
def test_the_plans_of_the_book_fit_its_pages(path):
    plan = read_plan(path, ROOT / "notebooks")
    assert all(run.part for run in plan.runs)
    assert lecture.cache_folders(plan).keys() == {run.name for run in plan.runs}


def test_the_plan_shown_in_the_guide_works(plan, tmp_path):
    shown = re.search(r"```yaml\n(.*?)```", (ROOT / "book/instructor_guide.md").read_text(), re.DOTALL)[1]
    (tmp_path / "shown.yml").write_text(shown)
    assert len(read_plan(tmp_path / "shown.yml", ROOT / "notebooks").runs) == 13


def test_the_guide_gets_the_timetable_of_each_plan(tmp_path):
    shutil.copytree(ROOT / "book", tmp_path / "book", ignore=shutil.ignore_patterns("figures", "_static"))
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    first = tmp_path / "notebooks/01_scope_the_problem.ipynb"
    book = nbformat.read(first, as_version=4)
    book.metadata.ml4ops |= {"minutes": 33, "run": {"seconds": 90.0}}
    nbformat.write(book, first)
    write_timetables(tmp_path)
    guide = (tmp_path / "book/instructor_guide.md").read_text()
    assert "The site shows the timetable here" not in guide
    row = "| Before the break | [Scope the problem](../notebooks/01_scope_the_problem.ipynb) | 33 | 1.5 |"
    assert guide.count(row) == 1
    assert "| **in all** | | **158** | **1.5** |" in guide
    assert "| Week 1: scope |" in guide
    assert "Train a model](../notebooks/03_train_a_model.ipynb) | 40 | – |" in guide


def test_there_are_plans_for_three_lengths():
    assert {p.stem for p in (ROOT / "book/lectures").glob("*.yml")} >= {"half_day", "two_days", "semester"}


# Runs with pretended kernels.


@pytest.fixture
def three_seeds(plan, kernels, monkeypatch, tmp_path):
    monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path / "shared"))
    return plan({"title": "Three <seeds>", "runs": [{"pages": ["01_a", "03_c"], "grid": {"seed": [1, 2, 3]}}]})


def states(results):
    return {r.run.name: r.state for r in results}


def test_what_is_there_is_not_repeated_and_what_is_new_joins(plan, three_seeds, kernels, tmp_path):
    assert set(states(run_lecture(three_seeds, tmp_path / "out", jobs=2)).values()) == {"run"}
    more = plan({"title": "T", "runs": [{"pages": ["01_a", "03_c"], "grid": {"seed": [1, 2, 3, 4]}}]})
    again = states(run_lecture(more, tmp_path / "out", jobs=2))
    assert [name for name, state in again.items() if state == "run"] == ["01_a__seed-4", "03_c__seed-4"]
    (tmp_path / "out/notebooks/01_a__seed-2.ipynb").write_text("cut o")
    assert states(run_lecture(more, tmp_path / "out", jobs=2))["01_a__seed-2"] == "run"


def test_a_failed_run_is_tried_again_and_those_after_it_wait(three_seeds, kernels, tmp_path):
    kernels.broken.add("01_a__seed-2")
    results = run_lecture(three_seeds, tmp_path / "out", jobs=2, retries=2)
    assert kernels.started.count("01_a__seed-2") == 3
    assert (len(results), len(kernels.started)) == (6, 7)
    lost = [r for r in results if not r.whole]
    assert [(r.run.name, r.state, r.attempts) for r in lost] == [
        ("01_a__seed-2", "failed", 3),
        ("03_c__seed-2", "skipped", 3),
    ]
    assert lost[0].message == "01_a__seed-2.ipynb, cell 3: ValueError: no water"


def test_two_commands_do_not_work_in_one_folder(three_seeds, tmp_path):
    (tmp_path / "out").mkdir()
    with (
        lecture.FileLock(tmp_path / "out/.lock"),
        pytest.raises(PlanError, match="out: another book lecture works there"),
    ):
        run_lecture(three_seeds, tmp_path / "out", jobs=1)


def test_runs_with_different_parameters_share_data_sets_and_nothing_else(three_seeds, tmp_path, monkeypatch):
    seen = {}
    monkeypatch.setattr(lecture, "run_pages", lambda pages, *_, **__: seen.update({p.name: p for p in pages}) or [])
    with pytest.raises(KeyError):
        run_lecture(three_seeds, tmp_path / "out", jobs=1, retries=0)
    caches = {name: Path(page.environment["ML4OPS_CACHE"]) for name, page in seen.items()}
    assert caches["01_a__seed-1"] == caches["03_c__seed-1"]
    assert len(set(caches.values())) == 3
    assert all((cache / "embedded").resolve() == tmp_path / "shared/embedded" for cache in caches.values())
    (caches["01_a__seed-1"] / "models").mkdir()
    assert not any((cache / "models").exists() for name, cache in caches.items() if not name.endswith("-1"))
    assert not (tmp_path / "shared/models").exists()
    monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path / "other"))
    lecture.open_cache(caches["01_a__seed-1"])
    assert (caches["01_a__seed-1"] / "embedded").resolve() == tmp_path / "other/embedded"
    assert (caches["01_a__seed-1"] / "models").is_dir()


def test_a_run_works_on_the_files_of_those_it_goes_after(plan, tmp_path):
    more = "profile: str = 'lecture'\nseed: int = 0\ndepth: float = 1.0"
    plan({"title": "T", "runs": [{"pages": "all"}]})
    write_page(tmp_path / "notebooks", "04_d", parameters=(more,), after=["03_c"], minutes=1)
    write_page(tmp_path / "notebooks", "05_e", after=["02_b", "04_d"], minutes=1)
    deep = plan({"title": "T", "runs": [{"pages": ["01", "02", "03"]}, {"pages": ["04"], "parameters": {"depth": 2}}]})
    assert len(set(lecture.cache_folders(deep).values())) == 1
    alone = plan({"title": "T", "runs": [{"pages": ["02"]}, {"pages": ["04"]}, {"pages": ["05"]}]})
    with pytest.raises(PlanError, match="05_e goes after 02_b and 04_d, which have different parameters"):
        lecture.cache_folders(alone)


def test_the_report_stands_alone_and_tells_what_failed(three_seeds, kernels, tmp_path):
    kernels.broken.add("01_a__seed-2")
    out = tmp_path / "out"
    results = run_lecture(three_seeds, out, jobs=2, retries=0)
    good = out / "notebooks/01_a__seed-1.ipynb"
    book = nbformat.read(good, as_version=4)
    book.cells[2].metadata["mystnb"] = {"image": {"alt": "A line that rises."}}
    alt = {"image/png": {"alt": "A line that rises."}}
    book.cells[2].outputs = [nbformat.v4.new_output("display_data", data={"image/png": PIXEL}, metadata=alt)]
    nbformat.write(book, good)
    metrics = {"water IoU": 0.54321, "verdict": "<go>", "recall": None}
    told = [replace(r, metrics=metrics) if r.notebook == good else r for r in results]
    html = lecture_report.write_report(told, three_seeds.title, out, "MLflow: out of reach").read_text()
    assert "<strong>4 of 6 runs are there.</strong>" in html
    assert "<h1>Three &lt;seeds&gt;</h1>" in html
    assert "MLflow: out of reach" in html
    assert '<td class="number">0.5432</td>' in html
    assert "&lt;go&gt;" in html
    assert "<td>undefined</td>" in html
    assert 'src="data:image/webp;base64,' in html
    assert 'alt="A line that rises."' in html
    missing = BeautifulSoup(html, "html.parser").find("h2", string="What is missing").find_next("ul").find_all("li")
    words = [" ".join(li.text.split()) for li in missing]
    assert words[0] == "01_a (01_a__seed-2), failed: cell 3: ValueError: no water (as far as it came, .ipynb)"
    assert words[1] == "03_c (03_c__seed-2), skipped: waits for 01_a__seed-2, which failed"
    assert html.index("What is missing") < html.index("page-1")
    links = set(re.findall(r'(?:href|src)="([^"#]+)"', html))
    assert {f"notebooks/01_a__seed-2.failed.{kind}" for kind in ("html", "ipynb")} <= links
    assert all(link.startswith("data:") or (out / link).is_file() for link in links)
    assert len(results) == 6
    kernels.broken.clear()
    lecture_report.write_report(run_lecture(three_seeds, out, jobs=2), three_seeds.title, out)
    assert not list((out / "notebooks").glob("*.failed.*"))


def report(plan, tmp_path, runs, metrics):
    """The report of a plan whose runs are told what they measured, as parsed HTML; no figures."""
    read = plan({"title": "T", "runs": runs})
    results = run_lecture(read, tmp_path / "out", jobs=2)
    told = [replace(r, metrics=m, seconds=150.0, peak_mb=812.4) for r, m in zip(results, metrics, strict=True)]
    path = lecture_report.write_report(told, read.title, tmp_path / "out")
    return BeautifulSoup(path.read_text(), "html.parser")


def rows(table):
    return [[" ".join(cell.text.split()) for cell in row.find_all(["th", "td"])] for row in table.find_all("tr")]


def test_few_runs_stand_side_by_side_and_what_is_equal_is_told_apart(plan, kernels, tmp_path, monkeypatch):
    monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path / "shared"))
    entry = {"title": "Before <noon>", "pages": ["01_a"], "grid": {"seed": [1, 2]}, "cases": {"dry": {}}}
    page = report(plan, tmp_path, [entry], [{"IoU": 0.5, "tiles": 8}, {"IoU": 0.25, "tiles": 8, "late": True}])
    table, same = page.select("table.side, details table")
    assert rows(table) == [
        ["", "dry, seed 1 .ipynb", "dry, seed 2 .ipynb"],
        ["state", "done", "done"],
        ["time", "2.5 min", "2.5 min"],
        ["most memory", "812 MB", "812 MB"],
        ["IoU", "0.5", "0.25"],
        ["late", "–", "True"],
    ]
    assert rows(same) == [["tiles", "8"]]
    assert page.find("h2").text == "Before <noon>"
    assert page.find("h3").find("a")["href"] == "notebooks/01_a__dry-seed-1.html"
    assert page.select_one("p.remark").text == "01_a; all with profile lecture"


def test_one_run_shows_all_that_it_measured(plan, kernels, tmp_path, monkeypatch):
    monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path / "shared"))
    page = report(plan, tmp_path, [{"pages": ["01_a"]}], [{"IoU": 0.5}])
    assert rows(page.find("table"))[-1] == ["IoU", "0.5"]
    assert page.select_one("p.remark").text == "01_a, profile lecture, seed 0"


def test_of_many_runs_each_has_a_row_and_no_table_is_wide(plan, kernels, tmp_path, monkeypatch):
    monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path / "shared"))
    metrics = [{f"metric {m}": seed * m for m in range(9)} for seed in range(7)]
    page = report(plan, tmp_path, [{"pages": ["01_a"], "grid": {"seed": list(range(7))}}], metrics)
    first, second, same = page.find_all("table")
    assert rows(first)[0] == ["run", "state", "time", "memory", *(f"metric {m}" for m in range(1, 5))]
    assert rows(first)[3] == ["seed 2 .ipynb", "done", "2.5 min", "812 MB", "2", "4", "6", "8"]
    assert rows(second)[7] == ["seed 6", "30", "36", "42", "48"]
    assert rows(same) == [["metric 0", "0"]]


def test_an_executed_notebook_is_shown_without_jupyter_and_without_a_network(tmp_path):
    prose = "# Title\n\nSee [the data](../book/data_card), {cite:p}`otsu`, [there](https://a.example)."
    path = write_page(tmp_path, "01_a", prose, "print('<water>')")
    book = nbformat.read(path, as_version=4)
    failed = nbformat.v4.new_output("error", ename="ValueError", evalue="dry", traceback=["ValueError: dry"])
    picture = nbformat.v4.new_output("display_data", data={"image/png": PIXEL})
    book.cells[-1].outputs = [nbformat.v4.new_output("stream", text="<water>\n"), picture, failed]
    nbformat.write(book, path)
    page = BeautifulSoup(write_notebook_html(path).read_text(), "html.parser")
    assert "See the data, [otsu], there." in page.text
    assert "<water>\n" in page.text
    assert "ValueError: dry" in page.text
    assert [img["src"][:22] for img in page.find_all("img")] == ["data:image/png;base64,"]
    assert not page.find_all(["script", "link"])
    assert {a["href"] for a in page.find_all("a") if not a["href"].startswith("#")} == {"https://a.example"}
    assert not re.search(r"url\(|@import", page.find("style").text)


def test_a_notebook_is_written_as_html_again_only_when_it_changed(tmp_path):
    path = write_page(tmp_path, "01_a", "x = 1")
    first = write_notebook_html(path).stat().st_mtime_ns
    assert write_notebook_html(path).stat().st_mtime_ns == first
    book = nbformat.read(path, as_version=4)
    book.cells[0].source = "# Turned back"
    nbformat.write(book, path)
    os.utime(path, ns=(first - 10**10, first - 10**10))  # a clock that was set back
    assert "Turned back" in write_notebook_html(path).read_text()


def test_a_store_out_of_reach_costs_a_line_and_no_run(three_seeds, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    results = run_lecture(three_seeds, tmp_path / "out", jobs=2)
    assert all(r.whole for r in results)
    complaint = log_results(results, three_seeds.title, tmp_path / "out")
    assert complaint.startswith("MLflow: not all runs are recorded (")
    assert "\n" not in complaint


def test_the_command_fails_when_a_run_is_not_recorded(three_seeds, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    folders = ["--notebooks", str(tmp_path / "notebooks"), "--out", str(tmp_path / "out")]
    assert main(["lecture", str(tmp_path / "plan.yml"), *folders]) == 1
    said = capsys.readouterr()
    assert "6 of 6 runs" in said.out
    assert said.err.startswith("MLflow: not all runs are recorded (")
    assert "MLflow: not all runs" in (tmp_path / "out/report.html").read_text()


def test_what_is_no_picture_is_left_out_of_the_report():
    whole = nbformat.v4.new_output("display_data", data={"image/png": PIXEL})
    broken = [
        nbformat.v4.new_output("display_data", data={"image/png": text}) for text in ("aGVsbG8=", "?", PIXEL[:60])
    ]
    cells = [nbformat.v4.new_code_cell(outputs=[output]) for output in (whole, *broken)]
    assert len(lecture_report._figures(nbformat.v4.new_notebook(cells=cells))) == 1


def test_a_failure_is_not_told_from_an_earlier_notebook(three_seeds, kernels, tmp_path, monkeypatch):
    kernels.broken.add("01_a__seed-2")
    assert run_lecture(three_seeds, tmp_path / "out", jobs=2, retries=0)[1].notebook
    lost = lambda pages, *_, **__: [Outcome(p.name, "failed", message="it was killed") for p in pages]  # noqa: E731
    monkeypatch.setattr(lecture, "run_pages", lost)
    assert [r.notebook for r in run_lecture(three_seeds, tmp_path / "out", jobs=2, retries=0)] == [None] * 6


WORDS = "profile: str = 'lecture'\nseed: int = 0\nword: str = 'a'"


@pytest.mark.parametrize("words", [["ä", "ö"], ["?", "!"], ["x" * 300, "x" * 299 + "y"]])
def test_runs_have_names_that_are_files_and_unlike_each_other(plan, kernels, tmp_path, monkeypatch, words):
    monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path / "shared"))
    plan({"title": "T", "runs": [{"pages": "all"}]})
    write_page(tmp_path / "notebooks", "04_d", "x = 1", parameters=(WORDS,), after=[], minutes=1)
    page = report(plan, tmp_path, [{"pages": ["04_d"], "grid": {"word": words}}], [{"IoU": 0.5}, {"IoU": 0.25}])
    assert [h.split(" .ipynb")[0] for h in rows(page.find("table"))[0][1:]] == [f"word {w}" for w in words]


@pytest.mark.parametrize("written", ["12:30", "1:30.5", "010"])
def test_a_number_that_few_would_read_as_such_is_refused(plan, written):
    with pytest.raises(PlanError, match=f"parameter seed is int, got '{written}'"):
        plan(f"title: T\nruns:\n- pages: [01_a]\n  parameters: {{seed: {written}}}\n")


# Runs with real kernels.

CRASHES = """
import os, signal, time
from pathlib import Path

log, first = Path({log!r}), not Path({log!r}, f"{name}-{{seed}}").exists()
with (log / "started.txt").open("a") as file:
    file.write(f"{name}__seed-{{seed}}\\n")
(log / f"{name}-{{seed}}").touch()
if first and ("{name}", seed) == ("01_a", 3):
    os.kill(os.getpid(), signal.SIGKILL)
if first and ("{name}", seed) == ("02_b", 5):
    raise ValueError("no water")
if first and ("{name}", seed) == ("01_a", 7):
    time.sleep(300)
"""
LEAVE = "left = Path(os.environ['ML4OPS_CACHE']) / 'left.txt'\nleft.write_text(str(seed))\ntime.sleep(0.1)"
FIND = "left = Path(os.environ['ML4OPS_CACHE']) / 'left.txt'\nassert left.read_text() == str(seed)"
RECORD = (
    "from IPython.display import display\n\n"
    "record = {'page': 'x', 'seconds': 0.0, 'metrics': {'water IoU': seed / 10}}\n"
    f"display({{'text/plain': 'done', {RECORD_MIME!r}: record}}, raw=True)"
)


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX systems")
def test_24_runs_survive_three_crashes_and_a_kill_and_only_what_is_missing_runs_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    log = tmp_path / "log"
    log.mkdir()
    for name, after, own in (("01_a", [], LEAVE), ("02_b", ["01_a"], FIND), ("03_c", [], LEAVE)):
        crashes = CRASHES.format(log=str(log), name=name)
        write_page(tmp_path / "notebooks", name, crashes, own, RECORD, after=after, minutes=1)
    entry = {"pages": "all", "grid": {"seed": [1, 2, 3, 4, 5, 6, 7, 8]}}
    (tmp_path / "plan.yml").write_text(yaml.safe_dump({"title": "Crashes", "runs": [entry]}))
    command = ["lecture", "plan.yml", "--out", "out", "--jobs", "2", "--cell-timeout", "4"]

    there = kill_when_half_is_there(command, tmp_path / "out/notebooks")
    assert 8 <= len(there) < 24
    before = Counter((log / "started.txt").read_text().split())
    assert main(command) == 0

    assert main(command) == 0  # nothing is left to do, nor to record
    started = Counter((log / "started.txt").read_text().split())
    assert len(started) == 24
    assert {name: started[name] for name in there} == {name: before[name] for name in there}  # none ran again
    crashed = {"01_a__seed-3", "02_b__seed-5", "01_a__seed-7"}
    assert all(started[name] >= 2 for name in crashed)
    assert started.total() <= 24 + len(crashed) + 2  # what was under way at the kill: two jobs
    books = [nbformat.read(p, as_version=4) for p in sorted((tmp_path / "out/notebooks").glob("*.ipynb"))]
    assert len(books) == 24
    assert all(
        b.metadata.ml4ops.run.record.metrics["water IoU"] == b.metadata.ml4ops.run.parameters.seed / 10 for b in books
    )
    assert "<strong>24 of 24 runs are there.</strong>" in (tmp_path / "out/report.html").read_text()
    assert_recorded(tmp_path / "out", sorted(started))


def kill_when_half_is_there(command, notebooks):
    """Start the command, end it like a power cut, and tell which runs were there then."""
    code = "import sys; from ml4ops_helpers.cli import main; sys.exit(main(sys.argv[1:]))"
    with subprocess.Popen([sys.executable, "-c", code, *command], stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 120
        while len(list(notebooks.glob("*[0-9].ipynb"))) < 8 and time.monotonic() < until and process.poll() is None:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    return {p.stem for p in notebooks.glob("*[0-9].ipynb")}


def assert_recorded(out, names):
    """Each run is in MLflow once, with its parameters, metric, state and notebook."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{out / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("lecture: Crashes").experiment_id])
    assert sorted(r.info.run_name for r in runs) == names
    assert {r.info.status for r in runs} == {"FINISHED"}
    assert all(r.data.metrics["water IoU"] == int(r.data.params["seed"]) / 10 for r in runs)
    run = runs[0]
    assert [a.path for a in client.list_artifacts(run.info.run_id)] == [f"{run.info.run_name}.ipynb"]
