"""Exercises of ``08_map_the_flood``: bounds of an area, an area in any system, houses in the water."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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


def _counted(pixels: float) -> set[str]:
    """Kinds of pixels in a sum."""
    return {name for name, (_, _, number) in PAIRS.items() if round(pixels) & number}


def _judge_bounds(answer: Answer) -> str:
    before, after, number = np.transpose(list(PAIRS.values()))
    shape = (1, int(number.sum()))
    found = answer.numbers(
        np.repeat(before, number).reshape(shape), np.repeat(after, number).reshape(shape), 100, shape=(2,)
    )
    low, high = found / 1e-4  # pixels, if the answer is in km²
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
Write `flood_between(before, after, pixel_m2)`. It is given two arrays of codes on one grid (0 invalid, 1 land, 2
water, 3 cloud) and the area of a pixel in m². It returns a pair in **km²**: the least new flood that the maps allow,
which is what was seen to be land before and water after; and the most, if in addition all that was not seen after the
flood, and all water whose past was not seen, were new flood, too.""",
    stub="""
def flood_between(before, after, pixel_m2):
    return ...""",
    tip="Stuck? Section 3 has the words. Ask of each pixel first whether it was seen, before and after.",
    solution="""
def flood_between(before, after, pixel_m2):
    unseen_before, unseen_after = ~np.isin(before, (LAND, WATER)), ~np.isin(after, (LAND, WATER))
    flood = (before == LAND) & (after == WATER)
    possible = flood | unseen_after | (unseen_before & (after == WATER))
    return flood.sum() * pixel_m2 / 1e6, possible.sum() * pixel_m2 / 1e6""",
    takeaway="Where cloud is counted as dry, both numbers are the same, and the map seems to know what nobody saw.",
    judge=_judge_bounds,
    hints={
        "units": "These are no square kilometres of whole pixels. A square kilometre has a million square metres.",
        "swapped": "The first number should be the least and the second the most.",
        "permanent": "Water that was there before has been counted. It is no *new* flood.",
        "past": "Water where the ground was not seen before may have been there always. It is in the most, but not "
        "in the least.",
        "least": "What was not seen after the flood is in the least. Nobody saw water there.",
        "dry": "The ground under the clouds was counted as dry. For the most, all that was not seen may be flooded.",
        "nodata": "Not seen has two codes: cloud and invalid. A pixel beyond the swath may be flooded as well.",
        "value": "The most holds something that can't be new flood: ground that was seen to be dry after it.",
    },
    wrong={
        "units": """
def flood_between(before, after, pixel_m2):
    flood, hidden = (before == LAND) & (after == WATER), (after == CLOUD) | (after == INVALID)
    unknown = (before != LAND) & (before != WATER) & (after == WATER)
    return flood.sum() * pixel_m2, (flood | hidden | unknown).sum() * pixel_m2""",
        "permanent": """
def flood_between(before, after, pixel_m2):
    water, hidden = after == WATER, (after == CLOUD) | (after == INVALID)
    return water.sum() * pixel_m2 / 1e6, (water | hidden).sum() * pixel_m2 / 1e6""",
        "past": """
def flood_between(before, after, pixel_m2):
    flood, hidden = (before != WATER) & (after == WATER), (after == CLOUD) | (after == INVALID)
    return flood.sum() * pixel_m2 / 1e6, (flood | hidden).sum() * pixel_m2 / 1e6""",
        "dry": """
def flood_between(before, after, pixel_m2):
    flood, unknown = (before == LAND) & (after == WATER), (before == CLOUD) & (after == WATER)
    return flood.sum() * pixel_m2 / 1e6, (flood | unknown).sum() * pixel_m2 / 1e6""",
        "nodata": """
def flood_between(before, after, pixel_m2):
    flood, unknown = (before == LAND) & (after == WATER), (before == CLOUD) & (after == WATER)
    return flood.sum() * pixel_m2 / 1e6, (flood | unknown | (after == CLOUD)).sum() * pixel_m2 / 1e6""",
        "least": """
def flood_between(before, after, pixel_m2):
    flood = (before == LAND) & (after != LAND)
    return flood.sum() * pixel_m2 / 1e6, (flood | ((before == CLOUD) & (after == WATER))).sum() * pixel_m2 / 1e6""",
        "swapped": """
def flood_between(before, after, pixel_m2):
    flood, hidden = (before == LAND) & (after == WATER), (after == CLOUD) | (after == INVALID)
    unknown = (before != LAND) & (before != WATER) & (after == WATER)
    return (flood | hidden | unknown).sum() * pixel_m2 / 1e6, flood.sum() * pixel_m2 / 1e6""",
        "value": """
def flood_between(before, after, pixel_m2):
    return ((before == LAND) & (after == WATER)).sum() * pixel_m2 / 1e6, (before != WATER).sum() * pixel_m2 / 1e6""",
    },
)

