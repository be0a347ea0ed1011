"""What must be true of every row: a pandera schema from `forest_cover.columns`, and a list of what is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from forest_cover.columns import CLASSES, FEATURES, QUANTITIES, SOIL, TARGET, WILDERNESS, Quantity

SHOWN = 20
"""Rows that a violation lists; all are counted."""
SUMS = {"Wilderness_Area1 to 4": WILDERNESS, "Soil_Type1 to 40": SOIL}
"""One-hot columns whose sum must be 1."""
MISSING = "is missing or not a number"


def make_schema() -> pa.DataFrameSchema:
    """The rules for every column, and for the sums of the one-hot columns, which are added to the table."""
    whole = pa.Check(lambda values: values % 1 == 0, error="must be a whole number")
    columns = {q.name: [_range(q), whole] for q in QUANTITIES}
    columns |= {name: [_among((0, 1))] for name in (*WILDERNESS, *SOIL)}
    columns |= {TARGET: [_among(CLASSES)]}
    columns |= {name: [pa.Check.eq(1, error="exactly one must be 1")] for name in SUMS}
    return pa.DataFrameSchema({name: pa.Column(checks=checks) for name, checks in columns.items()}, strict=True)


def _range(quantity: Quantity) -> pa.Check:
    low, high, unit = quantity.low, quantity.high, quantity.unit
    return pa.Check.in_range(low, high, error=f"must be from {low:g} to {high:g} ({unit})")


def _among(allowed: tuple[int, ...]) -> pa.Check:
    return pa.Check.isin(allowed, error=f"must be one of {', '.join(map(str, allowed))}")


def find_violations(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Check a table against the schema.

    Args:
        frame: features and target.

    Returns:
        For each column and rule that is broken: ``column``, ``check``, ``count``, and ``rows``, the first 20 with
        ``row`` (its index) and ``value``. Where columns are missing or unexpected only that is reported, without rows.

    >>> find_violations(pd.DataFrame({"Slope": [3]}))[0]
    {'column': 'Elevation', 'check': 'column is missing', 'count': 1, 'rows': []}
    """
    wrong = [(name, "column is missing") for name in (*FEATURES, TARGET) if name not in frame]
    wrong += [(str(name), "column is unexpected") for name in frame if name not in (*FEATURES, TARGET)]
    if wrong:
        return [{"column": name, "check": check, "count": 1, "rows": []} for name, check in wrong]
    numbers = frame.apply(pd.to_numeric, errors="coerce")
    sums = {name: numbers[list(columns)].sum(axis=1) for name, columns in SUMS.items()}
    try:
        make_schema().validate(numbers.assign(**sums), lazy=True)
    except SchemaErrors as errors:
        return _list(errors.failure_cases, frame)
    return []


def _list(cases: pd.DataFrame, frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The failure cases of pandera by column and rule, with the values that the table holds."""
    cases = cases.assign(check=cases["check"].replace("not_nullable", MISSING), index=cases["index"].astype(int))
    violations = []
    for (column, check), found in cases.sort_values("index", kind="stable").groupby(["column", "check"], sort=False):
        rows = [
            {"row": int(row), "value": _plain(frame.at[row, column] if column in frame else value)}
            for row, value in zip(found["index"][:SHOWN], found["failure_case"][:SHOWN], strict=True)
        ]
        violations.append({"column": column, "check": check, "count": len(found), "rows": rows})
    return violations


def _plain(value: Any) -> float | str | None:  # noqa: ANN401 (a broken table may hold anything)
    """A value as JSON has it."""
    if isinstance(value, int | float | np.number):
        return None if np.isnan(value) else float(value)
    return None if value is None else str(value)
