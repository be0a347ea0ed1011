"""Scale and offset of stored values: what the file, its metadata and the caller declare, and whether the values agree.

Explained in ``05_run_inference``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ml4ops_helpers.scenes.rasters import Raster, SceneError
from ml4ops_helpers.scenes.sentinel2 import QUANTIFICATION, Float

OFFSETS = (0, -1000)
"""Values of ``RADIO_ADD_OFFSET`` and ``BOA_ADD_OFFSET``: before processing baseline 04.00, and since."""
OFFSET_TAGS = ("RADIO_ADD_OFFSET", "BOA_ADD_OFFSET")
SCALE_TAGS = ("QUANTIFICATION_VALUE", "BOA_QUANTIFICATION_VALUE")
"""Names under which Level-1C and Level-2A declare their offset, and the stored value of a reflectance of 1."""
LANDSAT_SCALING = (2.75e-5, -0.2)
"""Surface reflectance of Landsat Collection 2 Level 2 (USGS Landsat 8-9 Level 2 science product guide)."""
LOWEST, HIGHEST = -0.2, 2.5
"""No pixel reflects less, whatever the correction for the atmosphere, or more, clouds and sun glint included."""
DARK = 0.08
"""With the +1000 of baseline 04.00 left in, hardly any reflectance is below 0.1, over-corrected water somewhat; without
it, dark pixels are."""
TOO_BRIGHT = 0.6
"""Not even under thick cloud does every pixel reflect more short-wave infrared."""
TOO_DARK = 0.15
"""In a scene with land, cloud or turbid water one pixel in a hundred of the brightest band reflects more."""
TOO_GREEN = 0.62
"""Half of the vegetation of a scene does not reflect more near infrared than this."""
RAYLEIGH = 0.03
"""Seen from space nothing is darker than this in blue: the air alone reflects more."""


@dataclass(frozen=True)
class Scaling:
    """Reflectance is the stored value times ``factor`` plus ``addend``, band by band.

    Attributes:
        factor, addend: one a band.
        source: what decided, in words.
        offset_declared: whether anything declares an offset, be it 0.
        scale_declared: whether a product's metadata or the caller vouch for the scale.
        fixed: whether a product's metadata leave nothing open.
    """

    factor: tuple[float, ...]
    addend: tuple[float, ...]
    source: str
    offset_declared: bool = True
    scale_declared: bool = True
    fixed: bool = False

    def apply(self, stored: Raster) -> Float:
        """Reflectance, float32 ``(bands, …)``, of stored values of the same shape."""
        reflectance = stored.astype(np.float32)
        for band, factor, addend in zip(reflectance, self.factor, self.addend, strict=True):
            band *= np.float32(factor)
            if addend:
                band += np.float32(addend)
        return reflectance

    def __str__(self) -> str:
        pairs = list(dict.fromkeys(zip(self.factor, self.addend, strict=True)))
        written = [f"stored × {f:g}" + (f" {'+' if a > 0 else '−'} {abs(a):g}" if a else "") for f, a in pairs]
        return f"reflectance = {', '.join(written)} ({self.source})"


def digital_numbers(bands: int, offset: int = 0) -> Scaling:
    """Scaling of Sentinel-2's digital numbers.

    >>> digital_numbers(1, -1000).apply(np.float32([[3000]])).round(3).tolist()
    [[0.20000000298023224]]
    """
    factor = 1 / QUANTIFICATION
    return Scaling((factor,) * bands, (offset * factor,) * bands, "digital numbers")


@dataclass(frozen=True)
class Declared:
    """What a file and its caller say about stored values.

    Attributes:
        scales, offsets: of the file, one a band; 1 and 0 where it has none.
        tags: of ``OFFSET_TAGS`` and ``SCALE_TAGS``, as text, by tag.
        landsat: whether the bands are Landsat's.
        floating: whether the values are stored as floating-point numbers.
        offset: ``RADIO_ADD_OFFSET`` as passed by the caller.
        scale: stored value of a reflectance of 1, as passed by the caller.
    """

    scales: Sequence[float]
    offsets: Sequence[float]
    tags: dict[str, str]
    landsat: bool
    floating: bool
    offset: int | None = None
    scale: float | None = None


def decide_scaling(path: Path, names: Sequence[str], stored: Float, declared: Declared) -> Scaling:
    """Scaling of a raster file, from what is declared; the size of the values decides only where nothing is.

    Args:
        path: for messages.
        names: the bands.
        stored: values of a sample of pixels with data, ``(bands, n)``.
        declared: by file and caller.

    Raises:
        SceneError: two declarations contradict each other, or the values fit no scaling.
    """
    n = len(names)
    offset, source = _declared_number(path, declared, OFFSET_TAGS, "--offset", declared.offset)
    if offset is not None and offset not in OFFSETS:
        raise SceneError(f"{path}: {source} is unknown; the offset is 0 or -1000")
    scale, vouched = _declared_number(path, declared, SCALE_TAGS, "--scale", declared.scale)
    if scale is not None and not scale > 0:
        raise SceneError(f"{path}: {vouched} is no scale; it is the stored value of a reflectance of 1, such as 10000")
    if declared.landsat and source:
        raise SceneError(f"{path}: {source}, but Landsat's reflectance has an offset of its own; leave it out")
    baseline = re.sub(r"\D", "", declared.tags.get("PROCESSING_BASELINE", ""))  # 05.09 or N0509
    if int(baseline or 0) >= 400 and offset is None and not any(declared.offsets):
        raise SceneError(
            f"{path}: of processing baseline {declared.tags['PROCESSING_BASELINE']}, which adds 1000, but nothing says "
            "whether that is still in; pass --offset -1000, or --offset 0 if it was taken out"
        )
    own = [(f, a) != (1.0, 0.0) for f, a in zip(declared.scales, declared.offsets, strict=True)]
    if any(own) and not all(own) and scale is None:
        without = ", ".join(name for name, has in zip(names, own, strict=True) if not has)
        raise SceneError(
            f"{path}: it declares a scale for some bands, none for {without}; write it for all, or pass --scale "
            f"{QUANTIFICATION}"
        )
    other = scale is not None and any(abs(f * scale - 1) > 1e-6 for f in declared.scales)
    if any(own) and other and declared.scale is None:
        raise SceneError(
            f"{path}: {vouched}, but it declares the factor {_list(declared.scales)}; correct one, or pass --scale"
        )
    if any(own) and not other:
        return replace(_from_file(path, declared, offset, source), scale_declared=scale is not None)
    if scale is not None:
        said = " and ".join(filter(None, [vouched, source]))
        return Scaling((1 / scale,) * n, ((offset or 0) / scale,) * n, said, offset is not None)
    bright = float(np.nanpercentile(stored, 99))
    unit = declared.floating and bright <= HIGHEST
    if declared.landsat:
        if unit:
            return Scaling((1.0,) * n, (0.0,) * n, "Landsat's, already reflectance", fixed=True)
        factors, addends = (LANDSAT_SCALING[0],) * n, (LANDSAT_SCALING[1],) * n
        return Scaling(factors, addends, "Landsat Collection 2 Level 2", fixed=True)
    factor = 1.0 if unit else 1 / QUANTIFICATION
    said = f"{'reflectance' if unit else 'digital numbers'} by their size"
    if source:
        said += f", {source}"
    addend = (offset or 0) / QUANTIFICATION
    return Scaling((factor,) * n, (addend,) * n, said, offset is not None, scale_declared=False)


def _declared_number(
    path: Path, declared: Declared, tags: Sequence[str], option: str, given: float | None
) -> tuple[float | None, str]:
    """The value that tags or the caller declare, and which of them in words."""
    found: dict[str, float] = {}
    for tag in tags:
        text = declared.tags.get(tag)
        try:
            found |= {} if text is None else {f"tag {tag} {text}": float(text)}
        except ValueError:
            raise SceneError(f"{path}: tag {tag} is {text!r}, expected a number; correct the tag") from None
    if given is not None:
        found[f"{option} {given:g}"] = given
    said = " and ".join(found)
    if len(set(found.values())) > 1:
        raise SceneError(f"{path}: {said} contradict each other; correct the tag, or leave {option} out")
    return next(iter(found.values()), None), said


def _from_file(path: Path, declared: Declared, offset: float | None, source: str) -> Scaling:
    """Scale and offset of the file's bands, to which an offset of tags or the caller is added where it has none."""
    factor, addend = tuple(declared.scales), tuple(declared.offsets)
    if offset is not None:
        implied = tuple(offset * f for f in factor)
        if any(addend) and any(abs(a - b) > 1e-6 for a, b in zip(addend, implied, strict=True)):
            raise SceneError(
                f"{path}: {source} means {_list(implied)} in reflectance, but it declares the offset {_list(addend)} "
                "of its own; correct one"
            )
        return Scaling(factor, implied, f"scale in the file, {source}")
    return Scaling(factor, addend, "scale and offset in the file", offset_declared=any(addend))


