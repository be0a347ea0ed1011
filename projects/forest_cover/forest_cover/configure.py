"""Composes ``conf/`` into ``params.yaml``, which DVC watches and every stage reads.

``python -m forest_cover.configure data=kaggle training.seed=1`` writes it; ``--check`` tells whether it is what
``conf/`` composes to, as a commit hook and CI want to know.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from forest_cover.config import CONF, CONFIGURE, PARAMS, ConfigError, check_config, unknown
from forest_cover.files import run_stage, write_text

HEAD = f"# Written by `{CONFIGURE}` from conf/: change the values there, or give them to the command.\n"


def compose_conf(overrides: Sequence[str] = (), conf: Path = CONF) -> DictConfig:
    """Compose the groups as Hydra does, resolve and check them.

    Args:
        overrides: such as ``data=kaggle`` or ``training.learning_rate=3e-3``.
        conf: folder of the groups.

    Returns:
        The values, without interpolations.

    Raises:
        ConfigError: a group or file is missing, an override can't be read, or a value can't be used.
    """
    if not (conf / "config.yaml").is_file():
        raise ConfigError(f"{conf}/config.yaml: not found; run from the project's folder")
    try:
        with initialize_config_dir(str(conf.absolute()), version_base="1.3"):
            found = compose("config", overrides=list(overrides))
        OmegaConf.resolve(found)
    except (HydraException, OmegaConfBaseException) as error:
        raise _told(error, overrides, conf) from None
    check_config(found)
    return found


def write_params(overrides: Sequence[str] = (), path: Path = PARAMS) -> None:
    """Write what ``conf/`` composes to.

    Args:
        overrides: as of `compose_conf`.
        path: of the file.

    Raises:
        ConfigError: as `compose_conf`; the file stays as it was.
    """
    write_text(HEAD + OmegaConf.to_yaml(compose_conf(overrides)), path)


def check_params(overrides: Sequence[str] = (), path: Path = PARAMS) -> None:
    """See that the file is what ``conf/`` composes to; comments and layout do not count.

    Args:
        overrides: as of `compose_conf`.
        path: of the file.

    Raises:
        ConfigError: it is not; the message names the values that differ.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: not found; write it: {CONFIGURE}")
    here, there = _flat(OmegaConf.load(path)), _flat(compose_conf(overrides))
    if differing := [key for key in {**there, **here} if here.get(key, ...) != there.get(key, ...)]:
        told = ", ".join(f"{key}={here.get(key, 'missing')} (conf/: {there.get(key, 'missing')})" for key in differing)
        raise ConfigError(f"{path} is not what conf/ composes to: {told}; write it anew: {CONFIGURE}")


def _flat(config: object, prefix: str = "") -> dict[str, object]:
    """Values by their whole names."""
    if isinstance(config, DictConfig):
        return {name: v for key, value in config.items() for name, v in _flat(value, f"{prefix}.{key!s}").items()}
    return {prefix[1:]: config}


def _told(error: Exception, overrides: Sequence[str], conf: Path) -> ConfigError:
    """What Hydra complains of; of a misspelt setting, which one was meant."""
    if found := re.search(r"Could not override '([a-z_]+\.[a-z_]+)'", str(error)):
        value = next((o.partition("=")[2] for o in overrides if o.startswith(f"{found[1]}=")), "")
        return unknown(found[1], value)
    return ConfigError(f"{conf}: {_sentence(error)}")


def _sentence(error: Exception) -> str:
    """A library's message, without its links and search paths."""
    text = re.split(r"\n(?:Config search path|See http|\s+full_key)", str(error))[0]
    return " ".join(text.replace("\t", " ").split())


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
    if options.show:
        print(OmegaConf.to_yaml(compose_conf(options.overrides)), end="")
    elif options.check:
        check_params(options.overrides)
    else:
        write_params(options.overrides)
        print(f"{PARAMS}: written")


if __name__ == "__main__":
    run_stage(main)
