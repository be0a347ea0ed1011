"""How far a scene lies from the usual: near to what was described, farther the more it differs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from ml4ops_helpers.inference.familiarity import UNLIKE, Usual, describe

RNG = np.random.default_rng(0)
MIX = RNG.normal(0, 1, (4, 4))
KINDS = {"toa": RNG.normal(0, 1, (300, 4)) @ MIX, "surface": RNG.normal(0, 1, (300, 4)) @ MIX + 40}
USUAL = Usual.of({"toa": KINDS["toa"]})
BOTH = Usual.of(KINDS)


def pixels(description: np.ndarray) -> np.ndarray:
    """A sample of pixels that is described by this."""
    return np.tile(np.float32(description), (7, 1))


def test_a_scene_is_described_by_the_low_end_of_each_feature() -> None:
    features = np.stack([np.arange(101), 1000 - 10 * np.arange(101)], axis=1)
    assert describe(features.astype(np.float32)).tolist() == [2, 20]


def test_the_mean_is_nearest_and_what_is_far_is_farther_than_all() -> None:
    mean = KINDS["toa"].mean(axis=0)
    assert USUAL.distance(pixels(mean)) == pytest.approx(0, abs=1e-3)
    assert USUAL.share_nearer(USUAL.distance(pixels(mean))) == 0
    assert USUAL.share_nearer(USUAL.distance(pixels(mean + 50))) == 1


def test_distance_is_in_standard_deviations() -> None:
    """Features of spread 2 and 0.5: one spread off in each is a distance of about 1 by hand, whatever their units."""
    usual = Usual.of({"toa": np.random.default_rng(1).normal(0, [2, 0.5], (5000, 2))})
    assert usual.distance(pixels(np.array([2, 0.5]))) == pytest.approx(1, rel=0.05)
    assert usual.distance(pixels(np.array([4, 0]))) == pytest.approx(2 / np.sqrt(2), rel=0.05)


def test_most_usual_scenes_are_not_called_unlike() -> None:
    others = np.random.default_rng(5).normal(0, 1, (400, 4)) @ MIX
    shares = np.array([USUAL.share_nearer(USUAL.distance(pixels(row))) for row in others])
    assert np.mean(shares >= UNLIKE) < 0.05
    assert np.mean(shares) == pytest.approx(0.5, abs=0.1)


@settings(max_examples=50, deadline=None)
@given(near=st.floats(0, 10), more=st.floats(0, 10))
def test_share_nearer_rises(near: float, more: float) -> None:
    assert 0 <= USUAL.share_nearer(near) <= USUAL.share_nearer(near + more) <= 1


@settings(max_examples=50, deadline=None)
@given(step=st.floats(0, 5), more=st.floats(0.1, 5), direction=st.integers(0, 3))
def test_farther_off_is_farther(step: float, more: float, direction: int) -> None:
    mean, off = KINDS["toa"].mean(axis=0), np.eye(4)[direction]
    assert USUAL.distance(pixels(mean + step * off)) < USUAL.distance(pixels(mean + (step + more) * off))


def test_near_to_either_kind_is_near() -> None:
    toa, surface = (KINDS[name].mean(axis=0) for name in KINDS)
    assert max(BOTH.distance(pixels(mean)) for mean in (toa, surface)) < 0.01
    assert BOTH.share_nearer(BOTH.distance(pixels((toa + surface) / 2))) == 1
    assert USUAL.share_nearer(USUAL.distance(pixels(surface))) == 1
    assert max(BOTH.distances) < 5


def test_it_is_stored_with_a_network() -> None:
    about = json.loads(json.dumps({"usual": {"kinds": BOTH.kinds, "distances": BOTH.distances}}))
    saved = Usual.saved(about)
    assert saved is not None
    for step in (0, 1, 20):
        distance = BOTH.distance(pixels(KINDS["toa"][0] + step))
        assert saved.distance(pixels(KINDS["toa"][0] + step)) == distance
        assert saved.share_nearer(distance) == BOTH.share_nearer(distance)
    assert Usual.saved({"threshold": 0.5}) is None
