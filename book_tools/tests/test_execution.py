"""Real kernels: few, because each takes seconds."""

import os
import signal
import subprocess
import sys
import time

import nbformat
import psutil
import pytest
from book_tools.execute import Run
from book_tools.pages import PageError, load_page
from tiny_pages import write_page

pytestmark = pytest.mark.skipif(os.name == "nt", reason="pages run on POSIX systems")

GOOD = (
    ("from ml4ops_helpers import lesson as lessons\n\nlesson = lessons.start('01_a', profile, seed)", "setup"),
    "import sys\nfrom pathlib import Path\n\nfrom tqdm import tqdm",
    "for _ in tqdm(range(3)):\n    pass\nprint('OMP: Info #276: omp_set_nested routine deprecated', file=sys.stderr)",
    "print(list(Path().iterdir()))",
    "import os\n\nprint(os.environ['OMP_NUM_THREADS'], os.environ['ML4OPS_CACHE'])",
    "from matplotlib.figure import Figure  # nothing on this page loads pyplot\n\nfig = Figure()\n"
    "fig.subplots().plot([0, 1])\n"
    "lesson.figure(fig, alt='A line that rises from zero to one.')",
    "lesson.metric('water IoU', 0.5)\nlesson.finish()",
)


def read(folder, name="01_a"):
    return nbformat.read(folder / "out" / f"{name}.ipynb", as_version=4)


def wait_until(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    assert condition()


def test_a_page_runs_in_its_own_folder_with_its_parameters(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ML4OPS_CACHE", "cache")
    monkeypatch.setenv("MPLBACKEND", "agg")  # as on test servers: the figure must show all the same
    write_page(tmp_path / "notebooks", "01_a", *GOOD)
    outcome = run(parameters={"profile": "smoke"})["01_a"]
    assert (outcome.state, outcome.message) == ("run", "")
    page = read(tmp_path)
    assert page.cells[5].outputs[0].text == "[]\n"
    assert page.cells[6].outputs[0].text.split()[1] == str(tmp_path / "cache")
    assert page.cells[7].metadata.mystnb.image.alt == "A line that rises from zero to one."
    assert [list(o.data) for o in page.cells[7].outputs] == [["image/png", "text/plain"]]
    assert page.cells[8].outputs[1].data["text/plain"].startswith("01_a: profile smoke, ")
    assert page.metadata.ml4ops.run.record.metrics == {"water IoU": 0.5}
    assert page.metadata.ml4ops.run.peak_mb > 50
    assert page.cells[4].outputs == []
    kept = (tmp_path / "out" / "01_a.stderr.txt").read_text()
    assert kept.endswith("deprecated\n")
    assert "it/s" not in kept  # no progress bar


def test_parameters_reach_the_page_as_they_are(tmp_path, run):
    values = {"rate": 1e-5, "word": "🌊 \u2028\x85\x1b", "count": 2**70, "hour": "12:30", "off": -0.0, "least": 5e-324}
    declared = "\n".join(f"{name}: {type(value).__name__} = {value!r}" for name, value in values.items())
    write_page(tmp_path / "notebooks", "01_a", f"print({', '.join(values)}, sep='|')", parameters=(declared,))
    outcome = run(parameters={"rate": 2e-7})["01_a"]
    assert (outcome.state, outcome.message) == ("run", "")
    page = read(tmp_path)
    assert page.cells[2].outputs[0].text == f"2e-07|🌊 \u2028\x85\x1b|{2**70}|12:30|-0.0|5e-324\n"


def test_memory_counts_what_a_page_starts(tmp_path):
    hold = "import subprocess, sys, time\n\nhold = 'import time; x = bytearray(200_000_000); print(); time.sleep(60)'"
    start = "held = [subprocess.Popen([sys.executable, '-c', hold], stdout=subprocess.PIPE) for _ in range(2)]"
    wait = "for process in held:\n    process.stdout.readline()\n\ntime.sleep(2)"
    page = load_page(write_page(tmp_path, "01_a", hold, start, wait))
    run = Run(page, page.defaults, 1, 60)
    wait_until(run.done)
    assert run.result()[1] == ""
    assert 400 < run.peak_mb < 1000


CELL_TIMEOUT = 4
TIMED = {
    "slow": "import time\n\nstarted = time.perf_counter()\nwhile time.process_time() < 4:\n    pass\n"
    "print(time.perf_counter() - started)",
    "hangs": "import time\n\ntime.sleep(600)",
    "endless": "while True:\n    pass",
    "deaf": "import signal, time\n\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(600)",
}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs two cores of its own, as Linux gives them")
def test_a_busy_machine_fails_no_page_and_a_page_that_hangs_or_never_ends_is_stopped(tmp_path, run):
    for name, source in TIMED.items():
        write_page(tmp_path / "notebooks", name, source)
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cores)[:2])
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4)]
    try:
        outcomes = run(jobs=4, cell_timeout=CELL_TIMEOUT)
    finally:
        os.sched_setaffinity(0, cores)
        for loop in loops:
            loop.kill()
            loop.wait()
    assert outcomes["slow"].message == ""
    assert float(read(tmp_path, "slow").cells[2].outputs[0].text) > CELL_TIMEOUT
    assert outcomes["slow"].facts["effective_seconds"] < outcomes["slow"].seconds
    for name in ("hangs", "endless", "deaf"):
        assert outcomes[name].message.startswith(f"{name}.ipynb, cell 3")
        assert f"timed out: more than {CELL_TIMEOUT} s" in outcomes[name].message
        assert "imports included; give it more seconds with --cell-timeout" in outcomes[name].message
    assert "line 3 `time.sleep(600)`" in outcomes["hangs"].message


