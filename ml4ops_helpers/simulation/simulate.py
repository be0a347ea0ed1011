"""The ``embedded`` data set: simulated flood events in the WorldFloods v2 layout, the same bytes for the same seed.

Made by physics and chance, not by drawing blobs: see ``landscape`` (terrain, drainage, fields), ``spectra`` (optics)
and ``render`` (ground to image). Explained in ``02_explore_the_data``.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import transform as to_crs

from ml4ops_helpers.scenes.rasters import write_raster
from ml4ops_helpers.scenes.sentinel2 import (
    BANDS,
    CLEAR,
    CLOUDY,
    INVALID,
    LAND,
    PERMANENT_WATER,
    QUANTIFICATION,
    SEASONAL_WATER,
    WATER,
)
from ml4ops_helpers.simulation.landscape import (
    COVERS,
    FIELDS,
    PIXEL,
    Float,
    Place,
    Region,
    flood_depth,
    make_place,
    stage_for,
)
from ml4ops_helpers.simulation.rendering import SOILS, Look, draw_sky, dry_ground, lay_water, sense, thick_cloud
from ml4ops_helpers.simulation.spectra import ENDMEMBERS, Atmosphere

CLOUD_THICKNESS = 1.0
"""Optical thickness from which a pixel is labelled cloud."""

TRUTH_BANDS = ("label_under_cloud", "cloud_optical_thickness", "elevation_m", "hand_m", "land_cover")
"""What only a simulation knows; bands of the files in ``truth/``."""

SIZES: dict[str, tuple[dict[str, tuple[int, int]], int]] = {
    # (events, places of each event) in each split, pixels a side
    "smoke": ({"train": (4, 1), "val": (2, 1), "test": (2, 1)}, 256),
    "lecture": ({"train": (56, 1), "val": (12, 1), "test": (8, 2)}, 512),
    "full": ({"train": (160, 1), "val": (12, 2), "test": (20, 2)}, 512),
}

# Low plains that flood, (longitude, latitude): where the invented events are put, so that each has a true map zone.
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
    """One flood: what its places and images share.

    Attributes:
        name, split: as in the catalogue.
        lon, lat: degrees.
        day: of the flood image, ISO.
        flooded: share of the dry land under water, per place.
        region, look: the land and its appearance.
        air, air_before: atmosphere of the flood image and of the image before it.
        thick, thin: share of cumulus and of cirrus, per place.
        offset: ``RADIO_ADD_OFFSET`` of the flood image, 0 or −1000.
    """

    name: str
    split: str
    lon: float
    lat: float
    day: str
    flooded: tuple[float, ...]
    region: Region
    look: Look
    air: Atmosphere
    air_before: Atmosphere
    thick: tuple[float, ...]
    thin: tuple[float, ...]
    offset: int


def _generator(*key: str | int) -> np.random.Generator:
    """Generator of its own for each named part, so that making one scene never depends on another."""
    return np.random.default_rng([zlib.crc32(str(k).encode()) for k in key])


def draw_event(split: str, number: int, places: int, seed: int) -> Event:
    """Draw the properties of one event.

    The shares of flooded land differ between splits, as in WorldFloods: little water in training, much in the test.

    Args:
        split: ``train``, ``val`` or ``test``.
        number: of the event within its split, from 0.
        places: places (areas of interest) of the event.
        seed: of the data set.

    Returns:
        The event.

    >>> draw_event("test", 0, 2, seed=0).flooded == draw_event("test", 0, 2, seed=0).flooded
    True
    """
    rng = _generator("event", split, number, seed)
    # No plain serves two splits; where there are more events than plains, the next ones lie east of the first.
    plains = {"train": PLAINS[30:], "val": PLAINS[20:30], "test": PLAINS[:20]}[split]
    lon, lat = plains[number % len(plains)]
    lon = round(lon + 0.7 * (number // len(plains)), 2)
    weights = rng.dirichlet(np.full(len(COVERS), 0.6))
    weights[COVERS.index("plastic")] *= 0.2
    weights[COVERS.index("burnt")] *= 0.3
    mountains = rng.uniform() < 0.15  # a valley between them: their dark slopes look like water
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
    snowy = abs(lat) > 35 and rng.uniform() < 0.3  # many a flood is of melting snow
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


@dataclass(frozen=True)
class Simulated:
    """One scene in memory; arrays as in the files of the layout.

    Attributes:
        image, before: digital numbers of the flood and of the image before it, uint16 ``(13, size, size)``.
        label: version 2, uint8 ``(2, size, size)``.
        permanent: JRC codes, uint8 ``(size, size)``.
        truth: bands ``TRUTH_BANDS``, float32 ``(5, size, size)``.
    """

    image: NDArray[np.uint16]
    before: NDArray[np.uint16]
    label: NDArray[np.uint8]
    permanent: NDArray[np.uint8]
    truth: Float


def simulate_scene(event: Event, place_number: int, size: int, seed: int) -> Simulated:
    """Simulate one place of an event, before and during the flood.

    Args:
        event: from ``draw_event``.
        place_number: which of its places, from 0.
        size: pixels a side (10 m each).
        seed: of the data set.

    Returns:
        The images with everything that only a simulation knows.
    """
    rng = _generator("place", event.name, place_number, seed)
    place = make_place(rng, event.region, size)
    stage = stage_for(place, event.flooded[place_number])
    depth = flood_depth(place, stage)
    # Ground that the flood just left, or is about to reach, is saturated.
    near = np.exp(-np.maximum(place.hand + place.bank - stage, 0) / 0.4)
    damp = rng.uniform(0, 0.9) * near

    image, share, thickness = _take(
        rng, event, place, depth, damp, event.air, (event.thick[place_number], event.thin[place_number])
    )
    before, _, _ = _take(
        rng, event, place, place.permanent_depth, 0 * damp, event.air_before, (rng.uniform(0, 0.15), 0.0)
    )
    swath = _swath(rng, size)
    numbers = to_digital_numbers(image, event.offset, swath)

    water = share > 0.5  # what a mapper of floods traces: drowned ground, standing crop or not
    cloud = thickness > CLOUD_THICKNESS
    ground = np.where(water, WATER, LAND)
    hidden = cloud & thick_cloud(image * QUANTIFICATION)
    label = np.stack([np.where(cloud, CLOUDY, CLEAR), np.where(hidden, INVALID, ground)]) * ~swath
    permanent = np.where(place.permanent_depth > 0, PERMANENT_WATER, np.where(place.seasonal, SEASONAL_WATER, 0))
    truth = np.stack([ground * ~swath, thickness, place.elevation, place.hand, place.cover]).astype(np.float32)
    return Simulated(
        image=numbers,
        before=to_digital_numbers(before, 0, np.zeros_like(swath)),
        label=label.astype(np.uint8),
        permanent=permanent.astype(np.uint8),
        truth=truth,
    )


def _take(
    rng: np.random.Generator,
    event: Event,
    place: Place,
    depth: Float,
    damp: Float,
    air: Atmosphere,
    clouds: tuple[float, float],
) -> tuple[Float, Float, Float]:
    """One image: reflectance, share of water in each pixel, cloud optical thickness."""
    ground = dry_ground(rng, place, event.look, damp)
    surface, share = lay_water(rng, place, event.look, ground, depth)
    sky = draw_sky(rng, len(depth), *clouds, air.sun_zenith)
    return sense(rng, surface, air, sky, event.look), share, sky.thickness


def _swath(rng: np.random.Generator, size: int) -> NDArray[np.bool_]:
    """Pixels beyond the edge of the swath: in one scene of six, a corner cut by a slanted line."""
    if rng.uniform() > 1 / 6:
        return np.zeros((size, size), bool)
    rows, cols = np.mgrid[:size, :size] / size
    return np.asarray(cols + 0.25 * rows < rng.uniform(0.05, 0.35))


def to_digital_numbers(reflectance: Float, offset: int, missing: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Store reflectance as a Level-1C product does; 0 is kept for missing pixels.

    >>> to_digital_numbers(np.full((1, 1, 2), 0.2, np.float32), -1000, np.array([[False, True]])).tolist()
    [[[3000, 0]]]
    """
    numbers = np.clip(np.rint(reflectance * QUANTIFICATION) - offset, 1, 65535)
    return np.asarray(numbers * ~missing, np.uint16)


