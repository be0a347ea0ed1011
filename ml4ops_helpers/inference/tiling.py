"""From a scene of any size to class probabilities, window by window, as if it were computed whole.

A window is read with a halo as wide as the network sees, mirrored at the scene's edges; only its core is kept. So every
pixel sees what it would see in the whole scene, and the windows leave no seams. Explained in ``05_run_inference``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from rasterio.windows import Window

from ml4ops_helpers.inference.decoder import Core
from ml4ops_helpers.inference.receptive_fields import MULTIPLE, evaluating, receptive_field
from ml4ops_helpers.models.networks import Network, to_probabilities
from ml4ops_helpers.scenes.sentinel2 import Float

MAX_REFLECTANCE = 20.0
"""No reflectance is above this, not even that of the sun mirrored by a roof; digital numbers are."""

Reader = Callable[[Window], Float]
"""Gives reflectance ``(bands, height, width)`` of a window inside the scene; NaN where there are no data."""
Runner = Callable[[Float], Float]
"""Gives logits of the core of a window of reflectance with its halo, without NaN."""


def predict_scene(model: Network, reflectance: ArrayLike, *, tile: int | None = None) -> Float:
    """Class probabilities of a scene in memory.

    Args:
        model: from ``build_model`` or ``load_model``; put in evaluation mode for the call, then left as it was.
        reflectance: ``(bands, height, width)`` in the model's bands; NaN where there are no data.
        tile: longest side of a window's core, pixels (default ``default_tile``); it changes memory and time, not the
            result.

    Returns:
        float32 ``(3, height, width)``: land, water, cloud; sums to 1, NaN where there are no data.

    Raises:
        ValueError: the image does not have the model's bands, or holds digital numbers.
        ModelError: the network cannot be tiled (see ``receptive_field``).

    >>> from ml4ops_helpers.models.networks import build_model
    >>> predict_scene(build_model("linear", "bgri"), np.full((4, 30, 50), 0.1)).shape
    (3, 30, 50)
    """
    image = check_reflectance(model, reflectance)
    shape, halo = (image.shape[1], image.shape[2]), receptive_field(model)
    core, run = core_shape(shape, tile or default_tile(halo)), torch_runner(model, halo)
    found = np.empty((3, *shape), np.float32)
    with evaluating(model):
        for window in core_windows(shape, core):
            part = read_mirrored(lambda w: image[:, *w.toslices()], window, shape, core, halo)
            found[:, *window.toslices()] = predict_window(run, part, window, halo)
    return found


def check_reflectance(model: Network, reflectance: ArrayLike) -> Float:
    """The image as float32, if it is what ``predict_scene`` takes; else ``ValueError``."""
    image = np.asarray(reflectance, np.float32)
    if image.ndim != 3 or len(image) != len(model.bands):
        raise ValueError(
            f"the model takes {len(model.bands)} bands ({', '.join(model.bands)}), got shape {image.shape}"
        )
    brightest = float(np.fmax.reduce(image, axis=None, initial=0))  # ignores NaN
    if brightest > MAX_REFLECTANCE:
        raise ValueError(f"values up to {brightest:.0f} are digital numbers, not reflectance; pass scene.reflectance()")
    return image


def predict_window(run: Runner, image: Float, window: Window, halo: int) -> Float:
    """Class probabilities ``(3, height, width)`` of one window of a scene, NaN where there are no data.

    Args:
        run: computes the network, from ``torch_runner`` or an engine.
        image: the window's reflectance, from ``read_mirrored``.
        window: from ``core_windows``.
        halo: from ``receptive_field``.
    """
    inside = np.s_[:, halo : halo + window.height, halo : halo + window.width]
    missing = np.asarray(np.isnan(image[inside]).any(axis=0))
    if missing.all():
        return np.full((3, *missing.shape), np.nan, np.float32)
    logits = torch.from_numpy(run(np.nan_to_num(image)))
    found: Float = to_probabilities(logits)[:, : window.height, : window.width].numpy()
    found[:, missing] = np.nan
    return found


def default_tile(halo: int) -> int:
    """Longest side of a window's core, pixels: four halos, at least 512. Wider ones compute less twice in more memory.

    >>> default_tile(0), default_tile(256)
    (512, 1024)
    """
    return max(512, 4 * halo)


def core_shape(shape: tuple[int, int], tile: int) -> tuple[int, int]:
    """Height and width of equal cores that cover a scene: multiples of 32, close to ``tile``, which is 32 or more.

    >>> core_shape((2500, 300), 2048)
    (1280, 320)
    """
    if tile < MULTIPLE:
        raise ValueError(f"tile {tile} is too small; give at least {MULTIPLE} pixels")
    tile -= tile % MULTIPLE
    height, width = (-(-n // -(-n // tile)) for n in shape)
    return height + -height % MULTIPLE, width + -width % MULTIPLE


def core_windows(shape: tuple[int, int], core: tuple[int, int]) -> list[Window]:
    """Windows that cover a scene without overlap, row by row; the last ones end with the scene.

    >>> [(w.row_off, w.height, w.col_off, w.width) for w in core_windows((40, 64), (32, 64))]
    [(0, 32, 0, 64), (32, 8, 0, 64)]
    """
    (height, width), (down, across) = shape, core
    return [
        Window(column, row, min(across, width - column), min(down, height - row))
        for row in range(0, height, down)
        for column in range(0, width, across)
    ]


def read_mirrored(read: Reader, window: Window, shape: tuple[int, int], core: tuple[int, int], halo: int) -> Float:
    """A window, filled up to the size of a core and with a halo around it; what lies outside the scene is mirrored."""
    rows = _mirror(window.row_off - halo, window.row_off + core[0] + halo, shape[0])
    columns = _mirror(window.col_off - halo, window.col_off + core[1] + halo, shape[1])
    top, left = int(rows.min()), int(columns.min())
    image = read(Window(left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top))
    if image.shape[1:] == (len(rows), len(columns)):
        return image
    return image[:, rows[:, None] - top, columns - left]


def _mirror(start: int, stop: int, length: int) -> NDArray[np.intp]:
    """Positions ``start`` to ``stop`` on a line of so many pixels with mirrors at both ends."""
    index = np.arange(start, stop) % (2 * length)
    return np.minimum(index, 2 * length - 1 - index)


def torch_runner(model: Network, halo: int, *, half: bool = False) -> Runner:
    """The network in torch, on the device where its weights are; ``half`` as in ``decoder.Core``."""
    network, device = Core(model, halo, half), next(model.parameters()).device

    def run(window: Float) -> Float:
        batch = torch.from_numpy(window)[None].to(device, memory_format=torch.channels_last)
        with torch.inference_mode():
            logits: Float = network(batch)[0].float().cpu().numpy()
        return logits

    return run
