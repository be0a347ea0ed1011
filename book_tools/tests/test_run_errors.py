"""No silent success: each staged fault is found and put in the words it should be; a sound page raises no alarm."""

import json
import os
import re
import time

import nbformat
import pytest
from book_tools.pages import PageError, load_page
from staged import AROUND_THE_RUN, CELLS, CONTRACT, GOOD, IN_A_KERNEL, IN_THE_RUN, IN_THE_SOURCE, RECORD_MIME, executed
from tiny_pages import write_page

from book_tools import runner


def same(message, expected):
    """Whether a message is the expected one, in which ``*`` stands for any text."""
    return re.fullmatch(re.escape(expected).replace(r"\*", ".*"), message, re.DOTALL)


def names(table):
    return [row[0] for row in table]


@pytest.fixture
def page(tmp_path, monkeypatch):
    """The sound page, the file it leaves in the cache included."""
    monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "targets.json").write_text(GOOD)
    return write_page(tmp_path / "notebooks", "01_a", *CELLS, contract=CONTRACT)


@pytest.fixture
def outcome(page, run, kernels):
    """Run the sound page with a pretended kernel; ``edit`` changes what it leaves."""

    def run_page(edit=lambda done: None, seconds=3.0, megabytes=900.0):
        def leave(notebook, parameters):
            done = executed(notebook, parameters)
            edit(done)
            return done

        kernels.leave, kernels.seconds, kernels.peak_mb = leave, seconds, megabytes
        return run()["01_a"]

    return run_page


def test_the_sound_page_is_sound(outcome, tmp_path):
    assert (outcome().state, outcome().state) == ("run", "unchanged")
    assert nbformat.read(tmp_path / "out" / "01_a.ipynb", as_version=4).metadata.ml4ops.run.peak_mb == 900


@pytest.mark.parametrize(("change", "given", "message"), [row[1:] for row in IN_THE_SOURCE], ids=names(IN_THE_SOURCE))
def test_a_fault_in_the_source_is_found_before_anything_runs(tmp_path, run, kernels, change, given, message):
    change = {"contract": CONTRACT, "cells": CELLS} | change
    write_page(tmp_path / "notebooks", "01_a", *change.pop("cells"), **change)
    with pytest.raises(PageError) as raised:
        run(parameters=given)
    assert same(str(raised.value), message), str(raised.value)
    assert kernels.started == []


@pytest.mark.parametrize(("edit", "message"), [row[1:] for row in IN_THE_RUN], ids=names(IN_THE_RUN))
def test_a_fault_in_what_a_run_left_is_found(outcome, tmp_path, edit, message):
    found = outcome(edit)
    assert (found.state, found.message) == ("failed", message)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["01_a.failed.ipynb"]


@pytest.mark.parametrize(
    ("content", "seconds", "megabytes", "message"), [row[1:] for row in AROUND_THE_RUN], ids=names(AROUND_THE_RUN)
)
def test_a_broken_promise_about_files_time_or_memory_is_found(outcome, tmp_path, content, seconds, megabytes, message):
    left = tmp_path / "cache" / "targets.json"
    if content is None:
        left.unlink()
    else:
        left.write_text(GOOD if content == "old" else content)
    if content == "old":
        os.utime(left, (time.time() - 3600, time.time() - 3600))
    found = outcome(seconds=seconds, megabytes=megabytes)
    assert found.state == "failed"
    assert same(found.message, message), found.message


def test_every_broken_clause_has_its_line(outcome):
    def edit(done):
        done.cells[2].outputs = []
        done.cells[4].outputs[0].data[RECORD_MIME]["metrics"] = {"water IoU": 0.2}

    assert outcome(edit, seconds=99).message.splitlines() == [
        "01_a.ipynb: contract, metric 'verdict': found none, wanted 'pass'",
        "01_a.ipynb, cell 4: contract, metric 'water IoU': found 0.2, wanted 0.5 to 1",
        "01_a.ipynb: contract, figures: found 0, wanted at least 1",
        "01_a.ipynb: contract, seconds at profile lecture: found 99, wanted at most 60",
    ]


