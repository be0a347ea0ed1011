"""Data sets by name, each as a catalogue with one row a scene. Explained in ``02_explore_the_data``."""

from __future__ import annotations

import ast
import hashlib
import importlib
import os
import shutil
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from filelock import FileLock

from ml4ops_helpers.datasets.catalogues import COLUMNS, catalogue, catalogue_row
from ml4ops_helpers.datasets.folders import cache_dir, data_dir
from ml4ops_helpers.datasets.sources import TERRAMESH_URL, TILE_OFFSETS, fetch, sen1floods11_files

Profile = Literal["smoke", "lecture", "full"]


def get_dataset(
    source: str | Path = "embedded", *, profile: Profile = "smoke", seed: int = 0, root: Path | str | None = None
) -> pd.DataFrame:
    """Catalogue of a data set, found on disk, made or downloaded.

    Args:
        source: ``embedded`` (simulated), ``sen1floods11`` (Bonafilia et al. 2020), ``worldfloods`` (version 2,
            Portalés-Julià et al. 2023, DOI 10.1038/s41598-023-47595-7; never downloaded), or a folder of your scenes.
        profile: size of the embedded data set.
        seed: of the embedded data set; the same seed gives the same bytes.
        root: folder of the data set; default in the data folder or the cache.

    Raises:
        ValueError: the source is neither a name nor a folder.
        DownloadError: it is not on disk and cannot be downloaded.
        SceneError: there are no scenes.
    """
    folder = None if root is None else Path(root)
    match source:
        case "embedded":
            return catalogue(_embedded(profile, seed, folder))
        case "sen1floods11":
            chips = sen1floods11_files(root=folder).items()
            rows = [catalogue_row("test", chip, image=image, label=label) for chip, (image, label) in chips]
            return pd.DataFrame(rows, columns=list(COLUMNS))
        case "worldfloods":
            folders = [folder] if folder else [data_dir() / source, cache_dir() / source]
            return catalogue(next((place for place in folders if place.is_dir()), folders[0]))
    if not Path(source).is_dir():
        raise ValueError(f"{source}: not embedded, sen1floods11, worldfloods or a folder of scenes")
    return catalogue(source)


HELPERS = Path(__file__).parents[1]
SIMULATOR = (
    *("scenes/sentinel2", "scenes/rasters", "simulation/spectra", "simulation/landscape"),
    *("simulation/rendering", "simulation/events", "simulation/simulate"),
)
"""Modules on which the bytes of the embedded data set depend."""


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
    """Code of a module without comments and docstrings, which change no byte of the data."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def _make(folder: Path, name: str, profile: str, seed: int) -> None:
    """Simulate into a temporary folder; rename it when it is complete, remove it on an error."""
    temporary = folder.with_name(f".{name}.part")
    shutil.rmtree(temporary, ignore_errors=True)  # left by a killed run
    try:
        simulate = importlib.import_module("ml4ops_helpers.simulation.simulate")
        simulate.write_embedded(temporary, profile=profile, seed=seed, workers=os.cpu_count() or 1)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def terramesh() -> pd.DataFrame:
    """Catalogue of the two TerraMesh tiles, split ``test``: samples published by IBM's terramind (Apache-2.0).

    It has additional columns: ``offset``, and the files ``dem`` (metres) and ``lulc`` (class 1 is water).

    Raises:
        DownloadError: a file is not on disk and cannot be downloaded.
    """
    rows: list[dict[str, Any]] = []
    for tile, offset in TILE_OFFSETS.items():
        names = [f"{kind}/{tile}.tif" for kind in ("S2L1C", "DEM", "LULC")]
        image, dem, lulc = fetch("terramesh", names, TERRAMESH_URL).values()
        rows.append(catalogue_row("test", tile, image=image) | {"offset": offset, "dem": str(dem), "lulc": str(lulc)})
    return pd.DataFrame(rows)
