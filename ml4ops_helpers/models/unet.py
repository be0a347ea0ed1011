"""A small U-Net in plain PyTorch: an encoder of inverted bottlenecks, a decoder with skip connections.

Encoder: MobileNetV3-small in its minimal form (Howard et al. 2019, DOI 10.1109/ICCV.2019.00140): no attention, ReLU,
3×3 kernels. Decoder: Ronneberger et al. 2015, DOI 10.1007/978-3-319-24574-4_28. Explained in ``03_train_a_model``.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

LEVELS: tuple[tuple[tuple[int, int, int], ...], ...] = (
    ((72, 24, 2), (88, 24, 1)),
    ((96, 40, 2), (240, 40, 1), (240, 40, 1), (120, 48, 1), (144, 48, 1)),
    ((288, 96, 2), (576, 96, 1), (576, 96, 1)),
)
"""Bottlenecks of the encoder's last three levels: channels inside, channels out, stride."""
ENCODED: tuple[int, ...] = (16, 16, 24, 48, 576)
"""Channels that the encoder gives at a half, a quarter, … a thirty-second of the image's sides."""
DECODED: tuple[int, ...] = (40, 40, 32, 24, 16)
"""Channels of the decoder's blocks, from the coarsest to the finest."""


class ConvNorm(nn.Module):
    """A convolution, batch norm and, unless it ends a bottleneck, ReLU.

    With a stride of 2 it pads below and to the right only, as TensorFlow does: sides are even.

    Args:
        inputs: channels in.
        outputs: channels out.
        kernel: side of the kernel, pixels.
        stride: 1 or 2.
        groups: of the convolution.
        active: whether ReLU follows.
        eps: of batch norm.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, *, stride: int = 1, groups: int = 1, active: bool = True,
        eps: float = 1e-3,
    ) -> None:  # fmt: skip
        super().__init__()
        padding = 0 if stride == 2 else kernel // 2
        self.pad = nn.ZeroPad2d((0, 1, 0, 1)) if stride == 2 else nn.Identity()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=eps)
        self.act = nn.ReLU(inplace=True) if active else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Channels ``(n, outputs, height / stride, width / stride)``."""
        return cast(Tensor, self.act(self.norm(self.conv(self.pad(x)))))


class Bottleneck(nn.Module):
    """Inverted bottleneck: expand to ``wide`` channels (unless None), depthwise convolution, project; residual."""

    def __init__(self, inputs: int, wide: int | None, outputs: int, stride: int) -> None:
        super().__init__()
        inside = wide or inputs
        self.layers = nn.Sequential(
            *([ConvNorm(inputs, inside)] if wide else []),
            ConvNorm(inside, inside, 3, stride=stride, groups=inside),
            ConvNorm(inside, outputs, active=False),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Channels ``(n, outputs, height / stride, width / stride)``."""
        return cast(Tensor, self.layers(x) + x if self.adds else self.layers(x))


class Encoder(nn.Module):
    """Encode an image of so many ``channels`` at five scales, each half as fine as the one before."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        levels: list[nn.Module] = [ConvNorm(channels, 16, 3, stride=2), Bottleneck(16, None, 16, 2)]
        inputs = 16
        for level in LEVELS:
            blocks = []
            for wide, outputs, stride in level:
                blocks.append(Bottleneck(inputs, wide, outputs, stride))
                inputs = outputs
            levels.append(nn.Sequential(*blocks))
        cast(nn.Sequential, levels[-1]).append(ConvNorm(inputs, ENCODED[-1]))
        self.levels = nn.ModuleList(levels)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> list[Tensor]:
        """The image and its encoding at each scale, finest first."""
        found = [x]
        for level in self.levels:
            found.append(level(found[-1]))
        return found


class DecoderBlock(nn.Module):
    """Upsample, concatenate the encoding of that scale, convolve twice, drop channels.

    Args:
        inputs: channels of the coarser scale.
        skip: channels of the encoder; 0 at the finest scale.
        outputs: channels out.
        dropout: rate at which channels are dropped in training.
    """

    def __init__(self, inputs: int, skip: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.conv1 = ConvNorm(inputs + skip, outputs, 3, eps=1e-5)
        self.conv2 = ConvNorm(outputs, outputs, 3, eps=1e-5)
        self.dropout = nn.Dropout2d(dropout)
        for layer in (self.conv1, self.conv2):
            nn.init.kaiming_uniform_(layer.conv.weight, nonlinearity="relu")

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """Channels at twice the sides of ``x``."""
        x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
        if skip is not None:
            x = torch.cat([x, skip], dim=1)
        return cast(Tensor, self.dropout(self.conv2(self.conv1(x))))


class UNet(nn.Module):
    """A U-Net whose logits are added to those of a small network on the single pixel.

    The first layer of the encoder halves the resolution; the pixel's own path keeps what is one pixel wide.

    Args:
        channels: of the image, whose sides are multiples of 32.
        outputs: logits of a pixel.
        dropout: rate at which channels are dropped after each block of the decoder, in training.
    """

    def __init__(self, channels: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.encoder = Encoder(channels)
        coarser, skips = (ENCODED[-1], *DECODED[:-1]), (*ENCODED[-2::-1], 0)
        rows = zip(coarser, skips, DECODED, strict=True)
        self.decoder = nn.ModuleList(DecoderBlock(inputs, skip, out, dropout) for inputs, skip, out in rows)
        self.rate = dropout
        self.head = nn.Conv2d(DECODED[-1], outputs, 3, padding=1)
        nn.init.xavier_uniform_(self.head.weight)
        nn.init.zeros_(cast(Tensor, self.head.bias))
        self.pixel = nn.Sequential(nn.Conv2d(channels, 32, 1), nn.ReLU(), nn.Conv2d(32, outputs, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Logits ``(n, outputs, height, width)``."""
        _, *skips, x = self.encoder(features)
        for block, skip in zip(self.decoder, [*reversed(skips), None], strict=True):
            x = block(x, skip)
        return cast(Tensor, self.head(x) + self.pixel(features))
