"""Split the rows into training, validation and test: data/split/. Everything that is fitted comes after this."""

from __future__ import annotations

from forest_cover.config import Config, load_config
from forest_cover.files import COLUMNS, SPLIT, read_table, run_stage, write_table
from forest_cover.prepare import split


def split_rows(config: Config) -> None:
    """Write the three parts.

    Args:
        config: the settings.

    Raises:
        ProjectError: a class would be missing in a part.
    """
    data = config.data
    for name, part in split(read_table(COLUMNS, "drop"), data.val, data.test, data.seed).items():
        write_table(part, SPLIT / f"{name}.parquet")


if __name__ == "__main__":
    run_stage(lambda: split_rows(load_config()))
