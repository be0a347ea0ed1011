"""Figures: one style, fixed colours of classes, units on all axes.

Every function returns a matplotlib ``Figure``; ``Lesson.figure`` shows it with a description.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch
from matplotlib.rcsetup import cycler
from matplotlib.ticker import LogFormatter
from numpy.typing import NDArray

from ml4ops_helpers.scenes.sentinel2 import CLASS_NAMES, Codes, Float

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

OKABE_ITO: tuple[str, ...] = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""Colours that all readers can distinguish, with any colour vision (Okabe & Ito 2008)."""
CLASS_COLOURS: dict[str, str] = {"invalid": "#000000", "land": "#E69F00", "water": "#0072B2", "cloud": "#CC79A7"}
SPLIT_COLOURS: dict[str, str] = {"train": "#0072B2", "val": "#E69F00", "test": "#D55E00"}
MARKERS: tuple[str, ...] = ("o", "s", "^", "D", "v", "P", "X", "*")
LINE_STYLES: tuple[str, ...] = ("-", "--", "-.", ":")
CHANCE: dict[str, Any] = {"color": "grey", "lw": 1.5, "ls": (0, (1, 1))}
"""Style of the line that something is compared with: no skill, a level asked for."""


def set_style() -> None:
    """Set matplotlib's defaults for every figure of the book."""
    plt.rcParams.update(
        {
            "figure.constrained_layout.use": True,
            "figure.dpi": 100,
            "font.size": 11,
            "axes.prop_cycle": cycler(color=OKABE_ITO),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.3,
            "image.interpolation": "nearest",
            "legend.frameon": False,
        }
    )


