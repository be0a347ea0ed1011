"""Windows give what the whole scene gives; engines agree; what cannot be cut into windows is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
from hypothesis import example, given, settings, strategies as st
from torch import nn

from ml4ops_helpers.inference import engines
from ml4ops_helpers.inference.receptive_fields import evaluating, receptive_field
from ml4ops_helpers.inference.tiling import core_shape, core_windows, predict_scene, read_mirrored
from ml4ops_helpers.models.common import ModelError
from ml4ops_helpers.models.networks import Network, build_model, to_probabilities

needs_openvino = pytest.mark.skipif("openvino" not in engines.installed_engines(), reason="openvino is not installed")
HALOS = {"linear": 0, "cnn": 32, "unet": 256}


def lively(name: str, **options: str) -> Network:
    """A network with random weights whose batch norm has seen something, so that its answers differ."""
    model = build_model(name, "bgri", **options)  # type: ignore[arg-type]
    with torch.no_grad():
        model(torch.from_numpy(image(64, 64))[None].repeat(2, 1, 1, 1))
    return model.eval()


def image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.01, 0.6, (4, height, width)).astype(np.float32)


MODELS = {name: lively(name) for name in HALOS} | {"two heads": lively("unet", heads="cloud_water")}


def whole(model: Network, scene: np.ndarray) -> np.ndarray:
    """The plain network on the whole scene, mirrored so far that its edge cannot be felt."""
    halo = HALOS[model.config["name"]]
    sides = [(halo, halo + -n % 32) for n in scene.shape[1:]]
    mirrored = np.pad(scene, ((0, 0), *sides), mode="symmetric")
    with evaluating(model):
        found = to_probabilities(model(torch.from_numpy(mirrored)[None]))[0].numpy()
    return found[:, halo : halo + scene.shape[1], halo : halo + scene.shape[2]]


def check_tiled(name: str, height: int, width: int, tile: int) -> None:
    model, scene = MODELS[name], image(height, width, seed=height * width)
    tiled, expected = predict_scene(model, scene, tile=tile), whole(model, scene)
    assert np.abs(tiled - expected).max() <= 1e-5
    assert np.array_equal(tiled.argmax(axis=0), expected.argmax(axis=0))


sides, tiles = st.integers(1, 130), st.integers(32, 140)


@pytest.mark.parametrize("name", ["linear", "cnn"])
@settings(max_examples=25, deadline=None, derandomize=True)
@given(height=sides, width=sides, tile=tiles)
def test_tiled_equals_untiled(name: str, height: int, width: int, tile: int) -> None:
    check_tiled(name, height, width, tile)


@pytest.mark.parametrize("name", ["unet", "two heads"])
@settings(max_examples=4, deadline=None, derandomize=True)
@given(height=sides, width=sides, tile=st.integers(64, 140))
@example(height=1, width=97, tile=64)
def test_tiled_equals_untiled_unet(name: str, height: int, width: int, tile: int) -> None:
    check_tiled(name, height, width, tile)


def test_blocks_of_the_decoder_join_without_seams() -> None:
    model, scene = MODELS["unet"], image(32, 544)  # wider than a block
    assert np.abs(predict_scene(model, scene) - whole(model, scene)).max() <= 1e-5


def test_too_narrow_a_halo_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ml4ops_helpers.inference.tiling.receptive_field", lambda model: 64)
    with pytest.raises(AssertionError):
        check_tiled("unet", 120, 120, 64)


@pytest.mark.parametrize("name", HALOS)
def test_halo_is_measured(name: str) -> None:
    assert receptive_field(MODELS[name]) == HALOS[name]


class _Wrapped(Network):
    def __init__(self, body: nn.Module) -> None:
        linear = build_model("linear", "bgri")
        super().__init__(linear.features, body, linear.config)


class _Pooling(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :3] + x[:, :3].mean(dim=(2, 3), keepdim=True)


class _AlignedCorners(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        small = nn.functional.avg_pool2d(x[:, :3], 4)
        return nn.functional.interpolate(small, scale_factor=4, mode="bilinear", align_corners=True)


class _Faint(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / 100


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (_Pooling(), "farther than 1024"),
        (_AlignedCorners(), "aligned corners"),
        (nn.Sequential(_AlignedCorners(), _Faint()), "aligned corners"),  # as of a network not trained yet
    ],
)
def test_models_that_no_halo_can_help_are_refused(body: nn.Module, why: str) -> None:
    with pytest.raises(ModelError, match=why):
        predict_scene(_Wrapped(body), image(40, 40))


def test_other_unets_are_cut_exactly_too() -> None:
    channels = build_model("linear", "bgri").features.channels
    bilinear = smp.Unet("timm-mobilenetv3_small_minimal_100", encoder_weights=None, in_channels=channels, classes=3,
                        decoder_interpolation="bilinear", decoder_channels=(32, 16, 8, 8, 8))  # fmt: skip
    model, scene = _Wrapped(bilinear.eval()), image(50, 32)
    found = predict_scene(model, scene, tile=32)
    assert np.abs(found - predict_scene(model, scene)).max() <= 1e-5


def test_pixels_without_data_stay_without_and_empty_windows_are_not_computed() -> None:
    scene = image(100, 64)
    scene[:, :70] = np.nan
    scene[0, 80, 5] = np.nan  # one band is enough
    found = predict_scene(MODELS["linear"], scene, tile=32)
    assert np.array_equal(np.isnan(found[0]), np.isnan(scene).any(axis=0))


@given(height=st.integers(1, 400), width=st.integers(1, 400), tile=st.integers(32, 300))
def test_windows_cover_every_pixel_once(height: int, width: int, tile: int) -> None:
    core = core_shape((height, width), tile)
    seen = np.zeros((height, width), int)
    for window in core_windows((height, width), core):
        seen[window.toslices()] += 1
        assert window.height <= core[0] <= max(tile, 32)
        assert window.width <= core[1] <= max(tile, 32)
    assert (seen == 1).all()
    assert core[0] % 32 == core[1] % 32 == 0


@given(length=st.integers(1, 60), halo=st.sampled_from([0, 32, 96]))
def test_mirroring_is_numpys(length: int, halo: int) -> None:
    scene = np.arange(length, dtype=np.float32)[None, None]
    (window,) = core_windows((1, length), (32, 64))
    found = read_mirrored(lambda w: scene[:, *w.toslices()], window, (1, length), (32, 64), halo)
    expected = np.pad(scene, ((0, 0), (halo, halo + 31), (halo, halo + 64 - length)), mode="symmetric")
    assert np.array_equal(found, expected)


def test_too_small_a_tile_is_refused() -> None:
    with pytest.raises(ValueError, match="tile"):
        predict_scene(MODELS["linear"], image(40, 40), tile=31)


class TestEngines:
    @pytest.mark.parametrize("name", list(engines.NEEDS))
    def test_agree_with_torch(self, name: str) -> None:
        if name not in engines.installed_engines():
            pytest.skip(f"engine {name} is not installed here")
        model, window = MODELS["cnn"], image(96 + 64, 64 + 64)
        trial = engines.try_engines(model, window, 32, [name], repeats=1)
        assert trial.loc[name, "difference"] <= (0.1 if name == "openvino-bf16" else 1e-5)
        assert trial.loc[name, "seconds"] > 0

    def test_sixteen_bits_in_the_decoder_only(self) -> None:
        trial = engines.try_engines(MODELS["unet"], image(544, 544), 256, ["torch-bf16"], repeats=1)
        assert 0 < trial.loc["torch-bf16", "difference"] < 0.05  # on noise; on images it is less

    @needs_openvino
    def test_unet_is_exported(self) -> None:
        trial = engines.try_engines(MODELS["unet"], image(544, 544), 256, ["openvino"], repeats=1)
        assert trial.loc["openvino", "difference"] <= 1e-5

    @needs_openvino
    def test_openvino_sends_nothing_from_the_users_machine(self, tmp_path: Path) -> None:
        program = """
from multiprocessing.process import BaseProcess
import numpy as np
from ml4ops_helpers.inference import engines
from ml4ops_helpers.models.networks import build_model
BaseProcess.start = lambda self: print("a process", self)
print(len(engines.try_engines(build_model("linear"), np.zeros((5, 64, 64), np.float32), 0, ["openvino"], repeats=1)))
"""
        given = {k: v for k, v in os.environ.items() if k != "CI"} | {"HOME": str(tmp_path)}
        done = subprocess.run([sys.executable, "-c", program], env=given, capture_output=True, text=True, check=True)
        assert done.stdout.strip().isdecimal()
        assert not (tmp_path / "intel").exists()

    def test_only_what_is_installed_is_offered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engines, "find_spec", lambda package: None)
        monkeypatch.setattr(engines, "native_precision", lambda: "float32")
        assert engines.installed_engines() == ["torch"]
        with pytest.raises(ModelError, match=r"onnxscript, openvino.*pip install"):
            engines.check_engine("openvino")

    def test_unknown_engine_is_named(self) -> None:
        with pytest.raises(ModelError, match=r"tensorrt.*torch"):
            engines.check_engine("tensorrt")
