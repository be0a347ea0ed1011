"""The page of topics: where each is taught, which code does it, and which tests would fail if it broke."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from .repository import Repository, read_config, repository_of

TABLE = Path("book/topics.yml")
PAGE = Path("book/topics.md")
MARK = "<!-- topics -->"

Topics = Mapping[str, Mapping[str, Sequence[str]]]
"""Lists of ``pages``, ``modules`` and ``tests`` of each topic."""


class TopicError(Exception):
    """The table of topics names something that does not exist."""


def insert_topics(root: Path, stage: Path) -> None:
    """Put the table of topics into the page of topics among the gathered sources; a book without one is left alone.

    Raises:
        TopicError: a page, module or test of the table does not exist.
    """
    if not (root / TABLE).exists() or not (stage / PAGE).exists():
        return
    topics: Topics = yaml.safe_load((root / TABLE).read_text(encoding="utf-8"))
    if missing := list(find_missing(root, topics)):
        raise TopicError(f"{TABLE}: " + "; ".join(missing))
    text = (stage / PAGE).read_text(encoding="utf-8")
    table = topics_table(root, topics, repository_of(read_config(root)))
    (stage / PAGE).write_text(text.replace(MARK, table), encoding="utf-8")


def find_missing(root: Path, topics: Topics) -> Iterator[str]:
    """What a table of topics names and the book does not have, in words."""
    for topic, found in topics.items():
        for page in found["pages"]:
            if not any((root / f"{page}{suffix}").exists() for suffix in (".ipynb", ".md")):
                yield f"{topic}: no page {page}"
        yield from (f"{topic}: no module {m}" for m in found["modules"] if not (root / _module_path(root, m)).exists())
        yield from (f"{topic}: no test {t}" for t in found["tests"] if not _test_line(root, t))


def topics_table(root: Path, topics: Topics, here: Repository) -> str:
    """The table of topics in Markdown; links to the source lead to ``here``."""
    rows = ["| topic | pages | code | what the tests promise |", "|---|---|---|---|"]
    for topic, found in sorted(topics.items()):
        pages = [f"[](../{page})" for page in found["pages"]]
        modules = [f"[`{m.removeprefix('projects/')}`]({here.blob(_module_path(root, m))})" for m in found["modules"]]
        tests = [_test_link(root, t, here) for t in found["tests"]]
        rows.append(f"| {topic} | {'<br>'.join(pages)} | {'<br>'.join(modules)} | {'<br>'.join(tests)} |")
    return "\n".join(rows)


def _module_path(root: Path, name: str) -> str:
    """Path of a module or package: of ``book_tools`` by its whole name, of the helper without the package's name.

    A file of a course project is named by its path.

    >>> _module_path(Path(), "book_tools.keys"), _module_path(Path(), "projects/cover/split.py")
    ('book_tools/src/book_tools/keys.py', 'projects/cover/split.py')
    """
    if "/" in name:
        return name
    path = ("book_tools/src/" if name.startswith("book_tools") else "ml4ops_helpers/") + name.replace(".", "/")
    return f"{path}/__init__.py" if (root / path).is_dir() else f"{path}.py"


def _test_link(root: Path, test: str, here: Repository) -> str:
    path, name = test.split("::")
    words = name.removeprefix("test_").replace("_", " ")
    return f"[{words}]({here.blob(path)}#L{_test_line(root, test)})"


def _test_line(root: Path, test: str) -> int:
    """Line of a test function, given as FILE::FUNCTION; 0 where there is none or it could be several."""
    path, _, name = test.partition("::")
    if not (root / path).is_file():
        return 0
    tree = ast.parse((root / path).read_text(encoding="utf-8"))
    lines = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == name]
    return lines[0] if len(lines) == 1 else 0
