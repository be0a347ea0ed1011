"""Make the measured columns comparable: data/normal/, and models/scaling.json, which inference needs as well."""

from __future__ import annotations

from dataclasses import asdict

from forest_cover.config import Config, load_config
from forest_cover.files import NORMAL, PARTS, SCALING, SPLIT, read_table, run_stage, write_json, write_table
from forest_cover.prepare import apply_scaling, fit_scaling


def normalise(config: Config) -> None:
    """Write the three parts scaled with the means and deviations of the training rows.

    Args:
        config: the settings.

    Raises:
        ProjectError: a part is not there.
    """
    parts = {name: read_table(SPLIT / f"{name}.parquet", "split") for name in PARTS}
    scaling = fit_scaling(parts["train"], config.data.scaling)
    for name, part in parts.items():
        write_table(apply_scaling(part, scaling), NORMAL / f"{name}.parquet")
    write_json(asdict(scaling), SCALING)


if __name__ == "__main__":
    run_stage(lambda: normalise(load_config()))
