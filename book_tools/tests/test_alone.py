"""Pages in an environment of their own: what the runtime brings, no network, an empty folder."""

import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest
from book_tools.alone import (
    AloneError,
    Environment,
    add_extra,
    make_environment,
    read_runtime,
    run_alone,
)
from book_tools.pages import PageError, find_pages, load_page
from book_tools.repository import read_config, repository_of
from book_tools.setup_cells import setup_cell
from tiny_pages import write_page

from book_tools import alone

ROOT = Path(__file__).parents[2]


def test_a_runtime_is_read_without_what_needs_a_gpu(tmp_path):
    listing = tmp_path / "freeze.txt"
    listing.write_text(
        "# packages\nNumPy==2.0.2\nnvidia-nccl-cu13==2.31.2\ntriton==3.1\nfour @ file:///x\nGDAL==3.8.4\n"
    )
    assert read_runtime(listing) == {"numpy": "2.0.2", "gdal": "3.8.4"}


def test_a_runtime_without_packages(tmp_path):
    (tmp_path / "freeze.txt").write_text("nothing\n")
    with pytest.raises(AloneError, match=r"no line of the form name==version"):
        read_runtime(tmp_path / "freeze.txt")
    with pytest.raises(AloneError, match="no such file"):
        read_runtime(tmp_path / "lost.txt")


class Uv:
    """Stands in for uv and pip: two packages have no wheel, and pip may change a version when it installs something."""

    def __init__(self, folder, changes=None):
        self.folder, self.changes, self.installed, self.asked, self.blocked = folder, changes, "", [], []

    def __call__(self, *command, text=None):
        self.asked.append(command)
        said, code = "", 0
        if "install" in command and text is not None:
            if "gdal" in text:
                said, code = "error: Because gdal==3.8.4 has no usable wheels and you require gdal==3.8.4", 1
            elif "old" in text:
                said, code = "Because there is no version of old==1 and you require old==1, unsatisfiable", 1
            self.installed = text
        if "-m" in command:
            self.blocked += [p.exists() for p in self.folder.glob("lib/*/site-packages/sitecustomize.py")]
        if "build" in command:
            (self.folder / "wheel").mkdir(parents=True)
            (self.folder / "wheel" / "ours-0-py3-none-any.whl").touch()
            (self.folder / "lib/python3.13/site-packages").mkdir(parents=True)
        pip = any("-m" in c and any(self.changes in part for part in c) for c in self.asked if self.changes)
        numpy = "2.4" if pip else "2.0.2"
        out = f'[{{"name": "numpy", "version": "{numpy}"}}]' if "list" in command else ""
        return subprocess.CompletedProcess(command, code, out, said)


@pytest.fixture
def runtime(tmp_path):
    listing = tmp_path / "freeze.txt"
    listing.write_text("numpy==2.0.2\nGDAL==3.8.4\nold==1\n")
    return listing


def test_what_has_no_wheel_is_left_out_and_told(tmp_path, runtime, monkeypatch):
    uv = Uv(tmp_path / "env")
    monkeypatch.setattr(alone, "_run", uv)
    made = make_environment(tmp_path / "env", Path(), "python3.13", runtime)
    assert sorted(made.left_out) == ["gdal", "old"]
    assert uv.installed == "numpy==2.0.2"


def test_a_core_that_changes_what_the_runtime_brings(tmp_path, runtime, monkeypatch):
    monkeypatch.setattr(alone, "_run", Uv(tmp_path / "env", changes=".whl"))
    with pytest.raises(AloneError, match=r"installing the core changes what was there: numpy 2\.0\.2 → 2\.4"):
        make_environment(tmp_path / "env", Path(), "python3.13", runtime)


def test_an_extra_is_installed_where_the_core_is_and_keeps_what_the_runtime_brings(tmp_path, runtime, monkeypatch):
    uv = Uv(tmp_path / "env")
    monkeypatch.setattr(alone, "_run", uv)
    made = make_environment(tmp_path / "env", Path(), "python3.13", runtime)
    assert add_extra(made, "projects") >= 0
    wheel = tmp_path / "env/wheel/ours-0-py3-none-any.whl"
    assert (str(made.python), "-m", "pip", "install", "--quiet", f"{wheel}[projects]") in uv.asked
    assert uv.blocked == []  # pip itself is let through
    (block,) = tmp_path.glob("env/lib/*/site-packages/sitecustomize.py")
    assert block.read_text() == alone.OFFLINE
    uv.changes = "[projects]"
    with pytest.raises(AloneError, match=r"installing the extra projects changes what was there: numpy 2\.0\.2 → 2\.4"):
        add_extra(made, "projects")


