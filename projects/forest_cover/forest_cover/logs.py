"""What a run leaves beside its results, and what it says: ``python -m forest_cover.logs RUN``.

A training calls `begin_run` before the first epoch and `end_run` after the last one, or when it fails. Between the two
it holds a lock, which the system frees however the process ends: a run without an end whose lock is free was killed.
"""

from __future__ import annotations

import csv
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import OmegaConf

from forest_cover.config import Config
from forest_cover.files import ProjectError, run_stage, write_json, write_text

RECORD, SETTINGS, LOCK, HISTORY = "run.json", "settings.yaml", "run.lock", "history.csv"
PACKAGES = ("torch", "numpy", "pandas", "scikit-learn", "hydra-core", "omegaconf", "dvc", "optuna", "mlflow")
log = logging.getLogger(__name__)
_locks: dict[Path, FileLock] = {}


def begin_run(config: Config, out: str | Path) -> None:
    """Write the resolved settings, versions, git commit and seed beside a run, and mark it as running.

    A run that was cut short can begin again in the same folder; the record then lists both beginnings.

    Args:
        config: of the run.
        out: its folder; made when it is not there.

    Raises:
        ProjectError: another process is running in this folder.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    _take_lock(out)
    began = [*_record(out).get("began", []), _now()]
    write_text(OmegaConf.to_yaml(config.model_dump()), out / SETTINGS)
    record = {"began": began, "seed": config.training.seed, "commit": commit(), "versions": versions()}
    write_json({**record, "ended": None, "error": None}, out / RECORD)
    log.info("run in %s, seed %d, commit %s", out, config.training.seed, record["commit"] or "none")
    log.info("versions: %s", ", ".join(f"{name} {number}" for name, number in versions().items()))


def end_run(out: str | Path, error: BaseException | None = None) -> None:
    """Mark a run as ended and free its folder.

    Args:
        out: its folder.
        error: what ended it, None when it came to its end.
    """
    out = Path(out)
    reason = None if error is None else " ".join(f"{type(error).__name__}: {error}".split())
    write_json({**_record(out), "ended": _now(), "error": reason}, out / RECORD)
    if reason:
        log.error("the run in %s ended early: %s", out, reason)
    else:
        log.info("the run in %s is finished", out)
    if lock := _locks.pop(out.resolve(), None):
        lock.release()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on, as far as they are installed.

    Example:
        >>> versions()["python"].startswith("3.")
        True
    """
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The git commit of the working folder, with ``+changes`` when files differ from it; None where there is none."""
    try:
        found = _git("rev-parse", "HEAD")
        return found + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def state(folder: str | Path) -> str:
    """How a run stands: ``running``, ``finished``, ``error`` or ``killed``.

    Args:
        folder: of the run.

    Raises:
        ProjectError: the folder is not that of a run.
    """
    folder = Path(folder)
    record = _read(folder)
    if record["ended"]:
        return "error" if record["error"] else "finished"
    return "killed" if _is_free(folder) else "running"


def explain(folder: str | Path) -> str:
    """Say from a run's files how far it came, how it ended and how it is resumed.

    Args:
        folder: of the run.

    Raises:
        ProjectError: the folder is not that of a run.
    """
    return "\n".join(_lines(Path(folder)))


def _lines(folder: Path) -> Iterator[str]:
    record, now = _read(folder), state(folder)
    ends = {"running": "is running", "finished": f"finished at {record['ended']}"}
    ends |= {"killed": "was killed: it has no end, and no process holds its lock"}
    yield f"{folder}: {ends.get(now, 'failed: ' + str(record['error']))}"
    again = f", begun {len(record['began'])} times" if len(record["began"]) > 1 else ""
    yield f"began at {record['began'][-1]}{again}, seed {record['seed']}, commit {record['commit'] or 'none'}"
    yield _progress(folder)
    if last := _last_logged(folder):
        yield f"last logged: {last}"
    if now in ("killed", "error"):
        yield f"resume it: {resume_command(folder)}"


def resume_command(folder: Path) -> str:
    """The command that resumes a run with its own settings.

    Args:
        folder: of the run; ``models`` is the one that DVC's stage writes to.
    """
    if folder == Path(Config().out):
        return "dvc repro train"
    given = f"--config-dir {folder} --config-name settings hydra/job_logging=plain hydra.run.dir={folder}"
    return f"python -m forest_cover.stages.train {given}"


def _progress(folder: Path) -> str:
    epochs = OmegaConf.load(folder / SETTINGS).resources.epochs
    try:
        with (folder / HISTORY).open(encoding="utf-8", newline="") as file:
            done = sum(1 for _ in csv.DictReader(file))
    except FileNotFoundError:
        done = 0
    return f"epochs done: {done} of at most {epochs}"


def _last_logged(folder: Path) -> str:
    files = sorted(folder.glob("*.log"), key=lambda file: file.stat().st_mtime)
    lines = files[-1].read_text(encoding="utf-8", errors="replace").splitlines() if files else []
    return lines[-1] if lines else ""


def _take_lock(out: Path) -> None:
    lock = FileLock(out / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ProjectError(f"{out}: another process is running in this folder; wait for it or name another") from None
    _locks[out.resolve()] = lock


def _is_free(folder: Path) -> bool:
    if folder.resolve() in _locks:
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return True
    except Timeout:
        return False


def _record(out: Path) -> dict[str, Any]:
    return _read(out) if (out / RECORD).exists() else {}


def _read(folder: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ProjectError(f"{folder}: not the folder of a run, {RECORD} is missing") from None
    except ValueError:
        raise ProjectError(f"{folder / RECORD}: can't be read as JSON") from None
    return record


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    run_stage(lambda: print(explain(sys.argv[1] if len(sys.argv) > 1 else "models")))
