"""Get the rows, and write down where they are from: data/raw.parquet and data/raw.json."""

from __future__ import annotations

import hashlib
from dataclasses import asdict

import numpy as np
import pandas as pd

from forest_cover.columns import TARGET
from forest_cover.config import Config, load_config
from forest_cover.files import PROVENANCE, RAW, run_stage, write_json, write_table
from forest_cover.prepare import take
from forest_cover.sources import load_rows


def fetch(config: Config) -> None:
    """Write the rows and their provenance.

    Args:
        config: the settings; those of ``data`` are used.

    Raises:
        ProjectError: the source does not give the rows.
    """
    data = config.data
    everything, origin = load_rows(data)
    frame = take(everything, data.rows, data.seed)
    steps = [f"{len(everything)} rows from the source {data.source}"]
    if len(frame) < len(everything):
        steps.append(f"{len(frame)} of them drawn with the seed {data.seed}, every class in its share")
    counts = {str(code): int(n) for code, n in frame[TARGET].value_counts().sort_index().items()}
    facts = {"rows": len(frame), "classes": counts, "sha256": fingerprint(frame), "steps": steps}
    write_table(frame, RAW)
    write_json({"source": data.source, **asdict(origin), **facts}, PROVENANCE)


def fingerprint(frame: pd.DataFrame) -> str:
    """SHA-256 of the content of a table: of names and numbers, not of the way in which a file holds them.

    Args:
        frame: a table of numbers.

    Returns:
        64 hexadecimal digits.

    >>> fingerprint(pd.DataFrame({"Slope": [1]})) == fingerprint(pd.DataFrame({"Slope": [1.0]}))
    True
    """
    digest = hashlib.sha256(",".join(map(str, frame.columns)).encode())
    digest.update(np.ascontiguousarray(frame.to_numpy("<f8")).tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    run_stage(lambda: fetch(load_config()))
