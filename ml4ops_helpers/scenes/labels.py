"""Labels: ground truth on the grid of its scene, in the two-channel (version 2) code.

Explained in ``02_explore_the_data``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import ArrayLike

from ml4ops_helpers.scenes.rasters import Raster, SceneError, check_georeference, open_raster
from ml4ops_helpers.scenes.scene import Scene
from ml4ops_helpers.scenes.sentinel2 import CLOUD, Codes


def to_v2(label: ArrayLike) -> Codes:
    """Convert a one-channel (version 1) label to version 2, two channels; the ground under a cloud stays unknown.

    Args:
        label: ``(height, width)``, 0 invalid, 1 land, 2 water, 3 cloud.

    Returns:
        uint8 ``(2, height, width)``: {0 invalid, 1 clear, 2 cloud} and {0 invalid, 1 land, 2 water}.

    >>> to_v2([[0, 1, 2, 3]]).tolist()
    [[[0, 1, 1, 2]], [[0, 1, 2, 0]]]
    """
    x = np.asarray(label)
    return np.stack([np.choose(x, [0, 1, 1, 2]), np.where(x == CLOUD, 0, x)]).astype(np.uint8)


def from_sen1floods11(label: ArrayLike) -> Codes:
    """Convert a Sen1Floods11 label to version 2; its −1 is no data or cloud, so both become invalid.

    Args:
        label: ``(height, width)``, −1 no data, 0 not water, 1 water.

    Returns:
        uint8 ``(2, height, width)``.

    >>> from_sen1floods11([[-1, 0, 1]]).tolist()
    [[[0, 1, 1]], [[0, 1, 2]]]
    """
    return to_v2(np.asarray(label) + 1)


def read_label(
    path: Path | str,
    like: Scene | Path | str | None = None,
    *,
    codes: Literal["worldfloods", "sen1floods11"] = "worldfloods",
) -> Codes:
    """Read a label and check that it is on the grid of its scene.

    Args:
        path: a GeoTIFF of codes: WorldFloods, two-channel (version 2) or one-channel (version 1), or Sen1Floods11.
        like: the scene, or its file, whose grid the label must share; None skips this check.
        codes: the data set whose codes the file holds.

    Returns:
        uint8 ``(2, height, width)``, version 2.

    Raises:
        SceneError: the file cannot be read, is on another grid, or holds unknown codes.
    """
    path = Path(path)
    with open_raster(path) as source:
        check_georeference(path, source)
        if like is not None:
            _check_grid(path, source, like)
        label = source.read()
    if label.shape[0] not in (1, 2):
        raise SceneError(f"{path}: {label.shape[0]} channels, expected 1 (version 1) or 2 (version 2)")
    known = (-1, 0, 1) if codes == "sen1floods11" else range(4) if label.shape[0] == 1 else range(3)
    found = np.unique(label)
    if not np.isin(found, known).all():
        raise SceneError(
            f"{path}: codes {', '.join(map(str, found[:8]))}; expected {', '.join(map(str, known))}. "
            'Read labels of -1, 0 and 1 with codes="sen1floods11"'
        )
    return as_version_2(label, codes)


def as_version_2(label: Raster, codes: Literal["worldfloods", "sen1floods11"]) -> Codes:
    """Convert a label as stored, ``(channels, height, width)``, to version 2, uint8 ``(2, height, width)``.

    >>> as_version_2(np.array([[[1, 3]]]), "worldfloods").tolist()
    [[[1, 2]], [[1, 0]]]
    """
    if codes == "sen1floods11":
        return from_sen1floods11(label[0])
    return to_v2(label[0]) if label.shape[0] == 1 else label.astype(np.uint8)


def _check_grid(path: Path, source: rasterio.DatasetReader, like: Scene | Path | str) -> None:
    if not isinstance(like, Scene):
        with open_raster(like) as image:
            name, shape, crs, transform = str(like), image.shape, image.crs, image.transform
    else:
        name, shape, crs, transform = str(like.path), like.shape, like.crs, like.transform
    if source.shape != shape:
        problem = f"{source.height}×{source.width} pixels, the image {shape[0]}×{shape[1]}"
    elif source.crs != crs:
        problem = f"{source.crs}, the image {crs}"
    elif (shift := _shift(source.transform, transform, shape)) > 0.01:
        problem = f"its corners are {shift:.2f} pixels off the image's"
    else:
        return
    raise SceneError(f"{path}: not on the grid of {name}: {problem}; reproject the label onto the image")


def _shift(a: Affine, b: Affine, shape: tuple[int, int]) -> float:
    """Largest distance between the corners of two grids of one shape, in pixels."""
    from_a, from_b = (np.vstack([np.reshape(t[:6], (2, 3)), [0, 0, 1]]) for t in (a, b))
    corners = np.array([[0, shape[1], 0, shape[1]], [0, 0, shape[0], shape[0]], [1, 1, 1, 1]])
    moved = np.linalg.inv(from_b) @ from_a @ corners - corners
    return float(np.hypot(moved[0], moved[1]).max())
