"""Raster files: open and write GeoTIFFs, read windows of them.

Arrays are band-first, ``(bands, height, width)``. What a scene or a label must look like is in ``scene``.
Explained in ``02_explore_the_data``.
"""

from __future__ import annotations

import os
import re
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

Raster = NDArray[Any]


class SceneError(ValueError):
    """A file cannot be used; the message names it, says what is wrong and what to do."""


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Replace a file atomically: yield a temporary path beside it, rename that at the end, remove it on an error.

    Args:
        path: the file to write; its folder is made if missing.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "a.txt") as temporary:
    ...         _ = temporary.write_text("whole")
    ...     [(f.name, f.read_text()) for f in Path(folder).iterdir()]
    [('a.txt', 'whole')]
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


FORMATS = ("GTiff", "JP2OpenJPEG", "VRT", "HFA", "ENVI", "netCDF")
"""GDAL's names of the formats that are read; others, such as JPEG and PNG, lose values or places."""
UNKNOWN = "a GeoTIFF (or JPEG 2000, VRT, Imagine, ENVI, netCDF); convert it: `rio convert FILE OUT.tif`"


@contextmanager
def open_raster(path: Path | str) -> Iterator[rasterio.DatasetReader]:
    """Open a raster for reading; rasterio's errors inside the block become a ``SceneError``.

    Args:
        path: the file, or what GDAL opens within a zip or tar file (``/vsizip/…``, ``/vsitar/…``).

    Raises:
        SceneError: the file is missing, truncated or of another format (a renamed JPEG, say).
    """
    try:
        with _open(path) as source:
            yield source
    except RasterioError as error:
        raise unreadable(path, error) from error


def _open(path: Path | str) -> rasterio.DatasetReader:
    if not str(path).startswith(("/vsizip/", "/vsitar/")) and not Path(path).is_file():
        raise SceneError(f"{path}: no such file; check the path")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        source = rasterio.open(path)
    if source.driver not in FORMATS:
        source.close()
        raise SceneError(f"{_as_typed(path)}: {source.driver}, expected {UNKNOWN}")
    return source


def _as_typed(path: Path | str) -> str:
    """A file within another as a user knows it."""
    return re.sub("^/vsi(zip|tar)/", "", str(path))


def unreadable(path: Path | str, error: RasterioError) -> SceneError:
    """The error that a user sees when GDAL fails on a file."""
    path, cause = _as_typed(path), error.__cause__ or error
    if "not recognized as being in a supported file format" in str(cause):
        return SceneError(f"{path}: not readable, expected {UNKNOWN}")
    if "ENVI header file" in str(cause):
        whole = Path(path).with_suffix("")
        beside = [file for end in ("", ".img", ".dat", ".bsq") if (file := Path(f"{whole}{end}")).is_file()]
        lost = f"put the file that it describes beside it, {whole.name} or {whole.name}.img, .dat, .bsq, and pass that"
        return SceneError(f"{path}: the header of an ENVI file; {f'pass {beside[0]}' if beside else lost}")
    if found := re.match(r"'?(.+?)'?(: No such file or directory| does not exist in the file system)", str(cause)):
        return SceneError(f"{path}: it refers to {found[1]}, which is missing; put that there, or make the file again")
    return SceneError(f"{path}: not readable ({cause}), cut short or damaged; fetch it again")


def check_georeference(path: Path, source: rasterio.DatasetReader) -> None:
    """Raise ``SceneError`` if a raster has no CRS or no transform."""
    if source.crs is None:
        raise SceneError(
            f"{path}: no coordinate reference system; set it, for example `rio edit-info --crs EPSG:32630`"
        )
    if source.transform.is_identity:
        raise SceneError(f"{path}: no geotransform, so its location is unknown; export it again, georeferenced")


def write_raster(
    path: Path | str,
    array: ArrayLike,
    *,
    crs: CRS | str | int,
    transform: Affine,
    names: Sequence[str] | None = None,
    nodata: float | None = None,
    tags: Mapping[str, object] | None = None,
) -> Path:
    """Write a tiled, compressed GeoTIFF, atomically.

    Bands are stored separately, so that reading five of thirteen decodes five; level 1 of Zstandard writes and reads
    faster than Deflate and is as small (``benchmarks/windows.py``).

    Args:
        path: the file to write; an existing one is replaced.
        array: ``(bands, height, width)`` or ``(height, width)``, an integer or floating type.
        crs: coordinate reference system, anything that rasterio understands.
        transform: from pixel to CRS coordinates.
        names: band descriptions, one a band.
        nodata: value of pixels without data.
        tags: dataset tags, such as ``{"RADIO_ADD_OFFSET": -1000}``.

    Returns:
        The path.

    Raises:
        ValueError: the array has other than two or three dimensions, or not one name a band.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ones, grid = np.ones((4, 4), np.uint8), Affine.scale(10)
    ...     path = write_raster(Path(folder) / "a.tif", ones, crs="EPSG:32630", transform=grid)
    ...     with open_raster(path) as source:
    ...         source.shape
    (4, 4)
    """
    x = np.asarray(array)
    x = x[None] if x.ndim == 2 else x
    if x.ndim != 3 or (names is not None and len(names) != len(x)):
        raise ValueError(f"{path}: expected (bands, height, width) and one name a band, got {x.shape} and {names}")
    predictor = 3 if np.issubdtype(x.dtype, np.floating) else 2
    layout = {"tiled": True, "blockxsize": 256, "blockysize": 256, "interleave": "band", "predictor": predictor}
    size = {"count": x.shape[0], "height": x.shape[1], "width": x.shape[2], "dtype": x.dtype}
    options: dict[str, Any] = size | layout | {"compress": "zstd", "zstd_level": 1}
    with (
        replacing(path) as temporary,
        rasterio.open(temporary, "w", driver="GTiff", crs=crs, transform=transform, nodata=nodata, **options) as sink,
    ):
        sink.write(x)
        sink.descriptions = tuple(names) if names else (None,) * len(x)
        sink.update_tags(**(tags or {}))
    return Path(path)


