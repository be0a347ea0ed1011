"""Optics of the simulator: reflectance of water, soil, plants and clouds, and the effect of the atmosphere.

The first axis of a spectrum is ``sentinel2.BANDS``. Reflectance is dimensionless.
Explained in ``02_explore_the_data``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml4ops_helpers.scenes.sentinel2 import BANDS, WAVELENGTH

Spectrum = NDArray[np.float32]
NM: Spectrum = np.array([WAVELENGTH[b] for b in BANDS], np.float32)

ENDMEMBERS: dict[str, Spectrum] = {
    name: np.array(values, np.float32)
    for name, values in {
        # B1    B2    B3    B4    B5    B6    B7    B8    B8A   B9    B10   B11   B12
        "crop": (0.03, 0.035, 0.07, 0.04, 0.11, 0.33, 0.42, 0.45, 0.47, 0.47, 0.35, 0.22, 0.11),
        "grass": (0.04, 0.05, 0.09, 0.08, 0.14, 0.27, 0.32, 0.34, 0.36, 0.37, 0.32, 0.27, 0.17),
        "broadleaf": (0.02, 0.025, 0.05, 0.03, 0.08, 0.25, 0.32, 0.34, 0.36, 0.36, 0.26, 0.16, 0.07),
        "conifer": (0.015, 0.02, 0.035, 0.025, 0.05, 0.14, 0.18, 0.19, 0.21, 0.21, 0.16, 0.10, 0.045),
        "straw": (0.08, 0.10, 0.15, 0.21, 0.25, 0.28, 0.30, 0.32, 0.34, 0.35, 0.36, 0.38, 0.28),
        "clay": (0.06, 0.075, 0.11, 0.15, 0.18, 0.20, 0.22, 0.24, 0.25, 0.26, 0.29, 0.33, 0.27),
        "loam": (0.10, 0.13, 0.19, 0.25, 0.28, 0.30, 0.32, 0.34, 0.36, 0.37, 0.41, 0.44, 0.39),
        "laterite": (0.04, 0.05, 0.09, 0.20, 0.23, 0.25, 0.27, 0.28, 0.29, 0.31, 0.36, 0.40, 0.34),
        "vertisol": (0.04, 0.045, 0.06, 0.075, 0.085, 0.095, 0.105, 0.115, 0.125, 0.13, 0.15, 0.18, 0.16),
        "sand": (0.18, 0.22, 0.30, 0.37, 0.40, 0.42, 0.43, 0.45, 0.46, 0.47, 0.51, 0.54, 0.50),
        "asphalt": (0.07, 0.08, 0.09, 0.10, 0.105, 0.11, 0.115, 0.12, 0.125, 0.13, 0.14, 0.15, 0.14),
        "concrete": (0.17, 0.20, 0.24, 0.27, 0.28, 0.29, 0.30, 0.30, 0.31, 0.31, 0.33, 0.34, 0.31),
        "tile": (0.06, 0.07, 0.10, 0.20, 0.23, 0.25, 0.26, 0.27, 0.29, 0.30, 0.34, 0.37, 0.33),
        "plastic": (0.28, 0.33, 0.37, 0.39, 0.40, 0.41, 0.42, 0.42, 0.43, 0.43, 0.42, 0.36, 0.28),
        "char": (0.03, 0.035, 0.04, 0.045, 0.05, 0.055, 0.06, 0.07, 0.075, 0.08, 0.10, 0.13, 0.14),
    }.items()
}
"""Typical surface reflectance of dry materials, rounded; each use is randomised around it.

