"""Pictures of scenes and class maps for HTML pages, subsampled and on the grid of a map.

Used by ``08_map_the_flood``.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

import matplotlib.pyplot as plt
import numpy as np
from affine import Affine
from rasterio.warp import Resampling, reproject
from rasterio.windows import Window

from ml4ops_helpers.mapping.classmaps import align, is_class_map, read_class_map
from ml4ops_helpers.mapping.map_plots import MOST_PIXELS
from ml4ops_helpers.plots import label_picture
from ml4ops_helpers.scenes.grids import Grid
from ml4ops_helpers.scenes.opening import Reading, open_product
from ml4ops_helpers.scenes.sentinel2 import Float, composite

PICTURE_BANDS: dict[str, tuple[str, ...]] = {"swir": ("B11", "B8", "B4"), "natural": ("B4", "B3", "B2")}
"""Of the pictures that are made of a scene, by their recipe; the first for which its bands suffice."""


def data_uri(picture: Float) -> str:
    """A picture ``(height, width, 3)`` in 0 to 1 as a data URI, for HTML."""
    step = -(-max(picture.shape[:2]) // MOST_PIXELS)
    content = io.BytesIO()
    plt.imsave(content, np.clip(picture[::step, ::step], 0, 1), format="jpg", pil_kwargs={"quality": 88})
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()


def picture_of(
    path: Path | str, grid: Grid, bands: Sequence[str] = PICTURE_BANDS["swir"], **reading: Unpack[Reading]
) -> Float:
    """Picture of a scene or class map over a grid, ``(height, width, 3)`` in 0 to 1, black outside the file.

    Args:
        path: the file; a scene in short-wave infrared, near infrared and red; else in natural colours, or grey.
        grid: what the picture covers, whatever the file's CRS; subsampled to ``MOST_PIXELS``.
        bands: of the network that maps the scene; by them is decided how it is read, and among them are those shown.
        reading: what is to be said about a scene, see ``Reading``.
    """
    step = -(-max(grid.shape) // MOST_PIXELS)
    coarse = _thinned(grid, step)
    if is_class_map(path):
        return label_picture(align(read_class_map(path), coarse).codes)
    grey = "natural", (bands[0],) * 3
    recipe, shown = next((one for one in PICTURE_BANDS.items() if set(one[1]) <= set(bands)), grey)
    with open_product(path, bands, **reading) as product:
        product = product.only(shown)
        own = _thinned(Grid(product.shape, product.crs, product.transform), step)
        strips = [
            product.read(Window(0, row, product.shape[1], min(step, product.shape[0] - row)))[:, 0, ::step]
            for row in range(0, product.shape[0], step)
        ]
    image = np.stack(strips, axis=1)
    if not own.same_as(coarse):
        where = {"src_crs": own.crs, "src_transform": own.transform, "dst_crs": coarse.crs}
        moved = np.zeros((len(image), *coarse.shape), np.float32)
        reproject(image, moved, dst_transform=coarse.transform, resampling=Resampling.bilinear, src_nodata=np.nan,
                  dst_nodata=0, **where)  # fmt: skip
        image = moved
    return composite(image, PICTURE_BANDS[recipe], recipe)


def _thinned(grid: Grid, step: int) -> Grid:
    shape = (-(-grid.shape[0] // step), -(-grid.shape[1] // step))
    a, b, c, d, e, f = grid.transform[:6]
    return Grid(shape, grid.crs, Affine(a * step, b * step, c, d * step, e * step, f))
