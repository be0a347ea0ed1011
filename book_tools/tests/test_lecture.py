"""Lectures: what runs and runs again, and what the report and MLflow say."""

import os
import re
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
from book_tools.commands import main
from book_tools.lecture import run_lecture
from book_tools.lecture_log import log_results
from book_tools.lecture_report import write_report
from book_tools.notebook_html import write_notebook_html
from book_tools.plans import PlanError
from book_tools.runner import Outcome
from bs4 import BeautifulSoup
from tiny_pages import write_page

from book_tools import lecture
from ml4ops_helpers import RECORD_MIME

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture
def three_seeds(plan, kernels, monkeypatch, tmp_path):
    """A plan of two pages × three seeds, to run with pretended kernels."""
    monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path / "shared"))
    return plan({"title": "Three <seeds>", "runs": [{"pages": ["01_a", "03_c"], "grid": {"seed": [1, 2, 3]}}]})


def states(results):
    return {r.run.name: r.outcome.state for r in results}


def test_complete_runs_are_not_repeated_and_new_ones_are_added(plan, three_seeds, kernels, tmp_path):
    assert set(states(run_lecture(three_seeds, tmp_path / "out", jobs=2)).values()) == {"run"}
    more = plan({"title": "T", "runs": [{"pages": ["01_a", "03_c"], "grid": {"seed": [1, 2, 3, 4]}}]})
    again = states(run_lecture(more, tmp_path / "out", jobs=2))
    assert [name for name, state in again.items() if state == "run"] == ["01_a__seed-4", "03_c__seed-4"]
    (tmp_path / "out/notebooks/01_a__seed-2.ipynb").write_text("cut o")
    assert states(run_lecture(more, tmp_path / "out", jobs=2))["01_a__seed-2"] == "run"


def test_a_failed_run_is_tried_again_and_those_after_it_wait(three_seeds, kernels, tmp_path):
    kernels.broken.add("01_a__seed-2")
    results = run_lecture(three_seeds, tmp_path / "out", jobs=2, retries=2)
    assert (len(results), len(kernels.started), kernels.started.count("01_a__seed-2")) == (6, 7, 3)
    lost = [(r.run.name, r.outcome.state, r.attempts) for r in results if not r.complete]
    assert lost == [("01_a__seed-2", "failed", 3), ("03_c__seed-2", "skipped", 3)]


def test_two_commands_do_not_work_in_one_folder(three_seeds, tmp_path):
    (tmp_path / "out").mkdir()
    with lecture.FileLock(tmp_path / "out/.lock"), pytest.raises(PlanError, match="another book lecture"):
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


def recorded(result, metrics):
    facts = result.outcome.facts | {"record": {"metrics": metrics}, "peak_mb": 812}
    return replace(result, outcome=replace(result.outcome, facts=facts, seconds=150.0))


def test_the_report_shows_first_what_failed_then_what_each_page_measured(three_seeds, kernels, tmp_path):
    kernels.broken.add("01_a__seed-2")
    out = tmp_path / "out"
    results = run_lecture(three_seeds, out, jobs=2, retries=0)
    results[0] = recorded(results[0], {"IoU": 0.54321, "verdict": "<go>", "tiles": 8})
    results[2] = recorded(results[2], {"IoU": None, "verdict": "<go>"})
    results = results[3:] + results[:3]  # as if the plan named the page that waits first
    text = write_report(results, three_seeds.title, out, "MLflow: out of reach").read_text()
    page = BeautifulSoup(text, "html.parser")
    words = " ".join(page.text.split())
    assert "Three <seeds> 4 of 6 runs are complete" in words
    assert "MLflow: out of reach." in words
    failed, skipped = (" ".join(item.text.split()) for item in page.find_all("li"))
    assert failed == "01_a__seed-2, failed: cell 3: ValueError: no water"
    assert skipped == "03_c__seed-2, skipped: waits for 01_a__seed-2, which failed"
    assert text.index("What is missing") < text.index("<table>")
    table = page.find_all("table")[1]
    rows = [[cell.text for cell in row.find_all(["th", "td"])] for row in table.find_all("tr")]
    assert rows == [
        ["run", "seed-1", "seed-2", "seed-3"],
        ["state", "run", "failed", "run"],
        ["minutes", "2.5", "0.0", "2.5"],
        ["memory (MB)", "812", "100", "812"],
        ["profile", "lecture", "lecture", "lecture"],
        ["seed", "1", "2", "3"],
        ["IoU", "0.5432", "–", "undefined"],
        ["verdict", "<go>", "–", "<go>"],
        ["tiles", "8", "–", "–"],
    ]
    assert [row.find("th").text for row in table.select("tr.differ")][:2] == ["state", "minutes"]
    links = {a["href"] for a in page.find_all("a")}
    assert {"notebooks/01_a__seed-1.html", "notebooks/01_a__seed-2.failed.html"} <= links
    assert all((out / link).is_file() for link in links)

    kernels.broken.clear()
    text = write_report(run_lecture(three_seeds, out, jobs=2), three_seeds.title, out).read_text()
    assert "What is missing" not in text
    assert not list((out / "notebooks").glob("*.failed.*"))


def test_a_failure_is_not_explained_by_an_earlier_notebook(three_seeds, kernels, tmp_path, monkeypatch):
    kernels.broken.add("01_a__seed-2")
    assert run_lecture(three_seeds, tmp_path / "out", jobs=2, retries=0)[1].notebook
    lost = lambda pages, *_, **__: [Outcome(p.name, "failed", message="it was killed") for p in pages]  # noqa: E731
    monkeypatch.setattr(lecture, "run_pages", lost)
    assert [r.notebook for r in run_lecture(three_seeds, tmp_path / "out", jobs=2, retries=0)] == [None] * 6


