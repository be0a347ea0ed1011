"""The same network with less to do: batch norm joins the weights, what is padded or repeated joins the kernels.

Results change by rounding only. Explained in ``05_run_inference``.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_conv_bn_weights

from ml4ops_helpers.models.unet import ConvNorm, Encoder


def fold_encoder(encoder: Encoder) -> Encoder:
    """A copy of an encoder for inference, with batch norm in the weights and without copies for padding.

    The copy is in evaluation mode, whatever the mode of the encoder, which is left as it is.
    >>> encoder = Encoder(10).eval()
    >>> features = torch.rand(1, 10, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> pairs = zip(encoder(features), fold_encoder(encoder)(features))
    >>> all(torch.allclose(plain, folded, atol=1e-5) for plain, folded in pairs)
    True
    """
    folded = copy.deepcopy(encoder).eval()
    for layer in [m for m in folded.modules() if isinstance(m, ConvNorm)]:
        layer.conv, layer.norm = fuse_conv_bn_eval(layer.conv, layer.norm), nn.Identity()  # type: ignore[assignment]
        if layer.conv.stride == (2, 2):
            layer.conv, layer.pad = _padded_kernel(layer.conv), nn.Identity()
    return folded.to(memory_format=torch.channels_last)


def _padded_kernel(layer: nn.Conv2d) -> nn.Conv2d:
    """A 3×3 convolution with stride 2 that pads below and to the right, as a 4×4 one that pads all around.

    The larger kernel begins with zeros. It holds for even sides, and saves a copy of the input.
    """
    wider = nn.Conv2d(layer.in_channels, layer.out_channels, 4, stride=2, padding=1, groups=layer.groups)
    wider.weight = nn.Parameter(nn.functional.pad(layer.weight.detach(), (1, 0, 1, 0)))
    wider.bias = layer.bias
    return wider


def without_batch_norm(layer: ConvNorm) -> tuple[Tensor, Tensor]:
    """Weights and offsets of a convolution that does what it and its batch norm do in evaluation mode."""
    conv, norm = layer.conv, layer.norm
    mean, variance = cast(tuple[Tensor, Tensor], (norm.running_mean, norm.running_var))
    # By weights, not by copies of layers: torch cannot copy a layer while it exports one.
    weight, bias = fuse_conv_bn_weights(conv.weight, conv.bias, mean, variance, norm.eps, norm.weight, norm.bias)
    return weight.detach(), bias.detach()


_TAPS = torch.tensor([[0.0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
"""Which taps of a 3×3 kernel meet the same coarse pixel, for each tap of the 4×4 kernel."""


def doubling_kernel(weight: Tensor) -> Tensor:
    """Kernel ``(in, out, 4, 4)`` of the transposed convolution that repeats pixels 2×2 and convolves 3×3.

    >>> doubling_kernel(torch.ones(1, 1, 3, 3))[0, 0, 1].tolist()
    [2.0, 4.0, 4.0, 2.0]
    """
    taps = _TAPS.to(weight)
    return torch.einsum("ki,lj,ocij->cokl", taps, taps, weight).contiguous()
