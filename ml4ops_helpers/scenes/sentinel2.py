"""Sentinel-2: bands, class codes, reflectance, spectral indices, composites.

Arrays of images are band-first, ``(bands, height, width)``. Reflectance is dimensionless, 0 to about 1.
Explained in ``02_explore_the_data``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float32]
Codes = NDArray[np.uint8]
IndexName = Literal["ndwi", "mndwi", "awei_nsh", "awei_sh"]

BANDS: tuple[str, ...] = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
"""The thirteen bands of a Level-1C product, in file order."""

RESOLUTION: dict[str, int] = dict(zip(BANDS, (60, 10, 10, 10, 20, 20, 20, 10, 20, 60, 60, 20, 20), strict=True))
"""Native sampling of each band, metres."""

WAVELENGTH: dict[str, int] = dict(
    zip(BANDS, (443, 492, 560, 665, 704, 741, 783, 833, 865, 945, 1374, 1614, 2202), strict=True)
)
"""Central wavelength of each band, nanometres (Sentinel-2A, rounded; ESA Sentinel-2 user handbook)."""

BAND_SETS: dict[str, tuple[str, ...]] = {
    "all": BANDS,
    "rgb": ("B4", "B3", "B2"),
    "swirnirred": ("B11", "B8", "B4"),
    "bgr": ("B2", "B3", "B4"),
    "bgri": ("B2", "B3", "B4", "B8"),
    "riswir": ("B4", "B8", "B11"),
    "bgriswir": ("B2", "B3", "B4", "B8", "B11"),
    "bgriswirs": ("B2", "B3", "B4", "B8", "B11", "B12"),
    "sub_20": ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12"),
}
"""Named band sets. ``bgriswir`` is the default: five bands that every optical sensor has."""

QUANTIFICATION = 10_000
"""Digital numbers per unit of reflectance."""

WORLDFLOODS_MEAN: dict[str, float] = dict(
    zip(
        BANDS,
        (3787.06, 3758.07, 3238.08, 3418.90, 3450.23, 4030.95, 4164.17, 3981.96, 4226.75, 1868.30, 399.39, 2391.66,
         1790.32),
        strict=True,
    )
)  # fmt: skip
"""Mean digital number of each band over WorldFloods, clouds included."""

INVALID, LAND, WATER, CLOUD = 0, 1, 2, 3
"""Version-1 label codes, one channel."""
CLASS_NAMES: tuple[str, ...] = ("invalid", "land", "water", "cloud")
CLEAR, CLOUDY = 1, 2
"""Version-2 codes of channel 0; channel 1 holds ``INVALID``, ``LAND`` or ``WATER``."""
SEASONAL_WATER, PERMANENT_WATER = 2, 3
"""Codes of the JRC permanent-water layer."""
THICK_CLOUD_BRIGHTNESS = 3500.0
"""Brightness, in digital numbers, from which a cloud is thick (WorldFloods version 2)."""


def select_bands(bands: str | Sequence[str]) -> tuple[str, ...]:
    """Names of the bands in a named set or a list of names.

    Args:
        bands: a key of ``BAND_SETS`` or a sequence of band names.

    Returns:
        The band names, in the requested order.

    Raises:
        ValueError: a name is neither a set nor a Sentinel-2 band, or is a duplicate.

    >>> select_bands("bgri")
    ('B2', 'B3', 'B4', 'B8')
    """
    if isinstance(bands, str):
        if bands not in BAND_SETS:
            raise ValueError(f"band set {bands!r} is unknown; choose one of {', '.join(BAND_SETS)} or list band names")
        return BAND_SETS[bands]
    unknown = [b for b in bands if b not in BANDS]
    if unknown or not bands:
        raise ValueError(
            f"{', '.join(unknown) or 'an empty list'}: not Sentinel-2 bands; choose from {', '.join(BANDS)}"
        )
    if len(set(bands)) != len(bands):
        raise ValueError(f"duplicate bands in {', '.join(bands)}; name each once")
    return tuple(bands)


def band_positions(bands: str | Sequence[str], available: Sequence[str] = BANDS) -> list[int]:
    """Zero-based positions of bands within those available.

    Args:
        bands: a key of ``BAND_SETS`` or a sequence of band names.
        available: names of the available bands, in order.

    Raises:
        ValueError: a band is not available.

    >>> band_positions("rgb")
    [3, 2, 1]
    """
    wanted = select_bands(bands)
    missing = [b for b in wanted if b not in available]
    if missing:
        raise ValueError(f"bands {', '.join(missing)} are needed, the image has {', '.join(available)}")
    return [list(available).index(b) for b in wanted]


def _normalised_difference(a: Float, b: Float) -> Float:
    total = a + b
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total == 0, np.nan, (a - b) / total).astype(np.float32)


def water_index(name: IndexName, image: ArrayLike, bands: str | Sequence[str] = BANDS) -> Float:
    """Spectral water index of an image; high over water.

    ============  =====================================================  ==========================
    name          formula (reflectance)                                  source
    ============  =====================================================  ==========================
    ``ndwi``      (B3 − B8) / (B3 + B8)                                  McFeeters 1996
    ``mndwi``     (B3 − B11) / (B3 + B11)                                Xu 2006
    ``awei_nsh``  4 (B3 − B11) − (0.25 B8 + 2.75 B12)                    Feyisa et al. 2014
    ``awei_sh``   B2 + 2.5 B3 − 1.5 (B8 + B11) − 0.25 B12                Feyisa et al. 2014
    ============  =====================================================  ==========================

    Args:
        name: the index.
        image: reflectance, ``(bands, height, width)``.
        bands: the image's bands, in order.

    Returns:
        float32 ``(height, width)``; NaN where a normalised difference is 0/0.

    Raises:
        ValueError: the index is unknown, or needs a band that the image lacks.

    >>> pixel = np.array([0.1, 0.2, 0.1, 0.05, 0.04]).reshape(5, 1, 1)
    >>> round(float(water_index("awei_nsh", pixel, ["B2", "B3", "B8", "B11", "B12"])[0, 0]), 4)
    0.465
    """
    x: Float = np.asarray(image, np.float32)

    def band(b: str) -> Float:
        return np.asarray(x[band_positions([b], select_bands(bands))[0]], np.float32)

    match name:
        case "ndwi":
            return _normalised_difference(band("B3"), band("B8"))
        case "mndwi":
            return _normalised_difference(band("B3"), band("B11"))
        case "awei_nsh":
            return np.asarray(4 * (band("B3") - band("B11")) - (0.25 * band("B8") + 2.75 * band("B12")), np.float32)
        case "awei_sh":
            index = band("B2") + 2.5 * band("B3") - 1.5 * (band("B8") + band("B11")) - 0.25 * band("B12")
            return np.asarray(index, np.float32)
    raise ValueError(f"index {name!r} is unknown; choose ndwi, mndwi, awei_nsh or awei_sh")


def brightness(image: ArrayLike, bands: str | Sequence[str] = BANDS) -> Float:
    """Brightness of the visible bands, sqrt(B4² + B3² + B2²), in the unit of the image.

    Args:
        image: ``(bands, height, width)``, digital numbers or reflectance.
        bands: the image's bands, in order.

    >>> float(brightness(np.array([1.0, 2.0, 2.0]).reshape(3, 1, 1), "rgb")[0, 0])
    3.0
    """
    visible: Float = np.asarray(image, np.float32)[band_positions("rgb", select_bands(bands))]
    return np.asarray(np.sqrt((visible**2).sum(axis=0)), np.float32)


def merge_label(label: ArrayLike) -> Codes:
    """Convert a two-channel (version 2) label to version 1, one channel.

    Args:
        label: ``(2, height, width)``: channel 0 {0 invalid, 1 clear, 2 cloud}, channel 1 {0 invalid, 1 land, 2 water}.

    Returns:
        uint8 ``(height, width)``: channel 1, with 3 (cloud) wherever channel 0 is cloud.

    Raises:
        ValueError: the label does not have two channels.

    >>> merge_label([[[1, 2, 2]], [[2, 2, 0]]]).tolist()
    [[2, 3, 3]]
    """
    x = np.asarray(label, np.uint8)
    if x.ndim != 3 or x.shape[0] != 2:
        raise ValueError(f"a version-2 label has shape (2, height, width), got {x.shape}")
    return np.where(x[0] == CLOUDY, CLOUD, x[1]).astype(np.uint8)


def join_probabilities(p_cloud: ArrayLike, p_water: ArrayLike) -> Float:
    """Class probabilities from two independent heads.

    Args:
        p_cloud: probability of cloud, ``(height, width)``, 0 to 1.
        p_water: probability of water given that the ground is visible, same shape.

    Returns:
        float32 ``(3, height, width)``: land, water, cloud; sums to 1.

    >>> join_probabilities([[0.5]], [[0.2]]).ravel().round(2).tolist()
    [0.4000000059604645, 0.10000000149011612, 0.5]
    """
    c, w = np.asarray(p_cloud, np.float32), np.asarray(p_water, np.float32)
    return np.stack([(1 - c) * (1 - w), (1 - c) * w, c])


def composite(image: ArrayLike, bands: str | Sequence[str] = BANDS, recipe: str = "natural") -> Float:
    """Three-band picture for display.

    Args:
        image: reflectance, ``(bands, height, width)``.
        bands: the image's bands, in order.
        recipe: ``natural`` (B4/B3/B2, white at 0.30) or ``swir`` (B11/B8/B4, white at 0.45: water black, plants green).

    Returns:
        float32 ``(height, width, 3)`` in 0 to 1, ready for ``imshow``.

    Raises:
        ValueError: the recipe is unknown.

    >>> composite(np.full((3, 1, 1), 0.15), "rgb").ravel().round(2).tolist()
    [0.5, 0.5, 0.5]
    """
    recipes = {"natural": ("rgb", 0.30), "swir": ("swirnirred", 0.45)}
    if recipe not in recipes:
        raise ValueError(f"composite {recipe!r} is unknown; choose natural or swir")
    band_set, white = recipes[recipe]
    picture = np.asarray(image, np.float32)[band_positions(band_set, select_bands(bands))]
    return np.asarray(np.clip(np.nan_to_num(picture) / white, 0, 1).transpose(1, 2, 0), np.float32)
