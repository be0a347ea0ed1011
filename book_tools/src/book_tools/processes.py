"""Processes and their families: ended together, and never left behind."""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import psutil

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def adopt_orphans() -> None:
    """Become the parent of whatever this process's descendants leave behind (Linux)."""
    _control(PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """Have the system kill this process when its parent is gone (Linux).

    Args:
        parent: the parent's process id.
    """
    _control(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before the call above
        os._exit(1)


def _control(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def end_family(pid: int, itself: bool = True) -> None:
    """Kill a process and all that it started, those that are started while this goes on included.

    Args:
        pid: the process; 0 or one that has ended is none.
        itself: whether it is to be killed, too, and not only what it started.
    """
    while family := [p for p in _family(pid) if itself or p.pid != pid]:
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs([p for p in family if p.pid != pid], timeout=0.2)


def family_megabytes(pid: int) -> float:
    """Memory that papermill, its kernel and the processes under that hold together (10⁶ bytes; Linux).

    What several of them share counts once. 0 when the kernel has started none: the system keeps count of single ones.

    Args:
        pid: papermill.
    """
    family = _family(pid)
    if sys.platform != "linux" or len(family) < 3:
        return 0.0
    total = 0
    for member in family:
        with suppress(OSError):  # it has ended, or is somebody else's
            rollup = Path(f"/proc/{member.pid}/smaps_rollup").read_text(encoding="ascii", errors="replace")
            total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total * 1024 / 1e6


def _family(pid: int) -> list[psutil.Process]:
    """A process, after all that it started, as far as they run."""
    try:
        parent = psutil.Process(pid) if pid else None
        found = [*parent.children(recursive=True), parent] if parent else []
    except psutil.NoSuchProcess:
        return []
    return [p for p in found if _runs(p)]


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def leave(work: Callable[[], object]) -> NoReturn:
    """Do the work of a forked process and end it, as a program ends, but without taking its libraries apart.

    Args:
        work: what is to be done; may raise SystemExit.
    """
    code = 1
    try:
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as at the end of any program
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
