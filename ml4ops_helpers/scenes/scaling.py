"""Scaling of stored values to reflectance: what the file holds, with or without an offset.

Explained in ``05_run_inference``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio

from ml4ops_helpers.scenes.rasters import SceneError
from ml4ops_helpers.scenes.scene import OFFSETS
from ml4ops_helpers.scenes.sentinel2 import QUANTIFICATION, Float

OFFSET_TAGS = ("RADIO_ADD_OFFSET", "BOA_ADD_OFFSET")
"""Tags in which Level-1C and Level-2A declare their offset."""
MAX_PLAUSIBLE_REFLECTANCE = 2.5
"""99 % of the reflectance of a scene is below this, clouds and sun glint included."""
DARK = 950
"""With the +1000 of baseline 04.00 hardly any digital number is below about 1000; without it, dark pixels are."""


@dataclass(frozen=True)
class Scaling:
    """Reflectance is the stored value times ``factor`` plus ``addend``."""

    factor: float
    addend: float


LANDSAT_SCALING = Scaling(2.75e-5, -0.2)
"""Surface reflectance of Landsat Collection 2 Level 2 (USGS Landsat 8-9 Level 2 science product guide)."""


def decide_scaling(
    path: Path, sample: Float, source: rasterio.DatasetReader, landsat: bool, offset: int | None
) -> Scaling:
    """Scaling of a GeoTIFF, from its metadata and the range of its values.

    Args:
        path: for messages.
        sample: stored values of pixels with data, ``(bands, n)``.
        source: the open file, for its type, scales and tags.
        landsat: whether its bands are Landsat's.
        offset: as passed by the caller, 0 or −1000.

    Raises:
        SceneError: the range fits no scaling, or two; the message asks for what is missing.
    """
    factor, addend = source.scales[0], source.offsets[0]
    if (factor, addend) != (1.0, 0.0):  # declared by the file
        scaling = Scaling(factor, addend)
    elif (
        np.issubdtype(np.dtype(source.dtypes[0]), np.floating)
        and np.nanpercentile(sample, 99) <= MAX_PLAUSIBLE_REFLECTANCE
    ):
        scaling = Scaling(1.0, _reflectance_offset(path, sample, offset) / QUANTIFICATION)
    elif landsat:
        scaling = LANDSAT_SCALING
    else:
        scaling = Scaling(1 / QUANTIFICATION, _offset(path, sample, source, offset) / QUANTIFICATION)
    _check_range(path, sample, scaling)
    return scaling


def _reflectance_offset(path: Path, sample: Float, given: int | None) -> int:
    """The offset left in reflectance when digital numbers were divided by 10 000: 0 unless the caller passes one."""
    dark = float(np.nanpercentile(sample, 1, axis=1).min()) * QUANTIFICATION < DARK
    if given is None and not dark:
        raise SceneError(
            f"{path}: no reflectance of its darkest band is below {DARK / QUANTIFICATION}: a bright scene, or the "
            "+1000 of processing baseline 04.00, divided by 10000 with the rest? Pass --offset 0 or --offset -1000"
        )
    if given and dark:
        raise SceneError(f"{path}: --offset {given}, but its values are reflectance, not digital numbers; drop it")
    return given or 0


def _offset(path: Path, sample: Float, source: rasterio.DatasetReader, given: int | None) -> int:
    """The offset of digital numbers: declared by metadata or caller, if the values agree; else 0 if they show that."""
    tags = source.tags()
    tag = next((tags[name] for name in OFFSET_TAGS if name in tags), None)
    try:
        declared = given if tag is None else int(float(tag))
    except ValueError:
        raise SceneError(f"{path}: offset tag {tag!r}, expected 0 or -1000; correct the tag") from None
    if given is not None and given != declared:
        raise SceneError(f"{path}: --offset {given}, but its metadata say {declared}; correct one")
    if declared is not None and declared not in OFFSETS:
        raise SceneError(f"{path}: offset {declared} is unknown; it is 0 or -1000")
    low, middle = (float(np.nanpercentile(sample, q, axis=1).min()) for q in (1, 50))
    if declared is None and low >= DARK:
        raise SceneError(
            f"{path}: no value of its darkest band is below {DARK}: a bright scene, or the +1000 of processing "
            "baseline 04.00? Pass --offset 0 or --offset -1000, as the product's metadata say"
        )
    if declared == -1000 and middle < DARK:
        raise SceneError(
            f"{path}: offset -1000 is declared, but half the values of its darkest band are below {DARK}, so they do "
            "not carry it; pass --offset 0, or correct the tag"
        )
    return declared or 0


def _check_range(path: Path, sample: Float, scaling: Scaling) -> None:
    reflectance = sample * scaling.factor + scaling.addend
    low, high = (float(q) for q in np.nanpercentile(reflectance, (1, 99)))
    if low < -0.3 or high > MAX_PLAUSIBLE_REFLECTANCE or high < 0.03:
        raise SceneError(
            f"{path}: values {np.nanmin(sample):g} to {np.nanmax(sample):g} are neither reflectance (0 to 1) nor "
            f"digital numbers (reflectance × {QUANTIFICATION}), which would give {low:.3g} to {high:.3g}; convert them"
        )
