"""What a run leaves tells how far it came, how it ended and how it goes on."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from omegaconf import OmegaConf
from samples import write_project

from forest_cover.config import Config, check_config
from forest_cover.files import ProjectError
from forest_cover.logs import begin_run, commit, end_run, explain, state, versions
from forest_cover.sweeps import sweep_table

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def test_a_finished_run(tmp_path: Path) -> None:
    begin_run(Config(), tmp_path)
    assert state(tmp_path) == "running"
    end_run(tmp_path)
    assert state(tmp_path) == "finished"
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["seed"] == 0
    assert record["versions"] == versions()
    assert {"python", "torch", "hydra-core"} <= {*record["versions"]}
    assert check_config(OmegaConf.load(tmp_path / "settings.yaml")) == Config()
    said = explain(tmp_path)
    assert "finished at" in said
    assert "resume" not in said


def test_a_failed_run(tmp_path: Path) -> None:
    begin_run(Config(), tmp_path)
    end_run(tmp_path, ValueError("no\nrows"))
    assert state(tmp_path) == "error"
    assert "failed: ValueError: no rows" in explain(tmp_path)
    begin_run(Config(), tmp_path)
    end_run(tmp_path)
    assert "the 2nd time" not in explain(tmp_path)
    assert "begun 2 times" in explain(tmp_path)


def test_one_process_a_folder(tmp_path: Path) -> None:
    begin_run(Config(), tmp_path)
    code = f"from forest_cover.logs import *; begin_run(Config(), {str(tmp_path)!r})"
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert "another process is running in this folder" in done.stderr
    end_run(tmp_path)


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="not the folder of a run"):
        explain(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "forest_cover.logs", str(tmp_path)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_the_commit_tells_of_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit() is None
    (tmp_path / "a").write_text("1")
    for command in ("init -q", "add a", "-c user.name=x -c user.email=x@localhost commit -qm a"):
        subprocess.run(["git", *command.split()], check=True)
    assert len(found := commit() or "") == 40
    (tmp_path / "a").write_text("2")
    assert commit() == found + "+changes"


def wait_for_epochs(history: Path, number: int, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 120
    while not (history.exists() and len(pd.read_csv(history)) >= number):
        assert process.poll() is None, "the training ended too soon"
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.slow
def test_a_killed_run_is_explained_and_resumed(tmp_path: Path) -> None:
    write_project(tmp_path)
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    values = "resources.epochs=60 training.patience=0 training.callbacks=[checkpoint] model.width=16 model.bins=4"
    command = [sys.executable, "-m", "forest_cover.stages.train", "hydra.run.dir=runs/a", *values.split()]
    process = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    folder = tmp_path / "runs" / "a"
    wait_for_epochs(folder / "history.csv", 3, process)
    process.send_signal(signal.SIGKILL)
    process.wait()

    done = [sys.executable, "-m", "forest_cover.logs", "runs/a"]
    said = subprocess.run(done, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True).stdout
    assert "was killed" in said
    assert "of at most 60" in said
    resume = shlex.split(said.split("resume it: ")[1])
    assert resume[0] == "python"
    subprocess.run([sys.executable, *resume[1:]], cwd=tmp_path, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    assert state(folder) == "finished"
    assert pd.read_csv(folder / "history.csv")["epoch"].tolist() == list(range(1, 61))
    assert "resumed after epoch" in (folder / "train.log").read_text()


@pytest.mark.slow
def test_a_sweep_as_a_table(tmp_path: Path) -> None:
    write_project(tmp_path)
    (tmp_path / "conf").symlink_to(ROOT / "conf")
    values = ["resources=smoke", "training.callbacks=[]", "model=logistic,mlp", "hydra.sweep.dir=sweeps/a"]
    command = [sys.executable, "-m", "forest_cover.stages.train", "-m", *values]
    subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    table = sweep_table(tmp_path / "sweeps" / "a")
    assert sorted(table["model"]) == ["logistic", "mlp"]
    assert set(table["state"]) == {"finished"}
    assert table["macro_f1"].is_monotonic_decreasing
    with pytest.raises(ProjectError, match="runs of a sweep"):
        sweep_table(tmp_path)
