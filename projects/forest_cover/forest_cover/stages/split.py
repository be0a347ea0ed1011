"""Deal the rows out to training, validation and test: data/split/. All that is fitted later comes after this."""

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


def main() -> None:
    """Run the stage with the settings of params.yaml."""
    split_rows(load_config())


if __name__ == "__main__":
    run_stage(main)
