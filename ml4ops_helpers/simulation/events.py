"""Simulated flood events: where and when they happen, and the properties that their places and images share."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from ml4ops_helpers.scenes.sentinel2 import BANDS
from ml4ops_helpers.simulation.landscape import COVERS, Region
from ml4ops_helpers.simulation.rendering import SOILS, Look
from ml4ops_helpers.simulation.spectra import ENDMEMBERS, Atmosphere

# Low plains that flood, (longitude, latitude): locations of the events, so that each has a real UTM zone.
PLAINS = (
    (-0.9, 38.1), (11.9, 45.0), (20.2, 46.2), (22.9, 43.9), (26.6, 41.1), (5.2, 51.9), (-2.9, 51.1), (14.9, 53.0),
    (28.2, 45.2), (36.9, 45.3), (45.1, 39.9), (68.2, 26.4), (85.6, 26.2), (89.6, 24.8), (91.9, 26.2), (105.6, 10.6),
    (100.4, 14.6), (95.4, 17.2), (113.2, 29.6), (117.6, 31.4), (125.9, 43.6), (130.6, 33.2), (121.0, 15.6),
    (138.6, -34.9), (145.6, -36.2), (152.3, -31.1), (143.1, -18.2), (34.7, -19.6), (35.2, -16.4), (32.6, -25.1),
    (23.2, -14.6), (31.6, 9.6), (-1.2, 10.6), (-4.2, 14.6), (3.6, 12.4), (12.1, 9.2), (40.1, -2.1), (47.2, -18.6),
    (-57.9, -25.2), (-58.6, -34.2), (-63.1, -16.6), (-60.1, -3.2), (-51.2, -30.0), (-69.6, 7.1), (-74.6, 9.2),
    (-90.9, 30.4), (-95.6, 29.6), (-96.2, 41.2), (-97.1, 48.1), (-121.6, 38.6), (-119.6, 46.2), (-88.2, 15.6),
    (-92.6, 17.9), (-80.6, 26.6), (71.2, 51.1), (82.6, 54.6), (61.1, 55.6), (44.1, 48.2), (37.6, 55.2),
    (25.1, 59.1),
)  # fmt: skip


@dataclass(frozen=True)
class Event:
    """One flood event."""

    name: str
    split: str
    lon: float  # degrees
    lat: float  # degrees
    day: str  # of the flood image, ISO
    flooded: tuple[float, ...]  # share of the dry land under water, per place
    region: Region
    look: Look
    air: Atmosphere  # of the flood image
    air_before: Atmosphere  # of the image before it
    thick: tuple[float, ...]  # share of cumulus, per place
    thin: tuple[float, ...]  # share of cirrus, per place
    offset: int  # ``RADIO_ADD_OFFSET`` of the flood image, 0 or −1000


def generator(*key: str | int) -> np.random.Generator:
    """Generator for a named part of the data set, so that no scene depends on another."""
    return np.random.default_rng([zlib.crc32(str(k).encode()) for k in key])


def draw_event(split: str, number: int, places: int, seed: int) -> Event:
    """Draw the properties of one event.

    The share of flooded land differs between splits, as in WorldFloods: little in training, much in the test.

    Args:
        split: ``train``, ``val`` or ``test``.
        number: of the event within its split, from 0.
        places: number of places (areas of interest).
        seed: of the data set.

    >>> draw_event("test", 0, 2, seed=0).flooded == draw_event("test", 0, 2, seed=0).flooded
    True
    """
    rng = generator("event", split, number, seed)
    # No plain is in two splits; if there are more events than plains, the next ones are shifted east.
    plains = {"train": PLAINS[30:], "val": PLAINS[20:30], "test": PLAINS[:20]}[split]
    lon, lat = plains[number % len(plains)]
    lon = round(lon + 0.7 * (number // len(plains)), 2)
    weights = rng.dirichlet(np.full(len(COVERS), 0.6))
    weights[COVERS.index("plastic")] *= 0.2
    weights[COVERS.index("burnt")] *= 0.3
    mountains = rng.uniform() < 0.15  # a valley between dark slopes that look like water
    region = Region(
        relief=float(np.exp(rng.uniform(np.log(1), np.log(60)))) * (5 if mountains else 1),
        plain=float(np.exp(rng.uniform(np.log(200), np.log(1500)))),
        river=float(rng.choice([0, np.exp(rng.uniform(np.log(12), np.log(300)))], p=(0.25, 0.75))),
        farmed=float(rng.choice([rng.uniform(0, 0.3), rng.uniform(0.4, 1)], p=(0.35, 0.65))),
        field=float(np.exp(rng.uniform(np.log(50), np.log(500)))),
        covers=(*(weights[:-1] / weights[:-1].sum()), float(rng.choice([0.0, rng.uniform(0.01, 0.2)]))),
        lakes=float(rng.choice([0, rng.uniform(0.001, 0.03)])),
        embanked=float(rng.uniform(0.05, 0.6)),
    )
    snowy = abs(lat) > 35 and rng.uniform() < 0.3  # melting snow causes many floods
    tint = {name: _tint(rng) for name in ENDMEMBERS}
    river = np.exp(rng.uniform(np.log(2), np.log(300)))
    look = Look(
        greenness=float(rng.uniform(0.3, 1.5)),
        soils=tuple(rng.dirichlet(np.full(len(SOILS), 0.7))),
        tint=tint,
        sediment=(float(np.exp(rng.uniform(np.log(5), np.log(1500)))), float(river)),
        mineral=float(np.exp(rng.uniform(np.log(0.010), np.log(0.055)))),
        scatter=float(np.exp(rng.uniform(np.log(0.006), np.log(0.020)))),
        chlorophyll=float(np.exp(rng.uniform(np.log(0.5), np.log(60)))),
        cdom=float(np.exp(rng.uniform(np.log(0.1), np.log(6)))),
        emergent=float(rng.uniform(0, 0.8)),
        wetness=float(rng.uniform(0.3, 2.0)),
        glint=float(rng.choice([rng.uniform(0, 0.008), rng.uniform(0.01, 0.03)], p=(0.8, 0.2))),
        nearest=bool(rng.uniform() < 0.5),
        noise=float(rng.uniform(0.0005, 0.002)),
        snow=float(rng.uniform(0.03, 0.4)) if snowy else 0.0,
        melt=float(rng.uniform(0.55, 1)),
    )
    flooded = {"train": (0.002, 0.10), "val": (0.03, 0.25), "test": (0.08, 0.45)}[split]
    cloudy = rng.uniform(size=places) < 0.6
    return Event(
        name=f"SIM{split.upper()}{number:02d}",
        split=split,
        lon=lon,
        lat=lat,
        day=str(date(2017, 1, 1) + timedelta(days=int(rng.integers(0, 2500)))),
        flooded=tuple(np.exp(rng.uniform(np.log(flooded[0]), np.log(flooded[1]), places)).tolist()),
        region=region,
        look=look,
        air=_air(rng),
        air_before=_air(rng),
        thick=tuple(np.where(cloudy, rng.uniform(0.02, 0.4, places), 0).tolist()),
        thin=tuple(np.where(rng.uniform(size=places) < 0.5, rng.uniform(0.1, 0.9, places), 0).tolist()),
        offset=int(rng.choice([0, -1000])),
    )


def _tint(rng: np.random.Generator) -> NDArray[np.float32]:
    """Random factor on a spectrum: its level, its slope, and a smooth bend."""
    x = np.linspace(-1, 1, len(BANDS))
    return np.exp(
        rng.normal(0, 0.22) + rng.normal(0, 0.12) * x + rng.normal(0, 0.07) * np.cos(2 * x + rng.uniform(0, 6))
    ).astype(np.float32)


def _air(rng: np.random.Generator) -> Atmosphere:
    return Atmosphere(
        sun_zenith=float(rng.uniform(18, 68)),
        aerosol=float(np.exp(rng.uniform(np.log(0.03), np.log(0.5)))),
        angstrom=float(rng.uniform(0.3, 1.8)),
        vapour=float(rng.uniform(0.4, 4.5)),
    )
