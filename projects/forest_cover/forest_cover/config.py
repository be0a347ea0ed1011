"""Reads the configuration and says what is wrong with it: one line, before anything is computed."""

from __future__ import annotations

import re
from dataclasses import asdict, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, InterpolationResolutionError, OmegaConfBaseException
from yaml import YAMLError

from forest_cover import settings
from forest_cover.columns import FEATURES
from forest_cover.settings import CHOICES, LIMITS, Config, Data, Model, Resources, Search, Training

__all__ = [
    "PARAMS",
    "Config",
    "ConfigError",
    "Data",
    "Model",
    "Resources",
    "Search",
    "Training",
    "as_dict",
    "check_config",
    "load_config",
    "problem",
    "unknown",
]

PARAMS = Path("params.yaml")
CONF = Path("conf")
SEARCHED = ("training", "model", "resources")
"""Groups that a search may vary: it trains on the tensors that are there."""
TYPES = {"int": "a whole number", "float": "a number", "str": "a text", "list[str]": "a list of texts"}
TYPES |= {"list[float]": "a list of numbers", "dict[str, dict[str, Any]]": "names with {low, high} or {choices}"}
CONFIGURE = "python -m forest_cover.configure"


class ConfigError(ValueError):
    """A value can't be used; the message names it, says what is wrong and where it is set."""


