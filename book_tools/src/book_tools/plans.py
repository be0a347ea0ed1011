"""Plans of lectures: YAML files that name pages and the parameters to run them with, checked before anything runs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from .pages import Page, PageError, Value, check_order, choose_parameters, find_pages

PLAN_KEYS = ("title", "defaults", "runs")
ENTRY_KEYS = ("title", "pages", "parameters", "grid", "cases")
CASE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
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
    """A lecture: its title, its defaults, its runs in the order of the file."""

    title: str
    defaults: dict[str, Value]
    runs: tuple[PlannedRun, ...]


class _Loader(yaml.SafeLoader):
    """YAML in which a key that is there twice is a mistake, not a correction, and 12:30 and 010 are no numbers."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: list[object] = []
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is there twice", key.start_mark)
            seen.append(key.value)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> object:
        """A number; the text as it stands where old YAML has it for one that few would: of base 60 or 8."""
        if ":" in node.value or re.match(r"[-+]?0[0-7_]+$", node.value):
            return self.construct_scalar(node)
        whole = node.tag == "tag:yaml.org,2002:int"
        return self.construct_yaml_int(node) if whole else self.construct_yaml_float(node)


for _kind in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _Loader.construct_number)


def read_plan(path: Path, notebooks: Path) -> Plan:
    """Read a plan and check all of it.

    Args:
        path: the YAML file.
        notebooks: folder of the pages.

    Raises:
        PlanError: the file is missing or no YAML, a key is unknown or missing, a page does not exist, a parameter is
            unknown or of another type than the page declares, or two runs are the same.
    """
    content = _load(path)
    title, defaults, entries = content.get("title"), content.get("defaults", {}), content.get("runs")
    if not isinstance(title, str) or not title.strip():
        raise PlanError(f"{path.name}: title is missing; write title: and a few words")
    if not isinstance(entries, list) or not entries:
        raise PlanError(f"{path.name}: runs is missing or empty; write a list of entries, each with pages:")
    defaults = _parameters(defaults, f"{path.name}, defaults")
    runs: list[PlannedRun] = []
    for number, entry in enumerate(entries, start=1):
        runs += _runs_of(entry, defaults, notebooks, f"{path.name}, entry {number}")
    _check_defaults(defaults, runs, path.name)
    _check_names(runs, path.name)
    try:
        check_order({run.page.name: run.page for run in runs}.values())
    except PageError as error:
        raise PlanError(f"{path.name}: {error}") from None
    return Plan(title.strip(), defaults, tuple(_link(run, runs, path.name) for run in runs))


def _load(path: Path) -> Mapping[str, object]:
    try:
        content: Mapping[str, object] = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except OSError as error:
        raise PlanError(f"{path}: {error.strerror}; give a plan such as book/lectures/half_day.yml") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise PlanError(f"{path.name}{where}: no valid YAML ({getattr(error, 'problem', None) or error})") from None
    _check_keys(content, PLAN_KEYS, f"{path.name}: the plan")
    return content


def _check_keys(content: object, known: tuple[str, ...], where: str) -> None:
    if not isinstance(content, Mapping):
        raise PlanError(f"{where} is no mapping; write keys {', '.join(known)}")
    if unknown := [str(key) for key in content if key not in known]:
        raise PlanError(f"{where} has an unknown key {unknown[0]!r}; it may have {', '.join(known)}")


def _parameters(given: object, where: str) -> dict[str, Value]:
    """A mapping of names to plain values."""
    if not isinstance(given, Mapping):
        raise PlanError(f"{where}: {given!r} is no mapping of parameters; write name: value")
    for name, value in given.items():
        if not isinstance(name, str) or not isinstance(value, str | int | float | bool):
            raise PlanError(f"{where}: parameter {name} is {value!r}; give a number, a text or true or false")
    return dict(given)


