"""Monte Carlo dropout: decode a scene again and again, each time without other channels.

Dropout sits behind each block of the U-Net's decoder. So the encoder runs once, and so does all that follows from it
alone; only what comes behind a mask is computed for every sample. Explained in ``06_quantify_uncertainty``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ml4ops_helpers.inference.decoder import Masks, decoders, unet_of
from ml4ops_helpers.inference.folding import fold_encoder
from ml4ops_helpers.models.networks import Network, build_model
from ml4ops_helpers.models.unet import DECODED


def draw_masks(model: Network, samples: int, seed: int = 0) -> Iterator[Masks]:
    """Draw which channels each sample drops.

    A mask belongs to a sample, not to a place: whoever uses the same seed on another window of the scene gets the same
    networks, so windows join without seams. The first masks of a long run are those of a short one.

    Args:
        model: a U-Net from ``build_model``; its own rate of dropout is used, 0 where it has none.
        samples: how many.
        seed: of the draws.

    Returns:
        For each sample one tensor ``(channels,)`` for each decoder block.

    Raises:
        ModelError: the network has no decoder to drop channels in.

    Source: Gal & Ghahramani 2016, Dropout as a Bayesian approximation; whole channels: Tompson et al. 2015.

    >>> from ml4ops_helpers.models.networks import build_model
    >>> masks = next(draw_masks(build_model("unet", dropout=0.5), samples=1))
    >>> len(masks), sorted(set(masks[0].tolist()))
    (5, [0.0, 2.0])
    """
    device = next(model.parameters()).device
    blocks = [(channels, unet_of(model).rate) for channels in DECODED]
    for sample in range(samples):
        rng = np.random.default_rng((seed, sample))
        kept = [(rng.random(channels) >= rate) / (1 - rate) for channels, rate in blocks]
        yield [torch.from_numpy(mask.astype(np.float32)).to(device) for mask in kept]


def with_dropout(model: Network, rate: float) -> Network:
    """A copy of a U-Net that drops channels at another rate; without samples both predict the same.

    Args:
        model: a U-Net from ``build_model``.
        rate: share of the channels dropped, 0 to 1.

    Returns:
        The copy, in evaluation mode.

    Raises:
        ModelError: the network has no decoder to drop channels in, or ``rate`` is not a rate.
    """
    unet_of(model)
    copy = build_model(**{**model.config, "dropout": rate})
    copy.load_state_dict(model.state_dict())
    return copy.eval()


class DropoutSampler:
    """A U-Net that has seen a window and can be asked what it says of it without some of its channels.

    A decoder block repeats each pixel 2×2 and convolves 3×3; the two together are one transposed convolution 4×4 with
    stride 2, which needs less than half of the multiplications. Batch norm is a factor and an offset, and joins the
    weights. What an untouched skip connection adds is kept. All this changes results by rounding only.

    Args:
        model: a U-Net; nothing in it is changed, batch norm uses what training left.
        window: reflectance ``(1, bands, height, width)`` with the halo, without NaN, sides multiples of 32.
        halo: pixels around the window that give its edge neighbours, a multiple of 32, at least 64.

    Raises:
        ModelError: the network has no decoder to drop channels in.
    """

    def __init__(self, model: Network, window: Tensor, halo: int) -> None:
        with torch.inference_mode():
            encoder = fold_encoder(unet_of(model).encoder)
            self._rows = [list(row) for row in decoders(model, encoder, window, halo)]

    def logits(self, masks: Masks) -> Tensor:
        """Logits ``(1, outputs, height, width)`` of the window without its halo, under the masks of one sample."""
        with torch.inference_mode():
            return torch.cat([torch.cat([part(masks) for part in row], dim=3) for row in self._rows], dim=2)
