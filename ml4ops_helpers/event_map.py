"""From two images to all that a user of a flood map asks for: what ``ml4ops map`` does.

Explained in ``08_map_the_flood``.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from affine import Affine
from rasterio.warp import Resampling, reproject
from rasterio.windows import Window

from ml4ops_helpers import __version__
from ml4ops_helpers.classmaps import ClassMap, align, read_class_map, read_permanent
from ml4ops_helpers.floodmaps import (
    FLOOD,
    NOT_OBSERVED,
    PERMANENT,
    RECEDED,
    UNKNOWN_BEFORE,
    Bounds,
    change_areas,
    difference,
    vectorise,
    write_change,
    write_vectors,
)
from ml4ops_helpers.grids import Grid
from ml4ops_helpers.plots import label_picture
from ml4ops_helpers.predict import map_file
from ml4ops_helpers.products import open_product
from ml4ops_helpers.rasters import SceneError, open_raster
from ml4ops_helpers.report import event_report
from ml4ops_helpers.sentinel2 import Float, composite
from ml4ops_helpers.webmap import MOST_PIXELS, interactive_map

PICTURE_BANDS = ("B11", "B8", "B4")
SHIPPED = (
    "The network that ships with this program was trained on simulated scenes only; see its measured scores first."
)
"""Caveat of maps made by it."""
OUTLINED = (NOT_OBSERVED, PERMANENT, FLOOD, RECEDED, UNKNOWN_BEFORE)


@dataclass(frozen=True)
class MapOptions:
    """How a map is made.

    Attributes:
        model, threshold, bands, offset: how a scene is mapped, see ``predict.map_files``.
        permanent: layer of permanent water, if there is one.
        days: of the two images, where they are known.
        min_area: minimum mapping unit of the outlines, m².
        simplify: how far an outline may move, metres.
        error: true area over mapped area, least and most, from validation events.
    """

    model: str = "unet"
    threshold: float | None = None
    bands: tuple[str, ...] | None = None
    offset: int | None = None
    permanent: Path | None = None
    days: tuple[date, date] | None = None
    min_area: float = 1000
    simplify: float = 10
    error: Bounds | None = None


@dataclass(frozen=True, eq=False)
class Observed:
    """An image and what it was mapped to.

    Attributes:
        path: the image, or the class map where there was none.
        file: the class map.
        classes: what the file holds.
    """

    path: Path
    file: Path
    classes: ClassMap

    @property
    def mapped(self) -> bool:
        """Whether a network made the class map just now."""
        return self.file != self.path


def map_event(pre: Path | str, post: Path | str, out: Path | str, options: MapOptions | None = None) -> dict[str, Path]:
    """Map a flood from two images, and write what a user needs.

    Args:
        pre: before the flood: a class map, or a product that the network maps first.
        post: during or after it; the map is made on its grid.
        out: folder to write to; nothing appears there before everything is done.
        options: how.

    Returns:
        The files: ``change`` (GeoTIFF), ``gpkg`` and ``geojson`` (outlines), ``areas`` (CSV), ``map`` (interactive,
        HTML), ``report`` (HTML), and ``pre_class`` and ``post_class`` where a product was mapped.

    Raises:
        SceneError: a file cannot be used, or the two show different places.
        ModelError: there are no such weights.
    """
    out, options = Path(out).absolute(), options or MapOptions()
    if out.exists() and not out.is_dir():
        raise SceneError(f"{out}: a file, expected a folder to write to; choose another name")
    layer = None if options.permanent is None else read_permanent(options.permanent)
    place = next(folder for folder in (out, *out.parents) if folder.is_dir())
    with tempfile.TemporaryDirectory(prefix=".ml4ops-map-", dir=place) as work:
        days = options.days or (None, None)
        before, after = (
            observe(path, Path(work) / when, options, day)
            for path, when, day in zip((pre, post), ("pre", "post"), days, strict=True)
        )
        change = difference(before.classes, after.classes, layer)
        made = _write_all(Path(work), before, after, change, options)
        out.mkdir(parents=True, exist_ok=True)
        return {kind: path.replace(out / path.name) for kind, path in made.items()}


def is_class_map(path: Path | str) -> bool:
    """Whether a file holds class codes, not an image: one band of uint8."""
    if Path(path).is_dir():
        return False
    with open_raster(path) as source:
        return bool(source.count == 1 and source.dtypes[0] == "uint8")


def observe(path: Path | str, work: Path, options: MapOptions, day: date | None = None) -> Observed:
    """Class map of a file: read, or made from a product by a network.

    Args:
        path: a class map, or any product that ``products.open_product`` takes.
        work: folder for a class map made here.
        options: how a product is mapped.
        day: when the image was taken.

    Raises:
        SceneError: the file is neither.
        ModelError: there are no such weights.
    """
    path, file = Path(path), Path(path)
    if not is_class_map(path):
        how = {"model": options.model, "threshold": options.threshold, "bands": options.bands, "offset": options.offset}
        file = map_file(path, work, **how).class_map
    return Observed(path, file, read_class_map(file, day))


def picture_of(path: Path | str, grid: Grid, options: MapOptions | None = None) -> Float:
    """Picture of a scene or class map, thinned to what a page can show, over the area of a grid.

    Args:
        path: the file; a scene is shown in short-wave infrared, near infrared and red.
        grid: what the picture has to cover, whatever the file's CRS.
        options: what the bands of a scene are, and its offset.

    Returns:
        float32 ``(height, width, 3)`` in 0 to 1, black where the file does not reach.
    """
    options = options or MapOptions()
    step = -(-max(grid.shape) // MOST_PIXELS)
    coarse = _thinned(grid, step)
    if is_class_map(path):
        return label_picture(align(read_class_map(path), coarse).codes)
    with open_product(path, PICTURE_BANDS, names=options.bands, offset=options.offset) as product:
        own = _thinned(Grid(product.shape, product.crs, product.transform), step)
        strips = [
            product.read(Window(0, row, product.shape[1], min(step, product.shape[0] - row)))[:, 0, ::step]
            for row in range(0, product.shape[0], step)
        ]
    bands = np.stack(strips, axis=1)
    if not own.same_as(coarse):
        where = {"src_crs": own.crs, "src_transform": own.transform, "dst_crs": coarse.crs}
        moved = np.zeros((len(bands), *coarse.shape), np.float32)
        reproject(bands, moved, dst_transform=coarse.transform, resampling=Resampling.bilinear, src_nodata=np.nan,
                  dst_nodata=0, **where)  # fmt: skip
        bands = moved
    return composite(bands, PICTURE_BANDS, "swir")


def _thinned(grid: Grid, step: int) -> Grid:
    shape = (-(-grid.shape[0] // step), -(-grid.shape[1] // step))
    a, b, c, d, e, f = grid.transform[:6]
    return Grid(shape, grid.crs, Affine(a * step, b * step, c, d * step, e * step, f))


def _write_all(
    folder: Path, before: Observed, after: Observed, change: ClassMap, options: MapOptions
) -> dict[str, Path]:
    """Write every file into a folder; which is which."""
    name = after.path.stem
    title = f"Flood map: {name}"
    outlines = vectorise(change, codes=OUTLINED, min_area=options.min_area, simplify=options.simplify)
    pictures = {
        f"{when}: {one.path.name}": picture_of(one.path, change.grid, options)
        for when, one in (("before", before), ("after", after))
    }
    shipped = (before.mapped or after.mapped) and not options.model.endswith(".safetensors")
    report = event_report(
        change, title=title, pictures=pictures, facts=_facts(before, after, change, options), error=options.error,
        caveats=[SHIPPED] if shipped else [],
    )  # fmt: skip
    made = {
        "change": write_change(folder / f"{name}_change.tif", change),
        "gpkg": write_vectors(folder / f"{name}_flood.gpkg", outlines),
        "geojson": write_vectors(folder / f"{name}_flood.geojson", outlines),
    }
    texts = {
        "areas": ("areas.csv", change_areas(change).to_csv()),
        "map": ("map.html", interactive_map(outlines, change.grid, pictures, title)),
        "report": ("report.html", report),
    }
    for kind, (ending, text) in texts.items():
        made[kind] = folder / f"{name}_{ending}"
        made[kind].write_text(text, encoding="utf-8")
    mapped = {"pre_class": before, "post_class": after}
    return made | {k: one.file.rename(folder / f"{name}_{k}.tif") for k, one in mapped.items() if one.mapped}


def _facts(before: Observed, after: Observed, change: ClassMap, options: MapOptions) -> dict[str, str]:
    """How the map was made, for its report."""
    facts = {}
    for when, one in (("before", before), ("after", after)):
        facts[f"image {when}"] = f"{one.path.name}{'' if one.classes.day is None else f', {one.classes.day}'}"
        with open_raster(one.file) as source:
            tags = source.tags()
        if "MODEL" in tags:
            facts[f"network, {when}"] = (
                f"{tags['MODEL']}; water from a probability of {float(tags['THRESHOLD']):.3f} on"
            )
    side = abs(change.grid.transform.a)
    facts["permanent water"] = options.permanent.name if options.permanent else "no layer given"
    facts["place"] = "{:.4f}° E, {:.4f}° N".format(*change.grid.centre)
    facts["grid"] = f"{change.grid.shape[0]} × {change.grid.shape[1]} pixels of {side:g}, {change.grid.crs.to_string()}"
    facts["outlines"] = f"patches of at least {options.min_area:g} m², moved by at most {options.simplify:g} m"
    return facts | {"program": f"ml4ops {__version__}"}
