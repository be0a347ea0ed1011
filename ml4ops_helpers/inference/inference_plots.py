"""Figures of ``05_run_inference``: how far a network sees, seams, engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle

from ml4ops_helpers.plots import OKABE_ITO, hide_axes, name_rows, panels
from ml4ops_helpers.scenes.sentinel2 import Float

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def influence_figure(influence: Float, halo: int) -> Figure:
    """Influence of each pixel, ``(side, side)``, on the result in the middle, and the square that the halo spans."""
    fig, ax = plt.subplots(figsize=(5.2, 4.6), layout="constrained")
    limits = LogNorm(influence.max() * 1e-7, influence.max())
    half = influence.shape[0] / 2
    shown = np.where(influence > 0, influence, np.nan)
    drawn = ax.imshow(shown, norm=limits, cmap="viridis", extent=(-half, half, half, -half))
    fig.colorbar(drawn, label="influence on the answer in the middle")
    ax.add_patch(Rectangle((-halo, -halo), 2 * halo, 2 * halo, fill=False, ec=OKABE_ITO[1], lw=2, ls="--"))
    ax.set(xlabel="pixels to the right", ylabel="pixels down")
    ax.grid(visible=False)
    return fig


def seams(differences: Mapping[str, Float], smallest: float = 1e-7) -> Figure:
    """Maps of how far probabilities are from those of the whole scene, by title, on one logarithmic scale."""
    fig, axes = panels(len(differences), 2, 3.3, 3.3)
    limits = LogNorm(smallest, 1)
    for ax, (title, difference) in zip(axes, differences.items(), strict=True):
        drawn = ax.imshow(np.clip(difference, smallest, 1), norm=limits, cmap="cividis")
        hide_axes(ax, title)
    fig.colorbar(drawn, ax=axes, orientation="horizontal", shrink=0.7, label="difference of the water probability")
    return fig


def engine_bars(trial: pd.DataFrame) -> Figure:
    """Time of each engine of ``try_engines``, with its largest difference from torch in 32 bits written beside."""
    fig, ax = plt.subplots(figsize=(6.4, 1.2 + 0.5 * len(trial)), layout="constrained")
    bars = ax.barh(range(len(trial)), trial["seconds"], color=OKABE_ITO[0])
    ax.bar_label(bars, [f"{d:.0e}" if d else "reference" for d in trial["difference"]], padding=4)
    ax.set(xlabel="seconds for a million pixels", xlim=(0, 1.25 * trial["seconds"].max()))
    name_rows(ax, trial.index)
    ax.grid(visible=False, axis="y")
    return fig
