"""Monte Carlo dropout: decode a scene several times, each time without other channels.

Dropout follows each block of the U-Net's decoder. So the encoder runs once, and so does all that depends on it alone;
only what follows a mask is computed for every sample. Explained in ``06_quantify_uncertainty``.
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
    """For each sample, one mask ``(channels,)`` for each decoder block.

    A mask belongs to a sample, not to a place: the same seed gives the same networks in every window of a scene, so
    windows join without seams. A short run draws the first masks of a long one.

    Args:
        model: a U-Net from ``build_model``; its own rate of dropout is used, 0 where it has none.
        samples: how many.
        seed: of the draws.

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
    """A copy of a U-Net, in evaluation mode, that drops channels at another rate, 0 to 1, when it is sampled."""
    unet_of(model)
    copy = build_model(**{**model.config, "dropout": rate})
    copy.load_state_dict(model.state_dict())
    return copy.eval()


class DropoutSampler:
    """A U-Net that has encoded a window, to be decoded without some of its channels; arguments as for ``whole_logits``.

    A decoder block repeats each pixel 2×2 and convolves 3×3; together they are one transposed convolution 4×4 with
    stride 2, with less than half of the multiplications. Batch norm joins the weights, and what a skip connection adds
    is kept. Results change by rounding only; the network stays as it is.
    """

    def __init__(self, model: Network, window: Tensor, halo: int) -> None:
        with torch.inference_mode():
            encoder = fold_encoder(unet_of(model).encoder)
            self._rows = [list(row) for row in decoders(model, encoder, window, halo)]

    def logits(self, masks: Masks) -> Tensor:
        """Logits ``(1, outputs, height, width)`` of the window without its halo, under the masks of one sample."""
        with torch.inference_mode():
            return torch.cat([torch.cat([part(masks) for part in row], dim=3) for row in self._rows], dim=2)
