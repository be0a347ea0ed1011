"""Notebooks as pages of the book: read them, check them without running them, choose their parameters."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode

from .contracts import Contract, ContractError, missed, read_contract
from .syntax import parse_cells, read_import

TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}
"""Types that a parameter may have."""

Value = str | int | float | bool


class PageError(Exception):
    """A page can't be run or its run failed; the message names the page, and the cell where there is one."""


@dataclass(frozen=True)
class Page:
    """A notebook that passed every check that needs no kernel.

    Attributes:
        path: the notebook's file.
        notebook: its content.
        defaults: value of each parameter when nothing is said.
        types: name of each parameter's type, a key of ``TYPES``.
        after: names of pages that go first when both are run.
        minutes: what its author expects it to take.
        contract: what it promises of its run.
        environment: variables that its kernel gets beside those of the runner.
    """

    path: Path
    notebook: NotebookNode
    defaults: dict[str, Value]
    types: dict[str, str]
    after: tuple[str, ...]
    minutes: float
    contract: Contract = field(default_factory=Contract)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """File name without ``.ipynb``."""
        return self.path.stem

    @property
    def exclusive(self) -> bool:
        """Whether it runs with no other page beside it, and so with all threads: a page that trains."""
        return bool(self.notebook.metadata.get("ml4ops", {}).get("exclusive", False))

    @property
    def extra(self) -> str:
        """Extra of the helper package that it needs beside the core, "" for none."""
        return str(self.notebook.metadata.get("ml4ops", {}).get("extra", ""))


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook of format 4.

    Args:
        path: the file.

    Raises:
        PageError: the file is missing or no valid notebook.
    """
    try:
        notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        nbformat.validate(notebook)
    except FileNotFoundError:
        raise PageError(f"{path.name}: no such notebook at {path}") from None
    except (ValueError, KeyError, AttributeError, TypeError, nbformat.ValidationError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PageError(f"{path.name}: not a valid notebook ({reason})") from error
    return notebook


def load_page(path: Path) -> Page:
    """Read a page and check what can be checked without a kernel.

    Args:
        path: the notebook's file.

    Raises:
        PageError: no valid notebook, no ``python3`` kernelspec, not exactly one cell tagged ``parameters``,
            a parameter that is not a plain ``name: type = value``, a cell that hides its failures or sets a parameter
            anew, or metadata under ``ml4ops`` of the wrong form.
    """
    notebook = read_notebook(path)
    kernel = notebook.metadata.get("kernelspec", {}).get("name")
    if kernel != "python3":
        raise PageError(f"{path.name}: kernelspec is {kernel or 'missing'}; save the notebook with kernelspec python3")
    tagged = [i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        where = f"cells {', '.join(str(i + 1) for i in tagged)} are" if tagged else "no cell is"
        raise PageError(f"{path.name}: {where} tagged 'parameters'; tag exactly one")
    cell = notebook.cells[tagged[0]]
    if cell.cell_type != "code":
        raise PageError(f"{path.name}, cell {tagged[0] + 1}: tagged 'parameters' but not a code cell")
    defaults, types = _read_parameters(cell.source, f"{path.name}, cell {tagged[0] + 1}")
    _check_cells(notebook, tagged[0], types, path.name)
    after, minutes, contract = _read_metadata(notebook.metadata.get("ml4ops", {}), path.name)
    page = Page(path, notebook, defaults, types, after, minutes, contract)
    if unknown := sorted(contract.parameters_named() - set(types)):
        raise PageError(f"{path.name}: metadata ml4ops.contract: the page has no parameter {unknown[0]}")
    _check_ranges(page, defaults, f"{path.name}, cell {tagged[0] + 1}")
    return page


HIDING = re.compile(
    r"^\s*(?:%%capture\b|!(?![\[=])|%%?(?:sx|system)\b|%%\w+\b.*--(?:no-raise-error|bg)\b)"
    r"|^[^=!#\n]+=\s*(?:!|%(?:sx|system)\b)"
    r"|^[^#\n]*(?:\bos|get_ipython\(\))\.system\("
    r"|(?:^|[:;])[ \t]*(?:exit|quit)\b *(?:[(#;]|$)",
    re.MULTILINE,
)
"""What hides that something went wrong: outputs captured, exit codes of commands lost, a kernel told to go home."""


def _check_cells(notebook: NotebookNode, parameters: int, types: Iterable[str], name: str) -> None:
    """Refuse code that would let a failure, or a parameter without effect, pass in silence."""
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code" or number == parameters + 1:
            continue
        if found := HIDING.search(cell.source):
            start = cell.source.rfind("\n", 0, found.end() - 1) + 1
            line = cell.source[start:].strip().splitlines()[0]
            raise PageError(f"{name}, cell {number}: `{line}` hides failures; write Python that raises")
        program = parse_cells([cell.source])[1]
        bound = set(_bound(program)) if program else set()
        if anew := [parameter for parameter in types if parameter in bound]:
            raise PageError(f"{name}, cell {number}: sets parameter {anew[0]} anew; only cell {parameters + 1} may")


def _bound(node: ast.AST) -> Iterator[str]:
    """Names that a cell binds for the cells after it: not those inside a function, a class or a comprehension."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
            for child in ast.walk(node):
                if isinstance(child, ast.Global):
                    yield from child.names
            return
        case ast.Lambda():
            return
        case ast.Name(id=name, ctx=ast.Store()):
            yield name
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.Import() | ast.ImportFrom():
            for found in read_import(node):
                yield found.alias or found.module.partition(".")[0]
    inner = node.target if isinstance(node, ast.comprehension) else None
    for child in ast.iter_child_nodes(node):
        if child is not inner:
            yield from _bound(child)