def tile_windows(shape: tuple[int, int], size: int, stride: int | None = None) -> list[Window]:
    """Square windows that cover a scene, row by row; the last of a row or column is shifted inward.

    Args:
        shape: height and width of the scene, pixels.
        size: side of a window, pixels.
        stride: step between windows, pixels, 1 to ``size``; default ``size``.

    Raises:
        ValueError: a window is larger than the scene, or the stride leaves gaps.

    >>> [(w.row_off, w.col_off) for w in tile_windows((4, 6), 4)]
    [(0, 0), (0, 2)]
    """
    stride = size if stride is None else stride
    if not 0 < size <= min(shape) or not 0 < stride <= size:
        raise ValueError(f"windows of {size} with stride {stride} do not tile a scene of {shape[0]}×{shape[1]} pixels")
    rows, columns = ([*range(0, n - size, stride), n - size] for n in shape)
    return [Window(column, row, size, size) for row in rows for column in columns]


class WindowReader:
    """Read windows of many files; the most recently used files stay open.

    Reopening a file and decoding its tiles again for each window would make a loader slow. A reader can be sent to the
    workers of a ``DataLoader``: each process opens its own handles. Threads take turns.

    Args:
        max_open: number of files kept open.
    """

    def __init__(self, max_open: int = 64) -> None:
        self.max_open = max_open
        self._reset()

    def _reset(self) -> None:
        self._handles: OrderedDict[str, rasterio.DatasetReader] = OrderedDict()
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def read(self, path: Path | str, window: Window | None = None, positions: Sequence[int] | None = None) -> Raster:
        """Values of a window, ``(bands, height, width)`` in the file's type.

        Args:
            path: the GeoTIFF.
            window: pixels to read; default all.
            positions: zero-based band positions; default all bands.

        Raises:
            SceneError: the file cannot be read, or the window extends beyond it.
        """
        with self._borrow(path) as source:
            if window is not None:
                _inside(path, window, source.shape)
            return np.asarray(source.read(None if positions is None else [p + 1 for p in positions], window=window))

    def read_scaled(self, path: str, window: Window, shape: tuple[int, int], positions: Sequence[int]) -> Raster:
        """Values of a window of a grid that covers the same ground as the file.

        Args:
            path: what GDAL opens.
            window: pixels of the grid.
            shape: height and width of the grid; pixels of a coarser file are repeated.
            positions: of bands, from 1, read all at once: interleaved ones would be decoded once for each.

        Returns:
            ``(bands, height, width)`` in the file's type.

        Raises:
            SceneError: the file cannot be read.
        """
        with self._borrow(path) as source:
            size = (len(positions), int(window.height), int(window.width))
            how = {"window": _on(source, window, shape), "out_shape": size, "resampling": Resampling.nearest}
            dtype = np.result_type(*(source.dtypes[p - 1] for p in positions))  # bands of a VRT may differ
            return np.asarray(source.read(list(positions), out_dtype=dtype, **how))

    def read_mask(self, path: str, band: int, window: Window, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """Where the mask of a band says that there are data; arguments and errors as for ``read_scaled``."""
        with self._borrow(path) as source:
            size = (int(window.height), int(window.width))
            return np.asarray(source.read_masks(band, window=_on(source, window, shape), out_shape=size) > 0)

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            while self._handles:
                self._handles.popitem()[1].close()

    @contextmanager
    def _borrow(self, path: Path | str) -> Iterator[rasterio.DatasetReader]:
        """An open file, which no other thread uses meanwhile."""
        if self._pid != os.getpid():
            self._reset()
        with self._lock:
            try:
                yield self._handle(str(path))
            except RasterioError as error:
                raise unreadable(path, error) from error

    def _handle(self, path: str) -> rasterio.DatasetReader:
        if path not in self._handles:
            self._handles[path] = _open(path)
            if len(self._handles) > self.max_open:
                self._handles.popitem(last=False)[1].close()
        self._handles.move_to_end(path)
        return self._handles[path]

    def __getstate__(self) -> dict[str, int]:
        return {"max_open": self.max_open}

    def __setstate__(self, state: dict[str, int]) -> None:
        self.__init__(**state)  # type: ignore[misc]


def _on(source: rasterio.DatasetReader, window: Window, shape: tuple[int, int]) -> Window:
    """A window of a grid as one of a file that covers the same ground."""
    down, across = source.height / shape[0], source.width / shape[1]
    return Window(window.col_off * across, window.row_off * down, window.width * across, window.height * down)


def _inside(path: Path | str, window: Window, shape: tuple[int, int]) -> None:
    bottom, right = window.row_off + window.height, window.col_off + window.width
    if window.row_off < 0 or window.col_off < 0 or bottom > shape[0] or right > shape[1]:
        raise SceneError(f"{path}: {window} extends beyond the scene of {shape[0]}×{shape[1]} pixels")
