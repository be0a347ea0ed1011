"""Cover types of new rows, from the folder that the stage package writes.

>>> predictor = Predictor.load("package")                                # doctest: +SKIP
>>> predictor.predict(table)[["cover_type", "name"]]                     # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import ValidationError
from torch import nn

from forest_cover.columns import CLASSES, FEATURES, LABELS, QUANTITIES
from forest_cover.files import ProjectError
from forest_cover.fit import predict
from forest_cover.inputs import Inputs, PredictorError, Rows
from forest_cover.prepare import Scaling
from forest_cover.scores import Floats
from forest_cover.store import load_model

__all__ = ["PACKAGE", "Predictor", "PredictorError"]

PACKAGE = "package.json"
PROBABILITIES = [f"probability_{code}" for code in CLASSES]


class Predictor:
    """Columns, scaling, network and labels in one object: raw rows in, cover types out.

    Rows are checked before anything is computed (`forest_cover.inputs` also says what no check can see).

    Attributes:
        inputs: what a row must hold.
        about: the content of ``package.json``, such as ``scores``.

    Args:
        network: from scaled rows to logits.
        about: content of ``package.json``.

    Raises:
        PredictorError: the parts do not fit together.
    """

    def __init__(self, network: nn.Module, about: dict[str, Any]) -> None:
        self.network, self.about = network, about
        try:
            self.inputs = Inputs.model_validate(about)
        except ValidationError as problem:
            found = problem.errors()[0]
            where = ".".join(map(str, found["loc"])) or "inputs"
            raise PredictorError(f"{where}: {found['msg'].removeprefix('Value error, ')}") from None
        self._places = [self.inputs.columns.index(name) for name in self.inputs.scaling.columns]

    @classmethod
    def load(cls, folder: str | Path) -> Predictor:
        """Read a package.

        Args:
            folder: as the stage package writes it.

        Raises:
            PredictorError: a file is missing or damaged, or says what can't be: other classes, sizes or columns.
        """
        try:
            return cls(*load_model(Path(folder), PACKAGE))
        except PredictorError as problem:
            raise PredictorError(f"{Path(folder) / PACKAGE}: {problem}") from None
        except (ProjectError, OSError) as problem:
            raise PredictorError(" ".join(str(problem).split())) from None

    def predict(self, rows: Rows) -> pd.DataFrame:
        """The most probable cover type of each row.

        Args:
            rows: raw, unscaled values: a table, which is quickest, or a list of mappings from column to value. The
                order of columns does not matter; columns that the training dropped may be left out.

        Returns:
            A row for each, under the same index: ``cover_type`` (1 to 7), ``name``, ``probability_1`` …
            ``probability_7``.

        Raises:
            PredictorError: at the first thing that is wrong, with its column, row and value.
        """
        probabilities, labels = self._probabilities(rows)
        best = probabilities.argmax(axis=1)
        table = pd.DataFrame(probabilities, index=labels, columns=PROBABILITIES)
        table.insert(0, "cover_type", best + 1)
        table.insert(1, "name", np.array(LABELS, dtype=object)[best])
        return table

    def predict_row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The most probable cover type of one row.

        Args:
            row: raw value of each column.

        Returns:
            ``cover_type`` (1 to 7), ``name``, and ``probabilities`` by name.

        Raises:
            PredictorError: as `predict`.
        """
        if not isinstance(row, Mapping):
            raise PredictorError(f"the row is {type(row).__name__}, expected a mapping from column to value")
        probabilities = self._probabilities([row])[0][0]
        best = int(probabilities.argmax())
        by_name = dict(zip(LABELS, probabilities.tolist(), strict=True))
        return {"cover_type": best + 1, "name": LABELS[best], "probabilities": by_name}

    def _probabilities(self, rows: Rows) -> tuple[Floats, pd.Index[Any]]:
        values, labels = self.inputs.read(rows)
        scaling = self.inputs.scaling
        values[:, self._places] = (values[:, self._places] - scaling.means) / scaling.deviations
        return predict(self.network, torch.from_numpy(values.astype(np.float32))), labels


def describe(columns: Sequence[str], scaling: Scaling) -> dict[str, Any]:
    """What ``package.json`` says of inputs: columns, those the training dropped, ranges with units, scaling.

    Args:
        columns: the network's inputs.
        scaling: fitted on the training rows.
    """
    ranges = {q.name: [q.low, q.high, q.unit] for q in QUANTITIES if q.name in columns}
    unused = [name for name in FEATURES if name not in columns]
    return {"columns": list(columns), "unused": unused, "ranges": ranges, "scaling": vars(scaling)}
