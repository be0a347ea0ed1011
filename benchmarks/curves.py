"""Precision-recall curves of many pixels: our histogram against scikit-learn, torchmetrics and ml4floods.

    python benchmarks/curves.py                  # 10 images of 1024 x 1024, five rounds
    python benchmarks/curves.py --images 96      # 100 Mpixel, one round

CPU time with one thread; in each round the contenders run one after another. Ours makes the PR and the ROC curve with
both areas; the peers only the PR curve. Memory is the growth of the resident peak of a fresh process. A peer that is
not installed is skipped (torchmetrics: the ``bench`` extra; ml4floods 1.1.1: ``pip install --no-deps --target``, then
``PYTHONPATH``). The scores are calibrated probabilities: logits of variance 4 around ±2, one pixel in five is water.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch are imported

import argparse
import importlib.util
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from sklearn.metrics import auc, precision_recall_curve

from ml4ops_helpers.evaluation.curves import ScoreHistogram

SIZE = 1024
BINNED = 100  # thresholds of the binned torchmetrics curve


def simulate(images: int, sharpness: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Truth (bool) and score (float32), both (images, SIZE, SIZE); sharpness above 1 makes the score overconfident."""
    rng = np.random.default_rng(seed)
    truth, score = np.empty((images, SIZE, SIZE), bool), np.empty((images, SIZE, SIZE), np.float32)
    for t, s in zip(truth, score, strict=True):
        t[:] = rng.random(t.shape) < 0.2
        s[:] = 1 / (1 + np.exp(-sharpness * rng.normal(np.where(t, 2, -2), 2)))
    return truth, score


def count(truth: np.ndarray, score: np.ndarray, batch: int) -> ScoreHistogram:
    histogram = ScoreHistogram()
    for i in range(0, len(truth), batch):
        histogram.update(truth[i : i + batch], score[i : i + batch])
    return histogram


def ours(truth: np.ndarray, score: np.ndarray) -> float:
    histogram = count(truth, score, batch=1)
    histogram.pr_curve()
    histogram.roc_curve()
    histogram.auc()
    return histogram.average_precision()


def area(precision: np.ndarray, recall: np.ndarray) -> float:
    """Trapezoid rule over the points whose precision is defined."""
    defined = np.isfinite(precision)
    return float(auc(recall[defined], precision[defined]))


def scikit_learn(truth: np.ndarray, score: np.ndarray) -> float:
    precision, recall, _ = precision_recall_curve(truth.ravel(), score.ravel())
    return area(precision, recall)


def torchmetrics_with(thresholds: int | None) -> Callable[[np.ndarray, np.ndarray], float]:
    def run(truth: np.ndarray, score: np.ndarray) -> float:
        import torch
        from torchmetrics.classification import BinaryPrecisionRecallCurve

        metric = BinaryPrecisionRecallCurve(thresholds=thresholds)
        for t, s in zip(truth, score, strict=True):
            metric.update(torch.from_numpy(s), torch.from_numpy(t).long())
        precision, recall, _ = metric.compute()
        return area(precision.numpy(), recall.numpy())

    return run


class Loader:
    """What ml4floods asks of a data loader: batches of one image, version-2 labels, and a length for its bar."""

    batch_size = 1

    def __init__(self, truth: np.ndarray, score: np.ndarray) -> None:
        self.truth, self.score, self.dataset = truth, score, range(len(truth))

    def __iter__(self) -> Iterator[dict[str, object]]:
        import torch

        for t, s in zip(self.truth, self.score, strict=True):
            image, land_or_water = torch.from_numpy(s)[None], torch.from_numpy(t)[None].long() + 1
            yield {
                "image": torch.stack([torch.zeros_like(image), image], 1),
                "mask": torch.stack([torch.ones_like(land_or_water), land_or_water], 1),
            }


