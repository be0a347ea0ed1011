"""The processes that a page starts: measured together, ended together."""

from __future__ import annotations

import ctypes
import sys
import time
from contextlib import suppress

import psutil

PR_SET_CHILD_SUBREAPER = 36
IDLE = 0.05
"""Processor time per second below which a page counts as idle."""


def adopt_orphans() -> None:
    """Become the parent of what descendants leave behind, which could not be found otherwise (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_children() -> None:
    """Kill every descendant of this process, including those started meanwhile; give up after ten seconds."""
    until = time.monotonic() + 10
    while (children := psutil.Process().children(recursive=True)) and time.monotonic() < until:
        for child in children:
            with suppress(psutil.Error):
                child.kill()
        psutil.wait_procs(children, timeout=0.2)


def end_marked(name: str, value: str) -> None:
    """Kill every process that was started with a variable of this value: what a killed worker could not end itself.

    Args:
        name: of the variable.
        value: that no other process has.
    """
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it is another user's, or has ended
            if process.environ().get(name) == value:
                process.kill()


class Usage:
    """What the descendants of this process use.

    Attributes:
        megabytes: most memory they held together (10⁶ bytes); memory they share counts once on Linux.
        seconds: time they took, without waiting for a processor on a busy machine: processor time, at most the time on
            the clock; time on the clock while they are idle.
    """

    def __init__(self) -> None:
        self.megabytes = self.seconds = self._processor = 0.0
        self._looked = time.perf_counter()

    def update(self) -> None:
        """Look at the processes; call it about once a second."""
        own = psutil.Process()
        children = own.children(recursive=True)
        processor, memory, wants_processor = 0.0, 0.0, False
        for process in [own, *children]:
            with suppress(psutil.Error):  # it has ended
                times = process.cpu_times()
                processor += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
                if process == own:
                    continue
                processor += times.user + times.system
                wants_processor |= process.status() == psutil.STATUS_RUNNING
                if len(children) > 1:  # the system keeps the peak of a single one
                    about = process.memory_full_info()
                    memory += getattr(about, "pss", about.rss) / 1e6
        now = time.perf_counter()
        passed, used = now - self._looked, max(processor - self._processor, 0.0)
        idle = used < IDLE * passed and not wants_processor
        self.seconds += passed if idle else min(used, passed)
        self.megabytes = max(self.megabytes, memory)
        self._looked, self._processor = now, processor
