"""Outlines of class maps: polygons with areas, written as GeoPackage or GeoJSON. Explained in ``08_map_the_flood``."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np
import shapely
from rasterio.features import shapes
from scipy import ndimage

from ml4ops_helpers.mapping.floodmaps import CHANGES, code_areas
from ml4ops_helpers.scenes.grids import LONGITUDE_LATITUDE, Grid
from ml4ops_helpers.scenes.rasters import SceneError, replacing

if TYPE_CHECKING:
    from ml4ops_helpers.mapping.classmaps import ClassMap

_DECIMALS = 7
"""Of a degree in GeoJSON: a centimetre."""
_DRIVERS = {".gpkg": "GPKG", ".geojson": "GeoJSON"}


def vectorise(
    found: ClassMap, names: Sequence[str] = CHANGES, *, codes: Sequence[int] | None = None,
    min_area: float = 0, simplify: float = 0,
) -> gpd.GeoDataFrame:  # fmt: skip
    """Outlines of the patches of a map: connected pixels of one code, by their edges.

    Args:
        found: codes on a grid.
        names: name of each code.
        codes: which to outline; default all but 0.
        min_area: minimum mapping unit, m²; smaller patches are dropped. Holes stay, however small; so do patches of
            code 0: dropping one would claim something about ground that nobody saw.
        simplify: how far an outline may move, metres; 0 keeps the edges of the pixels (Douglas & Peucker 1973,
            DOI 10.3138/FM57-6770-U75U-7727). Outlines of neighbours may then overlap or part by as much.

    Returns:
        One row per patch, the largest first, in the CRS of the map: ``class``, ``area_km2`` (of its pixels, in an
        equal-area projection, before simplification) and ``geometry``, valid polygons with their holes.
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
    """The parts of a geometry that have an area: repairing an outline can leave lines and points behind."""
    parts = [part for part in shapely.get_parts(geometry) if part.geom_type in ("Polygon", "MultiPolygon")]
    return parts[0] if len(parts) == 1 else shapely.union_all(parts)


def write_vectors(path: Path | str, outlines: gpd.GeoDataFrame) -> Path:
    """Write outlines for a GIS; the file appears when it is whole.

    Args:
        path: ``.gpkg`` (GeoPackage, in the CRS of the outlines) or ``.geojson`` (RFC 7946: longitude and latitude).
        outlines: from ``vectorise``; ``SceneError`` if they have no CRS.
    """
    path = Path(path)
    if path.suffix not in _DRIVERS:
        raise ValueError(f"{path}: cannot write {path.suffix or 'a file without suffix'}; choose .gpkg or .geojson")
    if outlines.crs is None:
        raise SceneError(f"{path}: outlines without a coordinate reference system; set it with outlines.set_crs(…)")
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
