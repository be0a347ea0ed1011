"""Windows of surfaces under drawn air: labels, places and air of each epoch, beside windows of scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from ml4ops_helpers.datasets.catalogues import catalogue
from ml4ops_helpers.datasets.simulated import MixedWindows, SurfaceWindows, labels
from ml4ops_helpers.datasets.windows import Windows
from ml4ops_helpers.simulation.surfaces import Surfaces

BANDS = ("B2", "B3", "B8", "B11")


def windows(number: int = 3, size: int = 32, seed: int = 0) -> SurfaceWindows:
    """Rough ground with a lake on its left half."""
    rng = np.random.default_rng(7)
    water = np.zeros((number, 48, 48), np.float16)
    water[:, :, :24] = 1
    ground = np.where(water[:, None] == 1, 0.03, rng.uniform(0.05, 0.3, (number, 4, 48, 48)))
    return SurfaceWindows(Surfaces(BANDS, ground.astype(np.float16), water), size, seed)


@pytest.mark.parametrize(
    ("water", "cloud", "code"),
    [
        (1.0, 0.00, (1, 2)),  # seen
        (0.6, 0.00, (1, 2)),  # mostly water
        (0.5, 0.00, (1, 1)),  # no more water than land
        (1.0, 0.11, (1, 2)),  # thinner than an optical thickness of 1, which reflects 0.13 / 1.13 = 0.115
        (1.0, 0.12, (2, 2)),  # cloud, through which the water is seen
        (0.0, 0.12, (2, 1)),
        (1.0, 0.36, (2, 0)),  # water is too dim to be learnt
        (0.0, 0.36, (2, 1)),
        (1.0, 0.51, (2, 1)),  # all hidden: land, so that no cloud is water
        (0.0, 0.90, (2, 1)),
    ],
)
def test_labels_by_hand(water: float, cloud: float, code: tuple[int, int]) -> None:
    made = labels(np.full((2, 3), water), np.full((2, 3), cloud))
    assert made.dtype == np.int64
    assert made.shape == (2, 2, 3)
    assert (made == np.reshape(code, (2, 1, 1))).all()


def test_windows_are_new_in_each_epoch_and_depend_on_seed_epoch_and_index_alone() -> None:
    one, other = windows(), windows()
    first = one[1]
    one.set_epoch(5)
    later = one[1]
    assert not torch.equal(first[0], later[0])
    other.set_epoch(5)
    other[0]
    assert all(map(torch.equal, later, other[1]))
    assert not torch.equal(one[1][0], windows(seed=1)[1][0])


def test_places_reach_every_edge() -> None:
    """Of 48 columns with water on the left 24, a window of 32 holds water on 8 to 24 of its columns."""
    found, shares = windows(number=1), set()
    for epoch in range(150):
        found.set_epoch(epoch)
        target = found[0][1]
        if not (target[0] == 2).any():
            shares.add(int((target[1] == 2).any(dim=0).sum()))
    assert (min(shares), max(shares)) == (8, 24)


def test_items_are_as_those_of_scenes() -> None:
    made = windows()
    assert len(made) == 3
    images, targets = next(iter(DataLoader(made, batch_size=3)))
    assert (images.shape, images.dtype) == ((3, 4, 32, 32), torch.float32)
    assert (targets.shape, targets.dtype) == ((3, 2, 32, 32), torch.int64)
    assert set(targets[:, 0].unique().tolist()) <= {1, 2}
    assert set(targets[:, 1].unique().tolist()) <= {0, 1, 2}


def test_mixed_windows_are_those_of_scenes_then_of_surfaces(tiny_dataset: Path) -> None:
    scenes = Windows(catalogue(tiny_dataset), BANDS, 24, "random", version=2)
    surfaces = windows(size=24)
    mixed = MixedWindows([scenes, surfaces])
    assert len(mixed) == len(scenes) + 3
    for epoch in (0, 3):
        mixed.set_epoch(epoch)
        assert (scenes.epoch, surfaces.epoch) == (epoch, epoch)
        for k in (0, len(scenes) - 1):
            assert all(map(torch.equal, mixed[k], scenes[k]))
        for k in range(3):
            assert all(map(torch.equal, mixed[len(scenes) + k], surfaces[k]))
    images, targets = next(iter(DataLoader(mixed, batch_size=len(mixed))))
    assert (len(images), targets.shape[1]) == (len(mixed), 2)
