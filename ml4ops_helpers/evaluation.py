"""Judge a model on labelled scenes, one scene in memory at a time. Explained in ``04_measure_performance``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from ml4ops_helpers.catalogues import load_scene
from ml4ops_helpers.curves import ScoreHistogram
from ml4ops_helpers.inference import predict_scene
from ml4ops_helpers.metrics import Confusion, as_mask, iou
from ml4ops_helpers.models import WATER_CHANNEL, IndexModel, Network
from ml4ops_helpers.scenes import Scene
from ml4ops_helpers.sentinel2 import CLOUD, INVALID, WATER, Codes, Float, merge_label

Scorer = Callable[[Scene], Float]
"""A function of a scene that gives a score of water in 0 to 1, float32 ``(height, width)``, NaN without data."""


def water_scorer(model: Network | IndexModel) -> Scorer:
    """What scores water in a scene: a network's probability, or an index on its way from 0 to 1.

    Args:
        model: a network or an index.

    Returns:
        A function of a scene; the scene may hold more bands than the model needs.
    """
    if isinstance(model, IndexModel):
        return lambda scene: model.score(scene.reflectance(), scene.bands)
    return lambda scene: predict_scene(model, model_input(model, scene))[WATER_CHANNEL]


def model_input(model: Network, scene: Scene) -> Float:
    """The scene's reflectance in the bands of the model, ``(bands, height, width)``."""
    positions = [scene.bands.index(band) for band in model.bands]
    return np.asarray(scene.reflectance()[positions], np.float32)


def score_events(
    scorer: Scorer, table: pd.DataFrame, *, bands: tuple[str, ...] | None = None, clouds: bool = False
) -> dict[str, ScoreHistogram]:
    """Histogram of the water score for every event of a catalogue.

    Args:
        scorer: from ``water_scorer``.
        table: catalogue of labelled scenes.
        bands: what to read; default all that a file holds.
        clouds: whether cloudy pixels count, as "not water"; by default they are left out.

    Returns:
        One histogram an event, in the catalogue's order.

    Raises:
        SceneError: a scene or label cannot be read.
        ValueError: a scene has no label.
    """
    histograms: dict[str, ScoreHistogram] = {}
    for _, row in table.iterrows():
        scene, label = load_scene(row, bands)
        if label is None:
            raise ValueError(f"{row['image']}: no label; scenes to judge a model on need one")
        truth = merge_label(label)
        score = scorer(scene)
        mask = scene.valid & (truth != INVALID) & np.isfinite(score)
        if not clouds:
            mask &= truth != CLOUD
        histograms.setdefault(row["event"], ScoreHistogram()).update(truth == WATER, score, mask)
    return histograms


def counts_table(histograms: Mapping[str, ScoreHistogram], threshold: float) -> pd.DataFrame:
    """Counts of every event at one threshold, ready for ``events.summarise``.

    Args:
        histograms: from ``score_events``.
        threshold: water where the score is at least this.

    Returns:
        One row an event: ``event, tp, fp, fn, tn``.
    """
    rows = [{"event": event, **h.counts_at(threshold)._asdict()} for event, h in histograms.items()]
    return pd.DataFrame(rows, columns=["event", "tp", "fp", "fn", "tn"])


def best_event_threshold(histograms: Mapping[str, ScoreHistogram]) -> tuple[float, float]:
    """Threshold with the highest mean IoU over events, each event counting the same, and that mean.

    Choose it on validation and freeze it. Looked for on 999 thresholds; an event without water has no say.

    Args:
        histograms: from ``score_events``.

    Returns:
        The threshold (the middle one where several tie) and the mean IoU there; 0.5 and NaN where no event has water.
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


def classify(probabilities: Float, threshold: float) -> Codes:
    """Version-1 codes from class probabilities.

    Args:
        probabilities: land, water, cloud, ``(3, height, width)``.
        threshold: water where its probability is at least this; elsewhere the likelier of land and cloud.

    Returns:
        uint8 ``(height, width)``: 0 invalid (NaN), 1 land, 2 water, 3 cloud.

    >>> classify(np.array([[[0.5]], [[0.3]], [[0.2]]]), 0.25).tolist()
    [[2]]
    """
    land, water, cloud = probabilities
    codes = np.where(water >= threshold, WATER, np.where(cloud > land, CLOUD, 1))
    return np.where(np.isnan(water), INVALID, codes).astype(np.uint8)


def confuse(model: Network, table: pd.DataFrame, threshold: float) -> Confusion:
    """Confusion of land, water and cloud over a catalogue; rows truth, columns prediction."""
    total = Confusion()
    for _, row in table.iterrows():
        scene, label = load_scene(row)
        if label is None:
            raise ValueError(f"{row['image']}: no label; scenes to judge a model on need one")
        codes = classify(predict_scene(model, model_input(model, scene)), threshold)
        truth = np.where(as_mask("valid", scene.valid & (codes != INVALID)), merge_label(label), INVALID)
        total.update(truth, np.where(truth == INVALID, 1, codes))
    return total
