"""Check every row against the schema: reports/validation.json. A violation stops the pipeline."""

from __future__ import annotations

from forest_cover.files import RAW, VALIDATION, ProjectError, read_table, run_stage, write_json
from forest_cover.schema import find_violations


def validate() -> None:
    """Write the violations of data/raw.parquet.

    Raises:
        ProjectError: there is one; the report is written all the same.
    """
    frame = read_table(RAW, "fetch")
    violations = find_violations(frame)
    total = sum(violation["count"] for violation in violations)
    write_json({"rows": len(frame), "violations": total, "found": violations}, VALIDATION)
    if violations:
        first = violations[0]
        where = "".join(f", first in row {row['row']}: {row['value']}" for row in first["rows"][:1])
        raise ProjectError(
            f"{RAW}: {total} violations; {first['column']} {first['check']} ({first['count']} times{where}); all are in"
            f" {VALIDATION}; correct the source and run `dvc repro` again"
        )


if __name__ == "__main__":
    run_stage(validate)
