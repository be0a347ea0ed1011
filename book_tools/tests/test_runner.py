"""Which pages run, when, with how many threads, and what is left behind. No kernel is started here."""

import os
from pathlib import Path

import nbformat
import pytest
from book_tools.jobs import run_facts
from book_tools.pages import PageError
from filelock import FileLock
from tiny_pages import write_page

from book_tools import runner
from ml4ops_helpers import RECORD_MIME


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def write(tmp_path):
    """Write a page into the folder of notebooks."""
    return lambda name, *cells, **metadata: write_page(tmp_path / "notebooks", name, *cells, **metadata)


def states(outcomes):
    return {name: o.state for name, o in outcomes.items()}


def read(out, name="01_a"):
    return nbformat.read(out / f"{name}.ipynb", as_version=4)


def test_an_unchanged_page_is_not_run_again_unless_forced(write, run, kernels):
    write("01_a", "x = 1")
    assert states(run()) == {"01_a": "run"}
    assert states(run()) == {"01_a": "unchanged"}
    assert states(run(parameters={"profile": "lecture"})) == {"01_a": "unchanged"}  # the default, said aloud
    assert states(run(force=True)) == {"01_a": "run"}
    assert kernels.started == ["01_a", "01_a"]


@pytest.mark.parametrize("changed", ["code", "parameter", "lock", "file", "cleared output", "profile"])
def test_a_change_that_matters_runs_it_again(write, run, kernels, tmp_path, out, changed):
    write("01_a", "x = 1")
    run()
    parameters = {"parameter": {"seed": 1}, "profile": {"profile": "smoke"}}.get(changed, {})
    if changed == "code":
        write("01_a", "x = 2")
    elif changed == "lock":
        (tmp_path / "requirements.lock").write_text("numpy==2.4")
    elif changed == "file":
        (out / "01_a.ipynb").write_text("damaged")
    elif changed == "cleared output":
        page = read(out)
        page.cells[2].outputs = []
        nbformat.write(page, out / "01_a.ipynb")
    assert states(run(parameters=parameters)) == {"01_a": "run"}


def test_new_prose_comes_to_the_old_outputs(write, run, kernels, out):
    write("01_a", "# Old words.", "x = 1")
    run()
    write("01_a", "# New words.", "x = 1", "# And an ending.")
    assert states(run()) == {"01_a": "unchanged"}
    page = read(out)
    prose = [c.source for c in page.cells if c.cell_type == "markdown"]
    assert prose[:-1] == ["# 01_a", "# New words.", "# And an ending."]  # last comes the box about the run
    assert page.cells[3].outputs[0].text == "run 1\n"
    assert page.cells[3].execution_count == 2


def test_a_page_waits_for_the_page_that_it_needs(write, run, kernels):
    write("01_a", after=["02_b"])
    write("02_b", after=["03_c"])
    write("03_c")
    assert states(run()) == {"01_a": "run", "02_b": "run", "03_c": "run"}
    assert kernels.log == [f"{what} {name}" for name in ("03_c", "02_b", "01_a") for what in ("start", "end")]


def test_a_change_runs_the_pages_after_it_too(write, run, kernels):
    write("01_a", "x = 1")
    write("02_b", after=["01_a"])
    write("03_c")
    run()
    write("01_a", "x = 2")
    assert states(run()) == {"01_a": "run", "02_b": "run", "03_c": "unchanged"}


def test_a_page_run_alone_is_run_again_once_the_page_before_it_has_run(write, run, kernels):
    write("01_a")
    write("02_b", after=["01_a"])
    assert states(run(["02_b"])) == {"02_b": "run"}
    assert states(run()) == {"01_a": "run", "02_b": "run"}
    assert states(run(["02_b"])) == {"02_b": "unchanged"}


def test_pages_share_the_threads_and_a_page_alone_gets_all(write, run, kernels):
    for name in ("01_a", "02_b", "03_c"):
        write(name)
    write("04_d", after=["01_a", "02_b", "03_c"])
    run(jobs=2)
    assert kernels.most == 2
    assert kernels.threads == {"01_a": 2, "02_b": 2, "03_c": 4, "04_d": 4}


