"""Run one notebook by papermill, in a process, a kernel and an empty working folder of its own."""

from __future__ import annotations

import ast
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from nbformat import NotebookNode

from .faults import add_afterwards, take_afterwards, watch_threads
from .forking import LOG, Order
from .keeper import COMMON_SETTINGS, Keeper
from .pages import Page, PageError, Value, as_yaml, read_notebook
from .publish import write_notebook

HEAVY = {
    *(
        "ml4ops_helpers",
        "numpy",
        "pandas",
        "scipy",
        "sklearn",
        "matplotlib",
        "seaborn",
        "geopandas",
        "shapely",
        "bokeh",
    ),
    *("torch", "segmentation_models_pytorch", "mlflow", "rasterio"),
}
"""Packages imported before kernels are forked: slow to load, and known to start no thread then."""


class Run:
    """A page on its way through papermill. Whoever starts it asks ``done`` and then ``result``, or calls ``stop``.

    Args:
        page: the page.
        parameters: values of its parameters.
        threads: how many threads the page may use.
        cell_timeout: seconds after which a cell is given up.
        keeper: what starts it; default one of its own, without forked kernels.

    Attributes:
        peak_mb: most megabytes that the page's processes held in memory; 0 until it has ended.
    """

    def __init__(
        self,
        page: Page,
        parameters: Mapping[str, Value],
        threads: int,
        cell_timeout: int,
        *,
        keeper: Keeper | None = None,
    ) -> None:
        self.page, self.peak_mb = page, 0.0
        self._folder = tempfile.TemporaryDirectory(prefix="ml4ops-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        self._raw, self._log, work = folder / "raw.ipynb", folder / LOG, folder / "work"
        work.mkdir()
        watch_threads(folder / "ipython")
        source = folder / page.path.name
        write_notebook(add_afterwards(page.notebook), source)
        arguments = [str(source), str(self._raw), "--cwd", str(work)]
        arguments += ["--parameters_yaml", as_yaml(parameters), "--execution-timeout", str(cell_timeout)]
        arguments += ["--no-progress-bar", "--log-level", "ERROR"]
        self._own = None if keeper else Keeper(fork=False)
        self._keeper = keeper or self._own or Keeper()
        self._began = time.perf_counter()
        variables = _environment(threads, folder) | dict(page.environment)
        order = Order(arguments, variables, str(folder), self._keeper.fork, heavy_modules(page))
        self._number = self._keeper.start(order)

    def done(self) -> bool:
        """Whether papermill has ended."""
        if ended := self._keeper.ended(self._number):
            self.peak_mb = ended.megabytes
        return ended is not None

    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._began

    def result(self) -> tuple[NotebookNode, str]:
        """The notebook as far as it was run, and why papermill gave up when it did, else "".

        Raises:
            PageError: papermill ended before it wrote a notebook.
        """
        ended = self._keeper.ended(self._number)
        said = self._log.read_text(errors="replace") if self._log.exists() else ""
        complaint = _last_words(said, ended.code) if ended and ended.code else ""
        self._close()
        if not self._raw.exists():
            raise PageError(f"{self.page.path.name}: papermill ended before the first cell: {complaint}")
        notebook = read_notebook(self._raw)
        take_afterwards(notebook)
        self._folder.cleanup()
        return notebook, complaint

    def stop(self) -> None:
        """End papermill, its kernel, and what that has started."""
        self._keeper.stop(self._number)
        self._close()
        self._folder.cleanup()

    def _close(self) -> None:
        if self._own:
            self._own.close()


def _last_words(log: str, code: int) -> str:
    """Why papermill gave up: the exception of its engine (a dead kernel, a cell out of time), else its last line.

    One that was killed could not tell; what its log ends with then is by chance.
    """
    lines = [line for line in log.splitlines() if line.strip() and "[IPKernelApp] WARNING" not in line]
    found = [line for line in lines if line.startswith("nbclient.exceptions.")]
    return found[-1] if found else "it was killed" if code < 0 or not lines else lines[-1]


def _environment(threads: int, folder: Path) -> dict[str, str]:
    """Environment of the kernel: its share of the threads, no progress bars, nothing of the user's own settings."""
    given = os.environ | COMMON_SETTINGS | {"OMP_NUM_THREADS": str(threads)}
    given.pop("PYTEST_CURRENT_TEST", None)  # makes kernels overlook what libraries write past Python
    # Of a page that is killed nothing shall be left in the user's folders.
    given |= {"IPYTHONDIR": str(folder / "ipython"), "JUPYTER_RUNTIME_DIR": str(folder / "runtime")}
    # The kernel starts in a folder of its own: relative paths would point elsewhere.
    absolute = {name: str(Path(given[name]).resolve()) for name in ("ML4OPS_DATA", "ML4OPS_CACHE") if given.get(name)}
    return given | absolute


def heavy_modules(page: Page) -> list[str]:
    """Modules that a page imports and that take long to load.

    Args:
        page: the page; a cell that is no plain Python counts for nothing.
    """
    found: list[str] = []
    for cell in page.notebook.cells:
        try:
            nodes = list(ast.walk(ast.parse(cell.source))) if cell.cell_type == "code" else []
        except SyntaxError:
            continue
        for node in nodes:
            if isinstance(node, ast.Import):
                found += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.append(node.module)
    return [name for name in dict.fromkeys(found) if name.partition(".")[0] in HEAVY]
