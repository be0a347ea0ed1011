"""Where the stages' files lie, and how they are read and written: whole or not at all, with errors in one line."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkstemp
from typing import Any

import pandas as pd

RAW, PROVENANCE = Path("data/raw.parquet"), Path("data/raw.json")
VALIDATION = Path("reports/validation.json")
EXPLORE, EXPLORE_NUMBERS = Path("reports/explore"), Path("reports/explore.json")
COLUMNS = Path("data/columns.parquet")
SPLIT, NORMAL, CAPPED = Path("data/split"), Path("data/normal"), Path("data/capped.parquet")
SCALING = Path("models/scaling.json")
TENSORS = Path("data/tensors")
PARTS = ("train", "val", "test")
"""Names of the three parts of the rows, and of their files."""


class ProjectError(ValueError):
    """Something the user can fix; the message says in one line what it is and what to do."""


def run_stage(main: Callable[[], None]) -> None:
    """Run a stage as a command: what the user can fix is reported in one line, with exit status 1.

    Args:
        main: the stage, without arguments.

    Raises:
        SystemExit: with status 1 after a `ProjectError`.
    """
    try:
        main()
    except ProjectError as problem:
        print(f"error: {problem}", file=sys.stderr)
        raise SystemExit(1) from None


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Write a file whole or not at all: yields a temporary path beside it, which takes its name at the end.

    Args:
        path: of the file; its folder is made.

    Yields:
        The path to write to.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)  # a temporary file is its owner's alone
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(text: str, path: str | Path) -> None:
    """Write text as UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(content: Mapping[str, object] | Sequence[object], path: str | Path) -> None:
    """Write numbers, texts, lists and dicts as JSON, whole or not at all; NaN, which JSON does not know, is refused."""
    write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n", path)


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as Parquet, whole or not at all; the index, which holds row numbers of the source, is kept."""
    with replacing(path) as temporary:
        table.to_parquet(temporary)


def write_csv(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as CSV without its index, whole or not at all."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False)


def needed(path: str | Path, stage: str) -> Path:
    """A file or folder that an earlier stage has made.

    Args:
        path: of it.
        stage: that makes it, such as ``fetch``.

    Raises:
        ProjectError: it is not there.
    """
    if not Path(path).exists():
        raise ProjectError(f"{path} is not there: the stage {stage} makes it; run `dvc repro {stage}` first")
    return Path(path)


def read_table(path: str | Path, stage: str) -> pd.DataFrame:
    """Read a Parquet table that an earlier stage has made.

    Raises:
        ProjectError: it is not there, or not a Parquet file.
    """
    found: pd.DataFrame = _read(pd.read_parquet, needed(path, stage), stage, "Parquet")
    return found


def read_json(path: str | Path, stage: str) -> Any:  # noqa: ANN401 (JSON may hold anything)
    """Read a JSON file that an earlier stage has made.

    Raises:
        ProjectError: it is not there, or not JSON.
    """
    return _read(lambda file: json.loads(file.read_text(encoding="utf-8")), needed(path, stage), stage, "JSON")


def _read(read: Callable[[Path], Any], path: Path, stage: str, kind: str) -> Any:  # noqa: ANN401
    try:
        return read(path)
    except (OSError, ValueError):
        message = f"{path} can't be read as {kind}: run `dvc repro --force {stage}`, which makes it"
        raise ProjectError(message) from None
