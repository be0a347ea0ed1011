"""The state of a training in a file, to resume after an interruption."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from forest_cover.files import replacing
from forest_cover.fit import Run

log = logging.getLogger(__name__)


def write_checkpoint(run: Run, path: Path) -> None:
    """Write a run's state, whole or not at all."""
    with replacing(path) as temporary:
        torch.save(run.state(), temporary)


def read_checkpoint(run: Run, path: Path) -> bool:
    """Resume from a file of ``write_checkpoint`` if it is there and of the same settings and rows; the log says which.

    Returns:
        Whether the run resumes from it.
    """
    if not path.exists():
        return False
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch raises nearly anything for a file that is not one of its own
        log.warning("%s can't be read: the training starts from the beginning", path)
        return False
    if not isinstance(state, dict) or state.get("hash") != run.hash:
        log.warning("%s is of other settings or rows: the training starts from the beginning", path)
        return False
    run.resume(state)
    log.info("%s: resumed after epoch %d", path, len(run.history))
    return True
