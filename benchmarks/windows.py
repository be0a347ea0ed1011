"""Reading windows of scenes: handles kept open against opening the file for each window.

    python benchmarks/windows.py [--rounds 5]

Sixty-four windows of 256×256 pixels, 13 bands, lie at random over four scenes of 2048×2048. The peer opens the file
with rasterio for each window, as ml4floods does. Cold: no handle is open and GDAL's block cache is empty (both sides
start each round in a fresh process; the operating system's file cache is warm for both). Warm: the round is repeated
in the same process. Each side runs once in every round, in turns; the figures are medians of CPU seconds, one thread.

The files are of three kinds: ``tiled`` as ``write_raster`` writes them, ``cog`` as GDAL's cloud-optimised driver does
by default with LZW (512-pixel tiles, bands interleaved by pixel), ``strips`` as rasterio does by default with Deflate
(strips of rows, bands interleaved by pixel: the form of Sen1Floods11). Ours always reads ``tiled``: beside the peer on
``tiled`` it shows what the open handle alone brings, beside the others what the form of the file brings too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window
from scipy import ndimage

from ml4ops_helpers.scenes.rasters import WindowReader, write_raster
from ml4ops_helpers.scenes.sentinel2 import BAND_SETS, BANDS, band_positions

SCENES, SIDE, SIZE, NUMBER = 4, 2048, 256, 64
GRID = {"crs": "EPSG:32630", "transform": Affine(10, 0, 500_000, 0, -10, 4_000_000)}


KINDS = {"cog": {"driver": "COG", "compress": "lzw"}, "strips": {"driver": "GTiff", "compress": "deflate"}}


def smooth_scene(rng: np.random.Generator) -> np.ndarray:
    """Digital numbers that compress about as real ones do: a smooth field and noise."""
    fields = [ndimage.gaussian_filter(rng.normal(size=(SIDE, SIDE)), 8) for _ in BANDS]
    image = np.stack([1200 + 8000 * field + rng.normal(0, 15, (SIDE, SIDE)) for field in fields])
    return image.clip(1, 10_000).astype(np.uint16)


def write_files(folder: Path) -> None:
    """The same scenes in the three kinds of file."""
    rng = np.random.default_rng(0)
    for number in range(SCENES):
        image = smooth_scene(rng)
        write_raster(folder / f"tiled-{number}.tif", image, names=BANDS, nodata=0, **GRID)
        size = {"count": len(image), "height": SIDE, "width": SIDE, "dtype": image.dtype}
        for kind, options in KINDS.items():
            with rasterio.open(folder / f"{kind}-{number}.tif", "w", **options, **size, **GRID) as sink:
                sink.write(image)


def windows(aligned: bool) -> list[tuple[int, Window]]:
    """Scene and window: on the tiles of the file, or anywhere."""
    rng = np.random.default_rng(1)
    places = rng.integers(0, SIDE - SIZE + 1, (NUMBER, 2)) // (SIZE if aligned else 1) * (SIZE if aligned else 1)
    return [(i % SCENES, Window(int(column), int(row), SIZE, SIZE)) for i, (row, column) in enumerate(places)]


def read_open_each(files: list[Path], wanted: list[tuple[int, Window]], positions: list[int]) -> int:
    total = 0
    for scene, window in wanted:
        with rasterio.open(files[scene]) as source:
            total += int(source.read([p + 1 for p in positions], window=window)[0, 0, 0])
    return total


def measure(folder: Path, kind: str, side: str, bands: str, aligned: bool) -> dict[str, float]:
    """CPU seconds of a cold and a warm pass in this process."""
    files, wanted = [folder / f"{kind}-{number}.tif" for number in range(SCENES)], windows(aligned)
    positions, reader, seconds = band_positions(bands), WindowReader(), {}
    for state in ("cold", "warm"):
        start = time.process_time()
        if side == "peer":
            total = read_open_each(files, wanted, positions)
        else:
            total = sum(int(reader.read(files[scene], window, positions)[0, 0, 0]) for scene, window in wanted)
        seconds[state] = time.process_time() - start
    return seconds | {"total": total}


def fresh_process(*arguments: str) -> dict[str, float]:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GDAL_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--measure", *arguments]
    return json.loads(subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout)


def compare(folder: Path, rounds: int, bands: str, aligned: bool) -> None:
    """Print the medians and ratios for one choice of bands and places."""
    cases = [("tiled", "ours"), ("tiled", "peer"), ("cog", "peer"), ("strips", "peer")]
    seconds: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    totals = set()
    for turn in range(rounds):
        for kind, side in cases[turn % 4 :] + cases[: turn % 4]:
            result = fresh_process(str(folder), kind, side, bands, str(int(aligned)))
            totals.add(result["total"])
            for state in ("cold", "warm"):
                seconds[kind, side, state].append(result[state])
    if len(totals) != 1:
        raise SystemExit(f"the sides read different values: {totals}")
    median = {key: statistics.median(values) for key, values in seconds.items()}
    print(f"{len(BAND_SETS[bands]):>3} bands, windows {'on the tiles' if aligned else 'anywhere'}")
    for kind in ("tiled", *KINDS):
        for state in ("cold", "warm"):
            ours, peer = median["tiled", "ours", state], median[kind, "peer", state]
            print(f"    {state}, peer reads {kind:<8}{ours:8.3f} s {peer:8.3f} s   ratio {ours / peer:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        folder, kind, side, bands, aligned = options.measure
        print(json.dumps(measure(Path(folder), kind, side, bands, bool(int(aligned)))))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder))
        sizes = {k: sum(f.stat().st_size for f in Path(folder).glob(f"{k}-*")) / 1e6 for k in ("tiled", *KINDS)}
        print(f"{NUMBER} windows of {SIZE}², {options.rounds} rounds; files: {sizes} MB")
        for bands in ("all", "bgriswir"):
            for aligned in (True, False):
                compare(Path(folder), options.rounds, bands, aligned)


if __name__ == "__main__":
    main()
