"""Make a network trained under drawn air ready for scenes from anywhere: equal odds, and what is usual.

Explained in ``03_train_a_model``.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from ml4ops_helpers.datasets.simulated import SurfaceWindows
from ml4ops_helpers.inference.adaptation import draw_pixels
from ml4ops_helpers.inference.familiarity import Usual, describe
from ml4ops_helpers.inference.receptive_fields import evaluating
from ml4ops_helpers.models.common import HEADS
from ml4ops_helpers.scenes.sentinel2 import INVALID, WATER, Float
from ml4ops_helpers.simulation.air import Air, see_through
from ml4ops_helpers.simulation.events import draw_event
from ml4ops_helpers.simulation.surfaces import LOOKS, Surfaces, draw_surfaces

if TYPE_CHECKING:
    from ml4ops_helpers.models.networks import Network

HELD_OUT = 96
"""Places, drawn with another seed, by which a network is balanced and what is usual is described."""


def make_ready(model: Network, seed: int) -> dict[str, Any]:
    """Balance a trained network, in place, and describe what is usual; both by surfaces that it was not trained on.

    Args:
        model: with two heads.
        seed: of its training.

    Returns:
        What to save with the weights: ``threshold``, ``water_first``, ``adapts`` and ``usual``.
    """
    surfaces = draw_surfaces(HELD_OUT, model.bands, seed=seed + 1)
    balance(model, SurfaceWindows(surfaces, surfaces.water.shape[-1], seed))
    usual = describe_usual(model, surfaces, seed)
    return {"threshold": 0.5, "water_first": True, "adapts": True, "usual": asdict(usual)}


def balance(model: Network, windows: SurfaceWindows) -> float:
    """Shift the water output, in place, to where its log-loss is least if water were as frequent as land.

    A simulation has its own share of water, a flood another: with equal odds, 0.5 is the threshold of both.

    Returns:
        The shift, in logits.
    """
    channel = HEADS[model.heads].index("water")
    logits, truth = [], []
    with evaluating(model):
        for image, target in (windows[i] for i in range(len(windows))):
            known = target[1] != INVALID
            logits.append(model(image[None])[0, channel][known][::16])
            truth.append((target[1] == WATER)[known][::16])
    z, y = torch.cat(logits).double(), torch.cat(truth)

    def loss(shift: float) -> float:
        moved = z + shift
        return float(nn.functional.softplus(-moved[y]).mean() + nn.functional.softplus(moved[~y]).mean())

    shift = float(minimize_scalar(loss, bounds=(-10, 10), method="bounded").x)
    with torch.no_grad():
        _last_bias(model)[channel] += shift
    return shift


def _last_bias(model: Network) -> Tensor:
    """Bias of the last layer: what is added to each output."""
    layers = [module for module in model.body.modules() if isinstance(module, nn.Conv2d)]
    bias = layers[-1].bias
    assert bias is not None
    assert len(bias) == len(HEADS[model.heads])
    return bias


def describe_usual(model: Network, surfaces: Surfaces, seed: int) -> Usual:
    """What surfaces look like in the air of the embedded data set, at the top of it and corrected to the ground."""
    return Usual.of(
        {
            kind: [_described(model, surfaces, number, seed, corrected) for number in range(len(surfaces.water))]
            for kind, corrected in (("top of the atmosphere", 0.0), ("surface", 1.0))
        }
    )


def _described(model: Network, surfaces: Surfaces, number: int, seed: int, corrected: float) -> Float:
    event, rng = draw_event("train", number // LOOKS, 1, seed), np.random.default_rng((seed, number))
    air = Air(
        sun=event.air.sun_zenith,
        aerosol=event.air.aerosol,
        angstrom=event.air.angstrom,
        vapour=event.air.vapour,
        glint=event.look.glint,
        cumulus=event.thick[0] / 2,
        corrected=corrected,
        noise=0.0003,
        native=True,
    )
    image, _ = see_through(rng, surfaces.reflectance[number], surfaces.water[number], surfaces.bands, air)
    return describe(draw_pixels(model, image, np.ones(image.shape[1:], bool)).features)
