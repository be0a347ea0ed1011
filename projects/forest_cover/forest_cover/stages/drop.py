"""Leave out the columns that no model shall see: data/columns.parquet."""

from __future__ import annotations

from forest_cover.config import Config, load_config
from forest_cover.files import COLUMNS, RAW, VALIDATION, ProjectError, read_json, read_table, run_stage, write_table


def drop(config: Config) -> None:
    """Write the rows without the columns of `data.drop`.

    Args:
        config: the settings.

    Raises:
        ProjectError: the rows were not found valid.
    """
    if read_json(VALIDATION, "validate")["violations"]:
        raise ProjectError(f"{VALIDATION} lists violations: correct the source and run `dvc repro` again")
    write_table(read_table(RAW, "fetch").drop(columns=config.data.drop), COLUMNS)


if __name__ == "__main__":
    run_stage(lambda: drop(load_config()))
