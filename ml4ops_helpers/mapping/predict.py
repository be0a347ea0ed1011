"""From satellite products to files: a class map and the probability of water, in bounded memory.

Every window's result is kept in a folder beside the outputs until the scene is whole, so an interrupted run resumes
where it stopped. Explained in ``05_run_inference``.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import rasterio
import torch
from rasterio.windows import Window
from tqdm.auto import tqdm

from ml4ops_helpers import DEFAULT_MODEL, __version__
from ml4ops_helpers.inference import adaptation
from ml4ops_helpers.inference.adaptation import Sample, draw_pixels
from ml4ops_helpers.inference.decisions import water_codes, water_given_seen
from ml4ops_helpers.inference.engines import build_engine, check_engine, choose_engine, try_engines
from ml4ops_helpers.inference.familiarity import UNLIKE, Usual
from ml4ops_helpers.inference.receptive_fields import receptive_field
from ml4ops_helpers.inference.tiling import (
    Runner,
    core_shape,
    core_windows,
    default_tile,
    predict_window,
    read_mirrored,
)
from ml4ops_helpers.inference.whole import classes_of
from ml4ops_helpers.mapping.cogs import CACHE_BYTES, Arrays, Layer, is_made_by, keep_window, write_cogs
from ml4ops_helpers.models.common import ModelError
from ml4ops_helpers.models.networks import Network, to_probabilities
from ml4ops_helpers.models.saved import load_model, shipped_weights
from ml4ops_helpers.scenes import opening
from ml4ops_helpers.scenes.archives import stem
from ml4ops_helpers.scenes.opening import Reading
from ml4ops_helpers.scenes.products import Product, check_share
from ml4ops_helpers.scenes.rasters import SceneError, WindowReader, open_raster
from ml4ops_helpers.scenes.sentinel2 import CLASS_NAMES, CLOUD, INVALID, Codes, Float
from ml4ops_helpers.uncertainty.dropout import DropoutSampler, draw_masks
from ml4ops_helpers.uncertainty.samples import summarise_samples

MEASURES = ("predictive_entropy", "mutual_information")
"""Bands of an uncertainty map, nats."""
TRIAL = 512
"""Side of the core on which engines are tried, pixels."""
COLOURS = {1: (230, 159, 0), 2: (0, 114, 178), 3: (204, 121, 167)}
"""Of land, water and cloud in a class map, as in the book's figures."""


@dataclass(frozen=True)
class MappedFiles:
    """Files that a scene was mapped to.

    Attributes:
        class_map: uint8: 0 invalid, 1 land, 2 water, 3 cloud.
        water: float32, probability of water given that the ground is seen; NaN where there are no data.
        uncertainty: float32, predictive entropy and mutual information in nats; None without samples.
    """

    class_map: Path
    water: Path
    uncertainty: Path | None = None


def map_file(path: Path | str, out: Path | str, **options: Any) -> MappedFiles:  # noqa: ANN401 - those of map_files
    """Map one product; arguments, result and errors as for ``map_files``."""
    return map_files([path], out, **options)[0]


