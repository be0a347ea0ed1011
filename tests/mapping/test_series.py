"""Time series with clouds, worked out by hand."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from affine import Affine

from ml4ops_helpers.mapping.classmaps import ClassMap
from ml4ops_helpers.mapping.series import NEVER, flood_series
from ml4ops_helpers.scenes.grids import Grid
from ml4ops_helpers.scenes.rasters import SceneError

ORIGIN = Affine(10, 0, 500_000, 0, -10, 4_000_000)
DAYS = [date(2024, 10, 27), date(2024, 11, 1), date(2024, 11, 6), date(2024, 11, 16)]

# One column a pixel:  never seen, dry, flooded on day 2, came under cloud, wet from the start, left again, seen once
HISTORY = {
    DAYS[0]: [3, 1, 1, 1, 2, 1, 3],
    DAYS[1]: [3, 3, 2, 3, 3, 2, 0],
    DAYS[2]: [0, 1, 3, 3, 2, 1, 2],
    DAYS[3]: [3, 1, 2, 2, 2, 3, 3],
}


def dated(row: list[int], day: date | None, transform: Affine = ORIGIN, crs: str = "EPSG:32630") -> ClassMap:
    return ClassMap(np.array([row], np.uint8), Grid((1, len(row)), crs, transform), "map", day)


def history() -> list[ClassMap]:
    return [dated(row, day) for day, row in HISTORY.items()]


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 0, 3, 1]])
def test_by_hand(order: list[int]) -> None:
    series = flood_series([history()[i] for i in order])
    assert series.days == tuple(DAYS)
    assert series.looks.tolist() == [[0, 3, 3, 2, 3, 3, 1]]
    assert series.wet_looks.tolist() == [[0, 0, 2, 1, 3, 1, 1]]
    assert series.first_water.tolist() == [[NEVER, NEVER, 1, 3, 0, 1, 2]]
    assert series.last_dry.tolist() == [[NEVER, NEVER, 0, 0, NEVER, 0, NEVER]]


def test_extent_and_dates_keep_the_unknown() -> None:
    """Water of the fourth pixel came some time within 20 days, that of the third within 5."""
    series = flood_series(history())
    assert series.maximum_extent().codes.tolist() == [[0, 1, 2, 2, 2, 2, 2]]
    waiting = series.waiting_days()
    assert np.array_equal(waiting, [[np.nan, np.nan, 5, 20, np.nan, 5, np.nan]], equal_nan=True)


def test_maps_of_one_day_count_as_one_look() -> None:
    """Two sensors on one day: the first that saw the ground decides."""
    both = [dated([1, 3, 1], DAYS[0]), dated([2, 2, 3], DAYS[0]), dated([2, 1, 3], DAYS[1])]
    series = flood_series(both)
    assert series.looks.tolist() == [[2, 2, 1]]
    assert series.first_water.tolist() == [[1, 0, NEVER]]


def test_maps_of_other_extent_are_looks_only_where_they_reach() -> None:
    later = dated([2, 2], DAYS[1], Affine(10, 0, 500_010, 0, -10, 4_000_000))
    series = flood_series([dated([1, 1], DAYS[0]), later])
    assert series.grid.shape == (1, 3)
    assert series.looks.tolist() == [[1, 2, 1]]
    assert series.last_dry.tolist() == [[NEVER, 0, NEVER]]


def test_every_map_needs_a_day() -> None:
    with pytest.raises(SceneError, match="day"):
        flood_series([dated([1], None)])
    with pytest.raises(SceneError, match="map"):
        flood_series([])
