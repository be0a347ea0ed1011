"""Published data sets: files that are found on disk, else downloaded and checked.

Explained in ``02_explore_the_data`` and on the data card.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import pooch
import requests

from ml4ops_helpers.datasets.folders import cache_dir, data_dir

SEN1FLOODS11_URL = "https://storage.googleapis.com/sen1floods11"
TERRAMESH_URL = "https://raw.githubusercontent.com/IBM/terramind/main/examples"

HAND_LABELLED = "v1.1/data/flood_events/HandLabeled"
TILE_OFFSETS = {"282D_485L_3_3": -1000, "38D_378R_2_3": 0}
"""``RADIO_ADD_OFFSET`` of the two TerraMesh tiles, whose files do not declare it."""

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

ATTEMPTS = 3
"""Times that a download is tried."""

pooch.get_logger().setLevel("WARNING")  # else a page shows its downloads as if they were errors


class DownloadError(OSError):
    """A download failed; the message names the source, says what is wrong and what to do."""


def _download_dir() -> Path:
    """``ML4OPS_DATA``, or the cache if that is read-only (also for root, who could write there)."""
    folder = data_dir()
    if folder.is_dir() and not (os.access(folder, os.W_OK) and folder.stat().st_mode & 0o222):
        return cache_dir()
    return folder


def download(url: str, path: Path, *, source: str, sha256: str | None = None) -> Path:
    """Fetch a file unless it is there; a cut connection is tried again, a wrong file is rejected.

    Args:
        url: of the file.
        path: where it is written, once it is complete and checked.
        source: name of the data set, for messages.
        sha256: the hash it must have.

    Returns:
        The path.

    Raises:
        DownloadError: the source cannot be reached, has no such file, or sends another file.
    """
    for attempt in range(ATTEMPTS):
        if path.exists():
            break
        try:
            pooch.retrieve(url, sha256, fname=path.name, path=path.parent)
        except requests.HTTPError as error:
            raise DownloadError(f"{source}: {url} answered {error}; check the name of the file") from None
        except requests.RequestException as error:
            if attempt < ATTEMPTS - 1:
                continue
            raise DownloadError(
                f"{source}: {url} cannot be reached or broke off ({type(error).__name__}); check the network and run "
                "again, or put the file in place and set ML4OPS_DATA"
            ) from None
        except ValueError:
            raise DownloadError(
                f"{source}: {url} sent a file with another SHA-256 than {sha256}; try again: if it persists, the "
                "source has changed"
            ) from None
    return path


def fetch(source: str, files: Iterable[str], base_url: str, root: Path | None = None) -> dict[str, Path]:
    """Find files of a data set on disk, or download them; without a hash in ``SHA256``, with a warning.

    Args:
        source: name of the data set and of its folder in the data folder.
        files: paths at the source, also used on disk.
        base_url: prefix of the paths.
        root: folder of the data set; default in ``ML4OPS_DATA``, then in the cache.

    Returns:
        Path on disk of each file.

    Raises:
        DownloadError: a file is not on disk and cannot be downloaded.
    """
    folders = [root] if root else [data_dir() / source, cache_dir() / source]
    found = {}
    for file in files:
        path = next((folder / file for folder in folders if (folder / file).exists()), None)
        if path is None:
            if file not in SHA256:
                warnings.warn(f"{source}: no SHA-256 is known for {file}; it is not checked", stacklevel=3)
            target = (root or _download_dir() / source) / file
            path = download(f"{base_url}/{file}", target, source=source, sha256=SHA256.get(file))
        found[file] = path
    return found


def sen1floods11_files(chips: Sequence[str] | None = None, root: Path | None = None) -> dict[str, tuple[Path, Path]]:
    """Image and label of Sen1Floods11 chips (Bonafilia et al. 2020, DOI 10.1109/CVPRW50498.2020.00113).

    Args:
        chips: names such as ``Spain_7370579``; default those on disk, or the one whose hash is pinned.
        root: folder of the data set; default in ``ML4OPS_DATA``, then in the cache.

    Raises:
        DownloadError: a chip is not on disk and cannot be downloaded.
    """
    if chips is None:
        folders = [root] if root else [data_dir() / "sen1floods11", cache_dir() / "sen1floods11"]
        images = [p for folder in folders for p in (folder / HAND_LABELLED / "S2Hand").glob("*_S2Hand.tif")]
        chips = sorted({p.name.removesuffix("_S2Hand.tif") for p in images}) or ["Spain_7370579"]
    found = {}
    for chip in chips:
        image, label = (f"{HAND_LABELLED}/{kind}/{chip}_{kind}.tif" for kind in ("S2Hand", "LabelHand"))
        paths = fetch("sen1floods11", (image, label), SEN1FLOODS11_URL, root)
        found[chip] = paths[image], paths[label]
    return found
