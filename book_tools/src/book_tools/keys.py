"""What a page's results depend on, as one hash: equal keys, equal results, no need to run again."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from nbformat import NotebookNode

import ml4ops_helpers

from .dependencies import dependencies, file_digest
from .execute import COMMON_SETTINGS
from .pages import Page, PageError, Value
from .repository import files_below, own_files
from .writing import replace_text

PACKAGE = Path(ml4ops_helpers.__file__).resolve().parent

ACTING_TAGS = {"parameters", "raises-exception", "skip-execution"}
"""Tags that change how a cell is run, or whether it is. All others only change how it is shown."""

COMMENT = re.compile(r"(^|\s)#.*")
"""A comment in a lock file; the hash behind an address is not one."""

UNSETTLED = 5.0
"""Seconds after a change in which a file may change again under the same time stamp."""


def page_key(page: Page, parameters: Mapping[str, Value], environment: str, before: Iterable[str]) -> str:
    """SHA-256 over a page's code cells, its path, its parameters and everything else that its results depend on.

    Prose and tags that only change how a cell is shown are left out. Of the helper package, the modules and files that
    ``dependencies`` finds count. So do the files and folders that the page's metadata list under ``ml4ops.reads``, as
    paths from the root of the repository, and the folders below ``projects/`` listed under ``ml4ops.projects``.

    Args:
        page: the page.
        parameters: all its parameters.
        environment: what ``environment_key`` returned.
        before: keys of the pages that ran before it and may have left something for it.

    Raises:
        PageError: a file, folder or project that the page reads does not exist, or git ignores everything in it.
    """
    cells = code_of(page.notebook)
    own = [os.path.relpath(page.path), kernel_facts(page.notebook.metadata.kernelspec.name), _read_files(page)]
    helpers = dependencies(PACKAGE, [str(source) for source, _ in cells])
    return _hash([cells, own, helpers, dict(parameters), environment, list(before)])


def environment_key(lock: Path, data: Path | None, known: Path | None = None) -> str:
    """SHA-256 over what all pages share: lock file, data on disk, settings of the kernels.

    Args:
        lock: lock file of the environment; comments don't count, and it may be missing.
        data: folder of data sets, of which names and contents count, or None.
        known: file that keeps hashes of the data, so that unchanged files are not read again.
    """
    lines = lock.read_text(encoding="utf-8").splitlines() if lock.exists() else []
    locked = [text for line in lines if (text := COMMENT.sub("", line).strip())]
    return _hash([locked, COMMON_SETTINGS, data_manifest(data, known) if data else {}])


def outputs_key(page: NotebookNode) -> str:
    """SHA-256 over the outputs that a page shows.

    Args:
        page: an executed notebook.
    """
    return _hash([cell.outputs for cell in page.cells if cell.cell_type == "code"])


def code_of(notebook: NotebookNode) -> list[list[object]]:
    """What of a notebook is run: each code cell with the tags that change how it is run.

    Args:
        notebook: a page, executed or not.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [[cell.source, sorted(ACTING_TAGS & set(cell.metadata.get("tags", [])))] for cell in code]


def kernel_facts(name: str) -> list[str]:
    """What identifies a kernel: its name, its command, its version of Python.

    Args:
        name: as in a notebook's kernelspec.
    """
    try:
        command = KernelSpecManager().get_kernel_spec(name).argv
    except NoSuchKernel:
        command = []
    # The path of this Python differs between machines; of another Python, the path is all that is known.
    return [name, *("python" if part == sys.executable else part for part in command), platform.python_version()]


def data_manifest(folder: Path, known: Path | None = None) -> dict[str, str]:
    """SHA-256 of each file below a folder, by its path; links are followed, and a broken one has "".

    A hash in ``known`` is reused while size, inode and both time stamps are the same: a program can set back the time
    of modification, but not that of the inode's change.

    Args:
        folder: where the files are.
        known: JSON file of hashes; rewritten when something changed.
    """
    kept = _read_known(known)
    found: dict[str, list[object]] = {}
    for path in files_below(folder.absolute()):
        about = path.stat() if path.is_file() else path.lstat()
        state = [about.st_size, about.st_ino, about.st_mtime_ns, about.st_ctime_ns]
        *before, digest = kept.get(str(path), [None])
        found[str(path)] = [*state, digest if before == state else file_digest(path) if path.is_file() else ""]
    recent = (time.time() - UNSETTLED) * 1e9
    settled = {path: facts for path, facts in found.items() if float(str(facts[3])) < recent}
    if known is not None and settled != kept:
        known.parent.mkdir(parents=True, exist_ok=True)
        replace_text(known, json.dumps(settled))
    return {os.path.relpath(path, folder.absolute()): str(facts[-1]) for path, facts in sorted(found.items())}


def _read_known(known: Path | None) -> dict[str, list[object]]:
    """Hashes of an earlier run; none when the file can't be read."""
    try:
        kept = json.loads(known.read_text(encoding="utf-8")) if known else {}
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _files_of(folder: Path) -> list[Path]:
    """Files of a folder that git does not ignore, and all files behind its links."""
    found = [folder / inside for inside in sorted(own_files(folder))]
    return [path for own in found for path in (files_below(own) if own.is_dir() else [own])]


def _read_files(page: Page) -> list[list[str]]:
    """Path and hash of each file that a page reads; of a folder, each file that git does not ignore."""
    metadata = page.notebook.metadata.get("ml4ops", {})
    wanted = [("reads", name, Path(name)) for name in metadata.get("reads", [])]
    wanted += [("projects", name, Path("projects", name)) for name in metadata.get("projects", [])]
    found: list[list[str]] = []
    for key, name, path in wanted:
        if not path.exists():
            raise PageError(f"{page.path.name}: metadata ml4ops.{key} names {name!r}, but there is no {path}")
        files = [p for p in ([path] if path.is_file() else _files_of(path)) if p.is_file()]
        if not files:
            raise PageError(f"{page.path.name}: metadata ml4ops.{key} names {name!r}, but git ignores all files there")
        found += [[str(p), file_digest(p)] for p in files]
    return found


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
