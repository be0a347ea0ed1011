"""Which Sentinel-2 band each band of a file is: names as archives write them, and the order of unnamed ones.

Explained in ``05_run_inference``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from ml4ops_helpers.scenes.rasters import SceneError
from ml4ops_helpers.scenes.sentinel2 import BAND_SETS, BANDS, Float

LANDSAT_8 = {f"SR_B{n}": band for n, band in enumerate(("B1", "B2", "B3", "B4", "B8", "B11", "B12"), start=1)}
LANDSAT_7 = dict(zip(("SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B7"), list(LANDSAT_8.values())[1:], strict=True))
"""Surface reflectance bands of Landsat 8 and 9, and of 4, 5 and 7, and the Sentinel-2 band that each corresponds to."""
HLS_LANDSAT = {name.replace("SR_B", "B"): band for name, band in LANDSAT_8.items()}
"""Landsat 8 and 9 in the Harmonized Landsat and Sentinel-2 archive (HLS L30), whose Sentinel-2 keeps its own names."""
SENSORS: dict[str, dict[str, str]] = {
    "sentinel2": {band: band for band in BANDS},
    "landsat8": LANDSAT_8,
    "landsat7": LANDSAT_7,
    "hls_landsat": HLS_LANDSAT,
}
COMMON = {
    "COASTAL": "B1",
    "BLUE": "B2",
    "GREEN": "B3",
    "RED": "B4",
    "REDEDGE1": "B5",
    "REDEDGE2": "B6",
    "REDEDGE3": "B7",
    "REDEDGE071": "B5",
    "REDEDGE075": "B6",
    "REDEDGE078": "B7",
    "NIR": "B8",
    "NIR09": "B9",
    "CIRRUS": "B10",
    "SWIR1": "B11",
    "SWIR16": "B11",
    "SWIR2": "B12",
    "SWIR22": "B12",
}
"""Common names of the STAC extension for electro-optical data, and the two older ones of the short-wave infrared."""
TWO_MEANINGS = {
    "NIR08": "B8 of Landsat (--bands landsat8:…) or B8A of Sentinel-2",
    "REDEDGE": "B5, B6 or B7",
}
ALPHA = ("ALPHA", "DATAMASK", "VALID")
"""Names of layers that are 0 where there are no data, as GDAL, Sentinel Hub and others write them."""
QUALITY = ("SCL", "QA_PIXEL", "FMASK")
"""Layers that say what each pixel shows."""
ORDERS: dict[str, tuple[str, ...]] = BAND_SETS | {
    "l1c": BANDS,
    "l2a": tuple(band for band in BANDS if band != "B10"),
    "eurosat": (*(band for band in BANDS if band != "B8A"), "B8A"),
    "landsat": tuple(LANDSAT_8)[1:],
    "landsat8": tuple(LANDSAT_8)[1:],
    "landsat7": tuple(f"landsat7:{name}" for name in LANDSAT_7),
}
"""What may stand after ``--bands`` in place of names."""
_WORDS = re.compile(
    r"(\d[\dT]*|T\d\d[A-Z]{3}|S2[ABC]?|MSI|L1C|L2A|HLS|[SL]30|\d+M|\d*NM|CENTRAL|WAVELENGTH|RESAMPLED|NBART|TIFF?|MEAN|MEDIAN|MIN|MAX|P\d+|TOA|BOA|REFLECTANCE)"
)
"""What archives add to the name of a band without changing its meaning."""


def parse_bands(text: str) -> tuple[str, ...]:
    """Names of a file's bands as written after ``--bands``: names and orders with commas, after their sensor.

    >>> parse_bands("bgri,SCL"), parse_bands("B2, B8A"), parse_bands("landsat7:SR_B1,SR_B4")
    (('B2', 'B3', 'B4', 'B8', 'SCL'), ('B2', 'B8A'), ('landsat7:SR_B1', 'landsat7:SR_B4'))
    """
    sensor, _, names = text.rpartition(":")
    if sensor and sensor not in SENSORS:
        raise ValueError(f"--bands {text}: sensor {sensor} is unknown; it is one of {', '.join(SENSORS)}")
    words = chain.from_iterable(ORDERS.get(name.strip(), (name.strip(),)) for name in names.split(","))
    return tuple(f"{sensor}:{word}" if sensor else word for word in words)


def identify(path: Path, names: Sequence[str | None], scene: str = "") -> list[str | None]:
    """The Sentinel-2 band that each name stands for; None for a layer of another kind, or a name not understood.

    Args:
        path: for messages, and for the sensor in the file's name.
        names: as a catalogue, an archive or a user wrote them; ``sensor:name`` says whose they are.
        scene: name of the scene, where it is not the file's.

    Raises:
        SceneError: names of Landsat's bands without a sensor.

    >>> identify(Path("a.tif"), ["B02", "b8a ", "B11_median", "green", "SR_B6", "SCL", None])
    ['B2', 'B8A', 'B11', 'B3', 'B11', None, None]
    """
    cleaned = [_clean(name or "") for name in names]
    whose = _sensor_of(scene or path.name) or _landsat_of(path, cleaned)
    return [_band(name, whose) for name in cleaned]


def is_landsat(path: Path, names: Sequence[str | None]) -> bool:
    """Whether bands are those of Landsat's Collection 2 Level 2, by their names or the file's.

    >>> is_landsat(Path("a.tif"), ["SR_B2", None]), is_landsat(Path("a.tif"), ["B2"])
    (True, False)
    """
    if _sensor_of(path.name) in ("landsat7", "landsat8"):
        return True
    return any(re.search(r"^LANDSAT\d:|\bSR_B\d\b", _clean(name or "")) for name in names)


def two_meanings(names: Sequence[str | None]) -> str:
    """What names that can mean two bands may mean, as part of a sentence; "" without any.

    >>> two_meanings(["red", "nir08"])
    'nir08 is B8 of Landsat (--bands landsat8:…) or B8A of Sentinel-2'
    """
    found = [f"{name} is {meant}" for name in names if name and (meant := TWO_MEANINGS.get(_clean(name)))]
    return "; ".join(found)


def quality_of(name: str | None) -> str | None:
    """Which quality layer a name stands for, if one.

    >>> quality_of("SCL_20m"), quality_of("QA_PIXEL"), quality_of("B2")
    ('SCL', 'QA_PIXEL', None)
    """
    return next((kind for kind in QUALITY if re.search(rf"(^|[^A-Z]){kind}([^A-Z]|$)", _clean(name or ""))), None)


def is_alpha(path: Path, name: str | None) -> bool:
    """Whether a layer's name says that it is 0 where there are no data.

    Raises:
        SceneError: the name says only that it is a mask, which may mean the opposite.

    >>> is_alpha(Path("a.tif"), "dataMask"), is_alpha(Path("a.tif"), "cloud")
    (True, False)
    """
    text = _clean(name or "")
    if text == "MASK":
        raise SceneError(f"{path}: a layer named {name}; name all with --bands: it alpha if 0 hides pixels, else other")
    return text in ALPHA


def _clean(name: str) -> str:
    """A name in capitals, without what stands in brackets, with one spelling of red edge and short-wave infrared."""
    text = re.sub(r"\(.*\)|\[.*\]", "", name).strip().upper()
    return re.sub(r"(RED|SWIR)[ _-]?(EDGE|(?=\d))[ _-]?", r"\1\2", text)


def _band(name: str, sensor: str | None) -> str | None:
    prefix, _, rest = name.partition(":")
    if prefix.lower() not in SENSORS:
        prefix, rest = "", name
    whose = prefix.lower() or sensor or "sentinel2"
    table = SENSORS[whose] if whose == "hls_landsat" else SENSORS["sentinel2"] | SENSORS[whose]
    found = []
    for word in filter(None, re.split(r"[^A-Z0-9]+", rest.replace("SR_B", "SRB"))):
        plain = re.sub(r"^(SR)?B0?(?=\d)", lambda m: "SR_B" if m[1] else "B", word)
        if word == "NIR08" and "landsat" in whose:
            word = "NIR"
        if band := table.get(plain) or COMMON.get(word):
            found.append(band)
        elif not _WORDS.fullmatch(word):
            return None
    return found[0] if len(set(found)) == 1 else None


def _sensor_of(name: str) -> str | None:
    """The sensor that a file's name shows, as the archives of Landsat and of HLS build them.

    >>> _sensor_of("LE07_L2SP_200033_20010101_20200823_02_T1_SR_B1.TIF"), _sensor_of("flood.tif")
    ('landsat7', None)
    """
    if found := re.match(r"L[CETO]0([4-9])_", name, re.IGNORECASE):
        return "landsat8" if found[1] in "89" else "landsat7"
    return "hls_landsat" if name.startswith("HLS.L30.") else None


def _landsat_of(path: Path, names: Sequence[str]) -> str | None:
    """Which Landsat names without a sensor belong to: only 8 and 9 have a reflectance SR_B6."""
    numbers = {number for name in names if ":" not in name for number in re.findall(r"\bSR_B(\d)\b", name)}
    if "6" in numbers:
        return "landsat8"
    if numbers:
        raise SceneError(
            f"{path}: bands named {', '.join(names)} are one thing on Landsat 8 and 9, where SR_B5 is near infrared, "
            "another on 4 to 7, where it is short-wave infrared; pass --bands landsat8:… or --bands landsat7:… with "
            "these names"
        )
    return None


def looks_like_level_1c(sample: Float) -> bool:
    """Whether thirteen unnamed bands are in the order of Level-1C: B10 is the darkest, and B8A is as bright as B8.

    Water vapour takes nearly all sunlight at 1375 nm before it reaches the ground, so that no other band is darker
    even under cloud; B8 and B8A lie side by side. Neither holds for the other orders in use.

    Args:
        sample: stored values, ``(13, n)``.
    """
    cirrus, others = sample[10], np.delete(sample, 10, axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.abs(sample[8] - sample[7]) / np.maximum(np.abs(sample[7]), 1)
    return bool(np.mean(cirrus < others.min(axis=0)) > 0.95 and np.nanmedian(apart) < 0.25)
