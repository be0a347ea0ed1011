"""Does a page run where a learner opens it: in an environment of its own, with nothing but the core, and offline?

The environment is a fresh one with the wheel of this project, or one that holds what a Colab runtime brings, into which
the wheel is then installed as a page's setup cell does it, with an extra for the pages that ask for one. Each page runs
in an empty folder with an empty cache; after the installation no connection leaves the machine.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from .pages import Page, read_notebook
from .run_errors import find_failure
from .runner import count_cores, share_threads
from .setup_cells import check_setup

OFFLINE = '''"""No connection leaves this machine."""
import socket


def block(name):
    call = getattr(socket.socket, name)

    def checked(self, *arguments):
        address = arguments[-1]
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"network is blocked: {address[0]}")
        return call(self, *arguments)

    setattr(socket.socket, name, checked)


for name in ("connect", "connect_ex", "sendto"):
    block(name)
'''
"""Module ``sitecustomize`` of the pages' interpreter."""

ACCELERATED = re.compile(r"(nvidia|cuda|triton|cudf|cuml|cugraph|rmm|raft|pylibraft|libcu|dask-cu|cupy)")
"""Packages of a runtime with a GPU; their versions contradict each other in some lists."""
UV = str(Path(sys.executable).with_name("uv"))


class AloneError(Exception):
    """The environment can't be made as a learner would have it; the message says why."""


def check_alone(pages: Sequence[Page], python: str, runtime: Path | None = None, root: Path = Path()) -> list[str]:
    """Make an environment, run pages in it at the profile ``smoke``, and print how long each step took.

    Pages of the core come first; then each extra that pages ask for is added, and they run.

    Args:
        pages: what to run.
        python: interpreter, as a path or what ``uv venv --python`` takes.
        runtime: list of what a Colab runtime brings, ``name==version`` a line; None for the core alone.
        root: root of the repository.

    Returns:
        One line a page that failed.

    Raises:
        AloneError: something can't be installed, or installing the wheel changes a package that the runtime brings.
        PageError: a page's setup cell installs something else than what it is run with here.
    """
    problems: list[str] = []
    for page in pages:
        check_setup(page, root)
    jobs = min(count_cores(), 4)
    temporary = tempfile.TemporaryDirectory(prefix="ml4ops-alone-", ignore_cleanup_errors=True)
    with temporary as folder, ThreadPoolExecutor(jobs) as pool:
        environment = Path(folder) / "environment"
        _call(UV, "venv", "--quiet", "--seed", "--python", python, str(environment))  # pip, as every learner has it
        _call(UV, "build", "--quiet", "--wheel", "--out-dir", str(environment / "wheel"), str(root))
        if runtime:
            install_runtime(environment, runtime)
        for extra in sorted({"", *(page.extra for page in pages)}):
            install_wheel(environment, extra, keep=bool(runtime))
            run = partial(_run_timed, environment, share_threads(count_cores(), jobs))
            problems += filter(None, pool.map(run, (page for page in pages if page.extra == extra)))
    return problems


def install_runtime(environment: Path, runtime: Path) -> None:
    """Install what a runtime brings, one by one; what is for a GPU or has no wheel for this machine is left out."""
    if not runtime.is_file():
        raise AloneError(f"{runtime}: no such file; give a list of what the runtime brings, name==version a line")
    lines = [line.strip() for line in runtime.read_text(encoding="utf-8").splitlines()]
    wanted = [line for line in lines if re.match(r"[\w.-]+==", line) and not ACCELERATED.match(line.lower())]
    if not wanted:
        raise AloneError(f"{runtime}: no line of the form name==version")
    command = [UV, "pip", "install", "--quiet", "--only-binary", ":all:", "--no-deps", "--python", str(environment)]
    for package in wanted:
        done = subprocess.run([*command, package], capture_output=True, text=True, check=False)
        if done.returncode:
            print(f" left out             {package}: {' '.join(done.stderr.split())[-200:]}", flush=True)


def install_wheel(environment: Path, extra: str, keep: bool) -> None:
    """Install the wheel as a page's setup cell does it; afterwards the environment is offline.

    Args:
        environment: folder of the virtual environment, with the wheel in ``wheel``.
        extra: of the wheel; "" for the core.
        keep: whether no package that is there may change; then it is installed by pip, as in Colab, which is slower.
    """
    (wheel,) = (environment / "wheel").glob("*.whl")
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "sitecustomize.py").unlink(missing_ok=True)  # pip runs there, and needs a network
    python = str(environment / "bin/python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install"]
    install = pip if keep else [UV, "pip", "install", "--python", python]
    before, start = _versions(environment), time.perf_counter()
    _call(*install, "--quiet", f"{wheel}[{extra}]" if extra else str(wheel), "ipykernel")
    after = _versions(environment)
    changed = [f"{name} {v} → {after.get(name, 'removed')}" for name, v in before.items() if after.get(name) != v]
    if keep and changed:
        what = f"the extra {extra}" if extra else "the core"
        raise AloneError(
            f"installing {what} changes what the runtime brings: {', '.join(changed)}; loosen pyproject.toml"
        )
    _print(extra or "core", time.perf_counter() - start, f"installed, now {len(after)} packages")
    (site / "sitecustomize.py").write_text(OFFLINE, encoding="utf-8")


def run_alone(page: Page, environment: Path, threads: int = 1) -> str | None:
    """Run a page in an empty folder, with an empty cache and no data; page, cell and reason when it fails."""
    with tempfile.TemporaryDirectory(prefix="ml4ops-alone-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        work, out, kernel = folder / "work", folder / "out.ipynb", folder / "jupyter/kernels/python3"
        work.mkdir()
        kernel.mkdir(parents=True)
        argv = [str(environment / "bin/python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "alone", "language": "python"}))
        command = [sys.executable, "-m", "papermill", str(page.path), str(out), "--cwd", str(work), "-k", "python3"]
        command += ["-p", "profile", "smoke", "--execution-timeout", "900", "--no-progress-bar"]
        given = {k: v for k, v in os.environ.items() if not k.startswith(("ML4OPS_", "VIRTUAL_ENV", "PYTHON"))}
        given |= {"JUPYTER_PATH": str(folder / "jupyter"), "IPYTHONDIR": str(folder / "ipython"), "HOME": str(folder)}
        given |= {"ML4OPS_CACHE": str(folder / "cache"), "TQDM_DISABLE": "1", "OMP_NUM_THREADS": str(threads)}
        given["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
        done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
        if not out.exists():
            return f"{page.path.name}: did not start: {done.stderr.strip()[-300:]}"
        complaint = done.stderr.strip().splitlines()[-1:] if done.returncode else []
        return find_failure(page.notebook, read_notebook(out), page.path.name, "".join(complaint))


def _run_timed(environment: Path, threads: int, page: Page) -> str | None:
    start = time.perf_counter()
    problem = run_alone(page, environment, threads)
    _print("failed" if problem else "run", time.perf_counter() - start, page.name)
    return problem


def _print(what: str, seconds: float, about: str) -> None:
    print(f"{what:>9}  {seconds:7.1f} s  {about}", flush=True)


def _versions(environment: Path) -> dict[str, str]:
    """Version of every package of an environment."""
    listing = json.loads(_call(UV, "pip", "list", "--format", "json", "--python", str(environment)))
    return {package["name"]: package["version"] for package in listing}


def _call(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AloneError(f"{' '.join(command[:3])}: {done.stderr.strip()[-600:]}")
    return done.stdout
