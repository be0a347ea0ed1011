"""Losses that leave out what nobody knows, and weights of classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import GRID, tiny_label, write_tiny_event

from ml4ops_helpers.datasets.catalogues import catalogue
from ml4ops_helpers.datasets.windows import Windows
from ml4ops_helpers.models.common import HEADS
from ml4ops_helpers.scenes.labels import to_v2
from ml4ops_helpers.scenes.rasters import write_raster
from ml4ops_helpers.scenes.sentinel2 import merge_label
from ml4ops_helpers.training.losses import LOSSES, class_weights, cloud_water_loss, segmentation_loss


class TestSegmentationLoss:
    def test_hand_worked(self) -> None:
        # Two pixels, land and water, both guessed 1/3 each: cross-entropy ln 3.
        # Dice per class (land, water): overlap 1/3, size 1 + 2/3; cloud: 0 and 2/3; one pixel of smoothing.
        loss = segmentation_loss(torch.zeros(1, 3, 1, 2), torch.tensor([[[1, 2]]]), torch.ones(3))
        seen, absent = (2 / 3 + 1) / (5 / 3 + 1), 1 / (2 / 3 + 1)
        assert float(loss) == pytest.approx(0.5 * np.log(3) + 0.5 * (1 - (2 * seen + absent) / 3), rel=1e-6)

    def test_weight_of_the_true_class_counts(self) -> None:
        logits, target = torch.zeros(1, 3, 1, 1), torch.tensor([[[2]]])
        one, ten = (segmentation_loss(logits, target, torch.tensor([1.0, w, 1.0])) for w in (1.0, 10.0))
        assert float(ten - one) == pytest.approx(0.5 * 9 * np.log(3), rel=1e-5)

    def test_invalid_pixels_do_not_count(self) -> None:
        target = torch.tensor([[[1, 2, 0, 0]]])
        logits = torch.randn(1, 3, 1, 4, generator=torch.Generator().manual_seed(0))
        other = logits.clone()
        other[..., 2:] += 100
        losses = [segmentation_loss(x, target, torch.ones(3)) for x in (logits, other)]
        expected = segmentation_loss(logits[..., :2], target[..., :2], torch.ones(3))
        assert float(losses[0]) == pytest.approx(float(expected))
        assert float(losses[1]) == pytest.approx(float(expected))

    def test_nothing_valid_is_finite(self) -> None:
        loss = segmentation_loss(torch.zeros(1, 3, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int64), torch.ones(3))
        assert torch.isfinite(loss)


class TestTwoHeads:
    def test_hand_worked(self) -> None:
        # One pixel, cloud over water, both heads undecided: cross-entropy ln 2 each.
        # Dice of yes: (2·½ + 1) / (1½ + 1); of no: 1 / (½ + 1).
        loss = cloud_water_loss(torch.zeros(1, 2, 1, 1), torch.tensor([2, 2]).reshape(1, 2, 1, 1), torch.ones(2, 2))
        dice = 1 - (2 / 2.5 + 1 / 1.5) / 2
        assert float(loss) == pytest.approx(0.5 * np.log(2) + 0.5 * dice, rel=1e-6)

    def test_cross_entropy_is_the_binary_one(self) -> None:
        logits = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(0))
        target = torch.randint(1, 3, (1, 2, 4, 4), generator=torch.Generator().manual_seed(1))
        light, heavy = (cloud_water_loss(logits, target, torch.full((2, 2), w)) for w in (1.0, 3.0))
        binary = torch.nn.functional.binary_cross_entropy_with_logits(logits, (target == 2).float())
        assert float(heavy - light) == pytest.approx(0.5 * 2 * float(binary), rel=1e-5)

    def test_each_head_learns_only_what_is_known(self) -> None:
        """Columns: ground hidden by thick cloud, water under thin cloud, no data."""
        target = torch.tensor([[[[2, 2, 0]], [[0, 2, 0]]]])
        logits = torch.zeros(1, 2, 1, 3, requires_grad=True)
        cloud_water_loss(logits, target, torch.ones(2, 2)).backward()
        assert logits.grad is not None
        learns = (logits.grad[0, :, 0] != 0).tolist()
        assert learns == [[True, True, False], [False, True, False]]

    def test_weights_belong_to_head_and_class(self) -> None:
        water = torch.tensor([1, 2]).reshape(1, 2, 1, 1)  # clear, water
        logits = torch.zeros(1, 2, 1, 1)
        one = cloud_water_loss(logits, water, torch.ones(2, 2))
        for row, column, gain in ((1, 1, 1), (0, 0, 1), (1, 0, 0), (0, 1, 0)):
            weights = torch.ones(2, 2)
            weights[row, column] = 5
            more = cloud_water_loss(logits, water, weights) - one
            assert float(more) == pytest.approx(gain * 0.5 * 0.5 * 4 * np.log(2), abs=1e-6)

    def test_every_kind_of_heads_has_a_loss(self) -> None:
        assert set(LOSSES) == set(HEADS)


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    for number in range(2):
        write_tiny_event(tmp_path, "train", f"A{number}_1", seed=number)
    return catalogue(tmp_path)


class TestLabelsOfVersion2:
    def test_windows_keep_the_ground_under_thin_cloud(self, table: pd.DataFrame) -> None:
        one, two = (Windows(table, size=32, version=v) for v in (1, 2))
        label = tiny_label(seed=0)
        assert np.array_equal(two[0][1].numpy(), label)
        assert np.array_equal(one[0][1].numpy(), merge_label(label))
        assert ((label[0] == 2) & (label[1] > 0)).any()

    def test_merging_loses_the_ground_under_cloud_and_nothing_else(self) -> None:
        """The way to version 1 and back is a one-way street: do it last."""
        label = tiny_label(seed=3)
        label[1][label[0] == 0] = 0
        label[0][(label[0] == 1) & (label[1] == 0)] = 0
        back = to_v2(merge_label(label))
        lost = (label[0] == 2) & (label[1] > 0)
        assert lost.any()
        assert np.array_equal((back != label).any(axis=0), lost)
        assert (back[1][lost] == 0).all()

    def test_a_label_of_version_1_knows_no_ground_under_cloud(self, table: pd.DataFrame) -> None:
        codes = np.array([[0, 1], [2, 3]], np.uint8).repeat(16, 0).repeat(16, 1)
        write_raster(table["label"].iloc[0], codes, **GRID)
        _, target = Windows(table, size=32, version=2)[0]
        assert target[:, ::16, ::16].tolist() == [[[0, 1], [1, 2]], [[0, 1], [2, 0]]]

    def test_weights_are_inverse_frequency_of_each_head(self, table: pd.DataFrame) -> None:
        windows = Windows(table, size=32, version=2)
        targets = torch.stack([windows[i][1] for i in range(len(windows))])
        weights = class_weights(windows)
        for head in range(2):
            counts = torch.bincount(targets[:, head].flatten(), minlength=3)[1:].float()
            assert torch.allclose(weights[head] * counts, (weights[head] * counts)[0].expand(2), rtol=1e-4)
        assert torch.allclose(weights.mean(dim=1), torch.ones(2))
