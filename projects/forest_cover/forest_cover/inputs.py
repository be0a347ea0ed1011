"""Checks the rows that a prediction is asked for. What is wrong is said in one line: column, row, value, what to do.

Some mistakes leave values that could be true, and nothing here can see them: an aspect in radians, distances in feet or
kilometres, a column under another one's name. Compare what you hand in with the ranges of the package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_complex_dtype, is_numeric_dtype

from forest_cover.columns import SOIL, WILDERNESS
from forest_cover.files import ProjectError

if TYPE_CHECKING:
    from forest_cover.scores import Floats

OTHER_UNITS = {"feet": 0.3048, "km": 1000.0}
"""Other units of length, in metres: a value out of range that would be in it in one of them gets a hint."""


class PredictorError(ProjectError):
    """A prediction can't be made; the message says why in one line."""


@dataclass(frozen=True)
class Inputs:
    """What a row must hold.

    Attributes:
        columns: names, in the order of the network's inputs.
        unused: columns of the data set that the training dropped: they may be there, and are not looked at.
        ranges: ``(low, high, unit)`` of each measured column.
    """

    columns: list[str]
    unused: list[str]
    ranges: dict[str, tuple[float, float, str]]

    def read(self, rows: pd.DataFrame | Sequence[Mapping[str, Any]]) -> tuple[Floats, pd.Index[Any]]:
        """Check rows, and bring their columns into the order of the network.

        Args:
            rows: raw values, unscaled: a table, or a list of mappings from column to value.

        Returns:
            ``(rows, columns)`` and the rows' labels: the index of the table, or 0, 1, …

        Raises:
            PredictorError: at the first thing that is wrong.
        """
        found, labels = as_columns(rows)
        self._check_names(found)
        if not len(labels):
            raise PredictorError("the table has no row; hand in at least one")
        values = np.empty((len(labels), len(self.columns)))
        for place, name in enumerate(self.columns):
            values[:, place] = numbers(name, found[name], labels)
        self._check_ranges(values, labels)
        for group in (WILDERNESS, SOIL):
            self._check_group(values, labels, group)
        return values, labels

    def _check_names(self, found: Mapping[Any, Any]) -> None:
        if missing := [name for name in self.columns if name not in found]:
            raise PredictorError(f"{_listed(missing)} missing: hand in all of the {len(self.columns)} columns")
        known = {*self.columns, *self.unused}
        if extra := [repr(name) for name in found if name not in known]:
            raise PredictorError(f"{_listed(extra)} unknown to the model: leave out what is no column of it")

    def _check_ranges(self, values: Floats, labels: pd.Index[Any]) -> None:
        names = {name: place for place, name in enumerate(self.columns)}
        for name, (low, high, unit) in self.ranges.items():
            column = values[:, names[name]]
            if len(bad := np.flatnonzero((column < low) | (column > high))):
                value = float(column[bad[0]])
                rule = f"{value:g} is outside of {low:g} to {high:g} {unit}{_hint(value, low, high, unit)}"
                raise PredictorError(f"{name}, row {labels[bad[0]]!r}: {rule}")

    def _check_group(self, values: Floats, labels: pd.Index[Any], group: Sequence[str]) -> None:
        places = [place for place, name in enumerate(self.columns) if name in group]
        part = values[:, places]
        if len(strange := np.argwhere((part != 0) & (part != 1))):
            row, place = strange[0]
            told = f"{self.columns[places[place]]}, row {labels[row]!r}: {part[row, place]:g}"
            raise PredictorError(f"{told} is neither 0 nor 1")
        least = int(len(places) == len(group))  # where the training dropped some of a group, none may be set
        sums = part.sum(axis=1)
        if len(bad := np.flatnonzero((sums < least) | (sums > 1))):
            told = f"{group[0]} to {group[-1]}, row {labels[bad[0]]!r}: {sums[bad[0]]:g} of them are 1"
            raise PredictorError(f"{told}, expected {'exactly' if least else 'at most'} one")


def as_columns(rows: pd.DataFrame | Sequence[Mapping[str, Any]]) -> tuple[Mapping[Any, Any], pd.Index[Any]]:
    """Values by column, and the labels of the rows.

    Raises:
        PredictorError: the rows are of no kind that is known, or a column is there twice.
    """
    if isinstance(rows, pd.DataFrame):
        if len(twice := rows.columns[rows.columns.duplicated()]):
            raise PredictorError(f"{_listed([str(twice[0])])} there more than once: keep one column of that name")
        return dict(rows.items()), rows.index
    if isinstance(rows, Mapping | str) or not isinstance(rows, Sequence):
        raise PredictorError(f"rows are {type(rows).__name__}, expected a DataFrame or a list of mappings")
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise PredictorError(f"row {number} is {type(row).__name__}, expected a mapping from column to value")
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}, pd.RangeIndex(len(rows))


def numbers(name: str, values: pd.Series[Any] | list[Any], labels: pd.Index[Any]) -> Floats:
    """A column as numbers.

    Args:
        name: of the column.
        values: anything.
        labels: of the rows.

    Returns:
        float64 ``(rows,)``, none missing.

    Raises:
        PredictorError: a value is missing or is no number.

    Example:
        >>> numbers("Slope", [3, 4.5], pd.RangeIndex(2)).tolist()
        [3.0, 4.5]
    """
    if isinstance(values, pd.Series) and _is_numeric(values):
        found = values.to_numpy(np.float64, na_value=np.nan)
    else:
        found = np.array([_number(name, value, label) for value, label in zip(values, labels, strict=True)])
    if len(bad := np.flatnonzero(np.isnan(found))):
        raise PredictorError(f"{name}, row {labels[bad[0]]!r}: no value; the model needs one in each column")
    return found


def _is_numeric(values: pd.Series[Any]) -> bool:
    return (is_numeric_dtype(values) or is_bool_dtype(values)) and not is_complex_dtype(values)


def _number(name: str, value: object, label: object) -> float:
    if value is None or value is pd.NA or value is pd.NaT:
        return float("nan")
    try:
        if isinstance(value, Real | np.bool_):
            return float(value)
    except OverflowError:  # a whole number beyond all floating point
        pass
    told = repr(value)
    raise PredictorError(
        f"{name}, row {label!r}: {told[:40] + '…' if len(told) > 40 else told} is no number; hand in plain numbers"
    )


def _hint(value: float, low: float, high: float, unit: str) -> str:
    if unit == "m":
        for other, metres in OTHER_UNITS.items():
            if low <= value * metres <= high:
                return f"; if it is in {other}, hand in {value * metres:g}"
    return ""


def _listed(names: Sequence[str]) -> str:
    told = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{told} {'is' if len(names) == 1 else 'are'}"