Levels and shapes follow the classes of the USGS spectral library (Kokaly et al. 2017, DOI 10.3133/ds1035) and the
ECOSTRESS library (Meerdink et al. 2019, DOI 10.1016/j.rse.2019.05.015); canopies include their own shade.
"""

SNOW: Spectrum = np.array(
    # B1   B2    B3    B4    B5    B6    B7    B8    B8A   B9    B10   B11   B12
    (0.84, 0.86, 0.87, 0.86, 0.84, 0.81, 0.78, 0.74, 0.70, 0.60, 0.30, 0.10, 0.08),
    np.float32,
)
"""Reflectance of settled snow, rounded: white in the visible, dark in the short-wave infrared, where its grains absorb
(Wiscombe & Warren 1980, DOI 10.1175/1520-0469(1980)037<2712:AMFTSA>2.0.CO;2)."""

WATER_ABSORPTION: Spectrum = np.array(
    (0.007, 0.017, 0.062, 0.43, 0.70, 2.7, 2.3, 3.3, 4.6, 26.0, 400.0, 670.0, 1900.0), np.float32
)
"""Absorption of pure water, 1/m (Pope & Fry 1997 in the visible, Kou et al. 1993 beyond; rounded)."""

PHYTOPLANKTON_ABSORPTION: Spectrum = np.array((0.040, 0.026, 0.009, 0.020, 0.003, 0, 0, 0, 0, 0, 0, 0, 0), np.float32)
"""Specific absorption of chlorophyll-a, m²/mg (after Bricaud et al. 1995, at about 2 mg/m³; rounded)."""


def soil_moisture(reflectance: ArrayLike, moisture: ArrayLike) -> Spectrum:
    """Darken dry soil by its moisture, most in the short-wave infrared.

    Args:
        reflectance: dry reflectance, ``(13, n)``.
        moisture: 0 (air-dry) to 1 (saturated), ``(n,)``.

    Returns:
        float32 ``(13, n)``. A saturated soil reflects about half as much as a dry one in the visible, a quarter at
        2200 nm (the order of Lobell & Asner 2002, DOI 10.2136/sssaj2002.7220).

    >>> soil_moisture(np.full((13, 1), 0.4), [1.0])[[1, 12], 0].round(2).tolist()
    [0.20999999344348907, 0.10000000149011612]
    """
    strength = np.interp(NM, (443, 1000, 1374, 2202), (0.65, 0.7, 1.1, 1.39)).astype(np.float32)
    return np.asarray(np.asarray(reflectance) * np.exp(-strength[:, None] * np.asarray(moisture)), np.float32)


def water_reflectance(
    sediment: ArrayLike,
    chlorophyll: ArrayLike,
    cdom: ArrayLike,
    depth: ArrayLike,
    bottom: ArrayLike,
    mineral: float = 0.041,
    scatter: float = 0.010,
) -> Spectrum:
    """Reflectance of a water body just above its surface.

    A bio-optical model: absorption and backscattering of water, sediment, phytoplankton and dissolved matter give the
    deep-water reflectance (Lee et al. 1999, DOI 10.1364/AO.38.003831); a shallow column lets the bottom show through.

    Args:
        sediment: suspended matter, mg/L, ``(n,)``; coefficients of Babin et al. 2003 (DOI 10.1029/2001JC000882).
        chlorophyll: chlorophyll-a, mg/m³, ``(n,)``.
        cdom: absorption of dissolved matter at 443 nm, 1/m, ``(n,)``.
        depth: metres, ``(n,)``.
        bottom: reflectance of the ground under the water, ``(13, n)``.
        mineral: specific absorption of the sediment at 443 nm, m²/g: 0.041 is the mean of Babin et al.; pale clay
            absorbs a quarter of that, red earth more.
        scatter: specific backscattering of the sediment at 555 nm, m²/g (2 % of the scattering of Babin et al.).

    Returns:
        float32 ``(13, n)``.

    >>> clear = water_reflectance([1.0], [1.0], [0.1], [20.0], np.zeros((13, 1)))
    >>> muddy = water_reflectance([300.0], [1.0], [0.5], [20.0], np.zeros((13, 1)))
    >>> bool(clear[3, 0] < 0.02 and 0.15 < muddy[3, 0] < 0.3 and muddy[11, 0] < 0.01)
    True
    """
    nm = NM[:, None]
    spm, chl, dissolved, metres = (np.asarray(v, np.float32)[None] for v in (sediment, chlorophyll, cdom, depth))
    absorption = (
        WATER_ABSORPTION[:, None]
        + PHYTOPLANKTON_ABSORPTION[:, None] * chl
        + mineral * np.exp(-0.0123 * (nm - 443)) * spm
        + np.exp(-0.0176 * (nm - 443)) * dissolved
    )
    backscatter = (
        0.0024 * (nm / 443) ** -4.3 + scatter * (nm / 555) ** -0.6 * spm + 0.003 * (nm / 555) ** -1.0 * chl**0.6
    )
    u = backscatter / (absorption + backscatter)
    below = (0.0895 + 0.1247 * u) * u
    deep = np.pi * 0.52 * below / (1 - 1.7 * below)
    seen = np.exp(-2.2 * (absorption + backscatter) * metres)
    return np.asarray(deep * (1 - seen) + 0.54 * np.asarray(bottom, np.float32) * seen, np.float32)


@dataclass(frozen=True)
class Atmosphere:
    """State of the air over one image."""

    sun_zenith: float  # degrees
    aerosol: float  # aerosol optical thickness at 550 nm
    angstrom: float  # Ångström exponent of the aerosol (0 coarse dust, 2 fine smoke)
    vapour: float  # column water vapour, cm

    def rayleigh(self) -> Spectrum:
        """Optical thickness of the molecules at each band, ``(13,)`` (Hansen & Travis 1974)."""
        um = NM / 1000
        return np.asarray(0.008569 * um**-4 * (1 + 0.0113 * um**-2 + 0.00013 * um**-4), np.float32)

    def haze(self) -> Spectrum:
        """Optical thickness of the aerosol at each band, ``(13,)``."""
        return np.asarray(self.aerosol * (NM / 550) ** -self.angstrom, np.float32)

    def gas_transmission(self) -> Spectrum:
        """Two-way transmission of water vapour and ozone at each band, ``(13,)``.

        Ozone absorbs a few per cent around 600 nm; vapour absorbs most of band 9 and all of band 10, in which only
        cirrus, above the vapour, is visible.
        """
        ozone = np.array((1, 0.99, 0.96, 0.975, 0.985, 1, 1, 1, 1, 1, 1, 1, 1), np.float32)
        vapour = np.array((0, 0, 0, 0.002, 0.012, 0.012, 0.001, 0.02, 0.001, 0.55, 3.2, 0.008, 0.02), np.float32)
        mass = self.vapour**0.6 * (1 + 1 / np.cos(np.radians(self.sun_zenith))) / 2
        return np.asarray(ozone * np.exp(-vapour * mass), np.float32)

    def diffuse_fraction(self) -> Spectrum:
        """Share of the light at the ground that is scattered by the sky, ``(13,)``: the light in a shadow."""
        slant = (0.5 * self.rayleigh() + 0.6 * self.haze()) / np.cos(np.radians(self.sun_zenith))
        return np.asarray(np.clip(1 - np.exp(-slant), 0.02, 0.9), np.float32)

    def top_of_atmosphere(self, surface: ArrayLike) -> Spectrum:
        """Reflectance at the sensor for a ground reflectance ``(13, …)``: single scattering, plus coupling.

        >>> air = Atmosphere(sun_zenith=40, aerosol=0.1, angstrom=1.3, vapour=2)
        >>> black = air.top_of_atmosphere(np.zeros((13, 1)))[:, 0]
        >>> bool(0.06 < black[1] < 0.11 and black[11] < 0.01 and black[10] < 0.001)
        True
        """
        ground = np.asarray(surface, np.float32)
        shape = (-1,) + (1,) * (ground.ndim - 1)
        mu = float(np.cos(np.radians(self.sun_zenith)))
        molecules, aerosol = self.rayleigh(), self.haze()
        path = (molecules * 0.75 * (1 + mu**2) + aerosol * 0.9 * 0.25) / (4 * mu)
        loss = 0.5 * molecules + 0.17 * aerosol
        transmission = np.exp(-loss * (1 + 1 / mu))
        spherical = 0.8 * molecules + 0.25 * aerosol
        air, down_up, albedo = (v.reshape(shape) for v in (path, transmission, spherical))
        seen = air + down_up * ground / (1 - np.clip(albedo, 0, 0.8) * ground)
        return np.asarray(self.gas_transmission().reshape(shape) * seen, np.float32)


def cloud_reflectance(thickness: ArrayLike) -> Spectrum:
    """Reflectance of a cloud by its optical thickness at 550 nm: two-stream, non-absorbing, asymmetry 0.85.

    >>> cloud_reflectance([0.0, 10.0, 50.0]).round(2).tolist()
    [0.0, 0.5699999928474426, 0.8700000047683716]
    """
    scaled = 0.5 * np.sqrt(3) * 0.15 * np.asarray(thickness, np.float32)
    return np.asarray(scaled / (1 + scaled), np.float32)


def add_cloud(image: ArrayLike, thickness: ArrayLike, high: ArrayLike) -> Spectrum:
    """Add cloud to a top-of-atmosphere image.

    Args:
        image: reflectance ``(13, height, width)``.
        thickness: optical thickness, ``(height, width)``.
        high: share of the cloud that is cirrus, ``(height, width)``, 0 to 1.

    Returns:
        float32 of the image's shape. Droplets absorb in the short-wave infrared; only cirrus is visible in band 10.

    >>> clear = np.full((13, 1, 1), 0.1, np.float32)
    >>> bool(add_cloud(clear, [[20.0]], [[0.0]])[1, 0, 0] > 0.5)
    True
    """
    below, cirrus = np.asarray(image, np.float32), np.asarray(high, np.float32)[None]
    absorbing = np.array((1, 1, 1, 1, 1, 1, 1, 1, 1, 0.6, 0.02, 0.8, 0.6), np.float32)[:, None, None]
    absorbing_ice = np.array((1, 1, 1, 1, 1, 1, 1, 1, 1, 0.85, 0.6, 0.6, 0.5), np.float32)[:, None, None]
    reflected = cloud_reflectance(thickness)[None]
    passed = (1 - reflected) ** 2 / (1 - np.minimum(reflected * below, 0.9))
    own = reflected * (absorbing * (1 - cirrus) + absorbing_ice * cirrus)
    return np.asarray(own + below * passed, np.float32)
