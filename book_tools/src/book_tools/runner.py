"""Run pages strictly and side by side; leave alone those whose results can't have changed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from nbformat import NotebookNode

from .contract_checks import broken_promises, cache_folder
from .execute import Run
from .jobs import Job, prepare, run_facts
from .keys import environment_key, outputs_key
from .pages import Page, PageError, Value, check_order
from .provenance import run_provenance
from .publish import publish, write_notebook
from .run_errors import find_failure


@dataclass(frozen=True)
class Outcome:
    """What became of one page.

    Attributes:
        page: its name.
        state: ``run``, ``unchanged``, ``failed``, or ``skipped`` when a page that it waits for failed.
        seconds: time of the run whose outputs it shows, or of the run that failed.
        message: why it failed or was skipped, else "".
        facts: about that run: parameters, peak_mb, and where the page got so far provenance and record.
    """

    page: str
    state: Literal["run", "unchanged", "failed", "skipped"]
    seconds: float = 0.0
    message: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


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
    watch: Callable[[Mapping[str, float]], None] = lambda seconds: None,
) -> list[Outcome]:
    """Run pages by papermill and write each to ``out`` when it succeeded.

    A page that fails leaves its last good output in place and the broken notebook beside it as ``.failed.ipynb``.
    Everything is checked before the first page is started.

    Args:
        pages: what to run.
        parameters: values for every page's parameters.
        out: folder of the executed notebooks.
        jobs: most pages at a time.
        cell_timeout: seconds after which a cell is stopped; waiting for a processor does not count.
        force: run pages whose key is unchanged, too.
        lock: lock file of the environment, part of the key.
        data: folder of data sets on disk, part of the key.
        report: called with each outcome as it comes.
        watch: called again and again with the pages that run and their seconds so far.

    Returns:
        One outcome a page, in the order of ``pages``.

    Raises:
        PageError: a page or a parameter fails its checks, or another run uses the same folder or cache; nothing was
            run.
    """
    check_order(pages)
    outcomes: dict[str, Outcome] = {}

    def record(outcome: Outcome) -> None:
        outcomes[outcome.page] = outcome
        report(outcome)

    with _hold_locks(pages, out):
        waiting = []
        shared = environment_key(lock, data, known=out.parent / "data_hashes.json")
        for job in prepare(pages, parameters, out, shared):
            kept = _republish(job, job.published, out) if job.published and job.unchanged() and not force else None
            if kept:
                record(kept)
            else:
                waiting.append(job)
        for lost in [name for name, outcome in outcomes.items() if outcome.state == "failed"]:
            _skip_followers(lost, waiting, record)
        about = run_provenance(lock)

        def start(job: Job, threads: int) -> Run:
            return Run(job.page, job.parameters, threads, cell_timeout)

        def finish(job: Job, run: Run) -> Outcome:
            try:
                return _finish(job, run, out, about)
            except OSError as error:  # such as a full disk: the others may still find room
                message = f"{job.page.path.name}: can't be written: {error}"
                return Outcome(job.page.name, "failed", round(run.seconds(), 1), message)

        _work_off(waiting, start, finish, jobs, record, watch)
    return [outcomes[p.name] for p in pages]


@contextmanager
def _hold_locks(pages: Sequence[Page], out: Path) -> Iterator[None]:
    """Keep other runs away from the folder of the executed notebooks, and from where pages leave each other files."""
    out = out.resolve()
    caches = {cache_folder(page).resolve() for page in pages if page.after or page.contract.files}
    locks = {out.with_name(f".{out.name}.lock"): f"{out}: another run works there; wait for it, or give another --out"}
    for cache in sorted(caches):
        locks[cache / ".run.lock"] = f"{cache}: another run uses this cache; wait for it, or set ML4OPS_CACHE elsewhere"
    with ExitStack() as held:
        for path, message in locks.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                held.enter_context(FileLock(path, timeout=0))
            except Timeout:
                raise PageError(message) from None
        yield


def _work_off(
    waiting: list[Job],
    start: Callable[[Job, int], Run],
    finish: Callable[[Job, Run], Outcome],
    jobs: int,
    record: Callable[[Outcome], None],
    watch: Callable[[Mapping[str, float]], None],
) -> None:
    """Keep up to ``jobs`` pages running until none waits; stop those that run when interrupted."""
    running: list[tuple[Job, Run]] = []
    try:
        while waiting or running:
            while len(running) < jobs and (ready := _ready(waiting, running)):
                alone = not running and (len(ready) == 1 or ready[0].page.exclusive)
                waiting.remove(ready[0])
                running.append((ready[0], start(ready[0], share_threads(count_cores(), 1 if alone else jobs))))
            watch({job.page.name: run.seconds() for job, run in running})
            time.sleep(0.05)
            for job, run in [pair for pair in running if pair[1].done()]:
                running.remove((job, run))
                outcome = finish(job, run)
                record(outcome)
                if outcome.state == "failed":
                    _skip_followers(job.page.name, waiting, record)
    finally:
        for _, run in running:
            run.stop()


def _ready(waiting: Sequence[Job], running: Sequence[tuple[Job, Run]]) -> list[Job]:
    """Jobs that wait for no page that is still to be run; none while an exclusive one runs, or is next."""
    ahead = {j.page.name for j in waiting} | {j.page.name for j, _ in running}
    ready = [j for j in waiting if not ahead & set(j.page.after)]
    exclusive = [j.page.exclusive for j, _ in running] + [j.page.exclusive for j in ready[:1]]
    return [] if running and any(exclusive) else ready


def share_threads(cores: int, pages: int) -> int:
    """Threads of each of several pages that run side by side. More than the cores in all makes them far slower.

    Args:
        cores: cores there are.
        pages: pages that may run at a time.

    >>> share_threads(8, 3), share_threads(2, 4)
    (2, 1)
    """
    return max(1, cores // pages)


def _skip_followers(lost: str, waiting: list[Job], record: Callable[[Outcome], None]) -> None:
    """Take out the jobs that wait for a page that failed, and those that wait for them."""
    for job in [j for j in waiting if lost in j.page.after]:
        if job in waiting:
            waiting.remove(job)
            record(Outcome(job.page.name, "skipped", 0.0, f"{job.page.path.name}: waits for {lost}, which failed"))
            _skip_followers(job.page.name, waiting, record)


def _finish(job: Job, run: Run, out: Path, about: dict[str, str]) -> Outcome:
    """Publish a run that went well and kept its contract; keep a broken one beside the last good output."""
    name, seconds, began = job.page.name, round(run.seconds(), 1), time.time() - run.seconds()
    facts: dict[str, Any] = {"parameters": job.parameters, "seconds": seconds}
    try:
        executed, complaint = run.result()
    except PageError as error:
        return Outcome(name, "failed", seconds, str(error), facts)
    facts |= {"peak_mb": round(run.peak_mb), "effective_seconds": round(run.effective_seconds, 1)}
    facts |= {"key": job.key, "provenance": about}
    try:
        if failure := find_failure(job.page.notebook, executed, job.page.path.name, complaint):
            raise PageError(failure)
        page, errors = publish(job.page.notebook, executed, facts, job.page.path.name)
        facts = run_facts(page)
        if broken := broken_promises(job.page, page, began):
            raise PageError("\n".join(broken))
        page.metadata.ml4ops.run |= {"files": job.left_files(), "outputs": outputs_key(page)}
        facts = run_facts(page)
    except PageError as error:
        write_notebook(executed, out / f"{name}.failed.ipynb")
        return Outcome(name, "failed", seconds, str(error), facts)
    _replace(page, out / job.page.path.name)
    _write_log(errors, out / f"{name}.stderr.txt")
    return Outcome(name, "run", seconds, facts=facts)


def _republish(job: Job, published: NotebookNode, out: Path) -> Outcome | None:
    """Bring new prose to the outputs that are there; None when they do not keep the contract as it is now."""
    facts = run_facts(published)
    try:
        page, _ = publish(job.page.notebook, published, facts, job.page.path.name)
    except PageError as error:
        return Outcome(job.page.name, "failed", message=str(error))
    if broken_promises(job.page, page):
        return None
    _replace(page, out / job.page.path.name)
    return Outcome(job.page.name, "unchanged", float(str(facts["seconds"])), facts=facts)


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
