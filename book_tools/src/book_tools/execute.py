"""Run one notebook by papermill, in a process, a kernel and an empty working folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from nbformat import NotebookNode

from .pages import Page, PageError, Value, read_notebook
from .processes import end_marked
from .publish import write_notebook

COMMON_SETTINGS = {
    "TQDM_DISABLE": "1",
    "PYTHONHASHSEED": "0",
    # Another backend, as test servers set it, would leave the pages without figures.
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
}
"""Environment of every page: no progress bars, sets in the same order each time, figures."""


class Run:
    """A page on its way through papermill. Whoever starts it asks ``done`` and then ``result``, or calls ``stop``.

    Args:
        page: the page.
        parameters: values of its parameters.
        threads: how many threads the page may use.
        cell_timeout: seconds after which a cell is stopped, without waiting for a processor (``processes.Usage``).

    Attributes:
        peak_mb: most memory that the page's processes held (10⁶ bytes); 0 until ``result`` was called.
        effective_seconds: time it took without waiting for a processor; 0 until ``result`` was called.

    Raises:
        PageError: on Windows.
    """

    def __init__(self, page: Page, parameters: Mapping[str, Value], threads: int, cell_timeout: int) -> None:
        if os.name == "nt":
            raise PageError("pages run on Linux and macOS; on Windows use its subsystem for Linux (WSL)")
        self.page, self.peak_mb, self.effective_seconds = page, 0.0, 0.0
        self._temporary = tempfile.TemporaryDirectory(prefix="ml4ops-", ignore_cleanup_errors=True)
        self._folder = folder = Path(self._temporary.name)
        (folder / "work").mkdir()
        write_notebook(page.notebook, folder / page.path.name)
        paths = {"source": folder / page.path.name, "executed": folder / "raw.ipynb", "work": folder / "work"}
        order = {"folder": str(folder)} | {name: str(path) for name, path in paths.items()}
        about = {"parameters": dict(parameters), "cell_timeout": cell_timeout}
        self._began = time.perf_counter()
        with (folder / "log").open("wb") as log:
            self._worker = subprocess.Popen(
                [sys.executable, "-P", "-m", "book_tools.worker"],
                cwd=folder,
                env=_environment(threads, folder) | dict(page.environment),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the runner, which then stops its pages in order
            )
        assert self._worker.stdin
        with suppress(OSError):  # the worker has died: ``result`` tells
            self._worker.stdin.write(f"{json.dumps(order | about)}\n".encode())
            self._worker.stdin.flush()

    def done(self) -> bool:
        """Whether the page has ended."""
        return self._worker.poll() is not None

    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._began

    def result(self) -> tuple[NotebookNode, str]:
        """The notebook as far as it was run, and why it was given up when it was, else "".

        Raises:
            PageError: the page ended before its first cell.
        """
        ended, log = self._folder / "ended.json", self._folder / "log"
        if ended.exists():
            facts = json.loads(ended.read_text(encoding="utf-8"))
            self.peak_mb, self.effective_seconds = facts["peak_mb"], facts["effective_seconds"]
            complaint = facts["complaint"]
        else:
            lines = log.read_text(errors="replace").split("\n")
            last = [line for line in lines if line.strip()][-1:]
            complaint = "".join(last) if last and self._worker.returncode > 0 else "its process was killed"
        executed = self._folder / "raw.ipynb"
        try:
            if not executed.exists():
                raise PageError(f"{self.page.path.name}: papermill ended before the first cell: {complaint}")
            return read_notebook(executed), complaint
        finally:
            self.stop()

    def stop(self) -> None:
        """End the page and all that it has started."""
        assert self._worker.stdin
        with suppress(OSError):
            self._worker.stdin.close()  # the worker sees it and ends its children, then itself
        if self._worker.wait() < 0:
            end_marked("JUPYTER_RUNTIME_DIR", str(self._folder / "runtime"))
        self._temporary.cleanup()


def _environment(threads: int, folder: Path) -> dict[str, str]:
    """Environment of the kernel: its share of the threads, no progress bars, nothing of the user's own settings."""
    given = os.environ | COMMON_SETTINGS | {"OMP_NUM_THREADS": str(threads)}
    given.pop("PYTEST_CURRENT_TEST", None)  # makes kernels overlook what libraries write past Python
    # Of a page that is killed nothing shall be left in the user's folders.
    given |= {"IPYTHONDIR": str(folder / "ipython"), "JUPYTER_RUNTIME_DIR": str(folder / "runtime")}
    # The kernel starts in a folder of its own: relative paths would point elsewhere.
    absolute = {name: str(Path(given[name]).resolve()) for name in ("ML4OPS_DATA", "ML4OPS_CACHE") if given.get(name)}
    return given | absolute
