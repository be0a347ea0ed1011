"""Mapping a scene from file to file: time, memory and seams, beside ml4floods and MONAI.

    python benchmarks/inference.py [--rounds 5] [--large]

One network, the shipped U-Net, in every contender; one scene of 2048×2048 pixels, thirteen bands, put together from
simulated scenes of the embedded data set. A contender reads the file, computes, and writes a class map and the
probability of water as cloud-optimised GeoTIFFs. Each runs in a fresh process in every round, in turns, after a small
scene to warm up; the figures are medians of CPU seconds, one thread. Exporting and compiling a network for an engine is
needed once for a size of scene, and is given apart.

``limit`` is the bare network in torch on the scene in memory: channels last, in tiles of 512 without halo or file.
ml4floods 1.1.1 (``pip install --no-deps``) computes by ``get_pred_function`` in tiles of 1024, its best size, and
writes by ``save_cog``; MONAI by ``sliding_window_inference``, tiles of 1024, Gaussian blending. Both are left out where
they are not installed, and both run with torch's ordinary allocator. The reference for differences is the network on
the whole scene. ``--large`` also maps scenes up to 10 980×10 980 and measures memory: minutes, and 8 GB of disk.
Results go to ``benchmarks/inference.json`` and, as tables for the book, ``book/tables/inference.txt``.
"""

from __future__ import annotations

import os
import sys

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch are imported
if sys.argv[1:2] == ["--measure"] and sys.argv[2] in ("ml4floods", "monai"):
    os.environ["THP_MEM_ALLOC_ENABLE"] = "0"  # as a user of these has it

import argparse
import importlib.util
import json
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import rasterio
import rasterio.shutil
import torch
from affine import Affine
from rasterio.windows import Window

from ml4ops_helpers.datasets.catalogues import load_scene
from ml4ops_helpers.datasets.loaders import get_dataset
from ml4ops_helpers.inference import engines
from ml4ops_helpers.inference.decisions import classify, water_given_seen
from ml4ops_helpers.inference.receptive_fields import receptive_field
from ml4ops_helpers.inference.tiling import predict_scene
from ml4ops_helpers.mapping import predict
from ml4ops_helpers.models.networks import Network, build_model
from ml4ops_helpers.models.saved import load_pretrained, save_model
from ml4ops_helpers.scenes.rasters import write_raster
from ml4ops_helpers.scenes.sentinel2 import BANDS, band_positions

SIDE, TILE = 2048, 1024
TABLES = Path(__file__).parents[1] / "book" / "tables"
GRID = {"crs": "EPSG:32630", "transform": Affine(10, 0, 500_000, 0, -10, 4_000_000)}
OURS = ("torch", "torch-bf16", "onnxruntime", "openvino", "openvino-bf16")
PEERS = ("ml4floods", "monai")


def write_scene(path: Path, side: int) -> None:
    """A mosaic of simulated scenes, in digital numbers without offset."""
    table = get_dataset("embedded", profile="lecture")
    image = np.zeros((13, side, side), np.uint16)
    corners = [(row, column) for row in range(0, side, 512) for column in range(0, side, 512)]
    for (row, column), (_, entry) in zip(corners, table.iterrows(), strict=False):
        scene, _ = load_scene(entry)
        part = np.where(scene.valid, np.clip(scene.image.astype(int) + scene.offset, 1, None), 0)
        image[:, row : row + 512, column : column + 512] = part[:, : side - row, : side - column]
    write_raster(path, image, names=BANDS, nodata=0, tags={"RADIO_ADD_OFFSET": 0}, **GRID)


def write_large(path: Path, side: int) -> None:
    """A file of any size, quickly: one block again and again."""
    rng = np.random.default_rng(0)
    block = rng.integers(200, 3000, (13, 512, 512)).astype(np.uint16)
    profile = {"driver": "GTiff", "count": 13, "height": side, "width": side, "dtype": "uint16", "nodata": 0, **GRID}
    layout = {"tiled": True, "blockxsize": 512, "blockysize": 512, "interleave": "band"}
    with rasterio.open(path, "w", **profile, **layout, bigtiff="if_safer") as sink:
        for row in range(0, side, 512):
            for column in range(0, side, 512):
                part = block[:, : side - row, : side - column]
                sink.write(part, window=Window(column, row, part.shape[2], part.shape[1]))
        sink.descriptions = BANDS
        sink.update_tags(RADIO_ADD_OFFSET=0)


def read_whole(path: Path, model: Network) -> np.ndarray:
    with rasterio.open(path) as source:
        return source.read([p + 1 for p in band_positions(model.bands)]).astype(np.float32) / 1e4


def map_ours(engine: str) -> Callable[[Path, Path], float]:
    """Maps by ``map_file``; what is returned is the CPU time of building the engine."""
    built = {"seconds": 0.0}
    original = engines.build_engine

    def timed(*arguments: object) -> object:
        start = time.process_time()
        run = original(*arguments)
        built["seconds"] += time.process_time() - start
        return run

    predict.build_engine = timed

    def mapped(path: Path, out: Path) -> float:
        built["seconds"] = 0.0
        predict.map_file(path, out, engine=engine)
        return built["seconds"]

    return mapped


