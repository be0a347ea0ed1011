"""Move the book to a fork: every badge, button, link and installation line follows one setting."""

from __future__ import annotations

import os
import re
from pathlib import Path

from .repository import Repository, own_files, read_config, repository_of

SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
TEXT = {".py", ".md", ".ipynb", ".yml", ".yaml", ".toml", ".txt", ".cff", ".html", ".js", ".css", ".json"}
"""Kinds of files in which the repository may be named."""


def adopt(root: Path, slug: str, branch: str | None = None) -> list[str]:
    """Rewrite the repository's name and branch wherever a file of the book holds them. Done twice, it changes nothing.

    Args:
        root: root of the repository.
        slug: the new owner and repository, ``owner/repo``.
        branch: the branch that readers see; the one of before when None.

    Returns:
        Paths of the files that were changed.

    Raises:
        ValueError: the name or the branch has a form that GitHub does not allow.
    """
    old = repository_of(read_config(root))
    branch = branch or old.branch
    if not SLUG.fullmatch(slug) or slug.endswith(".git"):
        raise ValueError(f"{slug!r} is no repository; write OWNER/REPO, such as river-lab/flood-course")
    if not BRANCH.fullmatch(branch):
        raise ValueError(f"{branch!r} is no name of a branch")
    renamed = {}
    for path in sorted(own_files(root) | {"_config.yml"}):
        if Path(path).suffix in TEXT and (root / path).is_file() and (text := _text(root / path)):
            new = rename(text, old, slug, branch)
            if path == "_config.yml":
                new = _settle(new, branch)
            if new != text:
                renamed[path] = new
    # The setting last: it holds the old name, so that whatever breaks this off, it can be done again.
    for path in sorted(renamed, key=lambda path: (path == "_config.yml", path)):
        _replace(root / path, renamed[path])
    return sorted(renamed)


def find_leftovers(root: Path, old: Repository, slug: str) -> list[str]:
    """Places that still name the old owner or repository, which a rule can't judge: thanks, history, another address.

    Args:
        root: root of the repository, after ``adopt``.
        old: the repository of before.
        slug: the new owner and repository.

    Returns:
        ``file:line: text`` for each; what the new name shares with the old one does not count.
    """
    names = set(old.slug.split("/")) - set(slug.split("/"))
    if not names:
        return []
    old_name = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, sorted(names)))})(?![\w-])", re.IGNORECASE)
    found = []
    for path in sorted(own_files(root)):
        for number, line in enumerate(_lines(root / path), start=1):
            if old_name.search(line.replace(slug, "")):
                found.append(f"{path}:{number}: {line.strip()[:120]}")
    return found


def _lines(path: Path) -> list[str]:
    """Lines of a text; none of a file that is no text, or was removed."""
    try:
        return _text(path).splitlines()
    except OSError:
        return []


def _text(path: Path) -> str:
    """A text with the line ends that it has; "" of a file that is no UTF-8."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return ""


def rename(text: str, old: Repository, slug: str, branch: str) -> str:
    """A text that names another repository and branch.

    Args:
        text: any text.
        old: the repository it names.
        slug: the new owner and repository.
        branch: the new branch.

    >>> here = Repository("a/b", "main", "https://a.github.io/b/")
    >>> rename("https://github.com/a/b/blob/main/x.py, a/bc, git clone a/b; cd b", here, "c/d", "dev")
    'https://github.com/c/d/blob/dev/x.py, a/bc, git clone c/d; cd d'
    """
    text = re.sub(rf"(?<![\w.-]){re.escape(old.slug)}(?=\.git\b|[^\w.-]|\.?(?:$|\s))", slug, text)
    text = re.sub(rf"({re.escape(slug)}/(?:blob|edit|raw|tree))/{re.escape(old.branch)}(?=/)", rf"\1/{branch}", text)
    return re.sub(rf"\bcd {re.escape(old.slug.split('/')[1])}(?![\w.-])", f"cd {slug.split('/')[1]}", text)


def _settle(config: str, branch: str) -> str:
    """The settings with their branch; an address of the site that was set by hand was that of the other one."""
    config = re.sub(r"(?m)^(  branch:) [^\r\n]*", rf"\1 {branch}", config, count=1)
    return re.sub(r"(?m)^(  baseurl:) [^\r\n]*", r'\1 ""', config, count=1)


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8", newline="")
    temporary.chmod(path.stat().st_mode)
    temporary.replace(path)
