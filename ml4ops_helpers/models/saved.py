"""Networks as files: weights, configuration and metadata in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ml4ops_helpers import DEFAULT_MODEL
from ml4ops_helpers.models.common import ModelError
from ml4ops_helpers.models.networks import Network, build_model
from ml4ops_helpers.scenes.rasters import replacing

PRETRAINED = Path(__file__).with_name("weights")
"""Folder of the weights that ship with the package; written by ``make weights``."""


def save_model(model: Network, path: Path | str, about: Mapping[str, Any] | None = None, *, half: bool = False) -> Path:
    """Save weights and configuration in one safetensors file.

    Args:
        model: from ``build_model``.
        path: file to write, atomically.
        about: metadata that JSON can hold, such as the threshold and the hash of the data.
        half: store the weights in 16 bits, half the size; they are loaded as 32 bits, rounded.

    Returns:
        The path.
    """
    weights = {k: v.contiguous() for k, v in model.state_dict().items()}
    if half:
        weights = {k: v.half() if v.is_floating_point() else v for k, v in weights.items()}
    with replacing(path) as temporary:
        save_file(weights, temporary, {"config": json.dumps(model.config), "about": json.dumps(dict(about or {}))})
    return Path(path)


def load_model(path: Path | str) -> tuple[Network, dict[str, Any]]:
    """Load a model saved by ``save_model``.

    Args:
        path: safetensors file; nothing in it is executed.

    Returns:
        The network in evaluation mode, and its metadata.

    Raises:
        ModelError: the file is missing, is not a safetensors file, or does not fit the network that it names.
    """
    try:
        with safe_open(str(path), "pt") as file:
            saved = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        model = build_model(**json.loads(saved["config"]))
        model.load_state_dict(weights)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such model; train one with `ml4ops train`") from error
    except (SafetensorError, KeyError, RuntimeError, TypeError, json.JSONDecodeError) as error:
        cause = str(error).strip().splitlines()[0]  # torch lists each weight that does not fit
        raise ModelError(f"{path}: not a model saved by save_model ({cause}); train one with `ml4ops train`") from error
    return model.eval(), json.loads(saved["about"])


def load_pretrained(name: str = DEFAULT_MODEL) -> tuple[Network, dict[str, Any]]:
    """Load the weights that ship with the package: trained on the embedded data set alone, never on a real image.

    Returns:
        The network in evaluation mode, and its metadata (``threshold``, ``data``, ``seed``, …).

    Raises:
        ModelError: there are no such weights.

    >>> model, about = load_pretrained()
    >>> model.bands, 0 < about["threshold"] < 1
    (('B2', 'B3', 'B4', 'B8', 'B11'), True)
    """
    shipped = shipped_weights()
    if name not in shipped:
        raise ModelError(f"weights {name!r} are unknown; choose {', '.join(shipped)}")
    return load_model(shipped[name])


def shipped_weights() -> dict[str, Path]:
    """Files of the weights that ship with the package, by name."""
    return {path.stem: path for path in sorted(PRETRAINED.glob("*.safetensors"))}
