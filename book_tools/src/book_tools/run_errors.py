"""What went wrong in a run: the cell that raised, died or was left out, and what would otherwise pass unseen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from nbformat import NotebookNode

ANSI = re.compile(r"\x1b\[[0-9;]*m")

TRACEBACK = "Traceback (most recent call last)"

HARMLESS = tuple(
    re.compile(pattern)
    for pattern in (
        r"\s*\d+%\|[^|]*\| \S+ \[[^\]]*\]\s*$",  # a progress bar of tqdm, and nothing behind it
        r"\s*\d+it \[[^\]]*\]\s*$",  # one that knows no end
        r"Matplotlib is building the font cache; this may take a moment\.",  # once on each machine
        r".*TqdmWarning: IProgress not found\.",  # a progress bar as text, not as a widget
        r"\[W.* NNPACK\.cpp.*\] Could not initialize NNPACK! Reason: Unsupported hardware\.",  # torch, older processors
        r"OMP: Info #276: omp_set_nested routine deprecated",  # OpenMP, on some systems at its start
        r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d INFO (mlflow|alembic)\.",  # MLflow sets up its store
        r".*UserWarning: A worker stopped while some jobs were given to the executor\.",  # joblib takes a new one
        r"INFO  \[alembic\.runtime\.migration\] ",
    )
)
"""What a page may write to standard error: beginnings of lines. A new one needs its reason beside it."""


def code_cells(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    """Code cells of a notebook and their numbers among all its cells, from 1, without the one that papermill adds.

    Args:
        notebook: source or executed notebook.
    """
    numbered = [(i, c) for i, c in enumerate(notebook.cells, start=1) if c.cell_type == "code"]
    return [(i, c) for i, c in numbered if "injected-parameters" not in c.metadata.get("tags", [])]


def find_failure(source: NotebookNode, executed: NotebookNode, name: str, complaint: str) -> str | None:
    """The cell that failed and why, in words, or None when all is well.

    Args:
        source: the page as written, for cell numbers that the author sees.
        executed: the same page after its run.
        name: the page's file name.
        complaint: why papermill gave up, or "".
    """
    cells = [(n, cell) for (n, _), (_, cell) in zip(code_cells(source), code_cells(executed), strict=True)]
    stopped = chain(_raised(cells, complaint), _given_up(cells, complaint), _refused(cells))
    errors = chain(stopped, _left_out(cells), _unseen(cells))
    return next((f"{name}, cell {place}: {reason}" for place, reason in errors), None)


Cells = list[tuple[int, NotebookNode]]
RunError = tuple[str, str]


def _raised(cells: Cells, complaint: str) -> Iterator[RunError]:
    """Cells that ended with an exception, whatever their tags."""
    for number, cell in cells:
        if error := next((o for o in cell.outputs if o.output_type == "error"), None):
            # Out of time: the cell itself can only tell that it was interrupted.
            more = f" ({complaint})" if complaint.startswith("timed out") else ""
            yield f"{number}{_source_line(cell, error)}", f"{error.ename}: {ANSI.sub('', error.evalue)}{more}"


def _given_up(cells: Cells, complaint: str) -> Iterator[RunError]:
    """The last cell that was started when papermill gave up."""
    if complaint:
        started = [n for n, cell in cells if cell.metadata.get("papermill", {}).get("start_time")]
        yield str(max(started, default=1)), complaint


def _refused(cells: Cells) -> Iterator[RunError]:
    """Cells that IPython refused: of a magic that does not exist it leaves a line on standard error, no exception."""
    for number, cell in cells:
        if cell.metadata.get("papermill", {}).get("exception"):
            yield str(number), next(iter(ANSI.sub("", _stderr(cell)).strip().splitlines()[-1:]), "failed")


def _left_out(cells: Cells) -> Iterator[RunError]:
    yield from ((str(n), "was not run") for n, cell in cells if cell.source.strip() and cell.execution_count is None)


def _unseen(cells: Cells) -> Iterator[RunError]:
    """What neither stops papermill nor shows on the site."""
    for number, cell in cells:
        for raised in _shown_exceptions(cell):
            yield str(number), f"an exception that did not stop the page: {raised}"
        for line in unexpected_lines(_stderr(cell)):
            yield str(number), f"unexpected on standard error: {line}; if harmless, list it in book_tools/run_errors.py"


def _source_line(cell: NotebookNode, error: NotebookNode) -> str:
    """Number and text of the line of the cell that raised, as far as the traceback tells."""
    trace = ANSI.sub("", "\n".join(error.traceback))
    found = re.search(rf"Cell In\[{cell.execution_count}\], line (\d+)", trace)
    lines = cell.source.splitlines()
    if not found or int(found[1]) > len(lines):
        return ""
    return f", line {found[1]} `{lines[int(found[1]) - 1].strip()}`"


def _shown_exceptions(cell: NotebookNode) -> Iterator[str]:
    """Last lines of the tracebacks in what a cell printed or displayed: of threads, callbacks, tasks, log messages."""
    printed = "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stdout")
    shown = [str(text) for o in cell.outputs for m, text in o.get("data", {}).items() if m.startswith("text/")]
    for text in (_stderr(cell), printed, *shown):
        _, *traces = ANSI.sub("", text).split(TRACEBACK)
        for trace in traces:
            lines = [line for line in trace.splitlines()[1:] if line.strip()]
            yield next((line.strip() for line in lines if not line[0].isspace()), "its message was cut off")


def _stderr(cell: NotebookNode) -> str:
    return "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stderr")


def unexpected_lines(text: str) -> Iterator[str]:
    r"""Lines of standard error that are not known to be harmless.

    The line of source code below a warning belongs to it.

    Args:
        text: what was written.

    >>> list(unexpected_lines("100%|###| 3/3 [00:00]\nnotebook.py:3: UserWarning: no water\n  f()\n"))
    ['notebook.py:3: UserWarning: no water', '  f()']
    """
    forgiven = False
    for line in re.split(r"[\r\n]+", ANSI.sub("", text)):
        forgiven = any(p.match(line) for p in HARMLESS) or (forgiven and line.startswith("  "))
        if line.strip() and not forgiven:
            yield line
