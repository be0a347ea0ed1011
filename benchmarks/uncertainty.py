"""Monte Carlo dropout and its statistics: time and memory, beside ml4floods.

    python benchmarks/uncertainty.py [--rounds 5]

CPU seconds with one thread; in each round the contenders run one after another; the figures are medians, and ratios
within the run. Memory is the growth of the resident peak of a fresh process. The peer is ml4floods 1.1.1 (``pip install
--no-deps --target``, then ``PYTHONPATH``); its rows are left out where it is not installed. Both use the same network,
with dropout in the decoder. The peer's sampling is what its ``compute_uncertainties_for_image_pair`` does without the
drawing: a whole pass for each sample, kept as class labels, then its four statistics. Results are written to
``benchmarks/uncertainty.json`` and, as a table for the book, ``book/tables/uncertainty.txt``.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch are imported

import argparse
import importlib.util
import itertools
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from ml4ops_helpers.models.networks import Network, build_model
from ml4ops_helpers.models.saved import load_pretrained
from ml4ops_helpers.uncertainty.samples import mc_dropout, summarise_samples

SIDE = 1024
TABLES = Path(__file__).parents[1] / "book" / "tables"
SAMPLES = 50
PEER = importlib.util.find_spec("ml4floods") is not None
TARGETS = {
    "MC dropout, 10 samples": ("≤ 4.5 single passes", 4.5),
    "MC dropout, 20 samples": ("≤ 8 single passes", 8.0),
}


def network() -> Network:
    """The shipped U-Net, with dropout in its decoder."""
    shipped, _ = load_pretrained("unet")
    model = build_model("unet", shipped.bands, dropout=0.1)
    model.load_state_dict(shipped.state_dict())
    return model.eval()


def scene(model: Network, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 0.4, (len(model.bands), side, side)).astype(np.float32)


def single_pass(model: Network, image: np.ndarray) -> np.ndarray:
    batch = torch.from_numpy(image)[None].to(memory_format=torch.channels_last)
    with torch.inference_mode():
        return model(batch).softmax(dim=1).numpy()


def peer_uncertainty(predict: Callable[[], np.ndarray], samples: int) -> None:
    """What the peer's ``compute_uncertainties_for_image_pair`` computes, line by line."""
    from ml4floods.models.utils import uncertainty as peer

    with torch.no_grad():
        first = torch.from_numpy(predict())
        labels = np.zeros([samples, 1, *first.shape[2:]])
        logits = np.zeros([samples, *first.shape])
        for number in range(samples):
            sample = torch.from_numpy(predict()) if number else first
            logits[number] = sample.cpu().numpy()
            labels[number] = torch.argmax(sample, dim=1).long().cpu().numpy()
    for statistic in (peer.water_probability, peer.water_bounds, peer.water_entropy, peer.variance_map):
        statistic(labels)


def peer_sampling(model: Network, image: np.ndarray, samples: int) -> None:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout2d):
            module.train()
    peer_uncertainty(lambda: single_pass(model, image), samples)
    model.eval()


def statistics_of(kind: str) -> Callable[[], object]:
    """Statistics of samples that are at hand: a few different ones, over and over."""
    drawn = np.random.default_rng(0).random((5, 3, SIDE, SIDE), np.float32)
    drawn /= drawn.sum(axis=1, keepdims=True)
    if kind == "ours":
        return lambda: summarise_samples(drawn[number % len(drawn)] for number in range(SAMPLES)).mutual_information

    def peer() -> None:
        turns = itertools.cycle(drawn[:, None])
        peer_uncertainty(lambda: next(turns), SAMPLES)

    return peer


