"""Which pages run, when, with how many threads, and what is left behind. No kernel is started here."""

import os
from pathlib import Path

import nbformat
import pytest
from book_tools.jobs import run_facts
from book_tools.pages import PageError
from book_tools.publish import RECORD_MIME
from filelock import FileLock
from tiny_pages import write_page

from book_tools import runner


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "notebooks"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def states(outcomes):
    return {name: o.state for name, o in outcomes.items()}


def test_an_unchanged_page_is_not_run_again(folder, run, kernels):
    write_page(folder, "01_a", "x = 1")
    assert states(run()) == {"01_a": "run"}
    assert states(run()) == {"01_a": "unchanged"}
    assert states(run(parameters={"profile": "lecture"})) == {"01_a": "unchanged"}  # the default, said aloud
    assert kernels.started == ["01_a"]


def test_force_runs_it_again(folder, run, kernels):
    write_page(folder, "01_a", "x = 1")
    run()
    assert states(run(force=True)) == {"01_a": "run"}


@pytest.mark.parametrize("changed", ["code", "parameter", "lock", "output"])
def test_a_change_that_matters_runs_it_again(folder, run, kernels, tmp_path, out, changed):
    write_page(folder, "01_a", "x = 1")
    run()
    parameters = {}
    if changed == "code":
        write_page(folder, "01_a", "x = 2")
    elif changed == "parameter":
        parameters = {"seed": 1}
    elif changed == "lock":
        (tmp_path / "requirements.lock").write_text("numpy==2.4")
    else:
        (out / "01_a.ipynb").write_text("damaged")
    assert states(run(parameters=parameters)) == {"01_a": "run"}


def test_new_prose_comes_to_the_old_outputs(folder, run, kernels, out):
    write_page(folder, "01_a", "# Old words.", "x = 1")
    run()
    write_page(folder, "01_a", "# New words.", "x = 1", "# And an ending.")
    assert states(run()) == {"01_a": "unchanged"}
    page = nbformat.read(out / "01_a.ipynb", as_version=4)
    prose = [c.source for c in page.cells if c.cell_type == "markdown"]
    assert prose[:-1] == ["# 01_a", "# New words.", "# And an ending."]  # last comes the box about the run
    assert page.cells[3].outputs[0].text == "run 1\n"
    assert page.cells[3].execution_count == 2


def test_a_page_waits_for_the_page_that_it_needs(folder, run, kernels):
    write_page(folder, "01_a", after=["02_b"])
    write_page(folder, "02_b", after=["03_c"])
    write_page(folder, "03_c")
    assert states(run()) == {"01_a": "run", "02_b": "run", "03_c": "run"}
    assert kernels.log == [f"{what} {name}" for name in ("03_c", "02_b", "01_a") for what in ("start", "end")]


def test_a_change_runs_the_pages_after_it_too(folder, run, kernels):
    write_page(folder, "01_a", "x = 1")
    write_page(folder, "02_b", after=["01_a"])
    write_page(folder, "03_c")
    run()
    write_page(folder, "01_a", "x = 2")
    assert states(run()) == {"01_a": "run", "02_b": "run", "03_c": "unchanged"}


def test_a_page_run_alone_is_run_again_once_the_page_before_it_has_run(folder, run, kernels):
    write_page(folder, "01_a")
    write_page(folder, "02_b", after=["01_a"])
    assert states(run(["02_b"])) == {"02_b": "run"}
    assert states(run()) == {"01_a": "run", "02_b": "run"}
    assert states(run(["02_b"])) == {"02_b": "unchanged"}


def test_pages_run_side_by_side_and_share_the_threads(folder, run, kernels):
    for name in ("01_a", "02_b", "03_c"):
        write_page(folder, name)
    run(jobs=2)
    assert kernels.most == 2
    assert kernels.threads == {"01_a": 2, "02_b": 2, "03_c": 4}  # the third is alone at the end


def test_a_page_alone_gets_every_core(folder, run, kernels):
    write_page(folder, "01_a")
    write_page(folder, "02_b", after=["01_a"])
    run(jobs=2)
    assert kernels.threads == {"01_a": 4, "02_b": 4}


