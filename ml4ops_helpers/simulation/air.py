"""Air, light and sensor over a surface without air, as different as satellites meet them.

``draw_air`` draws them for one window, ``see_through`` makes the image. Explained in ``03_train_a_model``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ml4ops_helpers.scenes.sentinel2 import RESOLUTION, WAVELENGTH, band_positions
from ml4ops_helpers.simulation.landscape import PIXEL, Float, fractal, rank
from ml4ops_helpers.simulation.rendering import Sky, draw_sky, resample
from ml4ops_helpers.simulation.spectra import Atmosphere, cloud_reflectance


@dataclass(frozen=True)
class Air:
    """What lies between a surface and its image. Reflectances are dimensionless.

    The defaults are a clear day, seen by a perfect sensor at 10 m.
    """

    sun: float = 40.0  # zenith angle, degrees
    aerosol: float = 0.05  # optical thickness at 550 nm
    angstrom: float = 1.3  # 0 coarse dust, 2 fine smoke
    scattering: float = 0.225  # single-scattering albedo × phase function of the aerosol
    vapour: float = 2.0  # column, cm
    unevenness: float = 0.0  # standard deviation of the logarithm of the aerosol over the window
    corrected: float = 0.0  # share of the path radiance that a correction to the surface (Level-2A) took away
    adjacency: float = 0.0  # share of the light that comes from around the pixel
    veil: float = 0.0  # reflectance of a grey cirrus over the whole window
    veil_patches: float = 0.0  # standard deviation of its logarithm
    veil_ice: float = 0.7  # its brightness in the short-wave infrared, against that in the visible
    cumulus: float = 0.0  # share of the window
    cirrus: float = 0.0  # share of the window under patches of cirrus
    glint: float = 0.0  # sunlight mirrored by the water, reflectance
    brightness: float = 0.0  # logarithm of the factor by which the surface is brighter: slope, season, view
    shade: float = 0.0  # share of the direct light that relief keeps from its dark side
    shaded: float = 0.0  # share of the window that lies in it
    noise: float = 0.0  # of the sensor: this, and twenty times this of the signal
    gain: float = 1.0  # factor on the reflectance of every band
    offset: float = 0.0  # added to it
    native: bool = False  # whether bands of 20 and 60 m have their own pixels, resampled to 10 m


def draw_air(rng: np.random.Generator) -> Air:
    """Draw wide: sun 10° to 75°, aerosol to 1.5, cirrus to .18, glint to .10; ranges of MODIS and AERONET climatology.

    >>> draw_air(np.random.default_rng(0)) == draw_air(np.random.default_rng(0))
    True
    """

    def sometimes(probability: float, value: float) -> float:
        return value if rng.uniform() < probability else 0.0

    return Air(
        sun=float(rng.uniform(10, 75)),
        aerosol=float(np.exp(rng.uniform(np.log(0.02), np.log(1.5)))),
        angstrom=float(rng.uniform(-0.1, 2)),
        scattering=float(rng.uniform(0.82, 1) * rng.uniform(0.15, 0.5)),
        vapour=float(rng.uniform(0.4, 4.5)),
        unevenness=float(rng.uniform(0, 0.25)),
        corrected=sometimes(0.2, float(rng.uniform(0.4, 1.05))),
        adjacency=float(rng.uniform(0, 0.35)),
        veil=sometimes(0.6, float(rng.uniform(0, 0.18))),
        veil_patches=float(rng.uniform(0, 0.6)),
        veil_ice=float(rng.uniform(0.45, 0.95)),
        cumulus=sometimes(0.3, float(rng.uniform(0.02, 0.4))),
        cirrus=sometimes(0.2, float(rng.uniform(0.1, 0.9))),
        glint=sometimes(0.35, float(rng.uniform(0, 0.1))) + float(rng.uniform(0, 0.008)),
        brightness=float(rng.uniform(-0.25, 0.25)),
        shade=sometimes(0.6, float(rng.uniform(0.3, 0.98))),
        shaded=float(rng.uniform(0.02, 0.4)),
        noise=float(rng.uniform(0.0002, 0.0005)),
        native=bool(rng.uniform() < 0.7),
    )


def see_through(
    rng: np.random.Generator, surface: NDArray[np.floating], water: NDArray[np.floating], bands: Sequence[str], air: Air
) -> tuple[Float, Float]:
    """Image of a square surface at the top of the atmosphere, and the reflectance of the cloud over each pixel.

    Args:
        rng: source of randomness, for the patterns of cloud, shade, glint and noise.
        surface: reflectance ``(bands, size, size)``.
        water: share of each pixel under water, ``(size, size)``.
        bands: of the surface, in order.
        air: what it is seen through.

    Returns:
        float32 ``(bands, size, size)`` and ``(size, size)``.

    >>> ground = np.full((2, 64, 64), 0.02)
    >>> clear, _ = see_through(np.random.default_rng(0), ground, np.ones((64, 64)), ["B3", "B11"], Air())
    >>> hazy, _ = see_through(np.random.default_rng(0), ground, np.ones((64, 64)), ["B3", "B11"], Air(veil=0.1))
    >>> bool(clear[1].mean() < 0.03 < 0.08 < hazy[1].mean())
    True
    """
    size, at = surface.shape[-1], band_positions(bands)
    nm = np.array([WAVELENGTH[band] for band in bands], np.float32)[:, None, None]
    atmosphere = Atmosphere(air.sun, air.aerosol, air.angstrom, air.vapour)
    molecules, haze, gas, diffuse = (
        v[at][:, None, None]
        for v in (
            *(atmosphere.rayleigh(), atmosphere.haze()),
            *(atmosphere.gas_transmission(), atmosphere.diffuse_fraction()),
        )
    )
    mu = float(np.cos(np.radians(air.sun)))

    lit = np.asarray(surface, np.float32) * np.float32(np.exp(air.brightness))
    if air.glint:
        lit = lit + air.glint * water * np.exp(0.3 * fractal(rng, size, rng.uniform(0, 1.5)))
    sky = draw_sky(rng, size, air.cumulus, air.cirrus, air.sun) if air.cumulus or air.cirrus else None
    lit = lit * _light(rng, size, air, sky, diffuse)

    uneven = np.exp(air.unevenness * fractal(rng, size, 2.0)) if air.unevenness else np.float32(1)
    path = (molecules * 0.75 * (1 + mu**2) + haze * uneven * air.scattering) / (4 * mu) * (1 - air.corrected)
    passed = np.exp(-(0.5 * molecules + 0.17 * haze) * (1 + 1 / mu))
    if air.adjacency:
        around = ndimage.uniform_filter(lit, (0, 32, 32), mode="nearest")
        share = air.adjacency * (1 - passed) / (1 - passed).max() * min(1.0, 2 * float(haze.mean()) + 0.2)
        lit = lit + share * (around - lit)
    again = np.minimum(0.8 * molecules + 0.25 * haze, 0.8) * np.minimum(lit, 1)  # from ground to air and back
    image = gas * (path + passed * lit / (1 - again))

    cloud = np.zeros((size, size), np.float32)
    infrared = np.where(nm > 1300, np.float32(1), 0)
    if air.veil:
        level = air.veil * np.exp(air.veil_patches * fractal(rng, size, 1.7)) if air.veil_patches else air.veil
        cloud = np.broadcast_to(np.minimum(np.float32(level), 0.6), cloud.shape)
        image = _behind(image, cloud, 1 - (1 - air.veil_ice) * infrared)
    if sky is not None:
        reflected = cloud_reflectance(sky.thickness)
        image = _behind(image, reflected, 1 - (0.2 + 0.2 * sky.high) * infrared)
        cloud = 1 - (1 - cloud) * (1 - reflected)
    if air.native:
        nearest = bool(rng.uniform() < 0.5)
        image = np.stack([resample(v, RESOLUTION[b] // int(PIXEL), nearest) for v, b in zip(image, bands, strict=True)])
    if air.noise:
        image = image + rng.standard_normal(image.shape, np.float32) * (air.noise + 20 * air.noise * image)
    image = image * air.gain + air.offset
    return np.asarray(image, np.float32), np.asarray(cloud, np.float32)


def _light(rng: np.random.Generator, size: int, air: Air, sky: Sky | None, diffuse: Float) -> Float:
    """Light on the ground against that in the open, ``(bands, size, size)``: skylight, and the sun where it gets."""
    sun = np.ones((size, size), np.float32)
    if air.shade:
        sun -= air.shade * (rank(fractal(rng, size, rng.uniform(0.5, 2))) < air.shaded)
    if sky is not None:
        sun *= np.exp(-0.35 * sky.shadow / np.cos(np.radians(air.sun)))
        diffuse = diffuse + (1 - diffuse) * sky.sidelight
    return np.asarray(diffuse + (1 - diffuse) * sun, np.float32)


def _behind(image: Float, cloud: Float, colour: NDArray[np.floating]) -> Float:
    """The image behind a cloud of this reflectance and colour: what the cloud reflects, and what passes it twice."""
    return np.asarray(cloud * colour + image * (1 - cloud) ** 2 / (1 - cloud * np.minimum(image, 1)), np.float32)
