"""Where the book lives: the one setting that every badge, button and link to the source is made from."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

GITHUB = "https://github.com/"


@dataclass(frozen=True)
class Repository:
    """``repository`` of ``_config.yml``, and the addresses that follow from it.

    Attributes:
        slug: owner and repository, ``owner/repo``.
        branch: the branch that readers see.
        site: address of the published site, with a slash at the end.

    >>> here = Repository("owner/repo", "main", "https://owner.github.io/repo/")
    >>> here.colab("notebooks/01_a.ipynb")
    'https://colab.research.google.com/github/owner/repo/blob/main/notebooks/01_a.ipynb'
    >>> here.blob("tests/test_a.py"), here.prefix
    ('https://github.com/owner/repo/blob/main/tests/test_a.py', '/repo/')
    """

    slug: str
    branch: str
    site: str

    @property
    def url(self) -> str:
        """Address of the repository."""
        return GITHUB + self.slug

    @property
    def prefix(self) -> str:
        """Path of the site on its server."""
        return urlsplit(self.site).path

    def blob(self, path: str) -> str:
        """Address that shows a tracked file."""
        return f"{self.url}/blob/{self.branch}/{path}"

    def colab(self, path: str) -> str:
        """Address that opens a tracked notebook in Colab."""
        return f"https://colab.research.google.com/github/{self.slug}/blob/{self.branch}/{path}"


def repository_of(config: Mapping[str, Any]) -> Repository:
    """The repository that a book's settings name.

    Args:
        config: content of ``_config.yml``. Where ``html.baseurl`` is empty, the site is that of GitHub Pages.

    >>> repository_of({"repository": {"url": "https://github.com/owner/repo", "branch": "main"}}).site
    'https://owner.github.io/repo/'
    """
    slug = str(config["repository"]["url"]).removeprefix(GITHUB).strip("/")
    owner, name = slug.split("/")
    site = config.get("html", {}).get("baseurl") or f"https://{owner.lower()}.github.io/{name}/"
    return Repository(slug, config["repository"]["branch"], site)


def read_config(root: Path) -> dict[str, Any]:
    """Content of a book's ``_config.yml``.

    Args:
        root: folder of the book.
    """
    config: dict[str, Any] = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    return config


def own_files(folder: Path) -> set[str]:
    """Paths of the files that are tracked or new, from the folder; those that git ignores are not the book's.

    Args:
        folder: of the repository; where there is none, all files but hidden and compiled ones are the book's.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return set(done.stdout.split("\0")) - {""}
    inside = (p.relative_to(folder) for p in files_below(folder) if p.is_file())
    return {p.as_posix() for p in inside if not any(part == "__pycache__" or part[0] == "." for part in p.parts)}


def files_below(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Files below a folder, broken links included; links to folders are followed, but never in a circle.

    Args:
        folder: where the files are.
        above: folders that it was reached through, as they are without links.
    """
    here = folder.resolve()
    if here not in above:
        for path in sorted(folder.iterdir()):
            if path.is_dir():
                yield from files_below(path, (*above, here))
            elif path.is_file() or path.is_symlink():
                yield path