def test_a_quick_run_is_judged_by_its_own_limits(page, run, kernels):
    def leave(notebook, parameters):
        done = executed(notebook, parameters)
        done.cells[4].outputs[0].data[RECORD_MIME]["metrics"]["water IoU"] = 0.2
        return done

    kernels.leave = leave
    assert run(parameters={"profile": "smoke"})["01_a"].state == "run"
    assert run(parameters={"profile": "lecture"})["01_a"].state == "failed"


def test_old_outputs_do_not_pass_under_a_new_contract(outcome, tmp_path, kernels):
    assert outcome().state == "run"
    stricter = CONTRACT | {"metrics": {"water IoU": {"min": 0.9}}}
    write_page(tmp_path / "notebooks", "01_a", *CELLS, contract=stricter)
    assert outcome().message == "01_a.ipynb, cell 4: contract, metric 'water IoU': found 0.75, wanted at least 0.9"
    assert kernels.started == ["01_a", "01_a"]


@pytest.fixture(scope="module")
def broken_runs(tmp_path_factory):
    """What became of each notebook that breaks in a kernel."""
    folder = tmp_path_factory.mktemp("faults")
    pages = [load_page(write_page(folder / "notebooks", name, *cells)) for name, cells, _ in IN_A_KERNEL]
    outcomes = runner.run_pages(pages, {}, folder / "out", jobs=2, cell_timeout=8, lock=folder / "none")
    return {o.page: o for o in outcomes}


@pytest.mark.parametrize(("name", "message"), [(row[0], row[2]) for row in IN_A_KERNEL], ids=names(IN_A_KERNEL))
def test_a_fault_in_a_kernel_is_found(broken_runs, name, message):
    found = broken_runs[name]
    assert found.state == "failed"
    assert same(found.message, f"{name}.ipynb, {message}"), found.message


HARMLESS = """import sys, warnings

sys.stderr.write('\\r 50%|█████     | 1/2 [00:00<00:00,  9.1it/s]\\r100%|██████████| 2/2 [00:00<00:00,  9.1it/s]\\n')
sys.stderr.write('Matplotlib is building the font cache; this may take a moment.\\n')
sys.stderr.write('2026/01/01 10:00:00 INFO mlflow.store.db.utils: Creating initial MLflow database tables...\\n')
warnings.filterwarnings('ignore')
warnings.warn('said and known')"""
BACKGROUND = """import asyncio
import multiprocessing
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor()
job = pool.submit(int, 'water')
assert 'water' in str(job.exception())
with multiprocessing.get_context('fork').Pool(1) as others:
    assert others.map(abs, [-1]) == [1]
waits = asyncio.create_task(asyncio.sleep(600))"""
SOUND = (
    "import random, time\nfrom IPython.display import display\n\nstarted = time.perf_counter()\nrandom.seed(seed)",
    HARMLESS,
    BACKGROUND,
    "assert (\n    seed\n    != 3\n), '!'\nseed == 5",
    "try:\n    int('water')\nexcept ValueError as error:\n    print(error)",
    "time.sleep(0.01)\nmetrics = {'water IoU': 0.7 + 0.1 * random.random(), 'verdict': 'pass'}",
    "record = {'page': '01_a', 'profile': profile, 'seed': seed, 'metrics': metrics}\n"
    "record['seconds'] = time.perf_counter() - started\n"
    f"display({{'text/plain': 'done', {RECORD_MIME!r}: record}}, raw=True)",
)


def test_twenty_repeats_raise_no_alarm_and_give_equal_metrics(tmp_path):
    promised = {"contract": CONTRACT | {"figures": 0, "files": {}}}
    pages = [load_page(write_page(tmp_path / "notebooks", f"{n:02}_a", *SOUND, **promised)) for n in range(1, 21)]
    outcomes = runner.run_pages(pages, {"seed": 5}, tmp_path / "out", jobs=2, lock=tmp_path / "none")
    assert [(o.state, o.message) for o in outcomes] == [("run", "")] * 20
    assert len({json.dumps(o.facts["record"]["metrics"]) for o in outcomes}) == 1
    assert 0.7 < outcomes[0].facts["record"]["metrics"]["water IoU"] < 0.8


def test_there_are_enough_faults():
    assert len({*names(IN_THE_SOURCE), *names(IN_THE_RUN), *names(AROUND_THE_RUN), *names(IN_A_KERNEL)}) >= 30
