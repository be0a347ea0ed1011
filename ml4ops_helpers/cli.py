"""The command ``ml4ops``: make data, train, map scenes and floods, copy a course project.

Exit codes: 0 for success, 2 for wrong usage or input.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from . import DEFAULT_MODEL, PROFILES, __version__

if TYPE_CHECKING:
    from ml4ops_helpers.scenes import Reading

Command = Callable[[argparse.Namespace], None]
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # it has no public name


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command; each subcommand has an ``_add_…`` function that sets the function to call."""
    parser = argparse.ArgumentParser(prog="ml4ops", description="Map floods from Sentinel-2 and Landsat scenes.")
    parser.add_argument("--version", action="version", version=f"ml4ops {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_add_simulate, _add_train, _add_inspect, _add_map, _add_predict, _add_project):
        add(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with the given arguments, default the process's own, and return the exit code."""
    options = build_parser().parse_args(arguments)
    command: Command = options.call
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a terminated run cleans up, as after Ctrl-C
    try:
        command(options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:  # such as SceneError: they say what to do
        print(error, file=sys.stderr)
        return 2
    return 0


def _add_simulate(commands: Commands) -> None:
    parser = commands.add_parser("simulate", help="make the embedded data set")
    parser.add_argument("--profile", choices=PROFILES, default="lecture", help="size; default: lecture")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to write to; default: the cache")
    parser.set_defaults(call=_simulate)


def _simulate(options: argparse.Namespace) -> None:
    from ml4ops_helpers.datasets import get_dataset

    table = get_dataset("embedded", profile=options.profile, seed=options.seed, root=options.out)
    scenes = ", ".join(f"{n} {split}" for split, n in table.groupby("split", sort=False).size().items())
    print(f"{Path(table['image'].iloc[0]).parents[2]}: {scenes} scenes")


def _add_train(commands: Commands) -> None:
    parser = commands.add_parser("train", help="train a network")
    parser.add_argument(
        "--profile", choices=PROFILES, default="lecture", help="size of data and training; default: lecture"
    )
    parser.add_argument(
        "--data",
        default="embedded",
        help="embedded, sen1floods11 (its official splits), worldfloods, or a folder of scenes",
    )
    parser.add_argument("--model", choices=("linear", "cnn", "unet"), default="unet", help="default: unet")
    parser.add_argument("--bands", default="bgriswir", metavar="SET", help="a named band set; default: bgriswir")
    heads = ("classes", "cloud_water")
    parser.add_argument(
        "--heads", choices=heads, default="classes", help="three classes, or cloud and water separately"
    )
    parser.add_argument("--dropout", type=float, default=0.0, help="rate in the U-Net's decoder; default: 0")
    parser.add_argument(
        "--wide-air",
        action="store_true",
        help="also train on surfaces under air drawn anew each time, as the shipped flood network was; needs two heads",
    )
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--half", action="store_true", help="store the weights in 16 bits")
    parser.add_argument("--out", type=Path, metavar="FILE", help="weights to write; default: MODEL.safetensors")
    parser.set_defaults(call=_train)


def _train(options: argparse.Namespace) -> None:
    from ml4ops_helpers.datasets import dataset_hash, get_dataset, sen1floods11_official
    from ml4ops_helpers.datasets.windows import readings
    from ml4ops_helpers.evaluation.scoring import cloud_threshold, split_scores
    from ml4ops_helpers.models import build_model, save_model
    from ml4ops_helpers.training import CONFIGS, WIDE_AIR, make_ready, train

    out = options.out or Path(f"{options.model}.safetensors")
    config = replace((WIDE_AIR if options.wide_air else CONFIGS)[options.profile], seed=options.seed)
    if options.data == "sen1floods11":
        table = sen1floods11_official()
    else:
        table = get_dataset(options.data, profile=options.profile, seed=options.seed)
    model = build_model(options.model, options.bands, heads=options.heads, dropout=options.dropout, seed=options.seed)
    for decision, number in readings(table[table["split"].isin(["train", "val"])], model.bands).items():
        _say(f"{number} scene{'s' * (number > 1)}: {decision}")
    history = train(model, table, config, checkpoint=out.with_suffix(".checkpoint"), after_epoch=_report_epoch)
    about = {"threshold": history.threshold, "data": dataset_hash(table), "profile": options.profile}
    if options.wide_air:
        about |= make_ready(model, options.seed)
    if model.heads == "cloud_water":
        about["cloud_threshold"] = cloud_threshold(model, table[table["split"] == "val"])
    about |= {"val_iou": history.epochs[history.best]["val_iou"], "config": asdict(config)}
    save_model(model, out, about, half=options.half)
    print(f"{out}: epoch {history.best + 1}, threshold {about['threshold']:.3f}")
    if options.data == "sen1floods11":
        held_out = table[~table["split"].isin(["train", "val"])]
        print(split_scores(model, held_out, about["threshold"]).round(3).to_string())


def _report_epoch(number: int, row: dict[str, float]) -> None:
    print(f"epoch {number:3d}  " + "  ".join(f"{name} {value:.4f}" for name, value in row.items()), flush=True)


def _add_mapping(parser: argparse.ArgumentParser) -> None:
    """Options of all commands that map scenes."""
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        help=f"shipped weights, a .safetensors file, or index: a rule on water indices; default: {DEFAULT_MODEL}",
    )
    parser.add_argument(
        "--threshold", type=_share, metavar="P", help="lowest probability of water; default: the model's"
    )
    parser.add_argument(
        "--no-adapt", dest="adapt", action="store_false", help="do not adapt the network to the pixels of each scene"
    )
    _add_reading(parser)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    """Options of all commands that read scenes, and what is assumed without them."""
    group = parser.add_argument_group(
        "how scenes are read",
        "A file's own names, scales, tags and masks decide; what they leave open is taken from the values only where "
        "these leave no doubt, and reported. Otherwise the scene is refused, with the option that settles it.",
    )
    group.add_argument(
        "--bands",
        metavar="NAMES",
        help="bands of a raster file, in order: B2,B3,… or l1c, l2a, eurosat, landsat8, landsat7; with a sensor, "
        "landsat8:red,nir08; layers of other kinds by any other name (l2a,SCL)",
    )
    group.add_argument(
        "--offset", type=int, choices=(0, -1000), help="what is added to digital numbers (RADIO_ADD_OFFSET)"
    )
    group.add_argument("--scale", type=_size, metavar="N", help="stored value of a reflectance of 1, such as 10000")
    group.add_argument(
        "--quality", action="store_true", help="leave out what SCL, QA_PIXEL or Fmask calls cloud or shadow"
    )


def _reading(options: argparse.Namespace) -> Reading:
    from ml4ops_helpers.scenes import parse_bands

    names = parse_bands(options.bands) if options.bands else None
    return {"names": names, "offset": options.offset, "scale": options.scale, "quality": options.quality}


def _add_map(commands: Commands) -> None:
    parser = commands.add_parser("map", help="map a flood from images before and after it")
    parser.add_argument("pre", type=Path, metavar="PRE", help="scene or class map before the flood")
    parser.add_argument("post", type=Path, metavar="POST", help="scene or class map during or after it")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument("--permanent", type=Path, metavar="FILE", help="permanent water layer (JRC)")
    parser.add_argument("--dates", type=_day, nargs=2, metavar=("PRE", "POST"), help="of the images, YYYY-MM-DD")
    _add_mapping(parser)
    parser.add_argument(
        "--min-area", type=_size, default=1000, metavar="M2", help="smallest flooded area kept; default: 1000 m²"
    )
    parser.add_argument("--simplify", type=_size, default=10, metavar="M", help="tolerance of outlines; default: 10 m")
    parser.add_argument(
        "--area-factor", type=_size, metavar="K", help="half-width factor of the area interval; see page 08"
    )
    parser.add_argument("--area-level", type=_share, metavar="P", help="coverage for which it was fitted, 0 to 1")
    parser.set_defaults(call=_map)


def _map(options: argparse.Namespace) -> None:
    from ml4ops_helpers.mapping import MapOptions, map_event

    names = ("model", "threshold", "adapt", "permanent", "min_area", "simplify", "area_factor", "area_level")
    chosen = MapOptions(
        **{name: getattr(options, name) for name in names},
        reading=_reading(options),
        days=tuple(options.dates) if options.dates else None,
    )
    made = map_event(options.pre, options.post, options.out, chosen, report=_say)
    print(*(f"{kind:>10}  {path}" for kind, path in made.items()), sep="\n")


def positive(text: str) -> int:
    """A positive integer of the command line, or an ``ArgumentTypeError``."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return int(text)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date; write YYYY-MM-DD") from None


def _size(text: str) -> float:
    try:
        size = float(text)
    except ValueError:
        size = -1.0
    if not 0 <= size < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least 0")
    return size


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return share


def _add_predict(commands: Commands) -> None:
    parser = commands.add_parser("predict", help="map scenes: classes and probability of water")
    parser.add_argument(
        "scenes", nargs="+", metavar="SCENE", help="raster file, .SAFE, or Landsat bands; as zip, tar or tar.gz, too"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    _add_mapping(parser)
    parser.add_argument(
        "--engine", default="torch", help="inference engine; auto: the fastest installed; default: torch"
    )
    parser.add_argument(
        "--uncertainty", type=positive, default=0, metavar="T", help="also map uncertainty, from T samples"
    )
    parser.set_defaults(call=_predict)


def _predict(options: argparse.Namespace) -> None:
    from ml4ops_helpers.mapping.predict import map_files

    settings = {name: getattr(options, name) for name in ("model", "threshold", "adapt", "engine", "uncertainty")}
    for products in map_files(options.scenes, options.out, report=_say, **settings, **_reading(options)):
        print(*(path for path in (products.class_map, products.water, products.uncertainty) if path))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _add_inspect(commands: Commands) -> None:
    parser = commands.add_parser("inspect", help="say how scenes would be read, and why; compute nothing")
    parser.add_argument("scenes", nargs="+", type=Path, metavar="SCENE", help="as for predict")
    parser.add_argument("--model", default=DEFAULT_MODEL, help=f"whose bands are needed; default: {DEFAULT_MODEL}")
    _add_reading(parser)
    parser.set_defaults(call=_inspect)


def _inspect(options: argparse.Namespace) -> None:
    from ml4ops_helpers.mapping.predict import model_bands
    from ml4ops_helpers.scenes import inspect

    bands, refused = model_bands(options.model), 0
    for path in options.scenes:
        found, problem = inspect(path, bands, **_reading(options))
        print(path, *(f"  {what.replace('_', ' '):<9}{text}" for what, text in found.items()), sep="\n", flush=True)
        refused += problem
    if refused:
        raise ValueError(f"{refused} of {len(options.scenes)} scenes can't be used as they are")


def _add_project(commands: Commands) -> None:
    parser = commands.add_parser("project", help="copy a course project to a folder of your own")
    parser.add_argument("name", metavar="NAME", help="name of the project: forest_cover")
    parser.add_argument("folder", type=Path, metavar="DEST", help="new folder")
    parser.set_defaults(call=_project)


def _project(options: argparse.Namespace) -> None:
    from ml4ops_helpers.projects import begin_repository, copy_project

    folder = copy_project(options.name, options.folder)
    print(f"{folder}: {options.name}; {begin_repository(folder)}. Next:\n")
    print(f"  cd {shlex.quote(str(folder))}\n  make run")
    print(f"\nTo use the packages installed here instead of a new environment: make run PYTHON={sys.executable}")
