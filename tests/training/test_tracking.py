"""Runs in MLflow: what is recorded is true, and the recorded model says what the trained one said."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from ml4ops_helpers.datasets.catalogues import catalogue, dataset_hash
from ml4ops_helpers.inference.tiling import predict_scene
from ml4ops_helpers.lesson import trained_model, trained_path
from ml4ops_helpers.models.common import ModelError
from ml4ops_helpers.models.networks import Network, build_model
from ml4ops_helpers.models.saved import save_model
from ml4ops_helpers.simulation.events import draw_event
from ml4ops_helpers.simulation.simulate import write_scene
from ml4ops_helpers.training import tracking
from ml4ops_helpers.training.config import Config
from ml4ops_helpers.training.loop import History, train

TINY = Config(epochs=2, rounds=1, batch=2, window=64, precision="float32", coarse=0.0, learning_rate=0.05)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    root = tmp_path_factory.mktemp("events")
    for split in ("train", "val"):
        write_scene(root, draw_event(split, 0, 1, 0), 0, 128, 0)
    return catalogue(root)


class Tracked:
    """One recorded run, shared by the tests below."""

    def __init__(self, table: pd.DataFrame, store: Path) -> None:
        self.store, self.model = store, build_model("cnn")
        self.history, self.run_id = tracking.track_training(self.model, table, TINY, store=store, name="a run")
        self.run = mlflow.get_run(self.run_id)

    def load(self) -> mlflow.pyfunc.PyFuncModel:
        tracking.use_store(self.store)
        return mlflow.pyfunc.load_model(f"runs:/{self.run_id}/model")


@pytest.fixture(scope="module")
def tracked(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Tracked:
    return Tracked(table, tmp_path_factory.mktemp("store"))


def images(number: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(number).uniform(0.01, 0.5, (number, 5, height, width)).astype(np.float32)


def expected(model: Network, batch: np.ndarray) -> np.ndarray:
    return np.stack([predict_scene(model, image) for image in batch])


@pytest.mark.parametrize(("number", "height", "width"), [(1, 64, 64), (2, 70, 45)])
def test_the_recorded_model_predicts_as_the_trained_one(tracked: Tracked, number: int, height: int, width: int) -> None:
    batch = images(number, height, width)
    found = tracked.load().predict(batch)
    assert found.shape == (number, 3, height, width)
    assert np.allclose(found, expected(tracked.model, batch), atol=1e-5)
    assert np.abs(found - expected(build_model("cnn").eval(), batch)).max() > 0.01  # not logged before training


def test_other_bands_are_refused(tracked: Tracked) -> None:
    with pytest.raises(mlflow.exceptions.MlflowException, match="shape"):
        tracked.load().predict(images(1, 64, 64)[:, :3])


def test_the_store_is_one_sqlite_file_by_default_in_the_cache(
    tracked: Tracked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tracked.run.info.artifact_uri.startswith((tracked.store / "artifacts").as_uri())
    monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path))
    assert tracking.use_store() == f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}"
    assert (tmp_path / "mlflow" / "mlflow.db").read_bytes().startswith(b"SQLite format 3")


def test_the_run_names_the_data_and_every_choice(tracked: Tracked, table: pd.DataFrame) -> None:
    data = tracked.run.data
    assert data.tags["data.sha256"] == dataset_hash(table)
    assert data.tags["mlflow.runName"] == "a run"
    assert {name: data.params[name] for name in asdict(TINY)} == {k: str(v) for k, v in asdict(TINY).items()}
    assert data.params["model.name"] == "cnn"
    assert data.metrics["best_iou_threshold"] == tracked.history.threshold
    assert data.metrics["best_epoch"] == tracked.history.best + 1


def curve(run_id: str) -> list[float]:
    history = mlflow.MlflowClient().get_metric_history(run_id, "loss")
    return [m.value for m in sorted(history, key=lambda m: m.step)]


def test_each_epoch_is_recorded(tracked: Tracked) -> None:
    tracking.use_store(tracked.store)
    assert curve(tracked.run_id) == [row["loss"] for row in tracked.history.epochs]


def test_a_resumed_run_records_all_its_epochs(table: pd.DataFrame, tracked: Tracked, tmp_path: Path) -> None:
    def stop(number: int, row: dict[str, float]) -> None:
        raise KeyboardInterrupt

    checkpoint = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        train(build_model("linear"), table, TINY, checkpoint=checkpoint, after_epoch=stop)
    model = build_model("linear")
    history, run_id = tracking.track_training(model, table, TINY, store=tracked.store, checkpoint=checkpoint)
    whole: History = train(build_model("linear"), table, TINY)
    assert curve(run_id) == [row["loss"] for row in whole.epochs]
    assert history.epochs == whole.epochs


class TestTrainedModel:
    @pytest.fixture(autouse=True)
    def cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path))

    def test_what_was_trained_here_comes_first(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = trained_path("linear", "smoke", 3)
        assert path.is_relative_to(tmp_path)
        save_model(build_model("linear", seed=3), path, {"threshold": 0.4})
        model, about = trained_model("linear", "smoke", 3)
        assert model.config["seed"] == 3
        assert about == {"threshold": 0.4}
        assert "profile smoke, seed 3" in capsys.readouterr().out

    def test_else_the_shipped_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("ml4ops_helpers.models.saved.PRETRAINED", tmp_path / "shipped")
        save_model(build_model("linear", seed=7), tmp_path / "shipped" / "linear.safetensors")
        save_model(build_model("linear", seed=1), trained_path("linear", "lecture", 0))
        model, _ = trained_model("linear", "smoke", 0)
        assert model.config["seed"] == 7
        assert "shipped" in capsys.readouterr().out

    def test_a_damaged_file_is_an_error_not_another_model(self) -> None:
        path = trained_path("linear", "smoke", 0)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"nothing")
        with pytest.raises(ModelError, match="save_model"):
            trained_model("linear", "smoke", 0)
