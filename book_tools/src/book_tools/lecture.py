"""Run a plan: each page with each of its sets of parameters, side by side, retried, and only what is missing.

Each run becomes a notebook of its own with its parameters as defaults, and all go through the strict runner like the
pages of a book. So a run whose notebook exists and is up to date is left alone, and a kill costs only what was running.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pooch
from filelock import FileLock, Timeout

from .pages import Page, load_page
from .parameter_cells import with_parameters
from .plans import Plan, PlanError, PlannedRun
from .publish import write_notebook
from .runner import Outcome, run_pages

SHARED = ("embedded", "sen1floods11", "terramesh", "worldfloods")
"""Folders of the cache that all runs share: data sets, the same for all, made under a lock or downloaded atomically."""


@dataclass(frozen=True)
class Result:
    """What became of a run.

    Attributes:
        run: the run.
        outcome: from the runner.
        attempts: how often it was tried by this command.
        notebook: the executed notebook, or the broken one; None when there is neither.
    """

    run: PlannedRun
    outcome: Outcome
    attempts: int
    notebook: Path | None

    @property
    def complete(self) -> bool:
        """Whether its notebook is there and up to date."""
        return self.outcome.state in ("run", "unchanged")

    @property
    def key(self) -> str:
        """Hash of all that a complete run depends on, "" of another."""
        return str(self.outcome.facts["key"]) if self.complete else ""

    @property
    def metrics(self) -> dict[str, Any]:
        """What the page recorded; None is an undefined value."""
        return dict(self.outcome.facts.get("record", {}).get("metrics", {}))


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
        report: called with each outcome as it comes.

    Returns:
        One result a run, in the order of the plan.

    Raises:
        PlanError: another command works in the same folder, or a run needs the files of several.
        PageError: a page fails its checks; nothing was run.
    """
    out.mkdir(parents=True, exist_ok=True)
    notebooks = out / "notebooks"
    outcomes: dict[str, tuple[Outcome, int]] = {}
    try:
        with FileLock(out / ".lock", timeout=0):
            left = _write_sources(plan, out.resolve())
            for run in plan.runs:  # a broken notebook of an earlier command does not say why a run failed now
                (notebooks / f"{run.name}.failed.ipynb").unlink(missing_ok=True)
            for attempt in range(1, retries + 2):
                done = run_pages(left, {}, notebooks, jobs=jobs, cell_timeout=cell_timeout, data=data, report=report)
                outcomes |= {outcome.page: (outcome, attempt) for outcome in done}
                left = [page for page in left if outcomes[page.name][0].state in ("failed", "skipped")]
                if not left:
                    break
    except Timeout:
        raise PlanError(f"{out}: another book lecture works there; wait for it, or give another --out") from None
    return [_result(run, *outcomes[run.name], notebooks) for run in plan.runs]


def _write_sources(plan: Plan, out: Path) -> list[Page]:
    """Write the notebook of each run, with the runs that it goes after in place of the pages."""
    caches = cache_names(plan)
    pages = []
    for run in plan.runs:
        source = with_parameters(run.page.notebook, run.parameters)
        source.metadata["ml4ops"] = source.metadata.get("ml4ops", {}) | {"after": list(run.after)}
        path = out / "sources" / f"{run.name}.ipynb"
        write_notebook(source, path)
        cache = open_cache(out / "caches" / caches[run.name])
        pages.append(replace(load_page(path), environment={"ML4OPS_CACHE": str(cache)}))
    return pages


def cache_names(plan: Plan) -> dict[str, str]:
    """Name of the folder in which each run keeps what pages leave for each other: models, targets, records.

    Runs with different parameters never share one, so neither can find, overwrite or wait for what the other leaves.
    A run that goes after others uses theirs.

    Args:
        plan: from ``read_plan``.

    Raises:
        PlanError: a run goes after several that have folders of their own.
    """
    runs = {run.name: run for run in plan.runs}

    def name_of(run: PlannedRun) -> str:
        before = {name_of(runs[name]) for name in run.after}
        if len(before) > 1:
            names = " and ".join(run.after)
            raise PlanError(f"{run.name} goes after {names}, which have different parameters; give them the same")
        own = hashlib.sha256(json.dumps(run.parameters, sort_keys=True).encode()).hexdigest()[:12]
        return before.pop() if before else own

    return {run.name: name_of(run) for run in plan.runs}


def open_cache(folder: Path) -> Path:
    """A cache that shares nothing but data sets.

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
    result = Result(run, outcome, attempts, None)
    path = notebooks / f"{run.name}{'' if result.complete else '.failed'}.ipynb"
    return replace(result, notebook=path if path.exists() else None)
