"""The one door for scenes: products as delivered are opened here, and what decides how they are read is decided here.

A product is a raster file with Sentinel-2 or Landsat bands, a ``.SAFE`` folder or a folder of Landsat bands, packed or
not. What is decided about it, and from what, is said in a line; what is ambiguous is refused with a question.
Explained in ``05_run_inference``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np
import rasterio
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.windows import Window

from ml4ops_helpers.scenes.archives import Archive, landsat_files, only_image, open_archive, safe_files, spacecraft
from ml4ops_helpers.scenes.bands import (
    ORDERS,
    QUALITY,
    identify,
    is_alpha,
    is_landsat,
    looks_like_level_1c,
    quality_of,
    two_meanings,
)
from ml4ops_helpers.scenes.products import Decision, Layer, Product, all_equal, check_share
from ml4ops_helpers.scenes.rasters import SceneError, WindowReader, check_georeference, open_raster
from ml4ops_helpers.scenes.scaling import (
    LOWEST,
    OFFSET_TAGS,
    SCALE_TAGS,
    Declared,
    Scaling,
    check_plausible,
    decide_scaling,
)
from ml4ops_helpers.scenes.sentinel2 import BANDS, Float

EVIDENCE = ("B2", "B3", "B4", "B8", "B10", "B11")
"""Bands that are looked at, where there are, to decide how a product is read."""


class Reading(TypedDict, total=False):
    """What a caller says about a product that the product doesn't say itself.

    Attributes:
        names: bands of a raster file, in order, where it doesn't name them, or names them wrongly.
        offset: ``RADIO_ADD_OFFSET`` (0 or −1000) where nothing declares it.
        scale: stored value of a reflectance of 1, where nothing declares it and the values don't show it.
        quality: whether to leave out what the product's own layer (``SCL``, ``QA_PIXEL``, ``Fmask``) calls unclear.
    """

    names: Sequence[str] | None
    offset: int | None
    scale: float | None
    quality: bool


@dataclass(frozen=True)
class Source:
    """What opening a product finds, before anything is decided: its layers with the names of the bands they hold.

    Attributes:
        path: file or folder.
        kind: of the product, in words.
        named: Sentinel-2 band of each layer; None for a layer of another kind.
        layers: one a band.
        by: what decided which bands they are, in words.
        declared: scale and offset of every layer.
        scaling: where the product's metadata give it.
        alpha: layer that is 0 where there are no data.
        quality: layer that says what each pixel shows, and its kind.
        unnamed: whether nothing but their number tells what thirteen bands are.
        note: what a message adds when a band is missing.
    """

    path: Path
    kind: str
    named: tuple[str | None, ...]
    layers: tuple[Layer, ...]
    by: str
    declared: Declared
    scaling: tuple[float, float, str] | None = None
    alpha: Layer | None = None
    quality: tuple[Layer, str] | None = None
    unnamed: bool = False
    note: str = ""


@contextmanager
def open_product(path: Path | str, bands: Sequence[str] | None = None, **reading: Unpack[Reading]) -> Iterator[Product]:
    """Open a product and decide how it is read; its files are closed at the end.

    Args:
        path: a raster file, a ``.SAFE``, or Landsat bands (``…_SR_B2.TIF``, …); all as folder, zip or tar file, too.
        bands: bands to read, Sentinel-2 names; default all that the product has.
        reading: see ``Reading``.

    Yields:
        The product.

    Raises:
        SceneError: it cannot be read, lacks a band, is not georeferenced, is ambiguous, or looks like no reflectance.
    """
    reader = WindowReader()
    try:
        yield decide(path, bands, reader, **reading)
    finally:
        reader.close()


def decide(path: Path | str, bands: Sequence[str] | None, reader: WindowReader, **reading: Unpack[Reading]) -> Product:
    """How a product is read; arguments and errors as for ``open_product``, ``reader`` opens its files."""
    path = Path(path)
    archive = open_archive(path)
    source = _raster(path, reading, str(path)) if archive is None else _folder(archive, reading)
    chosen, layers = _choose(source, bands)
    product = _product(source, chosen, layers, reader)
    if source.unnamed:
        _check_order(_product(source, BANDS, source.layers, reader))
    # Cirrus shows an offset best; with the others, every use of a file decides alike.
    few = len({layer.file for layer in source.layers}) > 1
    usual = [band for band in EVIDENCE if source.named.count(band) == 1 and band not in chosen]
    try:
        evidence, also = _choose(source, [*chosen, *usual])
        stored = _sample(_product(source, evidence, also, reader), few=few)
    except SceneError:  # one of them may be empty
        evidence = chosen
        stored = _sample(product, few=few)
    scaling = _scaling(source, evidence, stored)
    reflectance = scaling.apply(stored)
    check_plausible(path, evidence, reflectance, scaling)
    if ((reflectance < 0) & (reflectance >= LOWEST)).any():  # reflectance that passes through zero
        layers = tuple(replace(layer, zero=False) for layer in layers)
    scaling = replace(scaling, factor=scaling.factor[: len(chosen)], addend=scaling.addend[: len(chosen)])
    quality = source.quality if reading.get("quality") else None
    if reading.get("quality") and not quality:
        raise SceneError(f"{path}: no quality layer ({', '.join(QUALITY)}); leave --quality out")
    product = replace(product, layers=layers, scaling=scaling, flags=(*product.flags, *filter(None, [quality])))
    return replace(product, decision=_decision(source, product))


def _raster(path: Path, reading: Reading, file: str) -> Source:
    """A raster file, maybe packed: its bands by given names, its own names, or the order of Level-1C."""
    names = reading.get("names")
    with open_raster(file) as source:
        if not source.count:
            raise SceneError(
                f"{path}: no bands, but {len(source.subdatasets)} data sets in it; join those that are needed "
                "(`gdalbuildvrt -separate OUT.vrt …`) and name them with --bands"
            )
        kinds = [np.dtype(dtype).kind for dtype in source.dtypes]
        if set(kinds) - set("uif"):
            raise SceneError(f"{path}: {source.dtypes[0]} values, expected numbers; convert it")
        own: list[str | None] = [*names] if names else [text or None for text in source.descriptions]
        marked = source.count > 1 and source.colorinterp[-1] == ColorInterp.alpha
        if len(own) == source.count - 1 and marked:
            own.append("alpha")
        if len(own) != source.count:
            raise SceneError(
                f"{path}: {source.count} bands, but {len(own)} names, {', '.join(map(str, own))}; pass one name a band"
            )
        # GDAL marks the second band when it is told of an alpha band without its place; only the last mark counts.
        alpha = next((i for i, text in enumerate(own) if is_alpha(path, text)), None)
        if alpha is None and marked and own[-1] is None:
            alpha = source.count - 1
        positions = [i for i in range(source.count) if i != alpha]
        opaque = None if alpha is None else _layer(source, alpha)
        layers = tuple(_layer(source, i) for i in positions)
        if opaque:
            layers = tuple(replace(layer, zero=False) for layer in layers)
        declared = Declared(
            [source.scales[i] for i in positions],
            [source.offsets[i] for i in positions],
            _tags(path, source),
            False,
            False,
            reading.get("offset"),
            reading.get("scale"),
        )
    count = len(positions)
    texts: Sequence[str | None] = [own[i] for i in positions]
    by, unnamed = "named in the file", False
    if names is not None:
        by = "as given"
    elif not any(texts):
        if count == 1:
            raise SceneError(f"{path}: a single band; pass the folder of the whole product, or a file of all its bands")
        if count != len(BANDS):
            orders = [f"--bands {name}" for name, order in ORDERS.items() if len(order) == count and name != "all"]
            raise SceneError(
                f"{path}: {count} bands without names; name them, such as "
                f"{' or '.join(orders) or '--bands B2,B3,B4,B8'}"
            )
        texts, unnamed, by = BANDS, True, "13 without names, in the order of Level-1C: B10 is darkest, B8A like B8"
    named = identify(path, texts, Path(file).name)
    quality = next(
        ((layer, kind) for layer, text in zip(layers, texts, strict=True) if (kind := quality_of(text))), None
    )
    note = two_meanings(texts) or f"its bands are named {', '.join(text or '(no name)' for text in texts)}"
    floating = any(kinds[layer.position - 1] == "f" for layer, band in zip(layers, named, strict=True) if band)
    declared = replace(declared, landsat=is_landsat(Path(file), texts), floating=floating)
    what = "Landsat raster" if declared.landsat else "raster"
    if file != str(path):
        what += f" {Path(file).name}"
    return Source(path, what, tuple(named), layers, by, declared, None, opaque, quality, unnamed, note)


def _tags(path: Path, source: rasterio.DatasetReader) -> dict[str, str]:
    """Offset and scale in the tags of a file or of its bands, by tag."""
    found: dict[str, set[str]] = {}
    for tags in [source.tags(), *(source.tags(i) for i in source.indexes)]:
        for name, text in tags.items():
            if name.upper() in (*OFFSET_TAGS, *SCALE_TAGS, "PROCESSING_BASELINE"):
                found.setdefault(name.upper(), set()).add(text)
    for name, texts in found.items():
        if len(texts) > 1:
            raise SceneError(f"{path}: tag {name} is {' and '.join(sorted(texts))} in its bands; correct the tags")
    return {name: texts.pop() for name, texts in found.items()}


def _layer(source: rasterio.DatasetReader, index: int) -> Layer:
    """A band of a file. Where the file declares what is no data, 0 is a value like any other."""
    flags, nodata = source.mask_flag_enums[index], source.nodatavals[index]
    mask = index + 1 if not flags else int(MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags)
    return Layer(source.name, index + 1, nodata, zero=nodata is None and not mask, mask=mask)


def _folder(archive: Archive, reading: Reading) -> Source:
    """A ``.SAFE`` product, or a folder of Landsat bands: their own metadata decide."""
    path = archive.path
    if safe := safe_files(archive):
        bands = {band: safe.bands[band] for band in BANDS if band in safe.bands}
        factor = 1 / safe.quantification
        scaling = (factor, safe.offset * factor, safe.metadata)
        _check_given(path, reading, f"{safe.metadata} says", offset=safe.offset, scale=safe.quantification)
        return _of_files(path, "Sentinel-2 product", bands, scaling, (safe.quality, "SCL") if safe.quality else None)
    if not (found := landsat_files(archive)):
        return _raster(path, reading, only_image(archive))
    scene, files = found
    _check_given(path, reading, "the archive's scaling is", offset=None, scale=None)
    kind = next((kind for kind in QUALITY if kind in files), None)
    quality = (files.pop(kind), kind) if kind else None
    try:
        bands_of = identify(path, list(files), f"{spacecraft(archive)}{scene}")
    except SceneError:
        raise SceneError(
            f"{path}: bands {', '.join(files)} of a Landsat satellite that nothing names; SR_B5 is near infrared on 8 "
            "and 9, short-wave infrared on 4 to 7: keep the names as delivered (LC08_…, LE07_…), or the _MTL file"
        ) from None
    named = dict(zip(bands_of, files.values(), strict=True))
    whose = "HLS" if scene.startswith("HLS") else "Landsat"
    return _of_files(path, f"{whose} product {scene}", {b: f for b, f in named.items() if b}, None, quality)


def _check_given(path: Path, reading: Reading, whose: str, **own: float | None) -> None:
    """An option that the product's own metadata leave no room for is refused, unless it says the same."""
    if reading.get("names") is not None:
        raise SceneError(f"{path}: --bands, but its files are named by band; leave --bands out")
    for name, value in own.items():
        given = reading.get(name)
        if given is not None and given != value:
            said = "fixed" if value is None else f"{value:g}"
            raise SceneError(f"{path}: --{name} {given}, but {whose} {said}; leave --{name} out")


