"""Look at the rows: reports/explore/index.html with its figures, and reports/explore.json with its numbers."""

from __future__ import annotations

import json

from forest_cover.explore import describe, write_report
from forest_cover.files import EXPLORE, EXPLORE_NUMBERS, RAW, VALIDATION, read_json, read_table, run_stage, write_json


def explore() -> None:
    """Write the report.

    Raises:
        ProjectError: the rows or their validation are not there.
    """
    frame, validation = read_table(RAW, "fetch"), read_json(VALIDATION, "validate")
    facts = {"rows": len(frame), "columns": frame.shape[1], "missing values": int(frame.isna().sum().sum())}
    facts["violations of the schema"] = validation["violations"]
    write_report(frame, EXPLORE, facts)
    tables = {name: json.loads(table.to_json(orient="records")) for name, table in describe(frame).items()}
    write_json({**facts, **tables}, EXPLORE_NUMBERS)


if __name__ == "__main__":
    run_stage(explore)
