"""Searches better values with Optuna: ``python -m forest_cover.search`` on the same ``conf/`` as all else.

Start it in as many terminals as there are cores to spare: the processes share one study in one SQLite file, and
together come to exactly ``search.trials`` finished trials. A process that is killed loses nothing: its trial gives no
more signs of life, is marked as failed, and is repeated by another process or by the next start of the command. Only
training and validation rows are read; the test rows stay closed until the evaluation.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import hydra
import optuna
from filelock import FileLock
from omegaconf import DictConfig
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import TrialState

from forest_cover.callbacks import Callback, EarlyStop, open_experiment
from forest_cover.config import Config, check_config
from forest_cover.dataset import CoverDataset, load_columns, load_dataset
from forest_cover.files import TENSORS, ProjectError, run_stage
from forest_cover.fit import Run, fit
from forest_cover.reproduce import fingerprint
from forest_cover.search_report import export_best, plot_study, record_trials

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
TAKEN = (*FINISHED, TrialState.RUNNING)
DIRECTION = optuna.study.StudyDirection.MAXIMIZE
log = logging.getLogger(__name__)


class Pruning(Callback):
    """Reports the score of each epoch to a trial, and ends it where it is worse than most others were.

    Args:
        trial: to report to.
    """

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial = trial

    def on_epoch(self, run: Run) -> None:
        """Report the score and ask whether to continue."""
        row = run.history[-1]
        self.trial.report(row["val_macro_f1"], int(row["epoch"]))
        if self.trial.should_prune():
            raise optuna.TrialPruned


class Rows(NamedTuple):
    """What all trials learn from: training and validation rows, never the test rows."""

    columns: list[str]
    train: CoverDataset
    val: CoverDataset


def search(config: Config, folder: Path = TENSORS) -> optuna.Study:
    """Run trials until the study has ``search.trials`` finished ones, or the minutes are over.

    Args:
        config: all settings; those of ``search.space`` are varied, the others hold for all trials.
        folder: of the tensors.

    Raises:
        ProjectError: the study is of the other direction, or of other settings, rows or space; MLflow can't use its
            store.
    """
    rows = Rows(load_columns(folder), load_dataset(folder, "train"), load_dataset(folder, "val"))
    lock, until = _lock(config), time.monotonic() + (config.search.minutes or float("inf")) * 60
    with _quiet():
        with lock:
            open_experiment(config.training)  # a store that can't be used is found before a trial is spent
            study = open_study(config, rows)
        while time.monotonic() < until:
            if not _next_trial(study, config, rows, lock):
                break
            record_trials(study, config, lock)
        record_trials(study, config, lock)
    return study


def open_study(config: Config, rows: Rows) -> optuna.Study:
    """Make the study, or open the one of this name; call it under the lock.

    Args:
        config: all settings.
        rows: that its trials learn from.

    Raises:
        ProjectError: as `search`.
    """
    chosen = config.search
    storage = RDBStorage(
        chosen.storage,
        engine_kwargs={"connect_args": {"timeout": 60}},  # seconds to wait for another process's write
        heartbeat_interval=chosen.heartbeat,
        grace_period=3 * chosen.heartbeat,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),
    )
    pruner = optuna.pruners.MedianPruner(n_startup_trials=chosen.startup, n_warmup_steps=chosen.warmup)
    study = optuna.create_study(
        study_name=chosen.study, storage=storage, pruner=pruner, direction=DIRECTION, load_if_exists=True
    )
    other = f"give this search another name: search.study={chosen.study}_2"
    if study.directions != [DIRECTION]:
        raise ProjectError(f"the study {chosen.study} in {chosen.storage} minimises, but a score is to grow; {other}")
    if study.user_attrs.setdefault("compares", compares := _compares(config, rows)) != compares:
        raise ProjectError(f"the study {chosen.study} has trials of other settings, rows or space; {other}")
    study.set_user_attr("compares", compares)
    return study


def suggest(trial: optuna.Trial, config: Config) -> Config:
    """The settings of a trial.

    Args:
        trial: to ask.
        config: with the space, and the values that are not searched.

    Returns:
        The same with a value drawn for each setting of the space, checked.
    """
    return with_values(config, {key: _draw(trial, key, bounds) for key, bounds in config.search.space.items()})


def with_values(config: Config, values: dict[str, Any]) -> Config:
    """The settings with some replaced.

    Args:
        config: all settings.
        values: by name.

    Raises:
        ConfigError: a value can't be used.

    Example:
        >>> with_values(Config(), {"model.width": 32}).model.width
        32
    """
    settings = config.model_dump()
    for key, value in values.items():
        group, name = key.split(".")
        settings[group][name] = value
    return check_config(settings)


def _next_trial(study: optuna.Study, config: Config, rows: Rows, lock: FileLock) -> bool:
    """Run one trial, or wait for those of other processes; False when all are finished."""
    lock.acquire()
    try:
        optuna.storages.fail_stale_trials(study)
        trials = study.get_trials(deepcopy=False)
        if sum(trial.state in TAKEN for trial in trials) < config.search.trials:
            study.sampler = _sampler(config, len(trials))
            study.optimize(lambda trial: _objective(trial, config, rows, lock), n_trials=1)
            return True
    finally:
        if lock.is_locked:
            lock.release()
    if all(trial.state is not TrialState.RUNNING for trial in trials):
        return False
    time.sleep(1)  # one of them may be killed, and its trial is then ours
    return True


def _objective(trial: optuna.Trial, config: Config, rows: Rows, lock: FileLock) -> float:
    """The best validation score of a training; releases the lock, under which the trial was counted and taken."""
    lock.release()
    chosen = suggest(trial, config)
    log.info("trial %d: %s", trial.number, trial.params)
    run = fit(Run(chosen, rows.columns, rows.train, rows.val, Path(chosen.out)), [EarlyStop(), Pruning(trial)])
    return run.history[run.best]["val_macro_f1"]


def _sampler(config: Config, number: int) -> TPESampler:
    """Seeded by the trial's number: no two processes draw alike, and a resumed study draws what it would have."""
    chosen = config.search
    return TPESampler(seed=chosen.seed + number, n_startup_trials=chosen.startup, constant_liar=True)


