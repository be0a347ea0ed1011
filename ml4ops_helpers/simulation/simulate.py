"""The ``embedded`` data set: simulated flood events in the WorldFloods v2 layout, the same bytes for the same seed.

Explained in ``02_explore_the_data``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import from_origin
from rasterio.warp import transform as to_crs

from ml4ops_helpers.scenes import sentinel2 as s2
from ml4ops_helpers.scenes.rasters import write_raster
from ml4ops_helpers.simulation.events import Event, draw_event, generator
from ml4ops_helpers.simulation.landscape import COVERS, FIELDS, PIXEL, Float, Place, flood_depth, make_place, stage_for
from ml4ops_helpers.simulation.rendering import draw_sky, dry_ground, lay_water, sense, thick_cloud

if TYPE_CHECKING:
    from ml4ops_helpers.simulation.spectra import Atmosphere

CLOUD_THICKNESS = 1.0
"""Optical thickness from which a pixel is labelled cloud."""

TRUTH_BANDS = ("label_under_cloud", "cloud_optical_thickness", "elevation_m", "hand_m", "land_cover")
"""Bands of the files in ``truth/``: known only in a simulation."""

SIZES: dict[str, tuple[dict[str, tuple[int, int]], int]] = {
    # (events, places of each event) in each split, pixels a side
    "smoke": ({"train": (4, 1), "val": (2, 1), "test": (2, 1)}, 256),
    "lecture": ({"train": (56, 1), "val": (12, 1), "test": (8, 2)}, 512),
    "full": ({"train": (160, 1), "val": (12, 2), "test": (20, 2)}, 512),
}


@dataclass(frozen=True)
class Simulated:
    """One scene, arrays as in its files."""

    image: NDArray[np.uint16]  # digital numbers ``(13, size, size)``
    before: NDArray[np.uint16]  # of the image before the flood
    label: NDArray[np.uint8]  # version 2, ``(2, size, size)``
    permanent: NDArray[np.uint8]  # JRC codes ``(size, size)``
    truth: Float  # bands ``TRUTH_BANDS``, ``(5, size, size)``


def simulate_scene(event: Event, place_number: int, size: int, seed: int) -> Simulated:
    """Simulate one place of an event, before and during the flood.

    Args:
        event: from ``draw_event``.
        place_number: of the place, from 0.
        size: pixels a side (10 m each).
        seed: of the data set.
    """
    rng = generator("place", event.name, place_number, seed)
    place = make_place(rng, event.region, size)
    stage = stage_for(place, event.flooded[place_number])
    depth = flood_depth(place, stage)
    # Ground that the flood has just left, or is about to reach, is saturated.
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

    water = share > 0.5  # what a flood mapper traces: flooded ground, with or without standing crop
    cloud = thickness > CLOUD_THICKNESS
    ground = np.where(water, s2.WATER, s2.LAND)
    hidden = cloud & thick_cloud(image * s2.QUANTIFICATION)
    label = np.stack([np.where(cloud, s2.CLOUDY, s2.CLEAR), np.where(hidden, s2.INVALID, ground)]) * ~swath
    permanent = np.where(place.permanent_depth > 0, s2.PERMANENT_WATER, np.where(place.seasonal, s2.SEASONAL_WATER, 1))
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
    """Pixels beyond the edge of the swath: in one scene of six, a corner."""
    if rng.uniform() > 1 / 6:
        return np.zeros((size, size), bool)
    rows, cols = np.mgrid[:size, :size] / size
    return np.asarray(cols + 0.25 * rows < rng.uniform(0.05, 0.35))


def to_digital_numbers(reflectance: Float, offset: int, missing: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Digital numbers of reflectance, as in a Level-1C product; 0 marks missing pixels.

    >>> to_digital_numbers(np.full((1, 1, 2), 0.2, np.float32), -1000, np.array([[False, True]])).tolist()
    [[[3000, 0]]]
    """
    numbers = np.clip(np.rint(reflectance * s2.QUANTIFICATION) - offset, 1, 65535)
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

    put("S2", scene.image, s2.BANDS, {"RADIO_ADD_OFFSET": str(event.offset)})
    put("pre", scene.before, s2.BANDS, {"RADIO_ADD_OFFSET": "0"})
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
        root: folder to write to; made if missing.
        profile: ``smoke``, ``lecture`` or ``full``: the number of events, places and pixels.
        seed: the same seed gives the same bytes.
        workers: number of processes.

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
    # Unlike the standard library's, loky's workers do not run the caller's script again.
    Parallel(n_jobs=workers, batch_size=1)(delayed(write_scene)(*job) for job in jobs)
