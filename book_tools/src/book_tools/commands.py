"""The command ``book``: run and publish the book's pages, lectures, handouts, site and slides.

Exit code 0: done; 1: a page or check failed; 2: wrong usage or input.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ml4ops_helpers import PROFILES
from ml4ops_helpers.cli import Commands, positive

if TYPE_CHECKING:
    from .runner import Outcome


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command. A subcommand is one ``_add_…`` function that names the function it calls."""
    parser = argparse.ArgumentParser(prog="book", description="Run and publish the pages of the book.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_lecture(commands)
    _add_handout(commands)
    _add_alone(commands)
    _add_site(commands)
    _add_slides(commands)
    _add_new(commands)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: command line without the program's name; the process's own when None.

    Returns:
        The exit code.
    """
    options = build_parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a killed run stops its pages, like Ctrl-C
    try:
        return int(options.call(options))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _add_run(commands: Commands) -> None:
    parser = commands.add_parser("run", help="execute pages, strictly and side by side")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="name or beginning of one, such as 03; default: all")
    parser.add_argument(
        "-p", "--parameter", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="set a parameter"
    )
    parser.add_argument("--profile", choices=PROFILES, help="the same as -p profile PROFILE")
    parser.add_argument("--jobs", type=positive, help="most pages at a time; default: one a core, at most four")
    parser.add_argument("--force", action="store_true", help="run unchanged pages, too")
    timeout = "limit of a cell; waiting for a processor does not count; default: 1800"
    parser.add_argument("--cell-timeout", type=positive, default=1800, metavar="SECONDS", help=timeout)
    parser.add_argument("--notebooks", type=Path, default=Path("notebooks"), help="folder of the sources")
    parser.add_argument("--out", type=Path, default=Path("_build/notebooks"), help="folder of the executed notebooks")
    parser.set_defaults(call=_run)


def _run(options: argparse.Namespace) -> int:
    from .display import Progress
    from .pages import PageError, find_pages
    from .parameter_cells import parse_parameters
    from .reports import summary, write_reports
    from .runner import Outcome, count_cores, run_pages

    reports = options.out / "report"
    names = [name for name, _ in options.parameter] + ["profile"] * bool(options.profile)
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        print(f"parameter {twice[0]} is given twice; give it once", file=sys.stderr)
        return 2
    data = os.environ.get("ML4OPS_DATA")
    try:
        # What stays there when this process is killed must not be the report of an earlier run.
        write_reports([Outcome("the run", "failed", message="did not finish")], reports)
        pages = find_pages(options.notebooks, options.pages)
        parameters = parse_parameters(options.parameter, pages)
        if options.profile:
            parameters["profile"] = options.profile
        with Progress(_report) as progress:
            outcomes = run_pages(
                pages,
                parameters,
                options.out,
                jobs=options.jobs or min(count_cores(), 4),
                cell_timeout=options.cell_timeout,
                force=options.force,
                data=Path(data) if data else None,
                report=progress.report,
                watch=progress.watch,
            )
        write_reports(outcomes, reports)
    except PageError as error:
        print(error, file=sys.stderr)
        write_reports([Outcome("before the run", "failed", message=str(error))], reports)
        return 1
    except OSError as error:
        print(f"the run did not finish: {error}", file=sys.stderr)
        return 1
    print(f"\n{summary(outcomes)}")
    return int(any(o.state in ("failed", "skipped") for o in outcomes))


def _add_lecture(commands: Commands) -> None:
    parser = commands.add_parser("lecture", help="run a plan: pages, each with several sets of parameters")
    parser.add_argument("plan", type=Path, metavar="PLAN.yml", help="such as book/lectures/half_day.yml")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: _build/lectures/PLAN")
    parser.add_argument("--jobs", type=positive, help="most runs at a time; default: one a core, at most four")
    parser.add_argument("--retries", type=int, choices=range(10), default=1, metavar="K", help="of a run; default: 1")
    parser.add_argument("--cell-timeout", type=positive, default=1800, metavar="SECONDS", help="default: 1800")
    parser.add_argument("--notebooks", type=Path, default=Path("notebooks"), help="folder of the pages")
    parser.set_defaults(call=_lecture)


def _lecture(options: argparse.Namespace) -> int:
    from .lecture import run_lecture
    from .lecture_log import log_results
    from .lecture_report import write_report
    from .pages import PageError
    from .plans import PlanError, read_plan
    from .runner import count_cores

    out = options.out or Path("_build/lectures") / options.plan.stem
    data = os.environ.get("ML4OPS_DATA")
    try:
        plan = read_plan(options.plan, options.notebooks)
        results = run_lecture(
            plan,
            out,
            jobs=options.jobs or min(count_cores(), 4),
            retries=options.retries,
            cell_timeout=options.cell_timeout,
            data=Path(data) if data else None,
            report=_report,
        )
    except (PlanError, PageError) as error:
        print(error, file=sys.stderr)
        return 2
    if remark := log_results(results, plan.title, out):
        print(remark, file=sys.stderr)
    complete = sum(r.complete for r in results)
    print(f"{complete} of {len(results)} runs: {write_report(results, plan.title, out, remark)}")
    return int(bool(remark) or complete < len(results))


def _add_handout(commands: Commands) -> None:
    parser = commands.add_parser("handout", help="write an nbgrader course from a plan's pages")
    parser.add_argument("plan", type=Path, metavar="PLAN.yml", help="such as book/lectures/half_day.yml")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the course's folder, new or not")
    parser.add_argument("--notebooks", type=Path, default=Path("notebooks"), help="folder of the pages")
    parser.set_defaults(call=_handout)


def _handout(options: argparse.Namespace) -> int:
    from .handout import HandoutError, released_runs, write_course
    from .pages import PageError
    from .plans import PlanError, read_plan

    try:
        plan = read_plan(options.plan, options.notebooks)
        source = write_course(plan, options.plan.stem, options.out)
    except (PlanError, HandoutError, PageError) as error:
        print(error, file=sys.stderr)
        return 2
    for run, others in released_runs(plan):
        if others:
            left = ", ".join(other.name for other in others)
            print(f"{run.page.name}: given out is {run.name}, left out {left}")
    print(f"the pages with solutions are in {source}; {options.out / 'README.md'} says what to type next")
    return 0


def _add_alone(commands: Commands) -> None:
    parser = commands.add_parser("alone", help="run pages as in Colab: only the core installed, nothing else there")
    parser.add_argument("pages", nargs="*", metavar="PAGE", help="name or beginning of one, such as 03; default: all")
    parser.add_argument("--runtime", type=Path, metavar="LIST", help="what a Colab runtime brings, name==version")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the environment; default: this one")
    parser.set_defaults(call=_alone)


def _alone(options: argparse.Namespace) -> int:
    from .alone import AloneError, check_alone
    from .pages import PageError, find_pages

    try:
        problems = check_alone(find_pages(Path("notebooks"), options.pages), options.python, options.runtime)
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


def _add_site(commands: Commands) -> None:
    parser = commands.add_parser("site", help="build the site from the executed pages, or check it")
    task = parser.add_mutually_exclusive_group()
    task.add_argument("--check", action="store_true", help="examine the files of the built site")
    task.add_argument("--browser", action="store_true", help="examine the built site in a browser, where there is one")
    parser.add_argument("--root", type=Path, default=Path(), help="folder of _config.yml and _toc.yml")
    parser.set_defaults(call=_site)


def _site(options: argparse.Namespace) -> int:
    from .browser import check_in_browser
    from .check import check_site
    from .site import SiteError, build_site

    try:
        if options.check:
            return _print_problems("site", check_site(options.root))
        if options.browser:
            return _in_browser("site", partial(check_in_browser, options.root))
        print(f"the site is in {build_site(options.root)}")
    except SiteError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _in_browser(what: str, check: Callable[[str], list[str]]) -> int:
    """Print what a check finds with a browser; without one, which CI must have, nothing is checked."""
    from .browser import find_browser

    if program := find_browser():
        return _print_problems(what, check(program))
    print(f"the {what} was not checked: no browser; install Chromium, or name one in ML4OPS_BROWSER", file=sys.stderr)
    return int(bool(os.environ.get("CI")))


def _print_problems(what: str, problems: list[str]) -> int:
    """Print problems; the exit code."""
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(problems)} problems in the {what}" if problems else f"the {what} is sound")
    return int(bool(problems))


def _add_slides(commands: Commands) -> None:
    parser = commands.add_parser("slides", help="build the slide decks into the site, or check them in a browser")
    parser.add_argument("--check", action="store_true", help="look at every slide: does all of it fit?")
    parser.add_argument("--root", type=Path, default=Path(), help="folder of _config.yml and _toc.yml")
    parser.set_defaults(call=_slides)


def _slides(options: argparse.Namespace) -> int:
    from .site import SiteError
    from .slides import build_slides, check_slides

    try:
        if options.check:
            return _in_browser("set of slides", partial(check_slides, options.root))
        print(f"the slides are in {build_slides(options.root)}")
    except SiteError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _add_new(commands: Commands) -> None:
    parser = commands.add_parser("new", help="begin a page of the book")
    parser.add_argument("name", metavar="NAME", help="what the reader does, such as measure_a_river")
    parser.add_argument("--root", type=Path, default=Path(), help="folder of _config.yml and _toc.yml")
    parser.set_defaults(call=_new)


def _new(options: argparse.Namespace) -> int:
    from .scaffold import new_page

    try:
        print(*(f"{path}: written" for path in new_page(options.root, options.name)), sep="\n")
        print("Now: book run, make test; then git add what was written")
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    return 0
