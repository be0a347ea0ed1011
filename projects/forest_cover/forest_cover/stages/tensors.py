"""Write the rows as networks take them: data/tensors/, float32 features, labels from 0, and the columns' names."""

from __future__ import annotations

import torch

from forest_cover.columns import TARGET
from forest_cover.files import CAPPED, NORMAL, TENSORS, read_table, replacing, run_stage, write_json
from forest_cover.prepare import to_tensors


def write_tensors() -> None:
    """Write the three parts; of the training rows those that the cap kept.

    Raises:
        ProjectError: a part is not there.
    """
    parts = {"train": read_table(CAPPED, "cap")}
    parts |= {name: read_table(NORMAL / f"{name}.parquet", "normalise") for name in ("val", "test")}
    for name, part in parts.items():
        with replacing(TENSORS / f"{name}.pt") as path:
            torch.save(to_tensors(part), path)
    columns = [name for name in parts["train"] if name != TARGET]
    write_json(columns, TENSORS / "columns.json")


if __name__ == "__main__":
    run_stage(write_tensors)
