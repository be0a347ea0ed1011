"""One door for scenes: whatever way a scene is stored, the truth is read, or the scene is refused; nothing is guessed.

The kinds of fault are those that users of such tools report: offsets and scales, no-data in every form, unnamed bands,
names of archives, sensors, containers.
"""

from __future__ import annotations

import itertools
import shlex
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings, strategies as st
from made import FIVE, SIDE, truth, water, write, write_landsat, write_safe
from rasterio.rio.main import main_group
from rasterio.windows import Window

from ml4ops_helpers.datasets import Windows, get_dataset
from ml4ops_helpers.mapping import map_file
from ml4ops_helpers.scenes import SceneError, inspect, open_product, open_raster, parse_bands, read_scene
from ml4ops_helpers.scenes.bands import LANDSAT_7, LANDSAT_8
from ml4ops_helpers.scenes.sentinel2 import BANDS

HALF = np.s_[:, :, SIDE // 2 :]
"""Where a form of no-data is put: the right half."""


def read(path: Path, bands: Sequence[str] = FIVE, **reading: Any) -> np.ndarray:
    with open_product(path, bands, **reading) as product:
        return product.read(Window(0, 0, product.shape[1], product.shape[0]))


def is_true(found: np.ndarray, missing: np.ndarray | None = None, step: float = 1e-6) -> bool:
    """Whether what was read is the truth, and NaN in every band exactly where data are missing."""
    expected = truth()[[BANDS.index(band) for band in FIVE]]
    if missing is not None:
        expected[:, missing] = np.nan
    return bool(np.allclose(found, expected, rtol=0, atol=step, equal_nan=True))


def refuses(path: Path, *words: str, **reading: Any) -> str:
    """The message of a refusal: one line that names the file, holds the words, and says what to do."""
    with pytest.raises(SceneError) as raised:
        read(path, **reading)
    text = str(raised.value)
    assert text.startswith(str(path)), text
    assert "\n" not in text
    assert all(word in text for word in words), text
    return text


STORED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "uint16": lambda r: np.round(r * 10_000).astype(np.uint16),
    "int16": lambda r: np.round(r * 10_000).astype(np.int16),
    "int32": lambda r: np.round(r * 10_000).astype(np.int32),
    "float32 numbers": lambda r: np.round(r * 10_000).astype(np.float32),
    "float64 numbers": lambda r: np.round(r * 10_000),
    "float32": lambda r: r.astype(np.float32),
    "float64": lambda r: r,
}
"""Ways to store reflectance."""
OFFSET: dict[str, tuple[bool, dict[str, Any], dict[str, Any]]] = {
    "none": (False, {}, {}),
    "tag of 0": (False, {"tags": {"RADIO_ADD_OFFSET": "0"}}, {}),
    "tag": (True, {"tags": {"RADIO_ADD_OFFSET": "-1000"}}, {}),
    "tag of Level-2A": (True, {"tags": {"BOA_ADD_OFFSET": "-1000.0"}}, {}),
    "option": (True, {}, {"offset": -1000}),
    "undeclared": (True, {}, {}),
    "scale and offset": (True, {"scales": 1e-4, "offsets": -0.1}, {}),
    "scale and tag": (True, {"scales": 1e-4, "tags": {"BOA_ADD_OFFSET": "-1000"}}, {}),
    "scale and option": (True, {"scales": 1e-4}, {"offset": -1000}),
    "scale alone": (True, {"scales": 1e-4}, {}),
    "contradiction": (True, {"tags": {"RADIO_ADD_OFFSET": "0"}}, {"offset": -1000}),
    "applied twice": (False, {"tags": {"RADIO_ADD_OFFSET": "-1000"}}, {}),
}
"""Whether the +1000 is in the values, what the file declares, what the caller says."""
NO_DATA = ("none", "zero", "declared", "in one band", "mask", "alpha", "full", "filling")
NAMES = ("names", "reversed", "archive", "unnamed", "unnamed in another order")


def _combinations() -> list[tuple[str, str, str, str]]:
    """Every type with every offset; every form of no-data and of names with each type and with four offsets."""
    few = ("none", "tag", "undeclared", "scale and offset")
    pairs = itertools.product(STORED, OFFSET, NO_DATA, NAMES)
    return [
        (t, o, n, b)
        for t, o, n, b in pairs
        if (n == "none" and b == "names") or (o in few and (b == "names" or (n in ("none", "zero"))))
        if not (n == "declared" and t == "uint16")
        if not ("scale" in o and t in ("float32", "float64"))
    ]


COMBINATIONS = _combinations()


def test_there_are_enough_combinations() -> None:
    assert len(COMBINATIONS) >= 400


@pytest.mark.parametrize("kind", STORED)
def test_every_combination_gives_the_truth_or_a_refusal(kind: str, tmp_path: Path) -> None:
    seen = {"truth": 0, "refused": 0}
    for number, (_, offset, no_data, naming) in enumerate(c for c in COMBINATIONS if c[0] == kind):
        path, missing, reading = _write(tmp_path / f"{number}.tif", kind, offset, no_data, naming)
        case = (kind, offset, no_data, naming)
        ambiguous = offset in ("undeclared", "scale alone", "contradiction", "applied twice")
        if ambiguous or naming == "unnamed in another order":
            refuses(path, **reading)
            seen["refused"] += 1
            continue
        found = read(path, **reading)
        assert is_true(found, missing), case
        again = read_scene(path, FIVE, **reading).reflectance()
        assert again.tobytes() == found.tobytes(), case
        seen["truth"] += 1
    assert min(seen.values()) > 10, seen


