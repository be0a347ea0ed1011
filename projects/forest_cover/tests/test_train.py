import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
import torch
from samples import quick, write_project

from forest_cover.callbacks import Callback
from forest_cover.columns import FEATURES, LABELS
from forest_cover.files import ProjectError
from forest_cover.logs import state
from forest_cover.stages.train import train_model
from forest_cover.store import load_model

ROOT = Path(__file__).parents[1]


@pytest.fixture
def root(tmp_path):
    write_project(tmp_path)
    return tmp_path


def test_a_training_leaves_what_the_later_stages_need_and_never_looks_at_the_test_rows(root):
    (root / "data" / "tensors" / "test.pt").unlink()
    run = train_model(quick(callbacks=["checkpoint", "plots"]), root / "data" / "tensors", root / "models")
    model, about = load_model(root / "models")
    history = pd.read_csv(root / "models" / "history.csv", float_precision="round_trip")
    kept = history.loc[history["val_macro_f1"].idxmax()]
    told = json.loads((root / "models" / "scores.json").read_text())
    assert told == {"epoch": kept["epoch"], **kept.filter(like="val_")}
    assert (about["columns"], about["classes"], about["seed"]) == (list(FEATURES), list(LABELS), 0)
    assert history.to_dict("records") == run.history
    assert about["val"]["macro_f1"] == history["val_macro_f1"].max() == history["val_macro_f1"][about["best_epoch"] - 1]
    assert about["versions"]["torch"] == version("torch")
    assert torch.equal(model(run.val.features), run.model(run.val.features))
    assert (root / "models" / "plots" / "history.png").exists()
    assert state(root / "models") == "finished"


def test_the_history_can_be_read_while_the_training_goes_on(root):
    seen = []

    class Look(Callback):
        def on_epoch(self, run):
            seen.append(len(pd.read_csv(run.out / "history.csv")))

    train_model(quick(3), root / "data" / "tensors", root / "models", [Look()])
    assert seen == [1, 2, 3]


def test_what_ended_a_training_is_recorded_and_goes_on_to_the_caller(root):
    class Pruned(Exception):
        pass

    class Prune(Callback):
        def on_epoch(self, run):
            raise Pruned("not good enough")

    with pytest.raises(Pruned):
        train_model(quick(), root / "data" / "tensors", root / "models", [Prune()])
    assert "not good enough" in json.loads((root / "models" / "run.json").read_text())["error"]


def test_an_unknown_callback_is_told_before_anything_is_written(root):
    with pytest.raises(ProjectError, match="early_stop"):
        train_model(quick(callbacks=["early_stopp"]), root / "data" / "tensors", root / "out")
    assert not (root / "out").exists()


def command(root, *arguments):
    given = [sys.executable, "-m", "forest_cover.stages.train", *arguments]
    return subprocess.run(
        given, cwd=root, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False, capture_output=True, text=True
    )


@pytest.mark.slow
def test_the_command_takes_its_settings_from_conf_or_from_params(root):
    done = command(root, "resources.epochs=1", "model.width=8", "out=models", "hydra.run.dir=logs")
    assert done.returncode == 0, done.stderr
    assert load_model(root / "models")[1]["model"]["width"] == 8
    logged = (root / "logs" / "train.log").read_text()
    assert "epoch 1: train_loss" in logged
    assert "torch " in logged


@pytest.mark.slow
def test_the_command_says_in_one_line_what_is_wrong(root):
    (root / "data" / "tensors" / "val.pt").unlink()
    failed = command(root, "out=models", "hydra.run.dir=logs")
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    assert "error: " in failed.stderr.splitlines()[-1]
    assert "val.pt is not there" in failed.stderr.splitlines()[-1]