def _runs_of(entry: object, defaults: dict[str, Value], notebooks: Path, where: str) -> list[PlannedRun]:
    """Runs of one entry: its pages × its cases × its grid."""
    _check_keys(entry, ENTRY_KEYS, where)
    assert isinstance(entry, Mapping)
    fixed = _parameters(entry.get("parameters", {}), where)
    sets = [
        ("-".join(filter(None, (case, point))), fixed | of_case | of_point)
        for case, of_case in _cases(entry.get("cases", {}), where)
        for point, of_point in _grid(entry.get("grid", {}), where)
    ]
    part = str(entry.get("title", "")).strip()
    runs = []
    for page in _pages(entry.get("pages"), notebooks, where):
        for label, given in sets:
            try:
                values = choose_parameters(page, {k: v for k, v in defaults.items() if k in page.types} | given)
            except PageError as error:
                raise PlanError(f"{where}: {error}") from None
            values = {k: float(v) if page.types[k] == "float" else v for k, v in values.items()}
            runs.append(PlannedRun(f"{page.name}__{label}" if label else page.name, part, page, values))
    return runs


def _pages(wanted: object, notebooks: Path, where: str) -> list[Page]:
    if wanted == "all":
        wanted = []
    elif not isinstance(wanted, list) or not wanted or not all(isinstance(name, str) for name in wanted):
        raise PlanError(f"{where}: pages is {wanted!r}; write a list of page names, or all")
    try:
        return find_pages(notebooks) if not wanted else [find_pages(notebooks, [name])[0] for name in wanted]
    except PageError as error:
        raise PlanError(f"{where}: {error}") from None


def _cases(cases: object, where: str) -> list[tuple[str, dict[str, Value]]]:
    if not isinstance(cases, Mapping):
        raise PlanError(f"{where}: cases is {cases!r}; write name: {{parameter: value}}")
    for name in cases:
        if not isinstance(name, str) or not CASE_NAME.fullmatch(name):
            raise PlanError(
                f"{where}: case {name!r}; name it with letters, digits, dots, dashes and underscores, at most 60"
            )
    return [(name, _parameters(given, f"{where}, case {name}")) for name, given in cases.items()] or [("", {})]


def _grid(grid: object, where: str) -> list[tuple[str, dict[str, Value]]]:
    """Every combination of the values of a grid, with a label."""
    if not isinstance(grid, Mapping):
        raise PlanError(f"{where}: grid is {grid!r}; write parameter: [value, value]")
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            raise PlanError(f"{where}, grid: {name} is {values!r}; give a list of values")
    points = [_parameters(dict(zip(grid, values, strict=True)), f"{where}, grid") for values in product(*grid.values())]
    return [("-".join(label_of(name, value) for name, value in point.items()), point) for point in points]


def label_of(name: str, value: Value) -> str:
    """A parameter and its value as a part of a run's name. What can't be told from it is told by a hash.

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


def _check_defaults(defaults: dict[str, Value], runs: list[PlannedRun], file: str) -> None:
    """A default that no page of the plan has is a slip of the pen."""
    known = {name for run in runs for name in run.page.types}
    if unknown := [name for name in defaults if name not in known]:
        raise PlanError(f"{file}, defaults: no page of the plan has a parameter {unknown[0]!r}; remove or correct it")


def _check_names(runs: list[PlannedRun], file: str) -> None:
    """No name and no work twice: the results would be two versions of one thing."""
    names: set[str] = set()
    work: dict[tuple[str, str], str] = {}
    for run in runs:
        what = (run.page.name, repr(sorted(run.parameters.items())))
        if run.name.casefold() in names:
            raise PlanError(f"{file}: run {run.name} is there twice; use cases to tell its two runs apart")
        if what in work:
            raise PlanError(f"{file}: {run.name} and {work[what]} are the same page and parameters; remove one")
        names.add(run.name.casefold())
        work[what] = run.name


def _link(run: PlannedRun, runs: list[PlannedRun], file: str) -> PlannedRun:
    """The run with the runs of the plan that it goes after: those with equal values of the parameters both have."""
    after = []
    for name in run.page.after:
        fitting = [r for r in runs if r.page.name == name and _agree(r.parameters, run.parameters)]
        if len(fitting) > 1:
            which = " or ".join(r.name for r in fitting)
            raise PlanError(f"{file}: does {run.name} go after {which}? Put one of them into another plan")
        after += [r.name for r in fitting]
    return PlannedRun(run.name, run.part, run.page, run.parameters, tuple(after))


def _agree(one: dict[str, Value], other: dict[str, Value]) -> bool:
    return all(one[name] == other[name] for name in one.keys() & other.keys())
