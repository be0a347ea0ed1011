"""Grids: where the pixels of a raster lie on Earth, and how large each of them is.

Rasters can be compared pixel by pixel only if they share a grid. Explained in ``08_map_the_flood``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import transform as to_crs, transform_bounds
from rasterio.windows import Window, transform as window_transform

from ml4ops_helpers.scenes.rasters import SceneError

Floats = NDArray[np.float64]
LONGITUDE_LATITUDE = CRS.from_epsg(4326)
_LATTICE = 65
"""Area is computed for this many pixels a side and interpolated between them: it changes slowly over a map."""
_POLAR = 75
"""Latitude of its middle from which a grid may hold the pole, degrees."""
_SAME = 0.01
"""Largest distance between corners of equal grids, pixels."""


@dataclass(frozen=True)
class Grid:
    """Pixels on Earth.

    Attributes:
        shape: height and width, pixels.
        crs: coordinate reference system.
        transform: from pixel (column, row) to CRS coordinates.

    Raises:
        SceneError: the CRS is missing or unknown.
    """

    shape: tuple[int, int]
    crs: CRS
    transform: Affine

    def __post_init__(self) -> None:
        try:
            crs = CRS.from_user_input(self.crs)
        except CRSError as error:
            raise SceneError(f"{self.crs!r} is not a CRS ({error}); pass one such as EPSG:32630") from None
        if not (crs.is_geographic or crs.is_projected):
            known = f"{crs.to_string()} is tied to no place on Earth" if crs else "the grid has no CRS"
            raise SceneError(f"{known}, so its location is unknown; set the CRS of its file, such as EPSG:32630")
        object.__setattr__(self, "crs", crs)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top in CRS coordinates, however the grid is turned."""
        x, y = _apply(self.transform, [0, self.shape[1], self.shape[1], 0], [0, 0, self.shape[0], self.shape[0]])
        return float(x.min()), float(y.min()), float(x.max()), float(y.max())

    @property
    def unit(self) -> str:
        """Unit of the CRS coordinates, in words."""
        return "degree" if self.crs.is_geographic else str(self.crs.linear_units)

    @property
    def side(self) -> float:
        """Length of a pixel's upper edge in CRS coordinates."""
        return math.hypot(self.transform.a, self.transform.d)

    def north_up(self) -> Grid:
        """The same place with north above and east to the right: itself, or for display a grid around it."""
        turned = self.transform.b or self.transform.d or self.transform.a < 0 or self.transform.e > 0
        if not turned:
            return self
        left, bottom, right, top = self.bounds
        side = math.sqrt(abs(self.transform.determinant))
        shape = (math.ceil((top - bottom) / side - _SAME), math.ceil((right - left) / side - _SAME))
        return Grid(shape, self.crs, Affine(side, 0, left, 0, -side, top))

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of the middle, degrees."""
        x, y = _apply(self.transform, self.shape[1] / 2, self.shape[0] / 2)
        (lon,), (lat,) = to_crs(self.crs, LONGITUDE_LATITUDE, [float(x)], [float(y)])
        return float(lon), float(lat)

    def same_as(self, other: Grid) -> bool:
        """Whether the pixels are the same, to a hundredth of a pixel."""
        if self.shape != other.shape or self.crs != other.crs:
            return False
        corners = np.array([(0, self.shape[1], 0), (0, 0, self.shape[0])])
        moved = _apply(~other.transform, *_apply(self.transform, *corners))
        return bool(np.abs(np.subtract(moved, corners)).max() <= _SAME)

    def metric_crs(self) -> CRS:
        """A projection in metres around the middle of the grid (Lambert azimuthal equal-area)."""
        lon, lat = self.centre
        return CRS.from_string(f"+proj=laea +lon_0={lon:.6f} +lat_0={lat:.6f} +datum=WGS84 +units=m")


def _apply(transform: Affine, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Apply an affine transform to coordinates."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return transform.a * x + transform.b * y + transform.c, transform.d * x + transform.e * y + transform.f


def pixel_areas(grid: Grid, rows: slice = slice(None)) -> Floats:
    """Area of each pixel on the ground, in any CRS: degrees, or metres distorted by a map projection.

    Corners are projected to a cylindrical equal-area projection on the WGS 84 ellipsoid (Snyder 1987,
    DOI 10.3133/pp1395).

    Args:
        grid: the grid.
        rows: rows to compute; default all.

    Returns:
        Square metres, float64 ``(rows, width)``.

    >>> degree = Grid((1, 1), LONGITUDE_LATITUDE, Affine(1, 0, 10, 0, -1, 1))  # between the equator and 1° north
    >>> round(pixel_areas(degree)[0, 0] / 1e6)
    12308
    """
    height, width = grid.shape
    at_rows, at_columns = (np.unique(np.linspace(0, n - 1, _LATTICE).astype(int)) for n in grid.shape)
    across = np.array([np.interp(np.arange(width), at_columns, line) for line in _areas_at(grid, at_rows, at_columns)])
    wanted = np.arange(height)[rows]
    place = np.interp(wanted, at_rows, np.arange(len(at_rows)))  # fractional row of the lattice
    below, above = np.floor(place).astype(int), np.ceil(place).astype(int)
    weight = (place - below)[:, None]
    return np.asarray(across[below] * (1 - weight) + across[above] * weight)


def _areas_at(grid: Grid, rows: NDArray[np.int_], columns: NDArray[np.int_]) -> Floats:
    """Areas of the pixels at these rows and columns, by the shoelace formula."""
    equal_area = CRS.from_string(f"+proj=cea +lon_0={grid.centre[0]:.6f} +datum=WGS84 +units=m")
    if grid.crs.is_projected and abs(grid.centre[1]) > _POLAR:  # a cylinder tears the pole apart
        equal_area = grid.metric_crs()
    c, r = np.meshgrid(columns, rows)
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    x, y = _apply(grid.transform, c[..., None] + corners[:, 0], r[..., None] + corners[:, 1])
    flat = to_crs(grid.crs, equal_area, np.ravel(x), np.ravel(y))
    easting, northing = (np.reshape(values, (*c.shape, 4)) for values in flat)
    dx, dy = easting - easting[..., :1], northing - northing[..., :1]  # small numbers keep more digits
    doubled = (dx * np.roll(dy, -1, -1) - np.roll(dx, -1, -1) * dy).sum(axis=-1)
    return np.asarray(np.abs(doubled) / 2)


def union_grid(grids: Iterable[Grid]) -> Grid:
    """The grid that covers all grids (one or more, in any CRS), with the CRS, pixels and alignment of the first."""
    first, *others = grids
    boxes = [first.bounds, *(transform_bounds(g.crs, first.crs, *g.bounds) for g in others)]
    left, bottom, right, top = np.transpose(boxes)
    columns, rows = _apply(~first.transform, np.array([left, left, right, right]), np.array([bottom, top, bottom, top]))
    low = [math.floor(float(values.min()) + _SAME) for values in (columns, rows)]
    high = [math.ceil(float(values.max()) - _SAME) for values in (columns, rows)]
    window = Window(*low, high[0] - low[0], high[1] - low[1])
    return Grid((window.height, window.width), first.crs, window_transform(window, first.transform))
