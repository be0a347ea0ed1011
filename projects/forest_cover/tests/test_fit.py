import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from samples import few, make_run, quick
from sklearn.utils.class_weight import compute_class_weight

from forest_cover.callbacks import Callback, Checkpoint
from forest_cover.config import Model
from forest_cover.dataset import CoverDataset
from forest_cover.files import ProjectError
from forest_cover.fit import Run, class_weights, fit, predict
from forest_cover.reproduce import choose_device
from forest_cover.scores import scores

ROOT = Path(__file__).parents[1]


class Killed(Callback):
    """Ends a training from within, as a user would."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch(self, run):
        if len(run.history) == self.epoch:
            raise KeyboardInterrupt


def same(one, other):
    assert one.history == other.history
    assert one.best == other.best
    assert all(torch.equal(value, other.best_weights[name]) for name, value in one.best_weights.items())


def test_a_network_learns(tensors, tmp_path):
    run = fit(make_run(quick(30, learning_rate=1e-2), tensors, tmp_path))
    assert run.history[0]["train_loss"] > 1.5 * run.history[-1]["train_loss"]
    assert run.history[run.best]["val_macro_f1"] > 0.5


def test_same_seed_same_numbers_another_seed_others(tensors, tmp_path):
    one, again, other = (fit(make_run(quick(seed=seed), tensors, tmp_path)) for seed in (1, 1, 2))
    same(one, again)
    assert one.history != other.history


def test_what_was_drawn_before_does_not_matter(tensors, tmp_path):
    one = fit(make_run(quick(), tensors, tmp_path))
    torch.manual_seed(99)
    same(one, fit(make_run(quick(), tensors, tmp_path)))


def test_the_network_ends_with_the_weights_of_the_best_epoch(tensors, tmp_path):
    run = fit(make_run(quick(8, learning_rate=0.05, schedule="none"), tensors, tmp_path))
    best = max(run.history, key=lambda row: row["val_macro_f1"])  # the first of equals
    assert run.history[run.best] == best
    found = scores(run.val.labels.numpy(), predict(run.model, run.val.features))
    assert found["macro_f1"] == best["val_macro_f1"]
    assert not run.model.training


def test_of_equal_epochs_the_first_is_kept(tensors, tmp_path):
    run = make_run(quick(), tensors, tmp_path)
    for epoch, score in enumerate([0.5, 0.7, 0.7, 0.6], start=1):
        run.note({"epoch": epoch, "train_loss": 1.0, "val_macro_f1": score})
    assert run.best == 1


def test_the_average_is_what_is_validated(tensors, tmp_path):
    run = make_run(quick(averaging=2), tensors, tmp_path)
    batch = run.train.features[:32], run.train.labels[:32]
    weights = []
    for _ in range(3):
        run.step(*batch)
        weights.append(run.model[1][0].weight.detach().clone())
    expected = weights[0]  # the first step's weights, then halfway to each later one's
    for later in weights[1:]:
        expected = (expected + later) / 2
    torch.testing.assert_close(run.validated[1][0].weight, expected)


@pytest.mark.parametrize(
    ("schedule", "shape"),
    [
        ("none", lambda rates: set(rates) == {0.01}),
        ("cosine", lambda rates: rates == sorted(rates, reverse=True) and rates[-1] < 1e-4),
        ("one_cycle", lambda rates: 2 <= np.argmax(rates) <= 4 and 0.009 < max(rates) <= 0.01 and rates[-1] < 1e-5),
    ],
)
def test_the_learning_rate_follows_its_schedule(tensors, tmp_path, schedule, shape):
    run = fit(make_run(quick(10, schedule=schedule, learning_rate=0.01), tensors, tmp_path))
    assert shape([row["learning_rate"] for row in run.history])


def test_balanced_weights_are_those_of_scikit_learn():
    labels = torch.tensor([0] * 6 + [1] * 3 + [2, 3, 4, 5, 6])
    expected = compute_class_weight("balanced", classes=np.arange(7), y=labels.numpy())
    np.testing.assert_allclose(class_weights(labels, "balanced"), expected, rtol=1e-6)
    assert class_weights(labels, "none") is None


def test_loss_and_optimiser_have_the_settings(tensors, tmp_path):
    values = {"class_weights": "balanced", "label_smoothing": 0.2, "weight_decay": 0.3}
    run = make_run(quick(**values, learning_rate=0.02, schedule="none"), tensors, tmp_path)
    assert run.loss.label_smoothing == 0.2
    torch.testing.assert_close(run.loss.weight, class_weights(run.train.labels, "balanced"))
    assert (run.optimiser.param_groups[0]["weight_decay"], run.optimiser.param_groups[0]["lr"]) == (0.3, 0.02)


@pytest.mark.parametrize(
    "training",
    [
        {"schedule": "none"},
        {"schedule": "cosine", "averaging": 5},
        {"schedule": "one_cycle", "class_weights": "balanced"},
    ],
)
@pytest.mark.parametrize("epoch", [1, 3])
def test_interrupted_and_resumed_is_as_if_never_interrupted(tensors, tmp_path, training, epoch):
    config = quick(5, **training)
    whole = fit(make_run(config, tensors, tmp_path / "whole"), [Checkpoint()])
    with pytest.raises(KeyboardInterrupt):
        fit(make_run(config, tensors, tmp_path), [Checkpoint(), Killed(epoch)])
    resumed = make_run(config, tensors, tmp_path)
    assert resumes(resumed)
    assert len(resumed.history) == epoch
    same(whole, fit(resumed, [Checkpoint()]))


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from samples import quick
from forest_cover.callbacks import Callback
from forest_cover.stages.train import train_model

class Kill(Callback):
    def on_epoch(self, run):
        if len(run.history) == 2:
            os.kill(os.getpid(), signal.SIGKILL)

train_model(quick(4, callbacks=["checkpoint"]), Path(sys.argv[1]), Path(sys.argv[2]), [Kill()])
"""


