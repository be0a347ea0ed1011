"""Products of every kind are read as the same reflectance; what is ambiguous is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.windows import Window
from tiny import GRID, tiny_image

from ml4ops_helpers.scenes.opening import open_product
from ml4ops_helpers.scenes.rasters import SceneError
from ml4ops_helpers.scenes.sentinel2 import BANDS

WANTED = ("B2", "B4", "B11")
Writer = Callable[..., Path]


def reflectance(path: Path, bands: tuple[str, ...] = WANTED, **options: Any) -> np.ndarray:
    with open_product(path, bands, **options) as product:
        return product.read(Window(0, 0, product.shape[1], product.shape[0]))


def expected(image: np.ndarray, bands: tuple[str, ...] = WANTED) -> np.ndarray:
    return image[[BANDS.index(b) for b in bands]] / 1e4


def refuses(path: Path, match: str, **options: Any) -> None:
    with pytest.raises(SceneError, match=match) as raised:
        reflectance(path, **options)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


class TestGeoTiff:
    def test_offset_left_in_reflectance(self, tiny_scene: Writer) -> None:
        path = tiny_scene(image=(tiny_image() + 1000).astype(np.float32) / 1e4, tags=None)
        refuses(path, "--offset -1000")
        assert np.allclose(reflectance(path, offset=-1000), expected(tiny_image()), atol=1e-6)
        assert np.allclose(reflectance(path, offset=0), expected(tiny_image()) + 0.1, atol=1e-6)

    def test_data_are_found_wherever_they_lie(self, tiny_scene: Writer) -> None:
        image = np.zeros((13, 600, 600), np.uint16)
        image[:, 40:60, 300:310] = tiny_image(32)[:, :20, :10]
        assert np.isfinite(reflectance(tiny_scene(image=image))).sum() == 3 * 20 * 10

    def test_real_tiles(self, real_data: Path) -> None:
        path = real_data / "terramesh" / "S2L1C" / "282D_485L_3_3.tif"
        refuses(path, "--offset -1000")
        assert 0 < np.nanmean(reflectance(path, offset=-1000)) < 0.2
        refuses(path.with_name("38D_378R_2_3.tif"), "offset", offset=-1000)


class TestRejected:
    @pytest.mark.parametrize(
        ("changes", "options", "noun"),
        [
            ({"image": tiny_image()[:4], "names": BANDS[:4]}, {}, "B11"),
            ({"image": tiny_image()[:5], "names": None}, {}, "--bands"),
            ({"image": tiny_image()[:5], "names": None}, {"names": ("B2", "B3")}, "5 bands"),
            ({"image": tiny_image()[:5], "names": None}, {"names": ("B2", "B2", "B3", "B4", "B11")}, "more than one"),
            ({"image": tiny_image()[:2], "names": ("red", "nir")}, {}, "red, nir"),
            ({"crs": None}, {}, "coordinate reference system"),
            ({"transform": Affine.identity()}, {}, "geotransform"),
            ({"image": np.zeros((13, 40, 40), np.uint16)}, {}, "no data"),
            ({"image": tiny_image() + 1000, "tags": None}, {}, "--offset -1000"),
            ({}, {"offset": -1000}, "offset"),
            ({"tags": {"RADIO_ADD_OFFSET": -1000}}, {}, "offset"),
            ({"tags": {"RADIO_ADD_OFFSET": -500}}, {}, "-500"),
            ({"tags": {"RADIO_ADD_OFFSET": 1000}}, {}, "1000"),
            ({"names": [*BANDS[:5], "B2", *BANDS[6:]]}, {}, "more than one band is B2"),
            ({"image": np.full((13, 8, 8), np.nan, "float32"), "nodata": None}, {}, "no data"),
            ({"image": tiny_image(dtype="int16") - 2000}, {}, "as dark as|nothing reflects"),
            ({"tags": {"RADIO_ADD_OFFSET": "yes"}}, {}, "'yes'"),
            ({"image": tiny_image().astype(np.float32) / 1e4, "tags": None}, {"offset": -1000}, "applied twice"),
            ({"image": (tiny_image() // 20).astype(np.uint8)}, {}, "--scale"),
            ({"image": tiny_image(dtype="float32") / 100}, {}, "--scale"),
            ({"image": (tiny_image() * 21.0).astype(np.float32)}, {}, "--scale"),
        ],
    )
    def test_content(self, changes: dict[str, Any], options: dict[str, Any], noun: str, tiny_scene: Writer) -> None:
        refuses(tiny_scene(**changes), noun, **options)

    def test_missing_files_other_formats_and_cut_files(self, tiny_scene: Writer, tmp_path: Path) -> None:
        refuses(tmp_path / "none.tif", "no such file")
        text = tmp_path / "text.tif"
        text.write_text("not an image")
        refuses(text, "GeoTIFF")
        path = tiny_scene()
        path.write_bytes(path.read_bytes()[:5000])
        refuses(path, "cut short")


def write_safe(root: Path, image: np.ndarray, offset: int | None = -1000, level: str = "1C") -> Path:
    """A product as it is unpacked: JPEG 2000 in the native resolutions of 10, 20 and 60 m."""
    folder = root / f"S2A_MSIL{level}_X.SAFE"
    images = folder / "GRANULE" / "L_T30TXM" / "IMG_DATA"
    size = image.shape[1]
    for name, step in (("B02", 1), ("B04", 1), ("B11", 2)):
        where = images if level == "1C" else images / f"R{step}0m"
        where.mkdir(parents=True, exist_ok=True)
        band = image[BANDS.index(f"B{int(name[1:])}")][::step, ::step]
        grid = {"crs": GRID["crs"], "transform": GRID["transform"] @ Affine.scale(step)}
        suffix = "" if level == "1C" else f"_{step}0m"
        options = {"driver": "JP2OpenJPEG", "quality": 100, "reversible": "yes"}
        file, shape = where / f"T30TXM_{name}{suffix}.jp2", {"height": size // step, "width": size // step}
        with rasterio.open(file, "w", count=1, dtype="uint16", **shape, **grid, **options) as sink:
            sink.write(band, 1)
    tag = "RADIO_ADD_OFFSET" if level == "1C" else "BOA_ADD_OFFSET"
    offsets = "" if offset is None else "".join(f'<{tag} band_id="{i}">{offset}</{tag}>' for i in range(13))
    scale = "<QUANTIFICATION_VALUE>10000</QUANTIFICATION_VALUE>"
    (folder / f"MTD_MSIL{level}.xml").write_text(f"<Product>{scale}<Offsets>{offsets}</Offsets></Product>")
    return folder


class TestFolders:
    @pytest.mark.parametrize("level", ["1C", "2A"])
    @pytest.mark.parametrize("offset", [None, -1000])
    def test_safe(self, tmp_path: Path, level: str, offset: int | None) -> None:
        image = tiny_image(64) + (1000 if offset else 0)
        found = reflectance(write_safe(tmp_path, image.astype(np.uint16), offset, level))
        coarse = expected(tiny_image(64)).copy()
        coarse[2] = coarse[2, ::2, ::2].repeat(2, axis=0).repeat(2, axis=1)
        assert np.allclose(found, coarse, atol=1e-6)

    def test_safe_window_off_the_coarse_grid(self, tmp_path: Path) -> None:
        folder = write_safe(tmp_path, tiny_image(64), None)
        with open_product(folder, WANTED) as product:
            part = product.read(Window(7, 5, 20, 31))
        assert np.array_equal(part, reflectance(folder)[:, 5:36, 7:27])
