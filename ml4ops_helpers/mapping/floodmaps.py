"""Flood maps: what changed between two dates, how large it is, and its outlines for a GIS.

Not observed does not mean not flooded: what cloud hides stays a class of its own, everywhere.
Explained in ``08_map_the_flood``.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml4ops_helpers.mapping.classmaps import NO_OBSERVATION, OUTSIDE, ClassMap, align
from ml4ops_helpers.scenes.grids import Grid, pixel_areas
from ml4ops_helpers.scenes.rasters import write_raster
from ml4ops_helpers.scenes.sentinel2 import LAND, PERMANENT_WATER, WATER, Float
from ml4ops_helpers.uncertainty.areas import Area, expected_area

NOT_OBSERVED, DRY, PERMANENT, FLOOD, RECEDED, UNKNOWN_BEFORE = range(6)
"""Codes of a change map."""
CHANGES = ("not observed", "not flooded", "permanent water", "new flood", "receded", "water, before unknown")
_ROWS = 512
"""Rows whose areas are in memory at once."""


def difference(pre: ClassMap, post: ClassMap, permanent: ClassMap | None = None) -> ClassMap:
    r"""What changed between two dates, on the grid of the later map.

    ===================  =====================  ================================  ========================
    after \ before        land                   water, or permanent in the layer  not seen
    ===================  =====================  ================================  ========================
    water                new flood              permanent water                   water, before unknown
    land                 not flooded            receded (water was seen before)   not flooded
    cloud or invalid     not observed           not observed                      not observed
    ===================  =====================  ================================  ========================

    A layer of permanent water decides where the earlier image saw nothing, except where it has no observation itself
    (code 0). Seasonal water in it counts as land.

    Args:
        pre: before the flood; brought onto the grid of ``post`` whatever its CRS.
        post: during or after it.
        permanent: layer of permanent water, from ``read_permanent``.

    Returns:
        A map of the codes of ``CHANGES``; ``SceneError`` if the maps lie in different places.

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
    known = before.seen | ~np.isin(layer, (NO_OBSERVATION, OUTSIDE))
    wet, dry = post.codes == WATER, post.codes == LAND
    codes = np.full(shape, NOT_OBSERVED, np.uint8)
    codes[dry] = DRY
    codes[dry & was_water] = RECEDED
    codes[wet] = UNKNOWN_BEFORE
    codes[wet & known] = FLOOD
    codes[wet & (was_water | always)] = PERMANENT
    return ClassMap(codes, post.grid, f"{pre.name} to {post.name}", post.day)


def code_areas(codes: NDArray[np.integer], grid: Grid, number: int = len(CHANGES)) -> NDArray[np.float64]:
    """True area under each of ``number`` codes from 0, square kilometres."""
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
    """Lower and upper bound, in the unit of what is bounded."""

    low: float
    high: float


def flood_bounds(areas: pd.DataFrame) -> Bounds:
    """Least and most new flood that the images allow, square kilometres, if the classes are right.

    The least is what was seen to be flooded; the most adds all that was not observed and all water of unknown past.

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
        water: probability of water given that the ground is seen, on the grid of the change; summed over all ground
            that was not water before.
    """
    possible = np.isin(change.codes, (DRY, FLOOD))
    return expected_area(water, possible, float(pixel_areas(change.grid).mean()) / 1e6)


def write_change(path: Path | str, change: ClassMap) -> Path:
    """Write a change map as GeoTIFF; 0, not observed, is its no-data value."""
    tags = {"CHANGES": ", ".join(f"{code} {name}" for code, name in enumerate(CHANGES))}
    where = {"crs": change.grid.crs, "transform": change.grid.transform}
    return write_raster(path, change.codes, names=["change"], nodata=NOT_OBSERVED, tags=tags, **where)
