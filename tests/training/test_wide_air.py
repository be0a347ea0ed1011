"""A network made ready for scenes from anywhere: equal odds, what is usual, and how both are stored."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ml4ops_helpers.datasets.simulated import SurfaceWindows
from ml4ops_helpers.inference.familiarity import UNLIKE, Usual
from ml4ops_helpers.models.networks import Network, build_model
from ml4ops_helpers.models.saved import load_model, save_model
from ml4ops_helpers.scenes.sentinel2 import INVALID, WATER
from ml4ops_helpers.simulation.surfaces import Surfaces, draw_surfaces
from ml4ops_helpers.training import wide_air
from ml4ops_helpers.training.wide_air import balance, make_ready

BANDS = ("B3", "B8", "B11")


def windows(share: float = 0.2) -> SurfaceWindows:
    """Four surfaces, of which this share is water."""
    rng = np.random.default_rng(0)
    water = np.zeros((4, 64, 64), np.float16)
    water[:, :, : round(64 * share)] = 1
    wet, dry = (np.reshape(values, (3, 1, 1)) for values in ([0.08, 0.04, 0.02], [0.1, 0.25, 0.2]))
    level = np.where(water[:, None] == 1, wet, dry)
    return SurfaceWindows(Surfaces(BANDS, (level * rng.uniform(0.5, 2, level.shape)).astype(np.float16), water), 64)


def network(name: str = "linear") -> Network:
    """Whose water output rises with MNDWI, and is far too high."""
    model = build_model(name, BANDS, heads="cloud_water")
    with torch.no_grad():
        if name == "linear":
            model.body.weight[1] = torch.tensor([0, 0, 0, 0, 4.0])[:, None, None]
            model.body.bias[1] = 3.0
    return model.eval()


def mistaken(model: Network, seen: SurfaceWindows) -> tuple[float, float]:
    """Mean probability of land over water, and of water over land."""
    found: dict[bool, list[torch.Tensor]] = {True: [], False: []}
    with torch.no_grad():
        for image, target in (seen[i] for i in range(len(seen))):
            water, known = model(image[None])[0, 1].sigmoid(), target[1] != INVALID
            for wet in (True, False):
                found[wet].append(water[known & ((target[1] == WATER) == wet)])
    return float(1 - torch.cat(found[True]).mean()), float(torch.cat(found[False]).mean())


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_balanced_odds_err_as_much_on_water_as_on_land(share: float) -> None:
    """Where the log-loss with equal weights is least, its derivative by the shift is 0: both mistakes are as large."""
    model, seen = network(), windows(share)
    on_water, on_land = mistaken(model, seen)
    assert on_land > on_water + 0.2
    assert balance(model, seen) < -1
    on_water, on_land = mistaken(model, seen)
    assert on_water == pytest.approx(on_land, abs=0.05)


@pytest.mark.parametrize("name", ["linear", "cnn", "unet"])
def test_only_the_water_output_moves(name: str) -> None:
    model, image = network(name), torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = model(image)
        shift = balance(model, windows())
        after = model(image)
    assert shift != 0
    assert torch.equal(after[:, 0], before[:, 0])
    assert torch.allclose(after[:, 1], before[:, 1] + shift, atol=1e-5)
    assert not model.training


def test_balancing_twice_moves_nothing_more() -> None:
    model, seen = network(), windows()
    balance(model, seen)
    assert balance(model, seen) == pytest.approx(0, abs=1e-3)


def test_a_ready_network_is_stored_with_what_it_needs(tmp_path, monkeypatch) -> None:
    drawn = []

    def small(places, bands, *, seed):
        drawn.append((places, seed))
        return draw_surfaces(places, bands, size=64, seed=seed, workers=1)

    monkeypatch.setattr(wide_air, "draw_surfaces", small)
    monkeypatch.setattr(wide_air, "HELD_OUT", 4)
    model = network()
    about = make_ready(model, seed=3)
    assert drawn == [(4, 4)]  # not the seed of the surfaces it was trained on
    loaded, stored = load_model(save_model(model, tmp_path / "m.safetensors", about))
    assert torch.equal(loaded.body.bias, model.body.bias)
    assert (stored["threshold"], stored["adapts"]) == (0.5, True)
    usual = Usual.saved(stored)
    assert usual is not None
    assert set(usual.kinds) == {"top of the atmosphere", "surface"}
    assert len(usual.distances) == 2 * 8
    assert usual.distances == sorted(usual.distances)
    again = make_ready(network(), seed=3)
    assert again["usual"]["distances"] == about["usual"]["distances"]


def test_haze_is_unlike_the_usual_and_corrected_products_are_not() -> None:
    surfaces = draw_surfaces(30, BANDS, size=96, seed=1, workers=1)
    usual = wide_air.describe_usual(network(), surfaces, 0)
    for mean, _ in usual.kinds.values():
        assert len(mean) == network().features.channels
    toa, surface = (np.array(usual.kinds[kind][0]) for kind in ("top of the atmosphere", "surface"))
    assert toa[0] > surface[0] + 0.1  # path radiance lifts the green
    far = usual.distance(np.tile(toa + np.array([1.5, 1.5, 1.5, 0, 0]), (9, 1)).astype(np.float32))
    assert usual.share_nearer(far) > UNLIKE
    for mean in (toa, surface):
        assert usual.share_nearer(usual.distance(np.tile(mean, (9, 1)).astype(np.float32))) < 0.1
