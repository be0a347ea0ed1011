"""Record training runs with MLflow, on one sqlite file. Explained in ``03_train_a_model``."""

from __future__ import annotations

import logging
import os
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import numpy as np
from mlflow.models.signature import ModelSignature
from mlflow.types.schema import Schema, TensorSpec

from ml4ops_helpers.datasets.catalogues import dataset_hash
from ml4ops_helpers.datasets.folders import cache_dir
from ml4ops_helpers.models.common import CLASSES
from ml4ops_helpers.models.saved import save_model
from ml4ops_helpers.training.loop import History, train
from ml4ops_helpers.training.store import open_experiment

if TYPE_CHECKING:
    import pandas as pd

    from ml4ops_helpers.models.networks import Network
    from ml4ops_helpers.training.config import Config

EXPERIMENT = "flood-mapping"
SERVED = Path(__file__).with_name("flood_model.py")
"""Code of the model that MLflow serves."""


def use_store(folder: Path | str | None = None) -> str:
    """Point MLflow to a sqlite store, which is made if missing, without progress reports; returns the tracking URI.

    Args:
        folder: holds ``mlflow.db`` and the artifacts; default ``mlflow`` in the cache folder.

    Raises:
        StoreError: see ``open_experiment``.
    """
    place = Path(folder) if folder else cache_dir() / "mlflow"
    place.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    uri = f"sqlite:///{(place / 'mlflow.db').absolute()}"
    mlflow.set_tracking_uri(uri)
    experiment = open_experiment(uri, EXPERIMENT, (place / "artifacts").absolute().as_uri())
    mlflow.set_experiment(experiment_id=experiment)
    return uri


def track_training(
    model: Network,
    table: pd.DataFrame,
    config: Config,
    *,
    store: Path | str | None = None,
    name: str | None = None,
    checkpoint: Path | None = None,
) -> tuple[History, str]:
    """Train, and record the run: parameters, epochs, the data's hash, and the model with signature and example.

    Args:
        model: from ``build_model``; trained in place.
        table: catalogue with ``train`` and ``val`` splits.
        config: every choice of the training.
        store: see ``use_store``.
        name: of the run; default the model's name.
        checkpoint: see ``loop.train``; a resumed run is recorded as a new one, with all its epochs.

    Returns:
        The history, and the run's id.
    """
    use_store(store)
    with mlflow.start_run(run_name=name or model.config["name"]) as run:
        mlflow.log_params({f"model.{k}": v for k, v in model.config.items()})
        mlflow.log_params(asdict(config))
        mlflow.set_tag("data.sha256", dataset_hash(table))
        logged: set[int] = set()

        def log_epoch(number: int, row: dict[str, float]) -> None:
            mlflow.log_metrics(row, step=number)
            logged.add(number)

        history = train(model, table, config, checkpoint=checkpoint, after_epoch=log_epoch)
        for number, row in enumerate(history.epochs, start=1):
            if number not in logged:  # trained before an interruption
                mlflow.log_metrics(row, step=number)
        mlflow.log_metrics({"best_epoch": history.best + 1, "best_iou_threshold": history.threshold})
        log_network(model, history.threshold)
        return history, str(run.info.run_id)


def log_network(model: Network, threshold: float) -> str:
    """Log a trained network and its water threshold to the active run, with signature and example; returns its URI."""
    example = np.full((1, len(model.bands), 64, 64), 0.1, np.float32)
    # Any number of images of any size; bands and classes are fixed.
    taken, given = (TensorSpec(example.dtype, (-1, n, -1, -1)) for n in (len(model.bands), len(CLASSES)))
    signature = ModelSignature(inputs=Schema([taken]), outputs=Schema([given]))
    with tempfile.TemporaryDirectory() as folder:
        weights = save_model(model, Path(folder) / "weights.safetensors", {"threshold": threshold})
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=SERVED,
            artifacts={"weights": str(weights)},
            input_example=example,
            signature=signature,
            pip_requirements=[f"{p}=={version(p)}" for p in ("torch", "numpy")],
        )
    return str(logged.model_uri)
