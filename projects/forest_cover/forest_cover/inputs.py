"""Checks the rows that a prediction is asked for: what is wrong is reported in one line with column, row and value.

Some mistakes leave values that could be true, and nothing here can see them: an aspect in radians, distances in feet or
kilometres, a column under another one's name. Compare your rows with the ranges of the package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_complex_dtype, is_numeric_dtype
from pydantic import BaseModel, model_validator

from forest_cover.columns import FEATURES, QUANTITIES, SOIL, WILDERNESS, some
from forest_cover.files import ProjectError
from forest_cover.prepare import Scaling
from forest_cover.scores import Floats

OTHER_UNITS = {"feet": 0.3048, "km": 1000.0}
"""Other units of length, in metres: a value out of range that would be in it in one of them gets a hint."""
Rows = pd.DataFrame | Sequence[Mapping[str, Any]]


class PredictorError(ProjectError):
    """A prediction can't be made; the message says why in one line."""


class Inputs(BaseModel):
    """What a row must hold, as ``package.json`` says it.

    Attributes:
        columns: names, in the order of the network's inputs.
        unused: columns of the data set that the training dropped: they may be there, and are not looked at.
        ranges: ``(low, high, unit)`` of each measured column.
        scaling: of the measured columns, fitted on the training rows.
    """

    columns: list[str]
    unused: list[str]
    ranges: dict[str, tuple[float, float, str]]
    scaling: Scaling

    @model_validator(mode="after")
    def _fit_together(self) -> Inputs:
        if sorted(self.columns + self.unused) != sorted(FEATURES):
            raise ValueError(f"columns and unused are not the {len(FEATURES)} columns of the data set")
        measured = {q.name for q in QUANTITIES} & set(self.columns)
        if set(self.ranges) != measured or not all(low < high for low, high, _ in self.ranges.values()):
            raise ValueError("ranges must be of the measured columns, each with low below high")
        names, means, deviations = self.scaling.columns, self.scaling.means, self.scaling.deviations
        if not (set(names) <= measured and len(set(names)) == len(names) == len(means) == len(deviations)):
            raise ValueError("scaling must have one mean and one deviation for each of its columns")
        if not (np.isfinite(means).all() and (np.array(deviations) > 0).all()):
            raise ValueError("scaling must have finite means and deviations above 0")
        return self

    def read(self, rows: Rows) -> tuple[Floats, pd.Index[Any]]:
        """Check rows, and bring their columns into the order of the network.

        Args:
            rows: raw values, unscaled: a table, or a list of mappings from column to value.

        Returns:
            ``(rows, columns)`` and the rows' labels: the index of the table, or 0, 1, …

        Raises:
            PredictorError: at the first thing that is wrong.
        """
        found, labels = _columns(rows)
        self._check_names(found)
        if not len(labels):
            raise PredictorError("the table has no row; it needs at least one")
        values = np.column_stack([_numbers(name, found[name], labels) for name in self.columns])
        low, high = np.array([self.ranges.get(name, (0, 1))[:2] for name in self.columns]).T
        one_hot = np.isin(self.columns, (*WILDERNESS, *SOIL))
        bad = ~((values >= low) & (values <= high)) | (one_hot & (values != 0) & (values != 1))  # NaN is bad too
        if bad.any():
            row, place = np.argwhere(bad)[0]
            name = self.columns[place]
            raise PredictorError(f"{name}, row {labels[row]!r}: {self._rule(name, float(values[row, place]))}")
        for group in (WILDERNESS, SOIL):
            self._check_group(values, labels, group)
        return values, labels

    def _check_names(self, names: Mapping[Any, Any]) -> None:
        if missing := [name for name in self.columns if name not in names]:
            raise PredictorError(f"missing: {some(missing)}; all of the {len(self.columns)} columns are needed")
        known = {*self.columns, *self.unused}  # a set: a name may be anything, and pd.NA can't be compared
        if extra := [repr(name) for name in names if name not in known]:
            raise PredictorError(f"unknown to the model: {some(extra)}; leave out what is not a column of it")

    def _rule(self, name: str, value: float) -> str:
        if np.isnan(value):
            return "no value; the model needs one in each column"
        if name not in self.ranges:
            return f"{value:g} is neither 0 nor 1"
        low, high, unit = self.ranges[name]
        others = {other: value * metres for other, metres in OTHER_UNITS.items() if unit == "m"}
        hints = [f"; if it is in {other}, use {metres:g}" for other, metres in others.items() if low <= metres <= high]
        return f"{value:g} is outside {low:g} to {high:g} {unit}{''.join(hints)}"

    def _check_group(self, values: Floats, labels: pd.Index[Any], group: Sequence[str]) -> None:
        places = np.isin(self.columns, group)
        sums = values[:, places].sum(axis=1)
        least = int(places.sum() == len(group))  # where the training dropped some of a group, none may be set
        if len(bad := np.flatnonzero((sums < least) | (sums > 1))):
            found = f"{group[0]} to {group[-1]}, row {labels[bad[0]]!r}: {sums[bad[0]]:g} of them are 1"
            raise PredictorError(f"{found}, expected {'exactly' if least else 'at most'} one")


def _columns(rows: Rows) -> tuple[Mapping[Any, Any], pd.Index[Any]]:
    """Values by column, and the labels of the rows."""
    if isinstance(rows, pd.DataFrame):
        if len(duplicate := rows.columns[rows.columns.duplicated()]):
            raise PredictorError(f"duplicate: {duplicate[0]}; keep one column of that name")
        return dict(rows.items()), rows.index
    if isinstance(rows, str) or not isinstance(rows, Sequence):
        raise PredictorError(f"rows are {type(rows).__name__}, expected a DataFrame or a list of mappings")
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise PredictorError(f"row {number} is {type(row).__name__}, expected a mapping from column to value")
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}, pd.RangeIndex(len(rows))


def _numbers(name: str, column: pd.Series[Any] | list[Any], labels: pd.Index[Any]) -> Floats:
    """A column as float64; what is missing becomes NaN, what is not a number is refused."""
    if isinstance(column, pd.Series) and is_numeric_dtype(column) and not is_complex_dtype(column):
        return column.to_numpy(np.float64, na_value=np.nan)
    numbers = np.full(len(column), np.nan)
    for place, value in enumerate(column):
        try:
            if isinstance(value, Real | np.bool_):
                numbers[place] = float(value)
                continue
        except OverflowError:  # a whole number beyond all floating point
            pass
        if not (value is None or value is pd.NA or value is pd.NaT):
            raise PredictorError(f"{name}, row {labels[place]!r}: {repr(value)[:40]} is not a number")
    return numbers
