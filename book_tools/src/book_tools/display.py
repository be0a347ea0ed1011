"""On a terminal: one line that shows which pages run, and for how long. Anywhere else: nothing."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from .runner import Outcome

ERASE = "\r\x1b[K"
"""Back to the beginning of the line, and away with what stands there."""


class Progress:
    """Keeps the line up to date, and out of the way of other output. Use it as a context.

    Args:
        tell: prints an outcome.
        stream: where the line is shown; default standard error.
    """

    def __init__(self, tell: Callable[[Outcome], None], stream: TextIO | None = None) -> None:
        self._tell, self._stream = tell, stream or sys.stderr
        self._shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._show("")

    def report(self, outcome: Outcome) -> None:
        """Print an outcome above the line.

        Args:
            outcome: of a page.
        """
        self._show("")
        self._tell(outcome)

    def watch(self, running: Mapping[str, float]) -> None:
        """Show what runs.

        Args:
            running: seconds since the start of each page that runs.
        """
        self._show(" · ".join(f"{page} {seconds:.0f} s" for page, seconds in running.items()))

    def _show(self, text: str) -> None:
        if self._stream.isatty() and text != self._shown:
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(ERASE + (text if len(text) <= width else f"{text[: width - 1]}…"))
            self._stream.flush()
            self._shown = text