def _write(
    path: Path, kind: str, offset: str, no_data: str, naming: str
) -> tuple[Path, np.ndarray | None, dict[str, Any]]:
    """A file of one combination, where its data are missing, and what is to be said to read it."""
    shifted, options, reading = OFFSET[offset]
    order = list(BANDS)
    if naming == "reversed":
        order.reverse()
    if naming == "unnamed in another order":
        order = [*(b for b in BANDS if b != "B8A"), "B8A"]
    stored = STORED[kind](truth(order) + (0.1 if shifted else 0.0))
    options = dict(options)
    for name in ("scales", "offsets"):
        if name in options:
            options[name] = [options[name]] * len(order)
    missing = np.zeros((SIDE, SIDE), bool)
    missing[HALF[1:]] = no_data != "none"
    if no_data == "zero":
        stored[HALF] = 0
    elif no_data == "declared":
        stored[HALF], options["nodata"] = -9999, -9999
    elif no_data == "in one band":
        value = np.nan if stored.dtype.kind == "f" else 1234 + 1000 * shifted  # no reflectance of the scene
        stored[order.index("B11")][HALF[1:]], options["nodata"] = value, value
    elif no_data == "mask":
        options["mask"] = np.where(missing, 0, 255).astype(np.uint8)
    elif no_data == "alpha":
        full = np.where(missing, 0, 255).astype(stored.dtype)
        stored, options["alpha"] = np.concatenate([stored, full[None]]), True
    elif no_data == "full":
        full = {"u": 65535, "i": 32767, "f": 65535}[stored.dtype.kind]
        stored[HALF], options["nodata"] = full, full
    elif no_data == "filling":
        stored[HALF] = 1e-4 if kind in ("float32", "float64") else 1
    for name, unset in (("scales", 1.0), ("offsets", 0.0)):
        if name in options and no_data == "alpha":
            options[name].append(unset)
    names = {"archive": [f"S2_{b.replace('B', 'b0') if len(b) == 2 else b}_median" for b in order]}.get(naming, order)
    if not naming.startswith("unnamed"):
        options["names"] = [*names, *["alpha"] * (no_data == "alpha")]
    return write(path, stored, **options), missing if missing.any() else None, reading


class TestOneDoor:
    """Training and prediction see the same numbers."""

    @pytest.mark.parametrize("offset", ["none", "tag", "tag of Level-2A", "scale and offset", "scale and tag"])
    def test_training_reads_what_maps_are_made_of(self, offset: str, tmp_path: Path) -> None:
        root = tmp_path / "data"
        for split in ("train", "val"):
            path, _, _ = _write(root / split / "S2" / f"{split}A_0.tif", "uint16", offset, "zero", "names")
            write(root / split / "gt" / path.name, (1 + water()).astype(np.uint8)[None])
        table = get_dataset(root)
        window, label = Windows(table, FIVE, size=SIDE)[0]
        found = read(Path(table["image"].iloc[0]))
        assert window.numpy().tobytes() == np.nan_to_num(found).tobytes()
        assert ((label == 0).numpy() == np.isnan(found[0])).all()

    def test_maps_carry_how_the_scene_was_read(self, tmp_path: Path) -> None:
        path, missing, _ = _write(tmp_path / "a.tif", "int16", "tag", "in one band", "names")
        lines: list[str] = []
        made = map_file(path, tmp_path / "out", model="linear", report=lines.append)
        with open_raster(made.class_map) as source, open_raster(made.water) as probability:
            classes, tags = source.read(1), source.tags()
            assert np.array_equal(classes == 0, missing)
            assert np.array_equal(np.isnan(probability.read(1)), missing)
        assert lines == [f"{path}: {tags['READ_AS']}"]
        assert all(word in lines[0] for word in ("named in the file", "0.0001 − 0.1", "RADIO_ADD_OFFSET -1000"))


class TestImpossible:
    """Values that are no reflectance, in every pixel and not only where a sample falls."""

    def test_few_become_no_data_wherever_they_are(self, tmp_path: Path) -> None:
        stored = STORED["int16"](truth())
        stored[BANDS.index("B11"), 0, :3] = -9999
        missing = np.zeros((SIDE, SIDE), bool)
        missing[0, :3] = True
        assert is_true(read(write(tmp_path / "few.tif", stored, names=BANDS)), missing)

    @pytest.mark.parametrize("share", [0.02, 0.4])
    def test_many_are_refused(self, share: float, tmp_path: Path) -> None:
        stored = STORED["int16"](truth(side=400))  # the first rows lie where no sample is taken
        stored[BANDS.index("B11"), : round(share * 400)] = -9999
        path = write(tmp_path / "many.tif", stored, names=BANDS)
        with pytest.raises(SceneError, match=r"many\.tif: .*nodata|many\.tif: .*nothing reflects"):
            read_scene(path, FIVE)
        with pytest.raises(SceneError, match=r"many\.tif"):
            map_file(path, tmp_path / "out", model="linear")
        assert not list((tmp_path / "out").glob("*.tif"))
        assert inspect(path, FIVE)[1]

    def test_values_that_ran_over(self, tmp_path: Path) -> None:
        stored = STORED["uint16"](truth() - 0.03).astype(np.int64)
        stored[BANDS.index("B11")] = np.round(truth(["B11"])[0] * 10_000) - 300
        refuses(write(tmp_path / "over.tif", stored.astype(np.uint16), names=BANDS))


