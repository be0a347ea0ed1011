"""Flood map of an event from two images, with everything that its user needs: what ``ml4ops map`` does.

Explained in ``08_map_the_flood``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from ml4ops_helpers import DEFAULT_MODEL, __version__
from ml4ops_helpers.mapping import floodmaps as fm
from ml4ops_helpers.mapping.classmaps import ClassMap, is_class_map, read_class_map, read_permanent
from ml4ops_helpers.scenes.archives import stem
from ml4ops_helpers.scenes.opening import Reading
from ml4ops_helpers.scenes.rasters import SceneError, open_raster
from ml4ops_helpers.scenes.sentinel2 import PERMANENT_WATER
from ml4ops_helpers.uncertainty.areas import area_interval

SHIPPED = (
    "The network that ships with this program was trained on simulated scenes only; see its measured scores first."
)
"""Caveat of maps made by it."""
OUTLINED = (fm.NOT_OBSERVED, fm.PERMANENT, fm.FLOOD, fm.RECEDED, fm.UNKNOWN_BEFORE)


@dataclass(frozen=True)
class MapOptions:
    """How a map is made.

    Attributes:
        model, threshold, adapt: how a scene is mapped, see ``predict.map_files``.
        reading: what is to be said about scenes, see ``opening.Reading``.
        permanent: layer of permanent water.
        days: of the two images.
        min_area: minimum mapping unit of the outlines, m².
        simplify: how far an outline may move, metres.
        area_factor: from ``fit_area_factor``, for an interval of the flood's area; None for no interval.
        area_level: level that the factor was fitted for, for the report.
    """

    model: str = DEFAULT_MODEL
    threshold: float | None = None
    adapt: bool = True
    reading: Reading = field(default_factory=Reading)
    permanent: Path | None = None
    days: tuple[date, date] | None = None
    min_area: float = 1000
    simplify: float = 10
    area_factor: float | None = None
    area_level: float | None = None

    @property
    def says_how_to_read(self) -> bool:
        """Whether anything is said about scenes; an offset of 0 is something."""
        return any(value is not None and value is not False for value in self.reading.values())


@dataclass(frozen=True, eq=False)
class Observed:
    """An image (or class map), its class map as a file and read, and the probability of water if a network made it."""

    path: Path
    file: Path
    classes: ClassMap
    water: Path | None = None


def map_event(
    pre: Path | str,
    post: Path | str,
    out: Path | str,
    options: MapOptions | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Path]:
    """Map a flood from two images, and write what a user needs.

    Args:
        pre: before the flood: a class map, or a product, which the network maps first.
        post: during or after it; the map is made on its grid.
        out: folder to write to; nothing appears there before everything is done.
        options: how.
        report: called with a line on how each product is read.

    Returns:
        The files: ``change`` (GeoTIFF), ``gpkg`` and ``geojson`` (outlines), ``areas`` (CSV), ``map`` (interactive,
        HTML), ``report`` (HTML), and ``pre_class`` and ``post_class`` where a product was mapped.

    Raises:
        SceneError: a file cannot be used, or the two show different places or are not in order.
        ModelError: the weights do not exist.
    """
    out, options = Path(out).absolute(), options or MapOptions()
    if out.exists() and not out.is_dir():
        raise SceneError(f"{out}: a file, expected a folder to write to; choose another name")
    if Path(pre).resolve() == Path(post).resolve():
        raise SceneError(f"{pre}: given as the image before and after; pass two images")
    if options.days and not options.days[0] < options.days[1]:
        first, second = options.days
        raise SceneError(f"the image before is of {first}, the one after of {second}; pass the earlier one first")
    if options.says_how_to_read and is_class_map(pre) and is_class_map(post):
        raise SceneError(f"{pre}, {post}: class maps, which --bands, --offset, --scale, --quality say nothing about")
    layer = None if options.permanent is None else read_permanent(options.permanent)
    place = next(folder for folder in (out, *out.parents) if folder.is_dir())
    with tempfile.TemporaryDirectory(prefix=".ml4ops-map-", dir=place) as work:
        days = options.days or (None, None)
        before, after = (
            observe(path, Path(work) / when, options, day, report)
            for path, when, day in zip((pre, post), ("pre", "post"), days, strict=True)
        )
        change = fm.difference(before.classes, after.classes, layer)
        made = _write_all(Path(work), before, after, change, layer, options)
        out.mkdir(parents=True, exist_ok=True)
        return {kind: path.replace(out / path.name) for kind, path in made.items()}


def observe(
    path: Path | str,
    work: Path,
    options: MapOptions,
    day: date | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Observed:
    """Class map of a file: read, or made by a network in the folder ``work``; errors as for ``map_event``."""
    path = Path(path)
    if is_class_map(path):
        return Observed(path, path, read_class_map(path, day))
    from ml4ops_helpers.mapping.predict import map_file

    try:
        how = {name: getattr(options, name) for name in ("model", "threshold", "adapt")}
        made = map_file(path, work, **how, **options.reading, report=report)
    except SceneError as error:
        if not options.says_how_to_read:
            raise
        raise SceneError(
            f"{error}. Options hold for both images: where they differ, `ml4ops predict` each, then map the class maps"
        ) from None
    return Observed(path, made.class_map, read_class_map(made.class_map, day), made.water)


def _write_all(
    folder: Path, before: Observed, after: Observed, change: ClassMap, layer: ClassMap | None, options: MapOptions
) -> dict[str, Path]:
    """Write every file into a folder; returns them by kind."""
    from ml4ops_helpers.mapping.pictures import PICTURE_BANDS, picture_of
    from ml4ops_helpers.mapping.report import event_report
    from ml4ops_helpers.mapping.vectors import vectorise, write_vectors
    from ml4ops_helpers.mapping.webmap import interactive_map

    name = stem(after.path)
    title = f"Flood map: {name}"
    outlines = vectorise(change, codes=OUTLINED, min_area=options.min_area, simplify=options.simplify)
    shown = change.grid.north_up()
    bands = PICTURE_BANDS["swir"]
    if before.water or after.water:
        from ml4ops_helpers.mapping.predict import model_bands

        bands = model_bands(options.model)
    pictures = {
        f"{when}: {_named(one.path)}": picture_of(one.path, shown, bands, **options.reading)
        for when, one in (("before", before), ("after", after))
    }
    shipped = (before.water or after.water) and not options.model.endswith(".safetensors")
    report = event_report(
        change,
        title=title,
        pictures=pictures,
        facts=_facts(before, after, change, layer, options),
        interval=_interval(after, change, options.area_factor),
        level=options.area_level,
        caveats=[SHIPPED] if shipped else [],
    )
    made = {
        "change": fm.write_change(folder / f"{name}_change.tif", change),
        "gpkg": write_vectors(folder / f"{name}_flood.gpkg", outlines),
        "geojson": write_vectors(folder / f"{name}_flood.geojson", outlines),
    }
    texts = {
        "areas": ("areas.csv", fm.change_areas(change).to_csv()),
        "map": ("map.html", interactive_map(outlines, shown, pictures, title)),
        "report": ("report.html", report),
    }
    for kind, (ending, text) in texts.items():
        made[kind] = folder / f"{name}_{ending}"
        made[kind].write_text(text, encoding="utf-8")
    mapped = {"pre_class": before, "post_class": after}
    return made | {k: one.file.rename(folder / f"{name}_{k}.tif") for k, one in mapped.items() if one.water}


def _interval(after: Observed, change: ClassMap, factor: float | None) -> fm.Bounds | None:
    """Interval of the new flood in what was seen, where a network gave the probability of water."""
    if factor is None or after.water is None:
        return None
    with open_raster(after.water) as source:
        return fm.Bounds(*area_interval(fm.expected_flood(change, source.read(1)), factor))


def _facts(
    before: Observed, after: Observed, change: ClassMap, layer: ClassMap | None, options: MapOptions
) -> dict[str, str]:
    """How the map was made, for its report."""
    facts = {}
    for when, one in (("before", before), ("after", after)):
        facts[f"image {when}"] = f"{_named(one.path)}{'' if one.classes.day is None else f', {one.classes.day}'}"
        with open_raster(one.file) as source:
            tags = source.tags()
        if "READ_AS" in tags:
            facts[f"read, {when}"] = tags["READ_AS"]
        if "UNLIKE_TRAINING" in tags:
            facts[f"unusual, {when}"] = tags["UNLIKE_TRAINING"]
        if "MODEL" in tags:
            facts[f"network, {when}"] = (
                f"{Path(tags['MODEL']).name}; water from a probability of {float(tags['THRESHOLD']):.3f} on"
            )
    grid = change.grid
    facts["permanent water"] = "no layer given"
    if layer and options.permanent:
        share = float((layer.codes == PERMANENT_WATER).mean())
        facts["permanent water"] = f"{_named(options.permanent)}, {share:.1%} of it permanent"
    facts["place"] = "{:.4f}° E, {:.4f}° N".format(*grid.centre)
    facts["grid"] = f"{grid.shape[0]} × {grid.shape[1]} pixels of {grid.side:g} {grid.unit}, {grid.crs.to_string()}"
    facts["outlines"] = f"patches of at least {options.min_area:g} m², moved by at most {options.simplify:g} m"
    return facts | {"program": f"ml4ops {__version__}"}


def _named(path: Path) -> str:
    """A file with its folder: images before and after often have the same name."""
    return f"{path.parent.name}/{path.name}" if path.parent.name else path.name
