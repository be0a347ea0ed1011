"""Figures of ``07_see_through_clouds``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ml4ops_helpers.plots import MARKERS, OKABE_ITO, line_style, name_rows
from ml4ops_helpers.scenes.sentinel2 import THICK_CLOUD_BRIGHTNESS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from ml4ops_helpers.inference.decisions import Thresholds

FATES: dict[str, str] = {"found": "#0072B2", "called land": "#E69F00", "not observed": "#CC79A7"}
"""What can become of true water on a map, and its colour."""


def part_lines(table: pd.DataFrame, x: str) -> Figure:
    """A line of water IoU for each map (column), over the parts of the scenes (rows), which ``x`` names."""
    fig, ax = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
    for number, name in enumerate(table.columns):
        marker = MARKERS[number % len(MARKERS)]
        ax.plot(range(len(table)), table[name], **line_style(number), marker=marker, lw=2, ms=7, label=str(name))
    ax.set_xticks(range(len(table)), [str(part) for part in table.index], rotation=40, ha="right")
    ax.set(xlabel=x, ylabel="water IoU", ylim=(-0.02, 1.02))
    fig.legend(loc="outside upper center", ncols=2, fontsize=10)
    return fig


def fate_bars(table: pd.DataFrame) -> Figure:
    """What became of the true water on each map (rows): shares in the columns ``FATES``, which add up to 1."""
    fig, ax = plt.subplots(figsize=(6.4, 1.5 + 0.45 * len(table)), layout="constrained")
    left = np.zeros(len(table))
    for fate, colour in FATES.items():
        share = 100 * table[fate].to_numpy(float)
        bars = ax.barh(range(len(table)), share, left=left, color=colour, edgecolor="white", label=fate)
        words = [f"{width:.0f}" if width > 6 else "" for width in share]
        ax.bar_label(bars, words, label_type="center", color="white" if fate == "found" else "k")
        left = left + share
    name_rows(ax, table.index)
    ax.set(xlabel="share of the true water (%)", xlim=(0, 100))
    ax.grid(visible=False)
    fig.legend(loc="outside upper center", ncols=len(FATES))
    return fig


def decision_plane(
    samples: Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]], thresholds: Thresholds
) -> Figure:
    """Pixels by brightness (digital numbers) and probability of cloud; in the shaded corner the rule declares cloud."""
    fig, ax = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
    brightest = 12_000
    corner = (THICK_CLOUD_BRIGHTNESS, thresholds.cloud)
    size = (brightest - corner[0], 1.03 - corner[1])
    ax.add_patch(Rectangle(corner, *size, facecolor="#CC79A7", alpha=0.2, label="not observed"))
    for number, (name, (visible, cloud)) in enumerate(samples.items()):
        colour = OKABE_ITO[(4, 0, 6)[number % 3]]
        ax.plot(visible, cloud, MARKERS[number], color=colour, ms=4, alpha=0.5, mec="none", label=name)
    ax.set(xlabel="brightness of the visible bands (digital numbers)", ylabel="probability of cloud")
    ax.set(xlim=(0, brightest), ylim=(-0.03, 1.03))
    legend = fig.legend(loc="outside upper center", ncols=2, markerscale=2)
    for handle in legend.legend_handles[1:]:
        if handle is not None:
            handle.set_alpha(1)
    return fig
