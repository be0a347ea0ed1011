"""Limit the training rows of each class: data/capped.parquet. Validation and test keep the shares of the world."""

from __future__ import annotations

from forest_cover.config import Config, load_config
from forest_cover.files import CAPPED, NORMAL, read_table, run_stage, write_table
from forest_cover.prepare import cap


def cap_rows(config: Config) -> None:
    """Write the kept training rows.

    Args:
        config: the settings.

    Raises:
        ProjectError: the training rows are not there.
    """
    write_table(cap(read_table(NORMAL / "train.parquet", "normalise"), config.data.cap, config.data.seed), CAPPED)


if __name__ == "__main__":
    run_stage(lambda: cap_rows(load_config()))
