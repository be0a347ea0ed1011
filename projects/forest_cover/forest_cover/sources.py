"""Where rows come from: simulated ones, a CSV file of real ones, or all real ones from the network."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from forest_cover.columns import FEATURES, SOIL, TARGET, WILDERNESS, some
from forest_cover.config import Data
from forest_cover.files import ProjectError
from forest_cover.simulate import simulate

SUBSET = "covtype/kaggle_train_15120.csv"
"""A balanced subset of real rows, in the folder that ``ML4OPS_DATA`` names."""
PAPER = "Blackard & Dean (1999), doi:10.1016/S0168-1699(99)00046-0"


@dataclass(frozen=True)
class Origin:
    """Provenance of rows."""

    about: str
    citation: str
    licence: str
    address: str  # file or identifier they were taken from


def load_rows(data: Data) -> tuple[pd.DataFrame, Origin]:
    """Get all rows of the source that the configuration names; the embedded source makes `data.rows` of them.

    Args:
        data: the configuration.

    Returns:
        Columns `FEATURES` and the target, indexed by the rows' numbers in the source; and where they are from.

    Raises:
        ProjectError: the file or the network does not give them.
    """
    if data.source == "embedded":
        address = f"forest_cover.simulate, seed {data.seed}"
        origin = Origin("simulated; no row describes a real place", f"relations from {PAPER}", "none needed", address)
        return simulate(data.rows, data.seed), origin
    if data.source == "kaggle":
        about = "real rows as Kaggle's competition Forest Cover Type Prediction gives them, 2160 of each class"
        # The name as it was set, not the place on this machine: the provenance is the same for everybody.
        return read_csv(find_csv(data.file)), Origin(about, PAPER, "CC BY 4.0", data.file or SUBSET)
    return download(data.file or None), Origin("all real rows", PAPER, "CC BY 4.0", "doi:10.24432/C50K5N")


def find_csv(name: str) -> Path:
    """The CSV file of a setting: in the current folder, or in the one that ``ML4OPS_DATA`` names.

    Args:
        name: path of the file; empty for the subset in ``ML4OPS_DATA``.

    Returns:
        The path of a file that exists.

    Raises:
        ProjectError: it is in neither.
    """
    path = Path(name or SUBSET)
    folder = os.environ.get("ML4OPS_DATA")
    candidates = [path, *([Path(folder) / path] if folder else [])]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise ProjectError(
        f"{' and '.join(map(str, candidates))}: no such file; set data.file to a CSV file of rows, or ML4OPS_DATA to"
        " the folder that holds it, or use data=embedded"
    )


def at_hand() -> str:
    """The source of rows that is here without a network: ``kaggle`` where its file lies here, else ``embedded``."""
    try:
        find_csv(SUBSET)
    except ProjectError:
        return "embedded"
    return "kaggle"


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read rows from a CSV file with the 54 named columns and the target; a column ``Id`` is left out.

    Args:
        path: of the file.

    Returns:
        A table of numbers; an empty cell becomes NaN and is left to the validation.

    Raises:
        ProjectError: the file is not a table, has other columns, no rows, or text where a number belongs.
    """
    try:
        frame = pd.read_csv(path, low_memory=False)
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError, OSError) as problem:
        reason = " ".join(str(problem).split())
        raise ProjectError(f"{path}: can't be read as a CSV file ({reason}); save it as comma-separated text") from None
    frame = frame.drop(columns="Id", errors="ignore")
    _check_names(path, frame)
    if frame.empty:
        raise ProjectError(f"{path}: has column names, but no rows; use a file with rows")
    return pd.DataFrame({name: _numbers(path, frame[name]) for name in (*FEATURES, TARGET)})


def _check_names(path: str | Path, frame: pd.DataFrame) -> None:
    missing = [name for name in (*FEATURES, TARGET) if name not in frame]
    if missing:
        raise ProjectError(f"{path}: has no column {some(missing)}; the names stand in forest_cover/columns.py")
    unknown = [str(name) for name in frame if name not in (*FEATURES, TARGET)]
    if unknown:
        raise ProjectError(f"{path}: has an unexpected column {some(unknown)}; take it out of the file")


def _numbers(path: str | Path, column: pd.Series) -> pd.Series:
    """A column as whole numbers, or as they are where it holds others or gaps."""
    numbers = pd.to_numeric(column, errors="coerce")
    text = column[numbers.isna() & column.notna()]
    if len(text):
        raise ProjectError(
            f"{path}: column {column.name}, row {text.index[0]} (from 0) holds {text.iloc[0]!r}, which is not a number;"
            " correct the file"
        )
    whole = numbers.abs().lt(2**31).all() and (numbers % 1 == 0).all()
    return numbers.astype("int32") if whole else numbers.astype("float64")


def download(folder: str | None) -> pd.DataFrame:
    """All 581 012 real rows by scikit-learn, which downloads them once.

    Args:
        folder: where the download is kept; None for scikit-learn's own.

    Returns:
        A table of integers.

    Raises:
        ProjectError: the network is down, or what came is not the data set.
    """
    from sklearn.datasets import fetch_covtype  # takes a second, and only this source needs it

    try:
        frame: pd.DataFrame = fetch_covtype(data_home=folder, as_frame=True).frame
    except OSError as problem:
        reason = " ".join(str(problem).split())
        raise ProjectError(
            f"data.source=covtype: the download failed ({reason}); connect to the network, or set data.file to a"
            " folder where scikit-learn has downloaded it before, or use data=embedded"
        ) from None
    # scikit-learn counts areas and soils from 0, the description from 1; the order is the same.
    theirs = {f"Wilderness_Area_{i}": name for i, name in enumerate(WILDERNESS)}
    theirs |= {f"Soil_Type_{i}": name for i, name in enumerate(SOIL)}
    frame = frame.rename(columns=theirs)
    if list(frame.columns) != [*FEATURES, TARGET]:
        raise ProjectError("scikit-learn's fetch_covtype gives other columns than forest_cover/columns.py names")
    return frame.astype("int32")
