"""Change training windows as nature might: light, haze, another sensor, and clouds whose ground stays known.

Labels know the ground under few clouds, and only under the faintest. Under a cloud that we lay ourselves we know it,
however thick the cloud. Explained in ``03_train_a_model``, clouds in ``07_see_through_clouds``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ml4ops_helpers.scenes.sentinel2 import BANDS, CLOUD, CLOUDY, INVALID, band_positions
from ml4ops_helpers.simulation.landscape import Float, fractal, rank
from ml4ops_helpers.simulation.simulate import CLOUD_THICKNESS
from ml4ops_helpers.simulation.spectra import add_cloud

if TYPE_CHECKING:
    from ml4ops_helpers.training.config import Config

THICKEST = 4.0
"""Greatest optical thickness of simulated thin cloud: under more, hardly any light of the ground is left."""


def augment(image: Tensor, target: Tensor, config: Config, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Change a batch as nature might: turned, mirrored, brighter, hazier, seen from a coarser sensor.

    Args:
        image: reflectance ``(n, bands, size, size)``.
        target: codes of either version, ``(n, size, size)`` or ``(n, 2, size, size)``.
        config: strengths.
        rng: source of randomness.
    """
    turns = int(rng.integers(4))
    image, target = image.rot90(turns, (-2, -1)), target.rot90(turns, (-2, -1))
    if rng.uniform() < 0.5:
        image, target = image.flip(-1), target.flip(-1)
    n, bands = image.shape[:2]
    common, own = rng.normal(0, 1, (n, 1, 1, 1)), rng.normal(0, 1, (n, bands, 1, 1))
    gain = np.exp(config.brightness * (common + own / 2))
    shift = config.shift * (rng.normal(0, 1, (n, 1, 1, 1)) + rng.normal(0, 1, (n, bands, 1, 1)) / 2)
    image = image * torch.from_numpy(gain).to(image) + torch.from_numpy(shift).to(image)
    if rng.uniform() < config.coarse:
        factor = int(rng.choice([2, 4]))
        image, target = F.avg_pool2d(image, factor), _coarser(target, factor)
    return image.contiguous(memory_format=torch.channels_last), target.contiguous()


def _coarser(target: Tensor, factor: int) -> Tensor:
    """The most frequent code in each coarser pixel. Codes are names: the mean of land and cloud would be water."""
    share = F.one_hot(target, CLOUD + 1).movedim(-1, -3).float()  # (…, codes, size, size)
    pooled = F.avg_pool2d(share.flatten(0, -4), factor)
    return pooled.argmax(dim=-3).reshape(*target.shape[:-2], *pooled.shape[-2:])


def draw_thin_cloud(rng: np.random.Generator, size: int) -> Float:
    """Optical thickness of patchy cloud, float32 ``(size, size)``, from 0 to at most ``THICKEST``."""
    share = rng.uniform(0.3, 1)
    patches = np.clip((rank(fractal(rng, size, 1.7)) - (1 - share)) / share, 0, 1)
    return np.asarray(rng.uniform(0.3, THICKEST) * patches, np.float32)


def add_thin_cloud(
    image: Tensor, target: Tensor, bands: Sequence[str], share: float, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Simulate thin cloud over some windows: images and their cloud labels change, the known ground stays known.

    Args:
        image: reflectance ``(n, bands, size, size)``.
        target: int64 version-2 labels ``(n, 2, size, size)``.
        bands: of the image, in order.
        share: of the windows that get cloud, 0 to 1.
        rng: source of randomness.

    Returns:
        Changed copies of both.
    """
    image, target = image.clone(), target.clone()
    positions, size = band_positions(bands), image.shape[-1]
    for n in np.flatnonzero(rng.uniform(size=len(image)) < share):
        thickness = draw_thin_cloud(rng, size)
        high = np.full_like(thickness, rng.uniform())  # from a low cloud of droplets to cirrus
        every = np.zeros((len(BANDS), size, size), np.float32)
        every[positions] = image[n].numpy()
        clouded = torch.from_numpy(add_cloud(every, thickness, high)[positions])
        known = target[n, 0] != INVALID
        image[n] = torch.where(known, clouded, image[n])
        target[n, 0][known & torch.from_numpy(thickness > CLOUD_THICKNESS)] = CLOUDY
    return image, target
