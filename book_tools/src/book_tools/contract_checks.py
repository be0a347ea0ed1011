"""Whether a run kept what its page promises: each broken clause as one line that names page, cell and clause."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import jsonschema
import pooch
from nbformat import NotebookNode

from .contracts import Contract, Limits
from .pages import Page

FINISH = ".finish()"


class Breach(NamedTuple):
    """A broken clause: what was found, what was wanted, and code that stands in the cell it is about."""

    clause: str
    found: str
    wanted: str
    code: str = ""


def broken_promises(page: Page, published: NotebookNode, since: float = 0.0) -> list[str]:
    """Clauses of a page's contract that its run broke, one line each; none when all is well.

    Args:
        page: the page, with its contract.
        published: the page with its outputs and the facts about its run.
        since: when the run began, in seconds since 1970: files must be newer.
    """
    if not page.contract:
        return []
    run = {"parameters": {}, "seconds": 0.0} | published.metadata["ml4ops"]["run"]
    figures = sum(
        m.startswith("image/") for c in published.cells for o in c.get("outputs", []) for m in o.get("data", {})
    )
    breaches = [
        *_check_record(page.contract, run, figures),
        *_check_files(page.contract, cache_folder(page), run["parameters"], since),
    ]
    return [
        f"{page.path.name}{_cell(page, b.code)}: contract, {b.clause}: found {b.found}, wanted {b.wanted}"
        for b in breaches
    ]


def cache_folder(page: Page) -> Path:
    """Where a page leaves files for others.

    Args:
        page: the page, with its environment.
    """
    return Path(page.environment.get("ML4OPS_CACHE") or os.environ.get("ML4OPS_CACHE") or pooch.os_cache("ml4ops"))


def _cell(page: Page, code: str) -> str:
    """The last cell that holds some code, for a message."""
    cells = enumerate(page.notebook.cells, start=1)
    numbers = [n for n, cell in cells if code and cell.cell_type == "code" and code in cell.source]
    return f", cell {numbers[-1]}" if numbers else ""


def _check_record(contract: Contract, run: Mapping[str, Any], figures: int) -> Iterator[Breach]:
    """What the page recorded of itself; without a record, figures and time say nothing."""
    if not (record := run.get("record")):
        yield Breach("record", "none", "the one that lesson.finish() leaves at the end of the page", FINISH)
    elif missing := [name for name in ("seconds", "metrics") if name not in record]:
        yield Breach("record", f"one without {missing[0]}", "the one that lesson.finish() leaves", FINISH)
    else:
        yield from _check_work(record, run["parameters"])
        for name, metric in contract.metrics.items():
            yield from _check_metric(name, metric.at(run["parameters"].get("profile")), metric.optional, record)
        yield from _check_effort(contract, run, figures)


def _check_work(record: Mapping[str, Any], parameters: Mapping[str, Any]) -> Iterator[Breach]:
    """Whether the page did something, and with the parameters that it was given."""
    if record["seconds"] <= 0:
        wanted = "one that starts before its work and finishes after"
        yield Breach("record", "a page that took 0 s", wanted, FINISH)
    for name in ("profile", "seed"):
        if name in parameters and record.get(name) != parameters[name]:
            yield Breach(f"parameter {name}", f"a page run with {record.get(name)!r}", repr(parameters[name]))


def _check_metric(name: str, limits: Limits, optional: bool, record: Mapping[str, Any]) -> Iterator[Breach]:
    if name not in record["metrics"]:
        found = None if optional else "none"
    else:
        value = record["metrics"][name]
        found = None if limits.allow(value) else "an undefined value" if value is None else repr(value)
    if found:
        yield Breach(f"metric {name!r}", found, str(limits), f'"{name}"')


def _check_effort(contract: Contract, run: Mapping[str, Any], figures: int) -> Iterator[Breach]:
    profile, seconds = run["parameters"].get("profile"), run.get("effective_seconds", run["seconds"])
    if figures < contract.figures:
        yield Breach("figures", f"{figures}", f"at least {contract.figures}")
    if seconds > (most := contract.seconds.get(profile, float("inf"))):
        yield Breach(f"seconds at profile {profile}", f"{seconds:.0f}", f"at most {most:g}")
    if contract.memory_mb is not None and (peak := run.get("peak_mb", 0)) > contract.memory_mb:
        yield Breach("memory_mb", f"{peak:.0f}", f"at most {contract.memory_mb:g}")


def _check_files(contract: Contract, cache: Path, parameters: Mapping[str, Any], since: float) -> Iterator[Breach]:
    for pattern, schema in contract.files.items():
        name = pattern.format_map(parameters)
        if fault := _check_file(cache / name, schema, since):
            yield Breach(f"file {name!r}", *fault)


def _check_file(path: Path, schema: Mapping[str, Any], since: float) -> tuple[str, str] | None:
    """What was found of a file and what was wanted; None when it is as it should be."""
    if not path.is_file():
        return "none in the cache", "one"
    if path.stat().st_mtime < since - 1:  # clocks of file systems are coarse
        return "one that is older than the run", "a new one"
    if not path.suffix.endswith("json"):
        return None if path.stat().st_size else ("an empty one", "content")
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except ValueError as error:
        return f"no JSON ({error})", "some"
    misfit = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(content))
    if misfit is None:
        return None
    place = "".join(f"[{part!r}]" for part in misfit.absolute_path)
    return f"content{place} that does not fit ({misfit.message})", "content of its schema"


def _refuse(constant: str) -> NoReturn:
    """Refuse what Python writes and reads but JSON does not know: it would pass any limit."""
    raise ValueError(f"{constant} is not a JSON number")
