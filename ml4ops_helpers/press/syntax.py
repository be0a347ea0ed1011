"""Python source taken apart: what code names, imports and says, and whether it acts as soon as it is loaded."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

HARMLESS_DECORATORS = {
    *("dataclass", "cache", "lru_cache", "cached_property", "property", "staticmethod", "classmethod", "overload"),
    *("contextmanager", "wraps", "final", "override", "total_ordering", "runtime_checkable", "inference_mode"),
    "no_grad",
}
"""Decorators that do nothing but change what they stand above. Others may keep a list of what they saw."""

HARMLESS_CALLS = {
    *("dict", "list", "set", "frozenset", "tuple", "zip", "range", "enumerate", "sorted", "float", "int", "str", "len"),
    *("max", "min", "sum", "round", "abs", "bool", "object", "field", "namedtuple", "Path", "TypeVar", "math", "re"),
    *("np", "CRS", "MappingProxyType", "WeakKeyDictionary"),
}
"""Functions, and modules of them, that make a value and leave everything else alone."""

COMPUTED = {"import_module", "__import__"}
UNKNOWABLE = {"exec", "eval", "globals", "runpy", "pkgutil"}
"""Names by which code can use what its source does not name."""


MAGIC = re.compile(r"^(\s*)(?:[\w.,\s]*=\s*)?[%!?].*$|^(\s*)\S.*\?\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Import:
    """A name bound by an import.

    Attributes:
        module: dotted name of the module that is loaded, with leading dots when relative.
        name: what is taken from it, ``*`` for everything; "" when the module itself is bound.
        alias: the name that is bound.
    """

    module: str
    name: str
    alias: str


class Code:
    """Some statements, and what can be told about them. Their documentation is taken out.

    Args:
        nodes: the statements.
    """

    def __init__(self, nodes: Iterable[ast.AST]) -> None:
        self._nodes = [kept for node in nodes if (kept := _Undocumented().visit(node))]

    @cached_property
    def form(self) -> str:
        """Equal for code that does the same, whatever its comments, layout and documentation."""
        return "\n".join(ast.dump(node) for node in self._nodes)

    @cached_property
    def _all(self) -> list[ast.AST]:
        return [child for node in self._nodes for child in ast.walk(node)]

    @cached_property
    def imports(self) -> list[Import]:
        """Names that imports bind, wherever in the code they stand."""
        return [found for node in self._all for found in read_import(node)]

    @cached_property
    def chains(self) -> set[tuple[str, ...]]:
        """Names that are used, each with the attributes behind it: ``a.b.c``."""
        return {chain for node in self._nodes for chain in _chains(node)}

    @cached_property
    def texts(self) -> set[str]:
        """Texts in the code."""
        return {n.value for n in self._all if isinstance(n, ast.Constant) and isinstance(n.value, str)}

    @cached_property
    def patterns(self) -> list[str]:
        """Texts with holes, as regular expressions with a group for each hole; ``{__package__}`` stays as it is."""
        return [_pattern(n) for n in self._all if isinstance(n, ast.JoinedStr)]

    @cached_property
    def names(self) -> set[str]:
        """Every name and attribute in it."""
        attributes = {n.attr for n in self._all if isinstance(n, ast.Attribute)}
        return attributes | {n.id for n in self._all if isinstance(n, ast.Name)}

    @cached_property
    def computes_imports(self) -> bool:
        """Whether it imports a module whose name is not plainly written there."""
        calls = [n for n in self._all if isinstance(n, ast.Call) and n.args]
        plain = {id(c.func) for c in calls if isinstance(c.args[0], ast.Constant) and str(c.args[0].value)[:1] != "."}
        return any(_last_name(n) in COMPUTED and id(n) not in plain for n in self._all)

    @cached_property
    def unknowable(self) -> bool:
        """Whether it can do what its source does not tell."""
        return any(chain[0] in UNKNOWABLE or chain[:2] == ("sys", "modules") for chain in self.chains)


class _Undocumented(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        documents = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if documents else self.generic_visit(node)


def _last_name(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _chains(node: ast.AST) -> Iterator[tuple[str, ...]]:
    parts, root = [], node
    while isinstance(root, ast.Attribute):
        parts.append(root.attr)
        root = root.value
    if isinstance(root, ast.Name):
        yield (root.id, *reversed(parts))
    else:
        for child in ast.iter_child_nodes(root):
            yield from _chains(child)


def _pattern(text: ast.JoinedStr) -> str:
    def part(node: ast.expr) -> str:
        match node:
            case ast.Constant(value=str(value)):
                return re.escape(value)
            case ast.FormattedValue(value=ast.Name(id="__package__")):
                return "{__package__}"
        return "(.+)"

    return "".join(part(node) for node in text.values)


def read_import(node: ast.AST) -> Iterator[Import]:
    """Names that an import statement binds.

    Args:
        node: any node; one that imports nothing binds none.
    """
    if isinstance(node, ast.Import):
        for found in node.names:
            yield Import(found.name, "", found.asname or "")
    elif isinstance(node, ast.ImportFrom):
        for found in node.names:
            yield Import("." * node.level + (node.module or ""), found.name, found.asname or found.name)


def bound_names(node: ast.stmt) -> set[str]:
    r"""Names that a statement of a module binds or changes, those inside a compound statement included.

    Args:
        node: the statement.

    >>> sorted(bound_names(ast.parse("if x:\n    a = b[0].c = 1").body[0]))
    ['a', 'b']
    """
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    stored = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store | ast.Del)}
    defined = {n.name for n in ast.walk(node) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    targets = [t for n in ast.walk(node) if isinstance(n, ast.Attribute | ast.Subscript) for t in _chains(n)]
    changed = {chain[0] for chain in targets} if not isinstance(node, ast.Assign | ast.AnnAssign) else set()
    if isinstance(node, ast.Assign):
        changed = {chain[0] for target in node.targets for chain in _chains(target)}
    return stored | defined | changed


def acts(node: ast.stmt) -> bool:
    """Whether a statement of a module may do more, when the module is loaded, than bind its names.

    Args:
        node: the statement.

    >>> [acts(ast.parse(s).body[0]) for s in ("a = 1", "a = make()", "a[0] = 1", "register(a)", "def f(): g()")]
    [False, True, True, True, False]
    """
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return not _decorated_harmlessly(node)
        case ast.ClassDef():
            plain = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Pass, ast.ClassDef)
            inside = any(not isinstance(n, plain) and not _is_text(n) and acts(n) for n in node.body)
            return inside or bool(node.keywords) or not _decorated_harmlessly(node)
        case ast.Assign(targets=targets):
            return any(isinstance(n, ast.Attribute | ast.Subscript) for t in targets for n in ast.walk(t)) or _calls(
                node
            )
        case ast.AnnAssign():
            return node.value is not None and _calls(node.value)
    return True


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _decorated_harmlessly(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    plain = (d.func if isinstance(d, ast.Call) else d for d in node.decorator_list)
    return all(_last_name(d) in HARMLESS_DECORATORS for d in plain)


def _calls(node: ast.AST) -> bool:
    """Whether a call in it may do more than make a value."""
    calls = [n.func for n in ast.walk(node) if isinstance(n, ast.Call)]
    return any(next(_chains(f), ("",))[0] not in HARMLESS_CALLS for f in calls)


def parse_cells(cells: Iterable[str]) -> tuple[set[str], ast.Module | None]:
    r"""What notebook cells hold: lines that are no Python, and the rest as one program.

    Args:
        cells: their sources.

    Returns:
        The lines; the program, or None when it can't be read.

    >>> parse_cells(["%matplotlib inline\na = 1"])[0]
    {'%matplotlib inline'}
    """
    texts: set[str] = set()
    body: list[ast.stmt] = []
    for cell in cells:
        try:
            body += ast.parse(cell).body
            continue
        except SyntaxError:
            texts |= {cell if cell.startswith("%%") else found[0] for found in MAGIC.finditer(cell)}
        try:
            body += ast.parse(MAGIC.sub(lambda found: f"{found[1] or found[2] or ''}pass", cell)).body
        except SyntaxError:
            if not cell.startswith("%%"):
                return texts, None
    return texts, ast.Module(body, [])
