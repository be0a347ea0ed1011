"""Adapting to a scene: the discriminant is scikit-learn's, and windows change nothing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis

from ml4ops_helpers.inference import adaptation
from ml4ops_helpers.inference.adaptation import (
    FEWEST,
    MOST,
    RIDGE,
    Sample,
    adapt,
    average,
    draw_pixels,
    fit_discriminant,
    sure,
)
from ml4ops_helpers.models.networks import build_model

MODEL = build_model("index", ["B3", "B8", "B11"])
SIDE = 96


def scene(side: int = SIDE, haze: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Reflectance, and where the water is: the left 40 %. Haze grows from the top to the bottom."""
    rng = np.random.default_rng(seed)
    wet = np.arange(side)[None].repeat(side, 0) < 0.4 * side
    level = np.where(wet[None], np.reshape([0.08, 0.04, 0.02], (3, 1, 1)), np.reshape([0.09, 0.30, 0.22], (3, 1, 1)))
    image = level * np.exp(0.15 * rng.standard_normal(level.shape)) + haze * np.linspace(0, 1, side)[:, None]
    return image.astype(np.float32), wet


def says(image: np.ndarray) -> np.ndarray:
    """A network that is sure of a strong MNDWI: water from 0.4."""
    green, _, infrared = image
    return torch.from_numpy(20 * ((green - infrared) / (green + infrared) - 0.4)).sigmoid().numpy()


def features(image: np.ndarray) -> np.ndarray:
    return MODEL.features(torch.from_numpy(image)[None])[0].flatten(1).numpy().T


def test_the_discriminant_is_that_of_scikit_learn() -> None:
    """But for n − 1 in place of n in the covariance, as scikit-learn itself had it before: 0.0003 here."""
    image, wet = scene()
    land, water = (draw_pixels(MODEL, image, mask) for mask in (~wet, wet))
    theirs = QuadraticDiscriminantAnalysis(priors=[0.5, 0.5], reg_param=RIDGE)
    x = np.concatenate([land.features, water.features]).astype(np.float64)
    theirs.fit(x, np.repeat([0, 1], [len(land.order), len(water.order)]))
    between = 0.6 * image + 0.4 * image[:, :, ::-1]  # also pixels of which neither is sure
    fitted = fit_discriminant(land, water)
    assert fitted is not None
    for pixels in (image, between):
        ours, expected = fitted.probability(MODEL, pixels), theirs.predict_proba(features(pixels))[:, 1]
        assert ours.shape == pixels.shape[1:]
        assert np.abs(ours.ravel() - expected).max() < 5e-4
    assert np.mean((ours > 0.01) & (ours < 0.99)) > 0.01


def test_pixels_are_computed_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    image, wet = scene()
    fitted = fit_discriminant(*(draw_pixels(MODEL, image, mask) for mask in (~wet, wet)))
    assert fitted is not None
    whole = fitted.probability(MODEL, image)
    monkeypatch.setattr(adaptation, "STRIP", 1000)
    monkeypatch.setattr(np, "empty", lambda shape, dtype: np.full(shape, np.nan, dtype))
    assert np.allclose(fitted.probability(MODEL, image), whole, atol=1e-6)


cuts = st.lists(st.integers(1, SIDE - 1), max_size=3, unique=True).map(lambda inner: [0, *sorted(inner), SIDE])


@settings(max_examples=15, deadline=None, derandomize=True)
@given(rows=cuts, columns=cuts, turned=st.booleans())
def test_tiles_give_the_sample_of_the_whole(rows: list[int], columns: list[int], turned: bool) -> None:
    image, wet = scene()
    assert (~wet).sum() > MOST
    whole = Sample.join([draw_pixels(MODEL, image, ~wet)])
    assert len(whole.order) == MOST
    parts = []
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            tile = np.s_[top:bottom, left:right]
            parts.append(draw_pixels(MODEL, image[:, *tile], ~wet[tile], (top, left)))
    joined = Sample.join(parts[::-1] if turned else parts)
    assert np.array_equal(joined.order, whole.order)
    assert np.allclose(joined.features, whole.features, atol=1e-6)


