"""The command ``ml4ops``: make data, train, run pages, build the site.

Exit code 0: done; 1: a page or check failed; 2: wrong usage or input.
"""

from __future__ import annotations

import argparse
import ast
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__

if TYPE_CHECKING:
    from .press.runner import Outcome

PROFILES = ("smoke", "lecture", "full")
Command = Callable[[argparse.Namespace], int]


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command. A subcommand is one ``_add_…`` function that names the function it calls."""
    parser = argparse.ArgumentParser(prog="ml4ops", description="Flood mapping, and the book that teaches it.")
    parser.add_argument("--version", action="version", version=f"ml4ops {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_simulate(commands)
    _add_train(commands)
    _add_map(commands)
    _add_predict(commands)
    _add_run(commands)
    _add_lecture(commands)
    _add_handout(commands)
    _add_collect(commands)
    _add_alone(commands)
    _add_site(commands)
    _add_slides(commands)
    _add_new(commands)
    _add_adopt(commands)
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
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a killed run stops its pages, like Ctrl-C
    try:
        return command(options)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        print(f"{error}; install the book's tools: pip install 'ml4ops-helpers[book]'", file=sys.stderr)
        return 1


def _add_simulate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("simulate", help="make the embedded data set")
    parser.add_argument("--profile", choices=PROFILES, default="lecture", help="its size; default: lecture")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder to keep it in; default: the cache")
    parser.set_defaults(call=_simulate)


def _simulate(options: argparse.Namespace) -> int:
    from .datasets import get_dataset

    table = get_dataset("embedded", profile=options.profile, seed=options.seed, root=options.out)
    scenes = ", ".join(f"{n} {split}" for split, n in table.groupby("split", sort=False).size().items())
    print(f"{Path(table['image'].iloc[0]).parents[2]}: {scenes} scenes")
    return 0


def _add_train(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
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
    from .clouds import cloud_threshold
    from .datasets import dataset_hash, get_dataset
    from .models import ModelError, build_model, save_model
    from .rasters import SceneError
    from .training import CONFIGS, train

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


def _add_map(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("map", help="map a flood from an image before it and one after")
    parser.add_argument("pre", type=Path, metavar="PRE", help="scene or class map before the flood")
    parser.add_argument("post", type=Path, metavar="POST", help="scene or class map during or after it")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument("--permanent", type=Path, metavar="FILE", help="layer of permanent water (JRC)")
    parser.add_argument("--dates", type=date.fromisoformat, nargs=2, metavar=("PRE", "POST"), help="YYYY-MM-DD")
    _add_mapping(parser)
    parser.add_argument("--min-area", type=_size, default=1000, metavar="M2", help="smallest patch; default: 1000 m²")
    parser.add_argument("--simplify", type=_size, default=10, metavar="M", help="outlines may move by; default: 10 m")
    parser.add_argument("--area-factor", type=_size, metavar="K", help="for an interval of the area; see page 08")
    parser.set_defaults(call=_map)


def _map(options: argparse.Namespace) -> int:
    from .event_map import MapOptions, map_event
    from .models import ModelError
    from .products import parse_bands
    from .rasters import SceneError

    names = ("model", "threshold", "offset", "permanent", "min_area", "simplify", "area_factor")
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


def _size(text: str) -> float:
    if not (size := float(text)) >= 0 or size == float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of at least 0")
    return size


def _share(text: str) -> float:
    if not 0 <= (share := float(text)) <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return share


def _add_predict(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("predict", help="map scenes: classes and the probability of water")
    parser.add_argument("scenes", nargs="+", metavar="SCENE", help="GeoTIFF, .SAFE folder or folder of Landsat bands")
    parser.add_argument("--out", type=Path, required=True, help="folder of the maps")
    _add_mapping(parser)
    parser.add_argument("--engine", default="torch", help="what computes; auto tries all that are installed")
    parser.add_argument("--uncertainty", type=_positive, default=0, metavar="T", help="map uncertainty, too: T samples")
    parser.set_defaults(call=_predict)


def _predict(options: argparse.Namespace) -> int:
    from .models import ModelError
    from .predict import map_files
    from .products import parse_bands
    from .rasters import SceneError

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


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("run", help="execute pages, strictly and side by side")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="name or beginning of one, such as 03; default: all")
    parser.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="set a parameter"
    )
    parser.add_argument("--profile", choices=PROFILES, help="the same as -p profile PROFILE")
    parser.add_argument("--jobs", type=_positive, help="most pages at a time; default: one a core, at most four")
    parser.add_argument("--force", action="store_true", help="run unchanged pages, too")
    parser.add_argument("--no-fork", action="store_true", help="a new kernel for each page: slower, nothing shared")
    parser.add_argument("--cell-timeout", type=_positive, default=1800, metavar="SECONDS", help="default: 1800")
    parser.add_argument("--notebooks", type=Path, default=Path("notebooks"), help="folder of the sources")
    parser.add_argument("--out", type=Path, default=Path("_build/notebooks"), help="folder of the executed notebooks")
    parser.add_argument("--report", type=Path, metavar="DIR", help="for JUnit and JSON; default: report in --out")
    parser.set_defaults(call=_run)


def _run(options: argparse.Namespace) -> int:
    from .press.display import Progress
    from .press.pages import PageError, find_pages
    from .press.reports import summary, write_reports
    from .press.runner import Outcome, count_cores, run_pages

    reports = options.report or options.out / "report"
    parameters = {name: parse_value(value) for name, value in options.parameter}
    if options.profile:
        parameters["profile"] = options.profile
    data = os.environ.get("ML4OPS_DATA")
    try:
        with Progress(_report) as progress:
            outcomes = run_pages(
                find_pages(options.notebooks, options.pages),
                parameters,
                options.out,
                jobs=options.jobs or min(count_cores(), 4),
                cell_timeout=options.cell_timeout,
                force=options.force,
                fork=not options.no_fork,
                data=Path(data) if data else None,
                report=progress.report,
                watch=progress.watch,
            )
    except PageError as error:
        print(error, file=sys.stderr)
        write_reports([Outcome("before the run", "failed", message=str(error))], reports)
        return 1
    write_reports(outcomes, reports)
    print(f"\n{summary(outcomes)}")
    return int(any(o.state in ("failed", "skipped") for o in outcomes))


def _add_lecture(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("lecture", help="run a plan: pages, each with several sets of parameters")
    parser.add_argument("plan", type=Path, metavar="PLAN.yml", help="such as book/lectures/half_day.yml")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: _build/lectures/PLAN")
    parser.add_argument("--jobs", type=_positive, help="most runs at a time; default: one a core, at most four")
    parser.add_argument("--retries", type=int, choices=range(10), default=1, metavar="K", help="of a run; default: 1")
    parser.add_argument("--cell-timeout", type=_positive, default=1800, metavar="SECONDS", help="default: 1800")
    parser.add_argument("--notebooks", type=Path, default=Path("notebooks"), help="folder of the pages")
    parser.set_defaults(call=_lecture)


def _lecture(options: argparse.Namespace) -> int:
    from .press.lecture import run_lecture
    from .press.lecture_log import log_results
    from .press.lecture_report import write_report
    from .press.pages import PageError
    from .press.plans import PlanError, read_plan
    from .press.runner import count_cores

    out = options.out or Path("_build/lectures") / options.plan.stem
    settings = {name: getattr(options, name) for name in ("retries", "cell_timeout")}
    data = os.environ.get("ML4OPS_DATA")
    try:
        plan = read_plan(options.plan, options.notebooks)
        jobs = options.jobs or min(count_cores(), 4)
        results = run_lecture(plan, out, jobs=jobs, data=Path(data) if data else None, report=_report, **settings)
    except (PlanError, PageError) as error:
        print(error, file=sys.stderr)
        return 2
    if remark := log_results(results, plan.title, out):
        print(remark, file=sys.stderr)
    print(f"{sum(r.whole for r in results)} of {len(results)} runs: {write_report(results, plan.title, out, remark)}")
    return int(not all(r.whole for r in results))


def _add_handout(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("handout", help="write students' copies of a plan's pages, without solutions")
    parser.add_argument("plan", type=Path, metavar="PLAN.yml", help="such as book/lectures/half_day.yml")
    owners = parser.add_mutually_exclusive_group(required=True)
    owners.add_argument(
        "--students", type=Path, metavar="CSV", help="with a column name, and one group if there are any"
    )
    owners.add_argument("--groups", type=_positive, metavar="N", help="copies for N groups")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    parser.add_argument("--notebooks", type=Path, default=Path("notebooks"), help="folder of the pages")
    parser.set_defaults(call=_handout)


def _handout(options: argparse.Namespace) -> int:
    from .press.handout import HandoutError, number_groups, read_students, write_handout
    from .press.plans import PlanError, read_plan

    try:
        plan = read_plan(options.plan, options.notebooks)
        owners = (
            read_students(options.students, plan.title)
            if options.students
            else number_groups(options.groups, plan.title)
        )
        print(f"{len(owners)} copies: {write_handout(plan, owners, options.out)}")
    except (PlanError, HandoutError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _add_collect(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("collect", help="tell what came back of a handout")
    parser.add_argument("folder", type=Path, metavar="DIR", help="of the handout, with the students' folders put back")
    parser.add_argument("--run", action="store_true", help="run the answers, as yourself, instead of reading outputs")
    parser.add_argument("--jobs", type=_positive, default=1, help="most pages at a time; default: 1")
    parser.add_argument("--cell-timeout", type=_positive, default=600, metavar="SECONDS", help="default: 600")
    parser.set_defaults(call=_collect)


def _collect(options: argparse.Namespace) -> int:
    from .press.collect import collect
    from .press.handout import HandoutError
    from .press.pages import PageError
    from .press.results import write_results

    settings = {name: getattr(options, name) for name in ("run", "jobs", "cell_timeout")}
    try:
        answers = collect(options.folder, **settings)
    except (HandoutError, PageError) as error:
        print(error, file=sys.stderr)
        return 2
    for state, count in sorted(Counter(answer.state for answer in answers).items()):
        print(f"{count:5d} {state}")
    print(*write_results(answers, options.folder), sep="\n")
    return 0


def _add_alone(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("alone", help="run pages as in Colab: only the core installed, nothing else there")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="name or beginning of one, such as 03; default: all")
    parser.add_argument("--runtime", type=Path, metavar="LIST", help="what a Colab runtime brings, name==version")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the environment; default: this one")
    parser.add_argument("--profile", choices=PROFILES, default="smoke", help="default: smoke")
    parser.set_defaults(call=_alone)


def _alone(options: argparse.Namespace) -> int:
    from .press.alone import AloneError, check_alone
    from .press.pages import PageError, find_pages

    try:
        pages = find_pages(Path("notebooks"), options.pages)
        problems = check_alone(pages, options.python, options.runtime, options.profile)
    except (AloneError, PageError) as error:
        print(error, file=sys.stderr)
        return 1
    for problem in problems:
        print(problem, file=sys.stderr)
    return int(bool(problems))


def _report(outcome: Outcome) -> None:
    print(f"{outcome.state:>9}  {outcome.seconds:7.1f} s  {outcome.page}", flush=True)
    if outcome.message:
        print(outcome.message, file=sys.stderr, flush=True)


def parse_value(text: str) -> str | int | float | bool:
    """A parameter's value as written on the command line.

    Args:
        text: a Python literal, ``true`` or ``false``; anything else is a text.

    >>> [parse_value(t) for t in ("3", "0.5", "true", "smoke", "'3'")]
    [3, 0.5, True, 'smoke', '3']
    """
    try:
        value = ast.literal_eval(text.title() if text in ("true", "false") else text)
    except (ValueError, SyntaxError):
        return text
    return value if isinstance(value, str | int | float | bool) else text


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _add_site(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("site", help="build the site from the executed pages, or check it")
    task = parser.add_mutually_exclusive_group()
    task.add_argument("--check", action="store_true", help="examine the files of the built site")
    task.add_argument("--browser", action="store_true", help="examine the built site in a browser, where there is one")
    task.add_argument("--links", action="store_true", help="list the addresses elsewhere that the built site links to")
    parser.add_argument("--root", type=Path, default=Path(), help="folder of _config.yml and _toc.yml")
    parser.set_defaults(call=_site)


def _site(options: argparse.Namespace) -> int:
    from .press.check import check_site, external_links
    from .press.site import SiteError, build_site

    try:
        if options.links:
            print(*(f"{url}  {', '.join(pages)}" for url, pages in external_links(options.root).items()), sep="\n")
            return 0
        if not options.check and not options.browser:
            print(f"the site is in {build_site(options.root)}")
            return 0
        problems = check_site(options.root) if options.check else _browse(options.root)
    except SiteError as error:
        print(error, file=sys.stderr)
        return 1
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(problems)} problems in the site" if problems else "the site is sound")
    return int(bool(problems))


def _browse(root: Path) -> list[str]:
    from .press.browser import check_in_browser, find_browser

    if program := find_browser():
        return check_in_browser(root, program)
    print("no browser found, so none was used; install Chromium, or name one in ML4OPS_BROWSER")
    return []


def _add_slides(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("slides", help="build the slide decks into the site, or check them in a browser")
    parser.add_argument("--check", action="store_true", help="look at every slide: does all of it fit?")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="with --check: keep a picture of each slide")
    parser.add_argument("--root", type=Path, default=Path(), help="folder of _config.yml and _toc.yml")
    parser.set_defaults(call=_slides)


def _slides(options: argparse.Namespace) -> int:
    from .press.browser import find_browser
    from .press.site import SiteError
    from .press.slides import build_slides, check_slides

    try:
        if not options.check:
            print(f"the slides are in {build_slides(options.root)}")
            return 0
        program = find_browser()
        if program is None:
            print("no browser found, so none was used; install Chromium, or name one in ML4OPS_BROWSER")
            return 0
        problems = check_slides(options.root, program, options.pictures)
    except SiteError as error:
        print(error, file=sys.stderr)
        return 1
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(problems)} problems in the slides" if problems else "the slides are sound")
    return int(bool(problems))


def _add_new(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("new", help="begin a page of the book")
    parser.add_argument("name", metavar="NAME", help="what the reader does, such as measure_a_river")
    parser.add_argument("--root", type=Path, default=Path(), help="folder of _config.yml and _toc.yml")
    parser.set_defaults(call=_new)


def _new(options: argparse.Namespace) -> int:
    from .press.scaffold import new_page

    try:
        print(f"{new_page(options.root, options.name)}: written, and entered in _toc.yml and README.md")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _add_adopt(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("adopt", help="point every badge, button and link to a fork")
    parser.add_argument("slug", metavar="OWNER/REPO", help="the fork on GitHub")
    parser.add_argument("--branch", help="the branch that readers see; default: as it is")
    parser.add_argument("--root", type=Path, default=Path(), help="root of the repository")
    parser.set_defaults(call=_adopt)


def _adopt(options: argparse.Namespace) -> int:
    from .press.adopt import adopt

    try:
        changed = adopt(options.root, options.slug, options.branch)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    print(*changed, f"{len(changed)} files changed", sep="\n")
    return 0