SQUARE_KM2 = 62.0747
"""Area on the ellipsoid of a square of 0.1 degrees at 60 degrees north."""


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
    title="An area in any system",
    task="""
Write `area_km2(outlines)`. `outlines` is a `GeoSeries` of polygons that don't overlap, in *any* coordinate reference
system: degrees, the web's Mercator, a map zone. Return their area in km², within half a percent, wherever on Earth
they lie.""",
    stub="""
def area_km2(outlines):
    return ...""",
    tip="Stuck? Section 3 measures one flood in four systems. EPSG:6933 is an equal-area projection of the world.",
    solution="""
def area_km2(outlines):
    return outlines.to_crs("EPSG:6933").area.sum() / 1e6  # equal-area, in metres""",
    takeaway="An area belongs to the ground, not to the map: the same outlines gave the same number in three systems.",
    judge=_judge_area,
    hints={
        "degrees": "That is an area in square degrees. A degree of longitude has another length at each latitude.",
        "mercator": "Four times too large at 60 degrees north: that is web Mercator, which stretches everything "
        "away from the equator.",
        "units": "The projection is right. A square kilometre has a million square metres.",
        "value": "Expected 62.07 km² for a square of 0.1 degrees at 60 degrees north, whichever system it comes in.",
    },
    wrong={
        "degrees": """
def area_km2(outlines):
    return outlines.area.sum() / 1e6""",
        "mercator": """
def area_km2(outlines):
    return outlines.to_crs("EPSG:3857").area.sum() / 1e6""",
        "units": """
def area_km2(outlines):
    return outlines.to_crs("EPSG:6933").area.sum()""",
        "value": """
def area_km2(outlines):
    degrees = outlines.to_crs("EPSG:4326").area.sum()
    return degrees * 111.32**2""",
    },
)

SPOTS = {
    "water": ((5, 5), 1),
    "bay": ((25, 25), 2),
    "island": ((10, 22), 4),
    "overlap": ((16, 5), 8),
    "far": ((90, 90), 16),
}
"""Places in hundreds of metres, and how many houses stand there: powers of two again."""


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
    mistakes = {"systems": 0, "box": 15, "island": 13, "twice": 17}
    known = next((key for key, value in mistakes.items() if close(found, value)), "value")
    if not close(found, 9):
        return known
    other_way = answer.numbers(houses.to_crs("EPSG:3857"), flood.to_crs("EPSG:4326"))
    return "" if close(other_way, 9) else "fixed"


HOUSES = Exercise(
    name="08.3",
    title="Houses in the water",
    task="""
Write `houses_in_flood(houses, flood)`: how many houses stand in the water? Both are `GeoSeries`, points and polygons,
and each has a coordinate reference system of its own. The polygons may overlap, and may have holes, which are dry
islands.""",
    stub="""
def houses_in_flood(houses, flood):
    return ...""",
    tip="Stuck? Section 4 counts houses twice, once in vain. What do several overlapping polygons become when they "
    "are united?",
    solution="""
def houses_in_flood(houses, flood):
    return int(houses.to_crs(flood.crs).within(flood.union_all()).sum())""",
    takeaway="No error and no warning tells two systems apart: name the target's system whenever two layers meet.",
    judge=_judge_houses,
    hints={
        "systems": "No house at all is in the water, which is what everybody hopes to read. In which systems are "
        "the numbers that you compare? Giving a layer another label does not move it.",
        "box": "Houses in a dry bay or on an island were counted: that is the flood's bounding box or hull, not its "
        "outline.",
        "island": "Houses on a dry island were counted. Holes belong to a polygon.",
        "twice": "Houses where two polygons overlap were counted twice.",
        "value": "Expected 9 of 31 houses: those in the outline, each once.",
        "fixed": "Right for one pair of systems, wrong when the houses come in web Mercator and the flood in "
        "degrees. Ask the layers for their systems instead of naming one.",
    },
    wrong={
        "systems": """
def houses_in_flood(houses, flood):
    return houses.to_crs(houses.crs).within(flood.union_all()).sum()""",
        "box": """
def houses_in_flood(houses, flood):
    left, bottom, right, top = flood.total_bounds
    return len(houses.to_crs(flood.crs).cx[left:right, bottom:top])""",
        "island": """
def houses_in_flood(houses, flood):
    sheet = gpd.GeoSeries(flood.exterior.polygonize(), crs=flood.crs).union_all()
    return houses.to_crs(flood.crs).within(sheet).sum()""",
        "twice": """
def houses_in_flood(houses, flood):
    points = houses.to_crs(flood.crs)
    return sum(points.within(polygon).sum() for polygon in flood)""",
        "fixed": """
def houses_in_flood(houses, flood):
    return houses.to_crs("EPSG:32633").within(flood.set_crs("EPSG:32633", allow_override=True).union_all()).sum()""",
        "value": """
def houses_in_flood(houses, flood):
    return len(houses)""",
    },
)

EXERCISES = (BOUNDS, AREA, HOUSES)
