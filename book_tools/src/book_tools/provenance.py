"""Where the outputs of a page come from: code, data, packages, parameters, machine. Shown in a box at its end."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROWS = {
    "commit": "commit",
    "data": "hash of the data",
    "lock": "hash of the locked packages",
    "python": "Python",
    "processor": "processor",
}
"""What the box shows beside parameters and duration, and in which words."""


def run_provenance(lock: Path) -> dict[str, str]:
    """What all pages of a run share: commit, hash of the lock file, processor, Python.

    Args:
        lock: the lock file of the environment; it may be missing.
    """
    locked = hashlib.sha256(lock.read_bytes()).hexdigest()[:12] if lock.exists() else "none"
    return {"commit": commit(), "lock": locked, "processor": processor(), "python": platform.python_version()}


def commit() -> str:
    """Commit of the working folder, with a remark when files differ from it; "unknown" outside a repository."""
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty= with local changes", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def processor() -> str:
    """Name of the processor, as far as the system knows it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def box(run: Mapping[str, Any]) -> str:
    """The end of a page, as MyST: what its outputs were made from.

    Args:
        run: facts about the run, as in the page's ``metadata.ml4ops.run``; without ``provenance`` there is no box.

    >>> print(box({"seconds": 61.0, "parameters": {"seed": 0}, "provenance": {"commit": "1a2b"}}))
    :::{admonition} How this page was made
    :class: note dropdown provenance
    | made from | which |
    |---|---|
    | commit | 1a2b |
    | seed | 0 |
    | duration | 61 s |
    :::
    """
    if "provenance" not in run:
        return ""
    known = run["provenance"] | {"data": (run.get("record") or {}).get("data")}
    rows = {words: known[name] for name, words in ROWS.items() if known.get(name)}
    rows |= run["parameters"] | {"duration": f"{run['seconds']:.0f} s"}
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    head = ":::{admonition} How this page was made\n:class: note dropdown provenance\n| made from | which |\n|---|---|"
    return f"{head}\n{table}\n:::"
