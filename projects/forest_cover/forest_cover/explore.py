"""Look at the rows before anything is done to them: numbers, figures, and one page that shows both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from forest_cover.columns import CLASSES, COUNTS, LABELS, QUANTITIES, SOIL, TARGET, WILDERNESS
from forest_cover.figures import BLUE, axes, heat, save
from forest_cover.files import write_text

CORRELATED = 0.5
"""Pairs of columns are listed from this absolute correlation on."""
AREAS = ("Rawah", "Neota", "Comanche Peak", "Cache la Poudre")
ORANGE = "#E69F00"
"""Of the same palette as the colours of `forest_cover.figures`."""


def describe(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The numbers of the report.

    Args:
        frame: features and target.

    Returns:
        Tables ``measured`` (with the target), ``classes``, ``categories`` and ``correlated``.
    """
    return {
        "measured": _measured(frame),
        "classes": class_table(frame),
        "categories": _categories(frame),
        "correlated": correlated_pairs(frame),
    }


def _measured(frame: pd.DataFrame) -> pd.DataFrame:
    names = [q.name for q in QUANTITIES]
    values = frame[[*names, TARGET]]
    table = values.agg(["min", "median", "mean", "std", "max", "nunique"]).T
    table.insert(0, "role", ["feature"] * len(names) + ["target"])
    table.insert(1, "unit", [*(q.unit for q in QUANTITIES), "class"])
    table.insert(2, "missing", values.isna().sum())
    return table.rename_axis("column").reset_index()


def class_table(frame: pd.DataFrame) -> pd.DataFrame:
    """How many rows each class has.

    Args:
        frame: rows with the target.

    Returns:
        One row a class: ``class``, ``label``, ``rows``, ``share``, and ``share of all`` 581 012 real rows.

    >>> class_table(pd.DataFrame({"Cover_Type": [2, 2, 2, 7]}))["share"].tolist()
    [0.0, 0.75, 0.0, 0.0, 0.0, 0.0, 0.25]
    """
    rows = frame[TARGET].value_counts().reindex(list(CLASSES), fill_value=0).to_numpy()
    shares = {"share": rows / len(frame), "share of all": np.array(COUNTS) / sum(COUNTS)}
    return pd.DataFrame({"class": CLASSES, "label": LABELS, "rows": rows, **shares})


