"""The helper package as its source tells: modules, what their statements bind, what they import of each other."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from .syntax import Code, Import, acts, bound_names, read_aliases

REGISTERS = re.compile(r"\b__init_subclass__\b|\bmetaclass *=")
"""By what a class can act on all that are made from it."""


@dataclass
class Statement:
    """A statement of a module.

    Attributes:
        code: the statement.
        names: what it binds.
        acts: whether it may do more than that.
    """

    code: Code
    names: set[str]
    acts: bool


@dataclass(frozen=True)
class Target:
    """What an imported name stands for.

    Attributes:
        module: a module of the package, dotted, "" for the package itself.
        name: a name in it; "": the module itself.
        loads: the module that is loaded; ``a.b`` of ``import a.b``, which binds ``a``.
    """

    module: str
    name: str
    loads: str


@dataclass
class Module:
    """A module taken apart.

    Attributes:
        name: dotted, without the package's name; "" is the package itself.
        path: its file.
        statements: without imports of the package's own modules.
        imports: of the package's own modules.
    """

    name: str
    path: Path
    statements: list[Statement] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)

    @cached_property
    def bound(self) -> dict[str, list[Statement]]:
        """Statements by the names that they bind."""
        found = defaultdict(list)
        for statement in self.statements:
            for name in statement.names:
                found[name].append(statement)
        return dict(found)


class Package:
    """A package on disk.

    Args:
        folder: where it is; its name is the package's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, folder.name
        files = sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
        self._paths = {_dotted(p.relative_to(folder)): p for p in files if p.suffix == ".py"}
        self.data = [p for p in files if p.suffix != ".py"]
        self._modules: dict[str, Module] = {}

    @property
    def names(self) -> Collection[str]:
        """Dotted names of its modules."""
        return self._paths.keys()

    def module(self, name: str) -> Module:
        """A module, taken apart when first asked for.

        Args:
            name: one of ``names``.
        """
        if name not in self._modules:
            self._modules[name] = self._read(name)
        return self._modules[name]

    def file(self, name: str) -> Path:
        """File of a module.

        Args:
            name: one of ``names``.
        """
        return self._paths[name]

    def _read(self, name: str) -> Module:
        module = Module(name, self._paths[name])
        body = list(_run(ast.parse(module.path.read_text(encoding="utf-8-sig")).body))
        own_names = {n.name: "" for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        aliases = own_names | read_aliases(body)
        for node in body:
            code = Code([node], {alias: stands for alias, stands in aliases.items() if stands})
            own = [i for i in code.imports if self.absolute(i.module, name) is not None]
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                module.imports += own
            if isinstance(node, ast.Import | ast.ImportFrom):
                if len(own) < len(code.imports):
                    module.statements.append(Statement(code, set(), acts=True))
            elif code.form:
                registered = isinstance(node, ast.ClassDef) and self._registers
                module.statements.append(Statement(code, bound_names(node), acts(node, aliases) or registered))
        return module

    @cached_property
    def _registers(self) -> bool:
        return any(REGISTERS.search(p.read_text(encoding="utf-8")) for p in self._paths.values())

    def absolute(self, module: str, inside: str | None) -> str | None:
        """Dotted name within the package of what an import names, or None for another package's.

        Args:
            module: as the import names it.
            inside: module of the import, None for a page.
        """
        level = len(module) - len(module.lstrip("."))
        if level and inside is not None:
            parts = inside.split(".") if inside else []
            here = parts if self._paths[inside].name == "__init__.py" else parts[:-1]
            here = here[: len(here) - level + 1]
            return ".".join([*here, *filter(None, [module[level:]])])
        first, _, rest = module.partition(".")
        return rest if first == self.name else None

    def target(self, found: Import, inside: str | None) -> Target | None:
        """What an import binds, or None where that is another package's.

        Args:
            found: the import.
            inside: module of the import, None for a page.
        """
        module = self.absolute(found.module, inside)
        if module is None:
            return None
        if not found.name:
            return Target(module if found.alias else "", "", module)
        inner = f"{module}.{found.name}".lstrip(".")
        return Target(inner, "", inner) if inner in self._paths else Target(module, found.name, module)


def _run(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a module without those that only a type checker sees."""
    for node in body:
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"), orelse=others):
                yield from _run(others)
            case _:
                yield node


def _dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix("__init__").removesuffix(".")
