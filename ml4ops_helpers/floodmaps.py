"""Flood maps: what changed between two dates, how large it is, and its outlines for a GIS.

Not observed is not the same as not flooded: what cloud hides stays a class of its own, everywhere.
Explained in ``08_map_the_flood``.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from rasterio.features import shapes
from scipy import ndimage

from ml4ops_helpers.classmaps import OUTSIDE, ClassMap, align
from ml4ops_helpers.conformal import Area, expected_area
from ml4ops_helpers.grids import LONGITUDE_LATITUDE, Grid, pixel_areas
from ml4ops_helpers.rasters import SceneError, replacing, write_raster
from ml4ops_helpers.sentinel2 import LAND, PERMANENT_WATER, WATER, Float

NOT_OBSERVED, DRY, PERMANENT, FLOOD, RECEDED, UNKNOWN_BEFORE = range(6)
"""Codes of a change map."""
CHANGES: tuple[str, ...] = (
    "not observed",
    "not flooded",
    "permanent water",
    "new flood",
    "receded",
    "water, before unknown",
)
_ROWS = 512
"""Rows whose areas are in memory at once."""
_DECIMALS = 7
"""Of a degree in GeoJSON: a centimetre."""
_DRIVERS = {".gpkg": "GPKG", ".geojson": "GeoJSON"}


def difference(pre: ClassMap, post: ClassMap, permanent: ClassMap | None = None) -> ClassMap:
    r"""What changed between two dates, on the grid of the later map.

    ===================  =====================  ================================  ========================
    after \ before        land                   water, or permanent in the layer  not seen
    ===================  =====================  ================================  ========================
    water                new flood              permanent water                   water, before unknown
    land                 not flooded            receded (water was seen before)   not flooded
    cloud or invalid     not observed           not observed                      not observed
    ===================  =====================  ================================  ========================

    A layer of permanent water settles what was before where the earlier image saw nothing. Seasonal water in it
    counts as land.

    Args:
        pre: before the flood; brought onto the grid of ``post`` whatever its CRS.
        post: during or after it.
        permanent: layer of permanent water, from ``read_permanent``.

    Returns:
        A map of the codes of ``CHANGES``.

    Raises:
        SceneError: the maps lie in different places.

    >>> from affine import Affine
    >>> grid = Grid((1, 6), "EPSG:32630", Affine(10, 0, 500_000, 0, -10, 4_000_000))
    >>> pre, post = (ClassMap(np.array([row], np.uint8), grid) for row in ([1, 2, 2, 1, 3, 1], [2, 2, 1, 1, 2, 3]))
    >>> [CHANGES[code] for code in difference(pre, post).codes[0]]  # doctest: +NORMALIZE_WHITESPACE
    ['new flood', 'permanent water', 'receded', 'not flooded', 'water, before unknown', 'not observed']
    """
    before = align(pre, post.grid)
    shape = post.grid.shape
    layer = np.full(shape, OUTSIDE, np.uint8) if permanent is None else align(permanent, post.grid, OUTSIDE).codes
    always = layer == PERMANENT_WATER
    was_water = (before.codes == WATER) | (always & ~before.seen)
    known = before.seen | (layer != OUTSIDE)
    wet, dry = post.codes == WATER, post.codes == LAND
    codes = np.full(shape, NOT_OBSERVED, np.uint8)
    codes[dry] = DRY
    codes[dry & was_water] = RECEDED
    codes[wet] = UNKNOWN_BEFORE
    codes[wet & known] = FLOOD
    codes[wet & (was_water | always)] = PERMANENT
    return ClassMap(codes, post.grid, f"{pre.name} to {post.name}", post.day)


def code_areas(codes: NDArray[np.integer], grid: Grid, number: int = len(CHANGES)) -> NDArray[np.float64]:
    """True area under each code, square kilometres.

    Args:
        codes: integers from 0, ``(height, width)``.
        grid: where they lie.
        number: how many codes there are.
    """
    total = np.zeros(number)
    for start in range(0, grid.shape[0], _ROWS):
        rows = slice(start, start + _ROWS)
        total += np.bincount(codes[rows].ravel(), pixel_areas(grid, rows).ravel(), minlength=number)
    return total / 1e6


def change_areas(change: ClassMap) -> pd.DataFrame:
    """Area of every kind of change: ``km2`` and ``percent`` of the map, a row for each of ``CHANGES``."""
    km2 = code_areas(change.codes, change.grid)
    return pd.DataFrame({"km2": km2, "percent": 100 * km2 / km2.sum()}, pd.Index(CHANGES, name="change"))


class Bounds(NamedTuple):
    """Least and most, in the unit of what was bounded."""

    low: float
    high: float


def flood_bounds(areas: pd.DataFrame) -> Bounds:
    """Least and most new flood that the images allow, square kilometres, if the classes are right.

    Args:
        areas: from ``change_areas``.

    Returns:
        Low: what was seen to be flooded. High: all that was not observed, and all water of unknown past, besides.

    >>> flood_bounds(pd.DataFrame({"km2": [5.0, 80, 10, 3, 1, 1]}, list(CHANGES)))
    Bounds(low=3.0, high=9.0)
    """
    km2 = areas["km2"].to_dict()
    seen = float(km2[CHANGES[FLOOD]])
    return Bounds(seen, seen + float(km2[CHANGES[NOT_OBSERVED]] + km2[CHANGES[UNKNOWN_BEFORE]]))


def expected_flood(change: ClassMap, water: Float) -> Area:
    """New flood to be expected from the probability of water, in what the later image shows, square kilometres.

    Args:
        change: from ``difference``.
        water: probability of water given that the ground is seen, on the grid of the change.

    Returns:
        What ``conformal.area_interval`` takes: the sum over all ground that was not water before, and its doubt.
    """
    possible = np.isin(change.codes, (DRY, FLOOD))
    return expected_area(water, possible, float(pixel_areas(change.grid).mean()) / 1e6)


def vectorise(
    found: ClassMap, names: Sequence[str] = CHANGES, *, codes: Sequence[int] | None = None,
    min_area: float = 0, simplify: float = 0,
) -> gpd.GeoDataFrame:  # fmt: skip
    """Outlines of the patches of a map: connected pixels of one code, by their edges.

    Args:
        found: codes on a grid.
        names: name of each code.
        codes: which to outline; default all but 0.
        min_area: minimum mapping unit, m²; smaller patches are left out. Holes stay, however small; so do patches of
            code 0: nothing is known of them, and leaving one out would claim something.
        simplify: how far an outline may move, metres; 0 keeps the edges of the pixels (Douglas & Peucker 1973,
            DOI 10.3138/FM57-6770-U75U-7727). Outlines of neighbours may then overlap or part by as much.

    Returns:
        One row a patch, the largest first, in the CRS of the map: ``class``, ``area_km2`` (of its pixels, in an
        equal-area projection, before simplification) and ``geometry``, valid polygons with their holes.

    Raises:
        ValueError: a size is negative.
    """
    if min_area < 0 or simplify < 0:
        raise ValueError(f"min_area {min_area} m² and simplify {simplify} m must be 0 or more")
    wanted = range(1, len(names)) if codes is None else codes
    parts = [_patches(found, code, names[code], min_area if code else 0) for code in wanted]
    rows = [row for part in parts for row in part]
    frame = gpd.GeoDataFrame(rows, columns=["class", "area_km2", "geometry"], geometry="geometry", crs=found.grid.crs)
    frame = frame.sort_values("area_km2", ascending=False, kind="stable", ignore_index=True)
    frame["geometry"] = _simplified(frame.geometry, found.grid, simplify)
    return frame


def _patches(found: ClassMap, code: int, name: str, min_area: float) -> list[tuple[str, float, shapely.Geometry]]:
    """Name, area and outline of the patches of one code that are large enough."""
    labels, number = ndimage.label(found.codes == code)
    sizes = code_areas(labels, found.grid, number + 1)
    keep = (sizes * 1e6 >= min_area)[labels] & (labels > 0)
    outlines = shapes(labels.astype(np.int32, copy=False), mask=keep, transform=found.grid.transform)
    return [(name, float(sizes[int(label)]), shapely.geometry.shape(outline)) for outline, label in outlines]


def _simplified(outlines: gpd.GeoSeries, grid: Grid, tolerance: float) -> gpd.GeoSeries:
    """Outlines moved by at most the tolerance in metres, whatever the CRS; repaired where they cross themselves.

    A patch so small that half of it would go keeps its pixels.
    """
    if tolerance and len(outlines):
        metric = outlines.to_crs(grid.metric_crs())
        simple = metric.simplify(tolerance, preserve_topology=True)
        outlines = simple.where(simple.area > metric.area / 2, metric).to_crs(grid.crs)
    broken = ~outlines.is_valid
    outlines[broken] = [_polygons(shapely.make_valid(outline)) for outline in outlines[broken]]
    return outlines


def _rounded(outlines: gpd.GeoSeries) -> gpd.GeoSeries:
    """Outlines in degrees with as many decimals as GeoJSON keeps, so that rounding breaks none when it is written."""
    valid = [_polygons(shapely.make_valid(outline)) for outline in outlines]
    return gpd.GeoSeries(shapely.set_precision(valid, 10.0**-_DECIMALS), outlines.index, crs=outlines.crs)


def _polygons(geometry: shapely.Geometry) -> shapely.Geometry:
    """What of a geometry has an area: repairing an outline can leave lines and points behind."""
    parts = [part for part in shapely.get_parts(geometry) if part.geom_type in ("Polygon", "MultiPolygon")]
    return parts[0] if len(parts) == 1 else shapely.union_all(parts)


def write_vectors(path: Path | str, outlines: gpd.GeoDataFrame) -> Path:
    """Write outlines for a GIS.

    Args:
        path: ``.gpkg`` (GeoPackage, in the CRS of the outlines) or ``.geojson`` (RFC 7946: longitude and latitude).
        outlines: from ``vectorise``.

    Returns:
        The path; the file appears when it is whole.

    Raises:
        SceneError: the outlines have no CRS.
        ValueError: the ending is another.
    """
    path = Path(path)
    if path.suffix not in _DRIVERS:
        raise ValueError(f"{path}: cannot write {path.suffix or 'a file without ending'}; choose .gpkg or .geojson")
    if outlines.crs is None:
        raise SceneError(f"{path}: outlines without coordinate reference system; set it with outlines.set_crs(…)")
    options: dict[str, object] = {"engine": "pyogrio", "driver": _DRIVERS[path.suffix]}
    if path.suffix == ".geojson":
        outlines = outlines.to_crs(LONGITUDE_LATITUDE)
        outlines["geometry"] = _rounded(outlines.geometry)
        options |= {"RFC7946": "YES", "COORDINATE_PRECISION": _DECIMALS}
    else:
        options["layer"] = "flood"
    content = io.BytesIO()
    outlines.to_file(content, **options)
    with replacing(path) as temporary:
        temporary.write_bytes(content.getvalue())
    return path


def write_change(path: Path | str, change: ClassMap) -> Path:
    """Write a change map as GeoTIFF; 0, not observed, is its no-data value."""
    tags = {"CHANGES": ", ".join(f"{code} {name}" for code, name in enumerate(CHANGES))}
    where = {"crs": change.grid.crs, "transform": change.grid.transform}
    return write_raster(path, change.codes, names=["change"], nodata=NOT_OBSERVED, tags=tags, **where)
