"""The report of a flood event: one self-contained HTML file. Explained in ``08_map_the_flood``."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from ml4ops_helpers.mapping import floodmaps as fm
from ml4ops_helpers.mapping.map_plots import CHANGE_COLOURS, change_figure
from ml4ops_helpers.mapping.pictures import data_uri
from ml4ops_helpers.scenes.sentinel2 import Float

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ml4ops_helpers.mapping.classmaps import ClassMap

MEANINGS: tuple[str, ...] = (
    "cloud, or outside the later image: nothing is known",
    "land in the later image",
    "water now, and before or in the layer of permanent water",
    "water now, land before",
    "land now, water before",
    "water now; the earlier image did not show the ground",
)
"""Meaning of each of ``CHANGES`` in the report."""

CAVEATS: tuple[str, ...] = (
    "Two images are two moments. Water that came and went between them, or after them, is not on the map.",
    "Water under trees, among houses and in standing crops is easily missed; shadow and wet, dark soil easily pass for "
    "water.",
    "Pixels on a shore hold both land and water; narrow water may be missing, wide water a pixel too wide.",
    "The map was made by a program and not checked in the field. Do not decide on anybody's safety by it alone.",
)
"""Caveats of every map of this kind."""


def event_report(
    change: ClassMap, *, title: str, pictures: Mapping[str, Float], facts: Mapping[str, str],
    interval: fm.Bounds | None = None, level: float | None = None, caveats: Sequence[str] = (),
) -> str:  # fmt: skip
    """The report of an event as HTML, images inside; it loads nothing.

    Args:
        change: from ``floodmaps.difference``.
        title: of the report.
        pictures: what the map was made from, by name: RGB ``(height, width, 3)`` in 0 to 1.
        facts: how the map was made: files, dates, model, threshold, …
        interval: of the new flood in what was seen, km², that allows for errors of the map; None where unknown.
        level: chance that such an interval holds the truth; None where unknown.
        caveats: of this map, besides ``CAVEATS``.
    """
    areas = fm.change_areas(change)
    bounds = fm.flood_bounds(areas)
    rows = [
        {"name": name, "meaning": meaning, "colour": CHANGE_COLOURS[name], **areas.loc[name].to_dict()}
        for name, meaning in zip(fm.CHANGES, MEANINGS, strict=True)
    ]
    environment = Environment(
        loader=PackageLoader("ml4ops_helpers.mapping"), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("report.html").render(
        title=title,
        bounds=bounds,
        interval=interval,
        level=level,
        hidden=areas.loc[fm.CHANGES[fm.NOT_OBSERVED], "percent"],
        rows=rows,
        shown=[fm.CHANGES[code] for code in np.unique(change.codes)],
        change_image=_figure_uri(change_figure({"": change}, columns=1, side=7)),
        crs=change.grid.crs.to_string(),
        pictures={name: data_uri(picture) for name, picture in pictures.items()},
        caveats=[*_own_caveats(change), *caveats, *CAVEATS],
        facts=facts,
    )


def _own_caveats(change: ClassMap) -> list[str]:
    """Caveats that depend on the codes of a map."""
    present = set(np.unique(change.codes).tolist())
    found = []
    if fm.NOT_OBSERVED in present:
        found.append(
            "Parts of the map were not observed. The flood may be there, too: look at a later image, or at radar."
        )
    if fm.UNKNOWN_BEFORE in present:
        found.append(
            "Some water was seen only afterwards. Without a layer of permanent water nobody can say if it is new."
        )
    if not present & {*range(fm.DRY, fm.UNKNOWN_BEFORE)}:
        found.append("No pixel was seen in both images: this map says nothing about change.")
    return found


def _figure_uri(fig: Figure) -> str:
    content = io.BytesIO()
    fig.savefig(content, format="png", dpi=120)
    plt.close(fig)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
