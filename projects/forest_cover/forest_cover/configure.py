"""Composes ``conf/`` into ``params.yaml``, which DVC watches and every stage reads.

``python -m forest_cover.configure data=kaggle training.seed=1`` writes it; ``--check``, for a commit hook and CI, fails
where it is not what ``conf/`` composes to.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Hashable, Sequence
from difflib import get_close_matches
from pathlib import Path

import pandas as pd
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from forest_cover.config import CONF, CONFIGURE, PARAMS, Config, ConfigError, check_config
from forest_cover.files import run_stage, write_text

HEAD = f"# Written by `{CONFIGURE}` from conf/: change the values there, or give them to the command.\n"


def compose_conf(overrides: Sequence[str] = (), conf: Path = CONF) -> DictConfig:
    """Compose the groups as Hydra does, and check the values.

    Args:
        overrides: such as ``data=kaggle`` or ``training.learning_rate=3e-3``.
        conf: folder of the groups.

    Raises:
        ConfigError: a group or file is missing, an override can't be read, or a value can't be used.
    """
    added = [_readable(override) for override in overrides]
    try:
        with initialize_config_dir(str(conf.absolute()), version_base="1.3"):
            found = compose("config", overrides=added)
    except HydraException as error:
        reason = re.split(r"\n(?:Config search path|See http)", str(error))[0]
        raise ConfigError(f"{conf}: {' '.join(reason.split())}") from None
    check_config(found)
    OmegaConf.resolve(found)
    return found


def _readable(override: str) -> str:
    """An override as Hydra takes it.

    With ++, it lets a misspelt setting through to our own check, which names the one that was meant.
    """
    name, equals, value = override.partition("=")
    if not equals:
        raise ConfigError(f"{override}: no value; type {override}=…")
    try:
        several = OverridesParser.create().parse_override(override).is_sweep_override()
    except HydraException:
        several = True
    if several:
        quoted = f"""'{name}="{value}"'"""
        raise ConfigError(f"{override}: not one value; if it is a text, quote it: {quoted}; a list: {name}=[a,b]")
    meant = "." in name or (name not in Config.model_fields and get_close_matches(name, Config.model_fields))
    return f"++{override}" if meant and re.match("[a-z_]", name) else override


def check_params(overrides: Sequence[str] = (), path: Path = PARAMS) -> None:
    """See that a file is what ``conf/`` composes to with these overrides; comments and layout do not count.

    Raises:
        ConfigError: it is not; the message names the values that differ.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: not found; write it: {CONFIGURE}")
    here, there = _flat(OmegaConf.load(path)), _flat(compose_conf(overrides))
    if differing := [key for key in {**there, **here} if here.get(key, ...) != there.get(key, ...)]:
        pairs = ", ".join(f"{key}={here.get(key, 'missing')} (conf/: {there.get(key, 'missing')})" for key in differing)
        raise ConfigError(f"{path} is not what conf/ composes to: {pairs}; rewrite it: {CONFIGURE}")


def _flat(config: object) -> dict[Hashable, object]:
    """Values by their full names."""
    return pd.json_normalize(OmegaConf.to_container(config)).to_dict("records")[0]  # type: ignore[arg-type]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write, check or show the values.

    Args:
        arguments: command line without the program's name; the process's own when None.
    """
    parser = argparse.ArgumentParser(prog=CONFIGURE, description="Compose conf/ into params.yaml.")
    parser.add_argument("overrides", nargs="*", help="such as data=kaggle or training.seed=1")
    parser.add_argument("--check", action="store_true", help="fail when params.yaml is not what conf/ composes to")
    parser.add_argument("--show", action="store_true", help="print the values and write nothing")
    options = parser.parse_args(arguments)
    if options.check:
        return check_params(options.overrides)
    values = OmegaConf.to_yaml(compose_conf(options.overrides))
    if options.show:
        print(values, end="")
    else:
        write_text(HEAD + values, PARAMS)
        print(f"{PARAMS}: written")


if __name__ == "__main__":
    run_stage(main)
