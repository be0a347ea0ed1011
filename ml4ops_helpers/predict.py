"""From satellite products to files: a class map and the probability of water, in bounded memory.

Every window's result is kept in a folder beside the outputs until the scene is whole, so an interrupted run goes on
where it stopped. Explained in ``05_run_inference``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window
from tqdm.auto import tqdm

from ml4ops_helpers import __version__
from ml4ops_helpers.cogs import CACHE_BYTES, Arrays, Layer, is_made_by, keep_window, write_cogs
from ml4ops_helpers.engines import build_engine
from ml4ops_helpers.evaluation import classify, water_given_seen
from ml4ops_helpers.inference import (
    core_shape,
    core_windows,
    default_tile,
    predict_window,
    read_mirrored,
    receptive_field,
)
from ml4ops_helpers.models import PRETRAINED, ModelError, Network, load_model
from ml4ops_helpers.products import Product, open_product
from ml4ops_helpers.rasters import SceneError
from ml4ops_helpers.sentinel2 import CLASS_NAMES, INVALID, Float

COLOURS = {1: (230, 159, 0), 2: (0, 114, 178), 3: (204, 121, 167)}
"""Of land, water and cloud in a class map, as in the book's figures."""


@dataclass(frozen=True)
class Products:
    """Files that a scene was mapped to.

    Attributes:
        class_map: uint8: 0 invalid, 1 land, 2 water, 3 cloud.
        water: float32, probability of water given that the ground is seen; NaN where there are no data.
        uncertainty: float32, predictive entropy and mutual information in nats; None where they were not asked.
    """

    class_map: Path
    water: Path
    uncertainty: Path | None = None


def map_file(path: Path | str, out: Path | str, **options: Any) -> Products:  # noqa: ANN401 - those of map_files
    """Map one product; arguments, result and errors as for ``map_files``."""
    return map_files([path], out, **options)[0]


def map_files(
    paths: Sequence[Path | str],
    out: Path | str,
    *,
    model: str = "unet",
    threshold: float | None = None,
    bands: Sequence[str] | None = None,
    offset: int | None = None,
    engine: str = "torch",
    uncertainty: int = 0,
    tile: int | None = None,
) -> list[Products]:
    """Map products, each to ``<scene>_class.tif`` and ``<scene>_water.tif``; nothing is mapped before all are checked.

    Args:
        paths: GeoTIFFs, ``.SAFE`` folders, folders of Landsat bands.
        out: folder of the results; made when missing.
        model: name of shipped weights, or a safetensors file.
        threshold: water where its probability is at least this; default the one saved with the weights.
        bands: what the bands of the files are, where these do not say it.
        offset: ``RADIO_ADD_OFFSET`` of the products, where these do not say it.
        engine: see ``engines.build_engine``.
        uncertainty: samples of Monte Carlo dropout; 0 for none.
        tile: longest side of a window's core, pixels; default ``inference.default_tile``.

    Returns:
        The files, one set a product. What an earlier run with the same settings left is kept.

    Raises:
        SceneError: a product cannot be used, or two have one name.
        ModelError: the model or the engine cannot be used.
    """
    mapper = _mapper(model, threshold, engine, uncertainty, tile)
    scenes, folder = [Path(path) for path in paths], Path(out)
    names = [scene.stem for scene in scenes]
    for name in names:
        if names.count(name) > 1:
            raise SceneError(f"{name}: {names.count(name)} scenes of this name; map them into different folders")
    found = []
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
        for checking in (True, False):
            for scene in scenes:
                with open_product(scene, mapper.model.bands, names=bands, offset=offset) as product:
                    if not checking:
                        found.append(mapper.map(product, folder / scene.stem))
    return found


def _mapper(model: str, threshold: float | None, engine: str, samples: int, tile: int | None) -> _Mapper:
    path = Path(model) if model.endswith(".safetensors") else PRETRAINED / f"{model}.safetensors"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in PRETRAINED.glob("*.safetensors")))
        raise ModelError(f"model {model!r}: no such weights; choose {known}, or give a .safetensors file")
    network, about = load_model(path)
    chosen = about.get("threshold") if threshold is None else threshold
    if chosen is None or not 0 <= chosen <= 1:
        raise ModelError(f"threshold {chosen} is no probability; give one between 0 and 1")
    weights = hashlib.sha256(path.read_bytes()).hexdigest()
    tags = {"MODEL": model, "MODEL_SHA256": weights, "DATA_SHA256": about.get("data", "unknown"), "THRESHOLD": chosen}
    return _Mapper(network, float(chosen), engine, samples, tile, tags)


@dataclass(frozen=True, eq=False)
class _Mapper:
    """A network with everything that decides what it makes of a product."""

    model: Network
    threshold: float
    engine: str
    samples: int
    tile: int | None
    tags: dict[str, object]

    def map(self, product: Product, target: Path) -> Products:
        """Map a product to files whose names begin as ``target``, unless this has been done."""
        layers = {
            "class": Layer(Path(f"{target}_class.tif"), ("class",), "uint8", INVALID, COLOURS),
            "water": Layer(Path(f"{target}_water.tif"), ("water",), "float32", np.nan),
        }
        tags = self.tags | {"ENGINE": self.engine, "SCALING": f"{product.scaling.factor} {product.scaling.addend}"}
        run = _fingerprint(product, tags)
        if not all(is_made_by(run, layer.path) for layer in layers.values()):
            parts = _unfinished(target.with_name(f".{target.name}.part"), run)
            try:
                windows = self._compute(product, parts)
                names = ", ".join(f"{code} {name}" for code, name in enumerate(CLASS_NAMES))
                write_cogs(layers, windows, product, tags | {"SOURCE": product.path.name, "CLASSES": names, "RUN": run})
            except (SceneError, ModelError):
                shutil.rmtree(parts)
                raise
            shutil.rmtree(parts)
        return Products(layers["class"].path, layers["water"].path)

    def _compute(self, product: Product, parts: Path) -> list[tuple[Window, Path]]:
        """Every window of the product, and the file that keeps what came out; only what is missing is computed."""
        halo = receptive_field(self.model)
        core = core_shape(product.shape, self.tile or default_tile(halo))
        windows = [(w, parts / f"{w.row_off}_{w.col_off}.npz") for w in core_windows(product.shape, core)]
        todo = [(window, file) for window, file in windows if not file.exists()]
        if todo:
            run = build_engine(self.engine, self.model, halo, core)
            for window, file in tqdm(todo, desc=product.path.name, unit="window", disable=None):
                image = read_mirrored(product.read, window, product.shape, core, halo)
                keep_window(file, self._judge(predict_window(run, image, window, halo)))
        return windows

    def _judge(self, probabilities: Float) -> Arrays:
        return {"class": classify(probabilities, self.threshold)[None], "water": water_given_seen(probabilities)[None]}


def _fingerprint(product: Product, tags: dict[str, object]) -> str:
    """Hash of all that the result follows from: the files of the product, as far as their names and dates tell."""
    files = sorted({source.name for source, _ in product.layers})
    stats = [(str(Path(f).resolve()), Path(f).stat().st_size, Path(f).stat().st_mtime_ns) for f in files]
    bands = [band for _, band in product.layers]
    return hashlib.sha256(json.dumps([stats, bands, tags, __version__]).encode()).hexdigest()


def _unfinished(folder: Path, run: str) -> Path:
    """Folder of the windows that an interrupted run has finished; emptied when they are of another run."""
    mark = folder / "run"
    if folder.is_dir() and not (mark.is_file() and mark.read_text() == run):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(run)
    return folder
