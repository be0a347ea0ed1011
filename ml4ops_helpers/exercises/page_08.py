"""Exercises of ``08_map_the_flood``: bounds of an area, an area in any coordinate system, houses in the water."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ml4ops_helpers.scenes import LAND, WATER

from .core import Answer, Exercise, close

if TYPE_CHECKING:
    import geopandas as gpd

PAIRS = {
    "flood": (1, 2, 1),
    "permanent": (2, 2, 2),
    "cloud before": (3, 2, 4),
    "cloud after": (1, 3, 8),
    "dry": (1, 1, 16),
    "receded": (2, 1, 32),
    "no data after": (1, 0, 64),
}
"""Codes before and after, and how many pixels have them: powers of two, so that a sum tells which were counted."""


def flood_between(before: np.ndarray, after: np.ndarray, pixel_m2: float) -> tuple[float, float]:
    unseen_before, unseen_after = ~np.isin(before, (LAND, WATER)), ~np.isin(after, (LAND, WATER))
    flood = (before == LAND) & (after == WATER)
    possible = flood | unseen_after | (unseen_before & (after == WATER))
    return flood.sum() * pixel_m2 / 1e6, possible.sum() * pixel_m2 / 1e6


def _counted(pixels: float) -> set[str]:
    """Kinds of pixels in a sum."""
    return {name for name, (_, _, number) in PAIRS.items() if round(pixels) & number}


def _judge_bounds(answer: Answer) -> str:
    before, after, number = np.transpose(list(PAIRS.values()))
    maps = (np.repeat(codes, number)[None] for codes in (before, after))
    low, high = answer.numbers(*maps, 100, shape=(2,)) / 1e-4  # pixels, if the answer is in km²
    if not close([low, high], np.rint([low, high]), 1e-3) or not 0 <= low <= high <= number.sum():
        return "swapped" if 0 <= high < low <= number.sum() else "units"
    least, most = _counted(low), _counted(high)
    if "permanent" in least | most:
        return "permanent"
    if "cloud before" in least or "cloud before" not in most:
        return "past"
    if {"cloud after", "no data after"} & least:
        return "least"
    if not {"cloud after", "no data after"} & most:
        return "dry"
    if "cloud after" not in most or "no data after" not in most:
        return "nodata"
    return "" if (least, most) == ({"flood"}, {"flood", "cloud before", "cloud after", "no data after"}) else "value"


BOUNDS = Exercise(
    name="08.1",
    title="At least, at most",
    task="""
Write `flood_between(before, after, pixel_m2)`. It takes two arrays of codes on one grid (0 invalid, 1 land, 2 water,
3 cloud) and the area of a pixel in m². Return a pair in **km²**: the least new flood that the maps allow, which is what
was seen to be land before and water after; and the most, if everything not seen after the flood, and all water whose
past was not seen, were new flood as well.""",
    tip="Stuck? Section 3 has it in words. For each pixel, first ask whether it was seen, before and after.",
    reference=flood_between,
    judge=_judge_bounds,
    hints={
        "units": "These are not square kilometres of whole pixels. A square kilometre has a million square metres.",
        "swapped": "The first number should be the least and the second the most.",
        "permanent": "Water that was there before has been counted. It is not *new* flood.",
        "past": "Water where the ground was not seen before may always have been there. It belongs in the most, but "
        "not in the least.",
        "least": "The least includes what was not seen after the flood. Nobody saw water there.",
        "dry": "The ground under the clouds was counted as dry. For the most, everything not seen may be flooded.",
        "nodata": "Not seen has two codes: cloud and invalid. A pixel outside the swath may be flooded as well.",
        "value": "The most includes something that can't be new flood: ground that was seen to be dry after it.",
    },
    takeaway="If cloud counts as dry, both numbers are the same, and the map claims to know what nobody saw.",
)

SQUARE_KM2 = 62.0747
"""Area on the ellipsoid of a square of 0.1 degrees at 60 degrees north."""


def area_km2(outlines: gpd.GeoSeries) -> float:
    return outlines.to_crs("EPSG:6933").area.sum() / 1e6  # equal-area, in metres


def _judge_area(answer: Answer) -> str:
    import geopandas as gpd
    import shapely

    square = gpd.GeoSeries([shapely.box(15, 60, 15.1, 60.1)], crs="EPSG:4326")
    for epsg in (4326, 3857, 32633):
        found = answer.numbers(square.to_crs(epsg))
        if close(found, SQUARE_KM2, 0.005):
            continue
        if close(found, SQUARE_KM2 * 1e6, 0.005):
            return "units"
        if epsg == 4326 and found < 0.02:
            return "degrees"
        return "mercator" if 3.9 < found / SQUARE_KM2 < 4.1 else "value"
    return ""


AREA = Exercise(
    name="08.2",
    title="An area in any coordinate system",
    task="""
