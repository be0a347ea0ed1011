import logging
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from dvc.config import Config
from mlflow.environment_variables import MLFLOW_DISABLE_TELEMETRY
from samples import make_run, quick

from forest_cover.callbacks import CALLBACKS, Callback, EarlyStop, make_callbacks
from forest_cover.files import ProjectError
from forest_cover.fit import fit

OWN = """
from forest_cover.callbacks import Callback

class Record(Callback):
    def on_start(self, run):
        self.calls = ["start"]
    def on_epoch(self, run):
        self.calls.append(run.history[-1]["epoch"])
        run.stop = len(run.history) == 2
    def on_end(self, run):
        run.calls = [*self.calls, "end"]
"""


class Interrupt(Callback):
    def on_epoch(self, run):
        raise KeyboardInterrupt


def train(tensors, out, names, epochs=3, **training):
    config = quick(epochs, callbacks=names, **training)
    return fit(make_run(config, tensors, out), make_callbacks(names))


def test_one_of_your_own_is_called_and_may_stop_the_training(tensors, tmp_path, monkeypatch):
    (tmp_path / "my_module.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    run = train(tensors, tmp_path, ["my_module:Record"], epochs=5)
    assert run.calls == ["start", 1, 2, "end"]


def test_an_unknown_name_is_answered_with_those_there_are():
    with pytest.raises(ProjectError, match="'chekpoint' is unknown; choose from checkpoint, early_stop") as caught:
        make_callbacks(["chekpoint"])
    assert all(name in str(caught.value) for name in CALLBACKS)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:Thing", "'nowhere:Thing' can't be imported: No module named 'nowhere'"),
        ("json:Thing", "has no attribute 'Thing'"),
        (":Thing", "can't be imported"),
        ("json:loads", "not a subclass"),
        ("json:JSONDecoder", "not a subclass"),
    ],
)
def test_one_of_your_own_that_is_none_is_named(name, message):
    with pytest.raises(ProjectError, match=message):
        make_callbacks([name])


def test_a_callback_may_leave_out_every_method(tensors, tmp_path):
    run = fit(make_run(quick(2), tensors, tmp_path), [Callback()])
    assert len(run.history) == 2


@pytest.mark.parametrize(("patience", "stops"), [(2, [False, False, False, False, True]), (0, [False] * 5)])
def test_early_stop_counts_epochs_since_the_best_one(tensors, tmp_path, patience, stops):
    run, found = make_run(quick(6, patience=patience), tensors, tmp_path), []
    for epoch, score in enumerate([0.1, 0.2, 0.5, 0.5, 0.4], start=1):
        run.note({"epoch": epoch, "train_loss": 1.0, "val_macro_f1": score})
        EarlyStop().on_epoch(run)
        found.append(run.stop)
    assert found == stops


@pytest.mark.parametrize("names", [["checkpoint", "early_stop"], ["early_stop", "checkpoint"]])
def test_a_training_killed_in_its_last_epoch_is_not_continued(tensors, tmp_path, names, monkeypatch):
    def refuse(self, run):
        raise KeyboardInterrupt

    whole = train(tensors, tmp_path / "whole", names, 30, patience=2, schedule="none", learning_rate=0.05)
    assert len(whole.history) < 30
    monkeypatch.setattr(CALLBACKS["plots"], "on_end", refuse)
    config = quick(30, callbacks=names, patience=2, schedule="none", learning_rate=0.05)
    with pytest.raises(KeyboardInterrupt):
        fit(make_run(config, tensors, tmp_path), make_callbacks(["plots", *names]))
    assert (tmp_path / "checkpoint.pt").exists()
    assert fit(make_run(config, tensors, tmp_path), make_callbacks(names)).history == whole.history


def test_the_checkpoint_goes_when_the_training_is_done(tensors, tmp_path):
    train(tensors, tmp_path, ["checkpoint"])
    assert list(tmp_path.iterdir()) == []


