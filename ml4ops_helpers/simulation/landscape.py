"""Places of the simulator: terrain, drainage, land cover, and the depth of the water at a stage.

A place is a square of 10 m pixels. All randomness comes from the generator ``rng`` that is passed in.
Explained in ``02_explore_the_data``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from scipy import fft, ndimage

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]
PIXEL = 10.0
"""Pixel size, metres."""

COVERS: tuple[str, ...] = (
    "crop", "meadow", "stubble", "tilled", "dark_tilled", "plastic", "broadleaf", "conifer", "shrub", "bare",
    "wetland", "burnt", "town",
)  # fmt: skip
"""Land cover classes; the code of a class is its position."""
FIELDS = COVERS[:6]


def fractal(rng: np.random.Generator, size: int, roughness: float, coarsest: float = 1.0) -> Float:
    """Self-similar noise with zero mean and unit deviation, float32 ``(size, size)``.

    Args:
        rng: source of randomness.
        size: pixels a side.
        roughness: amplitude falls as frequency to this power: 0 white, 1 clouds, 2 hills.
        coarsest: longest wavelength kept, in image sides.

    >>> noise = fractal(np.random.default_rng(0), 64, 1.5)
    >>> noise.shape, bool(abs(noise.mean()) < 1e-5), round(float(noise.std()), 3)
    ((64, 64), True, 1.0)
    """
    padded = int(size * 1.25) // 2 * 2
    fy, fx = fft.fftfreq(padded)[:, None] * padded, fft.rfftfreq(padded)[None] * padded
    frequency = np.hypot(fy, fx).astype(np.float32)
    frequency[0, 0] = 1
    spectrum = fft.rfft2(rng.standard_normal((padded, padded), np.float32)) * frequency**-roughness
    spectrum[frequency * coarsest < 1] = 0
    spectrum[0, 0] = 0
    noise = fft.irfft2(spectrum)[:size, :size]
    return np.asarray((noise - noise.mean()) / noise.std(), np.float32)


def rank(values: NDArray[np.floating]) -> Float:
    """Rank of each value, scaled to 0 to 1: ``rank(x) < f`` holds for a share ``f`` of the pixels.

    >>> rank(np.array([[3.0, 1.0], [2.0, 9.0]])).tolist()
    [[0.5, 0.0], [0.25, 0.75]]
    """
    order = np.empty(values.size, np.float32)
    order[np.argsort(values, axis=None, kind="stable")] = np.arange(values.size, dtype=np.float32) / values.size
    return order.reshape(values.shape)


@dataclass(frozen=True)
class Region:
    """Properties shared by the places of one event."""

    relief: float  # standard deviation of the height of the hills, m
    plain: float  # half-width of the valley floor, m
    river: float  # half-width of the main river, m; 0 for none
    farmed: float  # share of the land under fields
    field: float  # typical side of a field, m
    covers: tuple[float, ...]  # weight of each class of ``COVERS``; those of ``FIELDS`` apply within the farmed land
    lakes: float  # share of the place under lakes
    embanked: float  # standard deviation of the height between field blocks, m


@dataclass(frozen=True)
class Place:
    """A simulated piece of land, arrays of one shape ``(size, size)``."""

    elevation: Float  # m
    hand: Float  # height above the nearest drainage, m; negative in closed hollows
    cover: NDArray[np.uint8]  # class, position in ``COVERS``, uint8
    parcel: NDArray[np.int32]  # number of the field or patch, int32; its pixels share properties
    bank: Float  # height that dykes, roads and field blocks add, m
    permanent_depth: Float  # depth of the water before the flood, m; 0 on land
    seasonal: Mask  # water in part of an ordinary year, bool


def river_course(rng: np.random.Generator, size: int) -> Float:
    """Distance of each pixel to a meandering river across the place, metres, float32 ``(size, size)``."""
    t = np.linspace(-0.2, 1.2, 4 * size)
    wander = sum(
        rng.uniform(0.3, 1) / k**1.3 * np.sin(2 * np.pi * (k * t + rng.uniform())) for k in (0.7, 1.9, 4.1, 8.3)
    )
    x, y = t * size, (rng.uniform(0.2, 0.8) + rng.uniform(0.03, 0.14) * wander) * size
    turn = rng.uniform(0, 2 * np.pi)
    c, s = np.cos(turn), np.sin(turn)
    half = size / 2
    rows = np.rint(half + (x - half) * s + (y - half) * c).astype(int)
    cols = np.rint(half + (x - half) * c - (y - half) * s).astype(int)
    inside = (rows >= 0) & (rows < size) & (cols >= 0) & (cols < size)
    off_line = np.ones((size, size), bool)
    off_line[rows[inside], cols[inside]] = False
    if not inside.any():
        off_line[:, size // 2] = False
    return np.asarray(ndimage.distance_transform_edt(off_line) * PIXEL, np.float32)


def drainage(elevation: Float, river: Mask) -> tuple[Float, Mask, Float]:
    """Height above the nearest drainage, the streams, and the area drained, by steepest descent (pyflwdir).

    Args:
        elevation: m, ``(size, size)``.
        river: the main river.

    Returns:
        HAND in m, the mask of streams and river, and the upstream area in pixels.
    """
    import pyflwdir  # loads a compiler, which takes seconds; few importers of this module make places

    flow = pyflwdir.from_dem(elevation, nodata=-9999.0, transform=Affine.scale(PIXEL, -PIXEL), outlets="edge")
    area = flow.upstream_area("cell").astype(np.float32)
    streams = river | (area > 0.006 * elevation.size)
    hand = flow.hand(drain=streams, elevtn=elevation)
    # Water that leaves the place before it meets a stream has no HAND (-9999): treat the pixel as high ground.
    hand = np.where(hand < -100, np.maximum(elevation - elevation.min(), 3.0), np.maximum(hand, -4.0))
    return hand.astype(np.float32), streams, area


def fields(rng: np.random.Generator, size: int, side: float) -> NDArray[np.int32]:
    """Number of the field of each pixel, int32: rotated blocks, cut into unequal strips."""
    angle, step = rng.uniform(0, np.pi), max(side / PIXEL, 4.0)
    rows, cols = np.mgrid[:size, :size].astype(np.float32)
    warp = fractal(rng, size, 2.0) * rng.uniform(0, 0.35) * step
    u = (rows * np.cos(angle) + cols * np.sin(angle) + warp) / step + 100
    v = (cols * np.cos(angle) - rows * np.sin(angle) + warp) / (step * rng.uniform(1, 2.5)) + 100
    block = (u // 4).astype(np.int32) * 211 + (v // 3).astype(np.int32)
    jitter = rng.uniform(0, 1, (2, 100_000)).astype(np.float32)
    cut = rng.choice([0.5, 1.0, 2.0], 100_000).astype(np.float32)
    u2 = (u + jitter[0, block % 100_000]) * cut[block % 100_000]
    v2 = (v + jitter[1, block % 100_000]) * cut[(block + 7) % 100_000]
    number = block * 131 + u2.astype(np.int32) * 17 + v2.astype(np.int32)
    return np.asarray(number % 50_000, np.int32)


def land_cover(
    rng: np.random.Generator, region: Region, parcel: NDArray[np.int32], hand: Float
) -> tuple[NDArray[np.uint8], Mask]:
    """Class of each pixel, and a mask of the fields. Natural cover follows smooth noise; wetland is low."""
    size = len(parcel)
    weights = np.asarray(region.covers, np.float64)
    n_fields = len(FIELDS)
    field_class = rng.choice(n_fields, 50_000, p=weights[:n_fields] / weights[:n_fields].sum())
    farmed = rank(fractal(rng, size, 1.6) + 0.02 * np.minimum(hand, 40)) < region.farmed
    nature = np.stack([fractal(rng, size, 1.5) * 0.8 + np.log(w + 1e-4) for w in weights[n_fields:-1]])
    wetland = COVERS.index("wetland") - n_fields
    nature[wetland] += np.where(hand < 1.0, 1.5, -3.0)
    cover = np.where(farmed, field_class[parcel], n_fields + nature.argmax(axis=0))
    town = rank(fractal(rng, size, 1.8)) < weights[-1]
    return np.where(town, COVERS.index("town"), cover).astype(np.uint8), farmed & ~town


def make_place(rng: np.random.Generator, region: Region, size: int) -> Place:
    """Make a place of ``size`` × ``size`` pixels: hills, a valley with its river, streams, lakes, fields.

    The only water is permanent.
    """
    rows, cols = np.mgrid[:size, :size].astype(np.float32) / size - 0.5
    slope = rng.normal(0, 1.5, 2)
    hills = region.relief * fractal(rng, size, 2.1) + slope[0] * rows + slope[1] * cols
    distance = river_course(rng, size) if region.river else np.full((size, size), region.plain * 2, np.float32)
    width = region.river * np.exp(0.25 * fractal(rng, size, 2.0)) if region.river else np.zeros((size, size))
    valley = 1 - np.exp(-((distance / max(region.plain, 1.0)) ** 2)) if region.river else np.ones((size, size))
    microrelief = 0.25 * fractal(rng, size, 1.6)
    river = distance < width
    elevation = 40 + hills * (0.12 + 0.88 * valley) + 0.35 * region.relief * valley + microrelief - 3.0 * river
    elevation = (elevation - elevation.min() + 2).astype(np.float32)
    hand, streams, area = drainage(elevation, river)
    hand = ndimage.gaussian_filter(hand, 1.5)  # floods do not fill furrows one pixel wide

    hollow = rank(fractal(rng, size, 1.7) + 0.15 * hills / max(region.relief, 0.5))
    lake = hollow < region.lakes
    stream_width = np.sqrt(area / area.max()) * rng.uniform(0.3, 2.5)
    wide = streams & (stream_width > 1.2)
    brook = ndimage.distance_transform_edt(~wide) < stream_width.max() * 0.7 if wide.any() else np.zeros_like(river)
    depth = np.where(river, 0.5 + 2.5 * (1 - distance / np.maximum(width, 1)), 0)
    depth = np.where(lake, 0.2 + 60 * (region.lakes - hollow), depth)
    depth = np.where(brook & (depth == 0), rng.uniform(0.2, 1.0), depth)

    parcel = fields(rng, size, region.field)
    cover, farmed = land_cover(rng, region, parcel, hand)
    parcel = np.where(farmed, parcel, 50_000 + cover.astype(np.int32))
    block = rng.normal(0, region.embanked, 50_100).astype(np.float32)[parcel] * farmed
    edge = ndimage.grey_dilation(parcel, 2) != ndimage.grey_erosion(parcel, 2)
    dyke = edge & farmed & (rng.uniform(size=50_100)[parcel] < rng.uniform(0, 0.5))
    bank = block + dyke * rng.uniform(0.3, 1.5) + 0.1 * fractal(rng, size, 1.2)
    return Place(
        elevation=elevation,
        hand=hand,
        cover=cover,
        parcel=parcel,
        bank=bank.astype(np.float32),
        permanent_depth=depth.astype(np.float32),
        seasonal=(hand + 0.5 * bank < 0.25) & (depth == 0),
    )


def flood_depth(place: Place, stage: float) -> Float:
    """Depth of the water at a ``stage`` (rise of the drainage), both in m, float32; 0 on dry land.

    Land is flooded where the stage exceeds its height above the nearest drainage plus banks; permanent water deepens.
    """
    flood = np.maximum(stage - place.hand - place.bank, 0)
    return np.where(place.permanent_depth > 0, place.permanent_depth + stage, flood).astype(np.float32)


def stage_for(place: Place, share: float) -> float:
    """Stage in m at which a share of the dry land is flooded."""
    dry = place.permanent_depth == 0
    return float(np.quantile((place.hand + place.bank)[dry], share))
