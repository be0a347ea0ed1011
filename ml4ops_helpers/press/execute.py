"""Run one notebook by papermill, in a process, a kernel and an empty working folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
from nbformat import NotebookNode

from .pages import Page, PageError, Value, read_notebook

SAMPLE_SECONDS = 0.5
"""Seconds between two looks at a page's memory; each takes some milliseconds."""


class Run:
    """A page on its way through papermill. Whoever starts it asks ``done`` and then ``result``, or calls ``stop``.

    Args:
        page: the page.
        parameters: values of its parameters.
        threads: how many threads the page may use.
        cell_timeout: seconds after which a cell is given up.

    Attributes:
        peak_mb: most megabytes in memory at a time that were seen so far, of papermill, kernel and their children.
    """

    def __init__(self, page: Page, parameters: Mapping[str, Value], threads: int, cell_timeout: int) -> None:
        self.page = page
        self.peak_mb, self._sampled = 0.0, 0.0
        self._folder = tempfile.TemporaryDirectory(prefix="ml4ops-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        self._raw, self._log, work = folder / "raw.ipynb", folder / "papermill.log", folder / "work"
        work.mkdir()
        command = [sys.executable, "-m", "papermill", str(page.path), str(self._raw), "--cwd", str(work)]
        command += ["--parameters_yaml", json.dumps(dict(parameters)), "--execution-timeout", str(cell_timeout)]
        command += ["--no-progress-bar", "--log-level", "ERROR"]
        self._began = time.perf_counter()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                env=_environment(threads, folder) | dict(page.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the runner, which then stops its pages in order
            )

    def done(self) -> bool:
        """Whether papermill has ended. Asking also watches its memory."""
        if time.perf_counter() - self._sampled > SAMPLE_SECONDS:
            self._sampled = time.perf_counter()
            self.peak_mb = max(self.peak_mb, memory_mb(self._process.pid))
        return self._process.poll() is not None

    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._began

    def result(self) -> tuple[NotebookNode, str]:
        """The notebook as far as it was run, and why papermill gave up when it did, else "".

        Raises:
            PageError: papermill ended before it wrote a notebook.
        """
        complaint = _last_words(self._log.read_text(errors="replace")) if self._process.returncode else ""
        if not self._raw.exists():
            raise PageError(f"{self.page.path.name}: papermill ended before the first cell: {complaint}")
        notebook = read_notebook(self._raw)
        self._folder.cleanup()
        return notebook, complaint

    def stop(self) -> None:
        """End papermill and its kernel. A kernel has a session of its own and would outlive its parent."""
        try:
            parent = psutil.Process(self._process.pid)
            family = [*parent.children(recursive=True), parent]
        except psutil.NoSuchProcess:
            family = []
        for member in family:
            try:
                member.kill()
            except psutil.NoSuchProcess:
                continue
        self._process.wait()
        self._folder.cleanup()


def memory_mb(pid: int) -> float:
    """Megabytes that a process and all below it hold in memory; 0 when it has ended.

    Args:
        pid: number of the process.
    """
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    return sum(_resident(member) for member in family) / 1e6


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _last_words(log: str) -> str:
    """The exception of the engine under papermill (a dead kernel, a cell out of time), else the last line."""
    lines = [line for line in log.splitlines() if line.strip()] or ["no message"]
    return next((line for line in reversed(lines) if line.startswith("nbclient.exceptions.")), lines[-1])


def _environment(threads: int, folder: Path) -> dict[str, str]:
    """Environment of the kernel: its share of the threads, no progress bars, nothing of the user's own settings."""
    given = os.environ | {"OMP_NUM_THREADS": str(threads), "TQDM_DISABLE": "1", "PYTHONHASHSEED": "0"}
    # Another backend, as test servers set it, would leave the pages without figures.
    given |= {"IPYTHONDIR": str(folder / "ipython"), "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    # The kernel starts in a folder of its own: relative paths would point elsewhere.
    absolute = {name: str(Path(given[name]).resolve()) for name in ("ML4OPS_DATA", "ML4OPS_CACHE") if given.get(name)}
    return given | absolute
