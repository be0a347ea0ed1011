"""Satellite products as delivered: GeoTIFFs of Sentinel-2 or Landsat 8/9, ``.SAFE`` folders, folders of Landsat bands.

A product is read as reflectance, window by window, in the bands that a network needs. What is ambiguous is rejected
with a question, never guessed. Explained in ``05_run_inference``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.windows import Window

from ml4ops_helpers.scenes.rasters import SceneError, open_raster, unreadable
from ml4ops_helpers.scenes.scaling import LANDSAT_SCALING, Scaling, decide_scaling
from ml4ops_helpers.scenes.scene import check_georeference
from ml4ops_helpers.scenes.sentinel2 import BAND_SETS, BANDS, Float

LANDSAT: dict[str, str] = {
    "SR_B2": "B2",
    "SR_B3": "B3",
    "SR_B4": "B4",
    "SR_B5": "B8",
    "SR_B6": "B11",
    "SR_B7": "B12",
}
"""Surface reflectance bands of Landsat 8 and 9, and the Sentinel-2 band that each corresponds to."""

Layers = tuple[tuple[rasterio.DatasetReader, int], ...]


@dataclass(frozen=True, eq=False)
class Product:
    """An open product.

    Attributes:
        path: file or folder.
        shape: height and width, pixels of the finest band.
        crs: coordinate reference system.
        transform: from pixel to CRS coordinates.
        layers: file and one-based position of each requested band.
        scaling: from stored values to reflectance.
    """

    path: Path
    shape: tuple[int, int]
    crs: CRS
    transform: Affine
    layers: Layers
    scaling: Scaling

    def read(self, window: Window) -> Float:
        """Reflectance of a window, float32 ``(bands, height, width)``; NaN where no band has data."""
        values, missing = self.stored(window)
        reflectance = values * np.float32(self.scaling.factor) + np.float32(self.scaling.addend)
        reflectance[:, missing] = np.nan
        return np.asarray(reflectance, np.float32)

    def stored(self, window: Window) -> tuple[Float, NDArray[np.bool_]]:
        """Stored values of a window, and a mask of the pixels where no band has data."""
        values = np.empty((len(self.layers), window.height, window.width), np.float32)
        missing = np.ones(values.shape[1:], bool)
        start = 0
        for source, group in groupby(self.layers, key=lambda layer: layer[0]):
            bands = [band for _, band in group]
            part = values[start : start + len(bands)]
            _read(source, bands, window, self.shape, part)
            for value in part:
                missing &= np.isnan(value) | (value == 0) | (value == (source.nodata or 0))
            start += len(bands)
        return values, missing


def _read(source: rasterio.DatasetReader, bands: list[int], window: Window, shape: tuple[int, int], out: Float) -> None:
    """Fill ``out`` from a file; pixels coarser than the grid's are repeated.

    All bands at once: interleaved bands read one by one would decode the file once for each.
    """
    down, across = source.height / shape[0], source.width / shape[1]
    place = Window(window.col_off * across, window.row_off * down, window.width * across, window.height * down)
    try:
        source.read(bands, window=place, out=out, resampling=Resampling.nearest)
    except RasterioError as error:
        raise unreadable(source.name, error) from error


@contextmanager
def open_product(
    path: Path | str, bands: Sequence[str], *, names: Sequence[str] | None = None, offset: int | None = None
) -> Iterator[Product]:
    """Open a product.

    Args:
        path: a GeoTIFF, a ``.SAFE`` folder or a folder of Landsat bands (``…_SR_B2.TIF``, …).
        bands: bands to read, Sentinel-2 names.
        names: bands of a GeoTIFF that doesn't name them, in order: Sentinel-2 names, or ``SR_B2`` … for Landsat.
        offset: ``RADIO_ADD_OFFSET`` of the product (0 or −1000) where the file doesn't declare it.

    Yields:
        The open product.

    Raises:
        SceneError: it cannot be read, lacks a band, is not georeferenced, or its values are ambiguous.
    """
    path = Path(path)
    with ExitStack() as stack:
        if path.suffix == ".SAFE" and path.is_dir():
            yield _safe(stack, path, bands)
        elif path.is_dir():
            yield _landsat(stack, path, bands)
        else:
            yield _geotiff(stack, path, bands, names, offset)


def _product(path: Path, layers: Layers, scaling: Scaling) -> Product:
    grid = max((source for source, _ in layers), key=lambda source: source.width)
    check_georeference(path, grid)
    return Product(path, grid.shape, grid.crs, grid.transform, layers, scaling)


def _geotiff(
    stack: ExitStack, path: Path, bands: Sequence[str], names: Sequence[str] | None, offset: int | None
) -> Product:
    source = stack.enter_context(open_raster(path))
    names = _names(path, source, names)
    available = [LANDSAT.get(name, name) for name in names]
    _check_bands(path, bands, available)
    product = _product(path, tuple((source, available.index(band) + 1) for band in bands), Scaling(1, 0))
    cirrus = tuple((source, i + 1) for i, name in enumerate(names) if name == "B10")  # shows an offset best
    sample = _sample(replace(product, layers=product.layers + cirrus))
    return replace(product, scaling=decide_scaling(path, sample, source, any(n in LANDSAT for n in names), offset))


def _names(path: Path, source: rasterio.DatasetReader, names: Sequence[str] | None) -> Sequence[str]:
    """Names of the bands: as passed, else their descriptions, else the thirteen of Level-1C in order."""
    if names is None and all(source.descriptions):
        names = source.descriptions
    if names is None and source.count == len(BANDS):
        names = BANDS
    if names is None:
        raise SceneError(f"{path}: {source.count} bands without names; name them, such as --bands B2,B3,B4,B8")
    unknown = [name for name in names if name not in BANDS and name not in LANDSAT]
    if len(names) != source.count or len(set(names)) != len(names):
        raise SceneError(f"{path}: {source.count} bands, but names {', '.join(names)}; pass one name a band (--bands)")
    if len(unknown) == len(names):
        raise SceneError(
            f"{path}: bands named {', '.join(names)}; expected Sentinel-2 names ({', '.join(BANDS)}) or Landsat's "
            f"({', '.join(LANDSAT)}): name them with --bands"
        )
    return names


def _check_bands(path: Path, bands: Sequence[str], available: Sequence[str]) -> None:
    missing = [band for band in bands if band not in available]
    if missing:
        raise SceneError(f"{path}: no band {', '.join(missing)}; it has {', '.join(available)}. Choose another model")


def _safe(stack: ExitStack, folder: Path, bands: Sequence[str]) -> Product:
    """The JPEG 2000 files of a Sentinel-2 product, each band at its finest resolution."""
    granules = [granule for granule in folder.glob("GRANULE/*") if granule.is_dir()]
    if len(granules) != 1:
        raise SceneError(f"{folder}: {len(granules)} granules in GRANULE; expected one: unpack the product again")
    files: dict[str, list[Path]] = {}
    for file in sorted(granules[0].glob("IMG_DATA/**/*.jp2")):  # R10m comes before R20m and R60m
        if found := re.search(r"_B(\d\d|8A)(_\d\dm)?$", file.stem):
            files.setdefault(f"B{found[1].lstrip('0')}", []).append(file)
    _check_bands(folder, bands, sorted(files, key=BANDS.index))
    sources = [stack.enter_context(open_raster(files[band][0], "JP2OpenJPEG")) for band in bands]
    return _product(folder, tuple((source, 1) for source in sources), Scaling(1e-4, _safe_offset(folder) * 1e-4))


def _safe_offset(folder: Path) -> int:
    """The offset in the product's metadata, which declare none before processing baseline 04.00."""
    metadata = sorted(folder.glob("MTD_MSIL*.xml"))
    if not metadata:
        raise SceneError(f"{folder}: no MTD_MSIL1C.xml or MTD_MSIL2A.xml; unpack the product again")
    try:
        root = ElementTree.parse(metadata[0]).getroot()
    except ElementTree.ParseError as error:
        raise SceneError(f"{metadata[0]}: not readable ({error}); unpack the product again") from error
    offsets = {int(e.text or 0) for e in root.iter() if e.tag in ("RADIO_ADD_OFFSET", "BOA_ADD_OFFSET")}
    if len(offsets) > 1:
        raise SceneError(f"{metadata[0]}: bands have different offsets, {sorted(offsets)}; this is not supported")
    return offsets.pop() if offsets else 0


