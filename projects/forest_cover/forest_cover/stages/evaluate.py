"""Evaluate the trained network: the one stage that looks at the test rows, and it opens them once.

Nothing may be chosen by what comes out here. The learning curve, which is there to decide on more data, is therefore
made with validation rows.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forest_cover import figures
from forest_cover.baselines import baselines, fit_predict
from forest_cover.callbacks import EarlyStop
from forest_cover.config import Config, load_config
from forest_cover.dataset import CoverDataset, load_columns, load_dataset
from forest_cover.files import TENSORS, ProjectError, run_stage, write_csv, write_json
from forest_cover.fit import Run, fit, predict
from forest_cover.reproduce import set_determinism
from forest_cover.scores import Floats, Labels, class_table, confusion, reliability, scores
from forest_cover.store import load_model

log = logging.getLogger(__name__)
NETWORK = "network"
"""Name of the trained network in tables, beside the baselines'."""


def evaluate(config: Config, folder: Path, models: Path, out: Path) -> dict[str, Any]:
    """Compare the network with the baselines on the test rows; write numbers, tables and figures.

    Args:
        config: all settings.
        folder: of the tensors.
        models: folder of the trained network.
        out: folder for ``metrics.json``, ``baselines.csv``, ``classes.csv``, ``confusion.csv``, ``calibration.csv``,
            ``learning_curve.csv`` and figures in ``evaluate/``.

    Returns:
        What stands in ``metrics.json``.

    Raises:
        ProjectError: a file is missing or wrong, or the network was trained on other columns.
    """
    network, about = load_model(models)
    columns, train, val = load_columns(folder), load_dataset(folder, "train"), load_dataset(folder, "val")
    if about["columns"] != columns:
        raise ProjectError(f"{models}: the network was trained on other columns than {folder} holds: train it again")
    set_determinism(config.training.seed, config.resources.threads)
    curve = learning_curve(config, columns, train, val, about["val"]["macro_f1"])
    test = load_dataset(folder, "test")
    found = {name: fit_predict(model, train, test) for name, model in baselines(config.training.seed).items()}
    found[NETWORK] = predict(network, test.features)
    metrics = write_results(test.labels.numpy(), found, out)
    write_csv(curve, out / "learning_curve.csv")
    figures.save(figures.learning_curve(curve), out / "evaluate" / "learning_curve.png")
    return metrics


def write_results(truth: Labels, found: dict[str, Floats], out: Path) -> dict[str, Any]:
    """Write all that follows from the models' probabilities on the test rows.

    Args:
        truth: classes of the test rows, 0 to 6.
        found: probabilities ``(rows, 7)`` by model.
        out: folder to write to.

    Returns:
        What stands in ``metrics.json``.
    """
    by_model = {name: scores(truth, p) for name, p in found.items()}
    table = pd.DataFrame(by_model).T.rename_axis("model")
    counts = {name: confusion(truth, p.argmax(axis=1)) for name, p in found.items()}
    classes = {name: class_table(c) for name, c in counts.items()}
    bins, own = reliability(truth, found[NETWORK]), classes[NETWORK]
    write_csv(table.reset_index(), out / "baselines.csv")
    write_csv(own, out / "classes.csv")
    names = own["name"].tolist()
    write_csv(pd.DataFrame(counts[NETWORK], columns=names).assign(true=names)[["true", *names]], out / "confusion.csv")
    write_csv(bins, out / "calibration.csv")
    pictures = out / "evaluate"
    figures.save(figures.confusion(counts[NETWORK]), pictures / "confusion.png")
    figures.save(figures.reliability(bins, by_model[NETWORK]["ece"]), pictures / "reliability.png")
    figures.save(figures.class_recall(classes), pictures / "class_recall.png")
    metrics = numbers(by_model, own, len(truth))
    write_json(metrics, out / "metrics.json")
    return metrics


def numbers(by_model: dict[str, dict[str, float]], classes: pd.DataFrame, rows: int) -> dict[str, Any]:
    """The content of ``metrics.json``; a score that is not defined, as of a class without rows, is left out."""
    recall = {row["name"]: float(row["recall"]) for row in classes.to_dict("records") if np.isfinite(row["recall"])}
    others = {name.replace(" ", "_"): found["macro_f1"] for name, found in by_model.items() if name != NETWORK}
    return {**by_model[NETWORK], "rows": rows, "recall": recall, "baselines_macro_f1": others}


def learning_curve(
    config: Config, columns: list[str], train: CoverDataset, val: CoverDataset, whole: float
) -> pd.DataFrame:
    """Train again on parts of the training rows; each part holds the smaller ones.

    Args:
        config: ``training.learning_curve`` has the shares.
        columns: names of the columns.
        train: the training rows.
        val: the validation rows.
        whole: score of the network that was trained on all rows.

    Returns:
        Columns ``share``, ``rows``, ``val_macro_f1``; the last row is the whole.
    """
    order = np.random.default_rng(config.training.seed).permutation(len(train))
    found = []
    for share in sorted(config.training.learning_curve):
        some = order[: max(1, round(share * len(train)))].tolist()
        run = Run(config, columns, CoverDataset(*train.__getitems__(some)), val, Path())
        fit(run, [EarlyStop()])
        found.append({"share": share, "rows": len(some), "val_macro_f1": run.history[run.best]["val_macro_f1"]})
        log.info("learning curve: %(rows)d rows, validation macro-F1 %(val_macro_f1).3f", found[-1])
    return pd.DataFrame([*found, {"share": 1.0, "rows": len(train), "val_macro_f1": whole}])


def main() -> None:
    """The command."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("forest_cover.fit").setLevel(logging.WARNING)  # of the learning curve, log only its points
    config = load_config()
    metrics = evaluate(config, TENSORS, Path("models"), Path("reports"))
    for name, value in ({NETWORK: metrics["macro_f1"]} | metrics["baselines_macro_f1"]).items():
        log.info("macro-F1 on %d test rows: %s %.3f", metrics["rows"], name, value)


if __name__ == "__main__":
    run_stage(main)
