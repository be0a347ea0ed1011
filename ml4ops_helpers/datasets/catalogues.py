"""Catalogues: tables with one row a scene; splits by event, and a hash of the files.

Explained in ``02_explore_the_data``; the effect of a split by random tiles is shown in ``04_measure_performance``.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from ml4ops_helpers.scenes.labels import read_label
from ml4ops_helpers.scenes.rasters import SceneError, open_raster, tile_windows
from ml4ops_helpers.scenes.scene import Scene, read_scene
from ml4ops_helpers.scenes.sentinel2 import Codes

SPLITS = ("train", "val", "test")
FOLDERS = {
    "image": "S2",
    "label": "gt",
    "permanent": "PERMANENTWATERJRC",
    "meta": "meta",
    "truth": "truth",
    "pre": "pre",
}
"""Columns of a catalogue that hold files, and their folders in the WorldFloods layout."""
COLUMNS = ("split", "event", "aoi", *FOLDERS)
FRACTIONS: Mapping[str, float] = {"train": 0.6, "val": 0.2, "test": 0.2}


def catalogue_row(split: str, name: str, **files: Path | str) -> dict[str, str]:
    """One row of a catalogue; event and area of interest come from the name, ``<EVENT>_<AOI>``."""
    event, _, aoi = name.partition("_")
    return {"split": split, "event": event, "aoi": aoi} | {key: str(files.get(key, "")) for key in FOLDERS}


def catalogue(root: Path | str) -> pd.DataFrame:
    """List the scenes of a folder.

    Args:
        root: a folder in the WorldFloods layout, ``<split>/S2/<EVENT>_<AOI>.tif`` and its companions; or your own
            folder with ``S2`` (and ``gt``, …) or just GeoTIFFs, as split ``user``.

    Returns:
        One row a scene, by split and name: ``split, event, aoi`` and the files ``image, label, permanent, meta, truth,
        pre`` ("" where there is none).

    Raises:
        SceneError: there are no scenes.
    """
    root = Path(root)
    places = {split: root / split for split in SPLITS if (root / split / "S2").is_dir()} or {"user": root}
    rows = []
    for split, folder in places.items():
        images = folder / "S2" if (folder / "S2").is_dir() else folder
        found = sorted(p for p in images.glob("*") if p.suffix.lower() in (".tif", ".tiff"))
        _warn_of_unmatched_labels(folder / FOLDERS["label"], images, {image.stem for image in found})
        for image in found:
            named = {key: folder / kind / f"{image.stem}{'.json' if key == 'meta' else image.suffix}"
                     for key, kind in FOLDERS.items()}  # fmt: skip
            files = {key: path for key, path in named.items() if path.is_file()} | {"image": image}
            rows.append(catalogue_row(split, image.stem, **files))
    if not rows:
        raise SceneError(f"{root}: no scenes; expected <split>/S2/<EVENT>_<AOI>.tif, S2/*.tif or *.tif")
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _warn_of_unmatched_labels(labels: Path, images: Path, names: set[str]) -> None:
    unmatched = sorted(p for p in labels.glob("*.[tT][iI][fF]*") if p.stem not in names)
    if unmatched:
        others = f" (and {len(unmatched) - 1} more)" if len(unmatched) > 1 else ""
        message = f"{unmatched[0]}{others}: no image of this name in {images}; give both the same name"
        warnings.warn(message, stacklevel=3)


def load_scene(row: pd.Series, bands: str | Sequence[str] | None = None) -> tuple[Scene, Codes | None]:
    """Scene and version-2 label of a row of a catalogue; None if the row has no label.

    Raises:
        SceneError: a file cannot be read, or the label is on another grid.
    """
    offset = None if pd.isna(row.get("offset")) else int(row["offset"])
    scene = read_scene(row["image"], bands, offset=offset)
    if not row["label"]:
        return scene, None
    return scene, read_label(row["label"], scene, codes=label_codes(row["label"]))


def load_labelled(row: pd.Series, bands: str | Sequence[str] | None = None) -> tuple[Scene, Codes]:
    """The same as ``load_scene``, but raise a ``ValueError`` if the row has no label."""
    scene, label = load_scene(row, bands)
    if label is None:
        raise ValueError(f"{row['image']}: no label; add one to the folder gt")
    return scene, label


def label_codes(path: str) -> Literal["worldfloods", "sen1floods11"]:
    """The codes of a label file: those of Sen1Floods11 if it has one of its names.

    >>> label_codes("Spain_7370579_LabelHand.tif")
    'sen1floods11'
    """
    return "sen1floods11" if path.endswith("_LabelHand.tif") else "worldfloods"


def _event_counts(number: int, fractions: Mapping[str, float]) -> list[int]:
    """Number of events in each split: its share, rounded, but at least one."""
    if number < len(fractions) or abs(sum(fractions.values()) - 1) > 1e-6 or min(fractions.values()) <= 0:
        raise ValueError(
            f"{number} events cannot be split as {dict(fractions)}; give positive fractions that sum to 1, and an "
            "event for each"
        )
    edges = np.rint(np.cumsum(list(fractions.values())) * number).astype(int)
    for i in range(len(edges)):
        edges[i] = np.clip(edges[i], (edges[i - 1] if i else 0) + 1, number - (len(edges) - 1 - i))
    return [int(n) for n in np.diff(edges, prepend=0)]


def split_by_event(table: pd.DataFrame, fractions: Mapping[str, float] = FRACTIONS, seed: int = 0) -> pd.DataFrame:
    """Split a catalogue by event, so that no event is in two splits.

    Args:
        table: a catalogue.
        fractions: share of the events by split; they sum to 1.
        seed: the same seed gives the same split, for any order of the rows.

    Returns:
        The catalogue with a new column ``split``.

    Raises:
        ValueError: there are fewer events than splits, or the fractions do not sum to 1.

    >>> table = pd.DataFrame({"event": list("aabcde"), "split": "user"})
    >>> split_by_event(table).groupby("split").event.nunique().to_dict()
    {'test': 1, 'train': 3, 'val': 1}
    """
    events = np.random.default_rng(seed).permutation(sorted(table["event"].unique()))
    splits = np.repeat(list(fractions), _event_counts(len(events), fractions)).tolist()
    return table.assign(split=table["event"].map(dict(zip(events, splits, strict=True))))


def assert_disjoint(table: pd.DataFrame) -> None:
    """Raise a ``ValueError`` if an event of a catalogue, or of tiles of one, is in two splits: data would leak.

    >>> assert_disjoint(pd.DataFrame({"event": ["a", "a"], "split": ["train", "test"]}))
    Traceback (most recent call last):
    ValueError: events in more than one split: a; split by event (split_by_event)
    """
    splits = table.groupby("event")["split"].nunique()
    shared = splits.index[splits > 1]
    if len(shared):
        raise ValueError(f"events in more than one split: {', '.join(shared)}; split by event (split_by_event)")


def random_tile_split(
    table: pd.DataFrame, size: int = 256, fractions: Mapping[str, float] = FRACTIONS, seed: int = 0
) -> pd.DataFrame:
    """Split a catalogue by *tile*: the mistake that ``04_measure_performance`` shows.

    Args:
        table: a catalogue.
        size: side of a tile, pixels.
        fractions: probability of each split; they sum to 1.
        seed: the same seed gives the same split.

    Returns:
        One row a tile: the catalogue's columns, ``row`` and ``column`` of its upper left pixel, and a new ``split``.
    """
    tiles = []
    for _, scene in table.iterrows():
        with open_raster(scene["image"]) as source:
            windows = tile_windows(source.shape, size)
        tiles += [scene.to_dict() | {"row": w.row_off, "column": w.col_off} for w in windows]
    splits = np.random.default_rng(seed).choice(list(fractions), len(tiles), p=list(fractions.values()))
    return pd.DataFrame(tiles).assign(split=splits)


def dataset_hash(table: pd.DataFrame) -> str:
    """SHA-256 of the files of a catalogue: of their names below their common folder, and of their bytes.

    It doesn't depend on the place of the folder or the order of the rows.
    """
    paths = sorted({Path(p).resolve() for column in FOLDERS if column in table for p in table[column] if p})
    common = Path(os.path.commonpath([p.parent for p in paths]))
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.relative_to(common).as_posix()} {digest}\n".encode())
    return total.hexdigest()
