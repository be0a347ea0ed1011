"""The columns of the table: names, units, ranges. Everything that checks or makes data takes them from here.

Source: Blackard & Dean (1999), doi:10.1016/S0168-1699(99)00046-0, and the description that comes with the data set
(UCI Machine Learning Repository, Covertype, doi:10.24432/C50K5N).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """A measured column.

    Attributes:
        name: of the column.
        unit: of its values.
        low: smallest value that can be true.
        high: largest value that can be true.
    """

    name: str
    unit: str
    low: float
    high: float


QUANTITIES = (
    Quantity("Elevation", "m", 1500, 4400),
    Quantity("Aspect", "degrees", 0, 360),
    Quantity("Slope", "degrees", 0, 90),
    Quantity("Horizontal_Distance_To_Hydrology", "m", 0, 3000),
    Quantity("Vertical_Distance_To_Hydrology", "m", -1000, 1000),
    Quantity("Horizontal_Distance_To_Roadways", "m", 0, 10000),
    Quantity("Hillshade_9am", "0 to 255", 0, 255),
    Quantity("Hillshade_Noon", "0 to 255", 0, 255),
    Quantity("Hillshade_3pm", "0 to 255", 0, 255),
    Quantity("Horizontal_Distance_To_Fire_Points", "m", 0, 10000),
)
"""The ten measured columns. The limits of heights are those of northern Colorado, the others those of the thing."""

WILDERNESS = tuple(f"Wilderness_Area{i}" for i in range(1, 5))
"""One-hot: Rawah, Neota, Comanche Peak, Cache la Poudre."""
SOIL = tuple(f"Soil_Type{i}" for i in range(1, 41))
"""One-hot: forty soil types."""
FEATURES = (*(q.name for q in QUANTITIES), *WILDERNESS, *SOIL)
"""All 54 columns, in the order of the data set."""
TARGET = "Cover_Type"
LABELS = ("spruce/fir", "lodgepole pine", "ponderosa pine", "cottonwood/willow", "aspen", "Douglas-fir", "krummholz")
"""Names of the classes 1 to 7."""
CLASSES = tuple(range(1, len(LABELS) + 1))
COUNTS = (211840, 283301, 35754, 2747, 9493, 17367, 20510)
"""Rows of each class among the 581 012 of the whole data set."""


def some(names: Sequence[str]) -> str:
    """The first three names, and the number of the others, for messages."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
