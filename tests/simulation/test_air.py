"""Air drawn over a surface: what can be worked by hand, and what holds for any air."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

from ml4ops_helpers.scenes.sentinel2 import BANDS
from ml4ops_helpers.simulation.air import Air, draw_air, see_through
from ml4ops_helpers.simulation.spectra import Atmosphere

SIZE = 48
VISIBLE = ("B2", "B3", "B4")
FIVE = (*VISIBLE, "B8", "B11")
WET = np.zeros((SIZE, SIZE), np.float32)
WET[:, : SIZE // 2] = 1
seeds = st.integers(0, 2**32 - 1)


def seen(ground: float | np.ndarray = 0.1, bands: tuple[str, ...] = FIVE, seed: int = 0, **air: Any) -> np.ndarray:
    """Image of a ground of this reflectance, half of it water."""
    surface = np.broadcast_to(np.float32(ground), (len(bands), SIZE, SIZE))
    return see_through(np.random.default_rng(seed), surface, WET, bands, Air(**air))[0]


@pytest.mark.parametrize("zenith", [20, 60])
def test_clear_air_is_that_of_the_embedded_data_set(zenith: float) -> None:
    expected = Atmosphere(zenith, 0.1, 1.3, 2.0).top_of_atmosphere(np.full((13, 1, 1), 0.1))
    image = seen(0.1, BANDS, sun=zenith, aerosol=0.1)
    assert np.allclose(image, expected, atol=1e-5)


@pytest.mark.parametrize("veil", [0.05, 0.18])
def test_a_grey_veil_reflects_and_passes_light_twice(veil: float) -> None:
    """By hand: at 0.1 under a veil of 0.05, 0.05 + 0.1 × 0.95² / (1 − 0.005) = 0.1407; B11 has 0.035 for its 0.05."""
    clear = seen(0.1)
    image = seen(0.1, veil=veil, veil_ice=0.7)
    colour = np.array([1, 1, 1, 1, 0.7])[:, None, None]
    assert np.allclose(image, veil * colour + clear * (1 - veil) ** 2 / (1 - veil * clear), atol=1e-6)


def test_clouds_over_a_ground_brighter_than_white_lie_between_both() -> None:
    image = seen(np.linspace(1.0, 2.0, SIZE), VISIBLE, veil=0.3)
    assert (image > 0.3).all()
    assert (image < seen(np.linspace(1.0, 2.0, SIZE), VISIBLE).max()).all()
    assert (np.diff(image, axis=2) > 0).all()


def test_glint_is_on_the_water_alone() -> None:
    more = seen(glint=0.05) - seen()
    assert np.array_equal(more[:, WET == 0], np.zeros_like(more[:, WET == 0]))
    assert (more[:, WET == 1] > 0).all()
    assert float(more[FIVE.index("B11"), WET == 1].mean()) == pytest.approx(0.05, rel=0.2)


@pytest.mark.parametrize(("gain", "offset"), [(1.1, 0.0), (1.0, -0.02), (0.9, 0.02)])
def test_gain_and_offset_are_exact(gain: float, offset: float) -> None:
    assert np.allclose(seen(gain=gain, offset=offset), seen() * gain + offset, atol=1e-7)


def test_correction_takes_the_path_radiance_away() -> None:
    assert seen(0.0, aerosol=0.3).max() > 0.08
    assert np.array_equal(seen(0.0, aerosol=0.3, corrected=1.0), seen(0.0) * 0)
    off = [abs(seen(0.03, corrected=share)[0].mean() - 0.03) for share in (0, 0.5, 1)]
    assert off[0] > off[1] > off[2]


def test_aerosol_brightens_dark_water_most_at_short_wavelengths() -> None:
    images = [seen(0.01, aerosol=depth).mean(axis=(1, 2)) for depth in (0.05, 0.5, 1.5)]
    assert (images[0] < images[1]).all()
    assert (images[1] < images[2]).all()
    assert (np.diff(images[2] - images[0]) < 0).all()


def test_shade_darkens_its_share_alone() -> None:
    change = seen(shade=0.8, shaded=0.25) - seen()
    darker = change[0] < 0
    assert darker.mean() == pytest.approx(0.25, abs=0.001)
    assert (change[:, darker] < 0).all()
    assert np.array_equal(change[:, ~darker], np.zeros_like(change[:, ~darker]))


def test_adjacency_mixes_land_into_the_water_beside_it() -> None:
    ground = np.where(WET == 1, 0.01, 0.3)
    change = seen(ground, adjacency=0.3) - seen(ground)
    edge = SIZE // 2
    assert (change[0, :, edge - 8 : edge] > 0).all()
    assert (change[0, :, edge : edge + 8] < 0).all()


def test_cumulus_brightens_where_it_says_and_shades_beside() -> None:
    surface = np.full((5, SIZE, SIZE), 0.1, np.float32)
    image, cloud = see_through(np.random.default_rng(1), surface, WET, FIVE, Air(cumulus=0.3))
    change = (image - seen())[0]
    assert cloud.min() >= 0
    assert 0.05 < (cloud > 0.3).mean() < 0.4
    assert (change[cloud > 0.3] > 0.05).all()
    assert (change[cloud == 0] <= 1e-6).all()
    assert (change[cloud == 0] < -0.005).any()


def test_clear_air_holds_no_cloud() -> None:
    cloud = see_through(np.random.default_rng(0), np.full((5, SIZE, SIZE), 0.1), WET, FIVE, Air(glint=0.1))[1]
    assert not cloud.any()


def test_coarse_bands_have_their_own_pixels() -> None:
    surface = np.random.default_rng(0).uniform(0, 0.3, (2, SIZE, SIZE))
    rough = [np.abs(np.diff(see_through(np.random.default_rng(3), surface, WET, ("B3", "B11"), Air(native=n))[0]))
             for n in (False, True)]  # fmt: skip
    assert (rough[1].mean(axis=(1, 2)) < rough[0].mean(axis=(1, 2)) * [1, 0.5]).all()


def test_noise_is_that_of_the_sensor() -> None:
    noise = seen(noise=0.0005) - seen()
    for k, level in enumerate(seen().mean(axis=(1, 2))):
        assert float(noise[k].std()) == pytest.approx(0.0005 * (1 + 20 * level), rel=0.1)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(seed=seeds)
def test_drawn_air_stays_in_its_ranges(seed: int) -> None:
    air = draw_air(np.random.default_rng(seed))
    ranges = {
        "sun": (10, 75), "aerosol": (0.02, 1.5), "angstrom": (-0.1, 2), "scattering": (0.12, 0.5), "vapour": (0.4, 4.5),
        "corrected": (0, 1.05), "adjacency": (0, 0.35), "veil": (0, 0.18), "cumulus": (0, 0.4), "cirrus": (0, 0.9),
        "glint": (0, 0.108), "brightness": (-0.25, 0.25), "shade": (0, 0.98), "shaded": (0.02, 0.4), "gain": (1, 1),
        "offset": (0, 0), "noise": (0.0002, 0.0005),
    }  # fmt: skip
    for name, (low, high) in ranges.items():
        assert low <= getattr(air, name) <= high, name


def test_drawn_air_is_of_every_kind() -> None:
    airs = [draw_air(np.random.default_rng(seed)) for seed in range(200)]
    for name in ("corrected", "veil", "cumulus", "cirrus", "shade", "native"):
        assert 0.1 < np.mean([bool(getattr(air, name)) for air in airs]) < 0.8, name


@settings(max_examples=80, deadline=None, derandomize=True)
@given(seed=seeds, size=st.sampled_from([32, 48]), brightest=st.sampled_from([0.0, 0.4, 1.6]))
@example(seed=362534, size=48, brightest=1.6)  # cumulus over ground brighter than 1
def test_any_air_over_any_surface_gives_an_image(seed: int, size: int, brightest: float) -> None:
    """Snow on a sunny slope reflects up to 1.6 in the simulation, as reflectance is that of level ground."""
    made = []
    for _ in range(2):
        rng = np.random.default_rng(seed)
        surface, water = rng.uniform(0, brightest, (5, size, size)), rng.uniform(0, 1, (size, size))
        made.append(see_through(rng, surface, water, FIVE, draw_air(rng)))
    (image, cloud), again = made
    assert image.dtype == cloud.dtype == np.float32
    assert image.shape == (5, size, size)
    assert np.isfinite(image).all()
    assert image.min() > -0.1
    assert image.max() < 10
    assert cloud.min() >= 0
    assert cloud.max() <= 1
    assert np.array_equal(image, again[0])
    assert np.array_equal(cloud, again[1])


def test_light_between_hazy_air_and_a_bright_ground_stays_finite() -> None:
    image = seen(np.linspace(0.2, 1.7, SIZE), BANDS, aerosol=1.5, angstrom=2.0)
    assert image.min() > 0
    assert (np.diff(image, axis=2) > 0).all()
