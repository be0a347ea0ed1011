"""Data sets: the one call for data, and windows of it for training.

Every source ends in one form, a catalogue with one row a scene. Explained in ``02_explore_the_data``.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from rasterio.windows import Window
from torch import Tensor
from torch.utils.data import Dataset

from ml4ops_helpers.catalogues import (
    COLUMNS,
    assert_disjoint,
    catalogue,
    catalogue_row,
    dataset_hash,
    label_codes,
    load_scene,
    random_tile_split,
    split_by_event,
)
from ml4ops_helpers.rasters import SceneError, WindowReader, open_raster, tile_windows
from ml4ops_helpers.scenes import as_version_2, read_label, read_scene
from ml4ops_helpers.sentinel2 import band_positions, merge_label, to_reflectance
from ml4ops_helpers.sources import (
    TILE_OFFSETS,
    WORLDFLOODS_URL,
    cache_dir,
    data_dir,
    fetch,
    load_chip,
    load_chip_40m,
    sen1floods11_files,
    terramesh_files,
)

__all__ = [
    "Windows",
    "assert_disjoint",
    "cache_dir",
    "catalogue",
    "data_dir",
    "dataset_hash",
    "get_dataset",
    "load_chip",
    "load_chip_40m",
    "load_scene",
    "random_tile_split",
    "sen1floods11",
    "split_by_event",
    "terramesh",
    "worldfloods",
]

Profile = Literal["smoke", "lecture", "full"]


def get_dataset(
    source: str | Path = "embedded", *, profile: Profile = "smoke", seed: int = 0, root: Path | str | None = None
) -> pd.DataFrame:
    """The one call for data: found on disk, else made or downloaded.

    Args:
        source: ``embedded`` (simulated), ``sen1floods11``, ``worldfloods``, or a folder of one's own scenes.
        profile: size of the embedded data set.
        seed: of the embedded data set; the same seed gives the same bytes.
        root: where the data set is kept; default in the data folder or the cache.

    Returns:
        Its catalogue.

    Raises:
        ValueError: the source is neither a name nor a folder.
        DownloadError: it is not on disk and cannot be downloaded.
    """
    folder = None if root is None else Path(root)
    match source:
        case "embedded":
            return catalogue(_embedded(profile, seed, folder))
        case "sen1floods11":
            return sen1floods11(folder)
        case "worldfloods":
            return worldfloods(root=folder)
    if not Path(source).is_dir():
        raise ValueError(f"{source}: neither embedded, sen1floods11, worldfloods nor a folder of scenes")
    return catalogue(source)


SIMULATOR = ("sentinel2", "rasters", "scenes", "spectra", "landscape", "render", "simulate")
"""Modules that decide the bytes of the embedded data set."""


def _embedded(profile: str, seed: int, root: Path | None) -> Path:
    """Folder of the embedded data set; made once, whoever else asks at the same time."""
    code = "".join(_statements(Path(__file__).with_name(f"{module}.py")) for module in SIMULATOR)
    name = f"{profile}-{seed}-{hashlib.sha256(code.encode()).hexdigest()[:12]}"
    shared, folder = data_dir() / "embedded" / name, (root or cache_dir() / "embedded") / name
    if root is None and shared.is_dir():
        return shared
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{name}.lock")):
        if not folder.is_dir():
            _make(folder, name, profile, seed)
    return folder


def _statements(module: Path) -> str:
    """What a module does, without its comments and docstrings: those change no byte of the data."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def _make(folder: Path, name: str, profile: str, seed: int) -> None:
    """Simulate into a temporary folder; rename it when it is whole, remove it when not."""
    temporary = folder.with_name(f".{name}.part")
    shutil.rmtree(temporary, ignore_errors=True)  # of a run that was killed
    try:
        simulate = importlib.import_module("ml4ops_helpers.simulate")
        simulate.write_embedded(temporary, profile=profile, seed=seed, workers=os.cpu_count() or 1)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sen1floods11(root: Path | None = None, chips: Sequence[str] | None = None) -> pd.DataFrame:
    """Catalogue of Sen1Floods11 chips, split ``test``; see ``sources.sen1floods11_files``."""
    found = sen1floods11_files(chips, root)
    rows = [catalogue_row("test", chip, image=image, label=label) for chip, (image, label) in found.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def terramesh(root: Path | None = None) -> pd.DataFrame:
    """Catalogue of the two TerraMesh tiles, split ``test``, with columns ``offset``, ``dem`` and ``lulc`` besides."""
    rows: list[dict[str, Any]] = [
        catalogue_row("test", tile, image=files["S2L1C"])
        | {"offset": TILE_OFFSETS[tile], "dem": str(files["DEM"]), "lulc": str(files["LULC"])}
        for tile, files in terramesh_files(root).items()
    ]
    return pd.DataFrame(rows)


def worldfloods(
    names: Mapping[str, Sequence[str]] | None = None,
    *,
    root: Path | None = None,
    base_url: str = WORLDFLOODS_URL,
    sha256: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Catalogue of WorldFloods version 2 (Portalés-Julià et al. 2023, DOI 10.1038/s41598-023-47595-7; CC BY-NC 4.0).

    Args:
        names: scenes to fetch by split, such as ``{"test": ["EMSR264_18MIANDRIVAZODETAIL_DEL_v2"]}``; default: list
            what is on disk.
        root: folder of the data set; default ``worldfloods`` in the data folder, then in the cache.
        base_url: where it is published, about 76 GB in all.
        sha256: hashes by path at the source, such as ``test/S2/….tif``.

    Raises:
        DownloadError: a scene is not on disk and cannot be downloaded.
        SceneError: nothing is asked and nothing is on disk.
    """
    if names is None:
        folders = [root] if root else [data_dir() / "worldfloods", cache_dir() / "worldfloods"]
        found = next((folder for folder in folders if folder.is_dir()), None)
        if found is None:
            raise SceneError(f"{folders[0]}: no WorldFloods here; put it in place, or name the scenes to download")
        return catalogue(found)
    kinds = {
        "image": "S2/{}.tif",
        "label": "gt/{}.tif",
        "permanent": "PERMANENTWATERJRC/{}.tif",
        "meta": "meta/{}.json",
    }
    rows = []
    for split, scenes in names.items():
        for name in scenes:
            wanted = {key: f"{split}/{kind.format(name)}" for key, kind in kinds.items()}
            paths = fetch("worldfloods", wanted.values(), base_url, root, sha256 or {})
            rows.append(catalogue_row(split, name, **{key: paths[file] for key, file in wanted.items()}))
    return pd.DataFrame(rows, columns=list(COLUMNS))


class Windows(Dataset[tuple[Tensor, Tensor]]):
    """Windows of labelled scenes for a ``DataLoader``.

    An item is the reflectance, float32 ``(bands, size, size)``, 0 where there are no data, and the label, int64, 0
    (invalid) there: version 1 ``(size, size)``, or version 2 ``(2, size, size)`` with the land and water that are known
    under thin cloud. Every scene is checked when the data set is made.

    Args:
        table: a catalogue; or tiles of one (columns ``row`` and ``column``), which are then the windows.
        bands: a key of ``BAND_SETS`` or band names.
        size: side of a window, pixels.
        stride: step between windows, default ``size``; ``random`` puts as many windows at random places, others in
            each epoch (see ``set_epoch``).
        seed: of the random places.
        version: of the labels, whatever the files hold: 1 (one code) or 2 (cloud and ground apart).

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
        scenes = {row["image"]: _check(row, bands) for _, row in table.drop_duplicates("image").iterrows()}
        if "column" in table:
            places = zip(table["image"], table["row"], table["column"], strict=True)
            self._items = [(scenes[image], Window(column, row, size, size)) for image, row, column in places]
        else:
            step = stride if isinstance(stride, int) else None
            self._items = [(scene, w) for scene in scenes.values() for w in tile_windows(scene.shape, size, step)]

    def set_epoch(self, epoch: int) -> None:
        """Choose the random places of an epoch; workers must start after it (``persistent_workers=False``)."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        scene, window = self._items[index]
        if self.random:
            rng = np.random.default_rng((self.seed, self.epoch, index))
            row, column = (int(rng.integers(n - self.size + 1)) for n in scene.shape)
            window = Window(column, row, self.size, self.size)
        image = self._reader.read(scene.image, window, scene.positions)
        label = self._reader.read(scene.label, window)
        no_data = ((image == 0) | (image == scene.nodata)).all(axis=0)
        x = np.where(no_data, np.float32(0), to_reflectance(image, scene.offset))
        codes = as_version_2(label, label_codes(scene.label))
        y = np.where(no_data, 0, codes if self.version == 2 else merge_label(codes))
        return torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))


@dataclass(frozen=True)
class _Checked:
    """What a window needs to know of its scene."""

    image: str
    label: str
    shape: tuple[int, int]
    positions: list[int]
    offset: int
    nodata: float


def _check(row: pd.Series, bands: str | Sequence[str]) -> _Checked:
    """Read the labels of a scene and the header of its image, so that a bad file stops the run before it starts."""
    image, label = row["image"], row["label"]
    if not label:
        raise SceneError(f"{image}: no label; training windows need one in the folder gt")
    read_label(label, image, codes=label_codes(label))
    offset = None if pd.isna(row.get("offset")) else int(row["offset"])
    corner = read_scene(image, window=Window(0, 0, 1, 1), offset=offset)
    with open_raster(image) as source:
        shape, nodata = source.shape, float(source.nodata or 0)
    return _Checked(image, label, shape, band_positions(bands, corner.bands), corner.offset, nodata)