def test_nothing_runs_beside_an_exclusive_page(folder, run, kernels):
    """What it computes must not depend on how many threads others leave to it."""
    write_page(folder, "01_a", minutes=5)
    write_page(folder, "02_trains", minutes=4, exclusive=True)
    write_page(folder, "03_b", minutes=3)
    write_page(folder, "04_c", minutes=2)
    run(jobs=2)
    assert kernels.threads["02_trains"] == 4
    stops = [line for line in kernels.log if "02_trains" in line]
    first, last = (kernels.log.index(line) for line in (stops[0], stops[-1]))
    assert last == first + 1
    assert kernels.most == 2


def test_the_longest_chain_starts_first(folder, run, kernels):
    write_page(folder, "01_short", minutes=1)
    write_page(folder, "02_long", minutes=5)
    write_page(folder, "03_first_of_a_chain", minutes=2)
    write_page(folder, "04_last_of_a_chain", minutes=4, after=["03_first_of_a_chain"])
    run(jobs=1)
    assert kernels.started == ["03_first_of_a_chain", "02_long", "04_last_of_a_chain", "01_short"]


def test_recorded_times_come_before_what_authors_say(folder, run, kernels):
    kernels.times = {"01_a": 1.0, "02_b": 30.0, "03_c": 5.0}
    for name, minutes in {"01_a": 30, "02_b": 10, "03_c": 20}.items():
        write_page(folder, name, minutes=minutes)
    run(jobs=1)
    assert kernels.started == ["01_a", "03_c", "02_b"]  # nothing is known but the authors' minutes
    write_page(folder, "04_d", minutes=45)  # new: a quarter of a second a minute, like the page in the middle
    kernels.started.clear()
    run(jobs=1, force=True)
    assert kernels.started == ["02_b", "04_d", "03_c", "01_a"]


def test_a_failure_keeps_the_last_good_page_and_the_broken_one(folder, run, kernels, out):
    write_page(folder, "01_a", "x = 1")
    write_page(folder, "02_b")
    run()
    good = (out / "01_a.ipynb").read_bytes()
    write_page(folder, "01_a", "x = water")
    kernels.broken.add("01_a")
    outcomes = run()
    assert states(outcomes) == {"01_a": "failed", "02_b": "unchanged"}
    assert outcomes["01_a"].message == "01_a.ipynb, cell 3: ValueError: no water"
    assert (out / "01_a.ipynb").read_bytes() == good
    assert nbformat.read(out / "01_a.failed.ipynb", as_version=4).cells[2].source == "x = water"
    kernels.broken.clear()
    assert states(run()) == {"01_a": "run", "02_b": "unchanged"}
    assert sorted(p.name for p in out.iterdir()) == ["01_a.ipynb", "02_b.ipynb"]


def test_pages_after_a_failed_one_are_skipped_and_the_others_run(folder, run, kernels):
    write_page(folder, "01_a", "x = 1")
    write_page(folder, "02_b", after=["01_a"])
    write_page(folder, "03_c", after=["02_b", "01_a"])
    write_page(folder, "04_d")
    kernels.broken.add("01_a")
    outcomes = run(jobs=1)
    assert states(outcomes) == {"01_a": "failed", "02_b": "skipped", "03_c": "skipped", "04_d": "run"}
    assert outcomes["02_b"].message == "02_b.ipynb: waits for 01_a, which failed"


def test_nothing_runs_when_one_page_has_no_such_parameter(folder, run, kernels):
    write_page(folder, "01_a")
    write_page(folder, "02_b", parameters=("seed: int = 0",))
    with pytest.raises(PageError, match=r"02_b\.ipynb: no parameter 'profile'"):
        run(parameters={"profile": "smoke"})
    assert kernels.started == []


