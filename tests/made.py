"""Made-up scenes of which everything is known, written in the many ways in which scenes are found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import ColorInterp
from tiny import GRID

from ml4ops_helpers.scenes.sentinel2 import BANDS

SIDE = 48
LAND = (0.12, 0.085, 0.09, 0.07, 0.12, 0.25, 0.30, 0.32, 0.33, 0.10, 0.0015, 0.20, 0.11)
WATER = (0.11, 0.085, 0.075, 0.05, 0.04, 0.03, 0.03, 0.025, 0.02, 0.012, 0.001, 0.012, 0.008)
FIVE = ("B2", "B3", "B4", "B8", "B11")
"""The bands that the shipped network needs."""


def water(side: int = SIDE) -> np.ndarray:
    """Where the lake is, bool ``(side, side)``."""
    y, x = np.mgrid[:side, :side]
    return np.asarray((x - side / 2) ** 2 + (y - side / 3) ** 2 < (side / 4) ** 2)


def truth(bands: Sequence[str] = BANDS, side: int = SIDE, seed: int = 0) -> np.ndarray:
    """Reflectance, float64 ``(bands, side, side)``, in steps of a ten-thousandth, as digital numbers have them."""
    lake = water(side)
    made = []
    for position in map(BANDS.index, bands):
        rng = np.random.default_rng((seed, position))
        level = np.where(lake, WATER[position], LAND[position])
        made.append(level * (1 + 0.08 * rng.standard_normal(lake.shape)) + 0.003 * rng.standard_normal(lake.shape))
    return np.asarray(np.clip(np.round(made, 4), 0.0005, None))


def write(
    path: Path,
    stored: np.ndarray,
    *,
    names: Sequence[str | None] | None = None,
    tags: dict[str, str] | None = None,
    scales: Sequence[float] | None = None,
    offsets: Sequence[float] | None = None,
    mask: np.ndarray | None = None,
    alpha: bool = False,
    **options: Any,
) -> Path:
    """A raster as other programs write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    grid = GRID | {"driver": "GTiff", "count": len(stored), "dtype": stored.dtype} | options
    if alpha:
        grid |= {"photometric": "MINISBLACK", "alpha": "YES"}
    with rasterio.open(path, "w", height=stored.shape[1], width=stored.shape[2], **grid) as sink:
        sink.write(stored)
        if names:
            sink.descriptions = tuple(names)
        sink.update_tags(**(tags or {}))
        if scales:
            sink.scales = tuple(scales)
        if offsets:
            sink.offsets = tuple(offsets)
        if mask is not None:
            sink.write_mask(mask)
        if alpha:
            sink.colorinterp = [*[ColorInterp.gray] * (len(stored) - 1), ColorInterp.alpha]
    return path


def write_safe(
    folder: Path,
    reflectance: np.ndarray,
    *,
    offset: int = -1000,
    quantification: int = 10_000,
    level: str = "1C",
    metadata: str | None = None,
    granule: str = "L1C_T30SXX",
) -> Path:
    """A ``.SAFE`` folder: JPEG 2000 without loss, all bands at 10 m, and the metadata that count."""
    images = folder / "GRANULE" / granule / "IMG_DATA"
    for band, values in zip(BANDS, reflectance, strict=True):
        name = band if band == "B8A" else f"B{int(band[1:]):02d}"
        if level == "2A" and band == "B10":
            continue
        where = images if level == "1C" else images / "R10m"
        stored = np.round(values * quantification - offset).astype(np.uint16)[None]
        file = where / f"T30SXX_20230101T100000_{name}{'' if level == '1C' else '_10m'}.jp2"
        write(file, stored, driver="JP2OpenJPEG", QUALITY=100, REVERSIBLE="YES")
    radio, scale = "RADIO_ADD_OFFSET", "QUANTIFICATION_VALUE"
    if level == "2A":
        radio, scale = "BOA_ADD_OFFSET", "BOA_QUANTIFICATION_VALUE"
    offsets = "".join(f'<{radio} band_id="{n}">{offset}</{radio}>' for n in range(13)) if offset else ""
    text = f'<n1:P xmlns:n1="urn:x"><{scale} unit="none">{quantification}</{scale}>{offsets}</n1:P>'
    (folder / f"MTD_MSIL{level}.xml").write_text(text if metadata is None else metadata)
    return folder


def write_landsat(folder: Path, scene: str, names: dict[str, str], reflectance: np.ndarray) -> Path:
    """A folder of Landsat bands; ``names`` maps its band names to Sentinel-2's, whose reflectance is stored."""
    grid = {"transform": Affine(30, 0, 500_000, 0, -30, 4_000_000), "nodata": 0}
    for name, band in names.items():
        stored = np.round((reflectance[BANDS.index(band)] + 0.2) / 2.75e-5).astype(np.uint16)[None]
        write(folder / f"{scene}_{name}.TIF", stored, **grid)
    return folder
