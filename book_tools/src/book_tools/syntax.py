"""Python source taken apart: what code names, imports and says, and whether it acts as soon as it is loaded."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

HARMLESS_DECORATORS = {
    *("dataclass", "cache", "lru_cache", "cached_property", "property", "staticmethod", "classmethod", "overload"),
    *("contextmanager", "wraps", "final", "override", "total_ordering", "runtime_checkable", "inference_mode"),
    "no_grad",
}
"""Decorators that do nothing but change what they stand above. Others may keep a list of what they saw."""

LIBRARIES = {"abc", "contextlib", "dataclasses", "functools", "torch", "typing", "typing_extensions"}
"""Where those decorators come from; one of the same name from elsewhere may do anything."""

HARMLESS_CALLS = {
    *("dict", "list", "set", "frozenset", "tuple", "zip", "range", "enumerate", "sorted", "float", "int", "str", "len"),
    *("max", "min", "sum", "round", "abs", "bool", "object", "field", "namedtuple", "Path", "TypeVar", "math", "re"),
    *("np", "CRS", "MappingProxyType", "WeakKeyDictionary"),
}
"""Functions, and modules of them, that make a value and leave everything else alone."""

CHANGING = re.compile(
    r"(set|seed|save|put|copyto|place|fill|update|append|extend|insert|add|remove|pop|clear|register|mkdir|write|touch"
    r"|unlink|rename|replace)(?![a-z])|set|save|write"
)
"""What methods and functions are called that change something, those of harmless modules and values, too."""

COMPUTED = {"import_module", "__import__"}
UNKNOWABLE = {
    *("exec", "eval", "globals", "runpy", "pkgutil", "pydoc", "pickle", "cloudpickle", "dill", "importlib_resources"),
    *("sys.modules", "joblib.load", "importlib.resources"),
    *("inspect.getfile", "inspect.getsourcefile", "inspect.getmodule"),
}
"""What code can use what its source does not name by: names, modules and what is in them."""
UNKNOWABLE_PARTS = {"__globals__", "__subclasses__", "__builtins__", "__loader__", "load_module", "exec_module"}
"""The same, whatever it is an attribute of."""

PLACES = {"__file__", "__path__", "__spec__"}
"""Names that tell where a module is."""
LEADS = {"Path", "PurePath", "str", "fspath", "dirname", "abspath", "realpath", "join"}
"""Functions that make a place of a place."""

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
        aliases: what the names that are imported around them stand for, dotted.
    """

    def __init__(self, nodes: Iterable[ast.AST], aliases: Mapping[str, str] | None = None) -> None:
        self._nodes = [kept for node in nodes if (kept := _Undocumented().visit(node))]
        self._aliases = {**(aliases or {}), **read_aliases(self._nodes)}

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
    def _meant(self) -> set[tuple[str, ...]]:
        """The same, with what they stand for in place of what they are called here."""
        return {(*self._aliases.get(first, first).split("."), *rest) for first, *rest in self.chains}

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
        """Every name and attribute in it, also those that names stand for."""
        attributes = {n.attr for n in self._all if isinstance(n, ast.Attribute)}
        names = {n.id for n in self._all if isinstance(n, ast.Name)}
        return attributes | names | {part for chain in self._meant for part in chain}

    @cached_property
    def computes_imports(self) -> bool:
        """Whether it imports a module whose name is not plainly written there."""
        return bool(self._computed)

    @cached_property
    def _computed(self) -> list[ast.expr | None]:
        """Names of modules that it puts together to import them; None where an import is handed on uncalled."""
        calls = {id(n.func): n.args[0] for n in self._all if isinstance(n, ast.Call) and n.args}
        imports = [n for n in self._all if self._called(n) in COMPUTED]
        plain = {i for i, name in calls.items() if isinstance(name, ast.Constant) and str(name.value)[:1] != "."}
        return [calls.get(id(n)) for n in imports if id(n) not in plain]

    def _called(self, node: ast.AST) -> str:
        """The last part of what a name or an attribute stands for."""
        name = _last_name(node)
        return self._aliases.get(name, name).rpartition(".")[2] if isinstance(node, ast.Name) else name

    @cached_property
    def imports_by_pattern(self) -> bool:
        """Whether each of those names is a text with holes, written there or a line above."""
        named = [n for n in self._all if isinstance(n, ast.Assign) and isinstance(n.value, ast.JoinedStr)]
        texts = {target.id for n in named for target in n.targets if isinstance(target, ast.Name)}
        return all(isinstance(n, ast.JoinedStr) or (isinstance(n, ast.Name) and n.id in texts) for n in self._computed)

    @cached_property
    def literal_texts(self) -> set[str] | None:
        """Texts of what it assigns, when that is nothing but plain values."""
        match self._nodes:
            case [ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value)]:
                plain = all(
                    isinstance(n, ast.Constant | ast.Tuple | ast.List | ast.Set | ast.Load) for n in ast.walk(value)
                )
                return self.texts if plain else None
        return None

    @cached_property
    def joined(self) -> list[list[ast.expr]]:
        """For each place of a module that it names, what it joins to it to get to a file."""
        parents = {id(child): node for node in self._all for child in ast.iter_child_nodes(node)}
        return [_joined(n, parents) for n in self._all if _last_name(n) in PLACES]

    def texts_of(self, node: ast.expr) -> tuple[set[str], set[str]]:
        """Texts that a part of a path may be or hold, and names that they come from.

        Args:
            node: the part.
        """
        loops = [n for n in self._all if isinstance(n, ast.comprehension | ast.For)]
        over = {_last_name(n.target): _last_name(n.iter) for n in loops}
        names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        return Code([node]).texts, {over.get(name, name) for name in names}

    @cached_property
    def unknowable(self) -> bool:
        """Whether it can do what its source does not tell."""
        bare = [_last_name(n.func) for n in self._all if isinstance(n, ast.Call) and not n.args]
        found = any(chain[0] in UNKNOWABLE or ".".join(chain[:2]) in UNKNOWABLE for chain in self._meant)
        return found or bool(self.names & UNKNOWABLE_PARTS) or bool({"vars", "locals"} & {*bare})