def _list(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in dict.fromkeys(values))


def check_plausible(path: Path, names: Sequence[str], reflectance: Float, scaling: Scaling) -> None:
    """Raise a ``SceneError`` where a sample does not look like reflectance of the Earth in these bands.

    What someone has declared is contradicted only by what cannot be.

    Args:
        path: for messages.
        names: the bands, Sentinel-2 names.
        reflectance: of pixels with data, ``(bands, n)``.
        scaling: how it was computed.
    """
    low, high = np.nanpercentile(reflectance, (1, 99), axis=1)
    darkest, brightest = float(low.min()), float(high.max())
    found = f"{path}: {scaling}"
    if not darkest >= LOWEST or not brightest <= HIGHEST:
        raise SceneError(
            f"{found} gives {darkest:.3g} to {brightest:.3g}, but nothing reflects less than {LOWEST} or more than "
            f"{HIGHEST}: pass --scale (stored value of a reflectance of 1) and --offset as its metadata say; if such "
            "values mean no data, declare it: `rio edit-info --nodata VALUE FILE`"
        )
    middle = float(np.median(reflectance.max(axis=0)))
    if middle < 0:
        raise SceneError(
            f"{found} leaves half of the pixels below 0 in every band; stored with another scale? Pass --scale (stored "
            f"value of a reflectance of 1, such as {QUANTIFICATION})"
        )
    if scaling.fixed:
        return
    if darkest < -0.03 and "--offset 0" not in scaling.source:
        offset = any(a < 0 for a in scaling.addend)
        why = "an offset applied twice? Correct the tag, or pass" if offset else "if that is right, pass"
        raise SceneError(f"{found} makes {names[int(low.argmin())]} as dark as {darkest:.3f}: {why} --offset 0")
    from_space = {"B2", "B10"} <= set(names)  # Level-2A has no B10
    dim = low[list(names).index("B2")] < RAYLEIGH if from_space else brightest < TOO_DARK
    near = _near_infrared_of_plants(names, reflectance)
    bright = darkest > TOO_BRIGHT or middle > 1
    if not scaling.scale_declared and (dim or bright or near > TOO_GREEN):
        what = f"plants reflect {near:.2f} in B8" if near > TOO_GREEN else f"its brightest band reaches {brightest:.3f}"
        raise SceneError(
            f"{found}: {what}, its darkest pixels {darkest:.3f}, which is not what the Earth reflects. Landsat's "
            "numbers (--bands landsat8:…)? Another scale? Pass --scale (stored value of a reflectance of 1; --scale "
            f"{QUANTIFICATION} if that is right)"
        )
    if darkest >= DARK and not scaling.offset_declared:
        raise SceneError(
            f"{found} leaves no dark pixel: {names[int(low.argmin())]} is nowhere below {darkest:.3f}. A bright or "
            "hazy scene, or the +1000 of processing baseline 04.00? Pass --offset 0 or --offset -1000 (in Python "
            "offset=-1000), as the product's metadata say"
        )
    dark = [band for band, top in zip(names, high, strict=True) if top < 0.001 and band not in ("B9", "B10")]
    if scaling.scale_declared:  # corrected clear water may be as dark as that, but not the same everywhere
        dark = [band for band in dark if not np.ptp(reflectance[list(names).index(band)]) > 0]
    if dark:
        raise SceneError(
            f"{found} leaves {', '.join(dark)} dark everywhere; another unit, or an empty band? Write it again"
        )


def _near_infrared_of_plants(names: Sequence[str], reflectance: Float) -> float:
    """Median near-infrared reflectance of the pixels that look like plants; 0 where there are few, or no red."""
    if not {"B4", "B8"} <= set(names):
        return 0.0
    red, near = (reflectance[list(names).index(band)] for band in ("B4", "B8"))
    green = (near > 2.5 * red) & (red > 0)
    return float(np.median(near[green])) if green.mean() > 0.02 else 0.0
