"""Class maps: a code for every pixel of a known grid; read, aligned and merged.

The codes are those of version 1: 0 invalid, 1 land, 2 water, 3 cloud. Explained in ``08_map_the_flood``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.warp import Resampling, reproject

from ml4ops_helpers.scenes.archives import packed_as
from ml4ops_helpers.scenes.grids import Grid, union_grid
from ml4ops_helpers.scenes.rasters import SceneError, check_georeference, open_raster
from ml4ops_helpers.scenes.sentinel2 import CLASS_NAMES, CLOUD, INVALID, LAND, WATER, Codes

NO_OBSERVATION, OUTSIDE = 0, 255
"""Codes of a layer of permanent water where it knows nothing, and of pixels that it does not cover."""


@dataclass(frozen=True, eq=False)
class ClassMap:
    """Codes on a grid; ``SceneError`` if they do not fit it.

    Attributes:
        codes: uint8 ``(height, width)``.
        grid: where they lie.
        name: of the map, for errors and figures.
        day: when the image was taken, if known.
    """

    codes: Codes
    grid: Grid
    name: str = "class map"
    day: date | None = None

    def __post_init__(self) -> None:
        if self.codes.dtype != np.uint8 or self.codes.shape != self.grid.shape:
            given = f"{self.codes.dtype} codes of shape {self.codes.shape}"
            raise SceneError(f"{self.name}: {given} on a grid of {self.grid.shape}; expected uint8 of the same shape")

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Pixels whose ground was seen: land or water, neither cloud nor invalid."""
        return np.isin(self.codes, (LAND, WATER))


def is_class_map(path: Path | str) -> bool:
    """Whether a file holds class codes, not an image: one band of uint8."""
    if Path(path).is_dir() or packed_as(Path(path)):
        return False
    with open_raster(path) as source:
        return bool(source.count == 1 and source.dtypes[0] == "uint8")


def read_class_map(path: Path | str, day: date | None = None) -> ClassMap:
    """Read a class map, as ``ml4ops predict`` writes it: a GeoTIFF of one band of codes.

    Raises:
        SceneError: the file cannot be read, has no georeference, or does not hold class codes.
    """
    meaning = "codes of a class map are 0 invalid, 1 land, 2 water, 3 cloud"
    found, values = _read_codes(path, meaning, len(CLASS_NAMES) - 1)
    if values == {0, 1}:
        raise SceneError(
            f"{path}: a mask of 0 and 1? {meaning}; add 1 to each, or declare that 0 is no data: `rio edit-info "
            "--nodata 0 FILE`"
        )
    return replace(found, name=Path(path).stem, day=day)


def read_permanent(path: Path | str) -> ClassMap:
    """Read a layer of permanent water: 0 no observation, 1 not water, 2 seasonal, 3 permanent.

    Errors as for ``read_class_map``.
    Source: JRC, yearly water classification, Pekel et al. 2016, DOI 10.1038/nature20584.
    """
    meaning = "codes of a permanent-water layer are 0 no observation, 1 not water, 2 seasonal, 3 permanent"
    return _read_codes(path, meaning, 3)[0]


def _read_codes(path: Path | str, meaning: str, highest: int) -> tuple[ClassMap, set[int]]:
    """Codes, 0 where the file says that there are none, and which of them stand elsewhere."""
    with open_raster(path) as source:
        if source.count != 1 or source.dtypes[0] != "uint8":
            raise SceneError(f"{path}: {source.count} bands of {source.dtypes[0]}, expected one of uint8; {meaning}")
        check_georeference(Path(path), source)
        seen = source.dataset_mask() > 0
        codes = np.where(seen, source.read(1), np.uint8(INVALID))
        grid = Grid(source.shape, source.crs, source.transform)
    if codes.max() > highest:
        raise SceneError(f"{path}: codes up to {codes.max()}; {meaning}")
    return ClassMap(codes, grid, str(path)), set(np.unique(codes[seen]).tolist())


def align(found: ClassMap, grid: Grid, outside: int = INVALID) -> ClassMap:
    """Bring codes onto a grid, by the nearest pixel: codes cannot be averaged.

    Args:
        found: the map; returned as it is where the grids agree, in their CRS too.
        grid: to bring it to.
        outside: code of pixels that the map does not cover.

    Raises:
        SceneError: no pixel of the map falls on the grid.
    """
    if found.grid.same_as(grid):
        return found
    codes, reached = np.zeros(grid.shape, np.uint8), np.zeros(grid.shape, np.uint8)
    where = {"src_crs": found.grid.crs, "src_transform": found.grid.transform,
             "dst_crs": grid.crs, "dst_transform": grid.transform, "resampling": Resampling.nearest}  # fmt: skip
    reproject(found.codes, codes, **where)
    reproject(np.ones_like(found.codes), reached, **where)
    if not reached.any():
        lon, lat = found.grid.centre
        other = "{:.3f}° E, {:.3f}° N".format(*grid.centre)
        raise SceneError(f"{found.name}: around {lon:.3f}° E, {lat:.3f}° N, no pixel on the map around {other}; "
                         "pass maps of one place")  # fmt: skip
    return replace(found, codes=np.where(reached, codes, np.uint8(outside)), grid=grid)


def mosaic(maps: Sequence[ClassMap], name: str = "mosaic") -> ClassMap:
    """Merge maps of several scenes or sensors, on the grid of the first extended over all, with the day of the first.

    Args:
        maps: the most trusted or finest first. A pixel takes its code from the first map that saw its ground; it is
            cloud where only cloud was seen, invalid where there is no image.
        name: of the result.
    """
    grid = union_grid(m.grid for m in maps)
    codes = np.full(grid.shape, INVALID, np.uint8)
    for one in reversed(maps):
        aligned = align(one, grid)
        cloud = (aligned.codes == CLOUD) & (codes == INVALID)
        codes = np.where(aligned.seen | cloud, aligned.codes, codes)
    return ClassMap(codes, grid, name, maps[0].day)
