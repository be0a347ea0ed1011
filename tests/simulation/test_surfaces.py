"""Surfaces without air: same seed same arrays, and the same places as in the embedded data set."""

from __future__ import annotations

import numpy as np
import pytest

from ml4ops_helpers.scenes.sentinel2 import BANDS, WATER
from ml4ops_helpers.simulation.events import draw_event
from ml4ops_helpers.simulation.simulate import simulate_scene
from ml4ops_helpers.simulation.surfaces import LOOKS, Surfaces, draw_surfaces, event_surface

SIZE = 64


@pytest.fixture(scope="module")
def surfaces() -> Surfaces:
    return draw_surfaces(3, BANDS, size=SIZE, seed=4, workers=1)


def test_same_seed_same_surfaces_whatever_the_workers(surfaces: Surfaces) -> None:
    again = draw_surfaces(3, BANDS, size=SIZE, seed=4, workers=2)
    assert np.array_equal(again.reflectance, surfaces.reflectance)
    assert np.array_equal(again.water, surfaces.water)


def test_a_place_depends_on_its_number_and_the_seed_alone(surfaces: Surfaces) -> None:
    fewer = draw_surfaces(1, BANDS, size=SIZE, seed=4, workers=1)
    assert np.array_equal(fewer.reflectance, surfaces.reflectance[:LOOKS])
    other = draw_surfaces(1, BANDS, size=SIZE, seed=5, workers=1)
    assert not np.array_equal(other.reflectance, fewer.reflectance)
    assert not np.array_equal(fewer.reflectance[0], fewer.reflectance[1])


def test_bands_are_those_asked_for_in_their_order(surfaces: Surfaces) -> None:
    some = draw_surfaces(1, ["B11", "B3"], size=SIZE, seed=4, workers=1)
    assert some.bands == ("B11", "B3")
    assert np.array_equal(some.reflectance, surfaces.reflectance[:LOOKS, [BANDS.index("B11"), BANDS.index("B3")]])
    assert np.array_equal(some.water, surfaces.water[:LOOKS])


def test_values_are_physical(surfaces: Surfaces) -> None:
    assert surfaces.water.shape == (3 * LOOKS, SIZE, SIZE)
    assert surfaces.water.min() >= 0
    assert surfaces.water.max() <= 1
    assert 0 < (surfaces.water > 0.5).mean() < 1
    assert surfaces.reflectance.min() >= 0
    assert surfaces.reflectance.max() < 2


@pytest.mark.parametrize("place", [0, 1])
def test_an_event_floods_what_its_scene_of_the_embedded_data_set_shows(place: int) -> None:
    event = draw_event("test", 0, 2, seed=0)
    under = simulate_scene(event, place, SIZE, seed=0).truth[0]
    _, water = event_surface(event, place, ["B3"], size=SIZE, seed=0)
    known = under > 0
    assert known.mean() > 0.5
    assert np.array_equal((water > 0.5)[known], under[known] == WATER)


def test_snow_is_laid_on_the_land_alone() -> None:
    event = draw_event("test", 0, 2, seed=0)
    made = [event_surface(event, 0, ["B3", "B11"], size=SIZE, seed=0, snow=share) for share in (0.0, 0.2, 0.4)]
    snowy = [((b3 - b11) / (b3 + b11) > 0.4) & (water < 0.01) & (b3 > 0.3) for (b3, b11), water in made]
    assert snowy[0].mean() < 0.01 < snowy[1].mean() < snowy[2].mean()
    assert (made[0][1] > 0.5).any()
