"""Figures of ``08_map_the_flood``: changes, time series, areas with their bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch

from ml4ops_helpers.mapping.classmaps import ClassMap, align
from ml4ops_helpers.mapping.floodmaps import CHANGES
from ml4ops_helpers.mapping.series import NEVER, FloodSeries
from ml4ops_helpers.plots import OKABE_ITO, code_picture, hide_axes, name_rows, panels, scale_bar
from ml4ops_helpers.scenes.grids import Grid, pixel_areas
from ml4ops_helpers.scenes.sentinel2 import Codes, Float

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MOST_PIXELS = 1500
"""Longest side of a map that is drawn; larger ones are subsampled."""
CHANGE_COLOURS: dict[str, str] = dict(
    zip(CHANGES, ("#8C8C8C", "#F2EFE9", "#0072B2", "#D55E00", "#009E73", "#CC79A7"), strict=True)
)
"""Colour of each kind of change."""


def change_picture(codes: Codes) -> Float:
    """Picture ``(height, width, 3)`` of the codes of ``CHANGES``."""
    return code_picture(codes, CHANGE_COLOURS.values())


def change_figure(maps: Mapping[str, ClassMap], columns: int = 2, side: float = 3.6) -> Figure:
    """Change maps side by side, by title, with a scale bar of 1 km in the first; ``side`` of a map in inches."""
    fig, axes = panels(len(maps), columns, side, side + 0.3)
    for ax, (title, found) in zip(axes, maps.items(), strict=True):
        hide_axes(ax, title)
        found = align(found, found.grid.north_up())
        height, width = found.grid.shape
        step = -(-max(height, width) // MOST_PIXELS)
        ax.imshow(change_picture(found.codes[::step, ::step]), extent=(0, width, height, 0))
    first = next(iter(maps.values()))
    scale_bar(axes[0], 1000 / _pixel_side(first.grid))
    present = sorted({int(code) for found in maps.values() for code in np.unique(found.codes)})
    patches = [Patch(facecolor=CHANGE_COLOURS[CHANGES[c]], edgecolor="grey", label=CHANGES[c]) for c in present]
    fig.legend(handles=patches, loc="outside lower center", ncols=3, fontsize=10)
    return fig


def _pixel_side(grid: Grid) -> float:
    """Side of a pixel in the middle, metres."""
    row = grid.shape[0] // 2
    return float(np.sqrt(pixel_areas(grid, slice(row, row + 1))[0, grid.shape[1] // 2]))


def series_figure(series: FloodSeries) -> Figure:
    """Clear looks, day of the first look at water, and days since the last dry look before it."""
    start = series.days[0].toordinal()
    after = np.array([day.toordinal() - start for day in series.days], np.float32)
    first = np.where(series.first_water == NEVER, np.nan, after[series.first_water])
    shown = {
        "clear looks": (series.looks.astype(np.float32), "days with a clear look"),
        "water first seen": (first, f"days after {series.days[0]}"),
        "how exactly": (series.waiting_days(), "days since the last dry look"),
    }
    fig, axes = panels(len(shown), 3, 3, 3.7)
    for ax, (title, (values, unit)) in zip(axes, shown.items(), strict=True):
        hide_axes(ax, title)
        ax.set_facecolor(CHANGE_COLOURS["not observed"])
        drawn = ax.imshow(values, cmap="viridis", vmin=0)
        fig.colorbar(drawn, ax=ax, orientation="horizontal", shrink=0.85, pad=0.02, label=unit)
    scale_bar(axes[0], 1000 / _pixel_side(series.grid))
    return fig


def flood_area_figure(table: pd.DataFrame) -> Figure:
    """Mapped area with its bounds, and the true area: columns ``mapped``, ``low``, ``high`` and ``true``, km²."""
    fig, ax = plt.subplots(figsize=(6.4, 1.8 + 0.36 * len(table)), layout="constrained")
    places = np.arange(len(table))
    mapped, low, high = table[["mapped", "low", "high"]].to_numpy(float).T
    ax.hlines(places, low, high, color=OKABE_ITO[0], lw=3, alpha=0.5, label="if what was not seen is dry … flooded")
    ax.plot(mapped, places, "o", color=OKABE_ITO[0], ms=8, mec="black", label="mapped")
    ax.plot(table["true"], places, "X", color=OKABE_ITO[1], ms=9, mec="black", label="true")
    name_rows(ax, table.index)
    ax.set(xlabel="new flood (km²)", xlim=(0, None))
    fig.legend(loc="outside upper center", ncols=3, fontsize=9)
    return fig
