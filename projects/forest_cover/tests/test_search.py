"""A search counts each trial once, whatever happens to its processes, and never sees the test rows."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from optuna.trial import TrialState
from samples import quick, write_project

from forest_cover import search as searching
from forest_cover.config import Config, ConfigError, check_config
from forest_cover.files import ProjectError
from forest_cover.search import search, with_values
from forest_cover.search_report import export_best, plot_study

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
SPACE = {
    "training.learning_rate": {"low": 1e-3, "high": 1e-1, "log": True},
    "model.width": {"choices": [4, 8]},
    "model.dropout": {"low": 0.0, "high": 0.3},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder with tensors, but without the test rows."""
    write_project(tmp_path)
    (tmp_path / "data" / "tensors" / "test.pt").unlink()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(trials: int, **values: object) -> Config:
    chosen = {"startup": 3, "warmup": 1, "heartbeat": 1, "space": SPACE, **values}
    return check_config({**quick(3).model_dump(), "search": {"trials": trials, **chosen}})


def draws(study: optuna.Study) -> list[dict[str, object]]:
    return [trial.params for trial in study.trials]


@pytest.fixture
def unrecorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without MLflow, whose store takes seconds to make."""
    for name in ("record_trials", "open_experiment"):
        monkeypatch.setattr(searching, name, lambda *_: None)


@pytest.mark.usefixtures("folder", "unrecorded")
def test_a_study_that_goes_on_draws_what_it_would_have() -> None:
    whole = search(settings(6, study="whole"))
    search(settings(2, study="parts"))
    parts = search(settings(6, study="parts"))
    assert draws(whole) == draws(parts)
    assert len({str(values) for values in draws(whole)}) == 6
    other = search(settings(2, study="other", seed=9))
    assert draws(other)[0] != draws(whole)[0]


@pytest.mark.usefixtures("folder", "unrecorded")
def test_a_finished_study_runs_nothing() -> None:
    search(settings(2))
    assert len(search(settings(2)).trials) == 2


@pytest.mark.usefixtures("folder")
def test_a_store_that_can_not_record_is_found_before_a_trial_is_spent() -> None:
    Path("mlflow.db").write_text("no database" * 100)
    with pytest.raises(ProjectError, match=r"^training\.tracking=sqlite:///mlflow\.db: MLflow refuses it"):
        search(settings(2))
    assert not Path("studies.db").exists()


@pytest.mark.usefixtures("folder", "unrecorded")
def test_a_study_of_the_other_direction_is_refused() -> None:
    optuna.create_study(study_name="forest_cover", storage="sqlite:///studies.db", direction="minimize")
    with pytest.raises(ProjectError, match=r"minimises.*search\.study=forest_cover_2"):
        search(settings(2))


@pytest.mark.usefixtures("folder", "unrecorded")
def test_trials_of_other_settings_are_not_mixed() -> None:
    search(settings(1))
    config = settings(2)
    with pytest.raises(ProjectError, match="other settings, rows or space"):
        search(with_values(config, {"training.weight_decay": 0.5}))
    with pytest.raises(ProjectError, match="other settings, rows or space"):
        search(settings(2, space={"model.width": {"choices": [4, 8, 16]}}))


@pytest.mark.usefixtures("folder", "unrecorded")
def test_no_trial_begins_when_the_minutes_are_over(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 61.0])
    monkeypatch.setattr(searching.time, "monotonic", lambda: next(clock))
    assert len(search(settings(50, minutes=1.0)).trials) == 1


@pytest.mark.usefixtures("folder", "unrecorded")
def test_a_trial_that_is_worse_than_most_is_pruned() -> None:
    trial = optuna.trial.FixedTrial({"model.width": 4, "model.dropout": 0.1, "training.learning_rate": 0.01})
    chosen = searching.suggest(trial, settings(1))
    assert (chosen.model.width, chosen.training.learning_rate) == (4, 0.01)
    study = search(settings(12, startup=2))
    assert len(study.trials) == 12
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    best = max(trial.value for trial in study.trials if trial.state is TrialState.COMPLETE)
    assert study.best_value == best


@pytest.mark.usefixtures("folder", "unrecorded")
def test_the_best_values_come_back_as_a_file_of_conf(folder: Path) -> None:
    study = search(settings(6))
    (folder / "conf" / "experiment").mkdir(parents=True)
    for path in (ROOT / "conf").iterdir():
        if path.name != "experiment":
            (folder / "conf" / path.name).symlink_to(path)
    export_best(study, folder / "conf" / "experiment" / "best.yaml")
    with initialize_config_dir(str(folder / "conf"), version_base="1.3"):
        found = check_config(compose("config", ["+experiment=best"]))
    for key, value in study.best_params.items():
        assert OmegaConf.select(OmegaConf.create(found.model_dump()), key) == value
    names = {path.name for path in plot_study(study, folder / "plots")}
    assert names == {"history.png", "importance.png", "contour.png"}


def test_a_study_without_a_finished_trial_has_no_best(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no complete trial"):
        export_best(optuna.create_study(direction="maximize"), tmp_path / "best.yaml")


def test_values_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"model\.width=0"):
        with_values(Config(), {"model.width": 0})


def wait_for(storage: str, study: str, finished: int) -> None:
    until = time.monotonic() + 600  # on a busy machine the imports alone take minutes
    while time.monotonic() < until:
        try:
            states = [trial.state for trial in optuna.load_study(study_name=study, storage=storage).trials]
        except (KeyError, optuna.exceptions.OptunaError):
            states = []
        if sum(state.is_finished() for state in states) >= finished and TrialState.RUNNING in states:
            return
        time.sleep(0.1)
    pytest.fail("the search did not begin")


@pytest.mark.slow
def test_two_processes_one_killed_and_resumed(folder: Path) -> None:
    from mlflow import MlflowClient

    (folder / "conf").symlink_to(ROOT / "conf")
    values = ["search=small", "search.trials=20", "search.heartbeat=1", "search.export=best.yaml", "model.bins=4"]
    values += ["resources.epochs=15", "resources.batch_size=32", "training.patience=0", "search.study=pair"]
    command = [sys.executable, "-m", "forest_cover.search", *values]
    storage = f"sqlite:///{folder / 'studies.db'}"

    def start() -> "subprocess.Popen[bytes]":
        return subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdout=subprocess.DEVNULL)

    first, second = start(), start()
    wait_for(storage, "pair", 3)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert [process.wait(timeout=600) for process in (start(), second)] == [0, 0]

    trials = optuna.load_study(study_name="pair", storage=storage).trials
    finished = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    assert len(finished) == 20
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
    killed = [trial.params for trial in trials if trial.state is TrialState.FAIL]
    assert all(values in [trial.params for trial in finished] for values in killed if values)
    assert len({str(trial.params) for trial in finished}) == 20

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("forest_cover")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if "study" in run.data.tags]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parents[0].info.run_id]
    assert len(parents) == 1
    assert sorted(int(run.data.tags["trial"]) for run in children) == [trial.number for trial in finished]
    assert (folder / "best.yaml").exists()
    assert (folder / "reports" / "search" / "history.png").exists()
