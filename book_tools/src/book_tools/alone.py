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
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from packaging.utils import canonicalize_name

from .pages import Page, Value, as_yaml, choose_parameters, read_notebook
from .run_errors import find_failure
from .runner import count_cores, share_threads
from .setup_cells import check_setup

OFFLINE = '''"""No connection leaves this machine."""
import socket

LOCAL = ("127.0.0.1", "::1", "localhost")


def block(name):
    call = getattr(socket.socket, name)

    def checked(self, *arguments):
        address = arguments[-1]
        outside = isinstance(address, tuple) and address[0] not in LOCAL
        if outside and self.family in (socket.AF_INET, socket.AF_INET6):
            raise OSError(f"network is blocked: {address[0]}")
        return call(self, *arguments)

    setattr(socket.socket, name, checked)


for name in ("connect", "connect_ex", "sendto"):
    block(name)
'''
"""Module ``sitecustomize`` of the environment."""

ACCELERATED = re.compile(r"(nvidia|cuda|triton|cudf|cuml|cugraph|rmm|raft|pylibraft|libcu|dask-cu|cupy)")
"""Packages of a runtime with a GPU; their versions contradict each other in some lists."""


class AloneError(Exception):
    """The environment can't be made as a learner would have it; the message says why."""


@dataclass
class Environment:
    """Where pages run alone.

    Attributes:
        folder: of the virtual environment.
        seconds: that installing the wheel took.
        left_out: packages of the runtime that can't be installed here, with the reason.
        brought: versions of the packages that were there before the wheel; none without a runtime.
    """

    folder: Path
    seconds: float = 0.0
    left_out: dict[str, str] = field(default_factory=dict)
    brought: dict[str, str] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def versions(self) -> dict[str, str]:
        """Version of every package in it."""
        listing = _call("uv", "pip", "list", "--format", "json", "--python", str(self.python))
        return {p["name"]: p["version"] for p in json.loads(listing)}


def make_environment(folder: Path, root: Path, python: str, runtime: Path | None = None) -> Environment:
    """Make an environment and install the core from a wheel built of the working tree.

    Args:
        folder: where to.
        root: root of the repository.
        python: interpreter, as a path or what ``uv venv -p`` takes.
        runtime: list of what a Colab runtime brings, ``name==version`` a line; None for the core alone.

    Returns:
        The environment.

    Raises:
        AloneError: something can't be installed, or installing the core changes a package that was there.
    """
    environment = Environment(folder)
    _call("uv", "venv", "--quiet", "--seed", "--python", python, str(folder))
    if runtime:
        _install_brought(environment, read_runtime(runtime))
        environment.brought = environment.versions()
    _call("uv", "build", "--quiet", "--wheel", "--out-dir", str(folder / "wheel"), str(root))
    environment.seconds = _install_wheel(environment, "", "ipykernel")
    return environment


def add_extra(environment: Environment, extra: str) -> float:
    """Install an extra of the wheel into an environment that has the core.

    Args:
        environment: from ``make_environment``.
        extra: its name.

    Returns:
        Seconds that it took.

    Raises:
        AloneError: it can't be installed, or changes a package that the runtime brings.
    """
    return _install_wheel(environment, extra)


def _install_wheel(environment: Environment, extra: str, *more: str) -> float:
    """Install the wheel as a page's setup cell does; afterwards no connection leaves the environment."""
    (wheel,) = (environment.folder / "wheel").glob("*.whl")
    (site,) = environment.folder.glob("lib/python*/site-packages")
    (site / "sitecustomize.py").unlink(missing_ok=True)  # pip runs there, and needs a network
    # Beside a runtime by pip, as in Colab; uv is several times faster.
    install = [str(environment.python), "-m", "pip"] if environment.brought else ["uv", "pip"]
    into = [] if environment.brought else ["--python", str(environment.python)]
    start = time.perf_counter()
    _call(*install, "install", "--quiet", *into, f"{wheel}[{extra}]" if extra else str(wheel), *more)
    seconds = time.perf_counter() - start
    after = environment.versions()
    changed = [f"{n} {v} → {after.get(n, 'removed')}" for n, v in environment.brought.items() if after.get(n) != v]
    if changed:
        what = f"the extra {extra}" if extra else "the core"
        raise AloneError(f"installing {what} changes what was there: {', '.join(changed)}; loosen pyproject.toml")
    (site / "sitecustomize.py").write_text(OFFLINE, encoding="utf-8")
    return seconds


def read_runtime(path: Path) -> dict[str, str]:
    """Packages that a Colab runtime brings, without those for a GPU.

    Args:
        path: list of ``name==version`` lines; others and comments are passed over.

    Raises:
        AloneError: there is no such file, or nothing in it.
    """
    if not path.is_file():
        raise AloneError(f"{path}: no such file; give a list of what the runtime brings, name==version a line")
    pairs = (line.split("==") for line in path.read_text(encoding="utf-8").splitlines() if "==" in line)
    found = {str(canonicalize_name(n.strip())): v.strip() for n, v in pairs if not ACCELERATED.match(n)}
    if not found:
        raise AloneError(f"{path}: no line of the form name==version")
    return found