def load_config(path: Path = PARAMS) -> Config:
    """Read the values that all stages share.

    Args:
        path: a YAML file, as ``python -m forest_cover.configure`` writes it.

    Returns:
        The configuration, checked.

    Raises:
        ConfigError: If the file is missing, is no YAML, or a value in it can't be used.
    """
    try:
        found = OmegaConf.load(path)
    except FileNotFoundError:
        raise ConfigError(f"{path}: not found; run from the project's folder, or write it: {CONFIGURE}") from None
    except (YAMLError, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: can't be read ({reason}); write it anew: {CONFIGURE}") from None
    if not isinstance(found, DictConfig):
        raise ConfigError(f"{path}: holds no settings; write it anew: {CONFIGURE}")
    return check_config(found)


def check_config(cfg: DictConfig | Config) -> Config:
    """See that every value is known, of its type and within its limits.

    Args:
        cfg: what Hydra composed, or a configuration built by hand.

    Returns:
        The same values; what is not set is as in the dataclasses.

    Raises:
        ConfigError: At the first value that can't be used: its name, the value, what is allowed, where it is set.

    Example:
        >>> check_config(OmegaConf.create({"data": {"val": 2}}))
        Traceback (most recent call last):
            ...
        forest_cover.config.ConfigError: data.val=2.0: must be 0.01 to 0.9; set it in conf/data/
    """
    given = OmegaConf.structured(cfg) if isinstance(cfg, Config) else cfg.copy()
    try:
        OmegaConf.resolve(given)
        config = OmegaConf.to_object(_over_defaults(given))
    except OmegaConfBaseException as error:
        raise _not_the_type(error, given) from None
    assert isinstance(config, Config)
    _check_values(config)
    _check_data(config.data)
    _check_search(config.search)
    return config


def as_dict(config: Config) -> dict[str, Any]:
    """The configuration as plain dictionaries and lists, for files and stores.

    Example:
        >>> as_dict(Config())["model"]["name"]
        'mlp'
    """
    return asdict(config)


def problem(key: str, value: object, rule: str) -> ConfigError:
    """The one line that says what is wrong with a value and which file sets it.

    Args:
        key: name of the value, such as ``training.learning_rate``.
        value: what it is.
        rule: what it must be.
    """
    return ConfigError(f"{key}={value}: {rule}; set it in {_where(key, value)}")


def unknown(key: str, value: object) -> ConfigError:
    """What is said to a name that is no setting: the one that was meant, or those there are.

    Args:
        key: the name, such as ``training.learning_rte``.
        value: that it was to have.
    """
    group, _, name = key.rpartition(".")
    known = [f.name for f in fields(getattr(settings, group.capitalize(), Config))]
    near = get_close_matches(name, known, n=1)
    hint = f"perhaps {near[0]} is meant" if near else f"known are {', '.join(known)}"
    return problem(key, value, f"no such setting; {hint}")


def _over_defaults(given: DictConfig) -> DictConfig:
    for key in OmegaConf.missing_keys(given):
        raise problem(key, "???", "must be given")
    for group in (f.name for f in fields(Config) if f.name != "out"):
        if not isinstance(given.get(group, OmegaConf.create()), DictConfig):
            raise problem(group, given[group], "must be a group of settings")
    base = OmegaConf.structured(Config)
    if OmegaConf.select(given, "search.space") is not None:
        base.search.space = {}  # a merge would join the two spaces
    merged = OmegaConf.merge(base, given)
    assert isinstance(merged, DictConfig)
    return merged


def _where(key: str, value: object) -> str:
    """The file of the group that gives the setting this value, or the group's folder."""
    group, _, name = key.partition(".")
    name = re.split(r"[.\[]", name)[0]
    for file in sorted((CONF / group).glob("*.yaml")):
        found = OmegaConf.load(file)
        if isinstance(found, DictConfig) and name in found and (name == "space" or str(found[name]) == str(value)):
            return str(file)
    return f"{CONF / group}/" if name else f"{CONF}/config.yaml"


def _not_the_type(error: OmegaConfBaseException, given: DictConfig) -> ConfigError:
    """What the library says, in our words."""
    key = error.full_key or ""
    if isinstance(error, ConfigKeyError):
        return unknown(key, OmegaConf.select(given, key))
    if isinstance(error, InterpolationResolutionError):
        return ConfigError(f"{str(error).splitlines()[0]}; set it in {_where(key, None)}")
    group, name, *_ = [*re.split(r"[.\[]", key), ""]
    wanted = next((str(f.type) for f in fields(getattr(settings, group.capitalize(), Config)) if f.name == name), "str")
    return problem(key, OmegaConf.select(given, key), f"must be {TYPES.get(wanted, wanted)}")


def _values(config: Config, key: str) -> list[Any]:
    """The value of a name; of a list, its entries."""
    group, name = key.split(".")
    value = getattr(getattr(config, group), name)
    return value if isinstance(value, list) else [value]


def _check_values(config: Config) -> None:
    for key, allowed in CHOICES.items():
        for value in _values(config, key):
            if value not in allowed:
                raise problem(key, value, f"must be one of {', '.join(allowed)}")
    for key, (low, high) in LIMITS.items():
        for value in _values(config, key):
            if not low <= value <= high:  # NaN is refused as well
                raise problem(key, value, f"must be {low} to {high}")


def _check_data(data: Data) -> None:
    if data.val + data.test >= 1:
        rule = f"with data.test={data.test} no row is left to train on: together they must be below 1"
        raise problem("data.val", data.val, rule)
    for name in data.drop:
        if name not in FEATURES:
            near = get_close_matches(name, FEATURES, n=1)
            hint = f"perhaps {near[0]} is meant" if near else "see forest_cover/columns.py"
            raise problem("data.drop", data.drop, f"{name} is no column; {hint}")
    if set(data.drop) == set(FEATURES):
        raise problem("data.drop", "all", "at least one column must stay")
    if data.source == "kaggle" and not data.file:
        raise problem("data.file", "''", "the source kaggle needs the path of its CSV file")


def _check_search(search: Search) -> None:
    if not re.match(r"sqlite:///.", search.storage):
        raise problem("search.storage", search.storage, "must be sqlite:/// and the name of a file")
    if not search.space:
        raise problem("search.space", "{}", "empty, so there is nothing to search: name at least one setting")
    for key, bounds in search.space.items():
        group, _, name = key.partition(".")
        known = [f.name for f in fields(getattr(settings, group.capitalize()))] if group in SEARCHED else []
        if name not in known:
            rule = f"only settings of {', '.join(SEARCHED)} can be searched, as model.width"
            raise problem("search.space", key, rule)
        if set(bounds) == {"choices"} and isinstance(bounds["choices"], list) and bounds["choices"]:
            continue
        rule = f"{key} must be {{choices: [a, b]}} or {{low: a, high: b}} with a < b, and 0 < a with log: true"
        if not {"low", "high"} <= set(bounds) <= {"low", "high", "log"}:
            raise problem("search.space", bounds, rule)
        low, high, log = bounds["low"], bounds["high"], bounds.get("log", False)
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (low, high))
        if not (numbers and isinstance(log, bool) and low < high and (low > 0 or not log)):
            raise problem("search.space", bounds, rule)
