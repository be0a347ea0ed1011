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
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from filelock import FileLock

from ml4ops_helpers.datasets.catalogues import (
    COLUMNS,
    catalogue,
    catalogue_row,
)
from ml4ops_helpers.datasets.folders import cache_dir, data_dir
from ml4ops_helpers.datasets.sources import (
    TILE_OFFSETS,
    WORLDFLOODS_URL,
    fetch,
    sen1floods11_files,
    sen1floods11_splits,
    terramesh_files,
)
from ml4ops_helpers.scenes.rasters import SceneError

Profile = Literal["smoke", "lecture", "full"]


def get_dataset(
    source: str | Path = "embedded", *, profile: Profile = "smoke", seed: int = 0, root: Path | str | None = None
) -> pd.DataFrame:
    """The one call for data: found on disk, else made or downloaded.

    Args:
        source: ``embedded`` (simulated), ``sen1floods11``, ``worldfloods``, or a folder of your scenes.
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
        raise ValueError(f"{source}: not embedded, sen1floods11, worldfloods or a folder of scenes")
    return catalogue(source)


HELPERS = Path(__file__).parents[1]
SIMULATOR = (
    *("scenes/sentinel2", "scenes/rasters", "simulation/spectra", "simulation/landscape"),
    *("simulation/rendering", "simulation/events", "simulation/simulate"),
)
"""Modules that determine the bytes of the embedded data set."""


def _embedded(profile: str, seed: int, root: Path | None) -> Path:
    """Folder of the embedded data set; made once, even if several processes ask for it."""
    code = "".join(_statements(HELPERS / f"{module}.py") for module in SIMULATOR)
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
        simulate = importlib.import_module("ml4ops_helpers.simulation.simulate")
        simulate.write_embedded(temporary, profile=profile, seed=seed, workers=os.cpu_count() or 1)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sen1floods11(root: Path | None = None, chips: Sequence[str] | None = None) -> pd.DataFrame:
    """Catalogue of Sen1Floods11 chips, split ``test``; see ``sources.sen1floods11_files``."""
    found = sen1floods11_files(chips, root)
    rows = [catalogue_row("test", chip, image=image, label=label) for chip, (image, label) in found.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def sen1floods11_official(root: Path | None = None) -> pd.DataFrame:
    """Catalogue of all hand-labelled chips in their official splits, ``train``, ``val``, ``test`` and ``bolivia``.

    Raises:
        DownloadError: a list or a chip is not on disk and cannot be downloaded.
    """
    parts = [sen1floods11(root, chips).assign(split=split) for split, chips in sen1floods11_splits(root).items()]
    return pd.concat(parts, ignore_index=True)


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
