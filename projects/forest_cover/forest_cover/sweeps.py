"""Reads the folder of a sweep into a table: ``python -m forest_cover.sweeps sweeps/2026-01-31_12-00-00``.

A sweep is one command: ``python -m forest_cover.stages.train -m model=logistic,mlp training.seed=0,1``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

from forest_cover.files import ProjectError, run_stage
from forest_cover.logs import RECORD, state

MODEL = "model.json"


def sweep_table(folder: str | Path) -> pd.DataFrame:
    """One row a run: what was set for it, how it ended, and its validation scores.

    Args:
        folder: of the sweep.

    Returns:
        Columns ``run``, one for each override, ``state``, ``best_epoch``, ``macro_f1``, ``balanced_accuracy`` and
        ``loss``, best first; what a run without an end has not, is missing.

    Raises:
        ProjectError: the folder does not hold runs.
    """
    folder = Path(folder)
    runs = sorted((path.parent for path in folder.glob(f"*/{RECORD}")), key=lambda run: (len(run.name), run.name))
    if not runs:
        raise ProjectError(f"{folder}: does not hold the runs of a sweep")
    table = pd.DataFrame([{"run": run.name, **_overrides(run), "state": state(run), **_scores(run)} for run in runs])
    if "macro_f1" in table:
        table = table.sort_values("macro_f1", ascending=False, ignore_index=True, kind="stable")
    return table


def _overrides(run: Path) -> dict[str, Any]:
    """What the command line set for this run."""
    found = OmegaConf.load(run / ".hydra" / "overrides.yaml")
    return dict(str(override).lstrip("+").split("=", 1) for override in found)


def _scores(run: Path) -> dict[str, Any]:
    try:
        about = json.loads((run / MODEL).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {"best_epoch": about["best_epoch"], **about["val"]}


def main() -> None:
    """Print the table."""
    if len(sys.argv) != 2:
        raise ProjectError("give the folder of a sweep: python -m forest_cover.sweeps sweeps/…")
    print(sweep_table(sys.argv[1]).to_string(index=False))


if __name__ == "__main__":
    run_stage(main)
