"""Figures of ``07_see_through_clouds``.

Every function returns a matplotlib ``Figure``; ``Lesson.figure`` shows it with a description.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ml4ops_helpers.plots import MARKERS, OKABE_ITO
from ml4ops_helpers.scenes.sentinel2 import THICK_CLOUD_BRIGHTNESS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from ml4ops_helpers.inference.decisions import Thresholds

FATES: dict[str, str] = {"found": "#0072B2", "called land": "#E69F00", "not observed": "#CC79A7"}
"""What can become of true water on a map, and its colour."""


def part_lines(table: pd.DataFrame, x: str, y: str = "water IoU") -> Figure:
    """A line with marks for each map, over the parts of the scenes.

    Args:
        table: parts by maps, in the order to show; NaN where undefined.
        x: label of the x axis.
        y: label of the y axis, 0 to 1.
    """
    fig, ax = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
    for number, name in enumerate(table.columns):
        colour, style = OKABE_ITO[number % len(OKABE_ITO)], ("-", "--", "-.", ":")[number % 4]
        marker = MARKERS[number % len(MARKERS)]
        ax.plot(range(len(table)), table[name], color=colour, ls=style, marker=marker, lw=2, ms=7, label=str(name))
    ax.set_xticks(range(len(table)), [str(part) for part in table.index], rotation=40, ha="right")
    ax.set(xlabel=x, ylabel=y, ylim=(-0.02, 1.02))
    fig.legend(loc="outside upper center", ncols=2, fontsize=10)
    return fig


def fate_bars(table: pd.DataFrame) -> Figure:
    """What became of the true water on each map: found, called land, or declared not observed.

    Args:
        table: maps by ``FATES``, shares of the true water that add up to 1.
    """
    fig, ax = plt.subplots(figsize=(6.4, 1.5 + 0.45 * len(table)), layout="constrained")
    left = np.zeros(len(table))
    for fate, colour in FATES.items():
        share = 100 * table[fate].to_numpy(float)
        ax.barh(range(len(table)), share, left=left, color=colour, edgecolor="white", label=fate)
        for row, (start, width) in enumerate(zip(left, share, strict=True)):
            if width > 6:
                dark = fate == "found"
                ax.text(
                    start + width / 2, row, f"{width:.0f}", ha="center", va="center", color="white" if dark else "k"
                )
        left = left + share
    ax.set_yticks(range(len(table)), [str(name) for name in table.index])
    ax.set(xlabel="share of the true water (%)", xlim=(0, 100))
    ax.invert_yaxis()
    ax.grid(visible=False)
    fig.legend(loc="outside upper center", ncols=len(FATES))
    return fig


def decision_plane(
    samples: Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32]]], thresholds: Thresholds
) -> Figure:
    """Pixels by the two things the rule looks at to declare cloud; the shaded corner is what it declares.

    Args:
        samples: brightness (digital numbers) and probability of cloud of some pixels, by what the label says of them.
        thresholds: of the rule.
    """
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
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1 if handle is not legend.legend_handles[0] else 0.3)
    return fig