def _landsat(stack: ExitStack, folder: Path, bands: Sequence[str]) -> Product:
    """The files of a Landsat 8/9 Collection 2 Level-2 product."""
    files = {
        LANDSAT[name]: file
        for file in sorted(folder.iterdir())
        for name in LANDSAT
        if file.name.upper().endswith((f"_{name}.TIF", f"_{name}.TIFF"))
    }
    if not files:
        raise SceneError(f"{folder}: neither a .SAFE folder nor Landsat bands (…_SR_B2.TIF, Collection 2 Level 2)")
    _check_bands(folder, bands, list(files))
    layers = tuple((stack.enter_context(open_raster(files[band])), 1) for band in bands)
    return _product(folder, layers, LANDSAT_SCALING)


def _sample(product: Product) -> Float:
    """Stored values of pixels with data, ``(bands, n)``: from small windows on a grid, else the first data found."""
    height, width = product.shape
    side = (min(height, 32), min(width, 32))
    # Few windows, one in the middle of each part: each may decode a block.
    starts = [
        ((np.arange(5) + 0.5) / 5 * n - s / 2).clip(0).astype(int) for n, s in zip(product.shape, side, strict=True)
    ]
    spread = (Window(int(column), int(row), side[1], side[0]) for row in starts[0] for column in starts[1])
    values = np.concatenate([_with_data(product, window) for window in spread], axis=1)
    if values.size:
        return values
    everywhere = (
        Window(column, row, min(1024, width - column), min(1024, height - row))
        for row in range(0, height, 1024)
        for column in range(0, width, 1024)
    )
    for window in everywhere:
        if (values := _with_data(product, window)).size:
            return values
    raise SceneError(f"{product.path}: no data, every pixel is 0 or no-data; leave the file out")


def _with_data(product: Product, window: Window) -> Float:
    values, missing = product.stored(window)
    return values[:, ~missing]


def parse_bands(text: str) -> tuple[str, ...]:
    """Band names as written after ``--bands``: a named set, ``landsat``, or names with commas.

    >>> parse_bands("bgri"), parse_bands("B2,B8A"), parse_bands("landsat")[0]
    (('B2', 'B3', 'B4', 'B8'), ('B2', 'B8A'), 'SR_B2')
    """
    if text == "landsat":
        return tuple(LANDSAT)
    return BAND_SETS.get(text) or tuple(name.strip() for name in text.split(","))
