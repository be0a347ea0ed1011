"""Notebooks as pages of the book: read them, check them without running them, choose their parameters."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated

import nbformat
import yaml
from nbformat import NotebookNode
from pydantic import Field, PositiveFloat, ValidationError

from .cell_code import bound_names, hides_failures
from .contracts import Contract
from .declarations import Declaration, first_mistake

TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
"""Types that a parameter may have."""

CELL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What format 4.5 takes for a cell's id."""

Value = str | int | float | bool


class PageError(Exception):
    """A page can't be run or its run failed; the message names the page, and the cell where there is one."""


class Metadata(Declaration):
    """What a person may write into a notebook's metadata under ``ml4ops``; ``Page`` says what most of it means.

    Attributes:
        reads: files of the repository that the page reads.
        projects: course projects that it copies.
    """

    after: list[str] = Field(default_factory=list)
    contract: Contract = Contract()
    exclusive: bool = False
    extra: str = ""
    minutes: PositiveFloat = 1
    projects: list[Annotated[str, Field(min_length=1)]] = Field(default_factory=list)
    reads: list[Annotated[str, Field(min_length=1)]] = Field(default_factory=list)


@dataclass(frozen=True)
class Page:
    """A notebook that passed every check that needs no kernel.

    Attributes:
        path: the notebook's file.
        notebook: its content.
        defaults: default of each parameter.
        types: name of each parameter's type, a key of ``TYPES``.
        after: names of pages that go first when both are run.
        minutes: what its author expects it to take.
        contract: what it promises of its run.
        exclusive: whether it runs with no other page beside it, and so with all threads: a page that trains.
        extra: extra of the helper package that it needs beside the core, "" for none.
        environment: variables that its kernel gets beside those of the runner.
    """

    path: Path
    notebook: NotebookNode
    defaults: dict[str, Value]
    types: dict[str, str]
    after: tuple[str, ...]
    minutes: float
    contract: Contract
    exclusive: bool
    extra: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """File name without ``.ipynb``."""
        return self.path.stem


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook as format 4.5, in which each cell has an id, whatever program saved it.

    Args:
        path: the file.

    Raises:
        PageError: the file is missing or not a valid notebook.
    """
    try:
        written = nbformat.reader.reads(path.read_text(encoding="utf-8-sig"))  # type: ignore[no-untyped-call]
        named = nbformat.reader.get_version(written) >= (4, 5)  # type: ignore[no-untyped-call]
        notebook: NotebookNode = nbformat.convert(written, 4)  # type: ignore[no-untyped-call]
        _name_cells(notebook, named=named)
        nbformat.validate(notebook)
    except FileNotFoundError:
        raise PageError(f"{path.name}: no such notebook at {path}") from None
    except OSError as error:
        raise PageError(
            f"{path.name}: can't be read ({error.strerror}); make {path} a file that you may read"
        ) from None
    except (ValueError, KeyError, AttributeError, TypeError, nbformat.ValidationError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PageError(f"{path.name}: not a valid notebook ({reason})") from error
    return notebook


def _name_cells(notebook: NotebookNode, *, named: bool) -> None:
    """Give each cell an id: its own, that which Colab moved into its metadata, or else one from its place.

    nbformat would draw them at random, and each reading would give another page.
    """
    taken = set()
    for number, cell in enumerate(notebook.cells, start=1):
        moved = cell.metadata.pop("id", "")
        found = str(cell.get("id", moved) if named else moved)
        cell["id"] = found if CELL_ID.fullmatch(found) and found not in taken else f"cell-{number}"
        taken.add(cell["id"])
    notebook["nbformat_minor"] = max(notebook.nbformat_minor, 5)


def load_page(path: Path) -> Page:
    """Read a page and check what can be checked without a kernel.

    Args:
        path: the notebook's file.

    Raises:
        PageError: not a valid notebook, no ``python3`` kernelspec, not exactly one cell tagged ``parameters``,
            a parameter that is not a plain ``name: type = value``, a cell that hides its failures or sets a parameter
            again, or metadata under ``ml4ops`` of the wrong form.
    """
    notebook = read_notebook(path)
    kernel = notebook.metadata.get("kernelspec", {}).get("name")
    if kernel != "python3":
        raise PageError(f"{path.name}: kernelspec is {kernel or 'missing'}; save the notebook with kernelspec python3")
    tagged = [n for n, c in enumerate(notebook.cells, start=1) if "parameters" in c.metadata.get("tags", [])]
    if len(tagged) != 1:
        found = f"cells {', '.join(map(str, tagged))} are" if tagged else "no cell is"
        raise PageError(f"{path.name}: {found} tagged 'parameters'; tag exactly one")
    where, cell = f"{path.name}, cell {tagged[0]}", notebook.cells[tagged[0] - 1]
    if cell.cell_type != "code":
        raise PageError(f"{where}: tagged 'parameters' but not a code cell")
    defaults, types = _read_parameters(cell.source, where)
    _check_cells(notebook, tagged[0], types, path.name)
    about = _read_metadata(notebook.metadata.get("ml4ops", {}), path.name)
    contract = about.contract
    if unknown := sorted(contract.parameters_named() - set(types)):
        raise PageError(f"{path.name}: metadata ml4ops.contract: the page has no parameter {unknown[0]}")
    _check_limits(contract, defaults, where)
    after, extra = tuple(about.after), about.extra
    return Page(path, notebook, defaults, types, after, about.minutes, contract, about.exclusive, extra)


def _check_cells(notebook: NotebookNode, parameters: int, types: Iterable[str], name: str) -> None:
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code" or number == parameters:
            continue
        if hidden := hides_failures(cell.source):
            raise PageError(f"{name}, cell {number}: `{hidden}` hides failures; write Python that raises")
        if again := sorted(bound_names(cell.source) & set(types)):
            raise PageError(f"{name}, cell {number}: sets parameter {again[0]} again; only cell {parameters} may")


def _check_limits(contract: Contract, values: Mapping[str, Value], where: str) -> None:
    """Refuse a value outside the limits that the page declares."""
    for name, limits in contract.parameters.items():
        if name in values and not limits.allow(values[name]):
            raise PageError(f"{where}: parameter {name} is {values[name]!r}; the page takes {limits}")


def _read_parameters(source: str, where: str) -> tuple[dict[str, Value], dict[str, str]]:
    """Values and types of the assignments in a parameters cell."""
    defaults: dict[str, Value] = {}
    types: dict[str, str] = {}
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise PageError(f"{where}, line {error.lineno}: {error.msg}") from error
    for statement in statements:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=ast.Name(id=declared), value=ast.expr() as written):
                pass
            case ast.Assign(targets=[ast.Name(id=name)], value=written):
                declared = ""
            case _:
                raise PageError(f"{where}, line {statement.lineno}: not a parameter; write name: type = value")
        try:
            v = ast.literal_eval(written)
        except (ValueError, TypeError, RecursionError):  # such as a list as the key of a dictionary
            raise PageError(f"{where}, line {statement.lineno}: not a plain value; write name: type = value") from None
        declared = declared or type(v).__name__
        if declared not in TYPES:
            raise PageError(f"{where}: parameter {name} has type {declared}; use {', '.join(TYPES)}")
        if not _fits(v, declared):
            raise PageError(f"{where}: parameter {name} is declared {declared}, its default {v!r} is not")
        defaults[name], types[name] = v, declared
    return defaults, types


def _fits(value: object, declared: str) -> bool:
    """Whether a value has the declared type; a whole number may stand for a float, a truth value only for itself.

    No number is infinite or undefined: papermill can't hand it to a notebook as it is.
    """
    if isinstance(value, bool):
        return declared == "bool"
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return isinstance(value, int | float if declared == "float" else TYPES[declared])


def _read_metadata(written: object, name: str) -> Metadata:
    if isinstance(written, Mapping):  # in an executed notebook the runner adds facts about the run
        written = {key: value for key, value in written.items() if key != "run"}
    try:
        return Metadata.model_validate(written)
    except ValidationError as error:
        raise PageError(f"{name}: {first_mistake(error, 'metadata ml4ops')}") from None


def choose_parameters(page: Page, given: Mapping[str, Value]) -> dict[str, Value]:
    """Every parameter of a page, those given over the defaults.

    Args:
        page: the page.
        given: parameters to set.

    Raises:
        PageError: the page has no such parameter, or the value has another type than the notebook declares or is out
            of the range that it declares.
    """
    for name, value in given.items():
        if name not in page.types:
            raise PageError(f"{page.path.name}: no parameter {name!r}; it has {', '.join(page.types) or 'none'}")
        if not _fits(value, page.types[name]):
            raise PageError(f"{page.path.name}: parameter {name} is {page.types[name]}, got {value!r}")
    _check_limits(page.contract, given, page.path.name)
    return page.defaults | dict(given)


def as_yaml(parameters: Mapping[str, Value]) -> str:
    r"""Parameters as papermill reads them from its command line: by YAML 1.1, to which ``1e-05`` is a text.

    Args:
        parameters: values by name.

    >>> as_yaml({"rate": 1e-5, "word": "🌊"})
    'rate: 1.0e-05\nword: 🌊\n'
    """
    return yaml.safe_dump(dict(parameters), allow_unicode=True, sort_keys=False)


def find_pages(folder: Path, wanted: Sequence[str] = ()) -> list[Page]:
    """Pages of a folder by name, in the order of their names.

    Args:
        folder: where the notebooks are.
        wanted: full names, file names, paths, or beginnings such as ``03``; all pages when empty.

    Raises:
        PageError: the folder has no notebook, a name fits none or several, or a page fails its checks.
    """
    if not (paths := sorted(folder.glob("*.ipynb"))):
        raise PageError(f"{folder}: no notebook there; run from the root of the repository")
    return [load_page(p) for p in (sorted({_one_path(paths, w) for w in wanted}) if wanted else paths)]


def _one_path(paths: Sequence[Path], wanted: str) -> Path:
    stem = Path(wanted).name.removesuffix(".ipynb")
    fitting = [p for p in paths if p.stem == stem] or [p for p in paths if p.stem.startswith(stem)]
    if len(fitting) != 1:
        which = ", ".join(p.stem for p in fitting or paths)
        raise PageError(f"{wanted!r} fits {'several' if fitting else 'no'} page{'s' * bool(fitting)}: {which}")
    return fitting[0]


def check_order(pages: Collection[Page]) -> None:
    """Check that ``after`` names pages that exist, without a circle.

    Args:
        pages: the pages to run; pages that they wait for may be elsewhere in the same folder.

    Raises:
        PageError: a page waits for one that does not exist, or for itself in the end.
    """
    for page in pages:
        if missing := [name for name in page.after if not page.path.with_name(f"{name}.ipynb").exists()]:
            raise PageError(f"{page.path.name}: is to run after {missing[0]!r}, which is not a page")
    try:
        TopologicalSorter({page.name: page.after for page in pages}).prepare()
    except CycleError as error:
        raise PageError(f"pages wait for each other: {' → '.join(error.args[1])}") from error
