"""From probabilities to a class map: thresholds, and the rule that joins the answers of two heads.

A class map holds version-1 codes, uint8 ``(height, width)``; its cloud means "not observed".
Explained in ``07_see_through_clouds``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml4ops_helpers.scenes.scene import Scene
from ml4ops_helpers.scenes.sentinel2 import (
    BANDS,
    CLOUD,
    INVALID,
    LAND,
    QUANTIFICATION,
    THICK_CLOUD_BRIGHTNESS,
    WATER,
    Codes,
    Float,
    brightness,
    water_index,
)

if TYPE_CHECKING:
    from ml4ops_helpers.models.networks import Network


def water_given_seen(probabilities: Float) -> Float:
    """Probability of water given that the ground is seen, water / (land + water); NaN where there are no data.

    Args:
        probabilities: land, water, cloud, ``(3, height, width)``.

    >>> float(water_given_seen(np.array([[[0.3]], [[0.1]], [[0.6]]]))[0, 0])
    0.25
    """
    land, water, _ = probabilities
    return np.asarray(water / np.maximum(land + water, 1e-12), np.float32)


def model_input(model: Network, scene: Scene) -> Float:
    """The scene's reflectance in the bands of the model, ``(bands, height, width)``."""
    positions = [scene.bands.index(band) for band in model.bands]
    return np.asarray(scene.reflectance()[positions], np.float32)


def classify(probabilities: Float, threshold: float) -> Codes:
    """Version-1 codes from class probabilities.

    Args:
        probabilities: land, water, cloud, ``(3, height, width)``; NaN where there are no data.
        threshold: of ``water_given_seen``, where cloud has at most a half.

    >>> classify(np.array([[[0.5, 0.2]], [[0.3, 0.1]], [[0.2, 0.7]]]), 0.25).tolist()
    [[2, 3]]
    """
    return np.where(probabilities[2] > 0.5, CLOUD, ground_map(probabilities, threshold)).astype(np.uint8)


def ground_map(probabilities: Float, threshold: float) -> Codes:
    """Class map that says land or water everywhere, whatever the probability of cloud; arguments as for ``classify``.

    >>> ground_map(np.array([0.02, 0.08, 0.9]).reshape(3, 1, 1), 0.5).tolist()
    [[2]]
    """
    return water_codes(water_given_seen(probabilities), threshold)


def water_codes(water: Float, threshold: float) -> Codes:
    """Class map of the probability of water given that the ground is seen; NaN is invalid.

    >>> water_codes(np.array([0.2, 0.7, np.nan]), 0.5).tolist()
    [1, 2, 0]
    """
    return np.where(np.isnan(water), INVALID, np.where(water >= threshold, WATER, LAND)).astype(np.uint8)


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of two heads, frozen on validation.

    Attributes:
        water: water where its probability given that the ground is seen is at least this.
        cloud: cloud where its probability is at least this and the pixel is bright.
        water_first: whether water is said under any cloud: by a network that has learnt opaque cloud as land.
    """

    water: float
    cloud: float
    water_first: bool = False

    @classmethod
    def of(cls, about: Mapping[str, Any]) -> Thresholds:
        """The thresholds stored with the weights, from the facts that ``load_model`` or ``load_pretrained`` returns.

        >>> Thresholds.of({"threshold": 0.5, "cloud_threshold": 0.25})
        Thresholds(water=0.5, cloud=0.25, water_first=False)
        """
        return cls(about["threshold"], about["cloud_threshold"], about.get("water_first", False))


def decide(probabilities: Float, visible: Float, thresholds: Thresholds) -> Codes:
    """Class map of two heads: thin cloud keeps its answer of land or water, thick and bright cloud is not observed.

    Source: Portalés-Julià et al. 2023, DOI 10.1038/s41598-023-47595-7.

    Args:
        probabilities: as for ``classify``.
        visible: brightness in digital numbers, ``(height, width)``, from ``scene_brightness``.
        thresholds: frozen on validation.

    >>> cloud, water = np.array([[0.9, 0.9]], np.float32), np.array([[0.8, 0.8]], np.float32)
    >>> heads = np.stack([(1 - cloud) * (1 - water), (1 - cloud) * water, cloud])
    >>> decide(heads, np.array([[3000, 5000]]), Thresholds(0.5, 0.5)).tolist()
    [[2, 3]]
    """
    cloud = probabilities[2]
    hidden = (cloud >= thresholds.cloud) & (visible > THICK_CLOUD_BRIGHTNESS)
    ground = ground_map(probabilities, thresholds.water)
    if thresholds.water_first:
        hidden &= ground != WATER
    return np.where(hidden, CLOUD, ground).astype(np.uint8)


def scene_brightness(scene: Scene) -> Float:
    """Brightness of the visible bands in digital numbers without the offset, ``(height, width)``; NaN without data."""
    return brightness(scene.reflectance(), scene.bands) * np.float32(QUANTIFICATION)


def flood_trace(codes: Codes, reflectance: ArrayLike, bands: str | Sequence[str] = BANDS) -> NDArray[np.bool_]:
    """Water of a class map that the index MNDWI calls dry: muddy, shallow, or between plants.

    >>> pixels = np.array([[0.1, 0.2], [0.2, 0.1]]).reshape(2, 1, 2)
    >>> flood_trace(np.array([[2, 2]], np.uint8), pixels, ["B3", "B11"]).tolist()
    [[True, False]]
    """
    return np.asarray((codes == WATER) & (water_index("mndwi", reflectance, bands) < 0))
