"""What is to be done: each page with its parameters, its key and the outputs it has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from nbformat import NotebookNode

from .contract_checks import cache_folder
from .dependencies import file_digest
from .keys import outputs_key, page_key
from .pages import Page, PageError, Value, choose_parameters, read_notebook


@dataclass(frozen=True)
class Job:
    """A page with all that decides its results.

    Attributes:
        page: the page.
        parameters: all its parameters.
        key: hash of what its results depend on.
        published: the page with the outputs of its last good run, or None.
    """

    page: Page
    parameters: dict[str, Value]
    key: str
    published: NotebookNode | None

    def unchanged(self) -> bool:
        """Whether the published outputs are those of this key, and the files in the cache those of that run."""
        if self.published is None:
            return False
        facts = run_facts(self.published)
        same = facts.get("key") == self.key and facts.get("outputs") == outputs_key(self.published)
        return same and facts.get("files") == self.left_files()

    def left_files(self) -> dict[str, str]:
        """Hashes of the files that the page's contract names, as they are in the cache."""
        return left_files(self.page.contract.files, cache_folder(self.page), self.parameters)

    def recorded_seconds(self) -> float | None:
        """Time of the run whose outputs are published, if there is one."""
        seconds = run_facts(self.published).get("seconds") if self.published else None
        return float(str(seconds)) if seconds is not None else None


def run_facts(notebook: NotebookNode) -> dict[str, object]:
    """Facts about the run whose outputs a published page shows: key, parameters, seconds, record.

    Args:
        notebook: a page that ``run_pages`` wrote; for another notebook the facts are empty.
    """
    return dict(notebook.metadata.get("ml4ops", {}).get("run", {}))


def left_files(names: Iterable[str], cache: Path, parameters: Mapping[str, object]) -> dict[str, str]:
    """SHA-256 of each file that a page leaves for others, by its path in the cache; "" where there is none.

    Args:
        names: of the files, as in the page's contract; they may hold parameters in braces.
        cache: folder of the cache.
        parameters: of the run.
    """
    paths = {name: cache / name for name in (name.format_map(parameters) for name in names)}
    return {name: file_digest(path) if path.is_file() else "" for name, path in paths.items()}


def prepare(pages: Sequence[Page], given: Mapping[str, Value], out: Path, environment: str) -> list[Job]:
    """A job for each page, those first that hold up the run the longest.

    The key of a page counts in the keys of those that run after it; when it is not run this time, that of its last
    good run does, and the files that it left when they are no longer those of that run.

    Args:
        pages: what to run; no page waits for itself (``check_order``).
        given: parameters for every page.
        out: folder of the executed notebooks.
        environment: what ``environment_key`` returned.

    Raises:
        PageError: a parameter does not fit a page.
    """
    by_name = {p.name: p for p in pages}
    made: dict[str, Job] = {}

    def key_of(name: str, follower: Page) -> str:
        if name in by_name:
            return make(by_name[name]).key
        published = _read_published(out / f"{name}.ipynb")
        return _key_of_published(published, cache_folder(follower)) if published else ""

    def make(page: Page) -> Job:
        if page.name not in made:
            values = choose_parameters(page, given)
            key = page_key(page, values, environment, [key_of(name, page) for name in page.after])
            made[page.name] = Job(page, values, key, _read_published(out / page.path.name))
        return made[page.name]

    return _longest_first([make(p) for p in pages])


def _key_of_published(published: NotebookNode, cache: Path) -> str:
    """What a page that is not run this time means for those after it: its key, and its files if they were changed."""
    facts = run_facts(published)
    kept: Any = facts.get("files", {})
    now = left_files(kept, cache, {})
    return str(facts.get("key", "")) + (json.dumps(now, sort_keys=True) if now != kept else "")


def _read_published(path: Path) -> NotebookNode | None:
    """A page published before; one that can't be read is as good as none."""
    try:
        return read_notebook(path)
    except PageError:
        return None


def _longest_first(jobs: Sequence[Job]) -> list[Job]:
    """Jobs by the time that they and the pages that wait for them are expected to take."""
    expected = expected_seconds(jobs)

    @cache
    def rank(name: str) -> float:
        followers = [rank(j.page.name) for j in jobs if name in j.page.after]
        return expected[name] + max(followers, default=0.0)

    return sorted(jobs, key=lambda job: rank(job.page.name), reverse=True)


def expected_seconds(jobs: Sequence[Job]) -> dict[str, float]:
    """Time that each page is expected to take, by its name.

    It is the time of its last good run. Of a page without one only its author's minutes are known, which are a
    reader's: they are brought down to what the others' minutes came to, in the middle.

    Args:
        jobs: what is to be run.
    """
    recorded = {job.page.name: seconds for job in jobs if (seconds := job.recorded_seconds()) is not None}
    paces = [recorded[job.page.name] / job.page.minutes for job in jobs if job.page.name in recorded]
    pace = median(paces) if paces else 60.0
    return {job.page.name: recorded.get(job.page.name, pace * job.page.minutes) for job in jobs}