def _install_brought(environment: Environment, brought: Mapping[str, str]) -> None:
    """Install the packages of a runtime exactly, without the ones that have no wheel for this machine."""
    wanted = dict(brought)
    while wanted:
        lines = "\n".join(f"{name}=={version}" for name, version in wanted.items())
        command = ["uv", "pip", "install", "--quiet", "--only-binary", ":all:", "--no-deps"]
        done = _run(*command, "--python", str(environment.python), "-r", "-", text=lines)
        if not done.returncode:
            return
        culprit = next((name for name in _named(done.stderr) if name in wanted), None)
        if culprit is None:
            raise AloneError(f"the runtime's packages can't be installed: {done.stderr.strip()[-600:]}")
        environment.left_out[culprit] = "no wheel for this machine"
        del wanted[culprit]


def _named(complaint: str) -> Iterator[str]:
    """Names of the packages that a complaint of uv is about, in its order."""
    flat = " ".join(complaint.split())
    for found in re.finditer(
        r"([A-Za-z0-9_.-]+?)==\S+ has no|no version of ([A-Za-z0-9_.-]+?)==|`([A-Za-z0-9_.-]+?)==", flat
    ):
        yield next(group for group in found.groups() if group)


def run_alone(
    page: Page, environment: Environment, parameters: Mapping[str, Value], threads: int = 1, cell_timeout: int = 900
) -> str | None:
    """Run a page in an empty folder, with an empty cache and no data, by the environment's own kernel.

    Args:
        page: the page.
        environment: where it runs.
        parameters: to set.
        threads: of the libraries that compute.
        cell_timeout: seconds after which a cell is given up.

    Returns:
        Page, cell and reason when it fails, else None.
    """
    with tempfile.TemporaryDirectory(prefix="ml4ops-alone-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        work, out = folder / "work", folder / "out.ipynb"
        work.mkdir()
        kernel = folder / "jupyter" / "kernels" / "python3"
        kernel.mkdir(parents=True)
        argv = [str(environment.python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "alone", "language": "python"}))
        values = as_yaml(choose_parameters(page, parameters))
        command = [sys.executable, "-m", "papermill", str(page.path), str(out), "--cwd", str(work), "-k", "python3"]
        command += ["--parameters_yaml", values, "--execution-timeout", str(cell_timeout), "--no-progress-bar"]
        given = {k: v for k, v in os.environ.items() if not k.startswith(("ML4OPS_", "VIRTUAL_ENV", "PYTHON"))}
        given |= {"JUPYTER_PATH": str(folder / "jupyter"), "IPYTHONDIR": str(folder / "ipython"), "TQDM_DISABLE": "1"}
        given |= {"ML4OPS_CACHE": str(folder / "cache"), "HOME": str(folder), "MPLBACKEND": INLINE}
        given |= {"OMP_NUM_THREADS": str(threads)}
        done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
        if not out.exists():
            return f"{page.path.name}: did not start: {done.stderr.strip()[-300:]}"
        complaint = done.stderr.strip().splitlines()[-1:] if done.returncode else []
        return find_failure(page.notebook, read_notebook(out), page.path.name, "".join(complaint))


def check_alone(
    pages: Sequence[Page], python: str, runtime: Path | None = None, profile: str = "smoke", jobs: int = 1
) -> list[str]:
    """Make an environment, run pages in it, and tell how long each step took.

    Pages of the core come first; then each extra that pages ask for is added, and they run.

    Args:
        pages: what to run.
        python: see ``make_environment``.
        runtime: see ``make_environment``.
        profile: of the pages.
        jobs: most pages at a time.

    Returns:
        One line a page that failed.

    Raises:
        AloneError: see ``make_environment`` and ``add_extra``.
        PageError: a page's setup cell installs something else than what it is run with here.
    """
    problems: list[str] = []
    for page in pages:
        check_setup(page, Path())
    temporary = tempfile.TemporaryDirectory(prefix="ml4ops-alone-", ignore_cleanup_errors=True)
    with temporary as folder, ThreadPoolExecutor(jobs) as pool:
        environment = make_environment(Path(folder) / "environment", Path(), python, runtime)
        _tell("core", environment.seconds, f"installed into {len(environment.versions())} packages")
        for name, reason in environment.left_out.items():
            print(f" left out             {name}: {reason}")
        for extra in sorted({page.extra for page in pages}):
            if extra:
                seconds = add_extra(environment, extra)
                _tell(extra, seconds, f"installed, now {len(environment.versions())} packages")
            run = partial(_timed, environment, {"profile": profile}, share_threads(count_cores(), jobs))
            problems += filter(None, pool.map(run, (page for page in pages if page.extra == extra)))
    return problems


def _timed(environment: Environment, parameters: Mapping[str, Value], threads: int, page: Page) -> str | None:
    start = time.perf_counter()
    problem = run_alone(page, environment, parameters, threads)
    _tell("failed" if problem else "run", time.perf_counter() - start, page.name)
    return problem


def _tell(what: str, seconds: float, about: str) -> None:
    print(f"{what:>9}  {seconds:7.1f} s  {about}", flush=True)


INLINE = "module://matplotlib_inline.backend_inline"


def _call(*command: str) -> str:
    done = _run(*command)
    if done.returncode:
        raise AloneError(f"{' '.join(command[:3])}: {done.stderr.strip()[-600:]}")
    return done.stdout


def _run(*command: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    uv = str(Path(sys.executable).with_name("uv"))
    words: Sequence[str] = [uv if word == "uv" else word for word in command]
    return subprocess.run(words, input=text, capture_output=True, text=True, check=False)
