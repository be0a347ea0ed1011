"""Windows of simulated surfaces, each time under other air: as many images as training asks for.

Explained in ``03_train_a_model``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import ConcatDataset, Dataset

from ml4ops_helpers.scenes.sentinel2 import CLEAR, CLOUDY, INVALID, LAND, WATER
from ml4ops_helpers.simulation.air import draw_air, see_through
from ml4ops_helpers.simulation.simulate import CLOUD_THICKNESS
from ml4ops_helpers.simulation.spectra import cloud_reflectance

if TYPE_CHECKING:
    from ml4ops_helpers.datasets.windows import Windows
    from ml4ops_helpers.simulation.surfaces import Surfaces

CLOUD_LABEL = float(cloud_reflectance(CLOUD_THICKNESS))
"""Reflectance from which a cloud is labelled."""
DIM, OPAQUE = 0.35, 0.5
"""Reflectances of cloud: from the first, water under it is not learnt; from the second, it is learnt as land."""


class SurfaceWindows(Dataset[tuple[Tensor, Tensor]]):
    """Windows at random places of surfaces, as ``Windows`` of scenes, with version-2 labels.

    What is under a cloud that hides everything can't be known. It is labelled land, so that the head for water alone
    never calls a cloud water.

    Args:
        surfaces: from ``draw_surfaces``.
        size: side of a window, pixels.
        seed: of places and air.
    """

    version = 2

    def __init__(self, surfaces: Surfaces, size: int, seed: int = 0) -> None:
        self.surfaces, self.size, self.seed, self.epoch = surfaces, size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the places and the air of an epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.surfaces.water)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self.seed, self.epoch, index))
        whole = self.surfaces.water.shape[-1]
        row, column = rng.integers(whole - self.size + 1, size=2)
        window = np.s_[..., row : row + self.size, column : column + self.size]
        water = self.surfaces.water[index][window]
        ground = self.surfaces.reflectance[index][window]
        image, cloud = see_through(rng, ground, water, self.surfaces.bands, draw_air(rng))
        return torch.from_numpy(image), torch.from_numpy(labels(water, cloud))


class MixedWindows(ConcatDataset[tuple[Tensor, Tensor]]):
    """Windows of scenes and of surfaces, one after the other."""

    datasets: list[Windows | SurfaceWindows]  # type: ignore[assignment]
    version = 2

    def set_epoch(self, epoch: int) -> None:
        """Choose the places and the air of an epoch."""
        for windows in self.datasets:
            windows.set_epoch(epoch)


def labels(water: NDArray[np.floating], cloud: NDArray[np.floating]) -> NDArray[np.int64]:
    """Version-2 codes, int64 ``(2, …)``, of the share of water and the reflectance of the cloud over it.

    >>> labels(np.array([1, 1, 1, 0]), np.array([0, 0.2, 0.4, 0.9])).tolist()
    [[1, 2, 2, 2], [2, 2, 0, 1]]
    """
    ground = np.where(water > 0.5, np.where(cloud > DIM, INVALID, WATER), LAND)
    ground = np.where(cloud > OPAQUE, LAND, ground)
    return np.stack([np.where(cloud > CLOUD_LABEL, CLOUDY, CLEAR), ground]).astype(np.int64)
