"""The class map of a scene in memory, as ``ml4ops predict`` makes it of a file. Explained in ``05_run_inference``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ml4ops_helpers.inference import adaptation
from ml4ops_helpers.inference.decisions import Thresholds, classify, decide, water_codes, water_given_seen
from ml4ops_helpers.inference.tiling import predict_scene
from ml4ops_helpers.scenes.sentinel2 import CLOUD, QUANTIFICATION, Codes, Float, brightness

if TYPE_CHECKING:
    from ml4ops_helpers.models.networks import Network


def class_map(model: Network, about: Mapping[str, Any], reflectance: Float, *, adapt: bool = True) -> Codes:
    """Version-1 codes of a whole scene.

    Args:
        model: the network.
        about: what is stored with it: thresholds, and whether it is to be adapted to a scene.
        reflectance: in the model's bands, ``(bands, height, width)``; NaN where there are no data.
        adapt: False leaves the adaptation out.

    >>> from ml4ops_helpers.models.saved import load_pretrained
    >>> water, land = np.array([0.05, 0.03, 0.01]), np.array([0.05, 0.3, 0.2])
    >>> image = np.stack([water, land], axis=1)[..., None]
    >>> class_map(*load_pretrained("index"), image).ravel().tolist()
    [2, 1]
    """
    image = np.asarray(reflectance, np.float32)
    probabilities = predict_scene(model, image)
    codes, water = classes_of(model, about, probabilities, image), water_given_seen(probabilities)
    if not (adapt and about.get("adapts")):
        return codes
    seen = codes != CLOUD
    water = adaptation.adapt(model, adaptation.restored(adaptation.halved(image)), water, seen)
    return np.where(seen, water_codes(water, about["threshold"]), codes)


def classes_of(model: Network, about: Mapping[str, Any], probabilities: Float, reflectance: Float) -> Codes:
    """Version-1 codes of a network's probabilities by the rule of its heads; arguments as for ``class_map``."""
    if model.heads == "classes":
        return classify(probabilities, about["threshold"])
    visible = brightness(reflectance, model.bands) * np.float32(QUANTIFICATION)
    return decide(probabilities, visible, Thresholds.of(about))
