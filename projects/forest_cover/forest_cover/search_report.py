"""What a search leaves: each trial in MLflow, plots of the study, and the best values as a file for Hydra."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import optuna
import pandas as pd
from filelock import FileLock
from matplotlib.figure import Figure
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization import matplotlib as draw

from forest_cover.callbacks import open_experiment
from forest_cover.config import Config
from forest_cover.figures import BLUE, GREY, VERMILION, axes, save
from forest_cover.files import ProjectError, write_text

if TYPE_CHECKING:
    from mlflow import MlflowClient

PLOTS = Path("reports/search")
HEAD = "# @package _global_\n# Trial {number} of the study {study}: validation macro-F1 {value:.4f}. Use it: {use}\n"
log = logging.getLogger(__name__)


def record_trials(study: optuna.Study, config: Config, lock: FileLock) -> None:
    """Write the finished trials that MLflow does not know yet as child runs of one run for the study.

    What is missing is added by whichever process comes next, so none is lost with a process, and none is duplicated.

    Args:
        study: whose trials.
        config: names store and experiment.
        lock: that all processes share.
    """
    with lock:
        client, experiment = open_experiment(config.training)
        parent = _parent(client, experiment, study)
        query = f"tags.`mlflow.parentRunId` = '{parent}'"
        known = {run.data.tags["trial"] for run in client.search_runs([experiment], query, max_results=50_000)}
        for trial in finished(study):
            if str(trial.number) not in known:
                _record(client, experiment, parent, trial)


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """Trials with a result: complete and pruned ones."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def _parent(client: MlflowClient, experiment: str, study: optuna.Study) -> str:
    """The run that stands for the study."""
    query = f"tags.study = '{study.study_name}'"
    if found := client.search_runs([experiment], query, max_results=1):
        return str(found[0].info.run_id)
    return str(client.create_run(experiment, tags={"study": study.study_name}, run_name=study.study_name).info.run_id)


def _record(client: MlflowClient, experiment: str, parent: str, trial: FrozenTrial) -> None:
    from mlflow.entities import Metric, Param

    begin, end = (
        int(moment.timestamp() * 1000) for moment in (trial.datetime_start, trial.datetime_complete) if moment
    )
    name = f"trial {trial.number}"
    tags = {"mlflow.parentRunId": parent, "trial": str(trial.number), "state": trial.state.name.lower()}
    run = client.create_run(experiment, start_time=begin, tags=tags, run_name=name).info.run_id
    metrics = [Metric("val_macro_f1", value, end, step) for step, value in trial.intermediate_values.items()]
    if trial.value is not None:
        metrics.append(Metric("best_val_macro_f1", trial.value, end, 0))
    client.log_batch(run, metrics, [Param(key, str(value)) for key, value in trial.params.items()])
    client.set_terminated(run, "FINISHED", end)


def plot_study(study: optuna.Study, folder: Path = PLOTS) -> list[Path]:
    """Draw how the score grew, which settings it hangs on, and how it lies over the two that matter most.

    Args:
        study: to draw.
        folder: for the pictures.

    Returns:
        The files; importance and contour need two settings, and more than a few different scores.
    """
    figures = {"history": draw_history(study)}
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len({trial.value for trial in complete}) < 4 or len(study.best_params) < 2:
        log.info("too few settings or finished trials for importance and contour")
    else:
        figures |= {"importance": draw_importance(study), "contour": draw_contour(study)}
    for name, figure in figures.items():
        save(figure, folder / f"{name}.png")
    return [folder / f"{name}.png" for name in figures]


def draw_history(study: optuna.Study) -> Figure:
    """The score of each finished trial, the last one of each pruned trial, and the best so far.

    Args:
        study: with a finished trial.
    """
    scores = {state: _scores(study, state) for state in (TrialState.COMPLETE, TrialState.PRUNED)}
    complete = scores[TrialState.COMPLETE]
    figure, ax = axes(7, 4.2)
    ax.scatter(complete.index, complete, color=BLUE, label="finished", zorder=2)
    pruned = scores[TrialState.PRUNED]
    ax.scatter(pruned.index, pruned, color=VERMILION, marker="x", label="pruned: its last epoch")
    ax.step(complete.index, complete.cummax(), where="post", color=GREY, label="best so far", zorder=1)
    ax.set(xlabel="trial, by its number", ylabel="validation macro-F1 (0 to 1)")
    ax.legend(frameon=False)
    return figure


def _scores(study: optuna.Study, state: TrialState) -> pd.Series[float]:
    """Score of each trial in this state by its number."""
    trials = study.get_trials(deepcopy=False, states=(state,))
    return pd.Series({trial.number: trial.value for trial in trials if trial.value is not None}, dtype=float)


def draw_importance(study: optuna.Study) -> Figure:
    """How much of the scores' variance each setting explains.

    Args:
        study: with a few finished trials of different scores.
    """
    return _drawn(lambda: draw.plot_param_importances(study, target_name="validation macro-F1"))


def draw_contour(study: optuna.Study) -> Figure:
    """The score over the two settings that matter most.

    Args:
        study: with a few finished trials of different scores.
    """
    weights = optuna.importance.get_param_importances(study)
    return _drawn(lambda: draw.plot_contour(study, params=list(weights)[:2], target_name="validation macro-F1"))


def _drawn(plot: Callable[[], Any]) -> Figure:
    """What Optuna draws, in a size of ours, and unknown to the library that would show it once more."""
    # The layout from the beginning: a colour bar allows no other one later.
    with warnings.catch_warnings(), plt.rc_context({"figure.constrained_layout.use": True}):
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        drawn = plot()
    figure: Figure = drawn.figure
    figure.set_size_inches(7, 4.2)
    plt.close(figure)
    return figure


def export_best(study: optuna.Study, path: Path) -> None:
    """Write the values of the best trial as a file that Hydra takes as ``+experiment=…``.

    Args:
        study: to look into.
        path: of the file, in ``conf/experiment/``.

    Raises:
        ProjectError: no trial has come to its end.
    """
    try:
        best = study.best_trial
    except ValueError:
        raise ProjectError(
            f"the study {study.study_name} has no complete trial: give it more, search.trials=…"
        ) from None
    values = OmegaConf.create()
    for key, value in best.params.items():
        OmegaConf.update(values, key, value)
    use = f"python -m forest_cover.configure +experiment={path.stem}"
    head = HEAD.format(number=best.number, study=study.study_name, value=best.value, use=use)
    write_text(head + OmegaConf.to_yaml(values), path)
    log.info("best of %d finished trials is %d with %.4f: %s", len(finished(study)), best.number, best.value, path)