def test_an_executed_notebook_is_shown_without_jupyter_and_without_a_network(tmp_path):
    prose = "# Title\n\nSee [the data](../book/data_card), {cite:p}`otsu`, [there](https://a.example).\n\n"
    prose += ":::{admonition} Made from\n:class: note\n| commit |\n|---|\n| 1a2b |\n:::"
    path = write_page(tmp_path, "01_a", prose, "print('<water>')")
    book = nbformat.read(path, as_version=4)
    failed = nbformat.v4.new_output("error", ename="ValueError", evalue="dry", traceback=["ValueError: dry"])
    picture = nbformat.v4.new_output("display_data", data={"image/png": PIXEL})
    book.cells[-1].outputs = [nbformat.v4.new_output("stream", text="<water>\n"), picture, failed]
    nbformat.write(book, path)
    text = write_notebook_html(path).read_text()
    page = BeautifulSoup(text, "html.parser")
    for shown in ("See the data, [otsu], there.", "<water>\n", "ValueError: dry"):
        assert shown in page.text
    assert page.find("blockquote").find("td").text == "1a2b"
    assert [img["src"][:22] for img in page.find_all("img")] == ["data:image/png;base64,"]
    assert not page.find_all(["script", "link"])
    assert {a["href"] for a in page.find_all("a") if not a["href"].startswith("#")} == {"https://a.example"}
    assert not re.search(r"url\(['\"]?http|@import", text)


def test_a_notebook_is_written_as_html_again_only_when_it_changed(tmp_path):
    path = write_page(tmp_path, "01_a", "x = 1")
    first = write_notebook_html(path)
    first.write_text("shown")
    os.utime(first, ns=(path.stat().st_mtime_ns,) * 2)
    assert write_notebook_html(path).read_text() == "shown"
    os.utime(path, (1, 1))  # changed, by a clock that was set back
    assert "x</span>" in write_notebook_html(path).read_text()


def test_a_store_out_of_reach_costs_a_line_and_no_run(three_seeds, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    folders = ["--notebooks", str(tmp_path / "notebooks"), "--out", str(tmp_path / "out")]
    assert main(["lecture", str(tmp_path / "plan.yml"), *folders]) == 1
    said = capsys.readouterr()
    assert "6 of 6 runs" in said.out
    assert re.fullmatch(r"MLflow: not all runs are recorded \(.*\n", said.err)
    assert "MLflow: not all runs" in (tmp_path / "out/report.html").read_text()


def test_a_failed_run_is_recorded_as_such(three_seeds, kernels, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    kernels.broken.add("01_a__seed-2")
    results = run_lecture(three_seeds, tmp_path / "out", jobs=2, retries=0)
    assert log_results(results, "T", tmp_path / "out") == ""
    recorded = {r.info.run_name: r for r in runs_in_mlflow(tmp_path / "out", "lecture: T")}
    assert len(recorded) == 5
    assert recorded["01_a__seed-2"].info.status == "FAILED"
    assert "no water" in recorded["01_a__seed-2"].data.tags["message"]


def test_a_store_of_another_mlflow_is_told_with_what_to_do_first(three_seeds, kernels, tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mlflow.db").write_text("no database" * 100)
    results = run_lecture(three_seeds, tmp_path / "out", jobs=2)
    said = log_results(results, "T", tmp_path / "out")
    assert "mlflow.db: MLflow can't use it" in said
    assert said.endswith("repair it, or name another); then run the command again")


def test_a_missing_plan_is_reported_by_the_command(tmp_path, capsys):
    assert main(["lecture", str(tmp_path / "gone.yml")]) == 2
    assert "gone.yml: No such file" in capsys.readouterr().err


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


@pytest.mark.slow
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

    there = kill_after_eight_runs(command, tmp_path / "out/notebooks")
    assert 8 <= len(there) < 24
    before = Counter((log / "started.txt").read_text().split())
    assert main(command) == 0
    assert main(command) == 0  # nothing is left to do, nor to record

    started = Counter((log / "started.txt").read_text().split())
    assert len(started) == 24
    assert {name: started[name] for name in there} == {name: before[name] for name in there}  # none ran again
    crashed = {"01_a__seed-3", "02_b__seed-5", "01_a__seed-7"}
    assert all(started[name] >= 2 for name in crashed)
    assert started.total() <= 24 + len(crashed) + 2  # what was running at the kill: two jobs
    assert "<strong>24 of 24 runs are complete</strong>" in (tmp_path / "out/report.html").read_text()
    runs = runs_in_mlflow(tmp_path / "out", "lecture: Crashes")
    assert sorted(r.info.run_name for r in runs) == sorted(started)
    assert {r.info.status for r in runs} == {"FINISHED"}
    assert all(r.data.metrics["water IoU"] == int(r.data.params["seed"]) / 10 for r in runs)
    assert (tmp_path / "out/mlflow" / runs[0].info.run_id / "artifacts" / f"{runs[0].info.run_name}.ipynb").is_file()


def kill_after_eight_runs(command, notebooks):
    """Start the command, end it like a power cut, and return which runs were there then."""
    code = "import sys; from book_tools.commands import main; sys.exit(main(sys.argv[1:]))"
    with subprocess.Popen([sys.executable, "-c", code, *command], stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 120
        while len(list(notebooks.glob("*[0-9].ipynb"))) < 8 and time.monotonic() < until and process.poll() is None:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    return {p.stem for p in notebooks.glob("*[0-9].ipynb")}


def runs_in_mlflow(out, experiment):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{out / 'mlflow.db'}")
    return client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
