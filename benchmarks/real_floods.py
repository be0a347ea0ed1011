"""Water IoU on real, labelled images through ``ml4ops predict``, beside two rules that need no training.

    ML4OPS_DATA=… python benchmarks/real_floods.py [--model flood]

The images are the chips of Sen1Floods11 in the data folder, and other real ones in its folder ``extra``, which may be
used but not passed on. Nothing is trained or tuned on them. The frozen threshold is compared with the best one of each
image, which only its label knows. Results on Sen1Floods11 are written to ``benchmarks/real_floods.json`` and, as a
table for the book, to ``book/tables/real_floods.txt``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from rasterio.crs import CRS

from ml4ops_helpers import DEFAULT_MODEL
from ml4ops_helpers.datasets.chips import real_chips
from ml4ops_helpers.datasets.folders import data_dir
from ml4ops_helpers.evaluation.metrics import binary_counts, iou
from ml4ops_helpers.mapping.predict import map_file
from ml4ops_helpers.scenes import LAND, WATER, water_index
from ml4ops_helpers.scenes.rasters import open_raster, write_raster
from ml4ops_helpers.scenes.sentinel2 import BAND_SETS

BANDS = BAND_SETS["bgriswir"]
HERE = Path(__file__).parent
INVALID_BELOW = -0.05
"""Reflectance below which a pixel of a corrected image is broken."""


def images(folder: Path) -> Iterator[tuple[str, Path, np.ndarray, np.ndarray]]:
    """Name, file, reflectance in ``BANDS`` and label (1 land, 2 water, else not counted) of every real image."""
    for name, (scene, truth) in real_chips().items():
        file = scene.path
        reflectance = scene.reflectance()[[scene.bands.index(band) for band in BANDS]]
        if file.suffix == ".npz":
            file = folder / f"{name}.tif"
            numbers = np.nan_to_num(reflectance * 10_000).round().astype(np.uint16)
            anywhere = CRS.from_epsg(32630)  # the averaged chips have lost their place, which changes no pixel
            write_raster(file, numbers, crs=anywhere, transform=scene.transform, names=BANDS, nodata=0)
        yield name, file, reflectance, truth
    for file in sorted((data_dir() / "extra").glob("*.tif")):
        label = file.with_name(f"{file.stem}_label.tif")
        if not label.exists():
            continue
        with open_raster(file) as source, open_raster(label) as truth:
            if not set(BANDS) <= set(source.descriptions):
                continue
            at = [source.descriptions.index(band) + 1 for band in BANDS]
            reflectance = source.read(at).astype(np.float32) / 10_000
            codes = np.array([LAND, WATER, 0])[truth.read(1)]  # of 0, 1 and −1
        codes[(reflectance <= INVALID_BELOW).any(axis=0)] = 0
        yield file.stem, file, reflectance, codes


def score(called: np.ndarray, truth: np.ndarray) -> float:
    """Water IoU over the labelled pixels."""
    known = (truth == LAND) | (truth == WATER)
    counts = binary_counts(truth == WATER, called, known)
    return float(iou(counts.tp, counts.fp, counts.fn))


def table(model: str, *, adapt: bool = True) -> pd.DataFrame:
    """By image: IoU of the model as mapped, with its best threshold, of the rule ``index`` and of MNDWI > 0."""
    rows = {}
    with tempfile.TemporaryDirectory() as work:
        for name, file, reflectance, truth in images(Path(work)):
            found = {}
            for which in (model, "index"):
                maps = map_file(file, Path(work) / Path(which).stem, model=which, adapt=adapt)
                with open_raster(maps.class_map) as codes, open_raster(maps.water) as water:
                    found[which] = codes.read(1) == WATER, water.read(1)
            best = max(score(found[model][1] >= t, truth) for t in np.linspace(0.02, 0.98, 49))
            rows[name] = {
                model: score(found[model][0], truth),
                "its best threshold": best,
                "index": score(found["index"][0], truth),
                "MNDWI > 0": score(water_index("mndwi", reflectance, BANDS) > 0, truth),
            }
    return pd.DataFrame(rows).T.rename_axis("image")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=DEFAULT_MODEL, help=f"as for ml4ops predict; default: {DEFAULT_MODEL}")
    parser.add_argument("--no-adapt", dest="adapt", action="store_false")
    options = parser.parse_args()
    found = table(options.model, adapt=options.adapt)
    published = found[~found.index.str.contains("HLS|ESWKB|OMBRIA")]
    means = {"mean": found.mean(), "mean, Sen1Floods11": published.mean()}
    print(pd.concat([found, pd.DataFrame(means).T]).round(3).to_string())
    if options.model == DEFAULT_MODEL and options.adapt:
        shown = pd.concat([published, published.mean().to_frame("mean").T]).round(3)
        report = {"date": str(date.today()), "model": options.model, "iou": json.loads(shown.to_json(orient="index"))}
        (HERE / "real_floods.json").write_text(json.dumps(report, indent=1) + "\n")
        (HERE.parent / "book" / "tables" / "real_floods.txt").write_text(shown.to_markdown() + "\n")


if __name__ == "__main__":
    main()
