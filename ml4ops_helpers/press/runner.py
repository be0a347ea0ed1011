"""Run pages strictly and side by side; leave alone those whose results can't have changed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nbformat import NotebookNode

from .execute import Run
from .jobs import Job, prepare, run_facts
from .keys import surroundings_key
from .pages import Page, PageError, Value, check_order
from .provenance import surroundings
from .publish import find_failure, publish, write_notebook


@dataclass(frozen=True)
class Outcome:
    """What became of one page.

    Attributes:
        page: its name.
        state: ``run``, ``unchanged``, ``failed``, or ``skipped`` when a page that it waits for failed.
        seconds: time of the run whose outputs it shows, or of the run that failed.
        message: why it failed or was skipped, else "".
    """

    page: str
    state: Literal["run", "unchanged", "failed", "skipped"]
    seconds: float = 0.0
    message: str = ""


def run_pages(
    pages: Sequence[Page],
    parameters: Mapping[str, Value],
    out: Path,
    *,
    jobs: int,
    cell_timeout: int = 1800,
    force: bool = False,
    lock: Path = Path("requirements.lock"),
    data: Path | None = None,
    report: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Run pages by papermill and write each to ``out`` when it succeeded.

    A page that fails leaves its last good output in place and the broken notebook beside it as ``.failed.ipynb``.
    Everything is checked before the first page is started.

    Args:
        pages: what to run.
        parameters: values for every page's parameters.
        out: folder of the executed notebooks.
        jobs: most pages at a time.
        cell_timeout: seconds after which a cell is given up.
        force: run pages whose key is unchanged, too.
        lock: lock file of the environment, part of the key.
        data: folder of data sets on disk, part of the key.
        report: told of each outcome as it comes.

    Returns:
        One outcome a page, in the order of ``pages``.

    Raises:
        PageError: a page or a parameter fails its checks; nothing was run.
    """
    check_order(pages)
    outcomes: dict[str, Outcome] = {}

    def settle(outcome: Outcome) -> None:
        outcomes[outcome.page] = outcome
        report(outcome)

    waiting = []
    for job in prepare(pages, parameters, out, surroundings_key(lock, data)):
        if job.published is not None and job.unchanged() and not force:
            settle(_republish(job, job.published, out))
        else:
            waiting.append(job)
    about = surroundings(lock)
    _work_off(waiting, lambda job, run: _finish(job, run, out, about), jobs, cell_timeout, settle)
    return [outcomes[p.name] for p in pages]


def _work_off(
    waiting: list[Job],
    finish: Callable[[Job, Run], Outcome],
    jobs: int,
    cell_timeout: int,
    settle: Callable[[Outcome], None],
) -> None:
    """Keep up to ``jobs`` pages running until none waits; stop those that run when interrupted."""
    running: list[tuple[Job, Run]] = []
    try:
        while waiting or running:
            while len(running) < jobs and (ready := _ready(waiting, running)):
                threads = share_threads(count_cores(), 1 if not running and len(ready) == 1 else jobs)
                waiting.remove(ready[0])
                running.append((ready[0], Run(ready[0].page, ready[0].parameters, threads, cell_timeout)))
            time.sleep(0.05)
            for job, run in [pair for pair in running if pair[1].done()]:
                running.remove((job, run))
                outcome = finish(job, run)
                settle(outcome)
                if outcome.state == "failed":
                    _skip_followers(job.page.name, waiting, settle)
    finally:
        for _, run in running:
            run.stop()


def _ready(waiting: Sequence[Job], running: Sequence[tuple[Job, Run]]) -> list[Job]:
    """Jobs that wait for no page that is still to be run."""
    ahead = {j.page.name for j in waiting} | {j.page.name for j, _ in running}
    return [j for j in waiting if not ahead & set(j.page.after)]


def share_threads(cores: int, pages: int) -> int:
    """Threads of each of several pages that run side by side. More than the cores in all makes them far slower.

    Args:
        cores: cores there are.
        pages: pages that may run at a time.

    >>> share_threads(8, 3), share_threads(2, 4)
    (2, 1)
    """
    return max(1, cores // pages)


def _skip_followers(lost: str, waiting: list[Job], settle: Callable[[Outcome], None]) -> None:
    """Take out the jobs that wait for a page that failed, and those that wait for them."""
    for job in [j for j in waiting if lost in j.page.after]:
        if job in waiting:
            waiting.remove(job)
            settle(Outcome(job.page.name, "skipped", 0.0, f"{job.page.path.name}: waits for {lost}, which failed"))
            _skip_followers(job.page.name, waiting, settle)


def _finish(job: Job, run: Run, out: Path, about: dict[str, str]) -> Outcome:
    """Publish a run that went well; keep a broken one beside the last good output."""
    name, seconds = job.page.name, round(run.seconds(), 1)
    try:
        executed, complaint = run.result()
    except PageError as error:
        return Outcome(name, "failed", seconds, str(error))
    try:
        if failure := find_failure(job.page.notebook, executed, job.page.path.name, complaint):
            raise PageError(failure)
        facts = {"key": job.key, "parameters": job.parameters, "seconds": seconds, "peak_mb": round(run.peak_mb)}
        facts["provenance"] = about
        page, errors = publish(job.page.notebook, executed, facts)
    except PageError as error:
        write_notebook(executed, out / f"{name}.failed.ipynb")
        return Outcome(name, "failed", seconds, str(error))
    _replace(page, out / job.page.path.name)
    _write_log(errors, out / f"{name}.stderr.txt")
    return Outcome(name, "run", seconds)


def _republish(job: Job, published: NotebookNode, out: Path) -> Outcome:
    """Bring new prose to the outputs that are there."""
    facts = run_facts(published)
    page, _ = publish(job.page.notebook, published, facts)
    _replace(page, out / job.page.path.name)
    return Outcome(job.page.name, "unchanged", float(str(facts["seconds"])))


def _replace(page: NotebookNode, path: Path) -> None:
    """Put a good page in place; what is left of a failure is out of date."""
    write_notebook(page, path)
    path.with_suffix(".failed.ipynb").unlink(missing_ok=True)


def _write_log(text: str, path: Path) -> None:
    """Keep what a page wrote to standard error, which the page itself does not show."""
    if text:
        path.write_text(text, encoding="utf-8")
    else:
        path.unlink(missing_ok=True)


def count_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
