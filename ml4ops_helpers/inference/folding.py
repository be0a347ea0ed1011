"""The same network with less to do: batch norm joins the weights, what is padded or repeated joins the kernels.

Results change by rounding only. Explained in ``05_run_inference``.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_conv_bn_weights


def fold_encoder(encoder: nn.Module) -> nn.Module:
    """A copy of a timm encoder for inference, with batch norm in the weights and without copies for padding.

    Args:
        encoder: in evaluation mode or not; the copy uses what training left. Nothing in it is changed.

    Returns:
        The copy, in evaluation mode.

    >>> from ml4ops_helpers.models import build_model
    >>> encoder = build_model("unet").eval().body.context.encoder
    >>> features = torch.rand(1, 10, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> pairs = zip(encoder(features), fold_encoder(encoder)(features))
    >>> all(torch.allclose(plain, folded, atol=1e-5) for plain, folded in pairs)
    True
    """
    folded = copy.deepcopy(encoder).eval()
    _fold_batch_norms(folded)
    for module in list(folded.modules()):
        for name, child in module.named_children():
            if isinstance(child, Conv2dSame) and child.kernel_size == (3, 3) and child.stride == (2, 2):
                setattr(module, name, _padded_kernel(child))
    return folded.to(memory_format=torch.channels_last)


def _fold_batch_norms(module: nn.Module) -> None:
    """Fold each batch norm into the convolution before it; timm's also activates, which stays."""
    before: tuple[str, nn.Module] | None = None
    for name, child in list(module.named_children()):
        if isinstance(child, BatchNormAct2d) and before and isinstance(before[1], nn.Conv2d):
            setattr(module, before[0], fuse_conv_bn_eval(before[1], child))
            setattr(module, name, child.act)
        else:
            _fold_batch_norms(child)
        before = name, child


def _padded_kernel(layer: nn.Conv2d) -> nn.Conv2d:
    """A convolution 3×3 with stride 2 that pads below and to the right, as one 4×4 that pads all around.

    The larger kernel begins with zeros. It holds for even sides, and saves the copy of the input that padding one side
    only needs.
    """
    bias = layer.bias is not None
    wider = nn.Conv2d(layer.in_channels, layer.out_channels, 4, stride=2, padding=1, groups=layer.groups, bias=bias)
    wider.weight = nn.Parameter(nn.functional.pad(layer.weight.detach(), (1, 0, 1, 0)))
    wider.bias = layer.bias
    return wider


def without_batch_norm(layer: Any) -> tuple[Tensor, Tensor]:  # noqa: ANN401 - a block of smp, which has no types
    """Weights and offsets of a convolution that does what it and its batch norm do in evaluation mode."""
    conv, norm = layer[0], layer[1]
    statistics = norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    weight, bias = fuse_conv_bn_weights(conv.weight, conv.bias, *statistics)
    return weight.detach(), bias.detach()


_TAPS = torch.tensor([[0.0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
"""Which taps of a 3×3 kernel meet the same coarse pixel, for each tap of the 4×4 kernel."""


def doubling_kernel(weight: Tensor) -> Tensor:
    """Kernel ``(in, out, 4, 4)`` of the transposed convolution that repeats pixels 2×2 and convolves 3×3.

    Args:
        weight: of the 3×3 convolution, ``(out, in, 3, 3)``.

    >>> doubling_kernel(torch.ones(1, 1, 3, 3))[0, 0, 1].tolist()
    [2.0, 4.0, 4.0, 2.0]
    """
    taps = _TAPS.to(weight)
    return torch.einsum("ki,lj,ocij->cokl", taps, taps, weight).contiguous()
