"""What may be set, of which type, within which limits. The values stand in ``conf/``.

Hydra composes them from the groups; DVC keeps the result in ``params.yaml``, which every stage reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Data:
    """Where the rows come from and what is done to them before a model sees them.

    Attributes:
        source: ``embedded`` (simulated, offline), ``kaggle`` (a CSV file of real rows) or ``covtype`` (all 581 012
            real rows, downloaded once).
        file: the CSV file of ``kaggle``, from the project's root or from the folder that ``ML4OPS_DATA`` names;
            ``covtype`` keeps its download in this folder, or in scikit-learn's own.
        rows: how many rows to take, 0 for all; the embedded source makes so many.
        seed: of the simulation, the choice of rows and the split.
        drop: columns that no model shall see.
        val: share of the rows for validation.
        test: share of the rows for the one final test.
        scaling: ``standard`` (mean 0, deviation 1 on the training rows) or ``none``.
        cap: most training rows of one class, 0 for no limit.
    """

    source: str = "embedded"
    file: str = ""
    rows: int = 20000
    seed: int = 0
    drop: list[str] = field(default_factory=list)
    val: float = 0.15
    test: float = 0.15
    scaling: str = "standard"
    cap: int = 0


@dataclass
class Resources:
    """What a training may use.

    Attributes:
        device: ``cpu``, ``cuda`` or ``auto``.
        threads: of the processor; 0 for all.
        workers: processes that load batches; 0 loads in the training process.
        epochs: most rounds through the training rows.
        batch_size: rows a step.
    """

    device: str = "cpu"
    threads: int = 1
    workers: int = 0
    epochs: int = 60
    batch_size: int = 256


@dataclass
class Training:
    """How a model is trained, and what happens beside it.

    Attributes:
        seed: of the weights and the order of rows.
        learning_rate: highest step size.
        weight_decay: of AdamW.
        label_smoothing: share of a label that is spread over all classes.
        class_weights: ``none``, or ``balanced`` for weights that make up for rare classes.
        schedule: ``none``, ``cosine`` or ``one_cycle``.
        averaging: steps over which the weights are averaged, and the average is what is judged and kept; 0 for none.
        patience: epochs without a better validation score before it stops; 0 never stops early.
        callbacks: their names, from ``forest_cover.callbacks.CALLBACKS``, in the order in which they are called.
        tracking: address of an MLflow store for the callback ``mlflow``.
        experiment: name of the MLflow experiment.
        learning_curve: shares of the training rows, each below 1, at which the evaluation trains again.
    """

    seed: int = 0
    learning_rate: float = 6e-3
    weight_decay: float = 1e-4
    label_smoothing: float = 0.05
    class_weights: str = "none"
    schedule: str = "one_cycle"
    averaging: int = 60
    patience: int = 15
    callbacks: list[str] = field(default_factory=lambda: ["checkpoint", "early_stop", "plots"])
    tracking: str = "sqlite:///mlflow.db"
    experiment: str = "forest_cover"
    learning_curve: list[float] = field(default_factory=lambda: [0.1, 0.3])


@dataclass
class Model:
    """Which network.

    Attributes:
        name: ``logistic``, ``mlp`` or ``residual``.
        width: units of a hidden layer.
        depth: hidden layers, or residual blocks.
        dropout: share of units that are left out in training.
        bins: pieces into which each measured column is encoded; 0 for the bare number.
    """

    name: str = "mlp"
    width: int = 256
    depth: int = 2
    dropout: float = 0.1
    bins: int = 32


@dataclass
class Search:
    """A search for better values.

    Attributes:
        study: its name; a study that exists is continued.
        storage: address of the store that all processes share.
        trials: how many trials the study shall have in all.
        minutes: after which no process begins another trial; 0 for no limit.
        seed: of the sampler.
        startup: trials that are drawn at random before the sampler learns from them.
        warmup: epochs of a trial before it may be pruned.
        heartbeat: seconds between a process's signs of life; after three times as long without, it is taken for dead.
        space: name of a value, such as ``training.learning_rate``, to ``{low, high, log}`` or ``{choices}``.
        export: file of the best values, to be used as ``+experiment=best``.
    """

    study: str = "forest_cover"
    storage: str = "sqlite:///studies.db"
    trials: int = 20
    minutes: float = 0.0
    seed: int = 0
    startup: int = 5
    warmup: int = 5
    heartbeat: int = 10
    space: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            "training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
            "training.label_smoothing": {"low": 0.0, "high": 0.1},
            "model.width": {"choices": [64, 128, 256]},
            "model.dropout": {"low": 0.0, "high": 0.5},
        }
    )
    export: str = "conf/experiment/best.yaml"


@dataclass
class Config:
    """All of it. ``out`` is the folder that a training writes to."""

    data: Data = field(default_factory=Data)
    resources: Resources = field(default_factory=Resources)
    training: Training = field(default_factory=Training)
    model: Model = field(default_factory=Model)
    search: Search = field(default_factory=Search)
    out: str = "models"


CHOICES: dict[str, tuple[str, ...]] = {
    "data.source": ("embedded", "kaggle", "covtype"),
    "data.scaling": ("standard", "none"),
    "resources.device": ("cpu", "cuda", "auto"),
    "training.class_weights": ("none", "balanced"),
    "training.schedule": ("none", "cosine", "one_cycle"),
    "model.name": ("logistic", "mlp", "residual"),
}
LIMITS: dict[str, tuple[float, float]] = {
    "data.rows": (0, 10_000_000),
    "data.seed": (0, 2**32 - 1),
    "data.val": (0.01, 0.9),
    "data.test": (0.01, 0.9),
    "data.cap": (0, 10_000_000),
    "resources.threads": (0, 1024),
    "resources.workers": (0, 1024),
    "resources.epochs": (1, 100_000),
    "resources.batch_size": (1, 1_000_000),
    "training.seed": (0, 2**32 - 1),
    "training.learning_rate": (1e-8, 10),
    "training.weight_decay": (0, 10),
    "training.label_smoothing": (0, 0.99),
    "training.averaging": (0, 1_000_000),
    "training.patience": (0, 100_000),
    "training.learning_curve": (0.001, 0.999),
    "model.width": (1, 65_536),
    "model.depth": (0, 100),
    "model.dropout": (0, 0.99),
    "model.bins": (0, 1024),
    "search.trials": (1, 1_000_000),
    "search.minutes": (0, 1_000_000),
    "search.seed": (0, 2**31 - 1),
    "search.startup": (0, 1_000_000),
    "search.warmup": (0, 100_000),
    "search.heartbeat": (1, 3600),
}
"""Smallest and largest value, both allowed; of a list, those of each entry."""
