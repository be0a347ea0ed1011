"""Every run of a lecture in MLflow: its parameters, metrics, state and notebook."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .lecture import Result

if TYPE_CHECKING:
    from mlflow import MlflowClient


def log_results(results: Sequence[Result], title: str, out: Path) -> str:
    """Record runs that are not recorded yet. A failure here costs no run, but is reported.

    Args:
        results: from ``run_lecture``.
        title: of the plan; names the experiment.
        out: folder of the lecture, which holds ``mlflow.db`` unless ``MLFLOW_TRACKING_URI`` names another store.

    Returns:
        Why the recording failed, or "".
    """
    # A server that is down is to be noticed in seconds, not in minutes.
    for name, value in (("HTTP_REQUEST_MAX_RETRIES", "1"), ("HTTP_REQUEST_TIMEOUT", "20")):
        os.environ.setdefault(f"MLFLOW_{name}", value)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from ml4ops_helpers.training.store import StoreError

    try:
        _log(results, f"lecture: {title}", out.resolve())
    except StoreError as error:
        return f"MLflow: not all runs are recorded ({error}); then run the command again"
    except Exception as error:  # another program's store: its errors have many types
        said = str(error).strip().splitlines() or [type(error).__name__]
        return f"MLflow: not all runs are recorded ({said[0][:200]}); run the command again to add them"
    return ""


def _log(results: Sequence[Result], experiment: str, out: Path) -> None:
    from mlflow import MlflowClient

    from ml4ops_helpers.training.store import open_experiment

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    given = os.environ.get("MLFLOW_TRACKING_URI")
    store = given or f"sqlite:///{out / 'mlflow.db'}"
    number = open_experiment(store, experiment, None if given else (out / "mlflow").as_uri())
    client = MlflowClient(tracking_uri=store)
    known = {(r.info.run_name, r.data.tags.get("key")) for r in client.search_runs([number], max_results=5000)}
    for result in results:
        if result.outcome.state != "skipped" and (not result.key or (result.run.name, result.key) not in known):
            _log_one(client, number, result)


def _log_one(client: MlflowClient, experiment: str, result: Result) -> None:
    """Record one run; its key comes last, so that half a record is made again."""
    run = client.create_run(experiment, run_name=result.run.name, tags={"page": result.run.page.name}).info.run_id
    for name, value in result.run.parameters.items():
        client.log_param(run, name, value)
    for name, metric in (result.metrics | {"seconds": result.outcome.seconds}).items():
        name = re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)  # MLflow refuses other signs
        if isinstance(metric, bool | int | float):
            client.log_metric(run, name, float(metric))
        elif metric is not None:
            client.set_tag(run, name, metric)
    if result.notebook:
        client.log_artifact(run, str(result.notebook))
    for tag, text in (("message", result.outcome.message), ("key", result.key)):
        if text:
            client.set_tag(run, tag, text)
    client.set_terminated(run, "FINISHED" if result.complete else "FAILED")
