"""Scenes and labels: read them from disk and reject what would spoil training.

A scene is a Sentinel-2 Level-1C image in digital numbers; a label is its ground truth in the two-channel (version 2)
code. Explained in ``02_explore_the_data``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from rasterio.crs import CRS
from rasterio.windows import Window

from ml4ops_helpers.scenes.rasters import Raster, SceneError, open_raster
from ml4ops_helpers.scenes.sentinel2 import BANDS, CLOUD, Codes, Float, select_bands, to_reflectance

OFFSETS = (0, -1000)
"""Values of ``RADIO_ADD_OFFSET``: before processing baseline 04.00, and since."""
_CIRRUS_WITH_OFFSET = 950
"""Without the offset, the cirrus band is almost dark somewhere in any scene; with it, nothing is below about 1000."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A Sentinel-2 scene, or a window of one.

    Attributes:
        image: digital numbers as stored, ``(bands, height, width)``.
        bands: names of the bands, in order.
        crs: coordinate reference system.
        transform: from pixel to CRS coordinates.
        valid: bool ``(height, width)``; False where no band has data.
        offset: ``RADIO_ADD_OFFSET``, 0 or −1000.
        path: its file.
    """

    image: Raster
    bands: tuple[str, ...]
    crs: CRS
    transform: Affine
    valid: NDArray[np.bool_]
    offset: int
    path: Path

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return self.valid.shape[0], self.valid.shape[1]

    def reflectance(self) -> Float:
        """Top-of-atmosphere reflectance, float32 ``(bands, height, width)``; NaN where the scene has no data."""
        x = to_reflectance(self.image, self.offset)
        x[:, ~self.valid] = np.nan
        return x


def read_scene(
    path: Path | str,
    bands: str | Sequence[str] | None = None,
    *,
    window: Window | None = None,
    offset: int | None = None,
    names: Sequence[str] | None = None,
) -> Scene:
    """Read a scene and check it.

    Args:
        path: a GeoTIFF of digital numbers.
        bands: bands to read, a key of ``BAND_SETS`` or band names; default all of the file's.
        window: pixels to read; default all.
        offset: ``RADIO_ADD_OFFSET`` of the product (0 or −1000) where the file has no such tag.
        names: names of the file's bands, in order, where the file neither names them nor has all thirteen.

    Raises:
        SceneError: the file cannot be read, has unknown bands, a non-integer type, no CRS or transform, no data,
            values that are not digital numbers, or an undeclared baseline offset.
        ValueError: ``bands`` names a band that does not exist.
    """
    path = Path(path)
    wanted = None if bands is None else select_bands(bands)
    with open_raster(path) as source:
        _check_header(path, source)
        available = _band_names(path, source, names)
        chosen = available if wanted is None else wanted
        missing = [b for b in chosen if b not in available]
        if missing:
            raise SceneError(f"{path}: no band {', '.join(missing)}; the file has {', '.join(available)}")
        found = _baseline_offset(path, source, available, offset)
        image = source.read([available.index(b) + 1 for b in chosen], window=window)
        transform = source.transform if window is None else source.window_transform(window)
        valid = ((image != 0) & (image != (source.nodata or 0))).any(axis=0)
        if window is None:
            _check_values(path, image, valid, chosen)
        return Scene(image, tuple(chosen), source.crs, transform, valid, found, path)


def _check_header(path: Path, source: rasterio.DatasetReader) -> None:
    dtype = np.dtype(source.dtypes[0])
    if dtype not in (np.uint16, np.int16, np.uint32, np.int32):
        gaps = ", with NaN" if dtype.kind == "f" and np.isnan(source.read()).any() else ""
        raise SceneError(
            f"{path}: {dtype} values{gaps}; expected digital numbers (reflectance × 10 000) as 16- or 32-bit integers, "
            "0 where there are no data: convert and write it again"
        )
    check_georeference(path, source)


def check_georeference(path: Path, source: rasterio.DatasetReader) -> None:
    """Raise ``SceneError`` if a raster has no CRS or no transform."""
    if source.crs is None:
        raise SceneError(
            f"{path}: no coordinate reference system; set it, for example `rio edit-info --crs EPSG:32630`"
        )
    if source.transform.is_identity:
        raise SceneError(f"{path}: no geotransform, so its location is unknown; export it again, georeferenced")


def _band_names(path: Path, source: rasterio.DatasetReader, names: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the file's bands: as passed, else its descriptions, else all thirteen in order."""
    if names is not None:
        found = tuple(names)
    elif all(source.descriptions):
        found = tuple(source.descriptions)
    elif source.count == len(BANDS):
        found = BANDS
    else:
        raise SceneError(f"{path}: {source.count} bands without names, expected 13 (B1…B12); pass names=… to name them")
    if len(found) != source.count or len(set(found)) != len(found) or not set(found) <= set(BANDS):
        raise SceneError(
            f"{path}: {source.count} bands, named {', '.join(found)}; expected one Sentinel-2 name a band, "
            f"from {', '.join(BANDS)}: pass names=…"
        )
    return found


