"""Which pages run, when, with how many threads, and what is left behind. No kernel is started here."""

import nbformat
import pytest
from tiny_pages import write_page

from ml4ops_helpers.press import runner
from ml4ops_helpers.press.jobs import run_facts
from ml4ops_helpers.press.pages import PageError


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
