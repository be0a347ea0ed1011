"""Simulated against real images: samples of pixels, distances between distributions.

A sample has one row a pixel, as in ``explore``. Explained in ``02_explore_the_data``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from ml4ops_helpers.datasets.explore import draw_pixels
from ml4ops_helpers.scenes.scene import Scene
from ml4ops_helpers.scenes.sentinel2 import Codes

FEWEST = 30
"""Fewest pixels of a distribution that is compared."""


def sample_images(images: Mapping[str, tuple[Scene, Codes]], per_class: int = 500, seed: int = 0) -> pd.DataFrame:
    """Draw pixels of each class from real images; a band that an image lacks is NaN.

    Args:
        images: from ``real_images``.
        per_class: pixels of each class drawn from an image.
        seed: of the draw.

    Returns:
        As ``sample_pixels``; ``source`` is the image's name and ``split`` is ``real``.
    """
    rng = np.random.default_rng(seed)
    parts = [
        draw_pixels(scene.reflectance(), codes, scene.bands, per_class, rng).assign(source=name)
        for name, (scene, codes) in images.items()
    ]
    return pd.concat(parts, ignore_index=True).assign(split="real") if parts else pd.DataFrame()


def _distance(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """First Wasserstein distance; NaN where a sample is too small."""
    x, y = a[np.isfinite(a)], b[np.isfinite(b)]
    return float(wasserstein_distance(x, y)) if min(x.size, y.size) >= FEWEST else float("nan")


def compare_distributions(
    simulated: pd.DataFrame, other: pd.DataFrame, columns: Sequence[str], class_name: str
) -> pd.DataFrame:
    """Distance of other images from the simulated ones, relative to that between simulated events.

    The distance is the first Wasserstein distance: how far, on average, the values of one distribution must be moved
    to give the other, in the unit of the column. The yardstick is the median of the distances of each simulated event
    from all the others: at a ratio of 1 an image is as far away as a simulated event is.

    Args:
        simulated: sample of two or more simulated events, from ``sample_pixels``.
        other: sample of other images, from ``sample_images``.
        columns: bands, or other numbers in both tables.
        class_name: class whose pixels are compared.

    Returns:
        One row a source and column: ``source, column, distance, yardstick, ratio``; NaN where a sample has too few
        pixels. Empty where ``other`` is.

    Raises:
        ValueError: fewer than two simulated events have the class.

    Source: Villani 2009, Optimal Transport, doi:10.1007/978-3-540-71050-9.
    """
    if other.empty:
        return pd.DataFrame(columns=["source", "column", "distance", "yardstick", "ratio"])
    inside, outside = (t[t["class"] == class_name] for t in (simulated, other))
    if inside["source"].nunique() < 2:
        raise ValueError(f"{class_name} is in fewer than two simulated events; sample more events")
    rows = []
    for column in columns:
        values = {name: part.to_numpy() for name, part in inside.groupby("source")[column]}
        among = [
            _distance(v, np.concatenate([w for n, w in values.items() if n != name])) for name, v in values.items()
        ]
        yardstick = float(np.nanmedian(among))
        everything = inside[column].to_numpy()
        for source, part in outside.groupby("source", sort=False)[column]:
            distance = _distance(part.to_numpy(), everything)
            ratio = distance / yardstick if yardstick else float("nan")
            rows.append([source, column, distance, yardstick, ratio])
    return pd.DataFrame(rows, columns=["source", "column", "distance", "yardstick", "ratio"])


def beside(simulated: pd.DataFrame, other: pd.DataFrame, class_name: str) -> pd.DataFrame:
    """Pair the simulated pixels of a class with those of each real image, for a figure with one panel an image.

    Args:
        simulated: from ``sample_pixels``.
        other: from ``sample_images``; may be empty.
        class_name: the class.

    Returns:
        Both samples with ``origin`` (``simulated`` or ``real``) and ``source`` (the image); the simulated pixels are
        repeated for each image.
    """
    inside = simulated[simulated["class"] == class_name].assign(origin="simulated", source="no real image here")
    if other.empty:
        return inside
    outside = other[other["class"] == class_name].assign(origin="real")
    parts = [[inside.assign(source=name), part] for name, part in outside.groupby("source", sort=False)]
    return pd.concat([table for pair in parts for table in pair], ignore_index=True)
