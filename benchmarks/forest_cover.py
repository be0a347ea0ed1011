"""Inference of the forest cover project: time of a single row and of 100 000 rows, beside scikit-learn's boosting.

    python benchmarks/forest_cover.py [--rounds 9]

Seconds of the wall clock, one thread, processor only; in each round the contenders run one after another; the figures
are medians, and ratios within the run. The network has the project's default sizes; how well it predicts plays no part,
so it is trained for one epoch on simulated rows. Results are written to ``benchmarks/forest_cover.json``.
"""

# ruff: noqa: E402 - the project is no installed package: it is found by its path, before it is imported
from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch are imported

import argparse
import json
import logging
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

PROJECT = Path(__file__).parents[1] / "projects" / "forest_cover"
sys.path.insert(0, str(PROJECT))

import pandas as pd
import torch
from forest_cover.columns import TARGET
from forest_cover.config import Config
from forest_cover.dataset import CoverDataset
from forest_cover.files import write_json
from forest_cover.fit import Run, fit, predict
from forest_cover.predictor import Predictor
from forest_cover.prepare import apply_scaling, fit_scaling, to_tensors
from forest_cover.simulate import simulate
from forest_cover.stages.package import package
from forest_cover.store import save_model
from sklearn.ensemble import HistGradientBoostingClassifier

ROWS = 100_000
TARGETS = {"single row": 0.005, f"{ROWS} rows": 2.0}


def make_predictor(train: pd.DataFrame, folder: Path) -> Predictor:
    """A package with a network of the project's default sizes."""
    config = Config()
    config.resources.epochs = 1
    scaling = fit_scaling(train)
    rows = CoverDataset(**to_tensors(apply_scaling(train, scaling)))
    save_model(fit(Run(config, list(train.columns.drop(TARGET)), rows, rows, folder)))
    write_json(vars(scaling), folder / "scaling.json")
    write_json({}, folder / "metrics.json")
    return package(folder, folder / "scaling.json", folder / "metrics.json", folder / "package")


def timed(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds, contenders in turns; the first round, which warms up, does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}


def measure(rounds: int) -> list[dict[str, object]]:
    train, many = simulate(5000, seed=0), simulate(ROWS, seed=1).drop(columns=TARGET)
    boosting = HistGradientBoostingClassifier(random_state=0).fit(train.drop(columns=TARGET), train[TARGET])
    with TemporaryDirectory() as folder:
        predictor = make_predictor(train, Path(folder))
    tensors, row = torch.tensor(many.to_numpy("float32")), many.iloc[0].to_dict()
    one = many.iloc[:1]
    fast = {
        "single row": lambda: predictor.predict_row(row),
        "boosting, single row": lambda: boosting.predict_proba(one),
    }
    seconds = timed(fast, 20 * rounds) | timed(
        {
            f"{ROWS} rows": lambda: predictor.predict(many),
            "network alone": lambda: predict(predictor.network, tensors),
            "boosting": lambda: boosting.predict_proba(many),
        },
        rounds,
    )
    peers = {"single row": seconds["boosting, single row"], f"{ROWS} rows": seconds["boosting"]}
    rows: list[dict[str, object]] = [
        {"what": what, "seconds": round(seconds[what], 5), "of_boosting": round(seconds[what] / peers[what], 3),
         "target_seconds": bar, "reached": seconds[what] <= bar}
        for what, bar in TARGETS.items()
    ]  # fmt: skip
    share = seconds["network alone"] / seconds[f"{ROWS} rows"]
    return [*rows, {"what": "share of the network itself in many rows", "ratio": round(share, 3)}]


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    logging.disable()
    about = {"date": str(date.today()), "processor": processor(), "torch": torch.__version__, "rounds": rounds}
    text = json.dumps(about | {"rows": measure(rounds)}, indent=2, ensure_ascii=False)
    Path(__file__).with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
