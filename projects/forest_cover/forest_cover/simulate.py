"""The embedded source: rows with the schema and the relations of the real ones, made from a seed, without network.

Published, and used here: names, units, the numbers of rows of each class and soil, the wilderness areas with their
dominant species, the codes of the soils with climatic and geologic zone (description of the data set: UCI Machine
Learning Repository, Covertype, doi:10.24432/C50K5N), and the method (Blackard & Dean 1999,
doi:10.1016/S0168-1699(99)00046-0: rows are cells of 30 m, taken from maps of stands of trees). The forest belts follow
each other in height as in Peet (1981), Forest vegetation of the Colorado Front Range, Vegetatio 45: 3-75. The numbers
in `COVERS` are summaries of real rows by class, rounded; a test compares the result with real rows.

What is made up: where the stands are. Cells of one stand resemble each other, as neighbours do, so a model that can cut
out small pieces of the space of features does better than one that draws straight lines, and better than it would in a
forest that it has never seen: true of the real rows as well. No row describes a real place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import beta, norm, vonmises

from forest_cover.columns import CLASSES, COUNTS, FEATURES, SOIL, TARGET, WILDERNESS
from forest_cover.prepare import allot

Numbers = NDArray[np.float64]

WITHIN = {"height": 50.0, "aspect": 30.0, "slope": 4.0, "water": 100.0, "road": 200.0, "fire": 200.0}
"""Standard deviation among the cells of a stand, in the units of the columns."""
LATITUDE, DECLINATION = 40.6, 23.44
"""Degrees: of the forest, and of the sun at the summer solstice."""
SOLAR_HOURS = {"Hillshade_9am": 10.0, "Hillshade_Noon": 13.0, "Hillshade_3pm": 16.0}
"""Hours by the sun. The real indices fit a sun one hour ahead of the hour in their names (a test shows it)."""
SOIL_ROWS = (
    *(3031, 7525, 4823, 12396, 1597, 6575, 105, 179, 1147, 32634, 12410, 29971, 17431, 599, 3, 2845, 3422, 1899, 4021),
    *(9259, 838, 33373, 57752, 21278, 474, 2589, 1086, 946, 115247, 30170, 25666, 52519, 45154, 1611, 1891, 119, 298),
    *(15573, 13806, 8750),
)
"""Rows of each soil type among the 581 012 of the whole data set."""
ZONES = {"lower": (1, 6), "montane": (7, 15), "upper": (16, 18), "subalpine": (19, 34), "alpine": (35, 40)}
"""First and last soil type of each climatic zone; ``upper`` is montane and subalpine."""
ALLUVIUM = (14, 16, 17, 19, 20, 21)
"""Soil types of river deposits."""


@dataclass(frozen=True)
class Cover:
    """Where trees of one class stand.

    Attributes:
        stands: how many stands, about a third of the square root of the rows in the whole data set.
        height: mean and standard deviation of elevation, m.
        facing: aspect that is most frequent, degrees, and how much it prevails (kappa of a von Mises distribution).
        slope: mean, degrees.
        water: mean horizontal distance to water, m.
        road: mean distance to a road, m.
        fire: mean distance to the nearest start of a wildfire, m.
        wilderness: shares of the four areas.
        zones: shares of the five climatic zones of soils, as in `ZONES`.
        alluvium: how much more frequent river deposits are than elsewhere.
    """

    stands: int
    height: tuple[float, float]
    facing: tuple[float, float]
    slope: float
    water: float
    road: float
    fire: float
    wilderness: tuple[float, float, float, float]
    zones: tuple[float, float, float, float, float]
    alluvium: float = 1.0


COVERS = (
    Cover(150, (3130, 155), (40, 0.3), 13, 270, 2600, 2000, (0.50, 0.09, 0.41, 0.00), (0.00, 0.02, 0.01, 0.87, 0.10)),
    Cover(180, (2920, 185), (80, 0.3), 13.5, 285, 2430, 2150, (0.52, 0.03, 0.44, 0.01), (0.02, 0.21, 0.02, 0.75, 0.00)),
    Cover(60, (2400, 195), (150, 0.4), 20.5, 210, 960, 910, (0.00, 0.00, 0.40, 0.60), (0.60, 0.38, 0.02, 0.00, 0.00)),
    Cover(
        16, (2225, 105), (95, 1.2), 18.5, 105, 910, 860, (0.00, 0.00, 0.00, 1.00), (0.75, 0.16, 0.09, 0.00, 0.00), 3.5
    ),
    Cover(32, (2785, 95), (95, 0.8), 16.5, 210, 1350, 1550, (0.40, 0.00, 0.60, 0.00), (0.09, 0.24, 0.08, 0.59, 0.00)),
    Cover(44, (2420, 190), (0, 0.9), 19, 160, 1040, 1060, (0.00, 0.00, 0.44, 0.56), (0.28, 0.59, 0.06, 0.07, 0.00)),
    Cover(48, (3362, 110), (60, 0.3), 14, 350, 2740, 2070, (0.25, 0.11, 0.64, 0.00), (0.00, 0.00, 0.00, 0.18, 0.82)),
)
"""Of the classes 1 to 7."""


def simulate(rows: int = 0, seed: int = 0) -> pd.DataFrame:
    """Make rows with the class shares of the whole data set.

    Args:
        rows: how many; 0 for 581 012, as many as there are real ones.
        seed: the same seed gives the same rows.

    Returns:
        A table of integers with the columns `FEATURES` and the target, in random order.

    >>> simulate(1000, seed=0)["Cover_Type"].value_counts().sort_index().tolist()
    [365, 488, 61, 5, 16, 30, 35]
    """
    rng = np.random.default_rng(seed)
    counts = allot(COUNTS, rows or sum(COUNTS))
    parts = []
    for code, cover, n in zip(CLASSES, COVERS, counts, strict=True):
        stands = _stands(rng, cover)
        cells = stands.iloc[rng.integers(len(stands), size=n)]
        parts.append(_rows(rng, cover, cells).assign(**{TARGET: code}))
    frame = pd.concat(parts, ignore_index=True)[[*FEATURES, TARGET]]
    return frame.iloc[rng.permutation(len(frame))].reset_index(drop=True).astype("int32")


def _stands(rng: np.random.Generator, cover: Cover) -> pd.DataFrame:
    """The middles of the stands of one class, one a row."""
    n = cover.stands
    # One stand in each n-th of every distribution (a Latin hypercube): the means hold with few stands as well.
    even = (rng.permuted(np.tile(np.arange(n), (8, 1)), axis=1) + rng.random((8, n))) / n
    mean, deviation = cover.height
    facing, kappa = cover.facing
    return pd.DataFrame(
        {
            "height": norm.ppf(even[0], mean, np.sqrt(deviation**2 - 45**2 - WITHIN["height"] ** 2)),
            "aspect": facing + np.degrees(vonmises.ppf(even[1], kappa)),
            "slope": _skewed(even[2], cover.slope, 60, shape=3),
            "water": _skewed(even[3], cover.water, 1400),
            "road": _skewed(even[4], cover.road, 7000),
            "fire": _skewed(even[5], cover.fire, 7000),
            "area": np.searchsorted(np.cumsum(cover.wilderness), even[6]),
            "soil": np.searchsorted(np.cumsum(_soil_shares(cover)), even[7]),
        }
    )


def _rows(rng: np.random.Generator, cover: Cover, cells: pd.DataFrame) -> pd.DataFrame:
    """The columns of the table for cells that each differ a little from the middle of their stand."""
    n = len(cells)
    around = {name: cells[name].to_numpy() + rng.normal(0, WITHIN[name], n) for name in WITHIN}
    aspect, slope = around["aspect"] % 360, np.minimum(np.abs(around["slope"]), 66)
    water = np.maximum(around["water"], 0)
    # A slope that faces north is colder and carries the same trees further down.
    height = around["height"] - 60 * np.cos(np.radians(aspect)) * np.minimum(slope / 15, 1.5)
    above = water * slope / 78 * rng.normal(1, 0.6, n)
    columns = {
        "Elevation": np.clip(height, 1859, 3858),  # here and below: the lowest and the highest of the real rows
        "Aspect": aspect,
        "Slope": slope,
        "Horizontal_Distance_To_Hydrology": water,
        "Vertical_Distance_To_Hydrology": np.clip(above, -173, 601),
        "Horizontal_Distance_To_Roadways": np.abs(around["road"]),
        "Horizontal_Distance_To_Fire_Points": np.abs(around["fire"]),
    }
    columns |= {name: hillshade(slope, aspect, hour) for name, hour in SOLAR_HOURS.items()}
    own = rng.choice(len(SOIL), p=_soil_shares(cover), size=n)
    soil = np.where(rng.uniform(size=n) < 0.75, cells["soil"], own)  # three in four have the soil of their stand
    one_hot = np.hstack([np.eye(len(WILDERNESS))[cells["area"]], np.eye(len(SOIL))[soil]])
    return pd.DataFrame(columns).round().join(pd.DataFrame(one_hot, columns=[*WILDERNESS, *SOIL]))


def _skewed(share: Numbers, mean: float, most: float, shape: float = 1.5) -> Numbers:
    """Quantiles of positive values, most of them below the mean, none above ``most``."""
    return np.asarray(most * beta.ppf(share, shape, shape * (most / mean - 1)))


def _soil_shares(cover: Cover) -> Numbers:
    """Share of each soil type under trees of one class: that of its zone, distributed as in the whole data set."""
    shares = np.array(SOIL_ROWS, float)
    for share, (first, last) in zip(cover.zones, ZONES.values(), strict=True):
        zone = slice(first - 1, last)
        shares[zone] *= share / shares[zone].sum()
    shares[np.array(ALLUVIUM) - 1] *= cover.alluvium
    return np.asarray(shares / shares.sum())


def hillshade(slope: Numbers, aspect: Numbers, hour: float) -> Numbers:
    """How bright the sun makes the ground at the summer solstice.

    Args:
        slope: degrees, 0 is flat.
        aspect: degrees from north, clockwise: the direction that the slope faces.
        hour: by the sun, 12 is when it stands highest.

    Returns:
        Index from 0 (in shadow) to 255 (the sun shines straight on the ground).

    >>> hillshade(np.array([17.16, 90.0]), np.array([180.0, 0.0]), 12).round().tolist()
    [255.0, 0.0]
    """
    latitude, declination, turn = np.radians([LATITUDE, DECLINATION, 15 * (hour - 12)])
    up = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(turn)
    north = np.sin(declination) * np.cos(latitude) - np.cos(declination) * np.sin(latitude) * np.cos(turn)
    east = -np.cos(declination) * np.sin(turn)
    tilt, facing = np.radians(slope), np.radians(aspect)
    light = up * np.cos(tilt) + np.sin(tilt) * (north * np.cos(facing) + east * np.sin(facing))
    return np.asarray(255 * np.clip(light, 0, 1), np.float64)