def write_scene(root: Path, event: Event, place_number: int, size: int, seed: int) -> None:
    """Simulate one scene and write its six files below ``root``."""
    scene = simulate_scene(event, place_number, size, seed)
    zone = 32600 + (event.lat < 0) * 100 + int((event.lon + 180) // 6) + 1
    crs = CRS.from_epsg(zone)
    (x,), (y,) = to_crs(CRS.from_epsg(4326), crs, [event.lon], [event.lat])
    corner = (round(x, -1) + place_number * 20_000, round(y, -1))
    where = {"crs": crs, "transform": from_origin(*corner, PIXEL, PIXEL)}
    (lon,), (lat,) = to_crs(crs, CRS.from_epsg(4326), [corner[0] + size * PIXEL / 2], [corner[1] - size * PIXEL / 2])
    name, folder = f"{event.name}_{place_number}", root / event.split

    def put(kind: str, array: NDArray[np.generic], names: tuple[str, ...], tags: dict[str, str] | None = None) -> None:
        nodata = 0 if kind in ("S2", "pre", "gt") else None
        write_raster(folder / kind / f"{name}.tif", array, names=names, nodata=nodata, tags=tags, **where)

    put("S2", scene.image, BANDS, {"RADIO_ADD_OFFSET": str(event.offset)})
    put("pre", scene.before, BANDS, {"RADIO_ADD_OFFSET": "0"})
    put("gt", scene.label, ("cloud", "water"))
    put("PERMANENTWATERJRC", scene.permanent, ("permanent_water",))
    put("truth", scene.truth, TRUTH_BANDS)
    described = asdict(event)
    meta = {
        "event": event.name,
        "aoi": str(place_number),
        "split": event.split,
        "simulated": True,
        "seed": seed,
        "date": event.day,
        "lon": round(lon, 5),
        "lat": round(lat, 5),
        "flooded_share": event.flooded[place_number],
        "radio_add_offset": event.offset,
        "region": described["region"],
        "air": described["air"],
        "snow": event.look.snow,
        "covers": dict(zip(COVERS, event.region.covers, strict=True)),
        "fields": list(FIELDS),
    }
    path = folder / "meta" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(meta, indent=1, sort_keys=True))


def write_embedded(root: Path, *, profile: str = "lecture", seed: int = 0, workers: int = 2) -> None:
    """Write the ``embedded`` data set.

    Args:
        root: folder to write to; made when missing.
        profile: ``smoke``, ``lecture`` or ``full``: how many events, places and pixels.
        seed: the same seed gives the same bytes.
        workers: processes that share the work.

    Raises:
        ValueError: the profile is unknown.
    """
    if profile not in SIZES:
        raise ValueError(f"profile {profile!r} is unknown; choose {', '.join(SIZES)}")
    splits, size = SIZES[profile]
    jobs = [
        (root, draw_event(split, number, places, seed), place, size, seed)
        for split, (events, places) in splits.items()
        for number in range(events)
        for place in range(places)
    ]
    # loky's workers do not run the caller's script again, as those of the stdlib would.
    Parallel(n_jobs=workers, batch_size=1)(delayed(write_scene)(*job) for job in jobs)
