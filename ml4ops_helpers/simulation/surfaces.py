"""Simulated ground and water as they look without air: what air, light and sensor are then drawn over, anew each time.

A network that always sees the same air over a place learns that air. Explained in ``03_train_a_model``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from ml4ops_helpers.scenes.sentinel2 import band_positions
from ml4ops_helpers.simulation.events import Event, draw_event, generator
from ml4ops_helpers.simulation.landscape import COVERS, Float, Place, Region, flood_depth, make_place, stage_for
from ml4ops_helpers.simulation.rendering import Look, dry_ground, lay_water

LOOKS = 2
"""Floods of each place, each in another season, with other soils and other water."""


@dataclass(frozen=True)
class Surfaces:
    """Simulated surfaces: half floats, because there are many."""

    bands: tuple[str, ...]
    reflectance: NDArray[np.float16]  # ``(n, bands, size, size)``
    water: NDArray[np.float16]  # share of each pixel that is mapped as water, ``(n, size, size)``


def draw_surfaces(places: int, bands: Sequence[str], *, size: int = 256, seed: int = 0, workers: int = 2) -> Surfaces:
    """Draw ``LOOKS`` floods of each of so many places, far more varied than the events of the embedded data set.

    Args:
        places: number of places.
        bands: of the reflectance, in order.
        size: pixels a side, of 10 m.
        seed: the same seed gives the same surfaces, whatever the number of processes.
        workers: number of processes.

    >>> draw_surfaces(1, ["B3", "B11"], size=64, workers=1).reflectance.shape
    (2, 2, 64, 64)
    """
    jobs = (delayed(_draw)(number, tuple(bands), size, seed) for number in range(places))
    drawn = [surface for pair in Parallel(n_jobs=workers)(jobs) for surface in pair]
    reflectance, water = zip(*drawn, strict=True)
    return Surfaces(tuple(bands), np.stack(reflectance), np.stack(water))


def _draw(
    number: int, bands: tuple[str, ...], size: int, seed: int
) -> list[tuple[NDArray[np.float16], NDArray[np.float16]]]:
    rng = generator("surface", number, seed)
    place = make_place(rng, _region(rng, number, seed), size)
    found = []
    for look in (_look(rng, number, k, seed) for k in range(LOOKS)):
        stage = stage_for(place, _log_uniform(rng, 0.002, 0.6)) if rng.uniform() < 0.9 else 0.0
        surface, water = _flood(rng, place, look, stage)
        found.append((surface[band_positions(bands)].astype(np.float16), water.astype(np.float16)))
    return found


def event_surface(
    event: Event, place_number: int, bands: Sequence[str], *, size: int, seed: int, snow: float | None = None
) -> tuple[Float, Float]:
    """The flood of one place of an event of the embedded data set, without its air; ``snow`` in place of its own.

    Returns:
        Reflectance ``(bands, size, size)``, and the share of each pixel that is mapped as water.
    """
    rng = generator("place", event.name, place_number, seed)
    place = make_place(rng, event.region, size)
    stage = stage_for(place, event.flooded[place_number])
    surface, water = _flood(rng, place, event.look if snow is None else replace(event.look, snow=snow), stage)
    return surface[band_positions(bands)], water


def _flood(rng: np.random.Generator, place: Place, look: Look, stage: float) -> tuple[Float, Float]:
    """A place under water up to a stage, m: reflectance in all bands, and the share of each pixel mapped as water."""
    near = np.exp(-np.maximum(place.hand + place.bank - stage, 0) / 0.4)  # what it has left, or will reach, is damp
    ground = dry_ground(rng, place, look, rng.uniform(0, 0.9) * near)
    return lay_water(rng, place, look, ground, flood_depth(place, stage))


def _region(rng: np.random.Generator, number: int, seed: int) -> Region:
    """A region of the training events, with any mixture of covers: more towns, plastic and burnt land."""
    weights = rng.dirichlet(np.full(len(COVERS), 0.6))
    weights[COVERS.index("plastic")] *= 0.2
    town = float(rng.choice([0, rng.uniform(0.01, 0.35)]))
    covers = (*(weights[:-1] / weights[:-1].sum()), town)
    return replace(draw_event("train", number, 1, seed).region, covers=covers)


def _look(rng: np.random.Generator, number: int, k: int, seed: int) -> Look:
    """A look of the training events; every other with ranges as wide as the literature of inland waters has them."""
    snow = float(rng.uniform(0.05, 0.6)) if rng.uniform() < 0.25 else 0.0
    usual = draw_event("train", number + 1000 * (k + 1), 1, seed).look
    if k % 2:
        return replace(usual, glint=0.0, snow=snow)
    return replace(
        usual,
        greenness=float(rng.uniform(0.1, 1.5)),
        sediment=(_log_uniform(rng, 2, 2500), _log_uniform(rng, 1, 500)),
        mineral=_log_uniform(rng, 0.008, 0.06),
        scatter=_log_uniform(rng, 0.005, 0.022),
        chlorophyll=_log_uniform(rng, 0.3, 100),
        cdom=_log_uniform(rng, 0.05, 8),
        emergent=float(rng.uniform(0, 0.95)),
        glint=0.0,
        snow=snow,
    )


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
