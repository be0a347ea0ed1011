"""What happens beside a training: a checkpoint, an early stop, plots, tracking. And whatever you add.

One of your own is a class with a method or two, in any module that Python finds, named in the settings by
``training.callbacks: [checkpoint, early_stop, my_module:Shout]``::

    from forest_cover.callbacks import Callback

    class Shout(Callback):
        def on_epoch(self, run):
            if run.best == len(run.history) - 1:
                print(f"a better one: {run.history[-1]['val_macro_f1']:.3f}")
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib import import_module
from shlex import quote
from typing import TYPE_CHECKING

import pandas as pd
import torch

from forest_cover import figures
from forest_cover.config import Training
from forest_cover.files import ProjectError, replacing
from forest_cover.fit import Run

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)


class Callback:
    """Called by the training loop; each method does nothing until it is overridden.

    A method sees the whole `forest_cover.fit.Run`: settings, network, history, folder. It ends the training after the
    present epoch by ``run.stop = True``.
    """

    def on_start(self, run: Run) -> None:
        """Before the first epoch."""

    def on_epoch(self, run: Run) -> None:
        """After each epoch, when its row is in the history."""

    def on_end(self, run: Run) -> None:
        """After the last epoch, when the network holds the best weights."""

    def on_error(self, run: Run, problem: BaseException) -> None:
        """When the training fails or is interrupted; afterwards the exception reaches the caller."""


class Checkpoint(Callback):
    """Writes ``checkpoint.pt`` after each epoch, resumes from one that is there, and removes it at the end."""

    def on_start(self, run: Run) -> None:
        """Resume an interrupted training of the same settings and rows; the log says why where it does not."""
        path = run.out / "checkpoint.pt"
        if not path.exists():
            return
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception:  # torch raises nearly anything for a file that is not one of its own
            state = None
        if not isinstance(state, dict):
            log.warning("%s can't be read: the training starts from the beginning", path)
        elif state.get("hash") != run.hash:
            log.warning("%s is of other settings or rows: the training starts from the beginning", path)
        else:
            run.resume(state)
            log.info("%s: resumed after epoch %d", path, len(run.history))

    def on_epoch(self, run: Run) -> None:
        """Write the state, whole or not at all."""
        path = run.out / "checkpoint.pt"
        with replacing(path) as temporary:
            torch.save(run.state(), temporary)
        log.debug("epoch %d: wrote %s", len(run.history), path)

    def on_end(self, run: Run) -> None:
        """Remove it: the weights are written by the training itself."""
        (run.out / "checkpoint.pt").unlink(missing_ok=True)


class EarlyStop(Callback):
    """Stops when ``training.patience`` epochs have not brought a better validation score."""

    def on_start(self, run: Run) -> None:
        """A resumed training may have come to its end."""
        self.on_epoch(run)

    def on_epoch(self, run: Run) -> None:
        """Compare the best epoch with the last one."""
        patience, done = run.config.training.patience, len(run.history)
        if patience and done - (run.best + 1) >= patience and done < run.config.resources.epochs:
            log.info("epoch %d: none better than epoch %d, stopped early", len(run.history), run.best + 1)
            run.stop = True


class Plots(Callback):
    """Draws ``plots/history.png`` at the end."""

    def on_end(self, run: Run) -> None:
        """Draw loss and score by epoch."""
        figures.save(figures.history(pd.DataFrame(run.history), run.best + 1), run.out / "plots" / "history.png")


class LearningRate(Callback):
    """Logs the learning rate of each epoch and draws ``plots/learning_rate.png`` at the end."""

    def on_epoch(self, run: Run) -> None:
        """Log it."""
        log.info("epoch %d: learning rate %.3g", len(run.history), run.history[-1]["learning_rate"])

    def on_end(self, run: Run) -> None:
        """Draw it."""
        figures.save(figures.learning_rate(pd.DataFrame(run.history)), run.out / "plots" / "learning_rate.png")


class Mlflow(Callback):
    """Records settings, the scores of each epoch and the best one in MLflow.

    Where a run is active, as in a search that opens one for each trial, it is that run; else it is a new one. An
    resumed training makes a new run, with all epochs.
    """

    opened = False
    recorded = 0

    def on_start(self, run: Run) -> None:
        """Open a run and record the settings."""
        import mlflow  # takes a second to import, and only this callback needs it

        self.mlflow = mlflow
        if mlflow.active_run() is None:
            _, experiment = open_experiment(run.config.training)
            mlflow.set_tracking_uri(run.config.training.tracking)
            mlflow.set_experiment(experiment_id=experiment)
            mlflow.start_run()
            self.opened = True
        mlflow.log_params(settings(run))

    def on_epoch(self, run: Run) -> None:
        """Record the scores, at first also those of epochs before an interruption."""
        for row in run.history[self.recorded :]:
            values = {name: value for name, value in row.items() if name != "epoch"}
            self.mlflow.log_metrics(values, step=int(row["epoch"]))
        self.recorded = len(run.history)

    def on_end(self, run: Run) -> None:
        """Record the best epoch, and close what was opened here."""
        self.on_epoch(run)  # a training that was interrupted at its very end has no epoch to go
        best = run.history[run.best]
        self.mlflow.log_metrics({"best_epoch": best["epoch"], "best_val_macro_f1": best["val_macro_f1"]})
        if self.opened:
            self.mlflow.end_run()

    def on_error(self, run: Run, problem: BaseException) -> None:
        """Close what was opened here, as failed."""
        if self.opened:
            self.mlflow.end_run("FAILED")


def open_experiment(training: Training) -> tuple[MlflowClient, str]:
    """A client of the store that the settings name, and the id of the experiment; both are made where missing.

    Args:
        training: names store and experiment.

    Raises:
        ProjectError: MLflow can't use the store, or the experiment was deleted there.
    """
    from mlflow import MlflowClient  # takes a second to import

    store, name = training.tracking, training.experiment
    try:
        client = MlflowClient(store)
        found = client.get_experiment_by_name(name)
        if found is None:
            return client, str(client.create_experiment(name))
    except Exception as problem:  # another program's store: its errors have many types
        raise ProjectError(f"training.tracking={store}: {_refusal(store, ' '.join(str(problem).split()))}") from None
    if found.lifecycle_stage != "active":
        restore = f"MLFLOW_TRACKING_URI={quote(store)} mlflow experiments restore -x {found.experiment_id}"
        raise ProjectError(f"training.experiment={name}: deleted from {store}; name another, or restore it: {restore}")
    return client, str(found.experiment_id)


def _refusal(store: str, problem: str) -> str:
    if "database schema" not in problem:
        return f"MLflow refuses it: {problem:.200}"
    older = f"if of an older one, copy it, then type `mlflow db upgrade {quote(store)}`"
    return f"it is of another version of MLflow than this one: {older}; if of a newer one, install that"


CALLBACKS: dict[str, type[Callback]] = {
    "checkpoint": Checkpoint,
    "early_stop": EarlyStop,
    "plots": Plots,
    "learning_rate": LearningRate,
    "mlflow": Mlflow,
}
"""The callbacks that have a name of their own."""


def settings(run: Run) -> dict[str, str]:
    """What decides the training, as flat texts such as ``model.width: 256``."""
    groups = run.config.model_dump(include={"resources", "training", "model"})
    return {f"{group}.{name}": str(value) for group, values in groups.items() for name, value in values.items()}


def make_callbacks(names: Sequence[str]) -> list[Callback]:
    """The callbacks that the settings name.

    Args:
        names: from ``CALLBACKS``, or ``module:Class`` for one of your own.

    Returns:
        One of each, in this order.

    Raises:
        ProjectError: an unknown callback; the message lists the known ones.

    Example:
        >>> [type(callback).__name__ for callback in make_callbacks(["checkpoint", "early_stop"])]
        ['Checkpoint', 'EarlyStop']
    """
    return [(CALLBACKS[name] if name in CALLBACKS else _own(name))() for name in names]


def _own(name: str) -> type[Callback]:
    module, colon, attribute = name.partition(":")
    if not colon:
        known = ", ".join(CALLBACKS)
        raise ProjectError(f"training.callbacks: {name!r} is unknown; choose from {known}, or name your module:Class")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as problem:
        raise ProjectError(f"training.callbacks: {name!r} can't be imported: {problem}") from None
    if not (isinstance(found, type) and issubclass(found, Callback)):
        raise ProjectError(f"training.callbacks: {name!r} is not a subclass of forest_cover.callbacks.Callback")
    return found
