"""A water index as a model: the baseline that a network must beat. Explained in ``01_scope_the_problem``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ml4ops_helpers.scenes.sentinel2 import Float, IndexName, water_index


@dataclass(frozen=True)
class IndexModel:
    """A water index as a model.

    Its score is between 0 and 1, so that the same code evaluates it and a network; it is not a probability.
    """

    index: IndexName

    @property
    def limit(self) -> float:
        """Largest magnitude of the index for reflectance up to 1."""
        return 1.0 if self.index in ("ndwi", "mndwi") else 6.0

    def score(self, reflectance: ArrayLike, bands: str | Sequence[str]) -> Float:
        """The index scaled to 0 to 1, float32 ``(height, width)``; NaN where it is undefined.

        >>> pixel = np.array([0.2, 0.1]).reshape(2, 1, 1)
        >>> round(float(IndexModel("ndwi").score(pixel, ["B3", "B8"])[0, 0]), 4)
        0.6667
        """
        return self.to_score(water_index(self.index, reflectance, bands))

    def to_score(self, value: ArrayLike) -> Float:
        """Score of a value of the index: a threshold on one is a threshold on the other.

        >>> float(IndexModel("mndwi").to_score(0.0))
        0.5
        """
        return np.asarray((np.clip(value, -self.limit, self.limit) / self.limit + 1) / 2, np.float32)
