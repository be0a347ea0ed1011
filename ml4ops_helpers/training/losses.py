"""Losses that ignore what is not labelled, and weights for rare classes.

Explained in ``03_train_a_model``; the loss of two heads in ``07_see_through_clouds``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from ml4ops_helpers.scenes.sentinel2 import CLOUD, INVALID, WATER

if TYPE_CHECKING:
    from ml4ops_helpers.datasets.simulated import MixedWindows
    from ml4ops_helpers.datasets.windows import Windows


def class_weights(windows: Windows | MixedWindows, weight_exponent: float = 1.0) -> Tensor:
    """Weights of the classes in the loss, with mean 1.

    Args:
        windows: the training windows, all of which are counted.
        weight_exponent: weight is frequency to minus this power; 1 is inverse frequency, 0 no weighting.

    Returns:
        float32, 0 for a class that never occurs: ``(3,)`` for labels of version 1 (land, water, cloud), ``(2, 2)`` for
        version 2 (clear and cloud; land and water).
    """
    channels, codes = (1, CLOUD + 1) if windows.version == 1 else (2, WATER + 1)
    counts = torch.zeros(channels, codes)
    for i in range(len(windows)):
        _, target = windows[i]
        for count, channel in zip(counts, target.reshape(channels, -1), strict=True):
            count += torch.bincount(channel, minlength=codes)
    share = counts[:, 1:] / counts[:, 1:].sum(dim=1, keepdim=True)
    weights = torch.where(share > 0, share.clamp(min=1e-9) ** -weight_exponent, 0.0)
    weights /= weights.mean(dim=1, keepdim=True)
    return weights if windows.version == 2 else weights[0]


def segmentation_loss(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Half weighted cross-entropy, half Dice; invalid pixels are ignored, and a batch without valid ones costs 0.

    Source: Mateo-Garcia et al. 2021, DOI 10.1038/s41598-021-86650-z.

    Args:
        logits: ``(n, classes, height, width)``.
        target: int64 codes ``(n, height, width)``, 1 for the first class; 0 is ignored.
        weights: of the classes, ``(classes,)``.

    >>> logits = torch.tensor([20.0, -20.0, -20.0]).reshape(1, 3, 1, 1)
    >>> round(float(segmentation_loss(logits, torch.tensor([[[1]]]), torch.ones(3))), 3)
    0.0
    """
    valid = target != INVALID
    codes = (target - 1).clamp(min=0)
    pixel = F.cross_entropy(logits, codes, weights, reduction="none")
    cross_entropy = (pixel * valid).sum() / valid.sum().clamp(min=1)
    truth = F.one_hot(codes, logits.shape[1]).movedim(-1, 1) * valid[:, None]
    guess = logits.softmax(dim=1) * valid[:, None]
    overlap, size = (guess * truth).sum((0, 2, 3)), (guess + truth).sum((0, 2, 3))
    # One pixel of smoothing: a class absent from truth and guess costs nothing.
    dice = 1 - ((2 * overlap + 1) / (size + 1)).mean()
    return 0.5 * cross_entropy + 0.5 * dice


def cloud_water_loss(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Mean loss of two independent heads, each half weighted binary cross-entropy and half Dice.

    Each head learns only where its label is known: cloud wherever there are data, water also under thin cloud.
    Source: Portalés-Julià et al. 2023, DOI 10.1038/s41598-023-47595-7.

    Args:
        logits: of cloud and of water, ``(n, 2, height, width)``.
        target: int64 version-2 label ``(n, 2, height, width)``; that head ignores 0.
        weights: of clear and cloud, and of land and water, ``(2, 2)``.

    >>> thin_cloud_over_water = torch.tensor([2, 2]).reshape(1, 2, 1, 1)
    >>> logits = torch.tensor([20.0, 20.0]).reshape(1, 2, 1, 1)
    >>> round(float(cloud_water_loss(logits, thin_cloud_over_water, torch.ones(2, 2))), 3)
    0.0
    """
    no = torch.zeros_like(logits[:, 0])
    # The softmax of (0, x) is the sigmoid of x: a question is a choice between two classes.
    answers = [torch.stack([no, yes], dim=1) for yes in logits.unbind(dim=1)]
    heads = zip(answers, target.unbind(dim=1), weights, strict=True)
    return torch.stack([segmentation_loss(*head) for head in heads]).mean()


LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "classes": segmentation_loss,
    "cloud_water": cloud_water_loss,
}
"""Loss of each kind of heads, ``models.HEADS``."""
