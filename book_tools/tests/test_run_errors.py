"""No silent success: each staged error is found and reported; a sound page raises no alarm."""

import json
import os
import re
import time

import nbformat
import pytest
from book_tools.pages import PageError, load_page
from staged import AROUND_THE_RUN, CELLS, CONTRACT, GOOD, IN_A_KERNEL, IN_THE_RUN, IN_THE_SOURCE, executed
from tiny_pages import write_page

from book_tools import runner
from ml4ops_helpers import RECORD_MIME


def check(message, expected, page="01_a"):
    """Compare a message with the expected one, in which ``*`` stands for any text."""
    pattern = re.escape(expected if expected.startswith("*") else f"{page}.ipynb{expected}").replace(r"\*", ".*")
    assert re.fullmatch(pattern, message, re.DOTALL), message


def rows(table):
    return [pytest.param(*row[1:], id=row[0]) for row in table]


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

    def run_page(edit=lambda done: None, seconds=3.0, megabytes=900.0, **parameters):
        def leave(notebook, parameters):
            done = executed(notebook, parameters)
            edit(done)
            return done

        kernels.leave, kernels.seconds, kernels.peak_mb = leave, seconds, megabytes
        return run(parameters=parameters)["01_a"]

    return run_page


def test_the_sound_page_is_sound(outcome, tmp_path):
    assert (outcome().state, outcome().state) == ("run", "unchanged")
    assert nbformat.read(tmp_path / "out" / "01_a.ipynb", as_version=4).metadata.ml4ops.run.peak_mb == 900


@pytest.mark.parametrize(("change", "given", "message"), rows(IN_THE_SOURCE))
def test_an_error_in_the_source_is_found_before_anything_runs(tmp_path, run, kernels, change, given, message):
    change = {"contract": CONTRACT, "cells": CELLS} | change
    write_page(tmp_path / "notebooks", "01_a", *change.pop("cells"), **change)
    with pytest.raises(PageError) as raised:
        run(parameters=given)
    check(str(raised.value), message)
    assert kernels.started == []


@pytest.mark.parametrize(("edit", "message"), rows(IN_THE_RUN))
def test_an_error_in_what_a_run_left_is_found(outcome, tmp_path, edit, message):
    found = outcome(edit)
    assert found.state == "failed"
    check(found.message, message)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["01_a.failed.ipynb"]


@pytest.mark.parametrize(("content", "seconds", "megabytes", "message"), rows(AROUND_THE_RUN))
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
    check(found.message, message)


def low(done):
    done.cells[4].outputs[0].data[RECORD_MIME]["metrics"]["water IoU"] = 0.2


def test_every_broken_clause_has_its_line(outcome):
    def edit(done):
        low(done)
        done.cells[2].outputs = []

    lines = outcome(edit, seconds=99).message.splitlines()
    for line, clause in zip(lines, ("water IoU", "figures", "seconds"), strict=True):
        check(line, f"*contract, *{clause}*")


def test_a_quick_run_is_judged_by_its_own_limits(outcome):
    assert outcome(low, profile="smoke").state == "run"
    assert outcome(low, profile="lecture").state == "failed"


def test_a_busy_machine_breaks_no_contract(outcome, kernels):
    kernels.effective_seconds = 50.0
    assert outcome(seconds=600.0).state == "run"


def test_old_outputs_do_not_pass_under_a_new_contract(outcome, tmp_path, kernels):
    assert outcome().state == "run"
    stricter = CONTRACT | {"metrics": {"water IoU": {"min": 0.9}}}
    write_page(tmp_path / "notebooks", "01_a", *CELLS, contract=stricter)
    check(outcome().message, ", cell 4: contract, *'water IoU'*0.75*0.9")
    assert kernels.started == ["01_a", "01_a"]


@pytest.fixture(scope="module")
def broken_runs(tmp_path_factory):
    """What became of each notebook that breaks in a kernel."""
    folder = tmp_path_factory.mktemp("errors")
    pages = [load_page(write_page(folder / "notebooks", name, *cells)) for name, cells, _ in IN_A_KERNEL]
    outcomes = runner.run_pages(pages, {}, folder / "out", jobs=2, lock=folder / "none")
    return {o.page: o for o in outcomes}


@pytest.mark.parametrize(("name", "message"), [(row[0], row[2]) for row in IN_A_KERNEL])
def test_an_error_in_a_kernel_is_found(broken_runs, name, message):
    assert broken_runs[name].state == "failed"
    check(broken_runs[name].message, message, name)


HARMLESS = """import sys, warnings

sys.stderr.write('\\r 50%|█████     | 1/2 [00:00<00:00,  9.1it/s]\\r100%|██████████| 2/2 [00:00<00:00,  9.1it/s]\\n')
sys.stderr.write('Matplotlib is building the font cache; this may take a moment.\\n')
sys.stderr.write('2026/01/01 10:00:00 INFO mlflow.store.db.utils: Creating initial MLflow database tables...\\n')
warnings.filterwarnings('ignore')
warnings.warn('said and known')"""
BACKGROUND = """import asyncio
import multiprocessing
from concurrent.futures import ThreadPoolExecutor

job = ThreadPoolExecutor().submit(int, 'water')
assert 'water' in str(job.exception())
reports = multiprocessing.get_context('fork').Process(target=sys.exit, args=(1,))  # as a library's statistics do
reports.start()
reports.join()
waits = asyncio.create_task(asyncio.sleep(600))"""
SOUND = (
    "import random, time\nfrom IPython.display import display\n\nstarted = time.perf_counter()\nrandom.seed(seed)",
    HARMLESS,
    BACKGROUND,
    "try:\n    int('water')\nexcept ValueError as error:\n    print(error)",
    "time.sleep(0.01)\nmetrics = {'water IoU': 0.7 + 0.1 * random.random(), 'verdict': 'pass'}",
    "record = {'page': '01_a', 'profile': profile, 'seed': seed, 'metrics': metrics}\n"
    "record['seconds'] = time.perf_counter() - started\n"
    f"display({{'text/plain': 'done', {RECORD_MIME!r}: record}}, raw=True)",
)


def test_repeats_raise_no_alarm_and_give_equal_metrics(tmp_path):
    promised = {"contract": CONTRACT | {"figures": 0, "files": {}}}
    pages = [load_page(write_page(tmp_path / "notebooks", f"{n:02}_a", *SOUND, **promised)) for n in range(1, 9)]
    outcomes = runner.run_pages(pages, {"seed": 5}, tmp_path / "out", jobs=2, lock=tmp_path / "none")
    assert [(o.state, o.message) for o in outcomes] == [("run", "")] * 8
    assert len({json.dumps(o.facts["record"]["metrics"]) for o in outcomes}) == 1
    assert 0.7 < outcomes[0].facts["record"]["metrics"]["water IoU"] < 0.8
