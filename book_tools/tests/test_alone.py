"""Pages in an environment of their own: what the runtime brings, no network, an empty folder."""

import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from book_tools.alone import UV, AloneError, check_alone, install_runtime, install_wheel, run_alone
from book_tools.pages import PageError, find_pages, load_page
from book_tools.repository import read_config, repository_of
from book_tools.setup_cells import setup_cell
from tiny_pages import write_page

from book_tools import alone

ROOT = Path(__file__).parents[2]


def write_wheel(folder, name, version, *requires):
    """A wheel without content."""
    folder.mkdir(exist_ok=True)
    metadata = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *requires])
    files = {"METADATA": metadata, "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for file, text in files.items():
            wheel.writestr(f"{name}-{version}.dist-info/{file}", text)
        wheel.writestr(
            f"{name}-{version}.dist-info/RECORD", "".join(f"{name}-{version}.dist-info/{f},,\n" for f in files)
        )


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """An environment with our wheel beside it; a folder stands in for the package index."""
    index = tmp_path / "index"
    for name, version in (
        ("ipykernel", "1"),
        ("our_arrays", "1"),
        ("our_arrays", "2"),
        ("our_tables", "1"),
        ("our_tables", "2"),
    ):
        write_wheel(index, name, version)
    for name, value in (
        ("UV_OFFLINE", "1"),
        ("PIP_NO_INDEX", "1"),
        ("UV_FIND_LINKS", index),
        ("PIP_FIND_LINKS", index),
    ):
        monkeypatch.setenv(name, str(value))
    folder = tmp_path / "environment"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    extra = ("Provides-Extra: projects", 'Requires-Dist: our-tables>=2; extra == "projects"')
    write_wheel(folder / "wheel", "ours", "0", "Requires-Dist: our-arrays", *extra)
    return folder


def bring(environment, text):
    (environment / "runtime.txt").write_text(text)
    install_runtime(environment, environment / "runtime.txt")


def test_what_a_runtime_brings_stays_and_what_has_no_wheel_is_reported(environment, capsys):
    bring(environment, "# packages\nour-arrays==1\nnvidia-nccl-cu13==2.31\nfour @ file:///x\nGDAL==3.8.4\n")
    install_wheel(environment, "", keep=True)
    assert alone._versions(environment) == {"our-arrays": "1", "ipykernel": "1", "ours": "0"}
    printed = capsys.readouterr().out
    assert "left out             GDAL==3.8.4" in printed
    assert "nvidia" not in printed
    (block,) = environment.glob("lib/*/site-packages/sitecustomize.py")
    assert block.read_text() == alone.OFFLINE


def test_a_wheel_that_changes_what_the_runtime_brings_is_refused(environment):
    bring(environment, "our-arrays==1\nour-tables==1\n")
    install_wheel(environment, "", keep=True)
    with pytest.raises(AloneError, match=r"the extra projects changes .*: our-tables 1 → 2"):
        install_wheel(environment, "projects", keep=True)


def test_without_a_runtime_an_extra_is_added_to_the_core(environment):
    install_wheel(environment, "", keep=False)
    assert "our-tables" not in alone._versions(environment)
    install_wheel(environment, "projects", keep=False)
    assert alone._versions(environment)["our-tables"] == "2"


def test_a_runtime_without_packages(environment):
    with pytest.raises(AloneError, match="name==version"):
        bring(environment, "nothing\n")
    with pytest.raises(AloneError, match="no such file"):
        install_runtime(environment, environment / "lost.txt")


def test_pages_of_the_core_run_side_by_side_before_an_extra_is_there(tmp_path, monkeypatch):
    done, both = [], threading.Barrier(2, timeout=20)  # passed only by two at a time

    def run_page(page, environment, threads):
        both.wait()
        done.append((page.extra, threads))
        return f"{page.name} failed" if page.name == "03_c" else None

    monkeypatch.setattr(alone, "_call", lambda *command: None)
    monkeypatch.setattr(alone, "count_cores", lambda: 6)
    monkeypatch.setattr(alone, "install_wheel", lambda environment, extra, keep: done.append(f"install {extra}"))
    monkeypatch.setattr(alone, "run_alone", run_page)
    here = repository_of(read_config(ROOT))
    for name, extra in (("01_a", {"extra": "projects"}), ("02_b", {}), ("03_c", {"extra": "projects"}), ("04_d", {})):
        write_page(tmp_path / "pages", name, (setup_cell(here, **extra), "setup"), **extra)
    assert check_alone(find_pages(tmp_path / "pages"), "python3.13", root=ROOT) == ["03_c failed"]
    assert done == ["install ", ("", 1), ("", 1), "install projects", ("projects", 1), ("projects", 1)]


def test_a_page_that_installs_something_else_is_not_run(tmp_path):
    page = load_page(write_page(tmp_path, "01_a", ("import ml4ops_helpers", "setup"), extra="projects"))
    with pytest.raises(PageError, match=r"01_a\.ipynb, cell 3"):
        check_alone([page], "python3.13", root=ROOT)


def test_no_connection_leaves_the_machine(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(alone.OFFLINE)
    program = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname(), 5).close()
for kind, name, *data in ((1, "connect"), (1, "connect_ex"), (2, "sendto", b"x")):
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
    look = "import os, pathlib\nassert os.listdir() == [] and 'ML4OPS_DATA' not in os.environ and profile == 'smoke'\n"
    look += "assert not pathlib.Path(os.environ['ML4OPS_CACHE']).exists()"
    assert run_alone(load_page(write_page(tmp_path, "01_good", look)), Path(sys.prefix)) is None
    failure = run_alone(load_page(write_page(tmp_path, "02_bad", "import no_such_package")), Path(sys.prefix))
    assert failure.startswith("02_bad.ipynb, cell 3, line 1 `import no_such_package`: ModuleNotFoundError")