def map_ml4floods(model: Network, threshold: float) -> Callable[[Path, Path], float]:
    sys.modules["ml4floods.models.worldfloods_model"] = SimpleNamespace(  # needs packages that --no-deps leaves out
        WorldFloodsModel=type("A", (), {}), ML4FloodsModel=type("B", (), {}), load_weights=None
    )
    from ml4floods.data.save_cog import save_cog
    from ml4floods.models.model_setup import get_pred_function

    function = get_pred_function(model, torch.device("cpu"), module_shape=32, max_tile_size=TILE,
                                 activation_fun=lambda x: torch.softmax(x, dim=1), disable_pbar=True)  # fmt: skip

    def mapped(path: Path, out: Path) -> float:
        found = function(torch.from_numpy(read_whole(path, model))[None])[0].numpy()
        for name, layer, nodata in _layers(found, threshold):
            profile = {**GRID, "compression": "lzw", "RESAMPLING": "NEAREST", "nodata": nodata}
            save_cog(layer[None], str(out / f"{path.stem}_{name}.tif"), profile=profile)
        return 0.0

    return mapped


def map_monai(model: Network, threshold: float) -> Callable[[Path, Path], float]:
    from monai.inferers import sliding_window_inference

    def mapped(path: Path, out: Path) -> float:
        batch = torch.from_numpy(read_whole(path, model))[None]
        with torch.inference_mode():
            found = sliding_window_inference(batch, TILE, 1, lambda x: model(x).softmax(dim=1), mode="gaussian")
        for name, layer, nodata in _layers(found[0].numpy(), threshold):
            size = {"count": 1, "height": layer.shape[0], "width": layer.shape[1], "dtype": layer.dtype}
            target = out / f"{path.stem}_{name}.tif"
            with rasterio.open(target, "w", driver="COG", nodata=nodata, **size, **GRID) as sink:
                sink.write(layer, 1)
        return 0.0

    return mapped


def _layers(found: np.ndarray, threshold: float) -> list[tuple[str, np.ndarray, float]]:
    return [("class", classify(found, threshold), 0), ("water", water_given_seen(found), np.nan)]


def bare_network(model: Network, half: bool) -> Callable[[Path, Path], float]:
    """The limit: nothing but the network."""

    def mapped(path: Path, out: Path) -> float:
        batch = torch.from_numpy(read_whole(path, model))[None].to(memory_format=torch.channels_last)
        start = time.process_time()
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            for row in range(0, batch.shape[2], 512):
                for column in range(0, batch.shape[3], 512):
                    model(batch[:, :, row : row + 512, column : column + 512]).softmax(dim=1)
        return start  # what came before does not count

    return mapped


def contender(name: str) -> Callable[[Path, Path], float]:
    if name in OURS:
        return map_ours(name)
    model, about = load_pretrained("unet")
    if name.startswith("limit"):
        return bare_network(model, name.endswith("bf16"))
    return (map_ml4floods if name == "ml4floods" else map_monai)(model, about["threshold"])


def measure(name: str, folder: Path) -> dict[str, float]:
    """CPU seconds from file to file in this process, and the peak of its memory."""
    mapped, out = contender(name), folder / name
    out.mkdir(exist_ok=True)
    mapped(folder / "small.tif", out)
    for file in out.glob("scene*"):
        file.unlink()
    start = time.process_time()
    extra = mapped(folder / "scene.tif", out)
    stop = time.process_time()
    building = 0.0 if name.startswith("limit") else extra
    start = extra if name.startswith("limit") else start + building
    return {"seconds": stop - start, "building": building, "peak": memory_mb("VmHWM")}


def memory_mb(kind: str) -> float:
    """Memory of this process, as Linux knows it: ``VmRSS`` now, ``VmHWM`` at its peak."""
    return float(Path("/proc/self/status").read_text().partition(f"{kind}:")[2].split()[0]) / 1e3


def measure_memory(name: str, path: Path, out: Path) -> dict[str, float]:
    """Peak of this process while it maps one file; ``trivial`` is a network of one pixel."""
    if name == "trivial":
        model = build_model("linear", "bgriswir")
        name = str(save_model(model, out / "trivial.safetensors", {"threshold": 0.5}))
    libraries, start = memory_mb("VmRSS"), time.perf_counter()
    predict.map_file(path, out, model=name)
    return {"peak": memory_mb("VmHWM"), "libraries": libraries, "wall": time.perf_counter() - start}


def fresh_process(*arguments: str) -> dict[str, float]:
    command = [sys.executable, __file__, *arguments]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()[-1])


