"""The conda environment, written from ``pyproject.toml``.

``python -m book_tools.environment`` in the repository's root writes ``environment.yml``; a test compares it.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from .writing import replace_text

CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
"""Packages that conda-forge keeps under another name than the Python package index."""
PIP_ONLY = ("playwright", "sphinx-mathjax-offline")
"""Packages that are taken from the Python package index in a conda environment, too."""
EXTRAS = ("test",)
"""Extras of the helper that an environment for reading, running and changing the book needs."""


def conda_environment(root: Path) -> str:
    """Text of ``environment.yml``: what the helper and the tools need, with conda's names.

    Args:
        root: folder that holds ``pyproject.toml``.
    """
    names = ("pyproject.toml", "book_tools/pyproject.toml")
    helper, tools = (tomllib.loads((root / name).read_text(encoding="utf-8"))["project"] for name in names)
    wanted = [*helper["dependencies"], *(r for r in tools["dependencies"] if r != helper["name"])]
    for extra in EXTRAS:
        wanted += helper["optional-dependencies"][extra]
    conda, pip = [f"python{helper['requires-python']}"], []
    for requirement in wanted:
        name = re.match(r"[\w.-]+", requirement)[0]  # type: ignore[index]
        if name in PIP_ONLY:
            pip.append(requirement)
        else:
            conda.append(CONDA_NAMES.get(name, name) + requirement.removeprefix(name))
    head = ["# Generated from pyproject.toml by `make lock`; do not edit.", f"name: {helper['name']}"]
    head += ["channels: [conda-forge]", "dependencies:"]
    listed = [f"      - {r}" for r in [*pip, "--editable .", "--editable book_tools"]]
    return "\n".join([*head, *(f"  - {r}" for r in conda), "  - pip", "  - pip:", *listed]) + "\n"


if __name__ == "__main__":
    replace_text(Path("environment.yml"), conda_environment(Path()))
