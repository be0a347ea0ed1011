"""What of the helper package a page's code can reach, read off the source: nothing is imported or run.

From the names that the cells import it goes on to the definitions which those name, and so forth; beside them count
the statements that act when a module is loaded. Comments, layout and documentation don't. Where the source does not
tell, the whole module counts, or the whole package.

Files that are no Python count by folder (``weights``, ``templates``): when code that is reached names the package's
own place and that folder, or the package itself.

Not seen is code that hides what it does on purpose, or by several steps that are plain only together: attributes and
files found by names that come from outside the package (an environment variable, a file that is read), a place kept in
a variable of a function and then left upwards, a member of a family of modules (``page_{number}``) chosen by a text of
the page that begins like another member's, what another package calls by a registry of its own.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from .package import Package, Statement, Target
from .syntax import Code, Import, parse_cells

NEVER_IMPORTED = ("press", "cli")
"""Parts that count only for a page that names them."""

SHOWS_SOURCE = {"help", "inspect", "__doc__"}
"""Names by which documentation and comments can come to show on a page."""
SHOWING = re.compile(r"\?\s*$|^\s*(\?|%p(source|doc|def|info2?|file)\b)")
"""Lines of a notebook that do the same."""

UPWARD = {"parent", "parents", "with_name"}
"""Attributes that lead from a place to others."""


def reached(package: Package, cells: Iterable[str]) -> list[str]:
    """What a page's cells reach of a package, as texts that stay equal as long as it does the same.

    Args:
        package: the package.
        cells: the page's code cells.
    """
    walk = Walk(package)
    walk.read_page(list(cells))
    return sorted(walk.found)


class Walk:
    """One way through the package, from a page's cells to all that they reach.

    Args:
        package: the package.

    Attributes:
        found: a text for each statement and file that counts.
    """

    def __init__(self, package: Package) -> None:
        self.package = package
        self.found: set[str] = set()
        self._page_texts: set[str] = set()
        self._loaded: set[str] = set()
        self._seen: set[object] = set()
        self._shows_source = False
        self._todo: list[tuple[Code, str | None]] = []

    def read_page(self, cells: Sequence[str]) -> None:
        """Follow everything that a page's cells name.

        Args:
            cells: their sources.
        """
        magic, tree = parse_cells(cells)
        self._page_texts = set(magic)
        if tree is None:
            self._everything()
        else:
            code = Code(tree.body)
            self._page_texts |= code.texts
            code.chains.update(tuple(n.split(".")) for t in magic for n in re.findall(r"[A-Za-z_]\w*(?:\.\w+)*", t))
            self._todo.append((code, None))
        while self._todo:
            self._follow_code(*self._todo.pop())
        if self._shows_source or tree is None:
            self._count_files(self.package.file(module) for module in self._loaded)

    def _follow_code(self, code: Code, inside: str | None) -> None:
        """Follow the imports and names of some code, in a module or (None) on the page."""
        aliases: dict[str, list[Target]] = {}
        for found in code.imports:
            if target := self.package.target(found, inside):
                self._load(target.loads, star=found.name == "*")
                aliases.setdefault(found.alias or self.package.name, []).append(target)
        for first, *rest in code.chains:
            for target in aliases.get(first, []):
                self._follow(target, rest)
            if inside is not None:
                self._follow_name(inside, first, rest)
        self._follow_texts(code, inside)

    def _follow(self, target: Target, rest: Sequence[str]) -> None:
        """Follow what an imported name stands for, with the attributes behind it."""
        if target.name:
            name, *after = target.name, *rest
        elif rest:
            name, *after = rest
        else:
            return self._whole(target.module)
        inner = f"{target.module}.{name}".lstrip(".")
        if inner in self.package.names:
            self._load(inner)
            self._follow(Target(inner, "", inner), after)
        elif not self._follow_name(target.module, name, after):
            self._whole(target.module)
        return None

    def _follow_name(self, module: str, name: str, rest: Sequence[str]) -> bool:
        """Follow a name of a module; whether the module has it."""
        if (module, name, *rest) in self._seen:
            return True
        there = self.package.module(module)
        statements = there.bound.get(name, [])
        targets = [
            t for i in there.imports if (i.alias or self.package.name) == name for t in [self._target(i, module)]
        ]
        if statements or targets:
            self._seen.add((module, name, *rest))
        for statement in statements:
            self._count(statement, module)
            if statement.code.joined and UPWARD & {*rest}:
                self._everything()
        for target in targets:
            self._follow(target, rest)
        return bool(statements or targets)

    def _target(self, found: Import, inside: str) -> Target:
        target = self.package.target(found, inside)
        assert target is not None, found  # a module's imports are those of its own package
        return target

    def _count(self, statement: Statement, module: str) -> None:
        """Let a statement count, and follow it later on."""
        if (module, id(statement)) not in self._seen:
            self._seen.add((module, id(statement)))
            self.found.add(statement_text(module, statement))
            self._todo.append((statement.code, module))

    def _load(self, module: str, star: bool = False) -> None:
        """A module is imported: what acts then counts, in it and in the modules that it imports."""
        if module not in self.package.names:
            return self._everything()
        if module not in self._loaded:
            self._loaded.add(module)
            if module:
                self._load(module.rpartition(".")[0])
            there = self.package.module(module)
            for statement in there.statements:
                if statement.acts:
                    self._count(statement, module)
            for found in there.imports:
                self._load(self._target(found, module).loads, star=found.name == "*")
        if star:
            self._whole(module)
        return None

    def _whole(self, module: str) -> None:
        """All of a module counts, with what is below it; of the package's own, all modules."""
        if not module:
            return self._everything()
        if ("whole", module) in self._seen:
            return None
        self._seen.add(("whole", module))
        self._load(module)
        there = self.package.module(module)
        for statement in there.statements:
            self._count(statement, module)
        for found in there.imports:
            self._follow(self._target(found, module), [])
        for name in self._modules():
            if name.startswith(f"{module}."):
                self._whole(name)
        return None

    def _modules(self) -> list[str]:
        return [m for m in self.package.names if m.split(".")[0] not in NEVER_IMPORTED]

    def _everything(self) -> None:
        if "everything" not in self._seen:
            self._seen.add("everything")
            self._count_files(self.package.data)
            for module in self._modules():
                if module:
                    self._whole(module)
            for statement in self.package.module("").statements:
                self._count(statement, "")

    def _count_files(self, paths: Iterable[Path]) -> None:
        for path in paths:
            self.found.add(f"{path.relative_to(self.package.folder).as_posix()}: {file_digest(path)}")

    def _follow_texts(self, code: Code, inside: str | None) -> None:
        """Follow what the code names in texts, and be careful where it can do what it does not name."""
        texts = self._page_texts if inside is None else code.texts
        for text in texts:
            self._follow_text(text, inside)
        runs_programs = inside is None or code.names & {"subprocess", "Popen", "system"}
        if code.unknowable or (runs_programs and any(_is_command(t) for t in texts)):
            self._everything()
        if code.names & SHOWS_SOURCE or (inside is None and any(map(SHOWING.search, texts))):
            self._shows_source = True
        if code.joined:
            self._follow_places(code, inside)
        if code.computes_imports:
            self._follow_computed(code, inside)

    def _follow_text(self, text: str, inside: str | None) -> None:
        """Follow modules that a text names: it may be a program, or be imported by its name."""
        for dotted in re.findall(rf"\b{re.escape(self.package.name)}\b((?:\.\w+)*)", text):
            parts = dotted.split(".")[1:]
            module = next((m for n in range(len(parts), 0, -1) if (m := ".".join(parts[:n])) in self.package.names), "")
            if module:
                self._whole(module)
            elif inside is None:
                self._everything()
            else:
                self._count_files(self.package.data)

    def _follow_places(self, code: Code, inside: str | None) -> None:
        """Follow code that finds files by a module's place; all counts unless each text joined to it is known."""
        joined = [[self._texts_of(part, code, inside) for part in parts] for parts in code.joined]
        if not all(parts and None not in parts for parts in joined):
            return self._everything()
        texts = {part for parts in joined for found in parts for text in found or () for part in text.split("/")}
        here = self.package.absolute(".", inside) or ""
        stems = {stem for text in texts if (stem := text.removesuffix(".py")).isidentifier()}
        modules = [m for stem in stems if (m := f"{here}.{stem}".lstrip(".")) in self.package.names]
        files = [p for p in self.package.data if texts & {*p.relative_to(self.package.folder).parts}]
        for module in modules:
            self._whole(module)
        self._count_files(files)
        return None if modules or files else self._everything()

    def _texts_of(self, part: ast.expr, code: Code, inside: str | None) -> set[str] | None:
        """Texts that a part of a path may be; None when that is not plain."""
        texts, names = code.texts_of(part)
        bound = self.package.module(inside).bound if inside is not None else {}
        found = [statement.code.literal_texts for name in names for statement in bound.get(name, [])]
        if None in found or len(found) < len(names):
            return None
        return texts.union(*filter(None, found))

    def _follow_computed(self, code: Code, inside: str | None) -> None:
        """Follow code that puts the name of a module together; all counts unless it is a text with holes."""
        here = self.package.absolute(".", inside) or ""
        modules = [m for pattern in code.patterns for m in self._family(pattern, here)]
        for module in modules:
            self._whole(module)
        if not modules or not code.imports_by_pattern:
            self._everything()

    def _family(self, pattern: str, here: str) -> list[str]:
        """Modules that fit a name with holes: those that a text of the page begins with, or else all of them."""
        own = ".".join(filter(None, [self.package.name, here]))
        full = re.compile(pattern.replace("{__package__}", re.escape(own)))
        fitting = {m: found for m in self.package.names if (found := full.fullmatch(f"{self.package.name}.{m}"))}
        meant = [m for m, f in fitting.items() if any(t.startswith(g) for t in self._page_texts for g in f.groups())]
        return meant or list(fitting)


def statement_text(module: str, statement: Statement) -> str:
    """By what a statement is told among what is reached.

    Args:
        module: in which it stands.
        statement: the statement.
    """
    return f"{module}: {_digest(statement.code.form)}"


def _is_command(text: str) -> bool:
    """Whether a text may be a command line of the package, whose program is called like the package's first part."""
    return bool(re.search(r"(?<![\w./-])ml4ops(?![\w.-])", text))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def file_digest(path: Path) -> str:
    """SHA-256 of a file; read again only when the file was changed since.

    Args:
        path: the file.
    """
    found = path.stat()
    return _file_digest(path, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@cache
def _file_digest(path: Path, *state: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
