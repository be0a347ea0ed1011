"""The command ``ml4ops``: make data, train, map scenes and floods, copy a course project.

Exit code 0: done; 2: wrong usage or input.
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
from typing import TypeAlias

from . import PROFILES, __version__

Command = Callable[[argparse.Namespace], int]
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # it has no public name


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command. A subcommand is one ``_add_…`` function that names the function it calls."""
    parser = argparse.ArgumentParser(prog="ml4ops", description="Map floods from Sentinel-2 and Landsat scenes.")
    parser.add_argument("--version", action="version", version=f"ml4ops {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_simulate(commands)
    _add_train(commands)
    _add_map(commands)
    _add_predict(commands)
    _add_project(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: command line without the program's name; the process's own when None.

    Returns:
        The exit code.
    """
    options = build_parser().parse_args(arguments)
    command: Command = options.call
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a killed run cleans up, as after Ctrl-C
    try:
        return command(options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _add_simulate(commands: Commands) -> None:
    parser = commands.add_parser("simulate", help="make the embedded data set")
    parser.add_argument("--profile", choices=PROFILES, default="lecture", help="its size; default: lecture")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder to keep it in; default: the cache")
    parser.set_defaults(call=_simulate)


def _simulate(options: argparse.Namespace) -> int:
    from ml4ops_helpers.datasets import get_dataset

    table = get_dataset("embedded", profile=options.profile, seed=options.seed, root=options.out)
    scenes = ", ".join(f"{n} {split}" for split, n in table.groupby("split", sort=False).size().items())
    print(f"{Path(table['image'].iloc[0]).parents[2]}: {scenes} scenes")
    return 0


def _add_train(commands: Commands) -> None:
    parser = commands.add_parser("train", help="train a network")
    parser.add_argument("--profile", choices=PROFILES, default="lecture", help="size of data and training")
    parser.add_argument("--data", default="embedded", help="embedded, sen1floods11, worldfloods, or a folder of scenes")
    parser.add_argument("--model", choices=("linear", "cnn", "unet"), default="unet")
    parser.add_argument("--bands", default="bgriswir", help="a named band set; default: bgriswir")
    heads = ("classes", "cloud_water")
    parser.add_argument("--heads", choices=heads, default="classes", help="three classes, or cloud and water apart")
    parser.add_argument("--dropout", type=float, default=0.0, help="rate in the U-Net's decoder; default: 0")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--half", action="store_true", help="store the weights in 16 bits")
    parser.add_argument("--out", type=Path, help="file of the weights; default: MODEL.safetensors")
    parser.set_defaults(call=_train)


def _train(options: argparse.Namespace) -> int:
    from ml4ops_helpers.datasets import dataset_hash, get_dataset
    from ml4ops_helpers.evaluation.scoring import cloud_threshold
    from ml4ops_helpers.models.common import ModelError
    from ml4ops_helpers.models.networks import build_model
    from ml4ops_helpers.models.saved import save_model
    from ml4ops_helpers.scenes import SceneError
    from ml4ops_helpers.training import CONFIGS, train

    out = options.out or Path(f"{options.model}.safetensors")
    config = replace(CONFIGS[options.profile], seed=options.seed)
    try:
        table = get_dataset(options.data, profile=options.profile, seed=options.seed)
        model = build_model(
            options.model, options.bands, heads=options.heads, dropout=options.dropout, seed=options.seed
        )
        history = train(model, table, config, checkpoint=out.with_suffix(".checkpoint"), after_epoch=_report_epoch)
    except (SceneError, ModelError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    about = {"threshold": history.threshold, "data": dataset_hash(table), "profile": options.profile}
    if model.heads == "cloud_water":
        about["cloud_threshold"] = cloud_threshold(model, table[table["split"] == "val"])
    about |= {"val_iou": history.epochs[history.best]["val_iou"], "config": asdict(config)}
    save_model(model, out, about, half=options.half)
    print(f"{out}: epoch {history.best + 1}, threshold {history.threshold:.3f}")
    return 0


def _report_epoch(number: int, row: dict[str, float]) -> None:
    print(f"epoch {number:3d}  " + "  ".join(f"{name} {value:.4f}" for name, value in row.items()), flush=True)


def _add_mapping(parser: argparse.ArgumentParser) -> None:
    """What decides how a scene is mapped."""
    parser.add_argument("--model", default="unet", help="shipped weights or a .safetensors file; default: unet")
    parser.add_argument("--threshold", type=_share, help="water from this probability; default: the model's own")
    parser.add_argument("--bands", help="a GeoTIFF's bands: a named set, landsat, or B2,B3,…; default: its own")
    parser.add_argument("--offset", type=int, choices=(0, -1000), help="RADIO_ADD_OFFSET where the file is silent")


def _add_map(commands: Commands) -> None:
    parser = commands.add_parser("map", help="map a flood from an image before it and one after")
    parser.add_argument("pre", type=Path, metavar="PRE", help="scene or class map before the flood")
    parser.add_argument("post", type=Path, metavar="POST", help="scene or class map during or after it")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument("--permanent", type=Path, metavar="FILE", help="layer of permanent water (JRC)")
    parser.add_argument("--dates", type=_day, nargs=2, metavar=("PRE", "POST"), help="YYYY-MM-DD")
    _add_mapping(parser)
    parser.add_argument("--min-area", type=_size, default=1000, metavar="M2", help="smallest patch; default: 1000 m²")
    parser.add_argument("--simplify", type=_size, default=10, metavar="M", help="outlines may move by; default: 10 m")
    parser.add_argument("--area-factor", type=_size, metavar="K", help="for an interval of the area; see page 08")
    parser.add_argument("--area-level", type=_share, metavar="P", help="chance that the factor was fitted for, 0 to 1")
    parser.set_defaults(call=_map)


def _map(options: argparse.Namespace) -> int:
    from ml4ops_helpers.mapping import MapOptions, map_event
    from ml4ops_helpers.models.common import ModelError
    from ml4ops_helpers.scenes import SceneError
    from ml4ops_helpers.scenes.products import parse_bands

    names = ("model", "threshold", "offset", "permanent", "min_area", "simplify", "area_factor", "area_level")
    chosen = MapOptions(
        **{name: getattr(options, name) for name in names},
        bands=parse_bands(options.bands) if options.bands else None,
        days=tuple(options.dates) if options.dates else None,
    )
    try:
        made = map_event(options.pre, options.post, options.out, chosen)
    except (SceneError, ModelError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(*(f"{kind:>10}  {path}" for kind, path in made.items()), sep="\n")
    return 0


def positive(text: str) -> int:
    """A whole number above 0, as written on the command line.

    Args:
        text: what was written.

    Raises:
        ArgumentTypeError: it is not one.
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; write YYYY-MM-DD") from None


def _size(text: str) -> float:
    if not (size := float(text)) >= 0 or size == float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least 0")
    return size


def _share(text: str) -> float:
    if not 0 <= (share := float(text)) <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return share


def _add_predict(commands: Commands) -> None:
    parser = commands.add_parser("predict", help="map scenes: classes and the probability of water")
    parser.add_argument("scenes", nargs="+", metavar="SCENE", help="GeoTIFF, .SAFE folder or folder of Landsat bands")
    parser.add_argument("--out", type=Path, required=True, help="folder of the maps")
    _add_mapping(parser)
    parser.add_argument("--engine", default="torch", help="what computes; auto tries all that are installed")
    parser.add_argument("--uncertainty", type=positive, default=0, metavar="T", help="map uncertainty, too: T samples")
    parser.set_defaults(call=_predict)


def _predict(options: argparse.Namespace) -> int:
    from ml4ops_helpers.mapping.predict import map_files
    from ml4ops_helpers.models.common import ModelError
    from ml4ops_helpers.scenes import SceneError
    from ml4ops_helpers.scenes.products import parse_bands

    settings = {name: getattr(options, name) for name in ("model", "threshold", "offset", "engine", "uncertainty")}
    bands = parse_bands(options.bands) if options.bands else None
    try:
        found = map_files(options.scenes, options.out, bands=bands, **settings)
    except (SceneError, ModelError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    for products in found:
        print(*(path for path in (products.class_map, products.water, products.uncertainty) if path))
    return 0


def _add_project(commands: Commands) -> None:
    parser = commands.add_parser("project", help="copy a course project to a folder of your own")
    parser.add_argument("name", metavar="NAME", help="of the project: forest_cover")
    parser.add_argument("folder", type=Path, metavar="DEST", help="folder to make")
    parser.set_defaults(call=_project)


def _project(options: argparse.Namespace) -> int:
    from ml4ops_helpers.projects import ProjectError, begin_repository, copy_project

    try:
        folder = copy_project(options.name, options.folder)
        done = begin_repository(folder)
    except (ProjectError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{folder}: {options.name}; {done}. Next:\n")
    print(f"  cd {shlex.quote(str(folder))}\n  make run")
    print(f"\nWith the packages that are here, and not an environment of its own: make run PYTHON={sys.executable}")
    return 0
