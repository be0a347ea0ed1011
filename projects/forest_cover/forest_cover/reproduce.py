"""What makes a training repeatable: a seed, a device, and a hash of all that decides what it comes to."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence

import torch

from forest_cover.config import Config
from forest_cover.dataset import CoverDataset
from forest_cover.files import ProjectError


def choose_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is the graphics processor where there is one.

    Raises:
        ProjectError: it is not available.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise ProjectError("resources.device is cuda, but none is available; set it to cpu or auto")
    return torch.device(name)


def set_determinism(seed: int, threads: int) -> None:
    """Same seed, same numbers on one machine: the order of a sum depends on the number of threads, so it is set too.

    Args:
        seed: of torch's global generator: fresh weights and dropout.
        threads: of the processor, 0 for all.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else torch refuses on a graphics processor
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(threads or os.cpu_count() or 1)
    torch.manual_seed(seed)


def fingerprint(config: Config, columns: Sequence[str], *parts: CoverDataset) -> str:
    """A hash of all that decides what a training comes to: its settings and its rows."""
    settings = config.model_dump(include={"resources", "training", "model"})
    digest = hashlib.sha256(json.dumps([settings, list(columns)], sort_keys=True).encode())
    for rows in parts:
        digest.update(rows.features.contiguous().numpy().tobytes() + rows.labels.numpy().tobytes())
    return digest.hexdigest()
