"""From a scene to class probabilities. Explained in ``04_measure_performance``."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike

from ml4ops_helpers.models import Network
from ml4ops_helpers.sentinel2 import Float

MULTIPLE = 32
"""A U-Net halves its input five times: sides must be multiples of 32."""
MARGIN = 64
"""Pixels reflected around a scene, so that its edge is seen with neighbours."""
BRIGHTEST = 20.0
"""No reflectance is above this, not even that of the sun mirrored by a roof; digital numbers are."""


def predict_scene(model: Network, reflectance: ArrayLike) -> Float:
    """Class probabilities of a whole scene.

    The edges are reflected, and reflected further to a size that the network can halve; the margin is cut off again.

    Args:
        model: from ``build_model`` or ``load_model``; put in evaluation mode for the call, then left as it was.
        reflectance: ``(bands, height, width)`` in the model's bands; NaN where there are no data.

    Returns:
        float32 ``(3, height, width)``: land, water, cloud; sums to 1, NaN where there are no data.

    Raises:
        ValueError: the image has not the model's bands, or holds digital numbers.

    >>> from ml4ops_helpers.models import build_model
    >>> predict_scene(build_model("linear", "bgri"), np.full((4, 30, 50), 0.1)).shape
    (3, 30, 50)
    """
    image = np.asarray(reflectance, np.float32)
    if image.ndim != 3 or len(image) != len(model.bands):
        raise ValueError(
            f"the model takes {len(model.bands)} bands ({', '.join(model.bands)}), got shape {image.shape}"
        )
    brightest = float(np.fmax.reduce(image, axis=None, initial=0))  # NaN has no say
    if brightest > BRIGHTEST:
        raise ValueError(f"values up to {brightest:.0f} are digital numbers, not reflectance; pass scene.reflectance()")
    height, width = image.shape[1:]
    missing = np.isnan(image).all(axis=0)
    filled = np.nan_to_num(image)
    sides = [(MARGIN, MARGIN + -n % MULTIPLE) for n in (height, width)]
    padded = np.pad(filled, ((0, 0), *sides), mode="symmetric")
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        batch = torch.from_numpy(padded)[None].to(next(model.parameters()).device, memory_format=torch.channels_last)
        probabilities = model(batch).softmax(dim=1)[0].cpu().numpy()
    model.train(was_training)
    seen = np.array(probabilities[:, MARGIN : MARGIN + height, MARGIN : MARGIN + width], np.float32)
    seen[:, missing] = np.nan
    return seen