class TestZero:
    """0 is no data unless something else is declared to be: water is dark."""

    @pytest.mark.parametrize(
        "options", [{"nodata": -9999}, {"mask": np.full((SIDE, SIDE), 255, np.uint8)}, {"alpha": True}]
    )
    def test_is_a_value_where_no_data_are_declared_otherwise(self, options: dict[str, Any], tmp_path: Path) -> None:
        stored, names = STORED["int16"](truth(FIVE)), [*FIVE]
        stored[4, water()] = 0
        expected = stored / 1e4
        if "alpha" in options:
            stored, names = np.concatenate([stored, np.full((1, SIDE, SIDE), 255, np.int16)]), [*FIVE, "alpha"]
        found = read(write(tmp_path / "a.tif", stored, names=names, **options))
        assert np.allclose(found, expected, atol=1e-6)

    def test_in_all_bands_is_none(self, tmp_path: Path) -> None:
        stored = STORED["int16"](truth(FIVE))
        stored[:, :3] = 0
        missing = np.zeros((SIDE, SIDE), bool)
        missing[:3] = True
        assert is_true(read(write(tmp_path / "a.tif", stored, names=FIVE, nodata=-9999)), missing)


class TestOtherLayers:
    def test_a_layer_is_alpha_by_name_or_mark_only(self, tmp_path: Path) -> None:
        cloud = np.zeros((1, SIDE, SIDE), np.uint16)
        cloud[0, :5] = 1
        stored = np.concatenate([STORED["uint16"](truth(FIVE)), cloud])
        path = write(tmp_path / "a.tif", stored)
        assert is_true(read(path, names=[*FIVE, "cloud"]))
        assert np.isnan(read(path, names=[*FIVE, "alpha"])[0]).sum() == SIDE * (SIDE - 5)
        refuses(path, "5 names", names=FIVE)
        refuses(write(tmp_path / "b.tif", stored, names=(*FIVE, "mask")), "alpha if 0 hides")
        hidden = np.zeros((SIDE, SIDE), bool)
        hidden[:5] = True
        shown = np.concatenate([stored[:5], 1 - cloud])
        assert is_true(read(write(tmp_path / "c.tif", shown, names=(*FIVE, "dataMask"))), hidden)

    def test_alpha_may_stand_anywhere(self, tmp_path: Path) -> None:
        stored = np.concatenate([np.full((1, SIDE, SIDE), 65535, np.uint16), STORED["uint16"](truth(FIVE))])
        path = write(tmp_path / "a.tif", stored)
        assert is_true(read(path, names=["alpha", *FIVE]))

    def test_the_last_band_of_a_tile_at_the_edge_of_the_swath(self, tmp_path: Path) -> None:
        stored = STORED["uint16"](truth())
        rows, columns = np.mgrid[:SIDE, :SIDE]
        stored[:, columns - rows < 20] = 0
        assert is_true(read(write(tmp_path / "a.tif", stored)), columns - rows < 20)

    def test_bands_of_several_types(self, tmp_path: Path) -> None:
        classes = np.full((1, SIDE, SIDE), 4, np.uint8)
        parts = [write(tmp_path / "scl.tif", classes), write(tmp_path / "five.tif", truth(FIVE).astype(np.float32))]
        bands = [("Byte", "scl.tif", 1), *(("Float32", "five.tif", n) for n in range(1, 6))]
        texts = [
            f"<VRTRasterBand dataType='{kind}' band='{n}'><Description>{name}</Description><SimpleSource>"
            f"<SourceFilename relativeToVRT='1'>{file}</SourceFilename><SourceBand>{band}</SourceBand>"
            "</SimpleSource></VRTRasterBand>"
            for n, (name, (kind, file, band)) in enumerate(zip(("SCL", *FIVE), bands, strict=True), start=1)
        ]
        rasterio.shutil.copy(parts[0], tmp_path / "a.vrt", driver="VRT")
        head = (tmp_path / "a.vrt").read_text().split("<VRTRasterBand")[0]
        (tmp_path / "a.vrt").write_text(f"{head}{''.join(texts)}</VRTDataset>")
        assert is_true(read(tmp_path / "a.vrt"))
        assert np.isfinite(read(tmp_path / "a.vrt", quality=True)).all()

    def test_masks_of_single_bands(self, tmp_path: Path) -> None:
        base = write(tmp_path / "base.tif", STORED["uint16"](truth(FIVE)), names=FIVE)
        hole = np.full((1, SIDE, SIDE), 255, np.uint8)
        hole[0, :4] = 0
        write(tmp_path / "hole.tif", hole)
        rasterio.shutil.copy(base, tmp_path / "a.vrt", driver="VRT")
        mask = (
            "<MaskBand><VRTRasterBand dataType='Byte'><SimpleSource><SourceFilename relativeToVRT='1'>hole.tif"
            "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></MaskBand>"
        )
        text = (tmp_path / "a.vrt").read_text()
        (tmp_path / "a.vrt").write_text(text.replace("</VRTRasterBand>", f"{mask}</VRTRasterBand>"))
        hidden = np.zeros((SIDE, SIDE), bool)
        hidden[:4] = True
        assert is_true(read(tmp_path / "a.vrt"), hidden)


