"""Figures of ``06_quantify_uncertainty``: reliability, risk against coverage, prediction sets, intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch

from ml4ops_helpers.plots import (
    CHANCE,
    CLASS_COLOURS,
    MARKERS,
    OKABE_ITO,
    code_picture,
    hide_axes,
    line_style,
    name_rows,
    thin_out,
)
from ml4ops_helpers.scenes.sentinel2 import Codes, Float
from ml4ops_helpers.uncertainty.conformal import EITHER, NEITHER, NO_DATA, ONLY_LAND, ONLY_WATER, SETS
from ml4ops_helpers.uncertainty.selective import best_risk

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SET_COLOURS: dict[int, str] = {
    NO_DATA: "#000000",
    ONLY_LAND: CLASS_COLOURS["land"],
    ONLY_WATER: CLASS_COLOURS["water"],
    EITHER: "#F0E442",
    NEITHER: "#D55E00",
}
"""Colours of prediction sets."""


def reliability_figure(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Stated probability against observed frequency, by candidate, above; the pixels behind each point, below."""
    fig, (top, bottom) = plt.subplots(2, 1, figsize=(6.4, 6), height_ratios=(3, 1), sharex=True, layout="constrained")
    top.plot([0, 1], [0, 1], **CHANCE, label="perfectly calibrated")
    for number, (name, table) in enumerate(tables.items()):
        full = table[table["pixels"] > 0]
        style: dict[str, Any] = line_style(number) | {"marker": MARKERS[number]}
        top.plot(full["probability"], full["frequency"], **style, lw=2, ms=6, label=name)
        bottom.plot(full["probability"], full["pixels"], **style, lw=1.5, ms=4)
    top.set(ylabel="share that is water", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    bottom.set(xlabel="stated probability of water", ylabel="pixels", yscale="log")
    top.legend(loc="upper left")
    return fig


def risk_figure(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Error rate of what ``rejection`` keeps against the share kept, between random choice and the errors first."""
    fig, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    for number, (name, curve) in enumerate(curves.items()):
        thin = thin_out(curve)
        ax.plot(100 * thin["coverage"], 100 * thin["risk"], **line_style(number), lw=2, label=name)
    error_rate = float(next(iter(curves.values()))["risk"].iloc[0])
    kept = np.linspace(0.01, 1, 200)
    ax.axhline(100 * error_rate, **CHANCE, label="rejected at random")
    ax.plot(100 * kept, 100 * best_risk(kept, error_rate), color="black", lw=1, label="errors rejected first")
    ax.set(xlabel="coverage: pixels kept (%)", ylabel="risk: errors among them (%)", ylim=(0, None))
    fig.legend(loc="outside lower center", ncols=2)
    return fig


def coverage_figure(table: pd.DataFrame, level: float) -> Figure:
    """Share of pixels whose set holds the truth, from ``coverage_table``: all pixels, land, water, beside the level."""
    fig, ax = plt.subplots(figsize=(6.4, 1.6 + 0.36 * len(table)), layout="constrained")
    ax.axvline(100 * level, **CHANCE, label="asked for")
    colours = {"coverage": "#000000", "land": CLASS_COLOURS["land"], "water": CLASS_COLOURS["water"]}
    for marker, (name, colour) in zip(MARKERS, colours.items(), strict=False):
        label = {"coverage": "all pixels"}.get(name, name)
        ax.plot(100 * table[name], range(len(table)), marker, color=colour, ms=8, mec="black", ls="", label=label)
    name_rows(ax, table.index)
    ax.set(xlabel="pixels whose set holds the truth (%)")
    fig.legend(loc="outside upper center", ncols=4)
    return fig


def set_picture(sets: Codes) -> Float:
    """Picture ``(height, width, 3)`` of the codes of ``conformal.prediction_sets``."""
    return code_picture(sets, (SET_COLOURS[code] for code in range(len(SET_COLOURS))))


def sets_figure(picture: Float, sets: Codes) -> Figure:
    """A scene, as a picture ``(height, width, 3)``, beside its prediction sets."""
    fig, axes = plt.subplots(1, 2, figsize=(8, 4.4), layout="constrained")
    for ax, shown in zip(axes, (picture, set_picture(sets)), strict=True):
        ax.imshow(shown)
        hide_axes(ax)
    names = SETS | {NO_DATA: "not counted"}
    patches = [Patch(color=SET_COLOURS[code], label=name) for code, name in names.items()]
    fig.legend(handles=patches, loc="outside lower center", ncols=5)
    return fig


def expected_area_figure(table: pd.DataFrame) -> Figure:
    """Intervals of areas (``estimate``, ``low``, ``high``, km²), with the ``truth`` marked as held or missed."""
    fig, ax = plt.subplots(figsize=(6.4, 1.6 + 0.32 * len(table)), layout="constrained")
    places = np.arange(len(table))
    middle, low, high, truth = table[["estimate", "low", "high", "truth"]].to_numpy(float).T
    span = [middle - low, high - middle]
    ax.errorbar(middle, places, xerr=span, fmt="|", color=OKABE_ITO[0], capsize=4, ms=9, lw=2, label="interval")
    held = (low <= truth) & (truth <= high)
    for keep, marker, colour, label in (
        (held, "o", "#009E73", "truth, held"),
        (~held, "X", "#D55E00", "truth, missed"),
    ):
        ax.plot(truth[keep], places[keep], marker, color=colour, ms=8, mec="black", label=label)
    name_rows(ax, table.index)
    ax.set(xlabel="flooded area that is seen (km²)", xlim=(0, None))
    fig.legend(loc="outside upper center", ncols=3)
    return fig