def timed(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median CPU seconds, contenders in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def resident(field: str) -> float:
    """A line of this process's memory status, MB (Linux)."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(field))
    return int(line.split()[1]) / 1e3


def growth(run: Callable[[], object]) -> float:
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    run()
    return resident("VmHWM") - before


def growth_named(name: str) -> float:
    """Growth of this process's resident peak, MB, its libraries loaded and its input made."""
    kind, _, count = name.partition("-")
    if kind == "dropout":
        model = network()
        image = scene(model)
        mc_dropout(model, image[:, :64, :64], 1)
        return growth(lambda: mc_dropout(model, image, int(count)))
    return growth(statistics_of(kind))


def measured_growth(name: str) -> float:
    command = [sys.executable, __file__, "--growth", name]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1])


def measure_sampling(rounds: int) -> list[dict[str, object]]:
    model = network()
    image = scene(model)
    runs: dict[str, Callable[[], object]] = {"single pass": lambda: single_pass(model, image)}
    for samples in (10, 20):
        runs[f"MC dropout, {samples} samples"] = lambda samples=samples: mc_dropout(model, image, samples)
    if PEER:
        runs["ml4floods, 10 samples"] = lambda: peer_sampling(model, image, 10)
    single_pass(model, image)
    mc_dropout(model, image[:, :64, :64], 1)
    seconds = timed(runs, rounds)
    peer = seconds.get("ml4floods, 10 samples", float("nan")) / seconds["single pass"]
    rows = []
    for name, (text, bar) in TARGETS.items():
        ratio = seconds[name] / seconds["single pass"]
        other = f"{peer:.1f}" if PEER and "10" in name else "–"
        rows.append(row(f"{name}, {SIDE}², time in single passes", f"{ratio:.2f}", other, text, ratio <= bar))
    return rows


def measure_memory() -> dict[str, object]:
    few, many = (measured_growth(f"dropout-{n}") for n in (5, 50))
    more = 100 * (many / few - 1)
    return row("memory with 50 samples against 5", f"{more:+.1f} % of {few:.0f} MB", "–", "≤ +5 %", more <= 5)


def measure_statistics(rounds: int) -> list[dict[str, object]]:
    runs = {kind: statistics_of(kind) for kind in (("ours", "peer") if PEER else ("ours",))}
    seconds = timed(runs, rounds)
    memory = {kind: measured_growth(kind) for kind in runs}
    what = f"statistics of {SAMPLES} samples of {SIDE}²"
    ours, peer = seconds["ours"], seconds.get("peer", float("nan"))
    return [
        row(f"{what}, CPU seconds", f"{ours:.3f}", f"{peer:.2f}" if PEER else "–", "≤ 1/15", ours <= peer / 15),
        row(f"{what}, MB", f"{memory['ours']:.0f}", f"{memory.get('peer', float('nan')):.0f}", "≤ 40 MB",
            memory["ours"] <= 40),
    ]  # fmt: skip


def row(what: str, ours: str, peer: str, target: str, reached: bool) -> dict[str, object]:
    return {"what": what, "ours": ours, "ml4floods": peer, "target": target, "reached": bool(reached)}


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def write(rows: list[dict[str, object]], rounds: int) -> None:
    about = {"date": str(date.today()), "processor": processor(), "torch": torch.__version__, "rounds": rounds}
    place = Path(__file__).with_suffix(".json")
    place.write_text(json.dumps(about | {"rows": rows}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    lines = ["| uncertainty | this book | ml4floods | target |", "|---|---|---|---|"]
    lines += [
        f"| {r['what']} | {r['ours']} | {r['ml4floods']} | {r['target']}{'' if r['reached'] else ' (missed)'} |"
        for r in rows
    ]
    lines.append(f"\n{about['date']}, {about['processor']}, torch {about['torch']}, medians of {rounds} rounds.")
    (TABLES / f"{place.stem}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--growth", metavar="NAME", help="only measure the memory of one contender")
    options: SimpleNamespace = parser.parse_args(namespace=SimpleNamespace())
    torch.set_num_threads(1)
    if options.growth:
        print(f"{growth_named(options.growth):.1f}")
        return
    rows = [*measure_sampling(options.rounds), measure_memory(), *measure_statistics(options.rounds)]
    write(rows, options.rounds)


if __name__ == "__main__":
    main()
