"""The U-Net on the core of a window: an encoder that gets the whole halo, a decoder that crops as it goes up.

Explained in ``05_run_inference``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml4ops_helpers.inference.folding import doubling_kernel, fold_encoder, without_batch_norm
from ml4ops_helpers.models.common import ModelError
from ml4ops_helpers.models.unet import DECODED, DecoderBlock, UNet

if TYPE_CHECKING:
    from ml4ops_helpers.models.networks import Network


class Core(nn.Module):
    """A network that computes the core of a window, and around it no more than that needs.

    The encoder of a U-Net sees far and gets the whole halo. Its decoder sees two pixels at each level: there the halo
    is cut off, level by level (``whole_logits``).
    """

    def __init__(self, model: Network, halo: int, half: bool = False) -> None:
        super().__init__()
        self.model, self.halo, self.half_decoder = model, halo, half
        self.encoder = fold_encoder(model.body.encoder) if isinstance(model.body, UNet) else None

    def forward(self, window: Tensor) -> Tensor:
        """Logits of the core, ``(n, outputs, height, width)``, of reflectance with the halo around it."""
        if self.encoder is not None:
            return whole_logits(self.model, self.encoder, window, self.halo, half=self.half_decoder)
        logits: Tensor = self.model(window)
        return logits[..., self.halo : window.shape[2] - self.halo, self.halo : window.shape[3] - self.halo]


BLOCK = 512
"""Longest side of what is decoded at once, pixels: small enough for the processor's cache."""
STRIP = 128
"""Rows of which features are computed at once."""
Masks = Sequence[Tensor]
"""What each channel behind each decoder block is multiplied by: 0, or 1 / (1 - rate)."""


def unet_of(model: Network) -> UNet:
    """The U-Net within a network; ``ModelError`` if it is not one."""
    if not isinstance(model.body, UNet):
        raise ModelError(
            f"model {model.config['name']!r} has no dropout; use a U-Net: build_model('unet', dropout=0.1)"
        )
    return model.body


def whole_logits(model: Network, encoder: nn.Module, window: Tensor, halo: int, *, half: bool = False) -> Tensor:
    """Logits ``(1, outputs, height, width)`` of a window without its halo, nothing dropped, equal up to rounding.

    Args:
        model: a U-Net.
        encoder: its own, or what ``fold_encoder`` made of it.
        window: reflectance ``(1, bands, height, width)`` with the halo, without NaN, sides multiples of 32.
        halo: pixels around the window, a multiple of 32, at least 64.
        half: decode in 16 bits; the encoder needs 32, or probabilities move by several hundredths.
    """
    masks = [torch.ones(channels, device=window.device) for channels in DECODED]

    def decode(part: _Decoder) -> Tensor:
        with torch.autocast(window.device.type, torch.bfloat16, enabled=half):
            return part(masks)

    with torch.inference_mode():  # one block after the other: what a block has kept is given back
        rows = [torch.cat([decode(part) for part in row], dim=3) for row in decoders(model, encoder, window, halo)]
        return torch.cat(rows, dim=2)


def decoders(model: Network, encoder: nn.Module, window: Tensor, halo: int) -> Iterator[Iterator[_Decoder]]:
    """Decoders of the blocks that make up a window, row by row."""
    height, width = (n - 2 * halo for n in window.shape[2:])
    pyramid = encoder(_features(model, window))

    def part(row: int, column: int) -> _Part:
        return _Part(halo + row, halo + column, min(BLOCK, height - row), min(BLOCK, width - column))

    for row in range(0, height, BLOCK):
        yield (_Decoder(model, pyramid, part(row, column)) for column in range(0, width, BLOCK))


def _features(model: Network, window: Tensor) -> Tensor:
    """Features of a window, strip by strip: intermediate results stay small; with channels last, as convolutions like.

    Each feature looks at one pixel only, so strips need no halo.
    """
    strips = (model.features(window[:, :, row : row + STRIP]) for row in range(0, window.shape[2], STRIP))
    return torch.cat([strip.contiguous(memory_format=torch.channels_last) for strip in strips], dim=2)


class _Part(NamedTuple):
    """A rectangle of a window, pixels; multiples of 32."""

    top: int
    left: int
    height: int
    width: int

    def of(self, layer: Tensor, level: int, margin: int) -> Tensor:
        """The same rectangle and a margin around it, in a layer whose sides were halved so many times."""
        top, left = self.top // 2**level - margin, self.left // 2**level - margin
        height, width = (n // 2**level + 2 * margin for n in (self.height, self.width))
        return layer[..., top : top + height, left : left + width]


class _Decoder:
    """The decoder on one rectangle: all that no mask changes is computed beforehand."""

    def __init__(self, model: Network, pyramid: Sequence[Tensor], part: _Part) -> None:
        unet = unet_of(model)
        coarsest = len(pyramid) - 1
        skips = [part.of(pyramid[level], level, 4) if level else None for level in range(coarsest - 1, -1, -1)]
        first, *self.blocks = [_fold(b, s) for b, s in zip(unet.decoder, skips, strict=True)]
        self.first = first(part.of(pyramid[-1], coarsest, 2))
        self.head = unet.head
        self.pixel: Tensor = unet.pixel(part.of(pyramid[0], 0, 0))

    def __call__(self, masks: Masks) -> Tensor:
        x = self.first
        for block, mask in zip(self.blocks, masks, strict=False):
            x = block(x, mask)
        weight = self.head.weight * masks[-1][:, None, None]
        return _cut(functional.conv2d(x, weight, self.head.bias, padding=1)).float().add_(self.pixel)


@dataclass(frozen=True)
class _Block:
    """A decoder block for one window: doubles the sides, two layers see two pixels, which are cut off."""

    up: Tensor
    up_bias: Tensor
    skip: Tensor | None
    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        up = self.up if mask is None else self.up * mask[:, None, None, None]
        x = functional.conv_transpose2d(x, up, self.up_bias, stride=2, padding=1)
        if self.skip is not None:
            x.add_(self.skip.to(x.dtype))  # adding 32 bits to 16 would be slower than all the rest
        x.relu_()
        return _cut(functional.conv2d(x, self.weight, self.bias, padding=1).relu_())


def _fold(block: nn.Module, skip: Tensor | None) -> _Block:
    assert isinstance(block, DecoderBlock)  # torch says of a list's parts only that they are modules
    (first, bias), (second, second_bias) = map(without_batch_norm, (block.conv1, block.conv2))
    channels = first.shape[1] - (0 if skip is None else skip.shape[1])
    added = None if skip is None else functional.conv2d(skip, first[:, channels:], padding=1)
    second = second.contiguous(memory_format=torch.channels_last)
    return _Block(doubling_kernel(first[:, :channels]), bias, added, second, second_bias)


def _cut(x: Tensor) -> Tensor:
    return x[..., 2:-2, 2:-2]
