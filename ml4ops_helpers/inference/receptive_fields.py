"""How far a network sees, and how to compute no more than that. Explained in ``05_run_inference``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn

from ml4ops_helpers.models.common import ModelError

if TYPE_CHECKING:
    from ml4ops_helpers.models.networks import Network

MULTIPLE = 32
"""A U-Net halves its input five times: windows start and end at multiples of 32 pixels, so that the halves agree."""
WIDEST = 1024
"""A network that sees farther than so many pixels is refused: its halo would be larger than its windows."""
_halos: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients inside the block; afterwards the mode is as it was."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)


def receptive_field(model: Network) -> int:
    """How far a network sees, in pixels, rounded up to a multiple of 32: the halo that a window needs.

    Measured, not derived: cells of 32 pixels are set to NaN, which every layer passes on whatever its weights are, and
    the farthest NaN in the result gives the distance.

    Raises:
        ModelError: the network sees the whole scene (global pooling, attention), or its results depend on the position
            (interpolation with aligned corners): no tiling can give what the whole scene gives.

    >>> from ml4ops_helpers.models.networks import build_model
    >>> [receptive_field(build_model(name)) for name in ("linear", "cnn", "unet")]
    [0, 32, 256]
    """
    if model not in _halos:
        with evaluating(model):
            _halos[model] = _measure(model)
    return _halos[model]


def _measure(model: Network) -> int:
    for farthest in (WIDEST // 4, WIDEST):
        reach = max(_reach(model, farthest, across) for across in (True, False))
        if reach < farthest:
            halo = reach + -reach % MULTIPLE
            _check_same_anywhere(model, halo)
            return halo
    raise ModelError(
        f"the network sees farther than {WIDEST} pixels (global pooling or attention?), so tiling would change its "
        "results; choose another architecture"
    )


def _reach(model: Network, farthest: int, across: bool) -> int:
    """Distance from a cell of NaN to the farthest result that it spoils, along the rows or the columns."""
    strip = torch.full((1, len(model.bands), MULTIPLE, 2 * farthest + MULTIPLE), 0.1)
    strip[..., farthest : farthest + MULTIPLE] = torch.nan
    logits = model(strip if across else strip.mT)
    spoilt = torch.isnan(logits if across else logits.mT).flatten(0, 2).any(dim=0).nonzero()
    return max(farthest - int(spoilt.min()), int(spoilt.max()) - farthest - MULTIPLE + 1)


def _check_same_anywhere(model: Network, halo: int) -> None:
    noise = np.random.default_rng(0).uniform(0, 0.5, (1, len(model.bands), MULTIPLE, 2 * halo + 3 * MULTIPLE))
    strip = torch.from_numpy(noise.astype(np.float32))
    whole = model(strip)[..., halo + MULTIPLE : halo + 2 * MULTIPLE]
    window = model(strip[..., MULTIPLE:-MULTIPLE])[..., halo : halo + MULTIPLE]
    if (whole - window).abs().max() > 1e-4 * (whole.max() - whole.min()):  # rounding is far below that
        raise ModelError(
            "the network's result at a pixel depends on where the window begins (interpolation with aligned corners?), "
            "so tiling would change it; interpolate with align_corners=False"
        )
