"""Figures of ``03_train_a_model`` and ``04_measure_performance``: learning, curves, errors, events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch

from ml4ops_helpers.evaluation.metrics import (
    CLASS_CODES,
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    LEFT_OUT,
    TRUE_NEGATIVE,
    TRUE_POSITIVE,
    Confusion,
    error_map,
)
from ml4ops_helpers.plots import CHANCE, MARKERS, OKABE_ITO, code_picture, hide_axes, line_style, name_rows, thin_out
from ml4ops_helpers.scenes.sentinel2 import CLASS_NAMES, WATER, Codes, Float, composite

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from ml4ops_helpers.evaluation.curves import ScoreHistogram
    from ml4ops_helpers.evaluation.scoring import MappedScene

ERRORS: dict[int, tuple[str, str]] = {
    TRUE_POSITIVE: ("water, found", "#0072B2"),
    FALSE_POSITIVE: ("false alarm", "#D55E00"),
    FALSE_NEGATIVE: ("missed water", "#F0E442"),
    TRUE_NEGATIVE: ("land, left alone", "#D9D9D9"),
    LEFT_OUT: ("not counted", "#FFFFFF"),
}
"""Name and colour of each code of ``metrics.error_map``."""


def learning_curves(histories: Mapping[str, pd.DataFrame]) -> Figure:
    """Training loss and validation IoU of each epoch of ``History.table()``, by model; the best epoch is marked."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for number, (name, table) in enumerate(histories.items()):
        style = line_style(number)
        left.plot(table.index, table["loss"], **style, lw=2, label=name)
        right.plot(table.index, table["val_iou"], **style, lw=2)
        best = table["val_iou"].idxmax()
        right.plot(best, table["val_iou"][best], MARKERS[number], ms=9, color=style["color"], mec="black")
    left.set(xlabel="epoch", ylabel="mean loss of the training batches", ylim=(0, None))
    right.set(xlabel="epoch", ylabel="water IoU, mean of the validation events", ylim=(0, 1))
    for ax in (left, right):
        ax.xaxis.get_major_locator().set_params(integer=True)
    left.legend()
    return fig


def confusion_figure(confusion: Confusion) -> Figure:
    """Confusion matrix: rows truth, columns prediction; shares of the row, and pixels."""
    matrix, names = confusion.matrix, [CLASS_NAMES[c] for c in CLASS_CODES]
    with np.errstate(invalid="ignore"):
        share = 100 * matrix / matrix.sum(axis=1, keepdims=True)
    fig, ax = plt.subplots(figsize=(5.4, 4.2), layout="constrained")
    drawn = ax.imshow(share, cmap="cividis", vmin=0, vmax=100)
    fig.colorbar(drawn, label="share of the pixels of the true class (%)")
    for (row, column), count in np.ndenumerate(matrix):
        colour = "black" if share[row, column] > 50 else "white"
        text = f"{share[row, column]:.1f} %\n{count:,}"
        ax.text(column, row, text, ha="center", va="center", color=colour, fontsize=10)
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="prediction", ylabel="truth")
    ax.grid(visible=False)
    return fig