def _check_ranges(page: Page, values: Mapping[str, Value], where: str) -> None:
    """Refuse a value outside the range that the page declares."""
    for name, limits in page.contract.parameters.items():
        if name in values and (wanted := missed(values[name], limits)):
            raise PageError(f"{where}: parameter {name} is {values[name]!r}; the page takes {wanted}")


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


HALF = re.compile("[\ud800-\udfff]")
"""Halves of a character, as they come from bytes that are no UTF-8."""


def _fits(value: object, declared: str) -> bool:
    """Whether a value has the declared type; a whole number may stand for a float, a truth value only for itself.

    No number is infinite or undefined, and no text holds half a character: neither reaches a notebook as it is.
    """
    if isinstance(value, bool):
        return declared == "bool"
    if isinstance(value, float) and not math.isfinite(value):
        return False
    if isinstance(value, str) and not value.isascii() and HALF.search(value):
        return False
    return isinstance(value, int | float if declared == "float" else TYPES[declared])


KNOWN = ("after", "contract", "exclusive", "extra", "minutes", "projects", "reads", "run")
"""What a notebook's metadata may say under ``ml4ops``."""


def _read_metadata(metadata: object, name: str) -> tuple[tuple[str, ...], float, Contract]:
    """``after``, ``minutes`` and ``contract`` of the notebook's own metadata."""
    if not isinstance(metadata, Mapping):
        raise PageError(f"{name}: metadata 'ml4ops' is not a mapping")
    if unknown := sorted(set(metadata) - set(KNOWN)):
        raise PageError(f"{name}: metadata ml4ops.{unknown[0]} is unknown; write one of {', '.join(KNOWN)}")
    after, minutes = metadata.get("after", []), metadata.get("minutes", 1)
    if not isinstance(after, list) or not all(isinstance(a, str) for a in after):
        raise PageError(f"{name}: metadata ml4ops.after is {after!r}; give a list of page names")
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or minutes <= 0:
        raise PageError(f"{name}: metadata ml4ops.minutes is {minutes!r}; give a number above 0")
    if not isinstance(metadata.get("exclusive", False), bool):
        raise PageError(f"{name}: metadata ml4ops.exclusive is {metadata['exclusive']!r}; give true or false")
    if not isinstance(extra := metadata.get("extra", ""), str) or ("extra" in metadata and not extra):
        raise PageError(f"{name}: metadata ml4ops.extra is {extra!r}; name an extra of pyproject.toml, or leave it out")
    for key in ("reads", "projects"):
        if not isinstance(given := metadata.get(key, []), list) or not all(isinstance(n, str) and n for n in given):
            raise PageError(f"{name}: metadata ml4ops.{key} is {given!r}; give a list of names")
    try:
        return tuple(after), float(minutes), read_contract(metadata.get("contract", {}))
    except ContractError as error:
        raise PageError(f"{name}: metadata ml4ops.{error}") from error


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
    _check_ranges(page, given, page.path.name)
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
    paths = sorted(folder.glob("*.ipynb"))
    if not paths:
        raise PageError(f"{folder}: no notebook there; run from the root of the repository")
    if not wanted:
        return [load_page(p) for p in paths]
    return [load_page(p) for p in sorted({_one_path(paths, w) for w in wanted})]


def _one_path(paths: Sequence[Path], wanted: str) -> Path:
    stem = Path(wanted).name.removesuffix(".ipynb")
    fitting = [p for p in paths if p.stem == stem] or [p for p in paths if p.stem.startswith(stem)]
    if len(fitting) != 1:
        which = ", ".join(p.stem for p in fitting or paths)
        raise PageError(f"{wanted!r} fits {'several' if fitting else 'no'} page{'s' * bool(fitting)}: {which}")
    return fitting[0]


def check_order(pages: Iterable[Page]) -> None:
    """Check that ``after`` names pages that exist, without a circle.

    Args:
        pages: the pages to run; pages that they wait for may be elsewhere in the same folder.

    Raises:
        PageError: a page waits for one that does not exist, or for itself in the end.
    """
    pages = list(pages)
    for page in pages:
        for name in page.after:
            if not page.path.with_name(f"{name}.ipynb").exists():
                raise PageError(f"{page.path.name}: is to run after {name!r}, which is no page")
    try:
        TopologicalSorter({p.name: p.after for p in pages}).prepare()
    except CycleError as error:
        raise PageError(f"pages wait for each other: {' → '.join(error.args[1])}") from error