def _of_files(
    path: Path,
    kind: str,
    bands: dict[str, str],
    scaling: tuple[float, float, str] | None,
    quality: tuple[str, str] | None,
) -> Source:
    """A product with a file for each band."""
    layers, scales, offsets = [], [], []
    for file in bands.values():
        with open_raster(file) as source:
            layers.append(_layer(source, 0))
            scales.append(source.scales[0])
            offsets.append(source.offsets[0])
            floating = np.dtype(source.dtypes[0]).kind == "f"
    declared = Declared(scales, offsets, {}, kind.startswith("Landsat"), floating)
    found = None
    if quality:
        with open_raster(quality[0]) as source:
            found = _layer(source, 0), quality[1]
    note = f"it has {', '.join(bands)}"
    return Source(path, kind, tuple(bands), tuple(layers), "one a file", declared, scaling, None, found, False, note)


def _choose(source: Source, bands: Sequence[str] | None) -> tuple[tuple[str, ...], tuple[Layer, ...]]:
    """Names and layers of the bands wanted, or of all that there are."""
    wanted = [band for band in source.named if band] if bands is None else list(bands)
    missing = [band for band in wanted if band not in source.named]
    if missing or not wanted:
        raise SceneError(
            f"{source.path}: no band {', '.join(missing) or 'that is understood'}; {source.note}. Name its bands with "
            "--bands, or choose another model (index needs B3, B8 and B11 only)"
        )
    twice = [band for band in dict.fromkeys(wanted) if source.named.count(band) > 1]
    if twice:
        raise SceneError(
            f"{source.path}: more than one band is {', '.join(twice)}; {source.note}. Name those to use with --bands, "
            "the others as none"
        )
    return tuple(wanted), tuple(source.layers[source.named.index(band)] for band in wanted)


