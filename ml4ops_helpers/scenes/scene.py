"""Scenes: a product, or a window of it, in memory. Explained in ``02_explore_the_data``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.windows import Window, transform as window_transform

from ml4ops_helpers.scenes.opening import Reading, open_product
from ml4ops_helpers.scenes.products import check_share
from ml4ops_helpers.scenes.rasters import Raster
from ml4ops_helpers.scenes.scaling import Scaling
from ml4ops_helpers.scenes.sentinel2 import Float, select_bands


@dataclass(frozen=True, eq=False)
class Scene:
    """A scene, or a window of one.

    Attributes:
        image: values as stored, ``(bands, height, width)``; of Sentinel-2 digital numbers.
        bands: names of the bands, in order.
        crs: coordinate reference system.
        transform: from pixel to CRS coordinates.
        valid: bool ``(height, width)``; False where a band has no data, or impossible ones.
        scaling: from stored values to reflectance.
        path: its file.
        decision: how it was read and why, one line.
    """

    image: Raster
    bands: tuple[str, ...]
    crs: CRS
    transform: Affine
    valid: NDArray[np.bool_]
    scaling: Scaling
    path: Path
    decision: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return self.valid.shape[0], self.valid.shape[1]

    @property
    def offset(self) -> int:
        """What is added to stored values before they are scaled: of Sentinel-2 ``RADIO_ADD_OFFSET``, 0 or −1000."""
        return round(self.scaling.addend[0] / self.scaling.factor[0])

    def reflectance(self) -> Float:
        """Reflectance, float32 ``(bands, height, width)``; NaN in every band where one has no data."""
        x = self.scaling.apply(self.image)
        x[:, ~self.valid] = np.nan
        return x


def read_scene(
    path: Path | str,
    bands: str | Sequence[str] | None = None,
    *,
    window: Window | None = None,
    **reading: Unpack[Reading],
) -> Scene:
    """Read a scene.

    Args:
        path: a product of any kind that ``open_product`` reads.
        bands: bands to read, a key of ``BAND_SETS`` or band names; default all that it has.
        window: pixels to read; default all.
        reading: see ``Reading``.

    Raises:
        SceneError: as ``open_product``; or too many pixels hold what is no reflectance.
        ValueError: ``bands`` names a band that does not exist.
    """
    wanted = None if bands is None else select_bands(bands)
    with open_product(path, wanted, **reading) as product:
        window = window or Window(0, 0, product.shape[1], product.shape[0])
        image = product.stored(window)
        _, valid, impossible = product.decode(image, window)
        check_share(product.path, impossible, valid.size)
        place = window_transform(window, product.transform)
        return Scene(
            image, product.bands, product.crs, place, valid, product.scaling, product.path, str(product.decision)
        )