Write `area_km2(outlines)`. `outlines` is a `GeoSeries` of polygons that don't overlap, in *any* coordinate reference
system: degrees, web Mercator, a UTM zone. Return their area in km², to within half a percent, wherever on Earth they
are.""",
    tip="Stuck? Section 3 measures one flood in four systems. EPSG:6933 is an equal-area projection of the world.",
    reference=area_km2,
    judge=_judge_area,
    hints={
        "degrees": "That is an area in square degrees. The length of a degree of longitude depends on the latitude.",
        "mercator": "Four times too large at 60 degrees north: that is web Mercator, which stretches everything away "
        "from the equator.",
        "units": "The projection is right. A square kilometre has a million square metres.",
        "value": "Expected 62.07 km² for a square of 0.1 degrees at 60 degrees north, in whichever system it comes.",
    },
    takeaway="An area belongs to the ground, not to the map: the same outlines gave the same number in three systems.",
)

SPOTS = {
    "water": ((5, 5), 1),
    "bay": ((25, 25), 2),
    "island": ((10, 22), 4),
    "overlap": ((16, 5), 8),
    "far": ((90, 90), 16),
}
"""Places in hundreds of metres, and how many houses stand there: powers of two again."""


def houses_in_flood(houses: gpd.GeoSeries, flood: gpd.GeoSeries) -> int:
    return int(houses.to_crs(flood.crs).within(flood.union_all()).sum())


def _village() -> tuple[gpd.GeoSeries, gpd.GeoSeries]:
    """Houses in degrees; a flood of two overlapping polygons in metres, with a bay and an island, both dry."""
    import geopandas as gpd
    import shapely

    corner = np.array([480_000.0, 6_600_000.0])
    sheet = shapely.Polygon([(0, 0), (20, 0), (20, 30), (0, 30)], [[(8, 20), (12, 20), (12, 24), (8, 24)]])
    parts = [sheet, shapely.box(14, 0, 30, 10)]
    flood = gpd.GeoSeries([shapely.transform(p, lambda xy: corner + 100 * xy) for p in parts], crs="EPSG:32633")
    spots = np.concatenate([np.tile(xy, (number, 1)) for xy, number in SPOTS.values()])
    jitter = np.random.default_rng(8).uniform(-0.5, 0.5, spots.shape)
    east, north = (corner + 100 * (spots + jitter)).T
    return gpd.GeoSeries(gpd.points_from_xy(east, north), crs="EPSG:32633").to_crs("EPSG:4326"), flood


def _judge_houses(answer: Answer) -> str:
    houses, flood = _village()
    found = answer.numbers(houses, flood)
    values = {"right": 9, "systems": 0, "box": 15, "island": 13, "twice": 17}
    known = next((key for key, value in values.items() if close(found, value)), "value")
    if known != "right":
        return known
    swapped = answer.numbers(houses.to_crs("EPSG:3857"), flood.to_crs("EPSG:4326"))
    return "" if close(swapped, 9) else "fixed"


HOUSES = Exercise(
    name="08.3",
    title="Houses in the water",
    task="""
Write `houses_in_flood(houses, flood)`: how many houses stand in the water? Both are `GeoSeries`, points and polygons,
each with a coordinate reference system of its own. The polygons may overlap, and may have holes, which are dry
islands.""",
    tip="Stuck? Section 4 counts houses twice, once in vain. What do several overlapping polygons become when they are "
    "united?",
    reference=houses_in_flood,
    judge=_judge_houses,
    hints={
        "systems": "You found no house in the water, which is what everybody hopes to read. In which systems are the "
        "coordinates that you compare? Giving a layer another label does not move it.",
        "box": "Houses in a dry bay or on an island were counted: that is the flood's bounding box or hull, not its "
        "outline.",
        "island": "Houses on a dry island were counted. Holes belong to a polygon.",
        "twice": "Houses where two polygons overlap were counted twice.",
        "value": "Expected 9 of 31 houses: those inside the outline, each once.",
        "fixed": "Right for one pair of systems, wrong when the houses come in web Mercator and the flood in degrees. "
        "Ask the layers for their systems instead of naming one.",
    },
    takeaway="Nothing warns you when two layers are in different systems: name the target system whenever two layers "
    "meet.",
)

EXERCISES = (BOUNDS, AREA, HOUSES)