def panels(number: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with a ``number`` of axes, each of a width and height in inches; spare places stay empty."""
    columns = min(columns, number)
    rows = -(-number // columns)
    size = (width * columns, height * rows)
    fig, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for spare in axes.flat[number:]:
        spare.remove()
    return fig, list(axes.flat[:number])


def line_style(number: int) -> dict[str, Any]:
    """Colour and dashes of the line of this number: lines differ in both, for readers and printers without colour."""
    return {"color": OKABE_ITO[number % len(OKABE_ITO)], "ls": LINE_STYLES[number % len(LINE_STYLES)]}


def hide_axes(ax: Axes, title: str = "") -> None:
    """Prepare axes for a picture: no ticks, no grid."""
    ax.set_title(title, fontsize=11)
    ax.set(xticks=[], yticks=[])
    ax.grid(visible=False)


def name_rows(ax: Axes, names: Iterable[object]) -> None:
    """Name the rows 0, 1, … of an axes, the first on top."""
    words = [str(name) for name in names]
    ax.set_yticks(range(len(words)), words)
    ax.invert_yaxis()


def code_picture(codes: Codes, colours: Iterable[str]) -> Float:
    """Picture ``(height, width, 3)`` of codes, each in the colour at its place."""
    palette = np.array([to_rgb(colour) for colour in colours], np.float32)
    return np.asarray(palette[codes], np.float32)


def thin_out(curve: pd.DataFrame, points: int = 2000) -> pd.DataFrame:
    """At most so many rows of a curve, its ends among them: what is drawn of it."""
    return curve.iloc[np.unique(np.linspace(0, len(curve) - 1, points).astype(int))]


def label_picture(codes: Codes) -> Float:
    """Picture ``(height, width, 3)`` of version-1 codes, in 0 to 1."""
    return code_picture(codes, CLASS_COLOURS.values())


def gallery(pictures: Mapping[str, NDArray[Any]], columns: int = 3, pixel: float = 10, unit: str = "") -> Figure:
    """Pictures side by side, with a scale bar of 1 km in the first.

    Args:
        pictures: by title: an RGB picture ``(height, width, 3)``, version-1 class codes ``(height, width)`` of type
            uint8, or numbers ``(height, width)``, which get a colour bar.
        columns: pictures in a row.
        pixel: side of a pixel, metres; 0 for no scale bar.
        unit: label of the colour bars.
    """
    fig, axes = panels(len(pictures), columns, 3, 3.25)
    present: set[int] = set()
    for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
        hide_axes(ax, title)
        ax.spines[:].set_visible(False)
        if picture.ndim == 3:
            ax.imshow(picture)
        elif picture.dtype == np.uint8:
            ax.imshow(label_picture(picture))
            present |= set(np.unique(picture).tolist())
        else:
            drawn = ax.imshow(picture, cmap="viridis", vmin=np.nanmin(picture), vmax=np.nanpercentile(picture, 99.5))
            fig.colorbar(drawn, ax=ax, orientation="horizontal", shrink=0.85, pad=0.02, label=unit)
    if pixel:
        scale_bar(axes[0], 1000 / pixel)
    if present:
        patches = [Patch(color=CLASS_COLOURS[CLASS_NAMES[c]], label=CLASS_NAMES[c]) for c in sorted(present)]
        fig.legend(handles=patches, loc="outside lower center", ncols=len(patches))
    return fig


def scale_bar(ax: Axes, length: float) -> None:
    """Draw a scale bar of 1 km, so many pixels long, at the lower left of a map in pixels."""
    height = ax.get_ylim()[0]
    for colour, width in (("black", 5), ("white", 3)):
        ends = [0.05 * height, 0.05 * height + length]
        ax.plot(ends, [0.93 * height] * 2, color=colour, lw=width, solid_capstyle="butt")
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    ax.text(0.05 * height, 0.90 * height, "1 km", fontsize=9, va="bottom", bbox=box)


def lines(
    table: pd.DataFrame, y: str, marks: Mapping[str, tuple[float, float]] | None = None, **axes: object
) -> Figure:
    """Plot each column against the index, whose name is the label of the x axis.

    Args:
        table: numbers; the legend shows the columns' names.
        y: label of the y axis.
        marks: points ``(x, y)`` to mark, by column.
        **axes: arguments of ``Axes.set``, such as ``xscale="log"`` or ``ylim=(0, 1)``.
    """
    fig, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
    for number, name in enumerate(table.columns):
        style = line_style(number)
        ax.plot(table.index, table[name], **style, lw=2, label=str(name))
        if marks and name in marks:
            ax.plot(*marks[str(name)], marker=MARKERS[number % len(MARKERS)], ms=9, color=style["color"], mec="black")
    ax.set(xlabel=str(table.index.name), ylabel=y, **axes)
    if axes.get("yscale") == "log":
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
    if len(table.columns) > 1:
        ax.legend(title=table.columns.name)
    return fig


def heat_map(
    table: pd.DataFrame,
    label: str,
    centre: float | None = None,
    decimals: int = 1,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Heat map of a table, annotated with its numbers.

    Args:
        table: numbers; NaN are left blank.
        label: of the colour bar.
        centre: value shown white between two colours, such as 0 for a correlation; None for a single ramp.
        decimals: digits of the annotations.
        limits: ends of the colour bar, to compare two figures; None for those of the table.
    """
    longest = max(len(str(name)) for name in table.columns)
    size = (1.9 + max(0.62, 0.16 * longest) * table.shape[1], 1.4 + 0.5 * len(table))
    fig, ax = plt.subplots(figsize=size, layout="constrained")
    options = {"cmap": "cividis"} if centre is None else {"cmap": "RdBu_r", "center": centre}
    low, high = limits or (None, None)
    words = {"annot": True, "fmt": f".{decimals}f", "annot_kws": {"size": 9}, "cbar_kws": {"label": label}}
    import seaborn as sns

    sns.heatmap(table, ax=ax, vmin=low, vmax=high, **words, **options)
    ax.set(xlabel=str(table.columns.name or ""), ylabel=str(table.index.name or ""))
    ax.grid(visible=False)
    ax.tick_params(axis="y", rotation=0)
    return fig
