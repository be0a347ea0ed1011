"""A store that MLflow can't record in: said in one sentence, with what to do, before anything is spent."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import mlflow
import pytest

from ml4ops_helpers.training import tracking
from ml4ops_helpers.training.store import StoreError, open_experiment


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, and in it the experiment of the helper."""
    folder = tmp_path_factory.mktemp("sound")
    tracking.use_store(folder)
    return folder / "mlflow.db"


@pytest.fixture
def store(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(sound, tmp_path / "mlflow.db"))


def set_schema(store: Path, version: str) -> None:
    """Make it a store of another version of MLflow."""
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("update alembic_version set version_num = ?", (version,))


def fault(store: Path) -> str:
    with pytest.raises(StoreError) as caught:
        tracking.use_store(store.parent)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_deleted_experiment_is_named_with_the_command_that_restores_it(store: Path) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{store}")
    identity = open_experiment(f"sqlite:///{store}", tracking.EXPERIMENT)
    client.delete_experiment(identity)
    setting, *command = fault(store).partition("was deleted; restore it: ")[2].split()
    name, _, value = setting.partition("=")
    program = [sys.executable, "-m", *command]
    subprocess.run(program, env={name: value, "MLFLOW_DISABLE_TELEMETRY": "true"}, check=True)
    assert tracking.use_store(store.parent) == f"sqlite:///{store}"


@pytest.mark.parametrize("version", ["bd07f7e963c5", "a_newer_one"])
def test_a_schema_of_another_mlflow_is_told_with_both_ways_out(store: Path, version: str) -> None:
    set_schema(store, version)
    said = fault(store)
    assert f"`mlflow db upgrade sqlite:///{store}`" in said
    assert "if by a newer one, install that" in said


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database" * 100)
    assert "MLflow can't use it ((sqlite3.DatabaseError) file is not a database" in fault(tmp_path / "mlflow.db")


def test_a_password_is_not_told() -> None:
    with pytest.raises(StoreError, match=r"^nonsense://here: ") as caught:
        open_experiment("nonsense://ana:secret@here", "x")
    assert "secret" not in str(caught.value).partition("(")[0]
