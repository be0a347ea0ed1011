"""Products of several files: Sentinel-2's ``.SAFE`` and Landsat's bands, as folders, zip or tar files.

What is packed is read where it lies; a folder, zip or tar file may hold a single image, too.

Explained in ``05_run_inference``.
"""

from __future__ import annotations

import re
import shlex
import tarfile
import zlib
from collections import defaultdict
from dataclasses import dataclass
from gzip import BadGzipFile
from pathlib import Path
from xml.etree import ElementTree
from zipfile import BadZipFile, ZipFile

from ml4ops_helpers.scenes.rasters import SceneError, open_raster

_METADATA = re.compile(r"(?:.*/)?[^/]*MTD_?(?:MSI|SAF)L(?:1C|2A)[^/]*\.xml", re.IGNORECASE)
_BAND = re.compile(r".*/IMG_DATA/.*_(B\d\d|B8A|SCL)(?:_\d\dm)?\.jp2", re.IGNORECASE)
_LANDSAT = re.compile(r"(.+)_(SR_B\d|QA_PIXEL)\.tiff?", re.IGNORECASE)
_HLS = re.compile(r"(HLS\.[LS]30\..+)\.(B\d\d|B8A|Fmask)\.tif", re.IGNORECASE)
_PACKED = {".zip": "zip", ".tar": "tar", ".tar.gz": "tar", ".tgz": "tar"}
_IMAGE = re.compile(r".*\.(tiff?|jp2)", re.IGNORECASE)
_MOST_IMAGES = 20
"""More images in one folder are no bands of a scene."""
_LEVEL_1 = re.compile(r"L[CETO]0\d_L1\w\w_.*_B\d+\.tiff?", re.IGNORECASE)


@dataclass(frozen=True)
class Archive:
    """The files of a folder, zip or tar file.

    Attributes:
        path: of the folder, zip or tar file.
        files: what GDAL opens, by name within it.
    """

    path: Path
    files: dict[str, str]

    def read_bytes(self, name: str) -> bytes:
        """Content of a file."""
        if self.path.is_dir():
            return Path(self.files[name]).read_bytes()
        if packed_as(self.path) == "zip":
            with ZipFile(self.path) as archive:
                return archive.read(name)
        with tarfile.open(self.path) as tape:
            member = tape.extractfile(name)
            return member.read() if member else b""


def packed_as(path: Path) -> str:
    """``zip`` or ``tar``, by a file's name; "" for another kind of file, or a folder.

    >>> packed_as(Path("S2A_X.SAFE.zip")), packed_as(Path("LC08_X.TAR.GZ")), packed_as(Path("a.tif"))
    ('zip', 'tar', '')
    """
    return "" if path.is_dir() else next((k for end, k in _PACKED.items() if path.name.lower().endswith(end)), "")


def stem(path: Path) -> str:
    """Name of a product: its file's, without the ending.

    >>> stem(Path("LC08_X.tar.gz")), stem(Path("a.b.tif"))
    ('LC08_X', 'a.b')
    """
    return path.stem.removesuffix(".tar")


