"""Real kernels: few, because each takes seconds."""

import os
import signal
import subprocess
import sys
import time

import nbformat
import psutil
import pytest
import yaml
from book_tools.execute import _last_words
from book_tools.pages import as_yaml
from tiny_pages import write_page

GOOD = (
    ("from ml4ops_helpers import lesson as lessons\n\nlesson = lessons.start('01_a', profile, seed)", "setup"),
    "import sys\nfrom pathlib import Path\n\nfrom tqdm import tqdm",
    "for _ in tqdm(range(3)):\n    pass\nprint('OMP: Info #276: omp_set_nested routine deprecated', file=sys.stderr)",
    "print(list(Path().iterdir()))",
    "import os\n\nprint(os.environ['OMP_NUM_THREADS'], os.environ['ML4OPS_CACHE'])",
    "import matplotlib.pyplot as plt\n\nfig, ax = plt.subplots()\nax.plot([0, 1])\n"
    "lesson.figure(fig, alt='A line that rises from zero to one.')",
    "lesson.metric('water IoU', 0.5)\nlesson.finish()",
)


def test_a_page_runs_in_its_own_folder_with_its_parameters(tmp_path, run, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ML4OPS_CACHE", "cache")
    monkeypatch.setenv("MPLBACKEND", "agg")  # as on test servers: the figure must show all the same
    write_page(tmp_path / "notebooks", "01_a", *GOOD)
    outcome = run(parameters={"profile": "smoke"})["01_a"]
    assert (outcome.state, outcome.message) == ("run", "")
    page = nbformat.read(tmp_path / "out" / "01_a.ipynb", as_version=4)
    assert page.cells[5].outputs[0].text == "[]\n"
    assert page.cells[6].outputs[0].text.split()[1] == str(tmp_path / "cache")
    assert page.cells[7].metadata.mystnb.image.alt == "A line that rises from zero to one."
    assert [list(o.data) for o in page.cells[7].outputs] == [["image/png", "text/plain"]]
    assert page.cells[8].outputs[1].data["text/plain"].startswith("01_a: profile smoke, ")
    assert page.metadata.ml4ops.run.record.metrics == {"water IoU": 0.5}
    assert page.cells[4].outputs == []
    kept = (tmp_path / "out" / "01_a.stderr.txt").read_text()
    assert kept.endswith("deprecated\n")
    assert "it/s" not in kept  # no progress bar


@pytest.mark.parametrize("tag", [(), ("raises-exception",)])
def test_an_exception_fails_the_page_whatever_its_tags(tmp_path, run, tag):
    write_page(tmp_path / "notebooks", "01_a", "# Divide", ("a = 0\nb = 1 / a", *tag), "print(1)")
    outcome = run()["01_a"]
    assert outcome.state == "failed"
    assert outcome.message == "01_a.ipynb, cell 4, line 2 `b = 1 / a`: ZeroDivisionError: division by zero"
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["01_a.failed.ipynb"]


def test_an_early_exit_a_dead_kernel_and_an_endless_cell_fail_the_page(tmp_path, run):
    write_page(tmp_path / "notebooks", "01_exit", "import sys\n\nsys.exit()", "x = 1")
    write_page(tmp_path / "notebooks", "02_dead", "import os\n\nos._exit(0)")
    write_page(tmp_path / "notebooks", "03_endless", "while True:\n    pass")
    deaf = "import signal\nimport time\n\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(300)"
    write_page(tmp_path / "notebooks", "04_deaf", deaf)
    messages = {name: o.message for name, o in run(jobs=4, cell_timeout=3).items()}
    assert messages["01_exit"].startswith("01_exit.ipynb, cell 3: SystemExit")
    assert messages["02_dead"] == "02_dead.ipynb, cell 3: nbclient.exceptions.DeadKernelError: Kernel died"
    assert messages["03_endless"].startswith("03_endless.ipynb, cell 3, line ")
    assert "timed out" in messages["03_endless"]
    assert "timed out" in messages["04_deaf"]


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX systems")
def test_a_killed_run_leaves_no_kernel(tmp_path):
    pid_file = tmp_path / "pid"
    source = f"import os, time\n\nopen({str(pid_file)!r}, 'w').write(str(os.getpid()))\ntime.sleep(300)"
    write_page(tmp_path / "notebooks", "01_a", source)
    command = [sys.executable, "-c", "import sys; from ml4ops_helpers.cli import main; sys.exit(main())", "run"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + 60
        while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < until:
            time.sleep(0.05)
        kernel = psutil.Process(int(pid_file.read_text()))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 130
        assert process.stderr.read() == "interrupted\n"
    psutil.wait_procs([kernel], timeout=10)
    assert not kernel.is_running()


VALUES = {
    "small": 1e-5,
    "large": 1e22,
    "least": 5e-324,
    "whole": 2**70,
    "off": -0.0,
    "fast": True,
    "wave": "🌊 \u2028\x85\x1b",
    "empty": "",
    **{f"text {text}": text for text in ("yes", "12:30", "1e5", "1e-05", "null", "2026-01-01", "007", "a: b\n ")},
}


def test_parameters_reach_papermill_as_they_are():
    from papermill.cli import NoDatesSafeLoader  # what reads them there

    read = yaml.load(as_yaml(VALUES), Loader=NoDatesSafeLoader)
    assert {name: repr(value) for name, value in read.items()} == {name: repr(value) for name, value in VALUES.items()}


def test_parameters_reach_the_page_as_they_are(tmp_path, run):
    values = {"rate": 1e-5, "word": "🌊", "count": 2**70, "hour": "12:30"}
    declared = "\n".join(f"{name}: {type(value).__name__} = {value!r}" for name, value in values.items())
    write_page(tmp_path / "notebooks", "01_a", f"print({', '.join(values)})", parameters=(declared,))
    outcome = run(parameters={"rate": 2e-7})["01_a"]
    assert (outcome.state, outcome.message) == ("run", "")
    page = nbformat.read(tmp_path / "out" / "01_a.ipynb", as_version=4)
    assert page.cells[2].outputs[0].text == f"2e-07 🌊 {2**70} 12:30\n"
    assert all("ml4ops" not in cell.source for cell in page.cells[:3])


def test_papermill_that_was_killed_could_not_tell_why():
    log = "[IPKernelApp] WARNING | Kernel is running over TCP without encryption.\n"
    assert _last_words(log, -9) == _last_words("trouble\n", -9) == "it was killed"
    assert _last_words(f"trouble\n{log}", 1) == "trouble"
    assert _last_words(f"nbclient.exceptions.DeadKernelError: Kernel died\n{log}", -9).endswith("Kernel died")
