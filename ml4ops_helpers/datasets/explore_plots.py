"""Figures of ``02_explore_the_data``: events on a map, shares of classes, spectra, histograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from ml4ops_helpers.plots import CLASS_COLOURS, MARKERS, OKABE_ITO, SPLIT_COLOURS, panels
from ml4ops_helpers.scenes.sentinel2 import BANDS, WAVELENGTH

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def event_locations(facts: pd.DataFrame) -> Figure:
    """Locations of the events of each split: longitude against latitude, without a coastline.

    The markers are transparent, so that two events on one place are visible as two.

    Args:
        facts: with columns ``split, event, lon, lat`` (degrees), from ``scene_facts``.
    """
    places = facts.dropna(subset=["lon", "lat"]).drop_duplicates("event")
    fig, ax = plt.subplots(figsize=(8, 4.3), layout="constrained")
    for marker, (split, part) in zip(MARKERS, places.groupby("split", sort=False), strict=False):
        colour = SPLIT_COLOURS.get(str(split), "#009E73")
        face = (*to_rgb(colour), 0.45)
        ax.scatter(part["lon"], part["lat"], s=45, color=face, marker=marker, ec="black", lw=0.8, label=split, zorder=3)
    for latitude, style in ((0, "-"), (23.44, ":"), (-23.44, ":")):
        ax.axhline(latitude, color="grey", ls=style, lw=1)
    ax.set(xlim=(-180, 180), ylim=(-60, 75), xlabel="longitude (degrees east)", ylabel="latitude (degrees north)")
    ax.set_xticks(range(-180, 181, 60))
    ax.set_yticks(range(-60, 76, 30))
    ax.legend(ncols=3, loc="lower left")
    return fig


def class_bars(shares: pd.DataFrame, x: str = "share of the pixels (%)") -> Figure:
    """One bar a row, divided by class.

    Args:
        shares: columns named after classes, 0 to 1; the index names the bars.
        x: label of the x axis.
    """
    fig, ax = plt.subplots(figsize=(6.4, 1.3 + 0.45 * len(shares)), layout="constrained")
    left = np.zeros(len(shares))
    for name in shares.columns:
        width = 100 * shares[name].to_numpy()
        ax.barh([str(i) for i in shares.index], width, left=left, color=CLASS_COLOURS[name], ec="white", label=name)
        for row, value in enumerate(width):
            if value >= (2 if round(value) < 10 else 4):  # a share of two digits needs more room
                colour = "white" if name in ("water", "invalid") else "black"
                ax.text(left[row] + value / 2, row, f"{value:.0f}", ha="center", va="center", color=colour)
        left += width
    ax.set(xlabel=x, xlim=(0, 100))
    ax.invert_yaxis()
    ax.grid(visible=False)
    fig.legend(loc="outside upper center", ncols=4)
    return fig


def _colours(line: str, names: Sequence[str]) -> dict[str, str]:
    """Colours of lines; a name such as ``water, real`` has the colour of its class."""
    if line == "class":
        return CLASS_COLOURS
    return {n: CLASS_COLOURS.get(n.split(", ")[0], c) for n, c in zip(names, OKABE_ITO * 3, strict=False)}


def spectra_figure(pixels: pd.DataFrame, line: str = "class", panel: str | None = None) -> Figure:
    """Median reflectance by wavelength, and the range of 80 % of the pixels.

    Args:
        pixels: one row a pixel; columns named after bands, and those that ``line`` and ``panel`` name.
        line: column with one line a value.
        panel: column with one panel a value; None for one panel.
    """
    bands = [band for band in BANDS if band in pixels]
    fig, axes, groups = _grouped(pixels, panel, 2.8)
    names = pixels[line].drop_duplicates().tolist()
    for ax, (title, part) in zip(axes, groups.items(), strict=True):
        for marker, name in zip(MARKERS * 3, names, strict=False):
            own = part.loc[part[line] == name, bands].dropna(axis=1, how="all")
            if own.empty:
                continue
            low, middle, high = own.quantile([0.1, 0.5, 0.9]).to_numpy()
            nm, colour = [WAVELENGTH[b] for b in own.columns], _colours(line, names)[name]
            ax.fill_between(nm, low, high, color=colour, alpha=0.18, lw=0)
            ax.plot(nm, middle, marker=marker, ms=4, color=colour, label=name)
        ax.set(title=title, xlabel="wavelength (nm)")
    axes[0].set_ylabel("reflectance")
    top = max(ax.get_ylim()[1] for ax in axes)
    for ax in axes:
        ax.set_ylim(0, top)
    _legend(fig, axes)
    return fig


def _grouped(pixels: pd.DataFrame, panel: str | None, height: float) -> tuple[Figure, list[Axes], dict[Any, Any]]:
    """A figure with one panel for each value of a column, and the rows of each panel by title."""
    groups: dict[Any, Any] = {"": pixels} if panel is None else dict(list(pixels.groupby(panel, sort=False)))
    fig, axes = panels(len(groups), 2, *((6.4, 4) if panel is None else (4.4, height)))
    return fig, axes, groups


def _legend(fig: Figure, axes: Sequence[Axes]) -> None:
    """One legend below the figure for all its axes."""
    handles = {n: h for ax in axes for h, n in zip(*ax.get_legend_handles_labels(), strict=True)}
    fig.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(len(handles), 4))


def histograms(
    pixels: pd.DataFrame,
    value: str,
    line: str = "class",
    panel: str | None = None,
    label: str | None = None,
    span: tuple[float, float] = (-1, 1),
) -> Figure:
    """Outlines of histograms, each with area 1.

    Args:
        pixels: one row a pixel.
        value: the column to count.
        line: column with one outline a value. Names with a comma, such as ``water, real``, have the colour of the
            class before it, and one style for each word after it.
        panel: column with one panel a value; None for one panel.
        label: of the x axis; default the column's name.
        span: lowest and highest value; default the range of a normalised difference.
    """
    fig, axes, groups = _grouped(pixels, panel, 2.6)
    names = pixels[line].drop_duplicates().tolist()
    kinds = list(dict.fromkeys(name.split(", ")[-1] for name in names))
    for ax, (title, part) in zip(axes, groups.items(), strict=True):
        for name in names:
            own = part.loc[part[line] == name, value].dropna()
            if own.empty:
                continue
            dashes = ("-", "--", "-.", ":")[kinds.index(name.split(", ")[-1]) % 4]
            style = {"color": _colours(line, names)[name], "ls": dashes, "label": name}
            ax.hist(own, bins=80, range=span, density=True, histtype="step", lw=2, **style)
        ax.set(title=title, xlabel=label or value, xlim=span)
        ax.locator_params(axis="x", nbins=5)
    axes[0].set_ylabel("density")
    _legend(fig, axes)
    return fig
