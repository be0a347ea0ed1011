"""Running pages: a batch of short ones beside plain papermill, the makespan of uneven ones, and what a kill leaves.

    python benchmarks/runner.py [--rounds 3]

The batch is six pages that import what most pages of the book import and then train a small network for a second. Plain
papermill runs them one after another, as a loop in a shell would; ``book run`` runs two at a time, one thread each. In
each round both run, in turns; times are medians.

The makespan is measured on pages that wait, so that it shows the order alone: it can be no shorter than the longest
page, and no shorter than all pages together over the number that run at a time. The kill is ``kill -9`` of the command
while its pages run, one of which has started a process that hides from it; after ten seconds whatever the command has
started is counted. Results go to ``benchmarks/runner.json`` and, as a table for the book, ``book/tables/runner.txt``.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

import nbformat
import psutil
from book_tools.pages import find_pages
from book_tools.runner import Outcome, count_cores, run_pages

TABLES = Path(__file__).resolve().parents[1] / "book" / "tables"
BOOK = [sys.executable, "-c", "import sys; from book_tools.commands import main; sys.exit(main())", "run"]
JOBS = 2
IMPORTS = """
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from ml4ops_helpers.lesson import start"""
WORK = """
lesson = start("{name}", profile, seed)
model = torch.nn.Conv2d(3, 16, 3)
best = torch.optim.Adam(model.parameters())
x = torch.rand(4, 3, 64, 64)
for _ in range(20):
    best.zero_grad()
    loss = model(x).square().mean()
    loss.backward()
    best.step()
lesson.metric("loss", loss.item())
lesson.finish()"""
WAITS = (8, 5, 4, 3, 2, 1, 1)
BUSY = """
import subprocess
import time

subprocess.run("setsid sleep 300 &", shell=True)
open({ready!r}, "w").close()
time.sleep(300)"""


def write_page(folder: Path, name: str, *cells: str, minutes: float = 1.0) -> Path:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = nbformat.v4.new_notebook(metadata={"kernelspec": kernel, "ml4ops": {"minutes": minutes}})
    given = nbformat.v4.new_code_cell('profile: str = "smoke"\nseed: int = 0', metadata={"tags": ["parameters"]})
    book.cells = [nbformat.v4.new_markdown_cell(f"# {name}"), given, *map(nbformat.v4.new_code_cell, cells)]
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, folder / f"{name}.ipynb")
    return folder / f"{name}.ipynb"


def run_ours(folder: Path) -> list[Outcome]:
    outcomes = run_pages(find_pages(folder), {}, folder / "out", jobs=JOBS, force=True)
    if problems := [o.message for o in outcomes if o.state != "run"]:
        raise SystemExit("\n".join(problems))
    return outcomes


def run_plain(folder: Path) -> None:
    for path in sorted(folder.glob("*.ipynb")):
        command = [sys.executable, "-m", "papermill", str(path), str(folder / f"{path.stem}.done"), "--no-progress-bar"]
        subprocess.run([*command, "--log-level", "ERROR"], check=True, cwd=folder, stderr=subprocess.DEVNULL)


def measure(run: Callable[[], object]) -> dict[str, float]:
    """Seconds that something takes by the clock, and of the processors in all that it starts."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall": time.perf_counter() - began, "cpu": used}


def measure_batch(folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    for number in range(6):
        write_page(folder, f"{number:02d}_short", IMPORTS, WORK.format(name=f"{number:02d}_short"))
    ways: dict[str, Callable[[], object]] = {
        "papermill, one after another": lambda: run_plain(folder),
        "book run": lambda: run_ours(folder),
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for turn in range(rounds):
        names = [*ways][turn % len(ways) :] + [*ways][: turn % len(ways)]
        for name in names:
            found[name].append(measure(ways[name]))
            print(f"round {turn + 1}, {name}: {found[name][-1]}", file=sys.stderr, flush=True)
    return {name: {k: statistics.median(r[k] for r in runs) for k in runs[0]} for name, runs in found.items()}


def measure_makespan(folder: Path) -> dict[str, float]:
    for number, seconds in enumerate(sorted(WAITS)):  # by name the longest comes last
        write_page(folder, f"{number:02d}_waits", f"import time\n\ntime.sleep({seconds})", minutes=seconds)
    began = time.perf_counter()
    taken = [outcome.seconds for outcome in run_ours(folder)]
    return {"makespan": time.perf_counter() - began, "bound": max(*taken, sum(taken) / JOBS)}


def count_left(folder: Path) -> dict[str, int]:
    """Processes of a command while it runs, and those left ten seconds after it was killed."""
    ready, mark = folder / "ready", str(folder)
    write_page(folder / "notebooks", "00_busy", BUSY.format(ready=str(ready)))
    write_page(folder / "notebooks", "01_busy", "import time\n\ntime.sleep(300)")
    variables = os.environ | {"ML4OPS_MARK": mark}
    with subprocess.Popen([*BOOK, "--jobs", "2"], cwd=folder, env=variables, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while not ready.exists() and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(1)
        before = marked(mark)
        process.kill()
    time.sleep(10)
    return {"before": before, "left": marked(mark)}


def marked(mark: str) -> int:
    found = 0
    for process in psutil.process_iter():
        try:
            found += process.environ().get("ML4OPS_MARK") == mark and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            continue
    return found


def table(results: dict[str, object]) -> str:
    """The results as Markdown."""
    batch, span, kill = results["batch"], results["makespan"], results["kill"]
    plain = batch["papermill, one after another"]
    lines = ["| six short pages | wall s | × papermill | CPU s | × papermill |", "|---|---|---|---|---|"]
    for name, row in batch.items():
        faster = [f"{row[k]:.1f} | {plain[k] / row[k]:.2f}" for k in ("wall", "cpu")]
        lines.append(f"| {name} | {' | '.join(faster)} |")
    over = span["makespan"] / span["bound"] - 1
    lines += ["", "| | measured | target |", "|---|---|---|"]
    faster_by = plain["wall"] / batch["book run"]["wall"]
    lines.append(f"| six short pages, times as fast as papermill one after another | {faster_by:.2f} | ≥ 1.7 |")
    lines.append(f"| {len(WAITS)} uneven pages, time above the lower bound | {over:+.1%} | ≤ +20 % |")
    lines.append(f"| processes left ten seconds after `kill -9`, of {kill['before']} | {kill['left']} | 0 |")
    about = f"{results['cores']} cores, load {results['load']:.1f} by others at the beginning"
    rounds = "one round" if results["rounds"] == 1 else f"medians of {results['rounds']} rounds"
    lines.append(f"\n{results['date']}, {results['processor']}, {about}, papermill {results['papermill']}, {rounds}.")
    return "\n".join(lines) + "\n"


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    results: dict[str, object] = {
        "date": str(date.today()), "processor": processor(), "cores": count_cores(), "load": os.getloadavg()[0],
        "papermill": version("papermill"), "rounds": options.rounds,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chdir(folder)
        results["kill"] = count_left(folder / "kill")
        results["makespan"] = measure_makespan(folder / "makespan")
        results["batch"] = measure_batch(folder / "batch", options.rounds)
        os.chdir("/")
    place = Path(__file__).resolve().with_suffix(".json")
    place.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    (TABLES / f"{place.stem}.txt").write_text(table(results), encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