def test_pages_of_the_core_run_before_an_extra_is_there(tmp_path, monkeypatch, capsys):
    here = repository_of(read_config(ROOT))
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(alone, "_run", Uv(tmp_path / "env"))
    monkeypatch.setattr(alone.tempfile, "TemporaryDirectory", lambda **_: nullcontext(tmp_path))
    monkeypatch.setattr(alone, "make_environment", lambda folder, *_: Environment(tmp_path, 3.0))
    done = []
    monkeypatch.setattr(alone, "add_extra", lambda environment, extra: done.append(extra) or 7.5)
    monkeypatch.setattr(
        alone, "run_alone", lambda page, *_: done.append(page.name) or ("bad" if "3" in page.name else None)
    )
    for name, extra in (("01_a", {"extra": "projects"}), ("02_b", {}), ("03_c", {"extra": "projects"})):
        write_page(tmp_path / "pages", name, (setup_cell(here, **extra), "setup"), **extra)
    pages = find_pages(tmp_path / "pages")
    assert alone.check_alone(pages, "python3.13") == ["bad"]
    assert done == ["02_b", "projects", "01_a", "03_c"]
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in told] == ["core", "run", "projects", "run", "failed"]
    assert told[2] == ["projects", "7.5", "s", "installed,", "now", "1", "packages"]


def test_pages_run_side_by_side_with_a_share_of_the_cores(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(alone, "_run", Uv(tmp_path / "env"))
    monkeypatch.setattr(alone, "make_environment", lambda folder, *_: Environment(tmp_path, 3.0))
    monkeypatch.setattr(alone, "count_cores", lambda: 6)
    both = threading.Barrier(2, timeout=20)  # passed only by two at a time
    threads = []

    def run(page, environment, parameters, count):
        both.wait()
        threads.append(count)
        return page.name

    monkeypatch.setattr(alone, "run_alone", run)
    for name in ("01_a", "02_b", "03_c", "04_d"):
        write_page(tmp_path / "pages", name, (setup_cell(repository_of(read_config(ROOT))), "setup"))
    found = alone.check_alone(find_pages(tmp_path / "pages"), "python3.13", jobs=2)
    assert found == ["01_a", "02_b", "03_c", "04_d"]
    assert threads == [3] * 4


def test_a_page_that_installs_something_else_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    page = load_page(write_page(tmp_path, "01_a", ("import ml4ops_helpers", "setup"), extra="projects"))
    with pytest.raises(PageError, match=r"01_a\.ipynb, cell 3: is no setup cell of this page"):
        alone.check_alone([page], "python3.13")


def test_no_connection_leaves_the_machine(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(alone.OFFLINE)
    program = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname(), 5).close()
try:
    socket.create_connection(("192.0.2.1", 80), 1)
except OSError as error:
    print(error)
for kind, name, *data in ((socket.SOCK_STREAM, "connect_ex"), (socket.SOCK_DGRAM, "sendto", b"x")):
    with socket.socket(type=kind) as outside:
        try:
            print(getattr(outside, name)(*data, ("192.0.2.1", 80)))
        except OSError as error:
            print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "network is blocked: 192.0.2.1\n" * 3


def test_a_page_runs_in_an_empty_folder_with_an_empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ML4OPS_DATA", "/somewhere")
    look = "import os, pathlib\nassert os.listdir() == [] and 'ML4OPS_DATA' not in os.environ\n"
    look += "assert not pathlib.Path(os.environ['ML4OPS_CACHE']).exists()"
    environment = Environment(Path(sys.prefix))
    assert run_alone(load_page(write_page(tmp_path, "01_good", look)), environment, {"seed": 1}) is None
    told = run_alone(load_page(write_page(tmp_path, "02_bad", "import no_such_package")), environment, {})
    assert told.startswith("02_bad.ipynb, cell 3, line 1 `import no_such_package`: ModuleNotFoundError")
