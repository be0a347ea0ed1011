"""Time series of class maps: how far the water reached, when it was first seen, how often the ground was seen at all.

Explained in ``08_map_the_flood``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ml4ops_helpers.mapping.classmaps import ClassMap, align, mosaic
from ml4ops_helpers.scenes.grids import Grid, union_grid
from ml4ops_helpers.scenes.rasters import SceneError
from ml4ops_helpers.scenes.sentinel2 import INVALID, LAND, WATER

NEVER = -1
"""In ``first_water`` and ``last_dry``: on none of the days."""


@dataclass(frozen=True, eq=False)
class FloodSeries:
    """Summary of a series of class maps; arrays ``(height, width)``.

    Attributes:
        days: days with an image, in order.
        grid: of all arrays.
        looks: int16, days on which the ground was seen.
        wet_looks: int16, how many of them saw water.
        first_water: int16, number of the first day that saw water, ``NEVER`` where none did.
        last_dry: int16, number of the last day before it that saw land; ``NEVER`` where there is no such day.
    """

    days: tuple[date, ...]
    grid: Grid
    looks: NDArray[np.int16]
    wet_looks: NDArray[np.int16]
    first_water: NDArray[np.int16]
    last_dry: NDArray[np.int16]

    def maximum_extent(self) -> ClassMap:
        """Water where it was ever seen, land where only land was, invalid where the ground was never seen."""
        codes = np.where(self.wet_looks > 0, WATER, np.where(self.looks > 0, LAND, INVALID)).astype(np.uint8)
        return ClassMap(codes, self.grid, "maximum extent", self.days[-1])

    def waiting_days(self) -> NDArray[np.float32]:
        """Days between the last dry look and the first look at water: how exactly clouds let its arrival be dated.

        NaN where water was not seen, or was there from the first look on.
        """
        number = np.array([day.toordinal() for day in self.days], np.float32)
        dated = (self.first_water != NEVER) & (self.last_dry != NEVER)
        return np.where(dated, number[self.first_water] - number[self.last_dry], np.nan).astype(np.float32)


def flood_series(maps: Sequence[ClassMap]) -> FloodSeries:
    """Summarise a series of class maps, on the grid of the earliest extended over all.

    Args:
        maps: in any order, CRS and extent; each with its day. Those of one day are first merged by ``mosaic``, in the
            order given.

    Raises:
        SceneError: there is no map, or one has no day.

    >>> from affine import Affine
    >>> grid = Grid((1, 3), "EPSG:32630", Affine(10, 0, 500_000, 0, -10, 4_000_000))
    >>> rows = {date(2024, 11, 1): [1, 3, 3], date(2024, 11, 4): [3, 2, 3], date(2024, 11, 9): [2, 1, 3]}
    >>> series = flood_series([ClassMap(np.array([row], np.uint8), grid, day=day) for day, row in rows.items()])
    >>> series.looks.tolist(), series.first_water.tolist(), series.last_dry.tolist()
    ([[2, 2, 0]], [[2, 1, -1]], [[0, -1, -1]])
    """
    days = _by_day(maps)
    grid = union_grid(m.grid for m in days)
    looks, wet_looks = (np.zeros(grid.shape, np.int16) for _ in range(2))
    first_water, dry = (np.full(grid.shape, NEVER, np.int16) for _ in range(2))
    for number, one in enumerate(days):
        codes = align(one, grid).codes
        water, land = codes == WATER, codes == LAND
        looks += water | land
        wet_looks += water
        first_water[water & (first_water == NEVER)] = number
        dry[land & (first_water == NEVER)] = number
    last_dry = np.where(first_water == NEVER, NEVER, dry).astype(np.int16)
    return FloodSeries(tuple(m.day for m in days if m.day), grid, looks, wet_looks, first_water, last_dry)


def _by_day(maps: Sequence[ClassMap]) -> list[ClassMap]:
    """One map a day, in order."""
    undated = [m.name for m in maps if m.day is None]
    if undated or not maps:
        raise SceneError(f"{', '.join(undated) or 'no map'}: a time series needs maps with a day each; pass day=…")
    ordered = sorted(maps, key=_day)
    return [mosaic(list(same), str(day)) for day, same in groupby(ordered, _day)]


def _day(found: ClassMap) -> date:
    return found.day or date.min
