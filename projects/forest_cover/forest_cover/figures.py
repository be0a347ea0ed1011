"""Figures of trainings and evaluations. Colours that readers with any colour vision tell apart; units on every axis."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from forest_cover.columns import LABELS
from forest_cover.files import replacing
from forest_cover.scores import Counts, Floats

BLUE, VERMILION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
"""From Okabe & Ito (2008)."""


def axes(width: float = 6.4, height: float = 4.4) -> tuple[Figure, Axes]:
    """A figure with one pair of axes. It belongs to no window, so a server draws it as well.

    Args:
        width: in inches.
        height: in inches.
    """
    figure = Figure(figsize=(width, height), layout="constrained", dpi=120)
    ax = figure.add_subplot()
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.3)
    return figure, ax


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all; the same figure is the same file, whatever drew it.

    Args:
        figure: what to write.
        path: of the file; its folder is made.
    """
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def history(table: pd.DataFrame, best: int) -> Figure:
    """Loss of training and validation, and the validation score, by epoch.

    Args:
        table: from ``Run.history``.
        best: the epoch whose weights are kept, from 1.
    """
    figure = Figure(figsize=(9.6, 4), layout="constrained", dpi=120)
    left, right = figure.subplots(1, 2)
    left.plot(table["epoch"], table["train_loss"], color=BLUE, ls="--", label="training, as minimised")
    left.plot(table["epoch"], table["val_loss"], color=VERMILION, label="validation")
    right.plot(table["epoch"], table["val_macro_f1"], color=VERMILION, label="validation")
    for ax, what in ((left, "cross-entropy (nats)"), (right, "macro-F1 (0 to 1)")):
        ax.axvline(best, color=GREY, ls=":", label=f"kept: epoch {best}")
        ax.set(xlabel="epoch", ylabel=what)
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False)
    return figure


def learning_rate(table: pd.DataFrame) -> Figure:
    """The learning rate at the end of each epoch.

    Args:
        table: from ``Run.history``.
    """
    figure, ax = axes()
    ax.plot(table["epoch"], table["learning_rate"], color=BLUE)
    ax.set(xlabel="epoch", ylabel="learning rate (step size of AdamW)", ylim=(0, None))
    return figure


def heat(
    values: Floats, names: tuple[Sequence[str], Sequence[str]], label: str, limits: tuple[float, float], digits: int = 2
) -> tuple[Figure, Axes]:
    """A table as colours, with the numbers in the fields.

    Args:
        values: ``(rows, columns)``.
        names: of the rows, and of the columns.
        label: of the colour bar.
        limits: values of the first and the last colour; where they are symmetric, 0 is white.
        digits: after the point.
    """
    figure, ax = axes(7.6, 6.4)
    ax.grid(visible=False)
    colours = "PuOr" if limits[0] == -limits[1] else "cividis"
    image = ax.imshow(values, cmap=colours, vmin=limits[0], vmax=limits[1], aspect="auto")
    bright = image.to_rgba(values)[..., :3] @ (0.3, 0.6, 0.1) > 0.5
    for (row, column), value in np.ndenumerate(values):
        color = "black" if bright[row, column] else "white"
        ax.text(column, row, f"{value:.{digits}f}", ha="center", va="center", size=9, color=color)
    ax.set_yticks(range(len(names[0])), names[0])
    ax.set_xticks(range(len(names[1])), names[1], rotation=40, ha="right")
    figure.colorbar(image, label=label, shrink=0.8)
    return figure, ax


def confusion(counts: Counts) -> Figure:
    """Of each true class, the share predicted as each class; the numbers in the fields are per cent.

    Args:
        counts: from ``scores.confusion``.
    """
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows = [f"{name} ({n})" for name, n in zip(LABELS, counts.sum(axis=1), strict=True)]
    figure, ax = heat(share, (rows, LABELS), "share of the true class (%)", (0, 100), digits=0)
    ax.set(xlabel="predicted cover type", ylabel="true cover type (rows)")
    return figure


def reliability(table: pd.DataFrame, error: float) -> Figure:
    """Share of right predictions against their confidence; the larger a point, the more rows.

    Args:
        table: from ``scores.reliability``.
        error: expected calibration error.
    """
    figure, ax = axes(5.6, 5.2)
    ax.plot([0, 1], [0, 1], color=GREY, ls=":", label="confidence = accuracy")
    ax.plot(table["confidence"], table["accuracy"], color=BLUE)
    sizes = 20 + 300 * table["rows"] / table["rows"].sum()
    ax.scatter(table["confidence"], table["accuracy"], s=sizes, color=BLUE, label=f"model (ECE {error:.3f})")
    ax.set(xlabel="mean confidence (0 to 1)", ylabel="share that is right (0 to 1)", xlim=(0, 1.02), ylim=(0, 1.02))
    ax.legend(frameon=False, loc="upper left")
    return figure


def learning_curve(table: pd.DataFrame) -> Figure:
    """Score on the validation rows against the number of training rows.

    Args:
        table: columns ``rows`` and ``val_macro_f1``.
    """
    figure, ax = axes()
    ax.plot(table["rows"], table["val_macro_f1"], color=BLUE, marker="o")
    ax.set(xlabel="training rows", ylabel="macro-F1 on validation rows (0 to 1)", xlim=(0, None))
    return figure


def class_recall(tables: dict[str, pd.DataFrame]) -> Figure:
    """Recall of each class, one row of points for each model.

    Args:
        tables: from ``scores.class_table``, by the name of the model.
    """
    figure, ax = axes(7.2, 4.6)
    markers, colours = "os^Dv", (GREY, VERMILION, GREEN, BLUE, "#CC79A7")
    for number, (name, table) in enumerate(tables.items()):
        place = np.arange(len(table)) + 0.14 * (number - (len(tables) - 1) / 2)
        ax.plot(table["recall"], place, ls="", label=name, color=colours[number % 5], marker=markers[number % 5])
    ax.set_yticks(range(len(LABELS)), LABELS)
    ax.invert_yaxis()
    ax.set(xlabel="recall: share of the class that was found (0 to 1)", ylabel="cover type", xlim=(-0.02, 1.02))
    figure.legend(loc="outside upper center", ncols=len(tables), frameon=False)
    return figure