def ml4floods(truth: np.ndarray, score: np.ndarray) -> float:
    from ml4floods.models.utils import metrics

    metrics.tqdm = lambda batches, total: batches  # no bar
    result = metrics.compute_metrics_v2(Loader(truth, score), pred_fun=lambda image: image)
    matrix = result["confusions_thresholded"].sum(axis=1)  # its rows are the prediction
    tp, fp, fn = matrix[:, 1, 1], matrix[:, 1, 0], matrix[:, 0, 1]
    return area(np.append(1, tp / (tp + fp)), np.append(0, tp / (tp + fn)))


def contenders() -> dict[str, Callable[[np.ndarray, np.ndarray], float]]:
    found = {"ours, 65 536 steps": ours, "scikit-learn, exact": scikit_learn}
    if importlib.util.find_spec("torchmetrics"):
        found["torchmetrics, exact"] = torchmetrics_with(None)
        found[f"torchmetrics, {BINNED} thresholds"] = torchmetrics_with(BINNED)
    else:
        print("torchmetrics is not installed: skipped")
    if importlib.util.find_spec("ml4floods"):
        found["ml4floods, 25 thresholds"] = ml4floods
    else:
        print("ml4floods is not installed: skipped")
    return found


def resident(field: str) -> float:
    """A line of this process's memory status, MB (Linux)."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(field))
    return int(line.split()[1]) / 1e3


def growth(name: str, images: int) -> float:
    """Growth of this process's resident peak while a contender runs, MB, its libraries already loaded."""
    truth, score = simulate(images)
    run = contenders()[name]
    run(truth[:1, :64], score[:1, :64])
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    run(truth, score)
    return resident("VmHWM") - before


def measured_growth(name: str, images: int) -> str:
    """The growth in a fresh process, as text; a dash where the system cannot say."""
    command = [sys.executable, __file__, "--images", str(images), "--growth", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.split()[-1] if done.returncode == 0 else "–"


def compare(images: int, rounds: int) -> None:
    truth, score = simulate(images)
    runs = contenders()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    found: dict[str, float] = {}
    for run in runs.values():  # loads the libraries
        run(truth[:1, :64], score[:1, :64])
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.process_time()
            found[name] = run(truth, score)
            seconds[name].append(time.process_time() - start)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    first, exact = next(iter(runs)), "scikit-learn, exact"
    print(f"\n{truth.size / 1e6:.1f} Mpixel, medians of {rounds} round{'s' * (rounds > 1)}")
    print(f"{'':30}{'CPU s':>9}{'ours is 1/':>12}{'AP - exact':>13}{'peak MB':>10}")
    for name in runs:
        print(
            f"{name:30}{median[name]:9.3f}{median[name] / median[first]:12.1f}{found[name] - found[exact]:13.1e}"
            f"{measured_growth(name, images):>10}",
            flush=True,
        )


def check_batches(images: int) -> None:
    truth, score = simulate(images)
    whole = count(truth, score, images)
    for batch in (1, 3, images):
        part = count(truth, score, batch)
        assert np.array_equal(part.positives, whole.positives)
        assert np.array_equal(part.negatives, whole.negatives)
    print(f"counts are the same for batches of 1, 3 and {images} images")


def show_sharpness(images: int) -> None:
    """How far the area is from the exact one as scores pile up at 0 and 1."""
    for sharpness in (1.0, 1.5, 3.0):
        truth, score = simulate(images, sharpness)
        print(f"logits times {sharpness}: AP - exact {ours(truth, score) - scikit_learn(truth, score):.1e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10, help="images of 1024 x 1024")
    parser.add_argument("--rounds", type=int, help="5 up to 10 images, 1 above")
    parser.add_argument("--growth", metavar="NAME", help="only measure the memory of one contender")
    options: SimpleNamespace = parser.parse_args(namespace=SimpleNamespace())
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(1)
    if options.growth:
        print(f"{growth(options.growth, options.images):.0f}")
        return
    compare(options.images, options.rounds or (5 if options.images <= 10 else 1))
    check_batches(min(options.images, 10))
    show_sharpness(min(options.images, 10))


if __name__ == "__main__":
    main()
