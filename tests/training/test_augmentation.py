"""Changed windows: image and label move alike; under a cloud laid over them the ground stays known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from ml4ops_helpers.scenes.sentinel2 import BANDS, CLOUDY, band_positions
from ml4ops_helpers.simulation.simulate import CLOUD_THICKNESS
from ml4ops_helpers.simulation.spectra import add_cloud
from ml4ops_helpers.training.augmentation import THICKEST, add_thin_cloud, augment, draw_thin_cloud
from ml4ops_helpers.training.config import Config

PLAIN = Config(coarse=0.0)
SIX = ("B2", "B3", "B4", "B8", "B11", "B12")


def batch(number: int = 6, size: int = 32) -> tuple[Tensor, Tensor]:
    """Clear windows of land and water; the first row of each has no data."""
    rng = torch.Generator().manual_seed(0)
    image = 0.02 + 0.2 * torch.rand(number, len(SIX), size, size, generator=rng)
    target = torch.stack([torch.ones(number, size, size), torch.randint(1, 3, (number, size, size), generator=rng)], 1)
    image[:, :, 0], target[:, :, 0] = 0, 0
    return image, target.long()


def test_known_ground_no_data_earlier_clouds_and_input_stay() -> None:
    image, target = batch()
    target[:, 0, 10:20] = CLOUDY
    before = image.clone(), target.clone()
    cloudy, label = add_thin_cloud(image, target, SIX, 1.0, np.random.default_rng(0))
    assert torch.equal(label[:, 1], target[:, 1])
    assert (label[:, 0, 10:20] == CLOUDY).all()
    assert (label[:, 0, 20:] == CLOUDY).any()
    assert not cloudy[:, :, 0].any()
    assert not label[:, :, 0].any()
    assert torch.equal(image, before[0])
    assert torch.equal(target, before[1])


def test_share_of_the_windows() -> None:
    image, target = batch(200, 8)
    for share, low, high in ((0.0, 0, 0), (0.5, 70, 130), (1.0, 195, 200)):
        cloudy, again = (add_thin_cloud(image, target, SIX, share, np.random.default_rng(1))[0] for _ in range(2))
        assert low <= int((cloudy != image).flatten(1).any(dim=1).sum()) <= high
        assert torch.equal(cloudy, again)


def test_is_the_simulator_s_cloud_in_the_bands_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    thickness = np.linspace(0, 2, 32, dtype=np.float32)[None].repeat(32, 0)
    monkeypatch.setattr("ml4ops_helpers.training.augmentation.draw_thin_cloud", lambda rng, size: thickness)
    image, target = batch(1)
    rng = np.random.default_rng(4)
    cloudy, label = add_thin_cloud(image, target, SIX, 1.0, rng)
    rng = np.random.default_rng(4)
    rng.uniform(size=1)
    high = np.full((32, 32), rng.uniform(), np.float32)
    every = np.full((13, 32, 32), 0.5, np.float32)
    every[band_positions(SIX)] = image[0].numpy()
    expected = add_cloud(every, thickness, high)[[BANDS.index(b) for b in SIX]]
    assert np.allclose(cloudy[0, :, 1:].numpy(), expected[:, 1:])
    assert np.array_equal(label[0, 0, 1:].numpy() == CLOUDY, thickness[1:] > CLOUD_THICKNESS)


def test_thin_cloud_is_patchy_and_thin() -> None:
    rng = np.random.default_rng(5)
    clouds = np.stack([draw_thin_cloud(rng, 64) for _ in range(50)])
    assert clouds.min() == 0
    assert 0.9 * THICKEST < clouds.max() <= THICKEST
    assert 0.1 < (clouds > CLOUD_THICKNESS).mean() < 0.6


class TestAugment:
    @pytest.mark.parametrize(("coarse", "sizes"), [(0.0, {16}), (1.0, {4, 8})])
    def test_image_and_label_move_and_shrink_alike(self, coarse: float, sizes: set[int]) -> None:
        codes = torch.randint(0, 3, (2, 2, 4, 4), generator=torch.Generator().manual_seed(1))
        label = codes.repeat_interleave(4, 2).repeat_interleave(4, 3)
        still = replace(PLAIN, brightness=0.0, shift=0.0, coarse=coarse)
        for version, seed in ((v, s) for v in (1, 2) for s in range(12)):
            y = label if version == 2 else label[:, 0]
            x = label.float()
            x, y = augment(x, y, still, np.random.default_rng(seed))
            assert torch.equal(x if version == 2 else x[:, 0], y.float())
            assert y.shape[-1] in sizes

    def test_coarse_labels_are_voted_not_averaged(self) -> None:
        """Land and cloud, codes 1 and 3, have the mean of water."""
        label = torch.tensor([1, 1, 3, 1]).reshape(1, 2, 2).repeat(1, 8, 8)
        still = replace(PLAIN, coarse=1.0)
        _, y = augment(torch.ones(1, 3, 16, 16), label, still, np.random.default_rng(0))
        assert set(y.unique().tolist()) == {1}

    def test_same_generator_same_result(self) -> None:
        image, target = torch.rand(2, 3, 16, 16), torch.ones(2, 16, 16).long()
        one, two = (augment(image, target, Config(), np.random.default_rng(5)) for _ in range(2))
        assert torch.equal(one[0], two[0])
        assert torch.equal(one[1], two[1])
