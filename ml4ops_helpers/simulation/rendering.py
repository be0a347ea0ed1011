"""From a place to its satellite image: ground, water, air, clouds, sensor.

Images are top-of-atmosphere reflectance, float32 ``(13, size, size)``; other arrays are ``(size, size)``.
Explained in ``02_explore_the_data``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ml4ops_helpers.scenes.sentinel2 import BANDS, RESOLUTION, THICK_CLOUD_BRIGHTNESS, brightness
from ml4ops_helpers.simulation.landscape import COVERS, PIXEL, Float, Place, fractal, rank
from ml4ops_helpers.simulation.spectra import (
    ENDMEMBERS,
    SNOW,
    Atmosphere,
    Spectrum,
    add_cloud,
    soil_moisture,
    water_reflectance,
)

PLANTS = ("crop", "grass", "broadleaf", "conifer")
SOILS = ("clay", "loam", "laterite", "vertisol", "sand")
BUILT = ("asphalt", "concrete", "tile", "plastic", "char", "straw")

# Typical composition of each cover class: (plants, dead plants, kind of plant, moisture). The rest is soil.
COMPOSITION: dict[str, tuple[float, float, str, float]] = {
    "crop": (0.80, 0.05, "crop", 0.4),
    "meadow": (0.70, 0.15, "grass", 0.4),
    "stubble": (0.10, 0.55, "grass", 0.2),
    "tilled": (0.05, 0.05, "grass", 0.3),
    "dark_tilled": (0.05, 0.05, "grass", 0.75),
    "plastic": (0.10, 0.00, "crop", 0.3),
    "broadleaf": (0.90, 0.05, "broadleaf", 0.4),
    "conifer": (0.90, 0.02, "conifer", 0.4),
    "shrub": (0.45, 0.20, "broadleaf", 0.2),
    "bare": (0.06, 0.04, "grass", 0.15),
    "wetland": (0.55, 0.25, "grass", 0.9),
    "burnt": (0.08, 0.02, "grass", 0.2),
    "town": (0.25, 0.00, "grass", 0.2),
}


@dataclass(frozen=True)
class Look:
    """Properties shared by the images of one event: season, soils, water, sensor."""

    greenness: float  # factor on the plant cover, 0 to about 1.5
    soils: tuple[float, ...]  # weights of ``SOILS``
    tint: dict[str, Spectrum]  # factor on each endmember, ``{name: (13,)}``: soils and crops differ between regions
    sediment: tuple[float, float]  # suspended matter in the flood and in permanent water, mg/L
    mineral: float  # specific absorption of the sediment at 443 nm, m²/g
    scatter: float  # specific backscattering of the sediment at 555 nm, m²/g
    chlorophyll: float  # mg/m³
    cdom: float  # absorption of dissolved matter at 443 nm, 1/m
    emergent: float  # share of plants and ploughed soil above shallow water, 0 to 1
    wetness: float  # factor on the moisture of the soil, 0 to about 2
    glint: float  # reflectance of the water surface itself
    nearest: bool  # whether 20 and 60 m bands are resampled by nearest neighbour (else bilinear)
    noise: float  # standard deviation of the sensor noise, reflectance
    snow: float  # share of the land under snow, 0 to 1
    melt: float  # factor on the reflectance of settled snow: old and dirty snow is darker


@dataclass(frozen=True)
class Sky:
    """Clouds over one image."""

    thickness: Float  # optical thickness of the cloud in the line of sight
    shadow: Float  # optical thickness of the cloud between the ground and the sun
    high: Float  # share of the cloud that is cirrus
    sidelight: float  # light that clouds scatter into their shadows, as a share of sunlight


def draw_sky(rng: np.random.Generator, size: int, thick: float, thin: float, sun_zenith: float) -> Sky:
    """Draw clouds.

    Args:
        rng: source of randomness.
        size: pixels a side.
        thick: share of the place under cumulus, 0 to 1.
        thin: share under cirrus and haze.
        sun_zenith: degrees; a cloud's shadow is displaced by its height × tan(zenith).
    """
    # Cumulus is drawn on twice the place: clouds beyond its edges cast shadows into it.
    lumps = rank(fractal(rng, 2 * size, rng.uniform(1.3, 1.8), coarsest=rng.uniform(2, 8)))
    middle = slice(size // 2, size // 2 + size)
    base = float(np.quantile(lumps[middle, middle], 1 - thick))
    lumps = rng.uniform(15, 60) * np.clip((lumps - base) / max(1 - base, 1e-6), 0, 1) ** 1.2 * (thick > 0)
    veil = rank(fractal(rng, size, 1.7))
    cirrus = rng.uniform(0.3, 4) * np.clip((veil - (1 - thin)) / max(thin, 1e-6), 0, 1) * (thin > 0)
    height, azimuth = rng.uniform(600, 3500), rng.uniform(0, 2 * np.pi)
    reach = min(height * np.tan(np.radians(sun_zenith)) / PIXEL, size / 2)
    down, right = (size // 2 - round(reach * f(azimuth)) for f in (np.sin, np.cos))
    cumulus, caster = lumps[middle, middle], lumps[down : down + size, right : right + size]
    shadow = caster + 0.7 * cirrus
    thickness = ndimage.gaussian_filter(cumulus, 1.0) + cirrus
    return Sky(
        thickness=thickness.astype(np.float32),
        shadow=ndimage.gaussian_filter(shadow, 1.5).astype(np.float32),
        high=(cirrus / np.maximum(thickness, 1e-6)).clip(0, 1).astype(np.float32),
        sidelight=float(rng.uniform(0.1, 0.45)),
    )


def _by_parcel(rng: np.random.Generator, place: Place, spread: float) -> Float:
    """Noise: one value a field, with a drift within it and over natural land."""
    number = rng.standard_normal(50_100, np.float32)[place.parcel]
    drift = fractal(rng, len(place.parcel), 1.2)
    natural = place.parcel >= 50_000
    return np.asarray(spread * np.where(natural, drift, 0.85 * number + 0.4 * drift), np.float32)


def dry_ground(rng: np.random.Generator, place: Place, look: Look, damp: Float) -> Spectrum:
    """Reflectance of dry land: a linear mixture of plants, dead plants, soil and artificial surfaces.

    ``damp`` is extra soil moisture, 0 to 1.
    """
    size = len(place.cover)
    table = np.array([COMPOSITION[c][:2] + COMPOSITION[c][3:] for c in COVERS], np.float32)
    green, dead, moist = (table[place.cover, k] for k in range(3))
    green = np.clip(
        green * look.greenness * np.exp(_by_parcel(rng, place, 0.35)) + 0.05 * fractal(rng, size, 0.6), 0, 0.97
    )
    dead = np.clip(dead * np.exp(_by_parcel(rng, place, 0.4)), 0, 1 - green)
    bare = 1 - green - dead

    share = {name: np.zeros((size, size), np.float32) for name in ENDMEMBERS}
    for code, name in enumerate(COVERS):
        here = place.cover == code
        share[COMPOSITION[name][2]] += green * here
    share["straw"] += dead
    made = {"plastic": 0.7, "burnt": 0.75, "town": 0.8}
    for name, part in made.items():
        here = bare * part * (place.cover == COVERS.index(name))
        bare = bare - here
        if name == "town":
            roofs = rank(fractal(rng, size, 0.25)) + 0.15 * fractal(rng, size, 1.0)
            for k, material in enumerate(("asphalt", "concrete", "tile")):
                share[material] += here * ((roofs * 3).clip(0, 2.99).astype(int) == k)
        else:
            share["char" if name == "burnt" else name] += here
    soil_noise = fractal(rng, size, 1.8)
    weights = np.stack(
        [w * np.exp(1.2 * k * soil_noise) for w, k in zip(look.soils, (-1, -0.5, 0, 0.5, 1), strict=True)]
    )
    weights /= weights.sum(axis=0)
    for w, name in zip(weights, SOILS, strict=True):
        share[name] += bare * w

    moisture = np.clip(moist * look.wetness * np.exp(_by_parcel(rng, place, 0.4)) + damp, 0, 1)
    soil = _mix(share, look, SOILS)
    rest = _mix(share, look, PLANTS + BUILT)
    ground = soil_moisture(soil.reshape(13, -1), moisture.ravel()).reshape(soil.shape) + rest
    texture = np.exp(_by_parcel(rng, place, 0.10) + 0.04 * fractal(rng, size, 0.3))
    dy, dx = np.gradient(place.elevation, PIXEL)
    turn = rng.uniform(0, 2 * np.pi)
    shade = np.clip(1 - 0.8 * (dx * np.cos(turn) + dy * np.sin(turn)), 0.25, 1.5)
    ground = ground * texture
    if look.snow:
        cover = snow_cover(rng, place, look.snow)
        ground = ground * (1 - cover) + look.melt * SNOW[:, None, None] * cover
    return np.asarray(ground * shade, np.float32)


def snow_cover(rng: np.random.Generator, place: Place, share: float) -> Float:
    """Share of each pixel under snow: patches on a ``share`` of the place, mostly at height."""
    size = len(place.cover)
    height = place.elevation / max(float(place.elevation.std()), 1e-3)
    cold = rank(fractal(rng, size, 1.4) + 0.6 * height)
    patches = np.clip((cold - (1 - share)) / 0.06, 0, 1)
    return np.asarray(patches * np.clip(0.8 + 0.3 * fractal(rng, size, 0.6), 0, 1), np.float32)


def _mix(share: dict[str, Float], look: Look, names: tuple[str, ...]) -> Spectrum:
    library = np.stack([ENDMEMBERS[n] * look.tint[n] for n in names])
    return np.asarray(np.tensordot(library, np.stack([share[n] for n in names]), (0, 0)), np.float32)


def lay_water(
    rng: np.random.Generator, place: Place, look: Look, ground: Spectrum, depth: Float
) -> tuple[Spectrum, Float]:
    """Cover the ground, of reflectance ``(13, size, size)``, with water of a depth in m, 0 on dry land.

    Returns:
        The reflectance, and the share of each pixel that is under water; 0 under plants that hide most of it.
    """
    size = len(depth)
    wet = depth > 0
    permanent = place.permanent_depth > 0
    drift = np.exp(0.7 * fractal(rng, size, 1.6) + _by_parcel(rng, place, 0.25) * ~permanent)
    river, flood = look.sediment[1], look.sediment[0]
    mixing = np.where(permanent, 0.5 * (depth > place.permanent_depth + 0.05), 1)
    sediment = (river ** (1 - mixing) * flood**mixing) * drift
    bottom = soil_moisture(ground[:, wet], np.ones(wet.sum(), np.float32))
    n = int(wet.sum())
    water = water_reflectance(
        sediment[wet],
        np.full(n, look.chlorophyll) * drift[wet] ** 0.5,
        np.full(n, look.cdom),
        depth[wet],
        bottom,
        look.mineral,
        look.scatter,
    )
    # Plants, stubble and the ridges of ploughed soil rise above shallow water; their share falls with depth.
    planted = np.isin(place.cover, [COVERS.index(c) for c in _PLANTED])
    height = np.where(planted, rng.uniform(0.3, 1.2), rng.uniform(0.05, 0.3))
    tall = look.emergent * np.exp(-depth / height) * np.exp(_by_parcel(rng, place, 0.5))
    tall = np.clip(tall, 0, 0.9) * ~permanent
    standing = np.where(planted[wet], ground[:, wet], bottom)
    share = ndimage.gaussian_filter(wet.astype(np.float32), 0.55)
    surface = ground.copy()
    surface[:, wet] = (water + look.glint) * (1 - tall[wet]) + standing * tall[wet]
    return surface, np.asarray(share * (tall < HIDDEN), np.float32)


HIDDEN = 0.5
"""Share of standing plants from which the water under them cannot be mapped from an image."""
_PLANTED = ("crop", "meadow", "stubble", "broadleaf", "conifer", "shrub", "wetland", "town")


def sense(rng: np.random.Generator, surface: Spectrum, air: Atmosphere, sky: Sky, look: Look) -> Spectrum:
    """Image of the ground on the 10 m grid: shadow, air, cloud, point spread, native resolutions, noise."""
    sun = np.exp(-0.35 * sky.shadow / np.cos(np.radians(air.sun_zenith)))[None]
    sky_light = air.diffuse_fraction()[:, None, None]
    diffuse = sky_light + (1 - sky_light) * sky.sidelight
    lit = surface * (diffuse + (1 - diffuse) * sun)
    image = add_cloud(air.top_of_atmosphere(lit), sky.thickness, sky.high)
    seen = np.empty_like(image)
    for k, band in enumerate(BANDS):
        seen[k] = resample(image[k], RESOLUTION[band] // int(PIXEL), look.nearest)
    noise = rng.standard_normal(image.shape, np.float32)
    return np.asarray(seen + noise * (look.noise + 0.004 * seen), np.float32)


def resample(band: Float, factor: int, nearest: bool) -> Float:
    """Average to the native pixel size (with the blur of the optics), then resample to 10 m."""
    blurred = ndimage.gaussian_filter(band, 0.45 * factor)
    if factor == 1:
        return np.asarray(blurred, np.float32)
    size = len(band)
    padded = np.pad(blurred, (0, -size % factor), mode="edge")
    coarse = padded.reshape(len(padded) // factor, factor, -1, factor).mean(axis=(1, 3))
    if nearest:
        fine = coarse.repeat(factor, axis=0).repeat(factor, axis=1)
    else:
        fine = ndimage.zoom(coarse, factor, order=1, grid_mode=True, mode="nearest")
    return np.asarray(fine[:size, :size], np.float32)


def thick_cloud(digital_numbers: NDArray[np.uint16] | Float) -> NDArray[np.bool_]:
    """Where a cloud hides the ground (WorldFloods v2): visible brightness of at least 3500 DN, after an opening."""
    rows, cols = np.mgrid[-3:4, -3:4]
    return np.asarray(
        ndimage.binary_opening(brightness(digital_numbers) >= THICK_CLOUD_BRIGHTNESS, rows**2 + cols**2 <= 9)
    )
