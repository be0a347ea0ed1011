"""How far a network sees, and how to compute no more than that. Explained in ``05_run_inference``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from ml4ops_helpers.models import ModelError, Network

MULTIPLE = 32
"""A U-Net halves its input five times: windows start and end at multiples of 32 pixels, so that the halves agree."""
BLOCK = 512
"""Longest side of what the decoder computes at once, pixels: small enough for the processor's cache."""
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
    the farthest NaN in the result tells the distance.

    Args:
        model: a network.

    Raises:
        ModelError: the network sees the whole scene (global pooling, attention), or gives other results in another
            place (interpolation with aligned corners): windows of it can never equal the whole.

    >>> from ml4ops_helpers.models import build_model
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
        f"the network sees farther than {WIDEST} pixels (global pooling or attention?): windows of a scene can never "
        "give what the whole scene does; choose another architecture"
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
    if not torch.allclose(whole, window, rtol=1e-3, atol=1e-3):
        raise ModelError(
            "the network gives a place other results in a window than in the scene (interpolation with aligned "
            "corners?), whatever the halo; interpolate with align_corners=False"
        )


class Core(nn.Module):
    """A network that computes the core of a window, and around it no more than that needs.

    The encoder of a U-Net sees far and gets the whole halo. Its decoder sees two pixels at each level: there the halo
    is cut off, level by level.

    Args:
        model: the network.
        halo: from ``receptive_field``.
    """

    def __init__(self, model: Network, halo: int) -> None:
        super().__init__()
        self.model, self.halo = model, halo

    def forward(self, window: Tensor) -> Tensor:
        """Logits of the core, ``(n, classes, height, width)``, of reflectance with the halo around it."""
        features = self.model.features(window)
        context: Any = getattr(self.model.body, "context", None)
        if not isinstance(context, smp.Unet) or context.decoder.blocks[0].interpolation_mode != "nearest":
            return _cut(self.model.body(features), self.halo)
        pyramid = context.encoder(features)
        height, width = (n - 2 * self.halo for n in window.shape[2:])
        rows, columns = range(0, height, BLOCK), range(0, width, BLOCK)
        sizes = [[(r, c, min(BLOCK, height - r), min(BLOCK, width - c)) for c in columns] for r in rows]
        return torch.cat([torch.cat([self._decode(pyramid, *b) for b in row], dim=3) for row in sizes], dim=2)

    def _decode(self, pyramid: list[Tensor], row: int, column: int, height: int, width: int) -> Tensor:
        """Logits of a block of the core from the encoder's features, finest first."""

        def part(level: int, margin: int) -> Tensor:
            top, left = ((self.halo + n) // 2**level - margin for n in (row, column))
            rows, columns = (n // 2**level + 2 * margin for n in (height, width))
            return pyramid[level][..., top : top + rows, left : left + columns]

        body: Any = self.model.body
        context = body.context
        x = part(len(pyramid) - 1, 2)
        for level, block in zip(range(len(pyramid) - 2, -1, -1), context.decoder.blocks, strict=True):
            size = [n // 2**level + 8 for n in (height, width)]  # a margin of 2, doubled, on both sides
            x = _cut(block(x, *size, part(level, 4) if level else None), 2)  # its two layers see 2 pixels far
        logits: Tensor = _cut(context.segmentation_head(x), 2) + body.pixel(part(0, 0))
        return logits


def _cut(x: Tensor, margin: int) -> Tensor:
    return x[..., margin : x.shape[-2] - margin, margin : x.shape[-1] - margin]