def test_an_interruption_stops_what_runs(folder, run, kernels, monkeypatch):
    def interrupt(seconds):
        raise KeyboardInterrupt

    write_page(folder, "01_a")
    write_page(folder, "02_b")
    monkeypatch.setattr(runner.time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert kernels.stopped == {"01_a", "02_b"}


def test_the_facts_of_a_run_are_kept_with_the_page(folder, run, kernels, out):
    write_page(folder, "01_a", minutes=3)
    run(parameters={"profile": "smoke"})
    facts = run_facts(nbformat.read(out / "01_a.ipynb", as_version=4))
    assert facts["parameters"] == {"profile": "smoke", "seed": 0}
    assert facts["seconds"] == 1.0
    assert len(facts["key"]) == 64
    assert run()["01_a"].state == "run"  # another profile, another page


TARGETS = {"contract": {"files": {"targets.json": {}}}}


@pytest.fixture
def chain(folder, kernels, tmp_path, monkeypatch):
    """A page that leaves its target in the cache, one that shows the target it finds there, and the cache."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("ML4OPS_CACHE", str(cache))

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
    write_page(folder, "01_a", "leave 1", **TARGETS)
    write_page(folder, "02_b", "show", after=["01_a"])
    return cache


def shown(out):
    return nbformat.read(out / "02_b.ipynb", as_version=4).cells[2].outputs[0].text


def test_a_file_left_by_a_failed_run_reaches_no_other_page(chain, folder, run, out):
    run()
    write_page(folder, "01_a", "leave 2 fail", **TARGETS)
    assert states(run()) == {"01_a": "failed", "02_b": "skipped"}
    write_page(folder, "01_a", "leave 1", **TARGETS)
    write_page(folder, "02_b", "show it", after=["01_a"])
    assert states(run()) == {"01_a": "run", "02_b": "run"}
    assert shown(out) == "1"


@pytest.mark.parametrize("where", ["another", "emptied", "changed"])
def test_a_page_runs_again_where_its_files_are_not_those_of_its_run(chain, run, tmp_path, monkeypatch, where):
    run()
    if where == "another":
        monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path / "cache_2"))
    elif where == "emptied":
        (chain / "targets.json").unlink()
    else:
        (chain / "targets.json").write_text("3")
    assert states(run()) == {"01_a": "run", "02_b": "unchanged"}
    assert states(run()) == {"01_a": "unchanged", "02_b": "unchanged"}


def test_a_page_run_alone_on_changed_files_is_run_again_with_the_page_before_it(chain, run, out):
    run()
    (chain / "targets.json").write_text("3")
    assert states(run(["02_b"])) == {"02_b": "run"}
    assert states(run(["02_b"])) == {"02_b": "unchanged"}
    assert states(run()) == {"01_a": "run", "02_b": "run"}
    assert shown(out) == "1"


@pytest.mark.parametrize("cell", [1, 2])
def test_outputs_that_were_cleared_or_changed_are_made_again(folder, run, kernels, out, cell):
    write_page(folder, "01_a", "x = 1")
    run()
    page = nbformat.read(out / "01_a.ipynb", as_version=4)
    page.cells[cell].outputs = []
    nbformat.write(page, out / "01_a.ipynb")
    assert states(run()) == {"01_a": "run"}


@pytest.mark.parametrize(
    ("lock", "message"),
    [(".out.lock", "out: another run works there"), ("cache/.run.lock", "cache: another run uses this cache")],
)
def test_two_runs_never_share_a_folder_or_a_cache(chain, run, kernels, tmp_path, lock, message):
    (tmp_path / lock).parent.mkdir(exist_ok=True)
    with FileLock(tmp_path / lock), pytest.raises(PageError, match=message):
        run()
    assert kernels.started == []
    assert states(run()) == {"01_a": "run", "02_b": "run"}


def test_pages_that_share_no_files_need_no_cache_of_their_own(folder, run, kernels, tmp_path, monkeypatch):
    monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path))
    write_page(folder, "01_a")
    with FileLock(tmp_path / ".run.lock"):
        assert states(run()) == {"01_a": "run"}


def test_a_page_that_can_not_be_published_any_more_fails_and_the_others_run(folder, run, kernels):
    write_page(folder, "01_a", "x = 1")
    write_page(folder, "02_b", "y = 1", after=["01_a"])
    write_page(folder, "03_c", "z = 1")
    run()
    write_page(folder, "01_a", ("x = 1", "exercise"))
    write_page(folder, "02_b", "y = 2", after=["01_a"])
    write_page(folder, "03_c", "z = 2")
    outcomes = run()
    assert states(outcomes) == {"01_a": "failed", "02_b": "skipped", "03_c": "run"}
    assert outcomes["01_a"].message.startswith("01_a.ipynb, cell 3 is tagged 'exercise', but no line of it begins with")


def test_a_page_that_finds_no_room_fails_and_the_others_run(folder, run, kernels, monkeypatch):
    def write(notebook, path):
        if path.name == "01_a.ipynb":
            raise OSError(28, "No space left on device")
        write_notebook(notebook, path)

    write_notebook = runner.write_notebook
    monkeypatch.setattr(runner, "write_notebook", write)
    write_page(folder, "01_a")
    write_page(folder, "02_b")
    outcomes = run(jobs=1)
    assert states(outcomes) == {"01_a": "failed", "02_b": "run"}
    assert outcomes["01_a"].message == "01_a.ipynb: can't be written: [Errno 28] No space left on device"