def _draw(trial: optuna.Trial, key: str, bounds: dict[str, Any]) -> object:
    if "choices" in bounds:
        return trial.suggest_categorical(key, bounds["choices"])
    low, high, log_scale = bounds["low"], bounds["high"], bounds.get("log", False)
    draw = trial.suggest_int if isinstance(low, int) and isinstance(high, int) else trial.suggest_float
    return draw(key, low, high, log=log_scale)


def _compares(config: Config, rows: Rows) -> str:
    """A hash of what all trials of a study have in common: settings that are not searched, rows and space."""
    first = {key: bounds.get("choices", [bounds.get("low")])[0] for key, bounds in config.search.space.items()}
    common = fingerprint(with_values(config, first), rows.columns, rows.train, rows.val)
    return hashlib.sha256(json.dumps([common, config.search.space], sort_keys=True).encode()).hexdigest()


def _lock(config: Config) -> FileLock:
    """Taken to count trials and take the next one, and to write what all processes write."""
    return FileLock(config.search.storage.removeprefix("sqlite:///") + ".lock")


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna's messages go to the log; it calls heartbeats experimental since 2021."""
    optuna.logging.enable_propagation()
    optuna.logging.disable_default_handler()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


@hydra.main(config_path="../conf", config_name="config", version_base="1.3")
def main(cfg: DictConfig) -> None:
    """Search, draw the study, and write the best values as a file of ``conf/experiment/``.

    Args:
        cfg: as Hydra composes it.
    """
    run_stage(lambda: _search_and_report(check_config(cfg)))


def _search_and_report(config: Config) -> None:
    study = search(config)
    with _lock(config):
        plot_study(study)
        export_best(study, Path(config.search.export))


if __name__ == "__main__":
    main()
