"""Pages run under a process of their own: what they share, what they don't, and that nothing of them stays behind."""

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest
from book_tools.execute import Run, heavy_modules
from book_tools.forking import Order
from book_tools.keeper import LOST, Keeper
from book_tools.pages import PageError, load_page
from book_tools.processes import end_family
from tiny_pages import write_page

from book_tools import forking

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")

TRAIN = (
    "import os\nimport sys\n\nimport matplotlib.pyplot as plt\nimport numpy as np\nimport torch",
    "torch.manual_seed(seed)\nparts = torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 1, 3)\n"
    "model = torch.nn.Sequential(*parts)\n"
    "rng = np.random.default_rng(seed)\nx = torch.tensor(rng.normal(size=(4, 3, 48, 48)), dtype=torch.float32)\n"
    "best = torch.optim.Adam(model.parameters(), 0.01)",
    "for _ in range(5):\n    best.zero_grad()\n    loss = (model(x) - x[:, :1, 2:-2, 2:-2]).square().mean()\n"
    "    loss.backward()\n    best.step()\n\nspread = np.linalg.svd(x[0, 0].numpy())[1].sum()\n"
    "print(loss.item().hex(), spread.item().hex())",
    "print(torch.get_num_threads(), os.environ['OMP_NUM_THREADS'], os.listdir('.'), sys.path)",
    "plt.plot([1, 2, 4]);",
    "os.write(2, b'written past Python\\n')\ntime = __import__('time')\ntime.sleep(0.3)",
)


def finish(run, seconds=60):
    until = time.monotonic() + seconds
    while not run.done() and time.monotonic() < until:
        time.sleep(0.02)
    assert run.done()
    return run.result()


def outputs(notebook):
    return [
        [(o.get("name"), o.get("text"), o.get("data")) for o in c.outputs] for c in notebook.cells if "outputs" in c
    ]


def test_a_forked_kernel_gives_what_a_new_one_gives(tmp_path):
    page = load_page(write_page(tmp_path, "01_a", *TRAIN))
    new = Run(page, page.defaults, 2, 60)
    with Keeper() as keeper:
        forked = Run(page, page.defaults, 2, 60, keeper=keeper)
        found = outputs(finish(forked)[0])
        assert keeper.doubt == ""
    assert found == outputs(finish(new)[0])
    assert found[5][0][1].startswith("2 2 ")
    assert forked.peak_mb > 100


def test_pages_share_nothing_but_what_is_imported(tmp_path):
    first = write_page(tmp_path, "01_a", "import os\n\nimport numpy as np", "np.ours = 1\nos.environ['OURS'] = '1'")
    ask = (
        "import os\n\nimport numpy as np",
        "print(hasattr(np, 'ours'), 'OURS' in os.environ, os.getppid(), np.random.rand())",
    )
    pages = [load_page(first), *(load_page(write_page(tmp_path, name, *ask)) for name in ("02_b", "03_c"))]
    with Keeper() as keeper:
        found = [finish(Run(page, page.defaults, 1, 60, keeper=keeper))[0] for page in pages]
    said = [n.cells[-1].outputs[0].text.split() for n in found[1:]]
    assert [words[:2] for words in said] == [["False", "False"]] * 2
    assert said[0][2] != said[1][2]  # papermill, too, is of each page's own
    assert said[0][3] != said[1][3]


def test_a_page_has_no_helper_that_another_page_imports(tmp_path):
    ask = (
        "import sys\n\nimport ml4ops_helpers",
        "print(hasattr(ml4ops_helpers, 'metrics'))\n"
        "print([m for m in sys.modules if m.startswith('ml4ops')], 'numpy' in sys.modules)",
    )
    first = load_page(write_page(tmp_path, "01_a", "from ml4ops_helpers.metrics import np"))
    second = load_page(write_page(tmp_path, "02_b", *ask))
    with Keeper() as keeper:
        finish(Run(first, first.defaults, 1, 60, keeper=keeper))
        told = finish(Run(second, second.defaults, 1, 60, keeper=keeper))[0].cells[-1].outputs[0].text
        assert keeper.doubt == ""
    assert told.splitlines() == ["False", "['ml4ops_helpers'] True"]


def test_memory_counts_what_a_page_starts(tmp_path):
    hold = "import subprocess, sys, time\n\nhold = 'import time; x = bytearray(200_000_000); print(); time.sleep(60)'"
    start = "held = [subprocess.Popen([sys.executable, '-c', hold], stdout=subprocess.PIPE) for _ in range(2)]"
    wait = "for process in held:\n    process.stdout.readline()\n\ntime.sleep(1)"
    page = load_page(write_page(tmp_path, "01_a", hold, start, wait))
    with Keeper() as keeper:
        run = Run(page, page.defaults, 1, 60, keeper=keeper)
        finish(run)
    assert 400 < run.peak_mb < 1000


