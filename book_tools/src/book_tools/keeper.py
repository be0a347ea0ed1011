"""The runner's side of the process under which pages run."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from multiprocessing import Pipe
from typing import Self

from .forking import Ended, Order
from .pages import PageError

COMMON_SETTINGS = {
    "TQDM_DISABLE": "1",
    "PYTHONHASHSEED": "0",
    # Another backend, as test servers set it, would leave the pages without figures.
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
}
"""Environment of every page: no progress bars, sets in the same order each time, figures."""

LOST = Ended(-9, 0.0)
"""What becomes of pages when the process above them is killed."""


class Keeper:
    """Starts pages and sees to it that nothing of them is left, not even when this process is killed.

    It starts a process of its own with the first page. Close it when all is done, or use it as a context.

    Args:
        fork: fork kernels from a process that has imported what they need, where that is safe.

    Attributes:
        doubt: why a page was given a new kernel all the same, else "".
    """

    def __init__(self, *, fork: bool = True) -> None:
        self.fork, self.doubt = fork, ""
        self._process: subprocess.Popen[bytes] | None = None
        self._ended: dict[int, Ended] = {}
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def start(self, order: Order) -> int:
        """Start a page.

        Args:
            order: the page.

        Returns:
            The number by which it goes.

        Raises:
            PageError: this system can't fork processes.
        """
        if self._process is None:
            self._open()
        self._number += 1
        with suppress(OSError):  # lost: ``ended`` tells
            self._line.send((self._number, order))
        return self._number

    def _open(self) -> None:
        if not hasattr(os, "fork"):
            raise PageError("pages run on Linux and macOS; on Windows use its subsystem for Linux (WSL)")
        self._line, theirs = Pipe()
        with theirs, tempfile.TemporaryFile() as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "book_tools.forking", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                # One thread: a library that starts a pool when it is loaded would not survive a fork.
                env=os.environ | COMMON_SETTINGS | {"OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,  # Ctrl-C reaches the runner, which then stops its pages in order
            )

    def ended(self, number: int) -> Ended | None:
        """How a page ended, or None while it runs.

        Args:
            number: what ``start`` returned.
        """
        try:
            while self._line.poll():
                finished, how = self._line.recv()
                self._ended[finished] = how
                self.doubt = self.doubt or how.doubt
        except (EOFError, OSError):
            self._ended.setdefault(number, LOST)
        return self._ended.get(number)

    def stop(self, number: int) -> None:
        """Kill a page's processes and wait until they are gone.

        Args:
            number: what ``start`` returned.
        """
        with suppress(OSError):
            self._line.send(number)
        while self.ended(number) is None:
            time.sleep(0.01)

    def close(self) -> None:
        """Kill whatever the pages have left, and the process above them."""
        if self._process is not None:
            self._line.close()
            self._process.wait()
            self._process = None
