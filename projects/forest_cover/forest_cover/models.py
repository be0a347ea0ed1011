"""The networks: logistic regression, a perceptron with hidden layers, one with residual blocks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from forest_cover.columns import LABELS, QUANTITIES
from forest_cover.config import Model


class PiecewiseLinear(nn.Module):
    """Encodes each measured column by how far a value has come in each of several pieces of the column's range.

    A piece is 0 below it, 1 above it and rises evenly in between, so a layer after it can learn any curve that is
    straight within the pieces. The pieces lie between quantiles of the training rows (Gorishniy et al. 2022,
    arXiv:2203.05556). Unlike there, a value beyond the training rows counts as the outermost one seen, so nothing
    far off can send a prediction anywhere. Pieces without width, where many rows share a value, are 0.

    Args:
        columns: how many.
        pieces: of each.

    Example:
        >>> encoding = PiecewiseLinear(1, 2)
        >>> encoding.fit(torch.tensor([[0.0], [1.0], [3.0]]))
        >>> encoding(torch.tensor([[0.5], [2.0], [9.0]])).tolist()
        [[0.5, 0.0], [1.0, 0.5], [1.0, 1.0]]
    """

    edges: Tensor

    def __init__(self, columns: int, pieces: int) -> None:
        super().__init__()
        self.register_buffer("edges", torch.zeros(columns, pieces + 1))

    def fit(self, values: Tensor) -> None:
        """Set the edges to quantiles of the training rows.

        Args:
            values: float32 ``(rows, columns)``.
        """
        if not values.numel():  # all measured columns were dropped, or there are no pieces
            return
        shares = torch.linspace(0, 1, self.edges.shape[1], dtype=torch.float64)
        self.edges.copy_(torch.quantile(values.double(), shares, dim=0).T)

    def forward(self, values: Tensor) -> Tensor:
        """Encode.

        Args:
            values: float32 ``(rows, columns)``.

        Returns:
            float32 ``(rows, columns * pieces)`` in 0 to 1.
        """
        low, width = self.edges[:, :-1], self.edges.diff(dim=1)
        share = ((values[:, :, None] - low) / width.clamp_min(1e-9)).clamp(0, 1)
        return (share * (width > 0)).flatten(1)


class Encoder(nn.Module):
    """Pieces of the measured columns, then the one-hot columns as they are; with 0 pieces, all columns as they are.

    Args:
        columns: names of the columns, in their order.
        pieces: of each measured column.
    """

    def __init__(self, columns: Sequence[str], pieces: int) -> None:
        super().__init__()
        names = {quantity.name for quantity in QUANTITIES}
        self.measured = [i for i, name in enumerate(columns) if name in names and pieces]
        self.others = [i for i in range(len(columns)) if i not in self.measured]
        self.pieces = PiecewiseLinear(len(self.measured), pieces)
        self.width = len(self.measured) * pieces + len(self.others)

    def forward(self, rows: Tensor) -> Tensor:
        """Encode rows, float32 ``(rows, columns)``, to ``(rows, width)``."""
        return torch.cat([self.pieces(rows[:, self.measured]), rows[:, self.others]], dim=1)


class Residual(nn.Module):
    """A block that adds to its input what one hidden layer makes of it (Gorishniy et al. 2021, arXiv:2106.11959).

    Args:
        width: of its input and its output.
        dropout: share of units left out in training.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.change = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, width)
        )

    def forward(self, rows: Tensor) -> Tensor:
        """Rows ``(rows, width)`` and the change to them."""
        changed: Tensor = rows + self.change(rows)
        return changed


def logistic(inputs: int, model: Model) -> nn.Module:
    """One linear layer: a weight for each input and class."""
    return nn.Linear(inputs, len(LABELS))


def mlp(inputs: int, model: Model) -> nn.Module:
    """Hidden layers one after another."""
    layers: list[nn.Module] = []
    for number in range(model.depth):
        layers += [nn.Linear(model.width if number else inputs, model.width), nn.ReLU(), nn.Dropout(model.dropout)]
    return nn.Sequential(*layers, nn.Linear(model.width if model.depth else inputs, len(LABELS)))


def residual(inputs: int, model: Model) -> nn.Module:
    """Residual blocks between a first and a last layer."""
    blocks = [Residual(model.width, model.dropout) for _ in range(model.depth)]
    last = [nn.LayerNorm(model.width), nn.Linear(model.width, len(LABELS))]
    return nn.Sequential(nn.Linear(inputs, model.width), *blocks, *last)


MODELS = {"logistic": logistic, "mlp": mlp, "residual": residual}
"""Functions ``(inputs, model) -> module`` by name."""


def build_model(model: Model, columns: Sequence[str], features: Tensor | None = None) -> nn.Sequential:
    """A network with fresh weights from torch's global generator.

    Args:
        model: which, and its sizes.
        columns: names of the inputs, in their order.
        features: of the training rows, float32 ``(rows, columns)``: the encoding is fitted to them. Left out where
            weights are loaded afterwards: the encoding's edges are among them.

    Returns:
        Module from float32 ``(rows, columns)`` to logits ``(rows, 7)``.
    """
    encoder = Encoder(columns, model.bins)
    if features is not None and encoder.measured:
        encoder.pieces.fit(features[:, encoder.measured])
    return nn.Sequential(encoder, MODELS[model.name](encoder.width, model))
