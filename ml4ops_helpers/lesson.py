"""Start and end of each notebook: seeds, figures with alt text, recorded metrics, project targets.

Explained in ``01_scope_the_problem``.
"""

from __future__ import annotations

import json
import math
import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ml4ops_helpers import PROFILES, RECORD_MIME
from ml4ops_helpers.datasets.folders import cache_dir
from ml4ops_helpers.exercises import check as check

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from ml4ops_helpers.models.networks import Network


ALT_LENGTH = 20
"""Fewest characters that describe a figure."""

DEFAULT_TARGETS: dict[str, float] = {
    "cost_missed_flood": 4.0,
    "cost_false_alarm": 1.0,
    "min_water_iou": 0.70,
    "min_gain_over_baseline": 0.10,
    "min_water_recall": 0.85,
    "max_seconds_per_megapixel": 5.0,
    "max_model_megabytes": 60.0,
}
"""Targets of the project: relative costs, accuracy (per-event mean), latency, size; page 01 derives them."""


@dataclass
class Lesson:
    """One run of one page; see ``start``.

    Attributes:
        page: name of the notebook, without ``.ipynb``.
        profile: one of ``PROFILES``.
        seed: seed of the page.
        metrics: values recorded so far.
        rng: the page's random generator.
    """

    page: str
    profile: str
    seed: int
    metrics: dict[str, float | int | str | bool] = field(default_factory=dict)
    rng: np.random.Generator = field(init=False, repr=False)
    _table: pd.DataFrame | None = field(default=None, init=False, repr=False)
    _started: float = field(default_factory=time.perf_counter, repr=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def dataset(self, source: str | Path = "embedded") -> pd.DataFrame:
        """Catalogue of a data set, as by ``datasets.get_dataset``, with this page's profile and seed."""
        from ml4ops_helpers.datasets.loaders import get_dataset

        table = get_dataset(source, profile=self.profile, seed=self.seed)  # type: ignore[arg-type]
        if source == "embedded":  # downloads are checked against known hashes
            self._table = table
        return table

    def metric(self, name: str, value: float | int | str | bool) -> None:
        """Print a result and record it for the checks that follow the run.

        Args:
            name: of the metric; a later value replaces an earlier one.
            value: a number, string or bool, also of numpy or torch.

        Raises:
            TypeError: the value is not a scalar.

        >>> Lesson("99_example", "smoke", 0).metric("water IoU", 0.8125)
        water IoU: 0.8125
        """
        plain = value.item() if isinstance(value, np.generic | torch.Tensor) else value
        if not isinstance(plain, bool | int | float | str):
            raise TypeError(f"metric {name!r}: expected a number, string or bool, got {type(plain).__name__}")
        self.metrics[name] = plain
        print(f"{name}: {plain:.4g}" if isinstance(plain, float) else f"{name}: {plain}")

    def figure(self, fig: Figure, alt: str) -> None:
        """Show a figure with alt text, for readers who can't see it. One figure a cell.

        Args:
            fig: a matplotlib figure; it is closed, so that it is shown only once.
            alt: a description of at least ``ALT_LENGTH`` characters.

        Raises:
            ValueError: the description is too short.
        """
        import matplotlib.pyplot as plt
        from IPython.display import display

        text = " ".join(alt.split())
        if len(text) < ALT_LENGTH:
            raise ValueError(f"alt text {text!r} is too short; describe the figure in a sentence")
        plt.draw_if_interactive()  # type: ignore[no-untyped-call] # loads the backend; without it a figure is text
        display(fig, metadata={"image/png": {"alt": text}})  # type: ignore[no-untyped-call]
        plt.close(fig)

    def finish(self) -> None:
        """End the page: print one line and emit the record (run, seconds, metrics, hash of the data)."""
        from IPython.display import display

        seconds = round(time.perf_counter() - self._started, 2)
        record: dict[str, Any] = {"page": self.page, "profile": self.profile, "seed": self.seed, "seconds": seconds}
        if self._table is not None:
            from ml4ops_helpers.datasets.catalogues import dataset_hash

            record["data"] = dataset_hash(self._table)[:12]
        # JSON has no NaN or infinity: an undefined metric is recorded as null.
        metrics = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in self.metrics.items()}
        line = f"{self.page}: profile {self.profile}, {seconds:.1f} s"
        display({"text/plain": line, RECORD_MIME: record | {"metrics": metrics}}, raw=True)  # type: ignore[no-untyped-call]


