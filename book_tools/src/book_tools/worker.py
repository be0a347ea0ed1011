"""One page in a process of its own: papermill and a kernel, watched, and ended with all that the page has started.

``execute.Run`` starts it as ``python -m book_tools.worker`` and sends an order as one line of JSON on its
standard input. When that closes, because the runner stops the page or was killed, the worker ends everything.
"""

from __future__ import annotations

import json
import os
import resource
import select
import shutil
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from nbclient.exceptions import CellExecutionComplete
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NotebookExecutionManager, papermill_engines
from papermill.exceptions import PapermillExecutionError
from papermill.execute import execute_notebook

from .processes import Usage, adopt_orphans, end_children

TICK = 1.0
"""Seconds between two looks at the processes."""
GRACE = 5.0
"""Seconds that a cell gets to end after it was interrupted."""
PATIENCE = 100_000
"""Seconds for what papermill limits by the clock on the wall: a busy machine is slow, not wrong."""


class Watch(threading.Thread):
    """Stops a cell that is over its limit; ends everything when the runner closes the pipe or is gone.

    Args:
        folder: of the run; removed when the runner is gone.
        limit: seconds that a cell may take, as ``Usage`` counts them.

    Attributes:
        complaint: why the page was stopped, else "".
    """

    def __init__(self, folder: Path, limit: float) -> None:
        super().__init__(daemon=True)
        self.usage, self.complaint = Usage(), ""
        self._folder, self._limit = folder, limit
        self._cell_began = self._stopped = 0.0

    def begin_cell(self, **cell: object) -> None:
        """Count anew: nbclient calls this before each cell."""
        self._cell_began = self.usage.seconds

    def run(self) -> None:
        """Look at the page until the pipe closes."""
        while not select.select([sys.stdin], [], [], TICK)[0]:
            self.usage.update()
            if self.complaint and time.monotonic() > self._stopped + GRACE:
                end_children()
            elif not self.complaint and self.usage.seconds - self._cell_began > self._limit:
                self.complaint = (
                    f"timed out: more than {self._limit:g} s of computing or idling in one cell, its imports included; "
                    "give it more seconds with --cell-timeout"
                )
                self._stopped = time.monotonic()
                with suppress(psutil.Error, IndexError):  # the kernel is the first child: the page's orphans come later
                    psutil.Process().children()[0].send_signal(signal.SIGINT)
        end_children()
        shutil.rmtree(self._folder, ignore_errors=True)
        os._exit(1)


class Client(PapermillNotebookClient):  # type: ignore[misc]  # untyped
    """Shows what a thread writes to standard error in the cell that runs by then; nbclient would drop it."""

    async def _async_poll_output_msg(self, parent_msg_id: str, cell: NotebookNode, cell_index: int) -> None:
        while True:
            message = await self.kc.iopub_channel.get_msg(timeout=None)
            late = message["msg_type"] == "stream" and message["content"]["name"] == "stderr"
            if late or message["parent_header"].get("msg_id") == parent_msg_id:
                try:
                    self.process_message(message, cell, cell_index)
                except CellExecutionComplete:
                    return


class StrictEngine(Engine):  # type: ignore[misc]  # untyped
    """Papermill's engine with our client and without its time limits."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: NotebookExecutionManager,
        kernel_name: str,
        **options: Any,  # noqa: ANN401
    ) -> None:
        """Run a notebook, as papermill asks for it.

        Args:
            nb_man: papermill's manager of the notebook.
            kernel_name: of the kernel.
            **options: ``on_cell_execute``; papermill's others are left out.
        """
        hook = options["on_cell_execute"]
        limits = {"startup_timeout": PATIENCE, "iopub_timeout": PATIENCE}
        Client(nb_man, kernel_name=kernel_name, on_cell_execute=hook, **limits).execute()


def main() -> None:
    """Run the page that was ordered; what became of it goes to ``ended.json`` in the folder of the run."""
    adopt_orphans()
    order = json.loads(sys.stdin.readline())
    folder = Path(order["folder"])
    watch = Watch(folder, order["cell_timeout"])
    watch.start()
    papermill_engines.register("strict", StrictEngine)
    complaint = ""
    try:
        execute_notebook(
            order["source"], order["executed"], order["parameters"],
            engine_name="strict", cwd=order["work"], progress_bar=False, on_cell_execute=watch.begin_cell,
        )  # fmt: skip
    except PapermillExecutionError:  # the notebook tells
        pass
    except Exception as error:
        complaint = f"{type(error).__module__}.{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    watch.usage.update()
    end_children()
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1024 if sys.platform == "linux" else 1) / 1e6
    ended = {
        "complaint": watch.complaint or complaint,
        "peak_mb": max(largest, watch.usage.megabytes),
        "effective_seconds": watch.usage.seconds,
    }
    (folder / "ended.json").write_text(json.dumps(ended), encoding="utf-8")
    os._exit(0)  # the watch is still waiting for the pipe


if __name__ == "__main__":
    main()