def _product(source: Source, bands: tuple[str, ...], layers: tuple[Layer, ...], reader: WindowReader) -> Product:
    """The layers on the grid of the finest, not scaled yet."""
    grids = []
    for file in {layer.file for layer in layers}:
        with open_raster(file) as opened:
            check_georeference(source.path, opened)
            grids.append((opened.shape, opened.crs, opened.transform))
    finest = max(grids, key=lambda grid: grid[0][1])
    for shape, crs, transform in grids:
        _check_same_place(source.path, finest, (shape, crs, transform))
    raw = Scaling((1.0,) * len(bands), (0.0,) * len(bands), "as stored")
    flags = () if source.alpha is None else ((source.alpha, "alpha"),)
    return Product(source.path, bands, *finest, layers, raw, flags, Decision("", "", "", ""), reader)


def _check_same_place(path: Path, grid: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    """Two files of a product must cover the same ground, to a pixel of the coarser."""
    (size, crs, transform), (size_2, crs_2, transform_2) = grid, other
    corners = [
        np.array([t @ (0, 0), t @ (width, height)]) for t, (height, width) in ((transform, size), (transform_2, size_2))
    ]
    pixel = max(abs(t.a) + abs(t.b) for t in (transform, transform_2))
    if crs != crs_2 or np.abs(corners[0] - corners[1]).max() > pixel:
        raise SceneError(f"{path}: its bands show different places; unpack each product into a folder of its own")


def _sample(product: Product, few: bool) -> Float:
    """Stored values of pixels with data, ``(bands, n)``: from small windows on a grid, else the first data found."""
    height, width = product.shape
    side = (min(height, 32), min(width, 32))
    # Few windows, one in the middle of each part: each may decode a block, of JPEG 2000 a large one.
    parts = 3 if few else 5
    rows, columns = (
        ((np.arange(parts) + 0.5) / parts * n - s / 2).clip(0).astype(int)
        for n, s in zip(product.shape, side, strict=True)
    )
    spread = [Window(int(column), int(row), side[1], side[0]) for row in rows for column in columns]
    values = np.concatenate([_with_data(product, window) for window in (spread[::2] if few else spread)], axis=1)
    if values.size:
        return values
    for row in range(0, height, 1024):
        for column in range(0, width, 1024):
            window = Window(column, row, min(1024, width - column), min(1024, height - row))
            if (values := _with_data(product, window)).size:
                return values
    raise SceneError(f"{product.path}: no data, no pixel has a value in every band; leave the file out")


def _with_data(product: Product, window: Window) -> Float:
    """Stored values of a window where every band has one, 0 counted as none."""
    layers = tuple(replace(layer, zero=True) for layer in product.layers)
    stored = product.stored(window)
    missing = replace(product, layers=layers).missing(stored, window)
    if len(stored) > 3:
        missing |= all_equal(stored)
    return stored[:, ~missing].astype(np.float32)


def _scaling(source: Source, bands: Sequence[str], stored: Float) -> Scaling:
    if source.scaling:
        factor, addend, said = source.scaling
        return Scaling((factor,) * len(bands), (addend,) * len(bands), said, fixed=True)
    at = [source.named.index(band) for band in bands]
    scales, offsets = ([values[i] for i in at] for values in (source.declared.scales, source.declared.offsets))
    found = decide_scaling(source.path, bands, stored, replace(source.declared, scales=scales, offsets=offsets))
    return replace(found, fixed=found.fixed or source.kind.startswith("HLS"))


def _check_order(product: Product) -> None:
    sample = _sample(product, few=False)
    if looks_like_level_1c(sample):
        return
    classes = "The last looks like SCL: --bands l2a,SCL? " if sample[-1].max() <= 11 else ""
    raise SceneError(
        f"{product.path}: 13 bands without names that do not look like Level-1C's order (B10 darkest, B8A as bright as "
        f"B8). {classes}Pass --bands l1c if they are, --bands eurosat, --bands l2a,SCL or l2a,alpha, or names"
    )


def _decision(source: Source, product: Product) -> Decision:
    values = {f"{layer.nodata:g}" for layer in product.layers if layer.nodata is not None}
    missing = sorted(values - {"0"})
    if any(layer.zero or layer.nodata == 0 for layer in product.layers):
        missing.append("0")
    missing += ["masked"] if any(layer.mask for layer in product.layers) else []
    missing += [f"hidden by {kind}" for _, kind in product.flags]
    ignored = len(source.named) - sum(band is not None for band in source.named)
    also = f", {ignored} other left out" if ignored else ""
    return Decision(
        source.kind,
        f"{', '.join(product.bands)} ({source.by}{also})",
        str(product.scaling),
        f"where any of these bands is {' or '.join([*missing, 'impossible'])}",
    )


def inspect(
    path: Path | str, bands: Sequence[str] | None = None, **reading: Unpack[Reading]
) -> tuple[dict[str, str], bool]:
    """How a product would be read, and whether it can't be; every pixel is looked at.

    Args:
        path: a product of any kind.
        bands: those that are needed.
        reading: see ``Reading``.

    Returns:
        What was found, by subject, and whether there is a problem.
    """
    found: dict[str, str] = {}
    try:
        with open_product(path, bands, **reading) as product:
            found |= product.decision._asdict()
            height, width = product.shape
            found["grid"] = f"{height} × {width} pixels, {product.crs.to_string()}"
            seen = impossible = 0
            for row in range(0, height, 512):
                window = Window(0, row, width, min(512, height - row))
                _, valid, number = product.decode(product.stored(window), window)
                seen, impossible = seen + int(valid.sum()), impossible + number
            found["pixels"] = f"{seen / (height * width):.1%} with data, {impossible / (height * width):.2%} impossible"
            check_share(product.path, impossible, height * width)
    except SceneError as error:
        return found | {"refused": str(error).removeprefix(f"{path}: ")}, True
    return found, False
