"""Where files come from: downloads that resume and are checked, and the published data sets.

Nothing is downloaded that is already on disk. Explained in ``02_explore_the_data`` and on the data card.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests
from filelock import FileLock

from ml4ops_helpers.datasets.folders import cache_dir, data_dir

SEN1FLOODS11_URL = "https://storage.googleapis.com/sen1floods11"
TERRAMESH_URL = "https://raw.githubusercontent.com/IBM/terramind/main/examples"
WORLDFLOODS_URL = "https://huggingface.co/datasets/isp-uv-es/WorldFloodsv2/resolve/main"

HAND_LABELLED = "v1.1/data/flood_events/HandLabeled"
SPLIT_LISTS = {
    split: f"v1.1/splits/flood_handlabeled/flood_{name}_data.csv"
    for split, name in {"train": "train", "val": "valid", "test": "test", "bolivia": "bolivia"}.items()
}
"""Official lists of the hand-labelled chips of Sen1Floods11; Bolivia is an event that no other split holds."""
SPLIT_SIZES = {"train": 252, "val": 89, "test": 90, "bolivia": 15}
"""Chips in each list, as published: a list of another length is refused."""
TILES = ("282D_485L_3_3", "38D_378R_2_3")
TILE_OFFSETS = {"282D_485L_3_3": -1000, "38D_378R_2_3": 0}
"""``RADIO_ADD_OFFSET`` of the two TerraMesh tiles, whose files do not say it."""

SHA256: dict[str, str] = {
    f"{HAND_LABELLED}/S2Hand/Spain_7370579_S2Hand.tif":
        "16e997e6a7159fa11160faf00591da763eb37ac82faf806f7fe733991944a048",
    f"{HAND_LABELLED}/LabelHand/Spain_7370579_LabelHand.tif":
        "b81224e01540b262faffd82cb42762c3c77df2ba084a5fb82d49bae421dd12d4",
    "S2L1C/282D_485L_3_3.tif": "a78b5da83fe807b0355bc24855fd06447167e3ec21d46eb858351ba51ddda170",
    "S2L1C/38D_378R_2_3.tif": "1f453e3c64216260c2cc32f50d0afa3de66117947047b35cddefa74efdb441ac",
    "DEM/282D_485L_3_3.tif": "73a4b1b9f5bb0b74490c14e55ca2e3b36efbc142aad61b3bc86bf049095ee2ac",
    "DEM/38D_378R_2_3.tif": "4fe1b10915804fc7b35c070dcdb6148ab7274e3da3e3b9ebac839bcf7d9b5d16",
    "LULC/282D_485L_3_3.tif": "70a0419f577f1985109672e62988a0731ac4849b8c0a95888e86947f34107484",
    "LULC/38D_378R_2_3.tif": "851557ab2378629dc2969e0654e11016b86aca325de356f46ebf3e2d8f3ca136",
}  # fmt: skip
"""SHA-256 of the published files that the book uses, by their path at the source."""


pooch.get_logger().setLevel("WARNING")  # else a page shows, as if something were wrong, what it downloads


class DownloadError(OSError):
    """A download failed; the message names the source, what is wrong and what to do."""


def _download_dir() -> Path:
    """``ML4OPS_DATA`` unless it is read-only (for root too, whom the system would let write), else the cache."""
    folder = data_dir()
    if folder.is_dir() and not (os.access(folder, os.W_OK) and folder.stat().st_mode & 0o222):
        return cache_dir()
    return folder


@dataclass(frozen=True)
class _Resume:
    """A pooch downloader that keeps what came in ``part`` and asks for the rest after a cut connection."""

    part: Path
    attempts: int = 5

    def __call__(self, url: str, output_file: str, pooch: object, check_only: bool | None = False) -> None:
        for attempt in range(self.attempts):
            try:
                self._continue(url)
                break
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
                if attempt == self.attempts - 1 or not self.part.exists():
                    raise
        self.part.replace(output_file)

    def _continue(self, url: str) -> None:
        start = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Range": f"bytes={start}-", "Accept-Encoding": "identity"} if start else {}
        with requests.get(url, headers=headers, stream=True, timeout=(10, 60)) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                return  # the part already holds the whole file; its hash decides
            answer.raise_for_status()
            resumed = answer.status_code == requests.codes.partial_content
            with self.part.open("ab" if resumed else "wb") as sink:
                for block in answer.iter_content(1 << 14):  # a cut loses at most one block
                    sink.write(block)


def download(url: str, path: Path, *, source: str, sha256: str | None = None) -> Path:
    """Fetch a file unless it is there; a cut connection is resumed, a wrong file is refused and removed.

    A part that was left by an interrupted run is resumed too, when ``sha256`` can tell that the whole is right.

    Args:
        url: where it is.
        path: where it goes; it appears there only when it is whole and checked.
        source: name of the data set, for messages.
        sha256: the hash it must have.

    Returns:
        The path.

    Raises:
        DownloadError: the source cannot be reached, has no such file, or sends another file.
    """
    if path.exists():
        return path
    part = path.with_name(f".{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(_lock_file(path)):
        if sha256 is None:
            part.unlink(missing_ok=True)
        try:
            pooch.retrieve(url, sha256, fname=path.name, path=path.parent, downloader=_Resume(part))
        except requests.HTTPError as error:
            raise DownloadError(f"{source}: {url} answered {error}; check the name of the file") from None
        except requests.RequestException as error:
            raise DownloadError(
                f"{source}: {url} cannot be reached or broke off ({type(error).__name__}); check the network and run "
                "again, or put the file in place and set ML4OPS_DATA"
            ) from None
        except ValueError:
            raise DownloadError(
                f"{source}: {url} sent a file with another SHA-256 than {sha256}; it was removed. "
                "Try again; if it persists, the source has changed"
            ) from None
    return path


def _lock_file(path: Path) -> Path:
    """One lock a file, apart from the data: the name is a hash of the path."""
    folder = cache_dir() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}.lock"


def fetch(
    source: str, files: Iterable[str], base_url: str, root: Path | None, sha256: Mapping[str, str] | None = None
) -> dict[str, Path]:
    """Find files of a data set on disk, or download them.

    Args:
        source: name of the data set and of its folder in the data folder.
        files: paths at the source, which are kept on disk.
        base_url: what comes before them.
        root: folder of the data set; default in ``ML4OPS_DATA``, then in the cache.
        sha256: hashes by path; a file that has none is taken as it comes, with a warning.

    Returns:
        Path on disk of each file.

    Raises:
        DownloadError: a file is not on disk and cannot be downloaded.
    """
    hashes = SHA256 if sha256 is None else sha256
    folders = [root] if root else [data_dir() / source, cache_dir() / source]
    found = {file: next((p for f in folders if (p := f / file).exists()), None) for file in files}
    if unknown := [file for file, path in found.items() if path is None and file not in hashes]:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        warnings.warn(f"{source}: no SHA-256 is known for {unknown[0]}{more}; taken as they come", stacklevel=3)
    target = root or _download_dir() / source
    return {
        file: path or download(f"{base_url}/{file}", target / file, source=source, sha256=hashes.get(file))
        for file, path in found.items()
    }


def sen1floods11_files(
    chips: Sequence[str] | None = None, root: Path | None = None, base_url: str = SEN1FLOODS11_URL
) -> dict[str, tuple[Path, Path]]:
    """Image and label of Sen1Floods11 chips (Bonafilia et al. 2020, DOI 10.1109/CVPRW50498.2020.00113).

    Args:
        chips: names such as ``Spain_7370579``; default those on disk, or the one whose hash is pinned.
        root: folder of the data set; default in ``ML4OPS_DATA``, then in the cache.
        base_url: the public bucket.

    Raises:
        DownloadError: a chip is not on disk and cannot be downloaded.
    """
    if chips is None:
        folders = [root] if root else [data_dir() / "sen1floods11", cache_dir() / "sen1floods11"]
        images = [p for folder in folders for p in (folder / HAND_LABELLED / "S2Hand").glob("*_S2Hand.tif")]
        chips = sorted({p.name.removesuffix("_S2Hand.tif") for p in images}) or ["Spain_7370579"]
    names = {chip: [f"{HAND_LABELLED}/{kind}/{chip}_{kind}.tif" for kind in ("S2Hand", "LabelHand")] for chip in chips}
    paths = fetch("sen1floods11", [file for pair in names.values() for file in pair], base_url, root)
    return {chip: (paths[image], paths[label]) for chip, (image, label) in names.items()}


def sen1floods11_splits(root: Path | None = None, base_url: str = SEN1FLOODS11_URL) -> dict[str, list[str]]:
    """Names of the hand-labelled chips in each official split: ``train``, ``val``, ``test``, ``bolivia``.

    Args:
        root: folder of the data set; default in ``ML4OPS_DATA``, then in the cache.
        base_url: the public bucket.

    Raises:
        DownloadError: a list is not on disk and cannot be downloaded, or is not the published one.
    """
    paths = fetch("sen1floods11", SPLIT_LISTS.values(), base_url, root)
    found = {}
    for split, file in SPLIT_LISTS.items():
        lines = paths[file].read_text(encoding="utf-8").split()
        found[split] = [line.partition("_S1Hand.tif,")[0] for line in lines]
        if len(set(found[split])) != SPLIT_SIZES[split]:
            raise DownloadError(
                f"sen1floods11: {paths[file]} names {len(set(found[split]))} chips, the published list "
                f"{SPLIT_SIZES[split]}; delete it and run again"
            )
    return found


def terramesh_files(root: Path | None = None, base_url: str = TERRAMESH_URL) -> dict[str, dict[str, Path]]:
    """The two TerraMesh tiles: by tile, the files ``S2L1C``, ``DEM`` (metres) and ``LULC`` (class 1 is water).

    Args:
        root: folder of the tiles; default in ``ML4OPS_DATA``, then in the cache.
        base_url: the samples that IBM's terramind publishes (Apache-2.0).

    Raises:
        DownloadError: a file is not on disk and cannot be downloaded.
    """
    names = {(tile, kind): f"{kind}/{tile}.tif" for tile in TILES for kind in ("S2L1C", "DEM", "LULC")}
    paths = fetch("terramesh", names.values(), base_url, root)
    return {tile: {kind: paths[names[tile, kind]] for kind in ("S2L1C", "DEM", "LULC")} for tile in TILES}
