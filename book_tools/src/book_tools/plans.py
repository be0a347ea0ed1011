"""Plans of lectures: YAML files that name pages and the parameters to run them with, checked before anything runs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationError

from .declarations import Declaration, first_mistake
from .pages import Page, PageError, Value, check_order, choose_parameters, find_pages

LONGEST_LABEL = 40
"""Most characters of a parameter in a run's name, which is a file's name, too."""


class PlanError(Exception):
    """A plan can't be used; the message names the file and the entry, and says what to write."""


@dataclass(frozen=True)
class PlannedRun:
    """One page with one set of parameters.

    Attributes:
        name: unlike that of any other run of the plan; a file name without suffix.
        part: title of the entry that it belongs to.
        page: the page.
        parameters: all its parameters.
        after: names of the runs that go first.
    """

    name: str
    part: str
    page: Page
    parameters: dict[str, Value]
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A lecture: its title and its runs in the order of the file."""

    title: str
    runs: tuple[PlannedRun, ...]


def _case_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}", name):
        raise ValueError("name a case with letters, digits, dots, dashes and underscores, at most 60")
    return name


def _page_names(given: object) -> object:
    if given == "all":
        return []
    if not isinstance(given, list) or not given or not all(isinstance(name, str) for name in given):
        raise ValueError(f"write a list of page names, or all, not {given!r}")
    return given


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Entry(Declaration):
    """An entry of a plan: pages × cases × grid; no pages stand for all. Whether values fit is for the page to say."""

    title: Text | None = None
    pages: Annotated[list[str], BeforeValidator(_page_names)]
    parameters: Mapping[str, Any] = {}
    cases: Mapping[Annotated[str, AfterValidator(_case_name)], Mapping[str, Any]] = {}
    grid: Mapping[str, Annotated[list[Any], Field(min_length=1)]] = {}

    def parameter_sets(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each combination of a case and a point of the grid: its label and its parameters."""
        for (case, of_case), values in product(self.cases.items() or [("", {})], product(*self.grid.values())):
            point = dict(zip(self.grid, values, strict=True))
            labels = [case] * bool(case) + [label_of(name, value) for name, value in point.items()]
            yield "-".join(labels), {**self.parameters, **of_case, **point}


class PlanFile(Declaration):
    """A plan as it is written."""

    title: Text
    defaults: Mapping[str, Any] = {}
    runs: Annotated[list[Entry], Field(min_length=1)]


class _Loader(yaml.SafeLoader):
    """YAML in which a duplicate key is a mistake, not a correction, and 12:30 and 010 are texts."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for number, (key, _) in enumerate(node.value):
            if key.value in keys[:number]:
                raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key.value!r}", key.start_mark)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> object:
        """A number, but as a text where YAML 1.1 reads one that few would: of base 60 or 8."""
        if ":" in node.value or re.match(r"[-+]?0[0-7_]+$", node.value):
            return self.construct_scalar(node)
        return self.construct_yaml_int(node) if node.tag.endswith(":int") else self.construct_yaml_float(node)


for _kind in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _Loader.construct_number)


def read_plan(path: Path, notebooks: Path) -> Plan:
    """Read a plan and check all of it.

    Args:
        path: the YAML file.
        notebooks: folder of the pages.

    Raises:
        PlanError: the file is missing or not YAML, a key is unknown or missing, a page does not exist, a parameter is
            unknown or of another type than the page declares, or two runs are the same.
    """
    written = _load(path)
    runs: list[PlannedRun] = []
    for number, entry in enumerate(written.runs, start=1):
        try:
            runs += _runs_of(entry, written.defaults, notebooks)
        except PageError as error:
            raise PlanError(f"{path.name}, entry {number}: {error}") from None
    try:
        known = {name for run in runs for name in run.page.types}
        if unknown := [name for name in written.defaults if name not in known]:
            raise PageError(f"defaults: no page of the plan has a parameter {unknown[0]!r}")
        _check_unique(runs)
        check_order({run.page.name: run.page for run in runs}.values())
        return Plan(written.title, tuple(replace(run, after=_runs_before(run, runs)) for run in runs))
    except PageError as error:
        raise PlanError(f"{path.name}: {error}") from None


def _load(path: Path) -> PlanFile:
    try:
        return PlanFile.model_validate(yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader))
    except OSError as error:
        raise PlanError(f"{path}: {error.strerror}; give a plan such as book/lectures/half_day.yml") from None
    except ValidationError as error:
        raise PlanError(first_mistake(error, path.name, ", ")) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise PlanError(f"{path.name}{where}: not valid YAML ({getattr(error, 'problem', None) or error})") from None


def _runs_of(entry: Entry, defaults: Mapping[str, Any], notebooks: Path) -> Iterator[PlannedRun]:
    pages = [find_pages(notebooks, [name])[0] for name in entry.pages] or find_pages(notebooks)
    for page, (label, given) in product(pages, entry.parameter_sets()):
        values = choose_parameters(page, {k: v for k, v in defaults.items() if k in page.types} | given)
        values = {k: float(v) if page.types[k] == "float" else v for k, v in values.items()}
        yield PlannedRun(f"{page.name}__{label}" if label else page.name, entry.title or "", page, values)


def label_of(name: str, value: object) -> str:
    """A parameter and its value as a part of a run's name; a hash tells apart what the letters left can't.

    Args:
        name: of the parameter.
        value: its value.

    >>> label_of("seed", 3), label_of("sea", "North Sea"), label_of("river", "Öre")
    ('seed-3', 'sea-North_Sea', 'river-_re_ef3b93')
    """
    text = f"{name}-{value}"
    label = re.sub(r"[^A-Za-z0-9._-]+", "_", text)
    if len(label) > LONGEST_LABEL or re.search(r"[^A-Za-z0-9._ -]", text):
        label = f"{label[:LONGEST_LABEL]}_{hashlib.sha256(text.encode()).hexdigest()[:6]}"
    return label


def _check_unique(runs: Sequence[PlannedRun]) -> None:
    """No duplicate name and no duplicate work: the results would be two versions of one thing."""
    names: set[str] = set()
    work: dict[tuple[str, str], str] = {}
    for run in runs:
        if run.name.casefold() in names:
            raise PageError(f"duplicate run {run.name}; use cases to tell its two runs apart")
        names.add(run.name.casefold())
        other = work.setdefault((run.page.name, repr(sorted(run.parameters.items()))), run.name)
        if other != run.name:
            raise PageError(f"{run.name} and {other} are the same page and parameters; remove one")


def _runs_before(run: PlannedRun, runs: Sequence[PlannedRun]) -> tuple[str, ...]:
    """Runs that a run goes after: of those pages, the ones with equal values of the parameters both have."""
    after: list[str] = []
    for name in run.page.after:
        fitting = [r.name for r in runs if r.page.name == name and _agree(r.parameters, run.parameters)]
        if len(fitting) > 1:
            raise PageError(f"does {run.name} go after {' or '.join(fitting)}? Put one of them into another plan")
        after += fitting
    return tuple(after)


def _agree(one: Mapping[str, Value], other: Mapping[str, Value]) -> bool:
    return all(one[name] == other[name] for name in one.keys() & other.keys())