def test_imports_that_are_not_quiet_or_start_threads_give_ordinary_kernels(tmp_path, monkeypatch):
    (tmp_path / "loud.py").write_text("import sys\n\nprint('mind this', file=sys.stderr)\n")
    (tmp_path / "busy.py").write_text(
        "import threading, time\n\nthreading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    expected = {
        "loud": "importing loud writes to standard error",
        "busy": "imports have started threads: python",
    }
    for name, doubt in expected.items():
        with Keeper() as keeper:
            assert ended(keeper, tmp_path, ["calendar"]).doubt == ""
            assert ended(keeper, tmp_path, [name]).doubt == keeper.doubt == doubt


def ended(keeper, folder, modules=()):
    number = keeper.start(Order(["--version"], dict(os.environ), str(folder), fork=True, modules=list(modules)))
    while not (found := keeper.ended(number)):
        time.sleep(0.02)
    return found


def test_a_graphics_processor_in_use_is_a_reason_not_to_fork(monkeypatch):
    monkeypatch.setattr(forking, "other_threads", list)
    used = SimpleNamespace(cuda=SimpleNamespace(is_initialized=lambda: True))
    monkeypatch.setitem(sys.modules, "torch", used)
    assert forking.unsafe() == "a graphics processor is in use"


def test_a_family_ends_together():
    parent = subprocess.Popen(["sh", "-c", "sleep 300 & setsid sleep 300 & wait"])
    family = psutil.Process(parent.pid)
    wait_until(lambda: len(family.children(recursive=True)) == 2, 10)
    children = family.children(recursive=True)
    end_family(parent.pid, itself=False)
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    end_family(parent.pid)
    assert parent.wait(10) is not None
    end_family(parent.pid)  # of one that has ended nothing is left to do


def test_a_process_that_is_lost_fails_its_pages(tmp_path):
    page = load_page(write_page(tmp_path, "01_a", "import time\n\ntime.sleep(300)"))
    with Keeper(fork=False) as keeper:
        run = Run(page, page.defaults, 1, 60, keeper=keeper)
        assert not run.done()
        keeper._process.kill()
        with pytest.raises(PageError, match=r"01_a\.ipynb: papermill ended before the first cell: it was killed"):
            finish(run)
        assert keeper.ended(1) == LOST


def test_modules_that_are_slow_to_import_are_found(tmp_path):
    cells = (
        "import os, torch.nn as nn",
        "def f():\n    from scipy import ndimage",
        "from . import x",
        "%%bash\nls",
        "import numpy",
    )
    page = load_page(write_page(tmp_path, "01_a", *cells[:3], "# import mlflow", cells[4]))
    assert heavy_modules(page) == ["torch.nn", "scipy", "numpy"]


BUSY = """
import os, subprocess, time
from pathlib import Path

if not Path({go!r}).exists():
    subprocess.Popen(["sleep", "300"], start_new_session=True)
    subprocess.run("setsid sleep 300 &", shell=True)
    Path({ready!r}).touch()
    time.sleep(300)
"""


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


def wait_until(condition, seconds=60):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    assert condition()


@pytest.mark.parametrize("option", [[], ["--no-fork"]])
def test_after_a_kill_nothing_is_left_and_what_was_finished_is_kept(tmp_path, option):
    go, ready, mark = tmp_path / "go", tmp_path / "ready", str(tmp_path)
    write_page(tmp_path / "notebooks", "01_a", "print(1)")
    write_page(tmp_path / "notebooks", "02_b", BUSY.format(go=str(go), ready=str(ready)))
    (tmp_path / "tmp").mkdir()
    command = [
        sys.executable,
        "-c",
        "import sys; from ml4ops_helpers.cli import main; sys.exit(main())",
        "run",
        *option,
    ]
    settings = {"env": os.environ | {"ML4OPS_MARK": mark, "TMPDIR": str(tmp_path / "tmp")}, "cwd": tmp_path}
    done = tmp_path / "_build" / "notebooks" / "01_a.ipynb"
    with subprocess.Popen([*command, "--jobs", "2"], **settings) as process:
        wait_until(lambda: ready.exists() and done.exists())
        assert len(marked(mark)) >= 6  # runner, its helper, papermill, kernel, and the two that the page left
        process.kill()
    wait_until(lambda: not marked(mark), 10)
    wait_until(lambda: not list((tmp_path / "tmp").glob("ml4ops-*")), 5)
    if option:
        return
    go.touch()
    again = subprocess.run(command, capture_output=True, text=True, check=True, **settings)
    assert [line.split()[0] for line in again.stdout.splitlines()[:2]] == ["unchanged", "run"]
