"""Cloud-optimised GeoTIFFs assembled from the windows of a scene. Explained in ``05_run_inference``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.windows import Window

from ml4ops_helpers.scenes.products import Product
from ml4ops_helpers.scenes.rasters import SceneError, open_raster, replacing

CACHE_BYTES = 64 << 20
"""GDAL's block cache: a twentieth of the memory by default, although a scene read once gains nothing from it."""
Arrays = dict[str, NDArray[Any]]
"""Results of one window, by layer, ``(bands, height, width)``."""


@dataclass(frozen=True)
class Layer:
    """A file to write: where, the names of its bands, their type, the no-data value, and the colours of codes."""

    path: Path
    names: tuple[str, ...]
    dtype: str
    nodata: float
    colours: Mapping[int, tuple[int, int, int]] | None = None


def keep_window(path: Path, arrays: Arrays) -> None:
    """Save the results of a window; the file appears only when it is whole."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def write_cogs(
    layers: Mapping[str, Layer], windows: Sequence[tuple[Window, Path]], product: Product, tags: Mapping[str, object]
) -> None:
    """Write the layers of a scene, on the grid of its product, with the same tags; all appear when the last is whole.

    ``windows`` are pixels and the file that ``keep_window`` made of them.
    """
    with ExitStack() as stack:
        for name, layer in layers.items():
            target = stack.enter_context(replacing(layer.path))
            scratch = windows[0][1].with_name(f"{name}.tif")
            grid = {"crs": product.crs, "transform": product.transform, "count": len(layer.names), "dtype": layer.dtype}
            size = {"height": product.shape[0], "width": product.shape[1], "nodata": layer.nodata}
            with rasterio.open(scratch, "w", driver="GTiff", bigtiff="if_safer", **grid, **size) as sink:
                for window, file in windows:
                    with np.load(file) as arrays:
                        sink.write(arrays[name], window=window)
                sink.descriptions = layer.names
                sink.update_tags(**tags)
                if layer.colours:
                    sink.write_colormap(1, dict(layer.colours))
            smoothing = "nearest" if layer.colours else "average"
            options = {"compress": "zstd", "level": 1, "predictor": "yes", "overview_resampling": smoothing}
            rasterio.shutil.copy(scratch, target, driver="COG", blocksize=512, bigtiff="if_safer", **options)
            scratch.unlink()


def is_made_by(run: str, path: Path) -> bool:
    """Whether a file is the whole result of this run: its tag ``RUN`` says so."""
    if not path.exists():
        return False
    try:
        with open_raster(path) as source:
            return bool(source.tags().get("RUN") == run)
    except SceneError:  # another program's file of this name
        return False
