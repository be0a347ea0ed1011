"""Adapt a network to one scene, without labels: what the network is sure of there teaches a classifier of its pixels.

A quadratic discriminant of the scene's own water and land is averaged with the network, once. Sampled by each pixel's
position, so that the result depends neither on windows nor on their order. Explained in ``05_run_inference``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ml4ops_helpers.scenes.sentinel2 import Float

if TYPE_CHECKING:
    from ml4ops_helpers.models.networks import Features, Network

SURE = 0.9
"""Probability from which a pixel is taken for what the network says."""
FEWEST, MOST = 100, 4000
"""Pixels of each class that a discriminant is fitted to; of more, a part is drawn."""
RIDGE = 0.05
"""Share of the unit matrix in each covariance: features have about unit spread, and may be collinear."""
STRIP = 1 << 16
"""Pixels computed at once: small enough for the processor's cache."""


@dataclass(frozen=True)
class Sample:
    """Sure pixels of one class: their rank in the draw, uint64 ``(n,)``, and features, float32 ``(n, features)``."""

    order: NDArray[np.uint64]
    features: Float

    @classmethod
    def join(cls, parts: Iterable[Sample]) -> Sample:
        """The first ``MOST`` of several samples: the same as if all had been drawn at once."""
        found = list(parts)
        order = np.concatenate([part.order for part in found])
        first = np.argsort(order, kind="stable")[:MOST]
        return cls(order[first], np.concatenate([part.features for part in found])[first])


def draw_pixels(
    model: Network, reflectance: Float, chosen: NDArray[np.bool_], corner: tuple[int, int] = (0, 0)
) -> Sample:
    """A sample of the chosen pixels of a window.

    Args:
        model: whose features are used.
        reflectance: ``(bands, height, width)``.
        chosen: bool ``(height, width)``.
        corner: row and column of the window in its scene.
    """
    rows, columns = np.nonzero(chosen)
    order = _shuffled(rows + corner[0], columns + corner[1])
    if len(order) > MOST:
        first = np.argpartition(order, MOST)[:MOST]
        rows, columns, order = rows[first], columns[first], order[first]
    return Sample(order, _features(model.features, reflectance[:, rows, columns]).T)


def _shuffled(rows: ArrayLike, columns: ArrayLike) -> NDArray[np.uint64]:
    """A number for each pixel of any scene, that looks random: the finaliser of splitmix64 (Steele et al. 2014)."""
    x = (np.asarray(rows, np.uint64) << np.uint64(32)) | np.asarray(columns, np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(x ^ (x >> np.uint64(31)))


def _features(features: Features, pixels: Float) -> Float:
    """Features ``(features, n)`` of reflectance ``(bands, n)``."""
    with torch.inference_mode():
        found: Float = features(torch.from_numpy(np.ascontiguousarray(pixels))[None, :, None])[0, :, 0].numpy()
    return found


@dataclass(frozen=True)
class Discriminant:
    """A quadratic discriminant: the log-odds of water are ``x·A·x + b·x + c``, of features less their ``centre``."""

    centre: Float
    a: Float
    b: Float
    c: float

    def probability(self, model: Network, reflectance: Float) -> Float:
        """Probability of water, float32 of the image's shape, of reflectance ``(bands, …)``."""
        pixels = reflectance.reshape(len(reflectance), -1)
        odds = np.empty(pixels.shape[1], np.float32)
        for start in range(0, len(odds), STRIP):
            part = slice(start, start + STRIP)
            x = _features(model.features, pixels[:, part]) - self.centre[:, None]
            odds[part] = np.einsum("fn,fn->n", self.a @ x + self.b[:, None], x) + self.c
        return torch.from_numpy(odds).sigmoid().numpy().reshape(reflectance.shape[1:])


def fit_discriminant(land: Sample, water: Sample) -> Discriminant | None:
    """Fit a discriminant with equal priors; None where either class has fewer than ``FEWEST`` pixels.

    As scikit-learn's ``QuadraticDiscriminantAnalysis(priors=[0.5, 0.5], reg_param=RIDGE)``, but evaluated in the time
    that whole scenes need.
    """
    if min(len(land.order), len(water.order)) < FEWEST:
        return None
    fits = [_gaussian(sample.features) for sample in (land, water)]
    (mean0, inverse0, volume0), (mean1, inverse1, volume1) = fits
    centre = (mean0 + mean1) / 2
    off0, off1 = mean0 - centre, mean1 - centre
    a = (inverse0 - inverse1) / 2
    b = inverse1 @ off1 - inverse0 @ off0
    c = (off0 @ inverse0 @ off0 - off1 @ inverse1 @ off1 + volume0 - volume1) / 2
    return Discriminant(_single(centre), _single(a), _single(b), float(c))


def _single(values: NDArray[np.floating]) -> Float:
    return np.asarray(values, np.float32)


def _gaussian(features: Float) -> tuple[NDArray[np.floating], NDArray[np.floating], float]:
    """Mean, inverse covariance and log-determinant of the covariance."""
    x = np.asarray(features, np.float64)
    covariance = (1 - RIDGE) * np.cov(x, rowvar=False) + RIDGE * np.eye(x.shape[1])
    return np.asarray(x.mean(axis=0)), np.linalg.inv(covariance), float(np.linalg.slogdet(covariance)[1])


def sure(water: Float, seen: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Pixels that are surely land, and surely water.

    Args:
        water: probability of water given that the ground is seen, ``(height, width)``; NaN where there are no data.
        seen: pixels that no cloud hides.
    """
    return seen & (water < 1 - SURE), seen & (water > SURE)


def halved(reflectance: Float) -> NDArray[np.float16]:
    """Reflectance as it is kept between the two passes over a scene; torch converts ten times as fast as numpy."""
    return np.asarray(torch.from_numpy(reflectance).half().numpy())


def restored(kept: NDArray[np.float16]) -> Float:
    """What ``halved`` has kept, as float32."""
    return np.asarray(torch.from_numpy(kept).float().numpy())


def average(
    discriminant: Discriminant | None, model: Network, reflectance: Float, water: Float, seen: NDArray[np.bool_]
) -> Float:
    """The mean of network and discriminant where the ground is seen, the network elsewhere or without discriminant."""
    if discriminant is None:
        return water
    return np.where(seen, (water + discriminant.probability(model, reflectance)) / 2, water)


def adapt(model: Network, reflectance: Float, water: Float, seen: NDArray[np.bool_]) -> Float:
    """Probability of water in a whole scene, adapted to it; arguments as for ``draw_pixels`` and ``sure``.

    >>> from ml4ops_helpers.models.networks import build_model
    >>> model = build_model("linear", ["B3", "B11"], heads="cloud_water")
    >>> scene = np.random.default_rng(0).uniform(0.01, 0.3, (2, 64, 64)).astype(np.float32)
    >>> water = (scene[0] > scene[1]).astype(np.float32)
    >>> bool(np.abs(adapt(model, scene, water, np.ones((64, 64), bool)) - water).mean() < 0.1)
    True
    """
    land, wet = (draw_pixels(model, reflectance, chosen) for chosen in sure(water, seen))
    return average(fit_discriminant(land, wet), model, reflectance, water, seen)
