"""Square windows of labelled scenes, as batches for training. Explained in ``03_train_a_model``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch
from rasterio.windows import Window
from torch import Tensor
from torch.utils.data import Dataset

from ml4ops_helpers.datasets.catalogues import label_codes
from ml4ops_helpers.scenes.labels import as_version_2, read_label
from ml4ops_helpers.scenes.opening import decide
from ml4ops_helpers.scenes.products import Product
from ml4ops_helpers.scenes.rasters import SceneError, WindowReader, tile_windows
from ml4ops_helpers.scenes.sentinel2 import merge_label, select_bands


def readings(table: pd.DataFrame, bands: str | Sequence[str]) -> Counter[str]:
    """How the scenes of a catalogue are read, and how many in each way; all are checked, as by ``Windows``."""
    wanted = select_bands(bands)
    with closing(WindowReader()) as reader:
        rows = table.drop_duplicates("image").iterrows()
        return Counter(str(_check(row, wanted, reader).product.decision) for _, row in rows)


class Windows(Dataset[tuple[Tensor, Tensor]]):
    """Windows of labelled scenes for a ``DataLoader``.

    An item is the reflectance, float32 ``(bands, size, size)``, 0 where there are no data, and the label, int64, 0
    (invalid) there: version 1 ``(size, size)``, or version 2 ``(2, size, size)`` with the land and water that are known
    under thin cloud. All scenes are checked at the start.

    Args:
        table: a catalogue; or tiles of one (columns ``row`` and ``column``), which are then the windows.
        bands: a key of ``BAND_SETS`` or band names.
        size: side of a window, pixels.
        stride: step between windows, default ``size``; ``random`` puts as many windows at random places, new ones in
            each epoch (see ``set_epoch``).
        seed: of the random places.
        version: of the labels returned: 1 (one code) or 2 (cloud and ground separate).

    Raises:
        SceneError: a scene or label cannot be used.
        ValueError: a scene is smaller than a window.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        bands: str | Sequence[str] = "bgriswir",
        size: int = 256,
        stride: int | Literal["random"] | None = None,
        seed: int = 0,
        version: Literal[1, 2] = 1,
    ) -> None:
        self.size, self.seed, self.epoch, self.random, self.version = size, seed, 0, stride == "random", version
        self._reader = WindowReader()
        wanted = select_bands(bands)
        rows = [row for _, row in table.drop_duplicates("image").iterrows()]
        scenes = {row["image"]: _check(row, wanted, self._reader) for row in rows}
        if "column" in table:
            places = zip(table["image"], table["row"], table["column"], strict=True)
            self._items = [(scenes[image], Window(column, row, size, size)) for image, row, column in places]
        else:
            step = stride if isinstance(stride, int) else None
            self._items = [(s, w) for s in scenes.values() for w in tile_windows(s.product.shape, size, step)]

    def set_epoch(self, epoch: int) -> None:
        """Choose the random places of an epoch; workers must start after it (``persistent_workers=False``)."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        scene, window = self._items[index]
        if self.random:
            rng = np.random.default_rng((self.seed, self.epoch, index))
            row, column = (int(rng.integers(n - self.size + 1)) for n in scene.product.shape)
            window = Window(column, row, self.size, self.size)
        reflectance = scene.product.read(window)
        label = self._reader.read(scene.label, window)
        no_data = np.isnan(reflectance[0])
        x = np.nan_to_num(reflectance, copy=False)
        codes = as_version_2(label, label_codes(scene.label))
        y = np.where(no_data, 0, codes if self.version == 2 else merge_label(codes))
        return torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))


@dataclass(frozen=True)
class _Checked:
    """A scene that can be read, and its label."""

    product: Product
    label: str


def _check(row: pd.Series, bands: Sequence[str], reader: WindowReader) -> _Checked:
    """Read the label of a scene, and decide how its image is read: a bad file stops the run before it starts."""
    image, label = row["image"], row["label"]
    if not label:
        raise SceneError(f"{image}: no label; training windows need one in the folder gt")
    read_label(label, image, codes=label_codes(label))
    offset = None if pd.isna(row.get("offset")) else int(row["offset"])
    return _Checked(decide(image, bands, reader, offset=offset), label)