def test_nothing_runs_beside_an_exclusive_page(write, run, kernels):
    """What it computes must not depend on how many threads others leave to it."""
    write("01_a", minutes=5)
    write("02_trains", minutes=4, exclusive=True)
    write("03_b", minutes=3)
    write("04_c", minutes=2)
    run(jobs=2)
    assert kernels.threads["02_trains"] == 4
    assert kernels.log.index("end 02_trains") == kernels.log.index("start 02_trains") + 1
    assert kernels.most == 2


def test_the_longest_chain_starts_first(write, run, kernels):
    write("01_short", minutes=1)
    write("02_long", minutes=5)
    write("03_first_of_a_chain", minutes=2)
    write("04_last_of_a_chain", minutes=4, after=["03_first_of_a_chain"])
    run(jobs=1)
    assert kernels.started == ["03_first_of_a_chain", "02_long", "04_last_of_a_chain", "01_short"]


def test_recorded_times_come_before_what_authors_say(write, run, kernels):
    kernels.times = {"01_a": 1.0, "02_b": 30.0, "03_c": 5.0}
    for name, minutes in {"01_a": 30, "02_b": 10, "03_c": 20}.items():
        write(name, minutes=minutes)
    run(jobs=1)
    assert kernels.started == ["01_a", "03_c", "02_b"]  # nothing is known but the authors' minutes
    write("04_d", minutes=45)  # new: a quarter of a second a minute, like the page in the middle
    kernels.started.clear()
    run(jobs=1, force=True)
    assert kernels.started == ["02_b", "04_d", "03_c", "01_a"]


def test_a_failure_keeps_the_last_good_page_and_the_broken_one(write, run, kernels, out):
    write("01_a", "x = 1")
    write("02_b")
    run()
    good = (out / "01_a.ipynb").read_bytes()
    write("01_a", "x = water")
    kernels.broken.add("01_a")
    outcomes = run()
    assert states(outcomes) == {"01_a": "failed", "02_b": "unchanged"}
    assert outcomes["01_a"].message == "01_a.ipynb, cell 3: ValueError: no water"
    assert (out / "01_a.ipynb").read_bytes() == good
    assert read(out, "01_a.failed").cells[2].source == "x = water"
    kernels.broken.clear()
    assert states(run()) == {"01_a": "run", "02_b": "unchanged"}
    assert sorted(p.name for p in out.iterdir()) == ["01_a.ipynb", "02_b.ipynb"]


def test_pages_after_a_failed_one_are_skipped_and_the_others_run(write, run, kernels):
    write("01_a", "x = 1")
    write("02_b", after=["01_a"])
    write("03_c", after=["02_b", "01_a"])
    write("04_d")
    kernels.broken.add("01_a")
    outcomes = run(jobs=1)
    assert states(outcomes) == {"01_a": "failed", "02_b": "skipped", "03_c": "skipped", "04_d": "run"}
    assert "waits for 01_a" in outcomes["02_b"].message


