"""A trained network in two files: its weights, and what one must know to use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from forest_cover.columns import FEATURES, LABELS
from forest_cover.config import ConfigError, Model, check_config
from forest_cover.files import ProjectError, read_json, replacing, write_json
from forest_cover.fit import Run
from forest_cover.logs import versions
from forest_cover.models import build_model

WEIGHTS, ABOUT = "model.safetensors", "model.json"


def save_model(run: Run) -> None:
    """Write a finished run's best weights, and beside them the network's sizes, columns, classes, score and seed.

    Args:
        run: from ``fit``; the files go to ``run.out``.
    """
    best, path = run.history[run.best], run.out / WEIGHTS
    with replacing(path) as temporary:
        save_file(run.best_weights, temporary)
    about = {
        "model": run.config.model.model_dump(),
        "columns": run.columns,
        "classes": list(LABELS),
        "best_epoch": int(best["epoch"]),
        "epochs": len(run.history),
        "val": {name.removeprefix("val_"): value for name, value in best.items() if name.startswith("val_")},
        "seed": run.config.training.seed,
        "rows": {"train": len(run.train), "val": len(run.val)},
        "hash": run.hash,
        "weights": sha256(path.read_bytes()).hexdigest(),
        "versions": versions(),
    }
    write_json(about, run.out / ABOUT)


def load_model(folder: Path, name: str = ABOUT) -> tuple[nn.Module, dict[str, Any]]:
    """Read what ``save_model`` wrote, or the stage package.

    Args:
        folder: of the two files.
        name: of the file that describes the network.

    Returns:
        The network in evaluation mode, and the content of that file.

    Raises:
        ProjectError: a file is missing or damaged, or the two do not belong together.
    """
    path = folder / name
    about = read_json(path, "train" if name == ABOUT else "package")
    try:
        model, columns, classes, digest = (about[key] for key in ("model", "columns", "classes", "weights"))
        found = check_config({"model": model}).model
    except (KeyError, TypeError) as problem:
        raise ProjectError(f"{path}: not as a training writes it ({problem})") from None
    except ConfigError as problem:
        raise ProjectError(f"{path}: {problem}") from None
    if classes != list(LABELS):
        raise ProjectError(f"{path}: its classes are {classes}, expected the {len(LABELS)} of the data set: {LABELS}")
    if not isinstance(columns, list) or not columns or any(name not in FEATURES for name in columns):
        raise ProjectError(f"{path}: its columns are not those of the data set")
    weights = read_weights(folder / WEIGHTS)
    if digest != sha256((folder / WEIGHTS).read_bytes()).hexdigest():
        raise ProjectError(f"{folder / WEIGHTS} is not the file that {name} was written with: copy both again")
    try:
        return assemble(found, columns, weights), about
    except ProjectError as problem:
        raise ProjectError(f"{folder / WEIGHTS}: {problem}") from None


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read weights by their names.

    Raises:
        ProjectError: the file is missing or damaged.
    """
    try:
        return load_file(path)
    except FileNotFoundError:
        raise ProjectError(f"{path} is not there") from None
    except (SafetensorError, OSError, ValueError) as problem:
        raise ProjectError(f"{path} is damaged or not a safetensors file: {problem!s:.120}") from None


def assemble(model: Model, columns: Sequence[str], weights: dict[str, Tensor]) -> nn.Module:
    """A network of these sizes with these weights, in evaluation mode.

    Raises:
        ProjectError: the weights are of another network, such as one with an eighth class.
    """
    with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
        network = build_model(model, columns)
    wanted, found = _shapes(network.state_dict()), _shapes(weights)
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            shapes = f"{name} is {found.get(name, 'missing')}, expected {wanted.get(name, 'none of that name')}"
            raise ProjectError(f"the weights are of another network: {shapes}")
    network.load_state_dict(weights, assign=True)
    return network.eval()


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, str]:
    return {name: f"{value.dtype} {tuple(value.shape)}" for name, value in weights.items()}