def _baseline_offset(path: Path, source: rasterio.DatasetReader, available: tuple[str, ...], given: int | None) -> int:
    """The offset that the file's tag or the caller declares; 0 where neither does and the cirrus band agrees."""
    tag = source.tags().get("RADIO_ADD_OFFSET")
    try:
        declared = given if tag is None else int(float(tag))
    except ValueError:
        raise SceneError(f"{path}: tag RADIO_ADD_OFFSET is {tag!r}, expected 0 or -1000; correct the tag") from None
    if given is not None and given != declared:
        raise SceneError(f"{path}: offset={given} passed, but its tag RADIO_ADD_OFFSET is {declared}; correct one")
    if declared is not None and declared not in OFFSETS:
        raise SceneError(f"{path}: RADIO_ADD_OFFSET {declared} is unknown; it is 0 or -1000")
    low, high = _cirrus_range(source, available)
    if declared is None and low >= _CIRRUS_WITH_OFFSET:
        raise SceneError(
            f"{path}: no cirrus value (B10) below {_CIRRUS_WITH_OFFSET}: it carries the +1000 of processing baseline "
            "04.00 undeclared; pass offset=-1000 (or offset=0 if the product's metadata declare it)"
        )
    if declared == -1000 and high < _CIRRUS_WITH_OFFSET:
        raise SceneError(
            f"{path}: no cirrus value (B10) above {_CIRRUS_WITH_OFFSET}: RADIO_ADD_OFFSET -1000 is declared, but the "
            "values do not carry it; pass offset=0, or correct the tag"
        )
    return declared or 0


def _cirrus_range(source: rasterio.DatasetReader, available: tuple[str, ...]) -> tuple[float, float]:
    """1st and 99th percentile of the cirrus band over a thumbnail; 0 and infinity where it has no data."""
    if "B10" not in available:
        return 0, np.inf
    thumbnail = tuple(min(n, 256) for n in source.shape)
    cirrus = source.read(available.index("B10") + 1, out_shape=thumbnail)
    cirrus = cirrus[(cirrus != 0) & (cirrus != (source.nodata or 0))]
    if not cirrus.size:
        return 0, np.inf
    low, high = np.percentile(cirrus, (1, 99))
    return float(low), float(high)


def _check_values(path: Path, image: Raster, valid: NDArray[np.bool_], bands: Sequence[str]) -> None:
    if not valid.any():
        raise SceneError(f"{path}: no data at all, every pixel is 0 or no-data; leave the file out")
    low, high, mean = image.min(where=valid, initial=0), image.max(where=valid, initial=0), image.mean(where=valid)
    picture = high <= 255 and bool({"B1", "B2", "B3", "B4"} & set(bands))
    if low < 0 or mean > 20_000 or picture:
        raise SceneError(
            f"{path}: values {low} to {high}, mean {mean:.0f}, are not digital numbers of Level-1C "
            "(reflectance × 10 000, no-data 0); export it again"
        )


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