class TestScale:
    def test_each_band_its_own(self, tmp_path: Path) -> None:
        factors = [1e-4 if int(b.strip("BA")) < 5 else 2e-4 for b in BANDS]
        stored = np.round(truth() / np.reshape(factors, (-1, 1, 1))).astype(np.uint16)
        assert is_true(read(write(tmp_path / "own.tif", stored, names=BANDS, scales=factors)), step=1.01e-4)

    def test_bands_that_are_not_needed_may_lack_it(self, tmp_path: Path) -> None:
        stored = STORED["uint16"](truth() + 0.1)
        scales, offsets = [1.0, *[1e-4] * 12], [0.0, *[-0.1] * 12]
        assert is_true(read(write(tmp_path / "first.tif", stored, names=BANDS, scales=scales, offsets=offsets)))
        scales[3], offsets[3] = 1.0, 0.0
        path = write(tmp_path / "needed.tif", stored, names=BANDS, scales=scales, offsets=offsets)
        refuses(path, "none for B4", "--scale")

    @pytest.mark.parametrize("factor", [100, 255, 1000, 2000, 20_000, 50_000, 100_000])
    @pytest.mark.parametrize("bands", [BANDS, FIVE])
    def test_another_one_is_noticed_or_given(self, factor: int, bands: tuple[str, ...], tmp_path: Path) -> None:
        stored = np.round(truth(bands) * factor).astype(np.uint32 if factor > 50_000 else np.uint16)
        path = write(tmp_path / "other.tif", stored, names=bands)
        refuses(path, "--scale")
        if factor >= 1000:
            kept = stored[[bands.index(b) for b in FIVE]]
            expected = np.where((kept == 0).any(axis=0), np.nan, kept / factor)
            assert np.allclose(read(path, scale=factor), expected, atol=1e-6, equal_nan=True)

    def test_tags_that_gdal_copies_from_a_product(self, tmp_path: Path) -> None:
        stored = np.round(truth() * 5000).astype(np.uint16)
        path = write(tmp_path / "a.tif", stored, names=BANDS, tags={"QUANTIFICATION_VALUE": "5000"})
        assert is_true(read(path), step=1.01 / 5000)
        refuses(path, "QUANTIFICATION_VALUE 5000 and --scale 10000", scale=10_000.0)
        with rasterio.open(path, "r+") as sink:
            sink.update_tags(3, BOA_ADD_OFFSET="-1000")
            sink.update_tags(4, boa_add_offset="0")
        refuses(path, "BOA_ADD_OFFSET is -1000 and 0")

    def test_what_cannot_be_a_scale(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.tif", STORED["uint16"](truth()), names=BANDS)
        refuses(path, "--scale 0", scale=0.0)
        stored = STORED["uint16"](truth() + 0.1)
        refuses(write(tmp_path / "b.tif", stored, names=BANDS, scales=[0.0] * 13, offsets=[0.01] * 13))
        wrong = write(tmp_path / "c.tif", np.round(truth() * 1000).astype(np.uint16), names=BANDS, scales=[1e-4] * 13,
                      offsets=[0.0] * 13)  # fmt: skip
        refuses(wrong, "--scale")
        refuses(write(tmp_path / "d.tif", stored.astype(np.complex64), names=BANDS), "complex")

    def test_over_corrected_water_does_not_hide_an_offset(self, tmp_path: Path) -> None:
        shifted = truth(FIVE) + 0.1
        shifted[4, water()] -= 0.02
        path = write(tmp_path / "a.tif", STORED["uint16"](shifted), names=FIVE)
        refuses(path, "--offset -1000")
        stored = STORED["uint16"](truth(FIVE))
        for baseline in ("05.09", "N0509"):
            path = write(tmp_path / "b.tif", stored, names=FIVE, tags={"PROCESSING_BASELINE": baseline})
            refuses(path, baseline, "--offset")
            assert is_true(read(path, offset=0))
        assert is_true(read(write(tmp_path / "c.tif", stored, names=FIVE, tags={"PROCESSING_BASELINE": "02.06"})))

    def test_bright_land_without_plants(self, tmp_path: Path) -> None:
        desert = truth(FIVE)
        desert[:, ~water()] = np.array([0.18, 0.22, 0.27, 0.33, 0.37])[:, None]
        refuses(write(tmp_path / "a.tif", np.round(desert * 40_000).astype(np.uint16), names=FIVE), "--scale")

    def test_numbers_of_landsat_are_no_offset(self, tmp_path: Path) -> None:
        stored = np.round((truth(FIVE) + 0.2) / 2.75e-5).astype(np.uint16)
        path = write(tmp_path / "a.tif", stored, names=("blue", "green", "red", "nir", "swir1"), nodata=0)
        for offset in (None, 0, -1000):
            refuses(path, "landsat8", offset=offset)
        known = path.rename(tmp_path / "LC08_L2SP_200033_20200101_20200823_02_T1_stack.tif")
        assert is_true(read(known), step=2e-5)

    def test_clouds_cut_off_at_one_value_are_no_filling(self, tmp_path: Path) -> None:
        bright = truth(FIVE)
        bright[:, :6] = 1
        found = read(write(tmp_path / "a.tif", bright.astype(np.float32), names=FIVE, nodata=np.nan))
        assert np.isfinite(found).all()

    def test_dark_and_slightly_negative_reflectance_may_be_right(self, tmp_path: Path) -> None:
        lake = STORED["int16"](truth(FIVE)[:, water()][:, : 20 * 20].reshape(5, 20, 20))
        path = write(tmp_path / "lake.tif", lake, names=FIVE)
        refuses(path, "--scale 10000")
        assert np.allclose(read(path, scale=10_000.0), lake / 1e4)
        shadow = STORED["int16"](truth(FIVE) - 0.05)
        for tags in ({}, {"RADIO_ADD_OFFSET": "0"}):
            path = write(tmp_path / "shadow.tif", shadow, names=FIVE, tags=tags)
            refuses(path, "--offset 0")
            assert np.allclose(read(path, offset=0), shadow / 1e4, atol=1e-6)

    def test_an_option_against_the_file(self, tmp_path: Path) -> None:
        stored = STORED["uint16"](truth() + 0.1)
        path = write(tmp_path / "a.tif", stored, names=BANDS, scales=[1e-4] * 13, offsets=[-0.1] * 13)
        refuses(path, "--offset 0", "-0.1", offset=0)
        refuses(path, "--scale 1000", "nothing reflects", scale=1000.0)
        assert np.isfinite(read(path, scale=20_000.0)).all()  # the caller wins
        assert is_true(read(path, offset=-1000))
        tags = {"RADIO_ADD_OFFSET": "-1000", "BOA_ADD_OFFSET": "0"}
        refuses(write(tmp_path / "two.tif", stored, names=BANDS, tags=tags), "contradict")


SPELLED = {
    "STAC": ("B02", "B03", "B04", "B08", "B11"),
    "common": ("blue", "green", "red", "nir", "swir16"),
    "common, older": ("Blue", "Green", "Red", "NIR", "SWIR_1"),
    "Earth Engine": ("B2_median", "B3_median", "B4_median", "B8_median", "B11_median"),
    "Earth Engine, a collection": tuple(f"20230101T100000_20230101T100500_T30SXX_{b}" for b in FIVE),
    "lower case": ("b2", "b3", "b4", "b8", "b11"),
    "with wavelength": ("B2 (490 nm)", "B3 (560 nm)", "B4 (665 nm)", "B8 (842 nm)", "B11 (1610 nm)"),
    "GDAL": tuple(f"{b}, central wavelength 490 nm" for b in FIVE),
    "with a colon": tuple(f"{b}: 490nm" for b in FIVE),
    "blanks": ("B2 ", " B3", "B4", "B8", "B11 "),
    "sampling": ("B02_10m", "B03_10m", "B04_10m", "B08_10m", "B11_20m"),
}


class TestNames:
    @pytest.mark.parametrize("names", SPELLED.values(), ids=list(SPELLED))
    def test_those_of_archives_are_understood(self, names: tuple[str, ...], tmp_path: Path) -> None:
        assert is_true(read(write(tmp_path / "a.tif", STORED["uint16"](truth(FIVE)), names=names)))

    @pytest.mark.parametrize(
        ("names", "word"),
        [
            (("blue", "green", "red", "nir08", "swir16"), "landsat8"),
            (("B2", "B3", "B4", "B8", None), "(no name)"),
            (("B2", "B3", "B4", "B8", "NDWI"), "NDWI"),
            (("B2", "B3", "B4", "B8", "B8"), "B11"),
            (("B2", "B3", "B4", "B2-B8", "B11"), "B2-B8"),
            (("B2", "B3", "B4", "nir narrow", "B11"), "nir narrow"),
            (("red", "green", "blue", "red edge", "swir1"), "red edge"),
        ],
    )
    def test_those_that_leave_a_band_open_are_asked_about(
        self, names: tuple[str | None, ...], word: str, tmp_path: Path
    ) -> None:
        path = write(tmp_path / "a.tif", STORED["uint16"](truth(FIVE)), names=names)
        refuses(path, word, "--bands")
        assert is_true(read(path, names=FIVE))

    def test_two_bands_of_one_name(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.tif", STORED["uint16"](truth((*FIVE, "B2"))), names=(*FIVE, "B02"))
        refuses(path, "more than one band is B2")

    def test_unnamed_ones_need_an_order(self, tmp_path: Path) -> None:
        for order in ("l2a", "eurosat", "bgriswir"):
            names = parse_bands(order)
            path = write(tmp_path / f"{order}.tif", STORED["uint16"](truth(names)))
            refuses(path, "--bands", order)
            assert is_true(read(path, names=names))
        assert "order of Level-1C" in inspect(write(tmp_path / "a.tif", STORED["uint16"](truth())))[0]["bands"]

    def test_layers_of_other_kinds_among_them(self, tmp_path: Path) -> None:
        bands = parse_bands("l2a")
        classes = np.where(water(), 6, 4)
        classes[:5] = 9
        stored = np.concatenate([STORED["uint16"](truth(bands)), classes[None].astype(np.uint16)])
        path = write(tmp_path / "a.tif", stored)
        refuses(path, "l2a,SCL")
        names = parse_bands("l2a,SCL")
        assert is_true(read(path, names=names))
        cloud = np.zeros((SIDE, SIDE), bool)
        cloud[:5] = True
        assert is_true(read(path, names=names, quality=True), cloud)
        refuses(write(tmp_path / "b.tif", stored[:12]), "quality", names=bands, quality=True)

    def test_of_an_unknown_sensor(self) -> None:
        with pytest.raises(ValueError, match="sensor spot is unknown"):
            parse_bands("spot:B1,B2,B3,B4,B5")


class TestLandsat:
    SCENE = "LC08_L2SP_200033_20200101_20200823_02_T1"

    @pytest.mark.parametrize(
        ("scene", "names"),
        [(SCENE, LANDSAT_8), ("LE07_L2SP_200033_20010101_20200823_02_T1", LANDSAT_7)],
    )
    def test_each_sensor_has_its_own_numbers(self, scene: str, names: dict[str, str], tmp_path: Path) -> None:
        folder = write_landsat(tmp_path / "a", scene, names, truth())
        assert is_true(read(folder), step=2e-5)
        for option, value in (("offset", 0), ("scale", 10_000.0), ("names", FIVE)):
            refuses(folder, f"--{'bands' if option == 'names' else option}", **{option: value})

    @pytest.mark.parametrize(("satellite", "names"), [("LANDSAT_9", LANDSAT_8), ("LANDSAT_5", LANDSAT_7)])
    def test_the_metadata_name_the_sensor_of_renamed_files(
        self, satellite: str, names: dict[str, str], tmp_path: Path
    ) -> None:
        folder = write_landsat(tmp_path / "a", "flood", names, truth())
        if satellite == "LANDSAT_5":
            refuses(folder, "_MTL")
        (folder / "flood_MTL.txt").write_text(f'SPACECRAFT_ID = "{satellite}"')
        assert is_true(read(folder), step=2e-5)

    def test_two_scenes_are_never_mixed(self, tmp_path: Path) -> None:
        other = self.SCENE.replace("LC08", "LC09")
        write_landsat(tmp_path / "a", self.SCENE, LANDSAT_8, truth())
        write_landsat(tmp_path / "a", other, {"SR_B2": "B2"}, truth(seed=1))
        refuses(tmp_path / "a", self.SCENE, other)

    def test_stacks_of_bands_whose_sensor_is_open(self, tmp_path: Path) -> None:
        stored = np.round((truth() + 0.2) / 2.75e-5).astype(np.uint16)
        at = [BANDS.index(b) for b in LANDSAT_7.values()]
        path = write(tmp_path / "lt05.tif", stored[at], names=list(LANDSAT_7), nodata=0)
        refuses(path, "landsat8", "landsat7")
        assert is_true(read(path, names=parse_bands("landsat7")), step=2e-5)
        known = path.rename(tmp_path / "LT05_L2SP_200033_19990101_20200823_02_T1.tif")
        assert is_true(read(known), step=2e-5)
        common = write(tmp_path / "common.tif", stored[[BANDS.index(b) for b in FIVE]],
                       names=("blue", "green", "red", "nir08", "swir16"), nodata=0)  # fmt: skip
        assert is_true(read(common, names=parse_bands("landsat8:blue,green,red,nir08,swir16")), step=2e-5)

    @pytest.mark.parametrize(("sensor", "infrared", "shortwave"), [("L30", "B05", "B06"), ("S30", "B08", "B11")])
    def test_harmonised_archive(self, sensor: str, infrared: str, shortwave: str, tmp_path: Path) -> None:
        names = dict(zip(FIVE, ("B02", "B03", "B04", infrared, shortwave), strict=True))
        scene = f"HLS.{sensor}.T30SXX.2023001T100000.v2.0"
        stored = STORED["int16"](truth(FIVE))
        stored[:, :, :3] = -9999
        for band, values in zip(FIVE, stored, strict=True):
            write(tmp_path / f"{scene}.{names[band]}.tif", values[None], nodata=-9999, scales=[1e-4], offsets=[0.0])
        missing = np.zeros((SIDE, SIDE), bool)
        missing[:, :3] = True
        assert is_true(read(tmp_path), missing)
        missing[:2], flags = True, np.zeros((1, SIDE, SIDE), np.uint8)
        flags[0, :2] = 0b10  # cloud
        write(tmp_path / f"{scene}.Fmask.tif", flags)
        assert is_true(read(tmp_path, quality=True), missing)

    @pytest.mark.parametrize("lowest", [0.2, "water", -0.06])
    def test_products_by_folder_are_taken_at_their_word(self, lowest: float | str, tmp_path: Path) -> None:
        """No dark pixel, nothing but water, and reflectance below zero: their metadata leave nothing open."""
        image = np.repeat(truth()[:, :1, 23:24], SIDE, axis=2).repeat(SIDE, axis=1) if lowest == "water" else truth()
        image += 0.01 * np.arange(SIDE) / SIDE + (lowest if isinstance(lowest, float) else 0)
        expected = image[[BANDS.index(b) for b in FIVE]]
        scene = "HLS.S30.T30SXX.2023001T100000.v2.0"
        for name, values in zip(("B02", "B03", "B04", "B08", "B11"), STORED["int16"](expected), strict=True):
            write(tmp_path / "hls" / f"{scene}.{name}.tif", values[None], nodata=-9999, scales=[1e-4], offsets=[0.0])
        landsat = write_landsat(tmp_path / "landsat", self.SCENE, LANDSAT_8, image)
        safe = write_safe(tmp_path / "S2A_X.SAFE", image)
        for folder in (tmp_path / "hls", landsat, safe):
            assert np.allclose(read(folder), expected, rtol=0, atol=1.01e-4)

    def test_landsat_s_names_with_other_numbers(self, tmp_path: Path) -> None:
        path = write(
            tmp_path / "a.tif", STORED["uint16"](truth(FIVE)), names=("SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6")
        )
        refuses(path, "--scale")
        assert is_true(read(path, scale=10_000.0))

    def test_quality_and_level_1(self, tmp_path: Path) -> None:
        folder = write_landsat(tmp_path / "a", self.SCENE, LANDSAT_8, truth())
        flags = np.full((1, SIDE, SIDE), 21824, np.uint16)
        flags[0, :4] = 22280  # cloud, of high confidence
        grid = {"transform": Affine(30, 0, 500_000, 0, -30, 4_000_000)}
        write(folder / f"{self.SCENE}_QA_PIXEL.TIF", flags, **grid)
        cloud = np.zeros((SIDE, SIDE), bool)
        cloud[:4] = True
        assert is_true(read(folder, quality=True), cloud, step=2e-5)
        assert is_true(read(folder), step=2e-5)
        write(tmp_path / "b" / "LC08_L1TP_200033_20200101_20200823_02_T1_B2.TIF", flags, **grid)
        refuses(tmp_path / "b", "Level 1")


class TestContainers:
    @pytest.mark.parametrize(("name", "driver"), [("a.vrt", "VRT"), ("a.img", "HFA"), ("a.jp2", "JP2OpenJPEG"),
                                                  ("a.tif", "COG")])  # fmt: skip
    def test_other_formats_are_read(self, name: str, driver: str, tmp_path: Path) -> None:
        base = write(tmp_path / "base.tif", STORED["uint16"](truth()), names=BANDS, nodata=0)
        options = {"QUALITY": 100, "REVERSIBLE": "YES"} if driver == "JP2OpenJPEG" else {}
        rasterio.shutil.copy(base, tmp_path / name, driver=driver, **options)
        assert is_true(read(tmp_path / name))

    def test_what_cannot_hold_a_scene_is_told_from_what_is_damaged(self, tmp_path: Path) -> None:
        base = write(tmp_path / "base.tif", STORED["uint16"](truth()), names=BANDS, nodata=0)
        picture = tmp_path / "a.png"
        write(picture, STORED["uint16"](truth(("B4", "B3", "B2"))), driver="PNG")
        assert "fetch" not in refuses(picture, "PNG", "rio convert")
        base.write_bytes(base.read_bytes()[:-5000])
        refuses(base, "cut short")

    @pytest.mark.parametrize(
        ("level", "offset", "quantification"), [("1C", -1000, 10_000), ("2A", -1000, 10_000), ("1C", 0, 5000)]
    )
    def test_safe_by_its_metadata(self, level: str, offset: int, quantification: int, tmp_path: Path) -> None:
        made = {"level": level, "offset": offset, "quantification": quantification}
        folder = write_safe(tmp_path / "S2A_X.SAFE", truth(), **made)
        step = 1.01 / quantification
        assert is_true(read(folder), step=step)
        assert is_true(read(folder, offset=offset), step=step)
        refuses(folder, "--offset", offset=-1000 - offset)
        refuses(folder, "--bands", names=FIVE)
        renamed = folder.rename(tmp_path / "renamed")
        assert is_true(read(renamed), step=step)

    def test_side_files_of_macos_are_passed_over(self, tmp_path: Path) -> None:
        folder = write_landsat(tmp_path / "a", TestLandsat.SCENE, LANDSAT_8, truth())
        (folder / f"._{TestLandsat.SCENE}_SR_B2.TIF").write_bytes(b"Mac OS X")
        assert is_true(read(folder), step=2e-5)
        safe = write_safe(tmp_path / "S2A_X.SAFE", truth())
        (safe / "._MTD_MSIL1C.xml").write_bytes(b"Mac OS X")
        assert is_true(read(safe), step=1.01e-4)

    def test_safe_in_a_zip_file(self, tmp_path: Path) -> None:
        write_safe(tmp_path / "in" / "S2A_X.SAFE", truth())
        made = Path(shutil.make_archive(str(tmp_path / "S2A_X.SAFE"), "zip", tmp_path / "in"))
        assert is_true(read(made))
        made.write_bytes(made.read_bytes()[:2000])
        refuses(made, "zip")

    @pytest.mark.parametrize(
        ("kind", "ending"), [("zip", "ZIP"), ("tar", "tar"), ("gztar", "tar.gz"), ("gztar", "TGZ")]
    )
    def test_whatever_is_packed_is_read_as_unpacked(self, kind: str, ending: str, tmp_path: Path) -> None:
        image = write(tmp_path / "c" / "a.tif", STORED["uint16"](truth()), mask=np.where(water(), 0, 255))
        (image.parent / "notes.txt").write_text("from a friend")
        write_safe(tmp_path / "b" / "S2A_X.SAFE", truth())
        landsat = write_landsat(tmp_path / "a", TestLandsat.SCENE, LANDSAT_8, truth())
        for folder, same in (("a", landsat), ("b", tmp_path / "b" / "S2A_X.SAFE"), ("c", image)):
            packed = Path(shutil.make_archive(str(tmp_path / folder), kind, tmp_path / folder))
            packed = packed.rename(tmp_path / f"{folder}.{ending}")
            assert read(packed).tobytes() == read(same).tobytes()
            with open_product(packed, FIVE) as one, open_product(same, FIVE) as other:
                assert str(one.decision) == str(other.decision).replace("raster", "raster a.tif")
        content = packed.read_bytes()
        half = len(content) // 2
        for damaged in (content[:30], content[:half]):
            packed.write_bytes(damaged)
            refuses(packed, f"not a readable {kind[-3:]} file")
        if kind != "tar":  # it has no checksum of what is in it
            packed.write_bytes(content[:half] + b"\xff" * 400 + content[half + 400 :])
            refuses(packed, "readable", "fetch it again")

    def test_bands_in_files_of_their_own_once_stacked_as_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "my bands"
        for name, values in zip(("B02", "B03", "B04", "B08", "B11"), STORED["int16"](truth(FIVE)), strict=True):
            write(folder / f"{name}.tif", values[None])
        told = refuses(folder, "rio stack")
        monkeypatch.chdir(tmp_path)
        rio, *arguments = shlex.split(told.split("`")[1])
        assert (rio, CliRunner().invoke(main_group, arguments).exit_code) == ("rio", 0)
        assert is_true(read(tmp_path / "my bands.tif", names=parse_bands(told.split("--bands ")[1])))

    def test_a_file_that_another_refers_to_is_named_when_missing(self, tmp_path: Path) -> None:
        base = write(tmp_path / "base.tif", STORED["uint16"](truth(FIVE)), names=FIVE)
        for name, driver in (("a.vrt", "VRT"), ("e.img", "ENVI")):
            rasterio.shutil.copy(base, tmp_path / name, driver=driver)
        base.unlink()
        assert "damaged" not in refuses(tmp_path / "a.vrt", str(base), "missing")
        assert is_true(read(tmp_path / "e.img"))
        refuses(tmp_path / "e.hdr", f"pass {tmp_path / 'e.img'}")
        (tmp_path / "e.img").unlink()
        assert "damaged" not in refuses(tmp_path / "e.hdr", "header", "e.img")

    def test_safe_that_is_not_whole(self, tmp_path: Path) -> None:
        folder = write_safe(tmp_path / "S2A_X.SAFE", truth(), metadata="")
        refuses(folder, "MTD_MSIL1C.xml is not readable")
        (folder / "MTD_MSIL1C.xml").write_text(
            "<a><QUANTIFICATION_VALUE>10000</QUANTIFICATION_VALUE><RADIO_ADD_OFFSET>-1000</RADIO_ADD_OFFSET>"
            "<RADIO_ADD_OFFSET>-900</RADIO_ADD_OFFSET></a>"
        )
        refuses(folder, "different RADIO_ADD_OFFSET")
        (folder / "MTD_MSIL1C.xml").write_text("<a/>")
        refuses(folder, "QUANTIFICATION_VALUE")
        (folder / "MTD_MSIL1C.xml").unlink()
        refuses(folder, "no MTD_MSIL1C.xml")
        write_safe(folder, truth(), granule="L1C_T31TAA")
        refuses(folder, "2 granules")
        shutil.move(folder, tmp_path / "outer.SAFE" / "S2A_X.SAFE")
        refuses(tmp_path / "outer.SAFE", "one folder down")
        (tmp_path / "empty").mkdir()
        refuses(tmp_path / "empty", "neither a .SAFE product nor Landsat bands")


PLACES = {
    "EPSG:32630": (500_000, 4_000_000, 10),
    "EPSG:3857": (-300_000, 4_300_000, 12),
    "EPSG:2263": (984_000, 200_000, 33),
    "EPSG:4326": (-3.1, 36.2, 1e-4),
}
"""A corner in each CRS, and the side of a pixel."""


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.permutations(BANDS),
    spelling=st.sampled_from(["{}", "{}_median", " {}", "s2a_{}", "{} (x)", "{}: 1 nm"]),
    factor=st.sampled_from([1e-4, 2e-4, 1.25e-4]),
    addend=st.sampled_from([0.0, -0.1, -0.05]),
    crs=st.sampled_from(list(PLACES)),
    angle=st.sampled_from([0, 90, 180, 17]),
    flip=st.sampled_from([1, -1]),
    mask=st.sampled_from(["none", "mask", "alpha"]),
    hidden=st.integers(0, SIDE - 1),
    holes=st.sets(st.tuples(st.integers(0, 12), st.integers(0, SIDE - 1), st.integers(0, SIDE - 1)), max_size=20),
)
def test_whatever_a_file_declares_is_honoured(
    names: list[str],
    spelling: str,
    factor: float,
    addend: float,
    crs: str,
    angle: float,
    flip: int,
    mask: str,
    hidden: int,
    holes: set[tuple[int, int, int]],
    tmp_path: Path,
) -> None:
    stored = np.round((truth(names) - addend) / factor).astype(np.uint16)
    missing = np.zeros((SIDE, SIDE), bool)
    missing[:, :hidden] = mask != "none"
    clear = np.where(missing, 0, 255).astype(np.uint16)
    if mask != "none":  # where a mask tells what is no data, 0 is a value
        holes = set()
    for band, row, column in holes:
        stored[band, row, column] = 0
        missing[row, column] |= names[band] in FIVE
    x, y, step = PLACES[crs]
    grid = Affine.translation(x, y) @ Affine.rotation(angle) @ Affine.scale(step * flip, -step)
    options: dict[str, Any] = {"mask": clear.astype(np.uint8)} if mask == "mask" else {}
    spelled, scales, offsets = [spelling.format(b) for b in names], [factor] * 13, [addend] * 13
    if mask == "alpha":
        stored, options = np.concatenate([stored, clear[None]]), {"alpha": True}
        spelled, scales, offsets = [*spelled, "alpha"], [*scales, 1.0], [*offsets, 0.0]
    path = write(
        tmp_path / "a.tif", stored, names=spelled, scales=scales, offsets=offsets, transform=grid, crs=crs, **options
    )
    assert is_true(read(path), missing if missing.any() else None, step=1.01 * factor)
    scene = read_scene(path, FIVE)
    assert scene.crs.to_string() == crs
    assert scene.transform.almost_equals(grid)


def test_a_clip_of_corrected_water_alone_is_read_with_its_scale(tmp_path: Path) -> None:
    """Nothing in it is bright, and short-wave infrared is all but black: only the user can say that it is right."""
    lake = np.reshape([0.03, 0.04, 0.02, 0.006, 0.0004], (5, 1, 1)) * np.random.default_rng(0).uniform(
        0.5, 1.5, (48, 48)
    )
    stored = np.round(lake * 10_000).astype(np.uint16)
    path = write(tmp_path / "lake.tif", stored, names=FIVE)
    assert "--scale 10000" in refuses(path, "brightest band")
    assert np.allclose(read(path, scale=10_000), np.where(stored.all(axis=0), stored / 10_000, np.nan), equal_nan=True)
    empty = write(tmp_path / "empty.tif", np.concatenate([stored[:4], np.ones_like(stored[:1])]), names=FIVE)
    refuses(empty, "B11 dark everywhere", scale=10_000)