def skill_curves(histograms: Mapping[str, ScoreHistogram], thresholds: Mapping[str, float]) -> Figure:
    """Precision against recall, and the ROC curve, by model, with the lines of no skill; ``thresholds`` are marked."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4.6), layout="constrained")
    for number, (name, histogram) in enumerate(histograms.items()):
        style = line_style(number)
        pr, roc = (thin_out(curve) for curve in (histogram.pr_curve(), histogram.roc_curve()))
        left.plot(pr["recall"], pr["precision"], **style, lw=2, label=name)
        right.plot(roc["false_positive_rate"], roc["true_positive_rate"], **style, lw=2)
        if name in thresholds:
            mark = {"marker": MARKERS[number], "ms": 9, "color": style["color"], "mec": "black", "zorder": 3}
            at = histogram.pr_curve(thresholds[name]).iloc[0]
            left.plot(at["recall"], at["precision"], **mark)
            right.plot(at["fp"] / max(at["fp"] + at["tn"], 1), at["recall"], **mark)
    left.axhline(next(iter(histograms.values())).no_skill, **CHANCE, label="no skill")
    right.plot([0, 1], [0, 1], **CHANCE)
    left.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.01))
    right.set(xlabel="false positive rate", ylabel="true positive rate (recall)", xlim=(-0.01, 1), ylim=(0, 1.01))
    fig.legend(loc="outside lower center", ncols=3)
    return fig


def error_picture(errors: Codes) -> Float:
    """Picture ``(height, width, 3)`` of the codes of ``metrics.error_map``, in the colours of ``ERRORS``."""
    return code_picture(errors, (ERRORS.get(code, ERRORS[LEFT_OUT])[1] for code in range(LEFT_OUT + 1)))


def error_gallery(maps: Sequence[MappedScene], threshold: float) -> Figure:
    """Each scene in short-wave infrared, near infrared and red; its water score; where the map is right and wrong."""
    fig, axes = plt.subplots(len(maps), 3, figsize=(9, 3 * len(maps) + 0.6), squeeze=False, layout="constrained")
    for ax in axes.flat:
        hide_axes(ax)
    for row, mapped in zip(axes, maps, strict=True):
        errors = error_map(mapped.truth == WATER, mapped.water(threshold), mapped.clear)
        row[0].imshow(composite(mapped.scene.reflectance(), mapped.scene.bands, "swir"))
        row[1].imshow(mapped.score, cmap="Blues", vmin=0, vmax=1)
        row[2].imshow(error_picture(errors))
        row[0].set_ylabel(mapped.name)
    for ax, title in zip(axes[0], ("B11, B8, B4", "water score", "against the label"), strict=True):
        ax.set_title(title)
    fig.colorbar(axes[0, 1].images[0], ax=axes[:, 1], orientation="horizontal", shrink=0.9, pad=0.01)
    patches = [Patch(facecolor=colour, edgecolor="grey", label=name) for name, colour in ERRORS.values()]
    fig.legend(handles=patches, loc="outside lower center", ncols=5, fontsize=10)
    return fig


def event_dots(table: pd.DataFrame) -> Figure:
    """Water IoU by event (rows) and model (columns), NaN where undefined; the last row shows the mean of the events."""
    fig, ax = plt.subplots(figsize=(6.4, 1.6 + 0.36 * (len(table) + 1)), layout="constrained")
    for number, name in enumerate(table.columns):
        values = [*table[name], table[name].mean()]
        (dots,) = ax.plot(values, range(len(values)), MARKERS[number], color=OKABE_ITO[number], label=str(name))
        dots.set(ms=8, mec="black")
    ax.axhline(len(table) - 0.5, color="grey", lw=1)
    name_rows(ax, [*table.index, "mean of events"])
    ax.set(xlabel="water IoU", xlim=(-0.02, 1.02))
    fig.legend(loc="outside upper center", ncols=len(table.columns))
    return fig


def staged_lines(tables: Mapping[str, pd.DataFrame], units: Mapping[str, str]) -> Figure:
    """Recall and false alarms along each staged series, by model.

    Args:
        tables: from ``score_stages``, by model.
        units: what changes along each series, for its axis; those series are drawn.
    """
    measures = {"recall": "water found (%)", "false_alarm": "land called water (%)"}
    fig, axes = plt.subplots(
        2,
        len(units),
        figsize=(2.1 * len(units) + 0.8, 5.2),
        sharex="col",
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for row, (measure, label) in zip(axes, measures.items(), strict=True):
        for ax, series in zip(row, units, strict=True):
            for number, (name, table) in enumerate(tables.items()):
                column = 100 * table[measure].xs(series)
                style = line_style(number) | {"marker": MARKERS[number], "ms": 6, "mec": "black", "label": name}
                ax.plot(column.index, column, **style)
        row[0].set(ylabel=label)
    axes[0, 0].set(ylim=(0, 102))
    axes[1, 0].set(ylim=(0, None))
    for ax, text in zip(axes[1], units.values(), strict=True):
        ax.set(xlabel=text)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(tables))
    return fig


def interval_bars(scores: pd.DataFrame, gains: pd.DataFrame, bar: float, metric: str) -> Figure:
    """Estimates and intervals (``estimate``, ``low``, ``high``): scores above, and below gains of one over another.

    Args:
        scores: the index names the rows.
        gains: differences of scores.
        bar: gain that is asked for, drawn beside that of 0.
        metric: what the scores are, for the axes.
    """
    heights = [len(scores) + 1, len(gains) + 1]
    fig, (above, below) = plt.subplots(
        2, figsize=(6.4, 1.4 + 0.4 * sum(heights)), height_ratios=heights, layout="constrained"
    )
    for ax, table in ((above, scores), (below, gains)):
        middle, low, high = table[["estimate", "low", "high"]].to_numpy(float).T
        places = np.arange(len(table))
        ax.errorbar(middle, places, xerr=[middle - low, high - middle], fmt="o", color=OKABE_ITO[0], capsize=4, ms=7)
        ax.set_yticks(places, [str(i) for i in table.index])
        ax.set_ylim(len(table) - 0.4, -0.6)
    above.set(xlabel=metric)
    below.axvline(0, color="grey", lw=1.5, label="no gain")
    below.axvline(bar, color=OKABE_ITO[1], ls="--", lw=2, label="asked for")
    below.set(xlabel=f"gain in {metric}")
    below.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return fig
