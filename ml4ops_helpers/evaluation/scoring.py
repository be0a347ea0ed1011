"""Evaluate a model on labelled scenes, one scene in memory at a time. Explained in ``04_measure_performance``."""

from __future__ import annotations

import timeit
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml4ops_helpers.datasets.catalogues import load_labelled
from ml4ops_helpers.evaluation.curves import ScoreHistogram, otsu
from ml4ops_helpers.evaluation.events import summarise_events
from ml4ops_helpers.evaluation.metrics import Confusion, iou
from ml4ops_helpers.inference.decisions import classify, model_input, scene_brightness, water_given_seen
from ml4ops_helpers.inference.tiling import predict_scene
from ml4ops_helpers.models.common import WATER_CHANNEL
from ml4ops_helpers.models.index import IndexModel
from ml4ops_helpers.scenes.rasters import open_raster
from ml4ops_helpers.scenes.scene import Scene
from ml4ops_helpers.scenes.sentinel2 import (
    CLOUD,
    CLOUDY,
    INVALID,
    THICK_CLOUD_BRIGHTNESS,
    WATER,
    Codes,
    Float,
    IndexName,
    merge_label,
)

if TYPE_CHECKING:
    from ml4ops_helpers.models.networks import Network

Scorer = Callable[[Scene], Float]
"""A function of a scene that gives a score of water in 0 to 1, float32 ``(height, width)``, NaN without data."""


def water_scorer(model: Network | IndexModel, *, given_seen: bool = True) -> Scorer:
    """A function of a scene that scores water by a network's probability, or by an index scaled to 0 to 1.

    A network is scored by the probability of water ``given_seen``, right where cloudy pixels are not counted, or by
    that of water, seen or not. The scene may hold more bands than the model needs.
    """
    if isinstance(model, IndexModel):
        return lambda scene: model.score(scene.reflectance(), scene.bands)
    if given_seen:
        return lambda scene: water_given_seen(predict_scene(model, model_input(model, scene)))
    return lambda scene: predict_scene(model, model_input(model, scene))[WATER_CHANNEL]


def always_land(scene: Scene) -> Float:
    """Scorer that never sees water: the least that a model must beat."""
    return np.where(scene.valid, 0, np.nan).astype(np.float32)


def otsu_scorer(index: IndexName) -> Scorer:
    """Scorer of 1 where an index lies above Otsu's threshold of the scene itself, else 0; it needs no label."""
    model = IndexModel(index)

    def score(scene: Scene) -> Float:
        value = model.score(scene.reflectance(), scene.bands)
        return np.where(np.isnan(value), np.nan, value >= otsu(value)).astype(np.float32)

    return score


def seconds_per_megapixel(scorer: Scorer, scene: Scene, repeats: int = 3) -> float:
    """Shortest of a few timings of a scorer on a scene, after a warm-up, for each million pixels."""
    scorer(scene)
    return min(timeit.repeat(partial(scorer, scene), number=1, repeat=repeats)) / scene.valid.size * 1e6


def labelled_scenes(
    table: pd.DataFrame, bands: tuple[str, ...] | None = None, *, ground: bool = False
) -> Iterator[tuple[pd.Series, Scene, Codes]]:
    """Row, scene and version-1 label of each row of a catalogue, one at a time; arguments as for ``score_events``."""
    for _, row in table.iterrows():
        scene, label = load_labelled(row, bands)
        yield row, scene, label[1] if ground else merge_label(label)


def score_scene(
    histogram: ScoreHistogram, scorer: Scorer, scene: Scene, truth: Codes, *, clouds: bool = False
) -> ScoreHistogram:
    """Add a scene to a histogram of the water score, in place, and return the histogram.

    ``truth`` holds version-1 codes; cloudy pixels count, as "not water", only if ``clouds``.
    """
    score = scorer(scene)
    mask = scene.valid & (truth != INVALID) & np.isfinite(score)
    if not clouds:
        mask &= truth != CLOUD
    histogram.update(truth == WATER, score, mask)
    return histogram


def score_events(
    scorer: Scorer,
    table: pd.DataFrame,
    *,
    bands: tuple[str, ...] | None = None,
    clouds: bool = False,
    ground: bool = False,
) -> dict[str, ScoreHistogram]:
    """Histogram of the water score for every event of a catalogue, in the catalogue's order.

    Args:
        scorer: from ``water_scorer``.
        table: catalogue of labelled scenes.
        bands: to read; default all that a file holds.
        clouds: see ``score_scene``.
        ground: the truth is the ground wherever it is known, under thin cloud too; by default cloud is a class.

    Raises:
        SceneError: a scene or label cannot be read.
        ValueError: a scene has no label.
    """
    histograms: dict[str, ScoreHistogram] = {}
    for row, scene, truth in labelled_scenes(table, bands, ground=ground):
        score_scene(histograms.setdefault(row["event"], ScoreHistogram()), scorer, scene, truth, clouds=clouds)
    return histograms


