"""Run a plan: each page with each of its sets of parameters, side by side, retried, and only what is missing.

Each run becomes a notebook of its own with its parameters as defaults, and all go through the strict runner like the
pages of a book. So a run that is there and whole is left alone, and a kill costs only what was under way.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pooch
from filelock import FileLock, Timeout

from .jobs import run_facts
from .pages import Page, Value, load_page, read_notebook
from .parameter_cells import with_parameters
from .plans import Plan, PlanError, PlannedRun
from .publish import write_notebook
from .runner import Outcome, run_pages

SHARED = ("embedded", "locks", "sen1floods11", "terramesh", "worldfloods")
"""Folders of the cache that all runs share: data sets, the same for all, made or fetched under a lock."""


@dataclass(frozen=True)
class Result:
    """What became of a run.

    Attributes:
        run: the run.
        state: ``run``, ``unchanged`` when it was there already, ``failed``, or ``skipped`` after one that failed.
        attempts: how often it was tried by this command.
        seconds: time of the run that the notebook shows, or of the one that failed.
        message: why it failed or was skipped, else "".
        peak_mb: most memory of the run that took those seconds, None when it is not known.
        key: hash of all that it depends on, "" when it is not there.
        metrics: what the page recorded; None is an undefined value.
        notebook: the executed notebook, or the broken one; None when there is neither.
    """

    run: PlannedRun
    state: Literal["run", "unchanged", "failed", "skipped"]
    attempts: int
    seconds: float
    message: str
    peak_mb: float | None
    key: str
    metrics: dict[str, Value | None]
    notebook: Path | None

    @property
    def whole(self) -> bool:
        """Whether the run is there."""
        return self.state in ("run", "unchanged")


def run_lecture(
    plan: Plan,
    out: Path,
    *,
    jobs: int,
    retries: int = 1,
    cell_timeout: int = 1800,
    data: Path | None = None,
    report: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Result]:
    """Run what is missing of a plan; what failed is tried again when the rest is done.

    Args:
        plan: from ``read_plan``.
        out: folder of the lecture: executed notebooks in ``notebooks``, what was run in ``sources``.
        jobs: most runs at a time.
        retries: how often a run that failed is tried again.
        cell_timeout: seconds after which a cell is given up.
        data: folder of data sets on disk, part of each run's key.
        report: told of each outcome as it comes.

    Returns:
        One result a run, in the order of the plan.

    Raises:
        PlanError: another command works in the same folder, or runs of one line of pages differ in their files.
        PageError: a page fails its checks; nothing was run.
    """
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock", timeout=0):
            left = _stage(plan, out.resolve())
            outcomes: dict[str, tuple[Outcome, int]] = {}
            for run in plan.runs:  # what an earlier command left is no answer to why a run failed now
                (out / "notebooks" / f"{run.name}.failed.ipynb").unlink(missing_ok=True)
            for attempt in range(1, retries + 2):
                done = run_pages(
                    left, {}, out / "notebooks", jobs=jobs, cell_timeout=cell_timeout, data=data, report=report
                )
                outcomes |= {outcome.page: (outcome, attempt) for outcome in done}
                left = [p for p in left if outcomes[p.name][0].state in ("failed", "skipped")]
                if not left:
                    break
    except Timeout:
        raise PlanError(f"{out}: another book lecture works there; wait for it, or give another --out") from None
    return [_result(run, *outcomes[run.name], out / "notebooks") for run in plan.runs]


def _stage(plan: Plan, out: Path) -> list[Page]:
    """Write the notebook of each run, with the runs that it goes after in place of the pages."""
    caches = cache_folders(plan)
    pages = []
    for run in plan.runs:
        source = with_parameters(run.page.notebook, run.parameters)
        source.metadata["ml4ops"] = source.metadata.get("ml4ops", {}) | {"after": list(run.after)}
        path = out / "sources" / f"{run.name}.ipynb"
        write_notebook(source, path)
        cache = open_cache(out / "caches" / caches[run.name])
        pages.append(replace(load_page(path), environment={"ML4OPS_CACHE": str(cache)}))
    return pages


def cache_folders(plan: Plan) -> dict[str, str]:
    """Name of the folder in which each run keeps what pages leave for each other: models, targets, records.

    Runs with different parameters never share one, so neither can find, overwrite or wait for what the other leaves.
    A run that goes after others uses theirs.

    Args:
        plan: from ``read_plan``.

    Raises:
        PlanError: a run goes after several that have folders of their own.
    """
    runs = {run.name: run for run in plan.runs}

    def folders(run: PlannedRun) -> set[str]:
        if run.after:
            return {folder for name in run.after for folder in folders(runs[name])}
        return {hashlib.sha256(json.dumps(run.parameters, sort_keys=True).encode()).hexdigest()[:12]}

    for run in plan.runs:
        if len(folders(run)) > 1:
            before = " and ".join(run.after)
            raise PlanError(f"{run.name} goes after {before}, which have different parameters; give them the same")
    return {run.name: folders(run).pop() for run in plan.runs}


def open_cache(folder: Path) -> Path:
    """A cache that nobody else uses, but for data sets.

    Args:
        folder: where it is to be; made when missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shared = Path(os.environ.get("ML4OPS_CACHE") or pooch.os_cache("ml4ops")).resolve()
    for name in SHARED:
        (shared / name).mkdir(parents=True, exist_ok=True)
        (folder / name).unlink(missing_ok=True)  # the shared cache may be another than last time
        (folder / name).symlink_to(shared / name)
    return folder


def _result(run: PlannedRun, outcome: Outcome, attempts: int, notebooks: Path) -> Result:
    """What became of a run, with the facts that its notebook tells."""
    whole = outcome.state in ("run", "unchanged")
    path = notebooks / f"{run.name}{'' if whole else '.failed'}.ipynb"
    facts: Mapping[str, object] = run_facts(read_notebook(path)) if whole else {}
    record = facts.get("record", {})
    return Result(
        run=run,
        state=outcome.state,
        attempts=attempts,
        seconds=outcome.seconds,
        message=outcome.message,
        peak_mb=outcome.facts.get("peak_mb"),
        key=str(facts.get("key", "")),
        metrics=dict(record.get("metrics", {})) if isinstance(record, Mapping) else {},
        notebook=path if path.exists() else None,
    )
