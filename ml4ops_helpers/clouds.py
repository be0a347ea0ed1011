"""Clouds: the rule that joins the answers of two heads into a class map.

A class map holds version-1 codes, uint8 ``(height, width)``; its cloud means "not observed".
Explained in ``07_see_through_clouds``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ml4ops_helpers.catalogues import load_labelled
from ml4ops_helpers.curves import ScoreHistogram
from ml4ops_helpers.evaluation import best_event_threshold, ground_map, model_input
from ml4ops_helpers.inference import predict_scene
from ml4ops_helpers.models import Network
from ml4ops_helpers.scenes import Scene
from ml4ops_helpers.sentinel2 import (
    BANDS,
    CLOUD,
    CLOUDY,
    INVALID,
    QUANTIFICATION,
    THICK_CLOUD_BRIGHTNESS,
    WATER,
    Codes,
    Float,
    brightness,
    water_index,
)


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of two heads, frozen on validation.

    Attributes:
        water: water where its probability given that the ground is seen is at least this.
        cloud: cloud where its probability is at least this and the pixel is bright.
    """

    water: float
    cloud: float

    @classmethod
    def of(cls, about: Mapping[str, Any]) -> Thresholds:
        """Those that travel with the weights, from ``load_model`` or ``load_pretrained``.

        >>> Thresholds.of({"threshold": 0.5, "cloud_threshold": 0.25})
        Thresholds(water=0.5, cloud=0.25)
        """
        return cls(about["threshold"], about["cloud_threshold"])


def decide(probabilities: Float, visible: Float, thresholds: Thresholds) -> Codes:
    """Class map of two heads: thin cloud keeps its answer of land or water, thick and bright cloud is not observed.

    Source: Portalés-Julià et al. 2023, DOI 10.1038/s41598-023-47595-7.

    Args:
        probabilities: land, water and cloud, ``(3, height, width)``; NaN where there are no data.
        visible: brightness in digital numbers, ``(height, width)``, from ``scene_brightness``.
        thresholds: frozen on validation.

    Returns:
        uint8 ``(height, width)``: 0 invalid, 1 land, 2 water, 3 cloud.

    >>> cloud, water = np.array([[0.9, 0.9]], np.float32), np.array([[0.8, 0.8]], np.float32)
    >>> heads = np.stack([(1 - cloud) * (1 - water), (1 - cloud) * water, cloud])
    >>> decide(heads, np.array([[3000, 5000]]), Thresholds(0.5, 0.5)).tolist()
    [[2, 3]]
    """
    cloud = probabilities[2]
    hidden = (cloud >= thresholds.cloud) & (visible > THICK_CLOUD_BRIGHTNESS)
    return np.where(hidden, CLOUD, ground_map(probabilities, thresholds.water)).astype(np.uint8)


def scene_brightness(scene: Scene) -> Float:
    """Brightness of the visible bands in digital numbers without the offset, ``(height, width)``; NaN without data."""
    return brightness(scene.reflectance(), scene.bands) * np.float32(QUANTIFICATION)


def flood_trace(codes: Codes, reflectance: ArrayLike, bands: str | Sequence[str] = BANDS) -> NDArray[np.bool_]:
    """Water of a class map that the index MNDWI calls dry: muddy, shallow, or between plants.

    Args:
        codes: class map ``(height, width)``.
        reflectance: ``(bands, height, width)``; NaN where there are no data.
        bands: what the image's bands are, in order.

    >>> pixels = np.array([[0.1, 0.2], [0.2, 0.1]]).reshape(2, 1, 2)
    >>> flood_trace(np.array([[2, 2]], np.uint8), pixels, ["B3", "B11"]).tolist()
    [[True, False]]
    """
    return np.asarray((codes == WATER) & (water_index("mndwi", reflectance, bands) < 0))


def cloud_threshold(model: Network, table: pd.DataFrame) -> float:
    """Threshold on cloud by which ``decide`` finds the hidden ground best: highest mean IoU over the events.

    The truth is the label's: cloud whose ground is invalid. Choose it on validation, and freeze it.

    Args:
        model: network with two heads.
        table: catalogue with labels of version 2.
    """
    histograms: dict[str, ScoreHistogram] = {}
    for _, row in table.iterrows():
        scene, label = load_labelled(row)
        cloud = predict_scene(model, model_input(model, scene))[2]
        bright = np.where(scene_brightness(scene) > THICK_CLOUD_BRIGHTNESS, cloud, 0)
        hidden = (label[0] == CLOUDY) & (label[1] == INVALID)
        counted = scene.valid & (label[0] != INVALID) & np.isfinite(cloud)
        histograms.setdefault(row["event"], ScoreHistogram()).update(hidden, bright, counted)
    return best_event_threshold(histograms)[0]