def test_a_page_whose_process_is_killed_fails(tmp_path):
    page = load_page(write_page(tmp_path, "01_a", "import time\n\ntime.sleep(300)"))
    run = Run(page, page.defaults, 1, 60)
    run._worker.kill()
    wait_until(run.done)
    with pytest.raises(PageError, match=r"01_a\.ipynb: .*killed"):
        run.result()


BUSY = """
import subprocess, time
from pathlib import Path

subprocess.Popen(["sleep", "300"], start_new_session=True)
subprocess.run("setsid sleep 300 &", shell=True)
Path({ready!r}).touch()
time.sleep(300)
"""
COMMAND = [sys.executable, "-c", "import sys; from book_tools.commands import main; sys.exit(main())", "run"]


def marked(mark):
    """Processes that have, or began with, a variable."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("ML4OPS_MARK") == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a worker does not find what it left behind")
def test_of_a_worker_that_is_killed_nothing_is_left(tmp_path, monkeypatch):
    ready, mark = tmp_path / "ready", str(tmp_path)
    page = load_page(write_page(tmp_path, "01_a", BUSY.format(ready=str(ready))))
    monkeypatch.setenv("ML4OPS_MARK", mark)
    run = Run(page, page.defaults, 1, 60)
    wait_until(ready.exists)
    assert len(marked(mark)) >= 4  # worker, kernel, and the two that the page has started
    run._worker.kill()
    wait_until(run.done)
    assert run.result()[1] == "its process was killed"
    wait_until(lambda: not marked(mark), 10)


@pytest.mark.parametrize(("sent", "code", "said"), [("SIGKILL", -9, ""), ("SIGTERM", 130, "interrupted\n")])
def test_of_a_run_that_is_killed_or_stopped_nothing_is_left_but_what_was_finished(tmp_path, sent, code, said):
    ready, mark = tmp_path / "ready", str(tmp_path)
    write_page(tmp_path / "notebooks", "01_a", "print(1)")
    write_page(tmp_path / "notebooks", "02_b", BUSY.format(ready=str(ready)))
    (tmp_path / "tmp").mkdir()
    done = tmp_path / "_build" / "notebooks" / "01_a.ipynb"
    settings = {"env": os.environ | {"ML4OPS_MARK": mark, "TMPDIR": str(tmp_path / "tmp")}, "cwd": tmp_path}
    with subprocess.Popen([*COMMAND, "--jobs", "2"], stderr=subprocess.PIPE, text=True, **settings) as process:
        wait_until(lambda: ready.exists() and done.exists(), 120)
        if sys.platform == "linux":
            assert len(marked(mark)) >= 5  # runner, worker, kernel, and the two that the page has started
        process.send_signal(getattr(signal, sent))
        assert (process.wait(30), process.stderr.read()) == (code, said)
    wait_until(lambda: not marked(mark), 10)
    wait_until(lambda: not list((tmp_path / "tmp").glob("ml4ops-*")), 5)
    write_page(tmp_path / "notebooks", "02_b", "print(2)")
    again = subprocess.run(COMMAND, capture_output=True, text=True, check=True, **settings)
    assert [line.split()[0] for line in again.stdout.splitlines()[:2]] == ["unchanged", "run"]
