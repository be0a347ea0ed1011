"""The conda environment, written from ``pyproject.toml``.

``python -m ml4ops_helpers.press.environment`` in the repository's root writes ``environment.yml``; a test compares it.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
"""Packages that conda-forge keeps under another name than the Python package index."""

PIP_ONLY = ("playwright", "sphinx-mathjax-offline")
"""Packages that are taken from the Python package index in a conda environment, too."""

EXTRAS = ("book", "test")
"""Extras that an environment for reading, running and changing the book needs."""


def _conda_requirement(requirement: str) -> str:
    name, bounds = re.fullmatch(r"([A-Za-z0-9._-]+)(.*)", requirement).groups()  # type: ignore[union-attr]
    return f"{CONDA_NAMES.get(name, name)}{bounds}"


def conda_environment(project: dict[str, Any]) -> str:
    """Text of ``environment.yml``.

    Args:
        project: the ``project`` table of ``pyproject.toml``.

    >>> print(conda_environment({"name": "helpers", "requires-python": ">=3.11", "dependencies": ["torch>=2.4"],
    ...     "optional-dependencies": {"book": ["playwright>=1"], "test": ["pytest>=8"]}}))
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
    <BLANKLINE>
    """
    wanted = list(project["dependencies"])
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
    ]
    return "\n".join(lines) + "\n"


def main(root: Path = Path()) -> None:
    """Write ``environment.yml`` of a repository.

    Args:
        root: folder that holds ``pyproject.toml``.
    """
    with (root / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    temporary = root / "environment.yml.tmp"
    temporary.write_text(conda_environment(project), encoding="utf-8")
    temporary.replace(root / "environment.yml")


if __name__ == "__main__":
    main()