def compare(folder: Path, rounds: int) -> list[dict[str, object]]:
    names = [name for name in OURS if name in engines.installed_engines()]
    names += [peer for peer in PEERS if importlib.util.find_spec(peer)]
    names += ["limit"] + ["limit-bf16"] * ("torch-bf16" in names)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            found[name].append(fresh_process("--measure", name, str(folder)))
            print(f"round {turn + 1}, {name}: {found[name][-1]}", file=sys.stderr, flush=True)
    middle = {n: {k: statistics.median(r[k] for r in runs) for k in runs[0]} for n, runs in found.items()}
    return [{"name": name, **values, **_differences(folder, name)} for name, values in middle.items()]


def _differences(folder: Path, name: str) -> dict[str, float]:
    if name.startswith("limit"):
        return {}
    with rasterio.open(folder / name / "scene_water.tif") as file:
        difference = np.abs(file.read(1) - np.load(folder / "water.npy"))
    with rasterio.open(folder / name / "scene_class.tif") as file:
        changed = file.read(1) != np.load(folder / "class.npy")
    valid = np.load(folder / "valid.npy")
    return {"difference": float(difference[valid].max()), "changed": float(changed[valid].mean())}


def write_reference(folder: Path) -> None:
    """What the plain network makes of the whole scene at once, mirrored at the edges."""
    model, about = load_pretrained("unet")
    halo, image = receptive_field(model), read_whole(folder / "scene.tif", model)
    mirrored = np.pad(image, ((0, 0), (halo, halo), (halo, halo)), mode="symmetric")
    with torch.inference_mode():
        found = model(torch.from_numpy(mirrored)[None]).softmax(dim=1)[0, :, halo:-halo, halo:-halo].numpy()
    for name, layer, _ in _layers(found, about["threshold"]):
        np.save(folder / f"{name}.npy", layer)
    np.save(folder / "valid.npy", (image != 0).any(axis=0))
    tiled = predict_scene(model, image, tile=512)
    print(f"tiled against untiled: {np.abs(tiled - found).max():.1e}", file=sys.stderr)


def memory(folder: Path) -> list[dict[str, object]]:
    rows = []
    for name, side in (("trivial", 5490), ("unet", 2048), ("unet", 5490), ("unet", 10_980)):
        path = folder / f"{side}.tif"
        write_large(path, side)
        rows.append({"name": name, "side": side, **fresh_process("--memory", name, str(path), str(folder))})
        print(rows[-1], file=sys.stderr, flush=True)
        path.unlink()
    return rows


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def table(results: dict[str, object]) -> str:
    """The results as Markdown."""
    rows = {row["name"]: row for row in results["contenders"]}
    peer = rows.get("ml4floods", {}).get("seconds")
    heads = ("contender", "CPU s", "× ml4floods", "of the limit", "peak MB", "max abs Δp", "classes changed")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, row in rows.items():
        limit = rows.get("limit-bf16" if name == "torch-bf16" else "limit" if name == "torch" else "", {}).get(
            "seconds"
        )
        cells = [name, f"{row['seconds']:.2f}", f"{peer / row['seconds']:.2f}" if peer else "–"]
        cells += [f"{limit / row['seconds']:.0%}" if limit else "–", f"{row['peak']:.0f}"]
        cells += [f"{row['difference']:.1e}", f"{row['changed']:.3%}"] if "difference" in row else ["–", "–"]
        lines.append("| " + " | ".join(cells) + " |")
    building = ", ".join(f"{n} {r['building']:.1f} s" for n, r in rows.items() if r["building"] > 0.5)
    lines.append(f"\nBuilding an engine for one size of scene, not counted above: {building or 'none'}.")
    if results["memory"]:
        lines += ["", "| network | scene | peak MB | beyond the libraries MB | wall s |", "|---|---|---|---|---|"]
        for r in results["memory"]:
            beyond = r["peak"] - r["libraries"]
            lines.append(f"| {r['name']} | {r['side']}² | {r['peak']:.0f} | {beyond:.0f} | {r['wall']:.0f} |")
    lines.append(
        f"\n{results['date']}, {results['processor']}, torch {results['torch']}, medians of {results['rounds']} rounds."
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="measure memory up to 10 980×10 980, too")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--memory", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.measure:
        print(json.dumps(measure(options.measure[0], Path(options.measure[1]))))
    elif options.memory:
        name, path, out = options.memory
        print(json.dumps(measure_memory(name, Path(path), Path(out))))
    else:
        run(options.rounds, options.large)


def run(rounds: int, large: bool) -> None:
    place = Path(__file__).with_suffix(".json")
    earlier = json.loads(place.read_text())["memory"] if place.exists() and not large else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_scene(folder / "small.tif", 256)
        write_scene(folder / "scene.tif", SIDE)
        write_reference(folder)
        contenders = compare(folder, rounds)
        results = {"date": str(date.today()), "processor": processor(), "torch": torch.__version__, "rounds": rounds,
                   "contenders": contenders, "memory": memory(folder) if large else earlier}  # fmt: skip
    place.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    (TABLES / f"{place.stem}.txt").write_text(table(results), encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