class _Undocumented(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        documents = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if documents else self.generic_visit(node)


def _joined(node: ast.AST, parents: Mapping[int, ast.AST]) -> list[ast.expr]:
    """What is joined to a place, as far as the expression goes on."""
    found: list[ast.expr] = []
    while True:
        around = parents.get(id(node))
        match around:
            case ast.Attribute() | ast.Subscript():
                pass
            case ast.BinOp(left=left, right=right):
                found.append(right if left is node else left)
            case ast.Call(func=function, args=given) if function is node or _last_name(function) in LEADS:
                found += [n for n in given if n is not node]
            case _:
                return found
        node = around


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


def read_aliases(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """What the names stand for that some code imports, dotted; those of a package's own modules may begin with dots.

    Args:
        nodes: the code.
    """
    found = [i for node in nodes for child in ast.walk(node) for i in read_import(child) if i.alias]
    return {i.alias: ".".join(filter(None, [i.module, i.name])) for i in found}


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


def acts(node: ast.stmt, aliases: Mapping[str, str] | None = None) -> bool:
    """Whether a statement of a module may do more, when the module is loaded, than bind its names.

    Args:
        node: the statement.
        aliases: what the names that are imported or defined around it stand for, dotted.

    >>> [acts(ast.parse(s).body[0]) for s in ("a = 1", "a = make()", "a[0] = 1", "register(a)", "def f(): g()")]
    [False, True, True, True, False]
    """
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return _defaults_act(node) or not _decorated_harmlessly(node, aliases or {})
        case ast.ClassDef():
            plain = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Pass, ast.ClassDef)
            inside = any(not isinstance(n, plain) and not _is_text(n) and acts(n) for n in node.body)
            inside |= any(_defaults_act(n) for n in node.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
            return inside or bool(node.keywords) or not _decorated_harmlessly(node, aliases or {})
        case ast.Assign(targets=targets):
            return any(isinstance(n, ast.Attribute | ast.Subscript) for t in targets for n in ast.walk(t)) or _calls(
                node
            )
        case ast.AnnAssign():
            return node.value is not None and _calls(node.value)
    return True


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _defaults_act(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a default of an argument, which is made when the module is loaded, does more than make a value."""
    return any(_calls(default) for default in (*node.args.defaults, *node.args.kw_defaults) if default)


def _decorated_harmlessly(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, aliases: Mapping[str, str]
) -> bool:
    def harmless(decorator: ast.expr) -> bool:
        first = next(_chains(decorator), ("",))[0]
        own = isinstance(decorator, ast.Name) and first not in aliases
        known = own or aliases.get(first, first).partition(".")[0] in LIBRARIES
        return known and _last_name(decorator) in HARMLESS_DECORATORS

    return all(harmless(d.func if isinstance(d, ast.Call) else d) for d in node.decorator_list)


def _calls(node: ast.AST) -> bool:
    """Whether a call in it may do more than make a value."""
    calls = [n.func for n in ast.walk(node) if isinstance(n, ast.Call)]
    return any(_changes(function) for function in calls)


def _changes(function: ast.expr) -> bool:
    first, *rest = next(_chains(function), ("",))
    if first not in HARMLESS_CALLS or rest[:1] == ["random"]:
        return True
    return isinstance(function, ast.Attribute) and bool(CHANGING.match(function.attr))


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