def test_a_sample_is_spread_over_the_scene() -> None:
    """A quarter of the pixels of 128 × 128: a quarter of them in each quarter, never two alike."""
    image, _ = scene(128)
    image[0] = np.arange(128 * 128).reshape(128, 128) / 128**2 + 0.01
    sample = draw_pixels(MODEL, image, np.ones((128, 128), bool))
    places = np.rint(((sample.features[:, 0] * 0.2 + 0.35) ** 2 - 0.01) * 128**2).astype(int)
    assert len(set(places)) == len(set(sample.order.tolist())) == MOST
    quarters = np.bincount(places // 128 // 64 * 2 + places % 128 // 64, minlength=4) / MOST
    assert np.abs(quarters - 0.25).max() < 0.03


@pytest.mark.parametrize("fewer", [0, 1])
def test_too_few_sure_pixels_leave_the_network_alone(fewer: int) -> None:
    image, wet = scene()
    water = np.where(np.cumsum(wet).reshape(wet.shape) * wet - 1 < FEWEST - fewer, 0.97, 0.5).astype(np.float32)
    water[~wet] = 0.02
    adapted = adapt(MODEL, image, water, np.ones_like(wet))
    assert np.array_equal(adapted, water) == bool(fewer)


def test_sure_is_of_what_is_seen_and_known() -> None:
    water, seen = np.array([[0.05, 0.95, 0.5, np.nan, 0.95, 0.05]]), np.array([[True] * 4 + [False] * 2])
    land, wet = sure(water, seen)
    assert land.tolist() == [[True, False, False, False, False, False]]
    assert wet.tolist() == [[False, True, False, False, False, False]]


def test_what_is_hidden_is_neither_learnt_from_nor_changed() -> None:
    image, wet = scene()
    hidden = np.zeros_like(wet)
    hidden[:20] = True
    water = says(image)
    adapted = adapt(MODEL, image, water, ~hidden)
    assert np.array_equal(adapted[hidden], water[hidden])
    assert (adapted != water)[~hidden].mean() > 0.5
    clouded = np.where(hidden, np.float32(0.9), image)
    assert np.array_equal(adapt(MODEL, clouded, np.where(hidden, 0.99, water), ~hidden)[~hidden], adapted[~hidden])


def test_no_data_stay_no_data_and_spoil_nothing() -> None:
    image, wet = scene()
    image[:, 30:40, 20:60] = np.nan
    water, missing = says(image), np.isnan(image[0])
    adapted = adapt(MODEL, image, water, np.ones_like(wet))
    assert np.array_equal(np.isnan(adapted), missing)
    cut = average(fit_discriminant(*(draw_pixels(MODEL, image, part) for part in sure(water, ~missing))), MODEL, image,
                  water, ~missing)  # fmt: skip
    assert np.array_equal(adapted, cut, equal_nan=True)


def test_the_average_is_of_both() -> None:
    image, wet = scene()
    water = says(image)
    fitted = fit_discriminant(*(draw_pixels(MODEL, image, part) for part in sure(water, np.ones_like(wet))))
    assert fitted is not None
    expected = (fitted.probability(MODEL, image) + water) / 2
    assert np.allclose(adapt(MODEL, image, water, np.ones_like(wet)), expected, atol=1e-6)


def test_water_under_haze_is_found_by_the_scene_s_own_pixels() -> None:
    """MNDWI of this water falls from 0.6 to 0.06 / 0.16 = 0.375 in haze of 0.03, below the network's 0.4."""
    image, wet = scene(haze=0.03)
    water = says(image)
    before, after = ((p > 0.5) != wet for p in (water, adapt(MODEL, image, water, np.ones_like(wet))))
    assert before.mean() > 0.05
    assert after.mean() < 0.1 * before.mean()