def test_an_interruption_stops_what_runs(write, run, kernels, monkeypatch):
    def interrupt(seconds):
        raise KeyboardInterrupt

    write("01_a")
    write("02_b")
    monkeypatch.setattr(runner.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert kernels.stopped == {"01_a", "02_b"}


def test_the_facts_of_a_run_are_kept_with_the_page(write, run, kernels, out):
    write("01_a", minutes=3)
    run(parameters={"profile": "smoke"})
    facts = run_facts(read(out))
    assert facts["parameters"] == {"profile": "smoke", "seed": 0}
    assert (facts["seconds"], facts["effective_seconds"], facts["peak_mb"]) == (1.0, 1.0, 100)
    assert len(facts["key"]) == 64


TARGETS = {"contract": {"files": {"targets.json": {}}}}


@pytest.fixture
def cache(write, kernels, tmp_path):
    """The cache of a page that leaves its target there, and of one that shows the target it finds."""
    cache = tmp_path / "cache"

    def leave(notebook, parameters):
        executed = nbformat.from_dict(notebook)
        for cell in (executed.cells[1], last := executed.cells[2]):
            cell.execution_count = 1
        targets = Path(os.environ["ML4OPS_CACHE"]) / "targets.json"
        if last.source.startswith("leave"):
            targets.parent.mkdir(exist_ok=True)
            targets.write_text(last.source.split()[1])
        shown = targets.read_text() if targets.exists() else "none"
        last.outputs = [nbformat.v4.new_output("stream", name="stdout", text=shown)]
        if last.source.endswith("fail"):
            last.outputs.append(nbformat.v4.new_output("error", ename="ValueError", evalue="dry", traceback=[]))
        record = {"seconds": 1, "metrics": {}, **parameters}
        executed.cells[1].outputs = [nbformat.v4.new_output("display_data", data={RECORD_MIME: record})]
        return executed

    kernels.leave = leave
    write("01_a", "leave 1", **TARGETS)
    write("02_b", "show", after=["01_a"])
    return cache


def test_a_file_left_by_a_failed_run_reaches_no_other_page(cache, write, run, out):
    run()
    write("01_a", "leave 2 fail", **TARGETS)
    assert states(run()) == {"01_a": "failed", "02_b": "skipped"}
    write("01_a", "leave 1", **TARGETS)
    write("02_b", "show it", after=["01_a"])
    assert states(run()) == {"01_a": "run", "02_b": "run"}
    assert read(out, "02_b").cells[2].outputs[0].text == "1"


@pytest.mark.parametrize("where", ["another", "emptied", "changed"])
def test_a_page_runs_again_where_its_files_are_not_those_of_its_run(cache, run, tmp_path, monkeypatch, where):
    run()
    if where == "another":
        monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path / "cache_2"))
    elif where == "emptied":
        (cache / "targets.json").unlink()
    else:
        (cache / "targets.json").write_text("3")
    assert states(run()) == {"01_a": "run", "02_b": "unchanged"}
    assert states(run()) == {"01_a": "unchanged", "02_b": "unchanged"}


def test_a_page_run_alone_on_changed_files_is_run_again_with_the_page_before_it(cache, run, out):
    run()
    (cache / "targets.json").write_text("3")
    assert states(run(["02_b"])) == {"02_b": "run"}
    assert states(run(["02_b"])) == {"02_b": "unchanged"}
    assert states(run()) == {"01_a": "run", "02_b": "run"}
    assert read(out, "02_b").cells[2].outputs[0].text == "1"


@pytest.mark.parametrize(
    ("lock", "message"),
    [(".out.lock", "out: another run works there"), ("cache/.run.lock", "cache: another run uses this cache")],
)
def test_two_runs_never_share_a_folder_or_a_cache(cache, run, kernels, tmp_path, lock, message):
    (tmp_path / lock).parent.mkdir(exist_ok=True)
    with FileLock(tmp_path / lock), pytest.raises(PageError, match=message):
        run()
    assert kernels.started == []
    assert states(run()) == {"01_a": "run", "02_b": "run"}


def test_pages_that_share_no_files_need_no_cache_of_their_own(write, run, kernels, tmp_path, monkeypatch):
    monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path))
    write("01_a")
    with FileLock(tmp_path / ".run.lock"):
        assert states(run()) == {"01_a": "run"}


def test_a_page_that_can_not_be_published_any_more_fails_and_the_others_run(write, run, kernels):
    write("01_a", "x = 1")
    write("02_b", "y = 1", after=["01_a"])
    run()
    write("01_a", ("x = 1", "exercise"))
    write("02_b", "y = 2", after=["01_a"])
    write("03_c")
    outcomes = run()
    assert states(outcomes) == {"01_a": "failed", "02_b": "skipped", "03_c": "run"}
    assert outcomes["01_a"].message.startswith("01_a.ipynb, cell 3 is tagged 'exercise'")


def test_a_page_that_finds_no_room_fails_and_the_others_run(write, run, kernels, monkeypatch):
    def write_or_fail(notebook, path):
        if path.name == "01_a.ipynb":
            raise OSError(28, "No space left on device")
        write_notebook(notebook, path)

    write_notebook = runner.write_notebook
    monkeypatch.setattr(runner, "write_notebook", write_or_fail)
    write("01_a")
    write("02_b")
    outcomes = run(jobs=1)
    assert states(outcomes) == {"01_a": "failed", "02_b": "run"}
    assert "No space left" in outcomes["01_a"].message
