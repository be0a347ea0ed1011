"""Networks, their files, and the index as a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ml4ops_helpers.inference.receptive_fields import receptive_field
from ml4ops_helpers.inference.tiling import predict_scene
from ml4ops_helpers.models.common import ModelError
from ml4ops_helpers.models.index import IndexModel
from ml4ops_helpers.models.networks import build_model, count_parameters, to_probabilities
from ml4ops_helpers.models.saved import PRETRAINED, load_model, load_pretrained, save_model
from ml4ops_helpers.models.unet import DECODED, UNet
from ml4ops_helpers.scenes.sentinel2 import join_probabilities, water_index

NAMES = ("linear", "cnn", "unet")


def image(bands: int = 5, height: int = 70, width: int = 45, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.01, 0.5, (bands, height, width)).astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_predicts_the_same(name: str, tmp_path: Path) -> None:
    model = build_model(name, "bgriswirs", seed=3)
    path = save_model(model, tmp_path / "m.safetensors", {"threshold": 0.4})
    loaded, about = load_model(path)
    assert about == {"threshold": 0.4}
    assert loaded.bands == model.bands
    assert np.array_equal(predict_scene(model, image(6)), predict_scene(loaded, image(6)))


@pytest.mark.parametrize("name", NAMES)
def test_probabilities_sum_to_one_on_any_size(name: str) -> None:
    model = build_model(name)
    for height, width in ((64, 64), (70, 45), (33, 130)):
        p = predict_scene(model, image(5, height, width))
        assert p.shape == (3, height, width)
        assert np.allclose(p.sum(axis=0), 1, atol=1e-5)


def test_no_data_stays_no_data() -> None:
    x = image()
    x[:, 10:20, :7] = np.nan
    p = predict_scene(build_model("unet"), x)
    assert np.isnan(p[:, 10:20, :7]).all()
    assert np.isfinite(p).sum() == 3 * (70 * 45 - 70)


def test_prediction_leaves_the_model_as_it_was() -> None:
    model = build_model("cnn").train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    predict_scene(model, image())
    assert model.training
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in before.items())


def test_wrong_bands_are_named() -> None:
    with pytest.raises(ValueError, match="5 bands"):
        predict_scene(build_model("linear"), image(4))


def test_digital_numbers_are_rejected() -> None:
    with pytest.raises(ValueError, match="digital numbers"):
        predict_scene(build_model("linear"), image() * 1e4)


def test_same_seed_same_weights_and_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    one, two = (build_model("unet", seed=7).state_dict() for _ in range(2))
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert torch.equal(torch.rand(3), expected)


def test_linear_sees_one_pixel_and_cnn_its_neighbours() -> None:
    x = image(5, 40, 40)
    y = x.copy()
    y[:, 20, 20] += 0.2
    for name, reach in (("linear", 0), ("cnn", 3)):
        model = build_model(name)
        changed = np.abs(predict_scene(model, x) - predict_scene(model, y)).max(axis=0) > 0
        rows, cols = np.nonzero(changed)
        assert max(np.abs(rows - 20).max(), np.abs(cols - 20).max()) == reach


def test_dropout_is_in_the_decoder_only_when_asked() -> None:
    x = torch.from_numpy(image(5, 64, 64))[None]
    wet, dry = build_model("unet", dropout=0.5), build_model("unet")
    for model, varies in ((wet, True), (dry, False)):
        model.eval()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout2d):
                module.train()
        torch.manual_seed(0)
        with torch.no_grad():
            assert bool((model(x) != model(x)).any()) is varies
    with pytest.raises(ModelError, match="dropout"):
        build_model("cnn", dropout=0.1)
    with pytest.raises(ModelError, match="rate"):
        build_model("unet", dropout=1.5)


class TestTwoHeads:
    @pytest.mark.parametrize("name", NAMES)
    def test_two_outputs_become_three_classes(self, name: str, tmp_path: Path) -> None:
        model = build_model(name, "bgriswirs", heads="cloud_water")
        assert model(torch.zeros(1, 6, 64, 64)).shape == (1, 2, 64, 64)
        loaded, _ = load_model(save_model(model, tmp_path / "m.safetensors"))
        x = torch.from_numpy(image(6, 64, 64))[None]
        with torch.no_grad():
            p = to_probabilities(loaded(x))
            assert torch.equal(p, to_probabilities(model.eval()(x)))
        assert loaded.heads == "cloud_water"
        assert p.shape == (1, 3, 64, 64)
        assert torch.allclose(p.sum(dim=1), torch.ones(1), atol=1e-6)

    def test_heads_are_independent_and_joined_as_published(self) -> None:
        logits = torch.randn(2, 6, 7, generator=torch.Generator().manual_seed(0))
        cloud, water = torch.sigmoid(logits).numpy()
        assert np.allclose(to_probabilities(logits).numpy(), join_probabilities(cloud, water), atol=1e-6)

    def test_water_head_is_not_lost_under_a_certain_cloud(self) -> None:
        land, water, cloud = to_probabilities(torch.tensor([25.0, 1.0]).reshape(2, 1, 1)).flatten()
        assert float(cloud) == 1
        assert float(water / (land + water)) == pytest.approx(float(torch.sigmoid(torch.tensor(1.0))), rel=1e-5)

    def test_weights_of_one_kind_do_not_fit_the_other(self, tmp_path: Path) -> None:
        model = build_model("cnn", heads="cloud_water")
        model.config["heads"] = "classes"
        with pytest.raises(ModelError, match=r"m\.safetensors"):
            load_model(save_model(model, tmp_path / "m.safetensors"))

    def test_files_from_before_the_heads_are_three_classes(self, tmp_path: Path) -> None:
        model = build_model("linear")
        del model.config["heads"]
        assert load_model(save_model(model, tmp_path / "old.safetensors"))[0].heads == "classes"

    def test_unknown_heads_are_named(self) -> None:
        with pytest.raises(ModelError, match="'hydra'"):
            build_model("unet", heads="hydra")  # type: ignore[arg-type]


def test_unknown_model_is_named() -> None:
    with pytest.raises(ModelError, match="'vit'"):
        build_model("vit")
    with pytest.raises(ModelError, match="'vit'"):
        load_pretrained("vit")


def test_bad_files_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.safetensors"):
        load_model(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("not weights")
    with pytest.raises(ModelError, match=r"text\.safetensors"):
        load_model(tmp_path / "text.safetensors")
    other = build_model("linear", "bgri")
    other.config["bands"] = ["B2", "B3"]
    with pytest.raises(ModelError, match=r"odd\.safetensors") as raised:
        load_model(save_model(other, tmp_path / "odd.safetensors"))
    assert "\n" not in str(raised.value)


SHIPPED = ("index", "linear", "cnn", "unet", "unet_1", "two_heads", "two_heads_13", "flood")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights_are_whole(name: str) -> None:
    model, about = load_pretrained(name)
    assert 0 < about["threshold"] < 1
    assert ("cloud_threshold" in about) == (model.heads == "cloud_water")
    assert not model.training
    assert (count_parameters(model) > 0) == (name != "index")


def test_all_shipped_weights_are_small() -> None:
    assert {path.stem for path in PRETRAINED.glob("*")} == set(SHIPPED)
    assert sum(path.stat().st_size for path in PRETRAINED.glob("*")) < 8e6


@pytest.mark.parametrize("index", ["ndwi", "mndwi", "awei_nsh", "awei_sh"])
def test_index_score_keeps_the_order(index) -> None:
    bands = ("B2", "B3", "B4", "B8", "B11", "B12")
    model = IndexModel(index)
    value, score = water_index(index, image(6), bands), model.score(image(6), bands)
    assert score.min() >= 0
    assert score.max() <= 1
    assert np.array_equal(value > 0, score > model.to_score(0.0))


def test_half_the_size_and_nearly_the_same(tmp_path: Path):
    model = build_model("cnn", seed=3).eval()
    whole, half = save_model(model, tmp_path / "whole.safetensors"), save_model(model, tmp_path / "half", half=True)
    assert half.stat().st_size < 0.7 * whole.stat().st_size
    loaded, _ = load_model(half)
    assert next(loaded.parameters()).dtype == torch.float32
    assert np.abs(predict_scene(loaded, image()) - predict_scene(model, image())).max() < 2e-3


class TestUNet:
    def test_it_is_the_one_of_a_well_known_library(self) -> None:
        """Same weights, same logits: the plain network is segmentation-models-pytorch's, with timm's encoder."""
        smp = pytest.importorskip("segmentation_models_pytorch")
        plain = build_model("unet", seed=3).eval()
        theirs = smp.Unet(
            "timm-mobilenetv3_small_minimal_100", encoder_weights=None, in_channels=plain.features.channels, classes=3,
            decoder_channels=DECODED,
        ).eval()  # fmt: skip
        ours = UNet(plain.features.channels, 3, 0.0).eval()
        names = [name for name in ours.state_dict() if not name.startswith("pixel.")]
        assert len(names) == len(theirs.state_dict())
        weights = dict(zip(names, theirs.state_dict().values(), strict=True))
        ours.load_state_dict(weights, strict=False)
        for layer in (ours.pixel[0], ours.pixel[2]):
            torch.nn.init.zeros_(layer.weight)
            torch.nn.init.zeros_(layer.bias)
        image = torch.rand(2, plain.features.channels, 96, 64, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            assert torch.equal(ours(image), theirs(image))

    def test_another_encoder_predicts_any_size(self, tmp_path: Path) -> None:
        pytest.importorskip("segmentation_models_pytorch")
        model = build_model("unet", encoder="resnet18")
        loaded, _ = load_model(save_model(model, tmp_path / "resnet18.safetensors"))
        assert predict_scene(loaded, np.full((5, 40, 50), 0.1)).shape == (3, 40, 50)

    def test_unknown_encoders_and_other_networks_are_rejected(self) -> None:
        with pytest.raises(ModelError, match="encoder"):
            build_model("unet", encoder="no_such_encoder")
        with pytest.raises(ModelError, match="dropout"):
            build_model("unet", encoder="resnet18", dropout=0.1)
        with pytest.raises(ModelError, match="encoder"):
            build_model("cnn", encoder="resnet18")


PIXELS = {  # B3, B8, B11: NDWI, MNDWI by hand
    "clear water": ((0.08, 0.04, 0.02), 0.33),  # 0.33, 0.60
    "muddy water": ((0.16, 0.18, 0.10), 0.0412),  # −0.059, 0.23: NDWI alone misses it
    "more mud": ((0.16, 0.20, 0.10), -0.0111),  # −0.111, 0.23
    "asphalt in shade": ((0.03, 0.045, 0.02), -0.1),  # −0.20, 0.20: MNDWI alone calls it water
    "dry land": ((0.08, 0.30, 0.20), -0.4789),  # −0.58, −0.43
    "wet soil": ((0.10, 0.10, 0.12), -0.0909),  # 0, −0.09
}


class TestIndexRule:
    """A rule without weights: MNDWI above 0 and NDWI above −0.1."""

    BANDS = ("B2", "B3", "B4", "B8", "B11")

    def pixels(self, bands: tuple[str, ...]) -> torch.Tensor:
        rows = [dict(zip(("B3", "B8", "B11"), values, strict=True)) for values, _ in PIXELS.values()]
        return torch.tensor([[row.get(band, 0.05) for row in rows] for band in bands])[None, :, None]

    @pytest.mark.parametrize("bands", [BANDS, ("B11", "B8", "B3")])
    def test_pixels_worked_by_hand(self, bands: tuple[str, ...]) -> None:
        model = build_model("index", bands)
        land, water, cloud = model(self.pixels(bands))[0, :, 0]
        assert not land.any()
        margins = torch.tensor([margin for _, margin in PIXELS.values()])
        assert torch.equal(water > 0, torch.tensor([True, True, False, False, False, False]))
        assert torch.allclose(water[1:], 10 * margins[1:], atol=2e-3)
        assert (cloud < -10).all()

    def test_it_maps_scenes_as_networks_do(self, tmp_path: Path) -> None:
        model, _ = load_model(save_model(build_model("index", self.BANDS), tmp_path / "i"))
        assert (receptive_field(model), count_parameters(model)) == (0, 0)
        x = image(5)
        x[:, 3, 4] = np.nan
        land, water, cloud = predict_scene(model, x, tile=32)
        assert np.argwhere(np.isnan(water)).tolist() == [[3, 4]]
        ndwi, mndwi = (water_index(name, x, self.BANDS) for name in ("ndwi", "mndwi"))
        known = ~np.isnan(water)
        assert np.array_equal((water > land)[known], ((mndwi > 0) & (ndwi > -0.1))[known])
        assert np.nanmax(cloud) < 1e-6

    def test_it_is_refused_without_its_bands_and_heads(self) -> None:
        with pytest.raises(ModelError, match="needs bands B3, B8 and B11"):
            build_model("index", "bgri")
        with pytest.raises(ModelError, match="heads classes"):
            build_model("index", self.BANDS, heads="cloud_water")