def _categories(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of each wilderness area and soil type, and the class that most of them have."""
    table = [
        {"column": name, "rows": len(own), "commonest class": int(own.mode()[0]) if len(own) else None}
        for name in (*WILDERNESS, *SOIL)
        for own in [frame.loc[frame[name] == 1, TARGET]]
    ]
    return pd.DataFrame(table).astype({"commonest class": "Int64"})


def correlated_pairs(frame: pd.DataFrame) -> pd.DataFrame:
    """Pairs of measured columns that say nearly the same.

    Args:
        frame: the features.

    Returns:
        ``first``, ``second`` and their ``correlation`` (Pearson), the strongest first, from `CORRELATED` on.
    """
    matrix = frame[[q.name for q in QUANTITIES]].corr()
    rows = [(a, b, matrix.loc[a, b]) for a, b in combinations(matrix.columns, 2)]
    pairs = pd.DataFrame(rows, columns=["first", "second", "correlation"])
    pairs = pairs[pairs["correlation"].abs() >= CORRELATED]
    return pairs.sort_values("correlation", key=lambda r: r.abs(), ascending=False)


def draw(frame: pd.DataFrame) -> Iterator[tuple[str, str, Figure]]:
    """The figures of the report.

    Args:
        frame: features and target.

    Yields:
        Name, description in words, and figure.
    """
    yield "classes", "Rows of each class, on a logarithmic scale.", _draw_classes(frame)
    yield "measured", "Histograms of the ten measured columns.", _draw_measured(frame)
    yield "elevation", "Elevation of each class: the classes follow each other in height.", _draw_elevation(frame)
    yield "areas", "Share of the rows of each class in each wilderness area.", _draw_areas(frame)
    yield "correlation", "Correlation of each pair of measured columns.", _draw_correlation(frame)


def _draw_classes(frame: pd.DataFrame) -> Figure:
    table = class_table(frame)
    figure, ax = axes(8, 3.5)
    ax.bar_label(ax.barh(table["label"], table["rows"], color=BLUE), padding=3)
    ax.set(xscale="log", xlabel="rows (logarithmic)", xlim=(0.8, table["rows"].max() * 4))
    ax.invert_yaxis()
    return figure


def _draw_measured(frame: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(9, 11), layout="constrained", dpi=120)
    for ax, quantity in zip(figure.subplots(5, 2).flat, QUANTITIES, strict=True):
        values = frame[quantity.name].dropna()
        width = np.ceil((values.max() - values.min() + 1) / 40)  # whole, or bars hold unequal numbers of values
        ax.hist(values, bins=np.arange(values.min() - 0.5, values.max() + width, width), color=BLUE)
        ax.set(title=quantity.name.replace("_", " "), xlabel=quantity.unit, ylabel="rows")
    return figure


def _draw_elevation(frame: pd.DataFrame) -> Figure:
    figure, ax = axes(8, 4)
    heights = [frame.loc[frame[TARGET] == code, "Elevation"].dropna() for code in CLASSES]
    boxes = ax.boxplot(heights, orientation="horizontal", showfliers=False, patch_artist=True)
    for box, line in zip(boxes["boxes"], boxes["medians"], strict=True):
        box.set_facecolor(BLUE)
        line.set_color(ORANGE)
    ax.set_yticklabels(LABELS)
    ax.set_xlabel("elevation, m (box: half of the rows; line: median)")
    ax.invert_yaxis()
    return figure


def _draw_areas(frame: pd.DataFrame) -> Figure:
    shares = frame.groupby(TARGET)[list(WILDERNESS)].mean().reindex(list(CLASSES)).to_numpy()
    return heat(shares, (LABELS, AREAS), "share of the rows of a class", (0, 1))[0]


def _draw_correlation(frame: pd.DataFrame) -> Figure:
    names = [re.sub("(H|V)[a-z]+_Distance", r"\1", q.name).replace("_", " ") for q in QUANTITIES]
    matrix = frame[[q.name for q in QUANTITIES]].corr().to_numpy()
    return heat(matrix, (names, names), "correlation", (-1, 1))[0]


def _short(number: float) -> str:
    """Three digits, and all digits before the point."""
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"


def write_report(frame: pd.DataFrame, folder: Path, facts: dict[str, Any]) -> None:
    """Write the figures, and a page that shows them with the tables; it needs nothing from the network.

    Args:
        frame: features and target.
        folder: of the report.
        facts: name and value, shown at the top.
    """
    images = []
    for name, text, figure in draw(frame):
        save(figure, folder / f"{name}.png")
        images.append(
            f'<figure><img src="{name}.png" alt="{escape(text)}"><figcaption>{escape(text)}</figcaption></figure>'
        )
    titles = {
        "measured": "Measured columns and the target",
        "classes": "Classes",
        "categories": "Categorical columns (one-hot)",
        "correlated": f"Pairs with an absolute correlation of {CORRELATED} or more",
    }
    tables = [
        f"<h2>{titles[name]}</h2>" + table.to_html(index=False, border=0, na_rep="", float_format=_short)
        for name, table in describe(frame).items()
    ]
    top = "".join(f"<li>{escape(name)}: {escape(str(value))}</li>" for name, value in facts.items())
    write_text(PAGE.format(facts=top, tables="\n".join(tables), images="\n".join(images)), folder / "index.html")


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Forest cover: the data</title>
<style>
body {{ font: 1rem/1.5 sans-serif; max-width: 60rem; margin: auto; padding: 1rem; }}
table {{ border-collapse: collapse; display: block; overflow-x: auto; font-size: .85rem; }}
th, td {{ padding: .2rem .6rem; text-align: right; border-bottom: 1px solid #ccc; }}
figure {{ margin: 1rem 0; }} img {{ max-width: 100%; }}
</style></head><body>
<h1>Forest cover: the data</h1>
<ul>{facts}</ul>
{tables}
<h2>Figures</h2>
{images}
</body></html>
"""