@pytest.mark.slow
def test_killed_by_the_system_and_resumed_leaves_the_same_files(tensors, tmp_path):
    from forest_cover.stages.train import train_model

    command = [sys.executable, "-c", KILLED, str(tensors), str(tmp_path / "killed"), str(ROOT / "tests")]
    died = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False, capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    left = {path.name for path in (tmp_path / "killed").iterdir()}
    assert {"checkpoint.pt", "history.csv"} <= left
    assert "model.safetensors" not in left
    config = quick(4, callbacks=["checkpoint"])
    for folder in ("killed", "whole"):
        train_model(config, tensors, tmp_path / folder)
    for name in ("model.safetensors", "model.json", "history.csv"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / "killed" / "checkpoint.pt").exists()


def write_checkpoint(run):
    run.epoch()
    Checkpoint().on_epoch(run)


def resumes(run):
    Checkpoint().on_start(run)
    return bool(run.history)


@pytest.mark.parametrize("other", [quick(5, seed=7), quick(6), quick(5, weight_decay=0.5)])
def test_a_checkpoint_of_other_settings_is_not_taken_up_and_the_log_says_so(tensors, tmp_path, other, caplog):
    write_checkpoint(make_run(quick(5), tensors, tmp_path))
    assert not resumes(make_run(other, tensors, tmp_path))
    assert f"{tmp_path / 'checkpoint.pt'} is of other settings or rows" in caplog.text


def test_a_checkpoint_of_other_rows_is_not_taken_up(tmp_path):
    one, other = few(20, 54), few(20, 54)
    other.features[3, 3] = 1
    columns = [str(i) for i in range(54)]
    write_checkpoint(Run(quick(), columns, one, one, tmp_path))
    assert not resumes(Run(quick(), columns, other, one, tmp_path))
    assert not resumes(Run(quick(), columns[::-1], one, one, tmp_path))
    assert resumes(Run(quick(), columns, one, one, tmp_path))


def test_a_damaged_checkpoint_is_reported_and_the_training_starts_again(tensors, tmp_path, caplog):
    (tmp_path / "checkpoint.pt").write_bytes(b"half a file")
    assert not resumes(make_run(quick(), tensors, tmp_path))
    assert "can't be read: the training starts from the beginning" in caplog.text


def test_each_epoch_has_one_line_in_the_log(tensors, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    fit(make_run(quick(3), tensors, tmp_path))
    lines = [r.getMessage() for r in caplog.records if r.name == "forest_cover.fit"]
    assert [line.split(":")[0] for line in lines] == ["epoch 1", "epoch 2", "epoch 3"]
    assert all(name in lines[0] for name in ("train_loss", "val_loss", "val_macro_f1", "learning_rate"))


def test_a_loss_that_is_no_number_ends_the_training_with_advice(tmp_path):
    rows = CoverDataset(torch.full((40, 2), 3e38), torch.arange(40) % 7)
    config = quick(5)
    config.model = Model(name="logistic", bins=0)
    with pytest.raises(ProjectError, match=r"epoch 1: the loss is (inf|nan); lower training\.learning_rate"):
        fit(Run(config, ["a", "b"], rows, rows, tmp_path))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a graphics processor")
def test_a_device_that_is_not_here_is_named():
    assert choose_device("auto").type == "cpu"
    with pytest.raises(ProjectError, match="set it to cpu or auto"):
        choose_device("cuda")
