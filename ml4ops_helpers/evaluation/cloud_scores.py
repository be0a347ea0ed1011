"""Scores by how thick the cloud was, where a simulation knows what lay under it.

Explained in ``07_see_through_clouds``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml4ops_helpers.datasets.catalogues import load_scene
from ml4ops_helpers.evaluation.metrics import Counts, binary_counts
from ml4ops_helpers.scenes.rasters import SceneError, open_raster
from ml4ops_helpers.scenes.scaling import digital_numbers
from ml4ops_helpers.scenes.scene import Scene
from ml4ops_helpers.scenes.sentinel2 import BANDS, CLOUD, CLOUDY, INVALID, QUANTIFICATION, WATER, Codes, Float
from ml4ops_helpers.simulation.spectra import add_cloud

THICKNESS_EDGES: tuple[float, ...] = (0, 0.25, 0.5, 1, 1.5, 2, 3, 5)
"""Classes of optical thickness; no cloud at all is a class of its own, the last one is open."""


@dataclass(frozen=True, eq=False)
class CloudyScene:
    """A simulated scene with what lies under its clouds; arrays ``(height, width)``.

    Attributes:
        label: version 2, ``(2, height, width)``.
        ground: true land and water everywhere, codes 0 to 2.
        thickness: optical thickness of the cloud.
    """

    event: str
    scene: Scene
    label: Codes
    ground: Codes
    thickness: Float

    @property
    def thin(self) -> NDArray[np.bool_]:
        """Labelled as cloud, but thin enough for its ground to be labelled too."""
        return np.asarray((self.label[0] == CLOUDY) & (self.label[1] != INVALID))


def cloudy_scenes(table: pd.DataFrame) -> Iterator[CloudyScene]:
    """The scenes of a simulated catalogue, one at a time; ``SceneError`` for a scene without truth under its clouds."""
    for _, row in table.iterrows():
        scene, label = load_scene(row)
        if label is None or not row["truth"]:
            raise SceneError(f"{row['image']}: no truth under its clouds; use simulated scenes (source embedded)")
        with open_raster(row["truth"]) as source:
            bands = [source.descriptions.index(b) + 1 for b in ("label_under_cloud", "cloud_optical_thickness")]
            ground, thickness = source.read(bands)
        yield CloudyScene(row["event"], scene, label, ground.astype(np.uint8), thickness)


def by_label(cloudy: CloudyScene) -> dict[str, NDArray[np.bool_]]:
    """Parts of a scene by what its label says: clear, under thin cloud, under thick cloud."""
    clouded = cloudy.label[0] == CLOUDY
    return {"clear": ~clouded, "thin cloud": cloudy.thin, "thick cloud": clouded & ~cloudy.thin}


def by_thickness(cloudy: CloudyScene) -> dict[str, NDArray[np.bool_]]:
    """Parts of a scene by the optical thickness of the cloud, in the classes of ``THICKNESS_EDGES``."""
    parts = {"none": cloudy.thickness <= 0}
    for low, high in zip(THICKNESS_EDGES, (*THICKNESS_EDGES[1:], np.inf), strict=True):
        name = f"{low:g} to {high:g}" if np.isfinite(high) else f"over {low:g}"
        parts[name] = (cloudy.thickness > low) & (cloudy.thickness <= high)
    return parts


def count_parts(
    mapper: Callable[[Scene], Mapping[str, Codes]],
    table: pd.DataFrame,
    parts: Callable[[CloudyScene], Mapping[str, NDArray[np.bool_]]] = by_thickness,
) -> pd.DataFrame:
    """Count what maps get right and wrong of the true ground, by parts of the scenes.

    A pixel that a map does not observe counts as "not water": true water there is missed.

    Args:
        mapper: gives the class maps of a scene that are compared, by name.
        table: simulated catalogue.
        parts: masks of a scene, such as ``by_label`` or ``by_thickness``.

    Returns:
        One row per map, event and part: ``model``, ``event``, ``part``, ``tp``, ``fp``, ``fn``, ``tn``, and
        ``unobserved``, the missed water that the map declares not observed.
    """
    rows = []
    for cloudy in cloudy_scenes(table):
        water, masks = cloudy.ground == WATER, parts(cloudy)
        for name, codes in mapper(cloudy.scene).items():
            known = (cloudy.ground != INVALID) & (codes != INVALID)
            for part, mask in masks.items():
                counts = binary_counts(water, codes == WATER, known & mask)
                unobserved = int(np.count_nonzero(known & mask & water & (codes == CLOUD)))
                rows.append([name, cloudy.event, part, *counts, unobserved])
    counted = pd.DataFrame(rows, columns=["model", "event", "part", *Counts._fields, "unobserved"])
    return counted.groupby(["model", "event", "part"], sort=False, as_index=False).sum()


def add_uniform_cloud(scene: Scene, thickness: float, high: float = 1.0) -> Scene:
    """A scene under an even, simulated cloud: the ground stays known.

    Args:
        scene: all thirteen bands.
        thickness: optical thickness.
        high: share of cirrus, 0 to 1; the rest is a low cloud of droplets.

    Raises:
        ValueError: a band is missing.
    """
    if scene.bands != BANDS:
        raise ValueError(f"{scene.path}: {len(scene.bands)} bands; a cloud needs all thirteen")
    flat = np.ones(scene.shape, np.float32)
    clouded = add_cloud(np.nan_to_num(scene.reflectance()), thickness * flat, high * flat)
    numbers = np.clip(np.rint(clouded * QUANTIFICATION) - scene.offset, 1, 65535) * scene.valid
    return replace(scene, image=numbers.astype(np.int32), scaling=digital_numbers(len(BANDS), scene.offset))
