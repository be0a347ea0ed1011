"""Engines that compute a network on the processor, and the trial that chooses one. Explained in ``05_run_inference``.

Which is fastest depends on the processor and on the network, so it is measured.
"""

from __future__ import annotations

import sys
import tempfile
import timeit
import warnings
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ml4ops_helpers.inference.decoder import Core
from ml4ops_helpers.inference.receptive_fields import evaluating
from ml4ops_helpers.inference.tiling import Runner, torch_runner
from ml4ops_helpers.models.common import ModelError
from ml4ops_helpers.models.networks import Network, to_probabilities
from ml4ops_helpers.scenes.sentinel2 import Float

if TYPE_CHECKING:
    import pandas as pd


def native_precision(device: str = "cpu") -> str:
    """Precision that a device (``cpu`` or ``cuda``) computes fastest in: ``bfloat16`` or ``float32``.

    Read from its capabilities rather than timed, so that one seed gives the same numbers on one machine.
    """
    if device == "cuda":
        native = torch.cuda.get_device_capability() >= (8, 0)  # older ones only emulate it
    else:
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # newer releases of torch have it
        native = bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
    return "bfloat16" if native else "float32"


NEEDS: dict[str, tuple[str, ...]] = {
    "torch": (),
    "torch-bf16": (),
    "onnxruntime": ("onnxscript", "onnxruntime"),
    "openvino": ("onnxscript", "openvino"),
    "openvino-bf16": ("onnxscript", "openvino"),
}
"""Engines by name, and the packages that each needs; those with ``bf16`` compute in 16 bits."""
LARGEST_DIFFERENCE = 0.02
"""An engine is chosen only if no probability differs by more than this from that of torch in 32 bits."""


def installed_engines() -> list[str]:
    """Engines that work here; those with 16 bits only where the processor multiplies in them.

    >>> installed_engines()[0]
    'torch'
    """
    native = native_precision() == "bfloat16"
    return [
        name for name, needs in NEEDS.items() if all(map(find_spec, needs)) and (native or not name.endswith("bf16"))
    ]


def check_engine(name: str) -> None:
    """Raise ``ModelError`` when an engine is unknown or not installed."""
    if name not in NEEDS:
        raise ModelError(f"engine {name!r} is unknown; choose auto, {', '.join(installed_engines())}")
    if absent := [package for package in NEEDS[name] if not find_spec(package)]:
        raise ModelError(f"engine {name} needs {', '.join(absent)}; install it: pip install 'ml4ops-helpers[engines]'")


def build_engine(name: str, model: Network, halo: int, core: tuple[int, int]) -> Runner:
    """A function from the reflectance of a window, with its halo and without NaN, to the logits of its core.

    Args:
        name: a key of ``NEEDS``; ``ModelError`` if it is unknown or not installed.
        model: the network; put in evaluation mode.
        halo: from ``receptive_field``.
        core: height and width of the core of every window, from ``core_shape``.
    """
    check_engine(name)
    model.eval()
    if name.startswith("torch"):
        return torch_runner(model, halo, half=name.endswith("bf16"))
    with tempfile.TemporaryDirectory() as folder:
        file = _export(model, halo, core, Path(folder) / "core.onnx")
        return _onnxruntime(file) if name == "onnxruntime" else _openvino(file, name.endswith("bf16"))


def _export(model: Network, halo: int, core: tuple[int, int], path: Path) -> Path:
    """The network as an ONNX file, for windows of one size."""
    window = torch.zeros(1, len(model.bands), *(n + 2 * halo for n in core))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about itself
        torch.onnx.export(Core(model, halo).eval(), (window,), path, dynamo=True, verbose=False, external_data=False)
    return path


def _onnxruntime(file: Path) -> Runner:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(window: Float) -> Float:
        logits: Float = session.run(None, {name: window[None]})[0][0]
        return logits

    return run


def _openvino(file: Path, half: bool) -> Runner:
    # Without this, openvino sends usage statistics, from a process that fails where there is no network.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",
    }
    request = openvino.Core().compile_model(file, "CPU", settings).create_infer_request()

    def run(window: Float) -> Float:
        return np.array(request.infer({0: window[None]})[0][0], np.float32)

    return run


def try_engines(
    model: Network, window: Float, halo: int, names: Sequence[str] | None = None, repeats: int = 2
) -> pd.DataFrame:
    """Time engines on one window, and compare their results with torch in 32 bits.

    Args:
        model: the network.
        window: reflectance with its halo, without NaN.
        halo: from ``receptive_field``.
        names: which engines; default all that are installed.
        repeats: timings of each, after a warm-up; the shortest counts.

    Returns:
        By engine ``seconds`` (for a million pixels), ``difference`` (the largest of any probability) and ``changed``
        (share of pixels with another most likely class).
    """
    import pandas as pd

    core = (window.shape[1] - 2 * halo, window.shape[2] - 2 * halo)
    with evaluating(model):
        truth = to_probabilities(torch.from_numpy(torch_runner(model, halo)(window)))
        rows = {}
        for name in names or installed_engines():
            run = build_engine(name, model, halo, core)
            found = to_probabilities(torch.from_numpy(run(window)))
            rows[name] = {
                "seconds": min(timeit.repeat(partial(run, window), number=1, repeat=repeats)) / np.prod(core) * 1e6,
                "difference": float((found - truth).abs().max()),
                "changed": float((found.argmax(0) != truth.argmax(0)).float().mean()),
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("engine")


def choose_engine(trial: pd.DataFrame) -> str:
    """The fastest engine of a trial that agrees with torch in 32 bits.

    >>> import pandas as pd
    >>> trial = pd.DataFrame({"seconds": [1, 0.5, 0.2], "difference": [0, 0.001, 0.1]}, ["torch", "a", "b"])
    >>> choose_engine(trial)
    'a'
    """
    return str(trial[trial["difference"] <= LARGEST_DIFFERENCE]["seconds"].idxmin())