def open_archive(path: Path) -> Archive | None:
    """The files of a folder, zip or tar file; None for another kind of file.

    Raises:
        SceneError: the zip or tar file is damaged.
    """
    if path.is_dir():
        whole = path.suffix.lower() == ".safe" or (path / "GRANULE").is_dir()
        found = sorted(file for file in (path.rglob("*") if whole else path.iterdir()) if file.is_file())
        return Archive(path, {f.relative_to(path).as_posix(): str(f) for f in found if not f.name.startswith("._")})
    kind = packed_as(path)
    if not kind or not path.is_file():
        return None
    try:
        if kind == "zip":
            with ZipFile(path) as archive:
                names = archive.namelist()
        else:
            with tarfile.open(path) as tape:
                names = tape.getnames()
    except (BadGzipFile, BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        said = str(error).partition("\n")[0].rstrip(":")  # tarfile tells of every compression that it tries
        raise SceneError(f"{path}: not a readable {kind} file ({said}); fetch it again") from error
    # macOS adds files of its own.
    kept = sorted(name for name in names if not re.search(r"(^|/)(\._|__MACOSX)", name))
    return Archive(path, {name: f"/vsi{kind}/{path}/{name.removeprefix('./')}" for name in kept})


@dataclass(frozen=True)
class Safe:
    """What a ``.SAFE`` product holds.

    Attributes:
        bands: file of each band, at its finest resolution, by Sentinel-2 name.
        quality: file of the scene classes; None without.
        quantification: stored value of a reflectance of 1.
        offset: added to stored values.
        metadata: name of the file that says so.
    """

    bands: dict[str, str]
    quality: str | None
    quantification: float
    offset: int
    metadata: str


def safe_files(archive: Archive) -> Safe | None:
    """Bands and scaling of a ``.SAFE`` product; None where the files are not of one.

    Raises:
        SceneError: it is incomplete, damaged, of several granules, or was unpacked into itself.
    """
    metadata = [name for name in archive.files if _METADATA.fullmatch(name) and "/GRANULE/" not in f"/{name}"]
    granules = {name.split("GRANULE/")[1].split("/")[0] for name in archive.files if re.search(r"GRANULE/[^/]+/", name)}
    if not metadata and not granules and archive.path.suffix.lower() != ".safe":
        return None
    path = archive.path
    if not metadata:
        raise SceneError(f"{path}: no MTD_MSIL1C.xml or MTD_MSIL2A.xml; unpack the product again")
    if len(metadata) > 1:
        raise SceneError(f"{path}: {len(metadata)} products, {', '.join(metadata)}; pass one of them")
    root, _, name = metadata[0].rpartition("/")
    if root and path.is_dir():
        raise SceneError(f"{path}: the product lies one folder down; pass {path / root}")
    if len(granules) != 1:
        raise SceneError(f"{path}: {len(granules)} granules in GRANULE; expected one: unpack the product again")
    files: dict[str, str] = {}
    for inside, file in archive.files.items():  # sorted: R10m comes before R20m and R60m
        if found := _BAND.fullmatch(inside):
            files.setdefault(re.sub(r"^B0", "B", found[1].upper()), file)
    quality = files.pop("SCL", None)
    return Safe(files, quality, *_radiometry(path, name, archive.read_bytes(metadata[0])), name)


def _radiometry(path: Path, name: str, content: bytes) -> tuple[float, int]:
    """Quantification and offset in a product's metadata, which declare no offset before baseline 04.00."""
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise SceneError(f"{path}: {name} is not readable ({error}); unpack the product again") from error
    texts: dict[str, set[str]] = defaultdict(set)
    for element in root.iter():
        texts[element.tag.rpartition("}")[2]].add((element.text or "").strip())
    found = []
    for tags in (("QUANTIFICATION_VALUE", "BOA_QUANTIFICATION_VALUE"), ("RADIO_ADD_OFFSET", "BOA_ADD_OFFSET")):
        values = sorted(set().union(*(texts[tag] for tag in tags)))
        if len(values) > 1 or not all(re.fullmatch(r"-?\d+(\.\d+)?", value) for value in values):
            raise SceneError(f"{path}: {name} declares different {tags[0]}, {', '.join(values)}; not supported")
        found.append(float(values[0]) if values else None)
    scale, offset = found
    if not scale:
        raise SceneError(f"{path}: {name} declares no QUANTIFICATION_VALUE; unpack the product again")
    return scale, int(offset or 0)


def landsat_files(archive: Archive) -> tuple[str, dict[str, str]] | None:
    """Scene and band files, by band name, of a folder of Landsat (or HLS) bands; None where there are none.

    Raises:
        SceneError: bands of several scenes lie there, or of Level 1.
    """
    scenes: dict[str, dict[str, str]] = defaultdict(dict)
    for name, file in archive.files.items():
        base = name.rpartition("/")[2]
        if found := _LANDSAT.fullmatch(base) or _HLS.fullmatch(base):
            scenes[found[1]][found[2].upper()] = file
    if len(scenes) > 1:
        raise SceneError(
            f"{archive.path}: bands of {len(scenes)} scenes, {', '.join(sorted(scenes))}; put each in its own folder"
        )
    if not scenes and any(_LEVEL_1.fullmatch(name.rpartition("/")[2]) for name in archive.files):
        raise SceneError(
            f"{archive.path}: Landsat bands of Level 1; expected surface reflectance, Collection 2 Level 2 "
            "(…_SR_B2.TIF)"
        )
    return next(iter(scenes.items()), None)


def spacecraft(archive: Archive) -> str:
    """The Landsat satellite that a product's metadata file names, as its scenes' names begin; "" without."""
    for name in archive.files:
        if re.search(r"_MTL\.(txt|xml|json)$", name, re.IGNORECASE):
            found = re.search(rb"LANDSAT_(\d)", archive.read_bytes(name))
            return f"LC0{found[1].decode()}_" if found else ""
    return ""


def only_image(archive: Archive) -> str:
    """The file of the one image that a folder, zip or tar file without a product holds.

    Raises:
        SceneError: it holds none, or several.
    """
    path, files = archive.path, [file for name, file in archive.files.items() if _IMAGE.fullmatch(name)]
    some = ", ".join([*archive.files][:3]) or "nothing"
    if not 0 < len(files) <= _MOST_IMAGES:
        raise SceneError(
            f"{path}: neither a .SAFE product nor Landsat bands (…_SR_B2.TIF, Collection 2 Level 2); it holds {some}"
        )
    if len(files) == 1:
        return files[0]
    counts, options = {}, ""
    for file in files:
        with open_raster(file) as source:
            counts[file], factor, addend = source.count, source.scales[0], source.offsets[0]
        if (factor, addend) != (1, 0):  # the stack does not keep it
            options = f" --scale {1 / factor:g} --offset {addend / factor:.0f}"
    bands = [file for file, count in counts.items() if count == 1]
    if len(bands) < 2 or max(counts.values()) > 3:  # three: a picture among the bands
        raise SceneError(f"{path}: {len(files)} images, {some}; {'' if path.is_dir() else 'unpack it and '}pass one")
    out = f"{path.resolve().name}.tif"
    raise SceneError(
        f"{path}: {len(bands)} files of a band each, not named as in a .SAFE, of Landsat or HLS; stack them, `"
        f"{shlex.join(['rio', 'stack', *bands, '-o', out])}`, and pass {shlex.quote(out)} with --bands "
        f"{shlex.quote(','.join(Path(file).stem for file in bands))}{options}"
    )