def map_files(
    paths: Sequence[Path | str],
    out: Path | str,
    *,
    model: str = DEFAULT_MODEL,
    threshold: float | None = None,
    adapt: bool = True,
    engine: str = "torch",
    uncertainty: int = 0,
    tile: int | None = None,
    report: Callable[[str], None] = lambda line: None,
    **reading: Unpack[Reading],
) -> list[MappedFiles]:
    """Map products, each to ``<scene>_class.tif`` and ``<scene>_water.tif``; nothing is mapped before all are checked.

    Args:
        paths: products of any kind that ``open_product`` reads.
        out: folder of the results; made when missing.
        model: name of shipped weights, or a safetensors file.
        threshold: water where its probability is at least this; default the one saved with the weights.
        adapt: whether networks made for it are adapted to each scene, see ``inference.adaptation``.
        engine: ``auto``, or as for ``engines.build_engine``.
        uncertainty: samples of Monte Carlo dropout; 0 for none.
        tile: longest side of a window's core, pixels; default ``tiling.default_tile``.
        report: called with a line on how each product is read, before anything is computed, and with one on each
            whose spectra are unlike those that the network was trained on.
        reading: what is to be said about the products, see ``Reading``.

    Returns:
        The files, one set per product. Results of an earlier run with the same settings are kept.

    Raises:
        SceneError: a product cannot be used, or two have one name.
        ModelError: the model or the engine cannot be used.
    """
    mapper = _mapper(model, threshold, engine, uncertainty, tile, adapt)
    scenes, folder = [Path(path) for path in paths], Path(out)
    names = [stem(scene) for scene in scenes]
    for name in names:
        if names.count(name) > 1:
            raise SceneError(f"{name}: {names.count(name)} scenes of this name; map them into different folders")
    products = []
    with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES), closing(WindowReader()) as reader:
        for scene in scenes:
            products.append(opening.decide(scene, mapper.model.bands, reader, **reading))
            report(f"{scene}: {products[-1].decision}")
        return [mapper.map(product, folder / name, report) for product, name in zip(products, names, strict=True)]


def _mapper(
    model: str, threshold: float | None, engine: str, samples: int, tile: int | None, adapt: bool = False
) -> _Mapper:
    shipped = shipped_weights()
    path = Path(model) if model.endswith(".safetensors") else shipped.get(model)
    if path is None or not path.is_file():
        raise ModelError(f"model {model!r}: no such weights; choose {', '.join(shipped)}, or give a .safetensors file")
    network, about = load_model(path)
    chosen = about.get("threshold") if threshold is None else threshold
    if chosen is None or not 0 <= chosen <= 1:
        raise ModelError(f"threshold {chosen} is not a probability; pass one between 0 and 1")
    weights = hashlib.sha256(path.read_bytes()).hexdigest()
    tags = {"MODEL": model, "MODEL_SHA256": weights, "DATA_SHA256": about.get("data", "unknown"), "THRESHOLD": chosen}
    if engine != "auto":
        check_engine(engine)
    if samples and not network.config["dropout"]:
        raise ModelError(f"model {model!r} was trained without dropout, which samples need; map without uncertainty")
    if network.heads == "cloud_water" and "cloud_threshold" not in about:
        raise ModelError(f"{path}: two heads without a threshold for cloud; train it with `ml4ops train`")
    if network.heads == "cloud_water" and not {"B2", "B3", "B4"} <= set(network.bands):
        raise ModelError(f"{path}: maps of two heads need bands B2, B3 and B4, by which thick cloud is told from thin")
    adapts, usual = adapt and bool(about.get("adapts")), Usual.saved(about)
    return _Mapper(network, about | {"threshold": float(chosen)}, engine, samples, tile, adapts, usual, tags)


def model_bands(model: str) -> tuple[str, ...]:
    """The bands that a network needs; ``model`` and errors as for ``map_files``."""
    return _mapper(model, None, "torch", 0, None).model.bands


