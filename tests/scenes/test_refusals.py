"""Every refusal of the reader in one table: it names the file, says what was found, and what to do."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from made import FIVE, SIDE, truth, write, write_landsat, write_safe

from ml4ops_helpers.scenes import SceneError, archives, bands, opening, products, read_scene, scaling
from ml4ops_helpers.scenes.bands import LANDSAT_7, LANDSAT_8
from ml4ops_helpers.scenes.sentinel2 import BANDS

LC08, LC09 = (f"{sensor}_L2SP_200033_20200101_20200823_02_T1" for sensor in ("LC08", "LC09"))


def numbers(
    names: tuple[str, ...] = FIVE, factor: float = 10_000, add: float = 0, dtype: Any = np.uint16, side: int = SIDE
) -> np.ndarray:
    return np.asarray(np.round(truth(names, side) * factor + add), dtype)


def raster(stored: np.ndarray, names: Any = FIVE, **options: Any) -> Callable[[Path], Path]:
    return lambda folder: write(folder / "a.tif", stored, names=names, **options)


def safe(**options: Any) -> Callable[[Path], Path]:
    return lambda folder: write_safe(folder / "X.SAFE", truth(), **options)


def changed(make: Callable[[Path], Path], change: Callable[[Path], object]) -> Callable[[Path], Path]:
    """A product, then something done to it."""

    def made(folder: Path) -> Path:
        path = make(folder)
        change(path)
        return path

    return made


def landsat(*scenes: str) -> Callable[[Path], Path]:
    def made(folder: Path) -> Path:
        for scene in scenes:
            write_landsat(folder / "L", scene, LANDSAT_8, truth())
        return folder / "L"

    return made


def old_landsat(folder: Path) -> Path:
    return write_landsat(folder / "L", "flood", LANDSAT_7, truth())


def loose(folder: Path) -> Path:
    for name in ("B02", "B03"):
        write(folder / "L" / f"{name}.tif", numbers(("B2",), 5000), scales=[1 / 5000])
    write(folder / "L" / "picture.jp2", numbers(FIVE[:3]), driver="JP2OpenJPEG")
    return folder / "L"


def two_images(folder: Path) -> Path:
    write(folder / "L" / "a.tif", numbers())
    return write(folder / "L" / "b.tif", numbers()).parent


def outer(folder: Path) -> Path:
    write_safe(folder / "Y.SAFE" / "X.SAFE", truth())
    return folder / "Y.SAFE"


def part_impossible() -> np.ndarray:
    stored = numbers(dtype=np.int16, side=400)
    stored[4, :8] = -9999  # where no sample is taken
    return stored


def displaced(path: Path) -> None:
    """Move one band of a Landsat folder to the east."""
    moved = Affine(30, 0, 600_000, 0, -30, 4_000_000)
    write(path / f"{LC08}_SR_B2.TIF", np.full((1, 48, 48), 9000, np.uint16), transform=moved)


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def netcdf(folder: Path) -> Path:
    """A file of a variable a band, as most programs write netCDF."""
    base = write(folder / "base.tif", numbers(), names=FIVE)
    rasterio.shutil.copy(base, folder / "a.nc", driver="netCDF")
    return folder / "a.nc"


def tag_bands(path: Path) -> None:
    with rasterio.open(path, "r+") as sink:
        sink.update_tags(1, RADIO_ADD_OFFSET="-1000")
        sink.update_tags(2, RADIO_ADD_OFFSET="0")


OFFSET = {"tags": {"RADIO_ADD_OFFSET": "-1000"}}
SCALED = {"scales": [1e-4] * 5, "offsets": [-0.1] * 5}
TWO = "<a><QUANTIFICATION_VALUE>1</QUANTIFICATION_VALUE><QUANTIFICATION_VALUE>2</QUANTIFICATION_VALUE></a>"
REFUSALS: dict[str, tuple[Callable[[Path], Path], dict[str, Any], str, str]] = {
    # what is wrong: (what makes it, what the caller says, what was found, what to do)
    "Landsat without its sensor": (
        raster(numbers(tuple(LANDSAT_7.values())), list(LANDSAT_7)),
        {},
        "SR_B7",
        "--bands landsat7:",
    ),
    "Landsat's files without their names": (old_landsat, {}, "SR_B5", "_MTL"),
    "unknown offset": (raster(numbers(), tags={"RADIO_ADD_OFFSET": "-500"}), {}, "-500", "0 or -1000"),
    "no scale": (raster(numbers()), {"scale": 0.0}, "--scale 0", "such as 10000"),
    "offset for Landsat": (
        raster(
            numbers(factor=1 / 2.75e-5, add=0.2 / 2.75e-5),
            [f"landsat8:{n}" for n in ("blue", "green", "red", "nir", "swir1")],
        ),
        {"offset": -1000},
        "--offset -1000",
        "leave it out",
    ),
    "scale of some bands": (
        raster(numbers(add=1000), scales=[1, *[1e-4] * 4], offsets=[0, *[-0.1] * 4]),
        {},
        "none for B2",
        "--scale",
    ),
    "scale against the file": (
        raster(numbers(add=1000), tags={"QUANTIFICATION_VALUE": "1000"}, **SCALED),
        {},
        "QUANTIFICATION_VALUE 1000",
        "--scale",
    ),
    "baseline without offset": (raster(numbers(), tags={"PROCESSING_BASELINE": "05.09"}), {}, "05.09", "--offset"),
    "a mask that may mean two things": (raster(numbers((*FIVE, "B12")), (*FIVE, "mask")), {}, "mask", "--bands"),
    "a single band": (raster(numbers(("B2",)), None), {}, "single band", "pass the folder"),
    "data sets within a file": (netcdf, {}, "5 data sets", "gdalbuildvrt"),
    "tag that is no number": (raster(numbers(), tags={"RADIO_ADD_OFFSET": "yes"}), {}, "'yes'", "correct the tag"),
    "tag against the caller": (
        raster(numbers(add=1000), **OFFSET),
        {"offset": 0},
        "tag RADIO_ADD_OFFSET -1000 and --offset 0",
        "leave --offset out",
    ),
    "tag against the file's offset": (
        raster(numbers(add=1000), tags={"RADIO_ADD_OFFSET": "0"}, **SCALED),
        {},
        "-0.1",
        "correct one",
    ),
    "too bright": (raster(numbers(dtype=np.uint32, factor=400_000)), {}, "nothing reflects", "--scale"),
    "below nothing": (
        raster(numbers(), [f"landsat8:{n}" for n in ("blue", "green", "red", "nir", "swir1")]),
        {},
        "below 0",
        "--scale",
    ),
    "offset applied twice": (raster(numbers(), **OFFSET), {}, "as dark as", "--offset 0"),
    "offset not declared": (raster(numbers(add=1000)), {}, "no dark pixel", "--offset -1000"),
    "another scale": (raster(numbers(factor=1000)), {}, "brightest band reaches", "--scale 10000"),
    "an empty band": (
        raster(np.where(np.arange(5)[:, None, None] == 2, 1 + np.arange(48, dtype=np.uint16) % 3, numbers())),
        {},
        "B4 dark everywhere",
        "Write it again",
    ),
    "no quality layer": (raster(numbers()), {"quality": True}, "SCL", "leave --quality out"),
    "complex numbers": (raster(numbers(dtype=np.complex64)), {}, "complex64", "convert"),
    "other number of names": (raster(numbers()), {"names": ["B2"]}, "5 bands, but 1 names", "one name a band"),
    "no names": (raster(numbers(), None), {}, "5 bands without names", "--bands bgriswir"),
    "tags that differ by band": (changed(raster(numbers()), tag_bands), {}, "-1000 and 0", "correct the tags"),
    "names for a product": (safe(), {"names": list(FIVE)}, "named by band", "leave --bands out"),
    "offset against a product": (safe(), {"offset": 0}, "MTD_MSIL1C.xml says -1000", "leave --offset out"),
    "a band is missing": (raster(numbers()[:4], FIVE[:4]), {}, "no band B11", "--bands"),
    "a band twice": (raster(numbers((*FIVE, "B2")), (*FIVE, "b02")), {}, "more than one band is B2", "--bands"),
    "bands of two places": (changed(landsat(LC08), displaced), {}, "different places", "folder of its own"),
    "no data": (raster(np.zeros((5, 8, 8), np.uint16)), {}, "no data", "leave the file out"),
    "another order": (raster(numbers(BANDS[::-1]), None), {}, "do not look like Level-1C", "--bands eurosat"),
    "impossible values": (raster(part_impossible()), {}, "2.0%", "--nodata"),
    "damaged zip file": (lambda folder: _write(folder / "X.zip", "no"), {}, "not a readable zip", "fetch it again"),
    "no metadata": (
        changed(safe(), lambda path: (path / "MTD_MSIL1C.xml").unlink()),
        {},
        "no MTD_MSIL1C.xml",
        "unpack",
    ),
    "two products": (
        changed(safe(), lambda path: write_safe(path, truth(), level="2A", granule="L1C_T30SXX")),
        {},
        "2 products",
        "pass one",
    ),
    "unpacked into itself": (outer, {}, "one folder down", "pass "),
    "two granules": (
        changed(safe(), lambda path: write_safe(path, truth(), granule="L1C_T31")),
        {},
        "2 granules",
        "unpack",
    ),
    "metadata cut short": (safe(metadata="<cut"), {}, "not readable", "unpack"),
    "metadata that differ": (safe(metadata=TWO), {}, "different QUANTIFICATION_VALUE, 1, 2", "not supported"),
    "metadata without scale": (safe(metadata="<a/>"), {}, "no QUANTIFICATION_VALUE", "unpack"),
    "two scenes": (landsat(LC08, LC09), {}, f"{LC08}, {LC09}", "its own folder"),
    "Landsat's Level 1": (
        lambda folder: write(folder / "L" / f"{LC08.replace('L2SP', 'L1TP')}_B2.TIF", numbers()[:1]).parent,
        {},
        "Level 1",
        "Level 2",
    ),
    "bands in files of their own": (loose, {}, "2 files of a band each", "L.tif with --bands B02,B03 --scale 5000"),
    "several images": (two_images, {}, "2 images, a.tif, b.tif", "pass one"),
    "nothing": (
        lambda folder: _write(folder / "L" / "notes.txt", "").parent,
        {},
        "notes.txt",
        "neither a .SAFE product nor Landsat bands",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_it_names_the_file_what_was_found_and_what_to_do(case: str, tmp_path: Path) -> None:
    make, reading, found, remedy = REFUSALS[case]
    path = make(tmp_path)
    with pytest.raises(SceneError) as raised:
        read_scene(path, FIVE, **reading)
    text = str(raised.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    assert found in text
    assert remedy in text


def test_the_table_holds_every_refusal(tmp_path: Path) -> None:
    """A refusal in the reader's code that no row of the table brings about is missing there."""
    raised_at = set()
    for number, (make, reading, _, _) in enumerate(REFUSALS.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(SceneError) as raised:
            read_scene(make(folder), FIVE, **reading)
        last = raised.traceback[-1]
        raised_at.add((Path(str(last.path)).name, last.lineno + 1))
    missing = [
        f"{Path(module.__file__).name}:{node.lineno}"
        for module in (archives, bands, opening, products, scaling)
        for node in ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise) and "SceneError" in ast.unparse(node)
        if not any((Path(module.__file__).name, n) in raised_at for n in range(node.lineno, (node.end_lineno or 0) + 1))
    ]
    assert missing == []