def start(page: str, profile: str, seed: int) -> Lesson:
    """Start a page: check the parameters, seed all generators, set threads and plot style, start the clock.

    Args:
        page: name of the notebook, without ``.ipynb``.
        profile: ``smoke``, ``lecture`` or ``full``.
        seed: 0 to 2³² − 1.

    Raises:
        ValueError: the profile is unknown, the seed is not such an integer, or ``OMP_NUM_THREADS`` is not a number.

    >>> start("99_example", "smoke", 0).profile
    'smoke'
    """
    if profile not in PROFILES:
        raise ValueError(f"profile {profile!r} is unknown; choose {', '.join(PROFILES)}")
    if type(seed) is not int or not 0 <= seed < 2**32:
        raise ValueError(f"seed {seed!r} is not an integer from 0 to {2**32 - 1}")
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - for libraries that draw from the global generator; the page uses lesson.rng
    torch.manual_seed(seed)
    if threads := os.environ.get("OMP_NUM_THREADS"):
        if not threads.isdecimal() or int(threads) < 1:
            raise ValueError(f"OMP_NUM_THREADS is {threads!r}; set it to a number of threads or unset it")
        torch.set_num_threads(int(threads))
    from ml4ops_helpers.plots import set_style

    set_style()
    return Lesson(page, profile, seed)


def targets_path() -> Path:
    """File in which page 01 stores the project's targets for later pages."""
    return cache_dir() / "targets.json"


def write_targets(targets: Mapping[str, float]) -> Path:
    """Store the project's targets for later pages.

    Args:
        targets: one number for each name in ``DEFAULT_TARGETS``.

    Returns:
        The file written.

    Raises:
        ValueError: a name is missing or unknown, or a value is not a finite number of at least 0.
    """
    from ml4ops_helpers.scenes.rasters import replacing

    checked = _check_targets(targets, "targets")
    with replacing(targets_path()) as temporary:
        temporary.write_text(json.dumps(checked, indent=2) + "\n", encoding="utf-8")
    return targets_path()


def read_targets() -> dict[str, float]:
    """Targets that page 01 stored on this machine, else ``DEFAULT_TARGETS``; prints which.

    Raises:
        ValueError: the file is damaged or of another version.
    """
    path = targets_path()
    if not path.exists():
        print("targets: the published ones (01_scope_the_problem has not run on this machine)")
        return dict(DEFAULT_TARGETS)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not a JSON file ({error}); run 01_scope_the_problem again") from error
    print("targets: those of 01_scope_the_problem")
    return _check_targets(content, str(path))


def _check_targets(targets: object, where: str) -> dict[str, float]:
    names = set(targets) if isinstance(targets, Mapping) else set()
    if not isinstance(targets, Mapping) or names != set(DEFAULT_TARGETS):
        different = ", ".join(sorted(names ^ set(DEFAULT_TARGETS)))
        raise ValueError(f"{where}: missing or unknown: {different}; expected {', '.join(DEFAULT_TARGETS)}")
    for name, value in targets.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise ValueError(f"{where}: {name} is {value!r}; give a finite number of at least 0")
    return {name: float(targets[name]) for name in DEFAULT_TARGETS}


def trained_path(name: str = "unet", profile: str = "lecture", seed: int = 0) -> Path:
    """File in which ``03_train_a_model`` stores a trained network for later pages."""
    return cache_dir() / "models" / f"{name}-{profile}-{seed}.safetensors"


def trained_model(name: str = "unet", profile: str = "lecture", seed: int = 0) -> tuple[Network, dict[str, Any]]:
    """The network trained by ``03_train_a_model``, else the one shipped with the package; prints which.

    Args:
        name: ``linear``, ``cnn`` or ``unet``.
        profile: of the page.
        seed: of the page.

    Returns:
        The network in evaluation mode, and its metadata: ``threshold``, ``data`` (hash), and so on.

    Raises:
        ModelError: the file is damaged or of another version.
    """
    from ml4ops_helpers.models.saved import load_model, load_pretrained

    path = trained_path(name, profile, seed)
    if path.exists():
        print(f"{name}: trained by 03_train_a_model (profile {profile}, seed {seed})")
        return load_model(path)
    print(f"{name}: the weights shipped with the package (03_train_a_model has not run with these parameters)")
    return load_pretrained(name)