def counts_table(histograms: Mapping[str, ScoreHistogram], threshold: float) -> pd.DataFrame:
    """Counts of every event's map ``score >= threshold``, ready for ``summarise_events``: ``event, tp, fp, fn, tn``."""
    rows = [{"event": event, **h.counts_at(threshold)._asdict()} for event, h in histograms.items()]
    return pd.DataFrame(rows, columns=["event", "tp", "fp", "fn", "tn"])


def split_scores(model: Network, table: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Water IoU in each split of a catalogue of chips, clouds left out.

    Returns:
        By split: the mean of the ``chips`` in which it is defined, that of all their pixels ``pooled``, and how many
        chips are ``undefined``. Published results of Sen1Floods11 differ in which of the two they are.
    """
    rows = {}
    for split, part in table.groupby("split", sort=False):
        histograms = score_events(water_scorer(model), part.assign(event=part["image"]), bands=model.bands)
        found = summarise_events(counts_table(histograms, threshold)).loc["iou"]
        rows[split] = {"chips": found["per_event_mean"], "pooled": found["pooled"], "undefined": found["undefined"]}
    return pd.DataFrame(rows).T.rename_axis("split")


def best_event_threshold(histograms: Mapping[str, ScoreHistogram]) -> tuple[float, float]:
    """Threshold with the highest mean IoU over events, each with the same weight, and that mean.

    Choose it on validation and freeze it. The best of 999 thresholds, the middle one where several tie; events without
    water do not count. 0.5 and NaN where no event has water.
    """
    thresholds = np.arange(1, 1000) / 1000
    tables = [h.table(thresholds) for h in histograms.values()]
    wet = [t for t in tables if t["tp"].iloc[0] + t["fn"].iloc[0] > 0]
    if not wet:
        return 0.5, float("nan")
    mean = np.mean([iou(t["tp"], t["fp"], t["fn"]) for t in wet], axis=0)
    best = np.flatnonzero(mean == mean.max())
    middle = best[len(best) // 2]
    return float(thresholds[middle]), float(mean[middle])


def confuse(model: Network, table: pd.DataFrame, threshold: float) -> Confusion:
    """Confusion of land, water and cloud over a catalogue; rows truth, columns prediction."""
    total = Confusion()
    for _, scene, truth in labelled_scenes(table):
        codes = classify(predict_scene(model, model_input(model, scene)), threshold)
        total.update(np.where(scene.valid & (codes != INVALID), truth, INVALID), codes)
    return total


@dataclass(frozen=True, eq=False)
class MappedScene:
    """A scene, its label and a model's score, on one grid ``(height, width)``.

    Attributes:
        truth: version-1 codes.
        permanent: codes of the JRC layer (0 to 3), 0 everywhere if there is no such file.
        score: of water, 0 to 1, NaN without data.
    """

    event: str
    name: str
    scene: Scene
    truth: Codes
    permanent: Codes
    score: Float

    @property
    def clear(self) -> NDArray[np.bool_]:
        """Pixels that count: data and a label, no cloud."""
        return np.asarray(np.isfinite(self.score) & (self.truth != INVALID) & (self.truth != CLOUD))

    def water(self, threshold: float) -> NDArray[np.bool_]:
        """The map: water where the score is at least the threshold."""
        return np.asarray(np.nan_to_num(self.score) >= threshold)


def map_scenes(scorer: Scorer, table: pd.DataFrame) -> Iterator[MappedScene]:
    """Map the scenes of a catalogue, one at a time; arguments and errors as for ``score_events``."""
    for row, scene, truth in labelled_scenes(table):
        permanent = np.zeros(scene.shape, np.uint8)
        if row["permanent"]:
            with open_raster(row["permanent"]) as source:
                permanent = source.read(1)
        name = Path(row["image"]).stem
        yield MappedScene(row["event"], name, scene, truth, permanent, scorer(scene))


def cloud_threshold(model: Network, table: pd.DataFrame) -> float:
    """Threshold on cloud with which ``decide`` finds hidden ground best: highest mean IoU over the events.

    Hidden is what the version-2 label calls cloud with invalid ground. Choose it on validation and freeze it.
    """
    histograms: dict[str, ScoreHistogram] = {}
    for _, row in table.iterrows():
        scene, label = load_labelled(row)
        cloud = predict_scene(model, model_input(model, scene))[2]
        bright = np.where(scene_brightness(scene) > THICK_CLOUD_BRIGHTNESS, cloud, 0)
        hidden = (label[0] == CLOUDY) & (label[1] == INVALID)
        counted = scene.valid & (label[0] != INVALID) & np.isfinite(cloud)
        histograms.setdefault(row["event"], ScoreHistogram()).update(hidden, bright, counted)
    return best_event_threshold(histograms)[0]
