"""Train a network. A Hydra app: ``python -m forest_cover.stages.train model=residual training.seed=1``.

Alone it composes ``conf/`` and writes to the folder that Hydra makes for the run; DVC gives it ``params.yaml`` as its
settings and ``out=models``. A killed training resumes from its checkpoint when it is started again with the same
folder, settings and rows.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import hydra
import pandas as pd
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from forest_cover.callbacks import Callback, make_callbacks
from forest_cover.config import Config, check_config
from forest_cover.dataset import load_columns, load_dataset
from forest_cover.files import TENSORS, run_stage, write_csv, write_json
from forest_cover.fit import Run, fit
from forest_cover.logs import HISTORY, begin_run, end_run
from forest_cover.store import ABOUT, WEIGHTS, save_model

SCORES = "scores.json"
"""Scores of the kept epoch on validation rows: what DVC compares experiments by."""
log = logging.getLogger(__name__)


class WriteHistory(Callback):
    """Writes ``history.csv`` after each epoch, so that it shows how far a killed training came."""

    def on_epoch(self, run: Run) -> None:
        """Write all epochs so far."""
        write_csv(pd.DataFrame(run.history), run.out / HISTORY)


def train_model(config: Config, folder: Path, out: Path, extra: Sequence[Callback] = ()) -> Run:
    """Train, and write weights, what belongs to them, history and plots.

    Args:
        config: all settings.
        folder: of the tensors; ``test.pt`` is not looked at.
        out: folder to write to.
        extra: callbacks besides those that the settings name, such as a search's.

    Raises:
        ProjectError: the tensors are missing or wrong, or another process is training in this folder.
    """
    callbacks = [*make_callbacks(config.training.callbacks), WriteHistory(), *extra]
    columns, train, val = load_columns(folder), load_dataset(folder, "train"), load_dataset(folder, "val")
    begin_run(config, out)
    try:
        run = Run(config, columns, train, val, out)
        log.info("%d training rows, %d validation rows, %d columns", len(train), len(val), len(columns))
        log.info("%s on %s, %d weights", config.model.name, run.device, sum(p.numel() for p in run.model.parameters()))
        fit(run, callbacks)
        save_model(run)
    except BaseException as problem:  # an interruption as well: the record says what ended the run
        end_run(out, problem)
        raise
    best = run.history[run.best]
    log.info("kept epoch %d, val_macro_f1 %.4f; wrote %s", best["epoch"], best["val_macro_f1"], out / WEIGHTS)
    write_json(
        {name: best[name] for name in ("epoch", "val_macro_f1", "val_balanced_accuracy", "val_loss")}, out / SCORES
    )
    log.info("wrote %s and %s", out / ABOUT, out / SCORES)
    end_run(out)
    return run


def run_folder(config: Config) -> Path:
    """``out`` where the command line gives one; else the folder that Hydra made for this run."""
    settings = HydraConfig.get()
    given = any(override.startswith("out=") for override in settings.overrides.task)
    return Path(config.out if given else os.path.relpath(settings.runtime.output_dir))


def train_composed(cfg: DictConfig) -> None:
    """Train with what Hydra composed."""
    config = check_config(cfg)
    train_model(config, TENSORS, run_folder(config))


@hydra.main(version_base=None, config_path="../../conf", config_name="config")
def main(cfg: DictConfig) -> None:
    """The command."""
    run_stage(lambda: train_composed(cfg))


if __name__ == "__main__":
    main()
