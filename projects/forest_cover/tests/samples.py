"""Small rows that can be learned, and settings that train on them in a second."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from forest_cover.columns import FEATURES, QUANTITIES, SOIL, TARGET, WILDERNESS
from forest_cover.config import Config, Model, Resources, Training
from forest_cover.dataset import CoverDataset, load_columns, load_dataset
from forest_cover.fit import Run
from forest_cover.prepare import apply_scaling, fit_scaling, split, to_tensors


def raw_rows(number: int = 420, seed: int = 0) -> pd.DataFrame:
    """Classes in turn, told apart by elevation; everything else is noise within its range."""
    rng = np.random.default_rng(seed)
    code = np.arange(number) % 7 + 1
    table = {q.name: rng.uniform(q.low, q.high, number) for q in QUANTITIES}
    table["Elevation"] = 1900 + 250 * code + rng.normal(0, 70, number)
    for group in (WILDERNESS, SOIL):
        place = rng.integers(len(group), size=number)
        table |= {name: (place == i).astype(float) for i, name in enumerate(group)}
    return pd.DataFrame(table)[list(FEATURES)].assign(**{TARGET: code})


def write_project(root: Path, drop: tuple[str, ...] = ()) -> dict[str, pd.DataFrame]:
    """Tensors and scaling as the stages before the training leave them; returns the raw parts."""
    parts = split(raw_rows().drop(columns=list(drop)), 0.2, 0.2, 0)
    scaling = fit_scaling(parts["train"])
    tensors = root / "data" / "tensors"
    tensors.mkdir(parents=True)
    (root / "models").mkdir()
    for name, part in parts.items():
        torch.save(to_tensors(apply_scaling(part, scaling)), tensors / f"{name}.pt")
    columns = [name for name in FEATURES if name not in drop]
    (tensors / "columns.json").write_text(json.dumps(columns))
    (root / "models" / "scaling.json").write_text(json.dumps(vars(scaling)))
    return parts


def quick(epochs: int = 3, **training: object) -> Config:
    """Settings of a small network; callbacks only where they are named."""
    values = {"callbacks": [], "learning_curve": [0.5], "averaging": 0, **training}
    return Config(
        resources=Resources(epochs=epochs, batch_size=32),
        training=Training(**values),
        model=Model(width=16, depth=1, bins=8),
    )


def make_run(config: Config, tensors: Path, out: Path) -> Run:
    return Run(config, load_columns(tensors), load_dataset(tensors, "train"), load_dataset(tensors, "val"), out)


def few(rows: int = 10, columns: int = 3) -> CoverDataset:
    """Rows whose first column is their number."""
    features = torch.zeros(rows, columns)
    features[:, 0] = torch.arange(rows)
    return CoverDataset(features, torch.arange(rows) % 7)
