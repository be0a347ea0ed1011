"""Rows for training: a dataset of tensors, and loaders that give them out in batches."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler, SequentialSampler

from forest_cover.columns import LABELS
from forest_cover.config import Resources
from forest_cover.files import PARTS, ProjectError, needed, read_json

Batch = tuple[Tensor, Tensor]
"""Features, float32 ``(rows, columns)``, and labels, int64 ``(rows,)`` in 0 to 6."""


class CoverDataset(Dataset[Batch]):
    """Rows and their labels.

    Args:
        features: float32 ``(rows, columns)``.
        labels: int64 ``(rows,)``, 0 to 6.

    Raises:
        ProjectError: types, shapes or values are others.

    Example:
        >>> rows = CoverDataset(torch.zeros(3, 54), torch.tensor([0, 6, 2]))
        >>> len(rows), rows[1][1].item()
        (3, 6)
    """

    def __init__(self, features: Tensor, labels: Tensor) -> None:
        check(features, labels)
        self.features, self.labels = features, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Batch:
        return self.features[index], self.labels[index]

    def __getitems__(self, indices: list[int]) -> Batch:
        """A whole batch at once: far quicker than to gather single rows."""
        return self.features[indices], self.labels[indices]


def check(features: Tensor, labels: Tensor) -> None:
    """Refuse tensors that are not rows of this data set; the message says which rule is broken, and where."""
    if features.ndim != 2 or features.dtype != torch.float32:
        raise ProjectError(f"features: {features.dtype} of shape {tuple(features.shape)}, expected float32 (rows, k)")
    if labels.shape != features.shape[:1] or labels.dtype != torch.int64:
        raise ProjectError(f"labels: {labels.dtype} of shape {tuple(labels.shape)}, expected int64 ({len(features)},)")
    if not len(labels):
        raise ProjectError("there are no rows")
    if not features.isfinite().all():
        row, column = (~features.isfinite()).nonzero()[0].tolist()
        raise ProjectError(f"features: row {row}, column {column} is {features[row, column].item()}, not finite")
    strange = ((labels < 0) | (labels >= len(LABELS))).nonzero().flatten()
    if len(strange):
        row = int(strange[0])
        raise ProjectError(f"labels: row {row} holds class {labels[row].item()}, only 0 to {len(LABELS) - 1} exist")


def load_dataset(folder: Path, part: str) -> CoverDataset:
    """Read one part from the files that the stage tensors wrote.

    Args:
        folder: of the files.
        part: ``train``, ``val`` or ``test``.

    Raises:
        ProjectError: the file is missing, is none of the stage's, or does not fit ``columns.json``.
    """
    path = needed(folder / f"{part}.pt", "tensors")
    try:
        content = torch.load(path, weights_only=True)
    except Exception:  # torch raises nearly anything for a file that is not one of its own
        raise ProjectError(f"{path} can't be read as tensors: make it again: `dvc repro --force tensors`") from None
    if not isinstance(content, dict) or not all(isinstance(content.get(k), Tensor) for k in ("features", "labels")):
        raise ProjectError(f"{path}: expected a dict of tensors 'features' and 'labels'")
    columns = load_columns(folder)
    try:
        rows = CoverDataset(content["features"], content["labels"])
    except ProjectError as problem:
        raise ProjectError(f"{path}: {problem}") from None
    if rows.features.shape[1] != len(columns):
        raise ProjectError(f"{path}: {rows.features.shape[1]} columns, but columns.json names {len(columns)}")
    return rows


def load_columns(folder: Path) -> list[str]:
    """Names of the columns, in the order of the tensors.

    Args:
        folder: of ``columns.json``.

    Raises:
        ProjectError: the file is missing or not a list of names.
    """
    path = folder / "columns.json"
    columns = read_json(path, "tensors")
    if not isinstance(columns, list) or not columns or not all(isinstance(name, str) for name in columns):
        raise ProjectError(f"{path}: expected a list of column names, found {json.dumps(columns)[:60]}")
    return columns


def _whole(batch: list[Batch]) -> list[Batch]:  # what __getitems__ gives is a batch already
    return batch


def make_loader(
    rows: CoverDataset, batch_size: int, *, shuffle: bool = False, workers: int = 0, seed: int = 0
) -> DataLoader[Batch]:
    """Batches of rows.

    Args:
        rows: what to give out.
        batch_size: rows in a batch; the last one may be smaller.
        shuffle: in a new order each time, drawn from the loader's own generator.
        workers: processes that gather batches; their number does not change what comes out.
        seed: of the generator.

    Returns:
        The loader; ``loader.sampler.generator`` holds the state that a resumed training needs.

    Example:
        >>> loader = make_loader(CoverDataset(torch.zeros(5, 2), torch.arange(5)), 2, shuffle=True)
        >>> sorted(len(labels) for _, labels in loader)
        [1, 2, 2]
    """
    order, inside = (torch.Generator().manual_seed(seed) for _ in range(2))  # workers draw from a stream of their own
    sampler = RandomSampler(rows, generator=order) if shuffle else SequentialSampler(rows)
    return DataLoader(
        rows, batch_size, sampler=sampler, num_workers=workers, generator=inside, collate_fn=_whole,
        persistent_workers=workers > 0,
    )  # fmt: skip


def load_loaders(folder: Path, resources: Resources, seed: int) -> tuple[DataLoader[Batch], ...]:
    """Loaders of the training rows, shuffled, and of the validation and test rows, in their order.

    Args:
        folder: of the files that the stage tensors wrote.
        resources: sets rows per batch and worker processes.
        seed: of the order of the training rows.

    Returns:
        ``(train, val, test)``.

    Raises:
        ProjectError: a file is missing or wrong.
    """
    size, workers = resources.batch_size, resources.workers
    rows = {part: load_dataset(folder, part) for part in PARTS}
    return tuple(make_loader(rows[part], size, shuffle=part == "train", workers=workers, seed=seed) for part in PARTS)