@dataclass(frozen=True, eq=False)
class _Mapper:
    """A network with every setting that its maps depend on."""

    model: Network
    about: dict[str, Any]
    engine: str
    samples: int
    tile: int | None
    adapts: bool
    usual: Usual | None
    tags: dict[str, object]

    def map(self, product: Product, target: Path, report: Callable[[str], None]) -> MappedFiles:
        """Map a product to files whose names begin as ``target``, unless an earlier run has made them."""
        layers = {
            "class": Layer(Path(f"{target}_class.tif"), ("class",), "uint8", INVALID, COLOURS),
            "water": Layer(Path(f"{target}_water.tif"), ("water",), "float32", np.nan),
        }
        if self.samples:
            layers["uncertainty"] = Layer(Path(f"{target}_uncertainty.tif"), MEASURES, "float32", np.nan)
        run = self._fingerprint(product)
        if not all(is_made_by(run, layer.path) for layer in layers.values()):
            parts = _unfinished(target.with_name(f".{target.name}.part"), run)
            try:
                windows = self._compute(product, parts)
                files = [file for _, file in windows]
                about = self._judge(files) | self._adapt(files)
                write_cogs(layers, windows, product, self.tags | self._facts(product, parts) | about | {"RUN": run})
            except (SceneError, ModelError):
                shutil.rmtree(parts)
                raise
            shutil.rmtree(parts)
        with open_raster(layers["class"].path) as source:
            if warning := source.tags().get("UNLIKE_TRAINING"):
                report(f"{product.path}: {warning}")
        uncertainty = layers["uncertainty"].path if self.samples else None
        return MappedFiles(layers["class"].path, layers["water"].path, uncertainty)

    def _compute(self, product: Product, parts: Path) -> list[tuple[Window, Path]]:
        """Every window of the product, and the file of its results; only missing ones are computed."""
        halo = receptive_field(self.model)
        core = core_shape(product.shape, self.tile or default_tile(halo))
        windows = [(w, parts / f"{w.row_off}_{w.col_off}.npz") for w in core_windows(product.shape, core)]
        todo = [(window, file) for window, file in windows if not file.exists()]
        run = None
        tally = np.zeros(2, np.int64)  # impossible pixels, and all

        def read(window: Window) -> Float:
            reflectance, valid, impossible = product.decode(product.stored(window), window)
            tally[:] = impossible, valid.size
            return reflectance

        for window, file in tqdm(todo, desc=product.path.name, unit="window", disable=None):
            image = read_mirrored(read, window, product.shape, core, halo)
            run = run or build_engine(self._engine(parts, image, halo), self.model, halo, core)
            keep_window(file, self._results(run, image, window, halo) | {"tally": tally})
        check_share(product.path, *np.sum([np.load(file)["tally"] for _, file in windows], axis=0))
        return windows

    def _engine(self, parts: Path, image: Float, halo: int) -> str:
        """The engine chosen by the user, or for the whole scene by a trial on a corner of its first window."""
        file = parts / "engine"
        if not file.exists():
            corner = np.nan_to_num(image[:, : 2 * halo + TRIAL, : 2 * halo + TRIAL])
            auto = self.engine == "auto"
            file.write_text(choose_engine(try_engines(self.model, corner, halo)) if auto else self.engine)
        return file.read_text()

    def _results(self, run: Runner, image: Float, window: Window, halo: int) -> Arrays:
        probabilities = predict_window(run, image, window, halo)
        seen = image[:, halo : halo + window.height, halo : halo + window.width]
        codes = classes_of(self.model, self.about, probabilities, seen)
        found: Arrays = {"class": codes[None], "water": water_given_seen(probabilities)[None]}
        found |= self._samples(seen, codes, found["water"][0], window)
        if self.samples:
            found["uncertainty"] = np.where(codes == INVALID, np.float32(np.nan), self._measures(image, window, halo))
        return found

    def _samples(self, reflectance: Float, codes: Codes, water: Float, window: Window) -> Arrays:
        """Pixels by which the scene is judged, and the network adapted to it; and what the latter is applied to."""
        kept: Arrays = {}
        chosen = {"any": codes != INVALID} if self.usual else {}
        if self.adapts:
            kept["reflectance"] = adaptation.halved(reflectance)
            reflectance = adaptation.restored(kept["reflectance"])  # what the second pass sees
            chosen |= dict(zip(("land", "wet"), adaptation.sure(water, codes != CLOUD), strict=True))
        for name, mask in chosen.items():
            sample = draw_pixels(self.model, reflectance, mask, (window.row_off, window.col_off))
            kept |= {f"{name}_order": sample.order, f"{name}_features": sample.features}
        return kept

    def _judge(self, files: Sequence[Path]) -> dict[str, object]:
        """How far the scene lies from what the network was trained on, as tags."""
        if self.usual is None:
            return {}
        sample = _joined(files, "any")
        if not len(sample.order):
            return {}
        distance = self.usual.distance(sample.features)
        share = self.usual.share_nearer(distance)
        tags: dict[str, object] = {
            "DISTANCE_FROM_TRAINING": round(distance, 3),
            "NEARER_SIMULATED": round(share, 3),
        }
        if share < UNLIKE:
            return tags
        return tags | {
            "UNLIKE_TRAINING": f"its spectra lie farther from the usual than {share:.0%} of the simulated scenes; "
            "judge its map on a part that you know, and compare it with that of --model index"
        }

    def _adapt(self, files: Sequence[Path]) -> dict[str, object]:
        """Adapt the results of every window to the scene; returns how, as tags. A second time changes nothing."""
        if not self.adapts:
            return {"ADAPTED": "no"}
        land, wet = _joined(files, "land"), _joined(files, "wet")
        discriminant = adaptation.fit_discriminant(land, wet)
        for file in files:
            with np.load(file) as arrays:
                found = dict(arrays)
            if "reflectance" not in found:
                continue
            reflectance = adaptation.restored(found.pop("reflectance"))
            codes, water = found["class"][0], found["water"][0]
            seen = codes != CLOUD
            water = adaptation.average(discriminant, self.model, reflectance, water, seen)
            codes = np.where(seen, water_codes(water, self.about["threshold"]), codes)
            keep_window(file, found | {"class": codes[None], "water": water[None]})
        sampled = f"from {len(wet.order)} pixels of water and {len(land.order)} of land, drawn by position"
        return {"ADAPTED": ("quadratic discriminant " if discriminant else "no: too few sure pixels, ") + sampled}

    def _measures(self, image: Float, window: Window, halo: int) -> Float:
        """Predictive entropy and mutual information; every window is sampled under the same masks."""
        batch = torch.from_numpy(np.nan_to_num(image))[None].contiguous(memory_format=torch.channels_last)
        sampler = DropoutSampler(self.model, batch, halo)
        masks = draw_masks(self.model, self.samples)
        found = summarise_samples(to_probabilities(sampler.logits(mask))[0].numpy() for mask in masks)
        return np.stack([found.predictive_entropy, found.mutual_information])[:, : window.height, : window.width]

    def _facts(self, product: Product, parts: Path) -> dict[str, object]:
        names = ", ".join(f"{code} {name}" for code, name in enumerate(CLASS_NAMES))
        return {
            "SOURCE": product.path.name,
            "READ_AS": str(product.decision),
            "CLASSES": names,
            "ENGINE": (parts / "engine").read_text(),
        }

    def _fingerprint(self, product: Product) -> str:
        """Hash of everything that the result depends on; files count by name, size and date."""
        layers = [*product.layers, *(layer for layer, _ in product.flags)]
        used = {product.path} if product.path.is_file() else set()
        for name in {layer.file for layer in layers}:
            with open_raster(name) as source:  # its own files too: masks beside it, sources of a VRT
                used |= {Path(file) for file in source.files if Path(file).is_file()}
        files = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(used)]
        meaning = [asdict(layer) for layer in layers], asdict(product.scaling)
        settings = self.tags, self.engine, self.samples, self.tile, self.adapts, __version__
        return hashlib.sha256(json.dumps([files, meaning, settings]).encode()).hexdigest()


def _joined(files: Sequence[Path], name: str) -> Sample:
    """The sample of a scene from those of its windows."""
    parts = []
    for file in files:
        with np.load(file) as arrays:
            parts.append(Sample(arrays[f"{name}_order"], arrays[f"{name}_features"]))
    return Sample.join(parts)


def _unfinished(folder: Path, run: str) -> Path:
    """Folder of the windows that an interrupted run has finished; emptied if they belong to another run."""
    mark = folder / "run"
    if folder.is_dir() and not (mark.is_file() and mark.read_text() == run):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(run)
    return folder
