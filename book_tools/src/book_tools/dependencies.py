"""Modules and files of the helper package that a page depends on, read off the source: nothing is imported or run.

Imports are followed, also those inside functions. A name imported from a lazy package leads to the module that defines
it, by the package's stub ``__init__.pyi``. Modules named in strings count, and data files count with the package in
which they lie. Where the source does not tell, more counts: all of a lazy package, or all of the helper package.
"""

import ast
import hashlib
import re
from collections.abc import Iterable
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

COMMAND = re.compile(r"(?<![\w./-])ml4ops(?![\w.-])")  # a page may run it
LITERAL = r"\(f?['\"]\w[^'\"]*['\"][,)]"
COMPUTED = re.compile(rf"\b(import_module|__import__|locate|resolve_name|run_module|run_path)\b(?!{LITERAL})")
HIDDEN = re.compile(r"\b(load_module|exec_module|pickle|cloudpickle|dill)\b|(?<![.\w])(eval|exec)\b(?! \w)")
SHOWS_SOURCE = re.compile(r"(?<![.\w])help\(|\b(inspect|__doc__|pinfo2?|pdef|pdoc|pfile|psource)\b")
LAZY = re.compile(r"\b(lazy_loader|__getattr__)\b")


class _Stripped(ast.NodeTransformer):
    """Takes out docstrings and what only type checkers see."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING") else node


class _Code:
    """A module or a page: its digest, its imports from the helper package, what else of it the rest of it names."""

    def __init__(self, source: ast.Module, package: str) -> None:
        tree, root = _Stripped().visit(source), package.partition(".")[0]
        text = self.rest = ast.unparse(tree)
        self.digest = hashlib.sha256(ast.dump(tree).encode()).hexdigest()
        self.imports: list[tuple[str, str]] = []  # module and name; "" for the module itself
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                parts = [alias.name.split(".") for alias in node.names]
                found = [(".".join(p[:n]), "") for p in parts for n in range(1, len(p) + 1)]
            elif isinstance(node, ast.ImportFrom):
                module = resolve_name("." * node.level + (node.module or ""), package)
                found = [(module, alias.name) for alias in node.names]
            else:
                continue
            own = [(module, name) for module, name in found if module.partition(".")[0] == root]
            self.imports += own
            if own or not any(alias.asname for alias in node.names):
                self.rest = self.rest.replace(ast.unparse(node), "", 1)
        self.rest = self.rest.replace("{__package__}", package)
        self.mentions = re.findall(rf"\b({root}(?:\.\w*)*)([{{'\"]?)", self.rest)
        self.stems = re.findall(r"(\w*)\.py\b", self.rest)
        self.computed, self.hidden = COMPUTED.search(self.rest), HIDDEN.search(text)
        self.shows_source, self.lazy = SHOWS_SOURCE.search(text), LAZY.search(text)


@cache
def _read(source: str, package: str) -> _Code:
    return _Code(ast.parse(source), package)


class _Search:
    """The way from a page through the modules of the helper package."""

    def __init__(self, helper: Path, page: _Code) -> None:
        files = {p: ".".join(p.relative_to(helper.parent).with_suffix("").parts) for p in sorted(helper.rglob("*.py*"))}
        names = {p: name.removesuffix(".__init__") for p, name in files.items()}
        self.modules = {name: p for p, name in names.items() if p.suffix == ".py"}
        stubs = {name: _read(p.read_text("utf-8"), name) for p, name in names.items() if p.name == "__init__.pyi"}
        self.stubs = {package: {name: module for module, name in stub.imports} for package, stub in stubs.items()}
        self.root, self.page = helper.name, page
        self.codes: dict[str, _Code] = {}
        self.origins: dict[str, str] = {}
        self.follow(page)

    def add(self, module: str) -> None:
        """A module is loaded, after the packages around it."""
        if module in self.modules and module not in self.codes:
            parent, path = module.rpartition(".")[0], self.modules[module]
            self.add(parent)
            self.codes[module] = _read(path.read_text("utf-8-sig"), module if path.stem == "__init__" else parent)
            self.follow(self.codes[module])

    def add_all(self, package: str) -> None:
        """Everything in a package may be used."""
        for module in self.modules:
            if f"{module}.".startswith(f"{package}."):
                self.add(module)
                self.origins |= {f"{module}:{name}": origin for name, origin in self.stubs.get(module, {}).items()}

    def take(self, module: str, name: str = "") -> None:
        """A name is imported from a module, or the module itself."""
        self.add(module)
        inner, origin = f"{module}.{name}", self.stubs.get(module, {}).get(name, module)
        if inner in self.modules:
            self.take(inner)
        if origin != module:
            self.origins[f"{module}:{name}"] = origin
            self.take(origin, name)
        elif name == "*" or (inner not in self.modules and module in self.codes and self.codes[module].lazy):
            self.add_all(module)

    def take_some(self, members: dict[str, str], code: _Code) -> None:
        """Modules of whose names a part is known only when the code runs: those that strings name, or all."""
        named = [m for m, part in members.items() if re.search(rf"['\"/]{part}(?![a-z ])", code.rest + self.page.rest)]
        for module in named or members:
            self.take(module)

    def follow(self, code: _Code) -> None:
        """Take all that some code names."""
        for module, name in code.imports:
            self.take(module, name)
        patterns = 0
        for start, end in code.mentions:
            module = max((m for m in self.modules if f"{start}.".startswith(f"{m}.")), key=len)
            if end == "{" or (end and start.endswith(".")):  # a name with a hole, or a sum
                members = {m: m.removeprefix(start) for m in self.modules if m.startswith(start)}
                patterns += len(members)
                self.take_some(members, code)
            elif module != self.root or end:
                self.take(module)
            else:
                self.add_all(module)
        for stem in code.stems:
            stems = {module: module.rpartition(".")[2] for module in self.modules}
            self.take_some({module: s for module, s in stems.items() if stem in ("", s)}, code)
        if code.hidden or (code.computed and not patterns):
            self.add_all(self.root)


def dependencies(helper: Path, cells: Iterable[str]) -> dict[str, str]:
    """Hash of each module and data file of the helper package that a page depends on, by its name.

    Args:
        helper: folder of the helper package.
        cells: the page's code cells.
    """
    trees = [parse_cell(cell) for cell in cells]
    page = _Code(ast.Module([node for tree in trees if tree for node in tree.body], []), helper.name)
    search = _Search(helper, page)
    if None in trees:
        search.add_all(helper.name)
    if COMMAND.search(page.rest):
        search.take(f"{helper.name}.cli")
    whole = any(code.shows_source for code in (page, *search.codes.values()))
    digests = {m: file_digest(search.modules[m]) if whole else code.digest for m, code in search.codes.items()}
    folders = {path.parent: module for module, path in search.modules.items() if path.stem == "__init__"}
    for path in helper.rglob("*"):
        owner = next((folders[folder] for folder in path.parents if folder in folders), "")
        if path.is_file() and path.suffix not in (".py", ".pyc", ".pyi") and owner in search.codes:
            digests[str(path.relative_to(helper))] = file_digest(path)
    return digests | search.origins


def parse_cell(source: str) -> ast.Module | None:
    r"""Syntax tree of a notebook cell, with magics as calls of IPython; None where it is not Python.

    Args:
        source: the cell. A cell magic such as ``%%time`` is read as a line magic with Python below it.

    >>> ast.unparse(parse_cell("%%time\nwater = 1"))
    "get_ipython().run_line_magic('time', '')\nwater = 1"
    """
    try:
        return ast.parse(TransformerManager().transform_cell(re.sub(r"\A%(?=%)", "", source)))  # type: ignore[no-untyped-call]
    except SyntaxError:
        return None


def file_digest(path: Path) -> str:
    """SHA-256 of a file.

    Args:
        path: the file.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
