"""What may be set, of which type and within which limits, and how it is read; the values themselves are in ``conf/``.

Hydra composes them from its groups; DVC keeps the result in ``params.yaml``, which every stage reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from yaml import YAMLError

from forest_cover.columns import FEATURES
from forest_cover.files import ProjectError

PARAMS, CONF = Path("params.yaml"), Path("conf")
CONFIGURE = "python -m forest_cover.configure"
SEARCHED = ("training", "model", "resources")  # what a search may vary: it trains on the tensors that are there
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class ConfigError(ProjectError):
    """A value can't be used; the message names it, says what is allowed and where it is set."""


class Group(BaseModel):
    """Settings that belong together: no other names, no other types."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Data(Group):
    """Where the rows come from and what is done to them before a model sees them."""

    source: Literal["embedded", "kaggle", "covtype"] = "embedded"  # simulated, a CSV file, all 581 012 real rows
    file: str = ""  # CSV file of kaggle, here or in the folder ML4OPS_DATA; folder for covtype's download
    rows: int = Field(20_000, ge=0, le=10_000_000)  # to take, 0 for all; the embedded source makes that many
    seed: Seed = 0  # of the simulation, the choice of rows and the split
    drop: list[str] = []  # columns that no model shall see
    val: float = Field(0.15, ge=0.01, le=0.9)  # share of the rows for validation
    test: float = Field(0.15, ge=0.01, le=0.9)  # share of the rows for the one final test
    scaling: Literal["standard", "none"] = "standard"  # standard: mean 0, deviation 1 on the training rows
    cap: int = Field(0, ge=0, le=10_000_000)  # most training rows of one class, 0 for no limit

    @field_validator("drop")
    @classmethod
    def _are_columns(cls, drop: list[str]) -> list[str]:
        for name in drop:
            if name not in FEATURES:
                raise ValueError(f"{name} is not a column; {_known(name, FEATURES)}")
        if set(drop) == set(FEATURES):
            raise ValueError("at least one column must stay")
        return drop

    @field_validator("test")
    @classmethod
    def _leaves_training_rows(cls, test: float, info: ValidationInfo) -> float:
        if test + info.data.get("val", 0) >= 1:
            raise ValueError(f"with data.val={info.data['val']} no row is left to train on: the sum must be below 1")
        return test


class Resources(Group):
    """What a training may use."""

    device: Literal["cpu", "cuda", "auto"] = "cpu"  # auto: the graphics processor where there is one
    threads: int = Field(1, ge=0, le=1024)  # of the processor, 0 for all
    workers: int = Field(0, ge=0, le=1024)  # processes that load batches, 0 loads in the training process
    epochs: int = Field(60, ge=1, le=100_000)  # most rounds through the training rows
    batch_size: int = Field(256, ge=1, le=1_000_000)  # rows per step


class Training(Group):
    """How a model is trained, and what happens beside it."""

    seed: Seed = 0  # of the weights and the order of rows
    learning_rate: float = Field(6e-3, ge=1e-8, le=10)  # highest step size
    weight_decay: float = Field(1e-4, ge=0, le=10)  # of AdamW
    label_smoothing: float = Field(0.05, ge=0, le=0.99)  # share of a label that is spread over all classes
    class_weights: Literal["none", "balanced"] = "none"  # balanced: makes up for rare classes
    schedule: Literal["none", "cosine", "one_cycle"] = "one_cycle"  # of the learning rate
    averaging: int = Field(60, ge=0, le=1_000_000)  # steps over which the kept weights are averaged, 0 for none
    patience: int = Field(15, ge=0, le=100_000)  # epochs without a better score before it stops, 0 never stops early
    callbacks: list[str] = ["checkpoint", "early_stop", "plots"]  # names in callbacks.py or module:Class, in order
    tracking: str = "sqlite:///mlflow.db"  # MLflow store of the callback mlflow
    experiment: str = "forest_cover"  # of MLflow
    learning_curve: list[Annotated[float, Field(ge=0.001, le=0.999)]] = [0.1, 0.3]  # shares of rows to train again on


class Model(Group):
    """Which network."""

    name: Literal["logistic", "mlp", "residual"] = "mlp"  # of a function in models.py
    width: int = Field(256, ge=1, le=65_536)  # units of a hidden layer
    depth: int = Field(2, ge=0, le=100)  # hidden layers, or residual blocks
    dropout: float = Field(0.1, ge=0, le=0.99)  # share of units left out in training
    bins: int = Field(32, ge=0, le=1024)  # pieces that encode each measured column, 0 for the bare number


SPACE: dict[str, dict[str, Any]] = {
    "training.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "training.label_smoothing": {"low": 0.0, "high": 0.1},
    "model.width": {"choices": [64, 128, 256]},
    "model.dropout": {"low": 0.0, "high": 0.5},
}


class Search(Group):
    """A search for better values."""

    study: str = "forest_cover"  # its name; a study that exists is continued
    storage: str = Field("sqlite:///studies.db", pattern="^sqlite:///.")  # address that all processes share
    trials: int = Field(20, ge=1, le=1_000_000)  # finished trials that the study shall have in all
    minutes: float = Field(0.0, ge=0, le=1_000_000)  # after which no process begins another trial, 0 for no limit
    seed: int = Field(0, ge=0, lt=2**31)  # of the sampler
    startup: int = Field(5, ge=0, le=1_000_000)  # trials drawn at random before the sampler learns from them
    warmup: int = Field(5, ge=0, le=100_000)  # epochs of a trial before it may be pruned
    heartbeat: int = Field(10, ge=1, le=3600)  # seconds between signs of life; dead after three times as long without
    space: dict[str, dict[str, Any]] = Field(SPACE, min_length=1)  # setting to {low, high, log} or {choices}
    export: str = "conf/experiment/best.yaml"  # the best values, to be used as +experiment=best

    @field_validator("space")
    @classmethod
    def _can_be_searched(cls, space: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for key, bounds in space.items():
            group, _, name = key.partition(".")
            if group not in SEARCHED or name not in _names(group):
                raise ValueError(f"{key} can't be searched, only settings of {', '.join(SEARCHED)}, as model.width")
            if not _is_range(bounds):
                rule = "{choices: [a, b]} or {low: a, high: b} with a < b, and 0 < a with log: true"
                raise ValueError(f"{key} must be {rule}")
        return space


class Config(Group):
    """All settings."""

    data: Data = Data()
    resources: Resources = Resources()
    training: Training = Training()
    model: Model = Model()
    search: Search = Search()
    out: str = "models"  # folder that a training writes to


def load_config(path: Path = PARAMS) -> Config:
    """Read and check the values that all stages share, as ``python -m forest_cover.configure`` writes them.

    Raises:
        ConfigError: The file is missing or not YAML, or a value in it can't be used.
    """
    try:
        found = OmegaConf.load(path)
    except FileNotFoundError:
        raise ConfigError(f"{path}: not found; run from the project's folder, or write it: {CONFIGURE}") from None
    except (YAMLError, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: can't be read ({' '.join(str(error).split())}); rewrite it: {CONFIGURE}") from None
    if not isinstance(found, DictConfig):
        raise ConfigError(f"{path}: holds no settings; rewrite it: {CONFIGURE}")
    return check_config(found)


def check_config(values: DictConfig | dict[str, Any]) -> Config:
    """See that every value is known, of its type and within its limits.

    Args:
        values: what Hydra composed, or nested dictionaries; what is missing gets its default.

    Raises:
        ConfigError: Some can't be used; one line each with the name, the value, what is allowed and where it is set.

    Example:
        >>> check_config({"data": {"val": 2}})
        Traceback (most recent call last):
            ...
        forest_cover.config.ConfigError: data.val=2: must be less than or equal to 0.9; set it in conf/data/
    """
    try:
        plain = OmegaConf.to_container(OmegaConf.create(values), resolve=True, throw_on_missing=True)
        return Config.model_validate(plain)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key}: {str(error).splitlines()[0]}; set it in {CONF}/") from None
    except ValidationError as error:
        raise ConfigError("\n".join(map(_line, error.errors()))) from None


def _line(error: ErrorDetails) -> str:
    """What pydantic found, in terms of the project."""
    path = [str(part) for part in error["loc"]]
    rule = re.sub(r"^\w+ should", "must", error["msg"].removeprefix("Value error, "))
    if error["type"] == "extra_forbidden":
        rule = f"no such setting; {_known(path[-1], _names(*path[:-1]))}"
    if len(path) == 1 and error["input"] in [file.stem for file in (CONF / path[0]).glob("*.yaml")]:
        rule = f"must be a dictionary; to choose the file, type {CONFIGURE} {path[0]}={error['input']}"
    return f"{'.'.join(path)}={error['input']!r}: {rule}; set it in {_where([*path, ''], error['input'])}"


def _names(*group: str) -> list[str]:
    """Names of the settings of a group, or of the groups."""
    return list(getattr(Config(), group[0]).model_dump() if group else Config.model_fields)


def _known(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"


def _where(path: list[str], value: object) -> str:
    """The file of the group that gives the setting this value, or the group's folder."""
    for file in sorted((CONF / path[0]).glob("*.yaml")):
        if str(OmegaConf.to_container(OmegaConf.load(file)).get(path[1])) == str(value):  # type: ignore[union-attr]
            return str(file)
    return f"{CONF / path[0]}/" if path[1] else f"{CONF}/config.yaml"


def _is_range(bounds: dict[str, Any]) -> bool:
    match bounds:
        case {"choices": [_, *_], **others}:
            return not others
        case {"low": int() | float() as low, "high": int() | float() as high, **others}:
            return low < high and (others in ({}, {"log": False}) or (others == {"log": True} and low > 0))
    return False
