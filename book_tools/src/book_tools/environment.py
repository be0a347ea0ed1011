"""The conda environment, written from ``pyproject.toml``.

``python -m book_tools.environment`` in the repository's root writes ``environment.yml``; a test compares it.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

SOURCES = ("pyproject.toml", "book_tools/pyproject.toml")
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
"""Packages that conda-forge keeps under another name than the Python package index."""

PIP_ONLY = ("playwright", "sphinx-mathjax-offline")
"""Packages that are taken from the Python package index in a conda environment, too."""

EXTRAS = ("test",)
"""Extras of the helper that an environment for reading, running and changing the book needs."""


def _conda_requirement(requirement: str) -> str:
    name, bounds = re.fullmatch(r"([A-Za-z0-9._-]+)(.*)", requirement).groups()  # type: ignore[union-attr]
    return f"{CONDA_NAMES.get(name, name)}{bounds}"


def conda_environment(project: dict[str, Any], tools: dict[str, Any]) -> str:
    """Text of ``environment.yml``.

    Args:
        project: the ``project`` table of the helper's ``pyproject.toml``.
        tools: that of the book's tools.

    >>> helper = {"name": "helpers", "requires-python": ">=3.11", "dependencies": ["torch>=2.4"]}
    >>> extras = {"optional-dependencies": {"test": ["pytest>=8"]}}
    >>> print(conda_environment(helper | extras, {"dependencies": ["helpers", "playwright>=1"]}))
    # Generated from pyproject.toml by `make lock`; do not edit.
    name: helpers
    channels: [conda-forge]
    dependencies:
      - python>=3.11
      - pytorch>=2.4
      - pytest>=8
      - pip
      - pip:
          - playwright>=1
          - --editable .
          - --editable book_tools
    <BLANKLINE>
    """
    wanted = [*project["dependencies"], *(r for r in tools["dependencies"] if r != project["name"])]
    for extra in EXTRAS:
        wanted += project["optional-dependencies"][extra]
    from_pip = [r for r in wanted if re.match(r"[A-Za-z0-9._-]+", r)[0] in PIP_ONLY]  # type: ignore[index]
    lines = [
        "# Generated from pyproject.toml by `make lock`; do not edit.",
        f"name: {project['name']}",
        "channels: [conda-forge]",
        "dependencies:",
        f"  - python{project['requires-python']}",
        *(f"  - {_conda_requirement(r)}" for r in wanted if r not in from_pip),
        "  - pip",
        "  - pip:",
        *(f"      - {r}" for r in from_pip),
        "      - --editable .",
        "      - --editable book_tools",
    ]
    return "\n".join(lines) + "\n"


def main(root: Path = Path()) -> None:
    """Write ``environment.yml`` of a repository.

    Args:
        root: folder that holds ``pyproject.toml``.
    """
    read = [tomllib.loads((root / name).read_text("utf-8"))["project"] for name in SOURCES]
    temporary = root / "environment.yml.tmp"
    temporary.write_text(conda_environment(*read), encoding="utf-8")
    temporary.replace(root / "environment.yml")


if __name__ == "__main__":
    main()
