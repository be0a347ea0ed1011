"""The process under which pages run. It imports what they need once, and forks papermill and a kernel for each page.

``keeper.Keeper`` starts it as a program of its own. It adopts whatever the pages start, and ends all of it when it is
told to or when the process that started it is gone, however that one ended.

A forked kernel is as good as a new one only while this process has no other thread and no graphics processor in use;
where that does not hold, a page gets papermill and a kernel of the ordinary kind.
"""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from .processes import adopt_orphans, die_with_parent, end_family, family_megabytes, leave

TOOLS = ("ml4ops_helpers", "papermill.__main__", "ipykernel.kernelapp", "book_tools.kernels")
"""What every forked page needs. The helper package comes first: it silences a warning of those after it."""

LOG = "papermill.log"
"""What papermill prints, in the folder of the run."""

LOOK = 0.5
"""Seconds between two looks at the memory of pages."""

HARMLESS_THREADS = {"jemalloc_bg_thd"}
"""Threads that their library takes down before a fork and starts again after it."""


@dataclass(frozen=True)
class Order:
    """A page to be run.

    Attributes:
        arguments: of papermill's command line.
        environment: of papermill and the kernel.
        folder: what belongs to this run only; what papermill prints goes to ``LOG`` there.
        fork: whether a forked kernel will do.
        modules: what to import before the fork.
    """

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    fork: bool = False
    modules: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Ended:
    """A page that has ended.

    Attributes:
        code: exit code of papermill; negative: the signal that killed it.
        megabytes: most memory that its processes held (10⁶ bytes).
        doubt: why it was given a new kernel though a forked one was asked for, else "".
    """

    code: int
    megabytes: float
    doubt: str = ""


class Template:
    """This process, as the one that pages are forked from.

    Args:
        caller: connection to the runner.
    """

    def __init__(self, caller: Connection) -> None:
        self.caller, self._runner = caller, os.getppid()
        self._before = dict(os.environ)
        self._running: dict[int, int] = {}
        self._folders: dict[int, str] = {}
        self._doubts: dict[int, str] = {}
        self._peaks: dict[int, float] = {}
        self._looked = 0.0
        self._doubt = "" if sys.platform == "linux" else "it is only done on Linux"

    def serve(self) -> Order | None:
        """Start pages as they are ordered and tell of those that have ended.

        Returns:
            None when all is over. In a page's own process: what that process is to do.
        """
        while os.getppid() == self._runner:
            try:
                message = self.caller.recv() if self.caller.poll(0.03) else None
            except (EOFError, OSError):
                break
            match message:
                case (int(number), Order() as order):
                    if order.fork:
                        self._prepare(order.modules)
                        order = replace(order, fork=not self._doubt)
                    own = os.getpid()
                    if (pid := os.fork()) == 0:
                        die_with_parent(own)
                        self.caller.close()
                        return order
                    self._running[pid] = number
                    self._folders[number] = order.folder
                    self._doubts[number] = "" if order.fork else self._doubt
                case int(number):
                    end_family(next((pid for pid, n in self._running.items() if n == number), 0))
            self._look()
            self._tell()
        end_family(os.getpid(), itself=False)
        for folder in self._folders.values():
            shutil.rmtree(folder, ignore_errors=True)
        return None

    def _look(self) -> None:
        """See what pages hold whose kernels have started processes of their own, now and then: looking costs time."""
        if time.monotonic() < self._looked + LOOK:
            return
        self._looked = time.monotonic()
        for pid, number in self._running.items():
            self._peaks[number] = max(self._peaks.get(number, 0.0), family_megabytes(pid))

    def _tell(self) -> None:
        """Collect the processes that have ended; the runner hears of pages, the others were adopted."""
        while self._running:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if not pid:
                return
            if (number := self._running.pop(pid, None)) is not None:
                self._folders.pop(number)
                largest = usage.ru_maxrss * (1024 if sys.platform == "linux" else 1) / 1e6
                peak = max(largest, self._peaks.pop(number, 0.0))
                code, doubt = os.waitstatus_to_exitcode(status), self._doubts.pop(number)
                self.caller.send((number, Ended(code, round(peak, 1), doubt)))

    def _prepare(self, modules: list[str]) -> None:
        """Import what a page needs, and see whether a fork will do from now on."""
        log = Path(os.devnull) if self._doubt else Path(f"/proc/self/fd/{sys.stderr.fileno()}")
        for name in [m for m in [*TOOLS, *modules] if not self._doubt and m not in sys.modules]:
            said = log.stat().st_size
            try:
                importlib.import_module(name)
            except Exception as error:  # whatever a module raises: the page shall raise it again
                self._doubt = f"importing {name}: {type(error).__name__}: {error}"
            sys.stderr.flush()
            if log.stat().st_size != said:  # the page would no longer show it
                self._doubt = self._doubt or f"importing {name} writes to standard error"
        self._doubt = self._doubt or unsafe()
        gc.freeze()

    def environment(self, order: Order) -> dict[str, str]:
        """Environment of a forked page: what it is to have, and what the imports have added."""
        return order.environment | {k: v for k, v in os.environ.items() if self._before.get(k) != v}


def unsafe() -> str:
    """Why a fork of this process would not be as good as a new one, or ""."""
    if threads := [name for name in other_threads() if name not in HARMLESS_THREADS]:
        return f"imports have started threads: {', '.join(threads)}"
    torch: Any = sys.modules.get("torch")
    return "a graphics processor is in use" if torch and torch.cuda.is_initialized() else ""


def other_threads() -> list[str]:
    """Names of this process's threads beside the one that asks, as the system knows them."""
    tasks = [t for t in Path("/proc/self/task").iterdir() if t.name != str(threading.get_native_id())]
    return sorted((task / "comm").read_text().strip() for task in tasks)


def run_page(order: Order, environment: dict[str, str]) -> NoReturn:
    """In a process of its own: run papermill, either as a new program or right here with a forked kernel.

    Args:
        order: the page.
        environment: what ``Template.environment`` says.
    """
    log = os.open(f"{order.folder}/{LOG}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if not order.fork:
        os.execve(sys.executable, [sys.executable, "-m", "papermill", *order.arguments], order.environment)
    from .kernels import run_papermill

    leave(lambda: run_papermill(order.arguments, environment))


def main() -> None:
    """Serve, and in a forked process do what was ordered."""
    del sys.path[0]  # the folder where this began; a kernel's launcher takes it out, too
    adopt_orphans()
    template = Template(Connection(int(sys.argv[1])))
    if order := template.serve():
        run_page(order, template.environment(order))


if __name__ == "__main__":
    # By its full name: what is sent here must be of the same classes as there.
    importlib.import_module("book_tools.forking").main()
