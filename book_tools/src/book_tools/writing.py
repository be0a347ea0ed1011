"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

ESCAPE = "backslashreplace"
"""How half a character is written, which a kernel may print: as JSON writes it."""


def replace_text(path: Path, text: str) -> None:
    """Write a text under a temporary name and rename it.

    Args:
        path: the file.
        text: its content.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", errors=ESCAPE)
        temporary.replace(path)
    except OSError:  # such as a full disk
        temporary.unlink(missing_ok=True)
        raise
