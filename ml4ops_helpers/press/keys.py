"""What a page's results depend on, as one hash: equal keys, equal results, no need to run again."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from .pages import Page, Value

PACKAGE = Path(__file__).resolve().parent.parent


def page_key(page: Page, parameters: Mapping[str, Value], surroundings: str, before: Iterable[str]) -> str:
    """SHA-256 over a page's code cells, its parameters and whatever else its results depend on. Prose is left out.

    Args:
        page: the page.
        parameters: all its parameters.
        surroundings: what ``surroundings_key`` returned.
        before: keys of the pages that ran before it and may have left something for it.
    """
    code = [cell.source for cell in page.notebook.cells if cell.cell_type == "code"]
    return _hash([code, dict(sorted(parameters.items())), surroundings, list(before)])


def surroundings_key(lock: Path, data: Path | None) -> str:
    """SHA-256 over what all pages share: helper package, lock file, Python version, data on disk.

    Args:
        lock: the lock file of the environment; it may be missing.
        data: folder of data sets on disk, of which names and sizes count, or None.
    """
    locked = lock.read_text(encoding="utf-8") if lock.exists() else ""
    return _hash([package_files(PACKAGE), locked, platform.python_version(), _manifest(data)])


def package_files(package: Path) -> dict[str, str]:
    """Hash of each file that a notebook can get through the package: not ``press`` and ``cli``, which none imports.

    Args:
        package: folder of the package.
    """
    ours = {"press", "cli.py", "__pycache__"}
    files = sorted(p for p in package.rglob("*") if p.is_file() and not ours & set(p.relative_to(package).parts))
    return {p.relative_to(package).as_posix(): _file_hash(p, p.stat().st_mtime_ns) for p in files}


@cache
def _file_hash(path: Path, modified: int) -> str:
    """Hash of a file's bytes, read again only when it was modified."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _manifest(folder: Path | None) -> list[tuple[str, int]]:
    if folder is None:
        return []
    found = ((Path(where), name) for where, _, names in os.walk(folder) for name in names)
    return sorted(((w / n).relative_to(folder).as_posix(), (w / n).stat().st_size) for w, n in found)


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()
