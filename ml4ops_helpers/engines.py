"""Engines that compute a network on the processor. Explained in ``05_run_inference``."""

from __future__ import annotations

from ml4ops_helpers.inference import Runner, torch_runner
from ml4ops_helpers.models import ModelError, Network


def build_engine(name: str, model: Network, halo: int, core: tuple[int, int]) -> Runner:
    """An engine for windows of one size."""
    if name == "torch":
        return torch_runner(model, halo)
    raise ModelError(f"engine {name!r} is unknown")
