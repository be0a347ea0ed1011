"""An experiment in a store of MLflow, looked at before anything is spent on runs that could not be recorded."""

from __future__ import annotations

import re
from shlex import quote

import mlflow


class StoreError(ValueError):
    """MLflow can't record in a store; the message names it, says what is wrong and what to do."""


def open_experiment(store: str, name: str, artifacts: str | None = None) -> str:
    """Id of an experiment; it is made where it is missing, and so is the store.

    Args:
        store: its tracking URI.
        name: of the experiment.
        artifacts: URI of the folder for the artifacts of a new one; None for MLflow's own.

    Raises:
        StoreError: MLflow can't use the store, or the experiment was deleted there.
    """
    try:
        client = mlflow.MlflowClient(store)
        found = client.get_experiment_by_name(name)
        if found is None:
            return str(client.create_experiment(name, artifact_location=artifacts))
    except Exception as problem:  # another program's store: its errors have many types
        raise StoreError(f"{_public(store)}: {_advice(store, ' '.join(str(problem).split()))}") from problem
    if found.lifecycle_stage != "active":
        restore = f"MLFLOW_TRACKING_URI={quote(_public(store))} mlflow experiments restore -x {found.experiment_id}"
        raise StoreError(f"{_public(store)}: the experiment {name!r} was deleted; restore it: {restore}")
    return str(found.experiment_id)


def _public(store: str) -> str:
    """Its address without a password."""
    return re.sub(r"//.*@", "//", store)


def _advice(store: str, problem: str) -> str:
    if "database schema" not in problem:
        return f"MLflow can't use it ({problem:.200}); repair it, or name another"
    older = f"if by an older one, copy it, then type `mlflow db upgrade {quote(_public(store))}`"
    return f"another version of MLflow than {mlflow.__version__} made it: {older}; if by a newer one, install that"
