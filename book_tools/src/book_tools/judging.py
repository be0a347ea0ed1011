"""Whether a run kept what its page promises: each broken clause as one line that names page, cell and clause."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import jsonschema
import pooch
from nbformat import NotebookNode

from .contracts import Contract, at_profile, in_words, missed
from .pages import Page

FINISH = ".finish()"


def broken_promises(page: Page, published: NotebookNode, since: float = 0.0) -> list[str]:
    """Clauses of a page's contract that its run broke, one line each; none when all is well.

    Args:
        page: the page, with its contract.
        published: the page with its outputs and the facts about its run.
        since: when the run began, in seconds since 1970: files must be newer.
    """
    figures = sum(is_figure(output) for cell in published.cells for output in cell.get("outputs", []))
    run = {"parameters": {}, "seconds": 0.0} | published.metadata["ml4ops"]["run"]
    cache = cache_folder(page)
    breaches = judge(page.contract, run, figures) + judge_files(page.contract, cache, run["parameters"], since)
    return [f"{page.path.name}{_place(page, b)}: contract, {b.clause}: {b.text}" for b in breaches]


def cache_folder(page: Page) -> Path:
    """Where a page leaves files for others.

    Args:
        page: the page, with its environment.
    """
    return Path(page.environment.get("ML4OPS_CACHE") or os.environ.get("ML4OPS_CACHE") or pooch.os_cache("ml4ops"))


def is_figure(output: Mapping[str, Any]) -> bool:
    """Whether an output of a cell is a picture.

    Args:
        output: of a notebook's cell.
    """
    return any(mime.startswith("image/") for mime in output.get("data", {}))


def _place(page: Page, breach: Breach) -> str:
    """The cell in which a page says what a breach is about, as far as one does."""
    cells = enumerate(page.notebook.cells, start=1)
    numbers = [n for n, c in cells if breach.says and c.cell_type == "code" and breach.says in c.source]
    return f", cell {numbers[-1]}" if numbers else ""


@dataclass(frozen=True)
class Breach:
    """A broken clause.

    Attributes:
        clause: its name.
        text: what was found and what was wanted.
        says: code that stands in the cell it is about, or "".
    """

    clause: str
    text: str
    says: str = ""


def judge(contract: Contract, run: Mapping[str, Any], figures: int) -> list[Breach]:
    """Clauses that a run broke, files aside.

    Args:
        contract: the page's contract.
        run: facts about the run: ``parameters``, ``seconds``, ``peak_mb``, and ``record`` where the page left one.
        figures: how many figures the page shows.
    """
    if not contract:
        return []
    if not (record := run.get("record")):
        return [
            Breach("record", "found none, wanted the one that lesson.finish() leaves at the end of the page", FINISH)
        ]
    if missing := [name for name in ("seconds", "metrics") if name not in record]:
        return [Breach("record", f"found one without {missing[0]}, wanted the one that lesson.finish() leaves", FINISH)]
    return [
        *_judge_record(record, run["parameters"]),
        *_judge_metrics(contract, record["metrics"], run["parameters"].get("profile")),
        *_judge_effort(contract, run, figures),
    ]


def _judge_record(record: Mapping[str, Any], parameters: Mapping[str, Any]) -> Iterator[Breach]:
    """Whether the page did something, and with the parameters that it was given."""
    if record["seconds"] <= 0:
        yield Breach(
            "record", "found a page that took 0 s, wanted one that starts before its work and finishes after", FINISH
        )
    for name in ("profile", "seed"):
        if name in parameters and record.get(name) != parameters[name]:
            found = f"found a page run with {record.get(name)!r}, wanted {parameters[name]!r}"
            yield Breach(f"parameter {name}", found)


def _judge_metrics(contract: Contract, metrics: Mapping[str, Any], profile: object) -> Iterator[Breach]:
    for name, limits in contract.metrics.items():
        asked = at_profile(limits, profile)
        if name not in metrics:
            if not limits.get("optional"):
                yield Breach(
                    f"metric {name!r}", f"found none, wanted {in_words(asked) if asked else 'one'}", f'"{name}"'
                )
        elif wanted := missed(metrics[name], asked):
            value = "an undefined value" if metrics[name] is None else f"{metrics[name]!r}"
            yield Breach(f"metric {name!r}", f"found {value}, wanted {wanted}", f'"{name}"')


def _judge_effort(contract: Contract, run: Mapping[str, Any], figures: int) -> Iterator[Breach]:
    profile = run["parameters"].get("profile")
    if figures < contract.figures:
        yield Breach("figures", f"found {figures}, wanted at least {contract.figures}")
    seconds = run.get("effective_seconds", run["seconds"])  # a busy machine breaks no contract
    if seconds > (ceiling := contract.seconds.get(str(profile), float("inf"))):
        yield Breach(f"seconds at profile {profile}", f"found {seconds:.0f}, wanted at most {ceiling:g}")
    if contract.memory_mb is not None and (peak := run.get("peak_mb", 0)) > contract.memory_mb:
        yield Breach("memory_mb", f"found {peak:.0f}, wanted at most {contract.memory_mb:g}")


def judge_files(contract: Contract, cache: Path, parameters: Mapping[str, Any], since: float) -> list[Breach]:
    """Files that a run should have left and did not.

    Args:
        contract: the page's contract.
        cache: folder of the cache.
        parameters: of the run; a file's name may hold them in braces.
        since: when the run began, in seconds since 1970.
    """
    named = ((name.format_map(parameters), schema) for name, schema in contract.files.items())
    found = ((name, _file_fault(cache / name, schema, since)) for name, schema in named)
    return [Breach(f"file {name!r}", fault) for name, fault in found if fault]


def _file_fault(path: Path, schema: Mapping[str, Any], since: float) -> str | None:
    if not path.is_file():
        return "found none in the cache, wanted one"
    if path.stat().st_mtime < since - 1:  # clocks of file systems are coarse
        return "found one that is older than the run, wanted a new one"
    if not path.suffix.endswith("json"):
        return None if path.stat().st_size else "found an empty one, wanted content"
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except ValueError as error:
        return f"found no JSON ({error}), wanted some"
    misfit = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(content))
    if misfit is None:
        return None
    place = "".join(f"[{part!r}]" for part in misfit.absolute_path)
    return f"found content{place} that does not fit ({misfit.message}), wanted content of its schema"


def _refuse(constant: str) -> NoReturn:
    """Refuse what Python writes and reads but JSON does not know: it would pass any limit."""
    raise ValueError(f"{constant} is no number of JSON")