def test_plots_and_learning_rate_are_drawn_and_logged(tensors, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    train(tensors, tmp_path, ["plots", "learning_rate"])
    for name in ("history.png", "learning_rate.png"):
        assert (tmp_path / "plots" / name).read_bytes().startswith(b"\x89PNG")
    assert "epoch 2: learning rate 0.00" in caplog.text


def test_mlflow_records_settings_and_every_epoch(tensors, tmp_path):
    store = tmp_path / "mlflow.db"
    run = train(tensors, tmp_path, ["mlflow"], tracking=f"sqlite:///{store}", experiment="trees")
    import mlflow

    assert mlflow.active_run() is None
    with sqlite3.connect(store) as connection:
        metrics = pd.read_sql("select key, value, step from metrics", connection)
        params = pd.read_sql("select key, value from params", connection).set_index("key")["value"]
    found = metrics[metrics["key"] == "val_macro_f1"].sort_values("step")
    assert found["value"].tolist() == [row["val_macro_f1"] for row in run.history]
    assert params["training.experiment"] == "trees"
    best = metrics.set_index("key").loc["best_val_macro_f1", "value"]
    assert best == run.history[run.best]["val_macro_f1"]
    broken = make_run(quick(tracking=f"sqlite:///{store}", experiment="trees"), tensors, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit(broken, [*make_callbacks(["mlflow"]), Interrupt()])
    assert mlflow.active_run() is None  # the next training begins a run of its own
    assert mlflow.search_runs(experiment_names=["trees"])["status"].tolist() == ["FAILED", "FINISHED"]
    with mlflow.start_run() as outer:  # as a search does
        train(tensors, tmp_path, ["mlflow"], tracking=f"sqlite:///{store}")
        assert mlflow.active_run().info.run_id == outer.info.run_id
    assert len(mlflow.search_runs(experiment_names=["trees"])) == 3


@pytest.mark.parametrize("names", [["checkpoint", "mlflow"], ["mlflow", "checkpoint"]])
def test_mlflow_has_the_epochs_before_an_interruption_too(tensors, tmp_path, names):
    import mlflow

    config = quick(3, callbacks=names, tracking=f"sqlite:///{tmp_path / 'mlflow.db'}", experiment=names[0])
    with pytest.raises(KeyboardInterrupt):
        fit(make_run(config, tensors, tmp_path), [*make_callbacks(["checkpoint"]), Interrupt()])
    fit(make_run(config, tensors, tmp_path), make_callbacks(names))
    found = mlflow.search_runs(experiment_names=[names[0]])["run_id"]
    history = mlflow.MlflowClient().get_metric_history(found[0], "val_macro_f1")
    assert [entry.step for entry in history] == [1, 2, 3]


def test_a_store_that_mlflow_refuses_is_named(tensors, tmp_path):
    with pytest.raises(ProjectError, match=r"training\.tracking=nonsense://here"):
        train(tensors, tmp_path, ["mlflow"], tracking="nonsense://here")


def test_a_deleted_experiment_and_a_store_of_another_mlflow_are_told(tensors, tmp_path):
    from mlflow import MlflowClient

    tracking = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(tracking)
    experiment = client.create_experiment("forest_cover")
    client.delete_experiment(experiment)
    with pytest.raises(ProjectError, match=rf"deleted from {tracking}.*mlflow experiments restore -x {experiment}$"):
        train(tensors, tmp_path, ["mlflow"], tracking=tracking)
    for version in ("bd07f7e963c5", "a_newer_one"):
        other = shutil.copy(tmp_path / "mlflow.db", tmp_path / f"{version}.db")
        with closing(sqlite3.connect(other)) as connection, connection:
            connection.execute("update alembic_version set version_num = ?", (version,))
        tracking = f"sqlite:///{other}"
        upgrade = f"mlflow db upgrade {tracking}"
        with pytest.raises(ProjectError, match=rf"another version of MLflow.*`{upgrade}`; if of a newer one") as caught:
            train(tensors, tmp_path, ["mlflow"], tracking=tracking)
        assert "\n" not in str(caught.value)


def test_mlflow_and_dvc_send_no_usage_statistics():
    assert MLFLOW_DISABLE_TELEMETRY.get()
    assert Config(Path(__file__).parent.parent / ".dvc")["core"]["analytics"] is False
