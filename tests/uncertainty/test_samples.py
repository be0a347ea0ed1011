"""Samples of a prediction and what their spread says: by hand, and against the plain network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings, strategies as st
from torch import nn

from ml4ops_helpers.inference import decoder
from ml4ops_helpers.inference.receptive_fields import evaluating, receptive_field
from ml4ops_helpers.inference.tiling import predict_scene
from ml4ops_helpers.models.common import ModelError
from ml4ops_helpers.models.networks import Network, build_model, to_probabilities
from ml4ops_helpers.models.saved import load_model, save_model
from ml4ops_helpers.uncertainty import dropout as dp, samples as un

LN_3 = np.log(3)


def dropping(rate: float = 0.3, heads: str = "classes") -> Network:
    """A U-Net whose batch norm has seen something, in evaluation mode."""
    model = build_model("unet", "bgri", heads=heads, dropout=rate)  # type: ignore[arg-type]
    with torch.no_grad():
        model(torch.from_numpy(image(64))[None].repeat(2, 1, 1, 1))
    return model.eval()


def image(size: int = 96, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 0.5, (4, size, size)).astype(np.float32)


def random_samples(number: int, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    raw = np.random.default_rng(seed).dirichlet(np.full(shape[0], 0.3), (number, *shape[1:]))
    return np.moveaxis(raw, -1, 1).astype(np.float32)


@pytest.fixture(scope="module")
def model() -> Network:
    return dropping()


class TestEntropy:
    def test_of_two_classes_by_hand(self) -> None:
        """−p ln p alone would peak at 1/e and differ between 0.1 and 0.9."""
        found = un.entropy([[0.1, 0.5, 0.9, 0.0, 1.0]])[0]
        assert found == pytest.approx([0.3251, 0.6931, 0.3251, 0, 0], abs=1e-4)

    def test_three_classes(self) -> None:
        p = np.array([[[1 / 3, 1, 0.5, np.nan]], [[1 / 3, 0, 0.25, np.nan]], [[1 / 3, 0, 0.25, np.nan]]])
        assert un.entropy(p)[0] == pytest.approx([LN_3, 0, 1.5 * np.log(2), np.nan], abs=1e-6, nan_ok=True)


class TestMoments:
    @settings(max_examples=25, deadline=None)
    @example(1, 3, 0)
    @given(st.integers(1, 8), st.integers(2, 4), st.integers(0, 99))
    def test_equal_the_formulas_and_keep_their_bounds(self, number: int, classes: int, seed: int) -> None:
        p = random_samples(number, (classes, 5, 7), seed).astype(np.float64)
        found = un.summarise_samples(p)
        mean = p.mean(axis=0)
        surprise = -p * np.log(np.maximum(p, 1e-300))
        total = (-mean * np.log(np.maximum(mean, 1e-300))).sum(axis=0)
        assert found.samples == number
        assert np.allclose(found.mean, mean, atol=1e-6)
        assert np.allclose(found.variance, p.var(axis=0), atol=1e-6)
        assert np.allclose(found.predictive_entropy, total, atol=1e-5)
        assert np.allclose(found.expected_entropy, surprise.sum(axis=1).mean(axis=0), atol=1e-5)
        mutual = found.mutual_information
        assert number > 1 or mutual.max() == found.variance.max() == 0
        assert (mutual >= 0).all()
        assert (mutual <= found.predictive_entropy + 1e-6).all()
        assert (found.predictive_entropy <= np.log(classes) + 1e-6).all()

    def test_two_samples_that_contradict_each_other(self) -> None:
        found = un.summarise_samples([[[1.0, 0.5]], [[0.0, 0.5]]])
        assert found.predictive_entropy[0] == pytest.approx([np.log(2)] * 2, abs=1e-6)
        assert found.mutual_information[0] == pytest.approx([np.log(2), 0], abs=1e-6)
        assert found.variance[0].tolist() == [0.25, 0]

    def test_a_result_stays_as_it_was_when_samples_follow(self) -> None:
        moments = un.Moments()
        moments.add([[0.2]])
        found = moments.result()
        moments.add([[0.8]])
        assert found.mean.item() == pytest.approx(0.2)
        assert found.expected_entropy.item() == pytest.approx(un.entropy([[0.2]]).item())
        assert moments.result().mean.item() == pytest.approx(0.5)

    def test_variance_of_close_values_keeps_its_digits(self) -> None:
        p = 0.9 + 1e-4 * np.random.default_rng(0).normal(size=(500, 1, 50))
        found = un.summarise_samples(p.astype(np.float32)).variance
        assert np.allclose(found, p.var(axis=0), rtol=0.01)

    def test_what_cannot_be_summed_up_is_refused(self) -> None:
        with pytest.raises(ValueError, match="sample"):
            un.summarise_samples([])
        with pytest.raises(ValueError, match="shape"):
            un.summarise_samples([np.zeros((1, 1)), np.zeros((1, 2))])


def plainly(model: Network, scene: np.ndarray, masks: dp.Masks) -> np.ndarray:
    """The network itself, each dropout layer multiplying by its mask."""
    hooks = [
        block.dropout.register_forward_hook(lambda m, i, out, mask=mask: out * mask[:, None, None])
        for block, mask in zip(model.body.decoder, masks, strict=True)  # type: ignore[union-attr]
    ]
    halo = receptive_field(model)
    whole = torch.from_numpy(np.pad(scene, ((0, 0), (halo, halo), (halo, halo)), "symmetric"))[None]
    try:
        with evaluating(model):
            return to_probabilities(model(whole))[0, :, halo:-halo, halo:-halo].numpy()
    finally:
        for hook in hooks:
            hook.remove()


class TestDropout:
    @pytest.mark.parametrize("heads", ["classes", "cloud_water"])
    def test_a_sample_is_the_network_with_its_mask(self, heads: str) -> None:
        model, scene = dropping(heads=heads), image()
        found = list(un.dropout_samples(model, scene, 2, seed=3))
        for sample, masks in zip(found, dp.draw_masks(model, 2, seed=3), strict=True):
            assert np.abs(sample - plainly(model, scene, masks)).max() < 5e-5
        assert np.abs(found[0] - found[1]).max() > 1e-3

    def test_a_scene_wider_than_a_block(self, model: Network, monkeypatch: pytest.MonkeyPatch) -> None:
        scene = image(160)
        whole = next(un.dropout_samples(model, scene, 1))
        monkeypatch.setattr(decoder, "BLOCK", 64)
        assert np.abs(whole - next(un.dropout_samples(model, scene, 1))).max() < 5e-5

    def test_windows_have_the_same_networks(self, model: Network, monkeypatch: pytest.MonkeyPatch) -> None:
        """A new mask for each window would make seams."""
        scene = image(128)
        whole = un.mc_dropout(model, scene, 3)
        monkeypatch.setattr(un, "default_tile", lambda halo: 64)
        tiled = un.mc_dropout(model, scene, 3)
        assert np.abs(whole.mean - tiled.mean).max() < 5e-5
        assert np.abs(whole.variance - tiled.variance).max() < 5e-5

    def test_the_seed_decides(self, model: Network) -> None:
        first, again, other = (next(un.dropout_samples(model, image(32), 1, seed=s)) for s in (0, 0, 1))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)

    def test_a_short_run_is_the_start_of_a_long_one(self, model: Network) -> None:
        short, long = (list(dp.draw_masks(model, n)) for n in (2, 5))
        for a, b in zip(short, long, strict=False):
            assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
        assert not torch.equal(long[0][0], long[1][0])

    def test_masks_keep_the_expected_sum(self, model: Network) -> None:
        masks = torch.stack([torch.cat(list(sample)) for sample in dp.draw_masks(model, 200)])
        assert masks.unique().tolist() == pytest.approx([0, 1 / 0.7])
        assert float(masks.mean()) == pytest.approx(1, abs=0.01)

    def test_batch_norm_and_mode_are_left_as_they_were(self) -> None:
        """``model.train()`` would switch batch norm too, and change its statistics with every sample."""
        model = dropping().train()
        before = {k: v.clone() for k, v in model.state_dict().items()}
        un.mc_dropout(model, image(32), 2)
        assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
        assert model.training
        assert any(isinstance(m, nn.BatchNorm2d) and m.training for m in model.modules())

    def test_encoder_runs_once(self, model: Network) -> None:
        calls = []
        hook = model.body.encoder.register_forward_hook(lambda *a: calls.append(1))  # type: ignore[union-attr]
        list(un.dropout_samples(model, image(32), 1))  # measures the receptive field, if nobody has
        calls.clear()
        list(un.dropout_samples(model, image(32), 4))
        hook.remove()
        assert len(calls) == 1

    def test_no_data_and_bounds(self, model: Network) -> None:
        scene = image(64)
        scene[:, :5] = np.nan
        found = un.mc_dropout(model, scene, 4)
        for values in (found.mean, found.variance, found.mutual_information):
            assert np.isnan(values[..., :5, :]).all()
            assert np.isfinite(values[..., 5:, :]).all()
        assert np.allclose(found.mean[:, 5:].sum(axis=0), 1, atol=1e-5)
        assert (found.predictive_entropy[5:] <= LN_3 + 1e-6).all()

    def test_bad_input_is_refused(self, model: Network) -> None:
        with pytest.raises(ValueError, match="samples"):
            list(un.dropout_samples(model, image(32), 0))
        with pytest.raises(ValueError, match="digital numbers"):
            un.mc_dropout(model, 10_000 * image(32))
        with pytest.raises(ModelError, match="dropout"):
            un.mc_dropout(build_model("cnn", "bgri"), image(32))

    def test_another_rate_changes_the_samples_alone(self, model: Network) -> None:
        never = un.mc_dropout(dp.with_dropout(model, 0), image(32), 3)
        assert never.variance.max() == 0
        assert np.abs(never.mean - predict_scene(model, image(32))).max() < 1e-5
        other = dp.with_dropout(model, 0.6)
        assert np.array_equal(predict_scene(other, image(32)), predict_scene(model, image(32)))
        low, high = (float((next(dp.draw_masks(m, 1))[0] == 0).float().mean()) for m in (model, other))
        assert low < 0.45 < high
        assert model.config["dropout"] == 0.3
        with pytest.raises(ModelError, match="rate"):
            dp.with_dropout(model, 1.5)

    def test_dropout_survives_saving(self, tmp_path: object) -> None:
        model = dropping()
        again, _ = load_model(save_model(model, f"{tmp_path}/unet.safetensors"))
        same = [next(un.dropout_samples(m, image(32), 1)) for m in (model, again)]
        assert np.array_equal(*same)


class TestOtherSamples:
    def test_views_of_a_network_that_knows_no_direction_agree(self) -> None:
        model = build_model("linear", "bgri").eval()
        scene = image(40)[:, :32]
        views = list(un.augmented_samples(model, scene))
        assert len(views) == 8
        for view in views:
            assert np.allclose(view, predict_scene(model, scene), atol=1e-6)

    def test_views_differ_for_a_network_with_a_direction(self) -> None:
        views = list(un.augmented_samples(build_model("cnn", "bgri").eval(), image(32)))
        assert len({view.tobytes() for view in views}) == 8

    def test_how_many_views(self) -> None:
        with pytest.raises(ValueError, match="views"):
            list(un.augmented_samples(build_model("linear", "bgri"), image(32), 9))

    def test_ensemble_takes_each_network(self) -> None:
        models = [build_model("cnn", "bgri", seed=s).eval() for s in (0, 1)]
        found = un.summarise_samples(un.ensemble_samples(models, image(32)))
        expected = np.mean([predict_scene(m, image(32)) for m in models], axis=0)
        assert np.allclose(found.mean, expected, atol=1e-6)
