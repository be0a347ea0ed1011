"""A satellite product as it is read: window by window, as reflectance, with the pixels that have data.

How one is opened and what is decided about it is in ``opening``. Explained in ``05_run_inference``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.windows import Window

from ml4ops_helpers.scenes.rasters import Raster, SceneError, WindowReader
from ml4ops_helpers.scenes.scaling import HIGHEST, LOWEST, Scaling
from ml4ops_helpers.scenes.sentinel2 import Float

MOST_IMPOSSIBLE = 0.01
"""Share of pixels with impossible values above which a product is refused; below it they count as without data."""
FILLING = 0.5
"""Reflectance below which one value in all bands is no pixel, but a filling value."""
_SCL_UNCLEAR = (0, 1, 3, 8, 9, 10)
"""Scene classes of Level-2A: no data, saturated, cloud shadow, clouds of two probabilities, cirrus."""
_BITS_UNCLEAR = {"QA_PIXEL": 0b11111, "FMASK": 0b1110}
"""Bits of fill, dilated cloud, cirrus, cloud and shadow (Landsat Collection 2), of cloud, near cloud, shadow (HLS)."""


@dataclass(frozen=True)
class Layer:
    """Where the stored values of one band lie, and which of them are no data.

    Attributes:
        file: what GDAL opens.
        position: of the band in the file, from 1.
        nodata: declared by the file; None without.
        zero: whether 0 is no data, too.
        mask: band whose mask counts; 0 for none.
    """

    file: str
    position: int
    nodata: float | None = None
    zero: bool = True
    mask: int = 0


class Decision(NamedTuple):
    """How a product is read, and from what that was decided, in words."""

    kind: str
    bands: str
    scaling: str
    no_data: str

    def __str__(self) -> str:
        return f"{self.kind}; {self.bands}; {self.scaling}; no data: {self.no_data}"


@dataclass(frozen=True, eq=False)
class Product:
    """A product, ready to be read; it can be sent to other processes.

    Attributes:
        path: file or folder.
        bands: Sentinel-2 names, as requested.
        shape: height and width, pixels of the finest band.
        crs: coordinate reference system.
        transform: from pixel to CRS coordinates.
        layers: one a band.
        scaling: from stored values to reflectance.
        flags: layers by which pixels are left out, and the kind of each.
        decision: what was decided and from what.
        reader: keeps the files open.
    """

    path: Path
    bands: tuple[str, ...]
    shape: tuple[int, int]
    crs: CRS
    transform: Affine
    layers: tuple[Layer, ...]
    scaling: Scaling
    flags: tuple[tuple[Layer, str], ...]
    decision: Decision
    reader: WindowReader = field(repr=False)

    def only(self, bands: Sequence[str]) -> Product:
        """The same product with some of its bands, read as was decided for all."""
        at = [self.bands.index(band) for band in bands]
        factor, addend = (tuple(values[i] for i in at) for values in (self.scaling.factor, self.scaling.addend))
        scaling = replace(self.scaling, factor=factor, addend=addend)
        return replace(self, bands=tuple(bands), layers=tuple(self.layers[i] for i in at), scaling=scaling)

    def read(self, window: Window) -> Float:
        """Reflectance of a window, float32 ``(bands, height, width)``; NaN in every band where one has no data."""
        return self.decode(self.stored(window), window)[0]

    def stored(self, window: Window) -> Raster:
        """Stored values of a window, ``(bands, height, width)``, in the files' type."""
        parts = [
            self.reader.read_scaled(file, window, self.shape, [layer.position for layer in group])
            for file, group in groupby(self.layers, key=lambda layer: layer.file)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def decode(self, stored: Raster, window: Window) -> tuple[Float, NDArray[np.bool_], int]:
        """Reflectance of stored values, which pixels have data in every band, and how many hold impossible values."""
        missing = self.missing(stored, window)
        reflectance = self.scaling.apply(stored)
        if len(stored) > 3:  # a filling value that nothing declares; clouds may be cut off at one value, too
            missing |= all_equal(stored) & (reflectance[0] < FILLING)
        possible = np.ones(missing.shape, bool)
        for band in reflectance:
            possible &= (band >= LOWEST) & (band <= HIGHEST)
        valid = possible & ~missing
        if not valid.all():
            reflectance[:, ~valid] = np.nan
        return reflectance, valid, int(np.count_nonzero(~(possible | missing)))

    def missing(self, stored: Raster, window: Window) -> NDArray[np.bool_]:
        """Pixels where a band has no data: by its value, a mask or a layer of flags; or where all bands are 0."""
        missing = np.zeros(stored.shape[1:], bool)
        for layer, values in zip(self.layers, stored, strict=True):
            if layer.zero:
                missing |= values == 0
            if layer.nodata is not None and not (layer.zero and layer.nodata == 0):
                missing |= np.isnan(values) if np.isnan(layer.nodata) else values == layer.nodata
        if stored.dtype.kind == "f":
            missing |= np.isnan(stored).any(axis=0)
        if not all(layer.zero for layer in self.layers):
            missing |= all_equal(stored) & (stored[0] == 0)
        for file, band in {(layer.file, layer.mask) for layer in self.layers if layer.mask}:
            missing |= ~self.reader.read_mask(file, band, window, self.shape)
        for layer, kind in self.flags:
            missing |= self._unclear(layer, kind, window)
        return missing

    def _unclear(self, layer: Layer, kind: str, window: Window) -> NDArray[np.bool_]:
        (codes,) = self.reader.read_scaled(layer.file, window, self.shape, [layer.position])
        if kind == "alpha":
            return np.asarray(codes == 0)
        return np.isin(codes, _SCL_UNCLEAR) if kind == "SCL" else (codes.astype(np.int64) & _BITS_UNCLEAR[kind]) > 0


def all_equal(stored: Raster) -> NDArray[np.bool_]:
    """Pixels that hold one value in all bands; it looks no further when there are none."""
    equal = np.asarray(stored[0] == stored[-1])
    for band in stored[1:-1]:
        if not equal.any():
            break
        equal &= band == stored[0]
    return equal


def check_share(path: Path, impossible: int, pixels: int) -> None:
    """Raise a ``SceneError`` where too many of a product's pixels hold what is no reflectance."""
    if impossible > MOST_IMPOSSIBLE * pixels:
        raise SceneError(
            f"{path}: {impossible / pixels:.1%} of its pixels hold what is no reflectance ({LOWEST} to {HIGHEST}): a "
            "no-data value that is not declared, or values that ran over when an offset was subtracted? Declare it "
            "(`rio edit-info --nodata VALUE FILE`), or write the file again"
        )
