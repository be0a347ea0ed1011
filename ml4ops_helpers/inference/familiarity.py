"""How far a scene's spectra lie outside those that a network usually meets. Explained in ``05_run_inference``.

A scene is described by the low end of each of its features, which haze lifts in the bands and dulls in the contrasts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml4ops_helpers.scenes.sentinel2 import Float

PERCENTILE = 2
"""Of each feature over a scene's pixels."""
RIDGE = 0.1
"""Share of its own diagonal in the covariance of the descriptions, of which there are few."""
UNLIKE = 0.99
"""A scene is called unlike the training data when it lies farther from the usual than this share of simulated ones."""


def describe(features: Float) -> Float:
    """Low end of each feature of a sample of a scene's pixels: ``(n, features)`` to float32 ``(features,)``."""
    return np.asarray(np.percentile(features, PERCENTILE, axis=0), np.float32)


@dataclass(frozen=True)
class Usual:
    """What scenes under everyday air look like: a Gaussian of their descriptions for each kind of product.

    Attributes:
        kinds: mean and inverse covariance, by name of the kind.
        distances: of simulated scenes from the nearest of these, in rising order.

    >>> usual = Usual.of({"toa": np.random.default_rng(0).normal(0, 1, (200, 3))})
    >>> near, far = (usual.distance(np.full((9, 3), x, np.float32)) for x in (0.5, 5.0))
    >>> usual.share_nearer(near) < 0.5 < usual.share_nearer(far)
    True
    """

    kinds: dict[str, tuple[list[float], list[list[float]]]]
    distances: list[float]

    @classmethod
    def of(cls, descriptions: Mapping[str, Sequence[Float] | NDArray[np.floating]]) -> Usual:
        """Fitted to descriptions of simulated scenes of each kind."""
        found = {name: np.asarray(rows, np.float64) for name, rows in descriptions.items()}
        # Each half's distances are measured by what was fitted to the other half: a scene is near to its own fit.
        halves = [cls({k: _fit(x[half::2]) for k, x in found.items()}, []) for half in (0, 1)]
        others = [np.concatenate([x[1 - half :: 2] for x in found.values()]) for half in (0, 1)]
        distances = [half._nearest(rows) for half, rows in zip(halves, others, strict=True)]
        return cls({k: _fit(x) for k, x in found.items()}, np.sort(np.concatenate(distances)).round(3).tolist())

    @classmethod
    def saved(cls, about: Mapping[str, Any]) -> Usual | None:
        """From the facts stored with a network; None if it has none."""
        return cls(**about["usual"]) if "usual" in about else None

    def _nearest(self, rows: NDArray[np.floating]) -> NDArray[np.float64]:
        off = [(rows - np.array(mean), np.array(inverse)) for mean, inverse in self.kinds.values()]
        squared = [np.einsum("...i,ij,...j->...", x, inverse, x) for x, inverse in off]
        return np.asarray(np.sqrt(np.min(squared, axis=0) / rows.shape[-1]))

    def distance(self, features: Float) -> float:
        """Distance of a scene from the usual, from the features of a sample of its pixels: about 1 for simulated ones.

        In standard deviations: the root of the mean squared deviation along each principal direction.
        """
        return float(self._nearest(describe(features)))

    def share_nearer(self, distance: float) -> float:
        """Share of the simulated scenes that lie nearer than this."""
        return float(np.searchsorted(self.distances, distance) / len(self.distances))


def _fit(x: NDArray[np.float64]) -> tuple[list[float], list[list[float]]]:
    spread = np.cov(x, rowvar=False)
    shrunk = (1 - RIDGE) * spread + RIDGE * np.diag(np.diag(spread))
    return x.mean(axis=0).round(5).tolist(), np.linalg.inv(shrunk).round(4).tolist()
