"""Scenes: what is written is read back, and what is not a scene is rejected with a clear message."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from rasterio.windows import Window
from tiny import GRID, tiny_image, tiny_label

from ml4ops_helpers.scenes.labels import read_label
from ml4ops_helpers.scenes.rasters import SceneError, WindowReader, open_raster, replacing, tile_windows, write_raster
from ml4ops_helpers.scenes.scene import read_scene
from ml4ops_helpers.scenes.sentinel2 import BANDS, merge_label

SPAIN = "sen1floods11/v1.1/data/flood_events/HandLabeled/{0}Hand/Spain_7370579_{0}Hand.tif"


class TestReadScene:
    def test_reads_what_was_written(self, tiny_scene):
        image = tiny_image()
        scene = read_scene(tiny_scene(image=image))
        assert np.array_equal(scene.image, image)
        assert (scene.bands, scene.shape, scene.offset) == (BANDS, (32, 32), 0)
        assert scene.crs.to_epsg() == 32630
        assert scene.transform == GRID["transform"]
        assert scene.valid.all()

    def test_bands_are_picked_by_name_in_the_order_asked(self, tiny_scene):
        path = tiny_scene(image=tiny_image()[::-1], names=BANDS[::-1])
        assert np.array_equal(read_scene(path, "rgb").image, tiny_image()[[3, 2, 1]])
        assert read_scene(path, ["B8A", "B1"]).bands == ("B8A", "B1")

    def test_window_carries_its_own_transform(self, tiny_scene):
        scene = read_scene(tiny_scene(), "rgb", window=Window(8, 16, 10, 5))
        assert np.array_equal(scene.image, tiny_image()[[3, 2, 1], 16:21, 8:18])
        assert scene.transform @ (0, 0) == GRID["transform"] @ (8, 16)

    def test_thirteen_unnamed_bands_are_the_thirteen_in_order(self, tiny_scene):
        assert read_scene(tiny_scene(names=None)).bands == BANDS

    def test_names_say_what_a_subset_is(self, tiny_scene):
        path = tiny_scene(image=tiny_image()[:3], names=None)
        assert read_scene(path, ["B3"], names=["B2", "B3", "B4"]).bands == ("B3",)

    def test_reflectance_takes_the_offset_off_and_is_nan_without_data(self, tiny_scene):
        image = tiny_image() + 1000
        image[:, :4] = 0
        image[2, 10, 10] = 0  # one band is enough
        scene = read_scene(tiny_scene(image=image, tags={"RADIO_ADD_OFFSET": "-1000"}))
        expected = (image[:, 4:].astype(np.float64) - 1000) / 10_000
        assert scene.offset == -1000
        assert not scene.valid[:4].any()
        assert (~scene.valid[4:]).sum() == 1
        assert np.isnan(scene.reflectance()[:, :4]).all()
        expected[:, 6, 10] = np.nan
        np.testing.assert_allclose(scene.reflectance()[:, 4:], expected, rtol=1e-4, atol=1e-7)

    def test_no_data_value_of_the_file_counts_beside_zero(self, tiny_scene):
        image = tiny_image(dtype="int16")
        image[:, 0], image[:, 1] = -9999, 0
        scene = read_scene(tiny_scene(image=image, nodata=-9999))
        assert (~scene.valid).sum() == 64

    def test_offset_is_found_in_a_sidecar(self, tiny_scene):
        path = tiny_scene(image=tiny_image() + 1000, tags=None)
        sidecar = '<PAMDataset><Metadata><MDI key="RADIO_ADD_OFFSET">-1000</MDI></Metadata></PAMDataset>'
        Path(f"{path}.aux.xml").write_text(sidecar)
        assert read_scene(path).offset == -1000

    def test_undeclared_offset_is_refused_until_it_is_declared(self, tiny_scene):
        path = tiny_scene(image=tiny_image() + 1000, tags=None)
        with pytest.raises(SceneError, match=r"EMSR1_AOI1\.tif: .*offset=-1000"):
            read_scene(path, "rgb")
        assert read_scene(path, "rgb", offset=-1000).offset == -1000
        assert read_scene(path, "rgb", offset=0).offset == 0

    def test_offset_is_judged_even_when_the_window_alone_could_not(self, tiny_scene):
        image = tiny_image() + 1000
        image[:, :8, :8] = 0
        with pytest.raises(SceneError, match="offset=-1000"):
            read_scene(tiny_scene(image=image, tags=None), window=Window(0, 0, 8, 8))

    def test_cloudy_scene_without_offset_is_not_mistaken_for_one_with_it(self, tiny_scene):
        image = tiny_image()
        image[:, 2:] = 5000
        assert read_scene(tiny_scene(image=image, tags=None)).offset == 0


class TestRejected:
    def test_missing(self, tmp_path):
        with pytest.raises(SceneError, match=r"none\.tif: no such file"):
            read_scene(tmp_path / "none.tif")

    @pytest.mark.parametrize("kept", [0.05, 0.5, 0.99])
    def test_truncated(self, kept, tiny_scene):
        path = tiny_scene(image=tiny_image(size=512))
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
        with pytest.raises(SceneError, match=r"EMSR1_AOI1\.tif: .*cut short"):
            read_scene(path)

    def test_jpeg_renamed(self, tmp_path):
        path = tmp_path / "photo.tif"
        Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(path, format="jpeg")
        with pytest.raises(SceneError, match=r"photo\.tif: .*GeoTIFF"):
            read_scene(path)


class TestLabels:
    def test_version_2_is_read_as_it_is(self, tiny_scene):
        label = tiny_label()
        path = tiny_scene("label.tif", image=label, names=None)
        assert np.array_equal(read_label(path, read_scene(tiny_scene())), label)

    def test_version_1_becomes_version_2_and_back(self, tiny_scene):
        label = np.random.default_rng(0).integers(0, 4, (32, 32), np.uint8)
        read = read_label(tiny_scene("label.tif", image=label, names=None), tiny_scene())
        assert np.array_equal(merge_label(read), label)

    @pytest.mark.parametrize(
        ("changes", "noun"),
        [
            ({"image": tiny_label(size=16)}, "16×16"),
            ({"crs": "EPSG:32631"}, "EPSG:32631"),
            ({"transform": GRID["transform"] @ Affine.translation(0, 1)}, r"1\.00 pixels"),
            ({"transform": GRID["transform"] @ Affine.scale(1.01)}, "pixels off"),
        ],
    )
    def test_another_grid_is_rejected(self, changes, noun, tiny_scene):
        path = tiny_scene("label.tif", **{"image": tiny_label(), "names": None, **changes})
        with pytest.raises(SceneError, match=rf"label\.tif: .*AOI1\.tif: .*{noun}"):
            read_label(path, tiny_scene())

    @pytest.mark.parametrize(
        ("image", "noun"),
        [
            (tiny_label() + 1, "codes"),
            (np.full((32, 32), 4, "uint8"), "codes"),
            (np.full((32, 32), -1, "int16"), "codes"),
            (np.ones((3, 8, 8), "uint8"), "3 channels"),
        ],
    )
    def test_other_contents_are_rejected(self, image, noun, tiny_scene):
        with pytest.raises(SceneError, match=rf"label\.tif: {noun}"):
            read_label(tiny_scene("label.tif", image=image, names=None, nodata=None))


class TestWrite:
    @settings(max_examples=25, deadline=None)
    @given(
        st.sampled_from(["uint8", "uint16", "int16", "float32", "float64"]),
        st.tuples(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40)),
        st.data(),
    )
    def test_round_trip(self, tmp_path_factory, dtype, shape, data):
        x = data.draw(arrays(dtype, shape))
        path = tmp_path_factory.mktemp("round") / "x.tif"
        write_raster(path, x, names=[f"n{i}" for i in range(shape[0])], **GRID)
        with open_raster(path) as source:
            assert source.read().tobytes() == x.tobytes()
            assert source.descriptions == tuple(f"n{i}" for i in range(shape[0]))
            assert (source.crs.to_epsg(), source.transform) == (32630, GRID["transform"])

    def test_tiles_and_bands_are_stored_separately(self, tmp_path):
        path = write_raster(tmp_path / "x.tif", tiny_image(size=512), **GRID)
        with rasterio.open(path) as source:
            assert source.block_shapes == [(256, 256)] * 13
            assert source.interleaving.name == "band"

    def test_same_array_same_bytes(self, tmp_path):
        a, b = (write_raster(tmp_path / name, tiny_image(), names=BANDS, **GRID) for name in ("a.tif", "b.tif"))
        assert a.read_bytes() == b.read_bytes()

    def test_failure_leaves_the_old_file_and_nothing_else(self, tmp_path):
        path = write_raster(tmp_path / "x.tif", tiny_image(), **GRID)
        before = path.read_bytes()
        with pytest.raises(rasterio.errors.CRSError):
            write_raster(path, tiny_image(), crs="nonsense", transform=GRID["transform"])
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]

    def test_file_is_not_seen_before_it_is_whole(self, tmp_path):
        with replacing(tmp_path / "new" / "a.txt") as temporary:
            temporary.write_text("half")
            assert not (tmp_path / "new" / "a.txt").exists()
        assert [f.name for f in (tmp_path / "new").iterdir()] == ["a.txt"]

    @pytest.mark.parametrize(
        ("array", "names"), [(np.zeros(4), None), (np.zeros((1, 2, 3, 4)), None), (tiny_image(), ["B1"])]
    )
    def test_other_dimensions_and_names_are_rejected(self, array, names, tmp_path):
        with pytest.raises(ValueError, match=r"x\.tif"):
            write_raster(tmp_path / "x.tif", array, names=names, **GRID)


class TestWindows:
    @given(st.integers(1, 60), st.integers(1, 60), st.data())
    def test_tile_the_scene(self, height, width, data):
        size = data.draw(st.integers(1, min(height, width)))
        stride = data.draw(st.integers(1, size))
        seen = np.zeros((height, width), int)
        windows = tile_windows((height, width), size, stride)
        for window in windows:
            rows, columns = window.toslices()
            assert seen[rows, columns].shape == (size, size)
            seen[rows, columns] += 1
        assert seen.all()
        assert len({(w.row_off, w.col_off) for w in windows}) == len(windows)
        if stride == size and height % size == 0 and width % size == 0:
            assert (seen == 1).all()

    @pytest.mark.parametrize(("size", "stride"), [(33, None), (8, 9), (0, None), (8, 0)])
    def test_gaps_are_rejected(self, size, stride):
        with pytest.raises(ValueError, match="32×40"):
            tile_windows((32, 40), size, stride)


class TestWindowReader:
    def test_reads_bands_of_a_window(self, tiny_scene):
        reader = WindowReader()
        assert np.array_equal(reader.read(tiny_scene()), tiny_image())
        part = reader.read(tiny_scene(), Window(4, 2, 8, 6), [3, 0])
        assert np.array_equal(part, tiny_image()[[3, 0], 2:8, 4:12])

    def test_keeps_the_most_recently_used_files_open(self, tiny_scene):
        paths = [tiny_scene(f"{n}.tif", image=tiny_image(seed=n)) for n in range(3)]
        reader = WindowReader(max_open=2)
        for n in (0, 1, 0, 2):
            assert np.array_equal(reader.read(paths[n]), tiny_image(seed=n))
        assert list(reader._handles) == [str(paths[0]), str(paths[2])]

    @pytest.mark.parametrize("window", [Window(25, 0, 8, 8), Window(0, 25, 8, 8), Window(-1, 0, 8, 8)])
    def test_window_beyond_the_scene_is_rejected(self, window, tiny_scene):
        with pytest.raises(SceneError, match="32×32"):
            WindowReader().read(tiny_scene(), window)

    def test_unreadable_file_is_named(self, tiny_scene):
        path = tiny_scene()
        path.write_bytes(b"no tiff")
        with pytest.raises(SceneError, match=r"EMSR1_AOI1\.tif: .*GeoTIFF"):
            WindowReader().read(path)

    def test_pickles_without_its_handles(self, tiny_scene):
        path = tiny_scene()
        reader = WindowReader(max_open=3)
        reader.read(path)
        copy = pickle.loads(pickle.dumps(reader))
        assert (copy.max_open, len(copy._handles)) == (3, 0)
        assert np.array_equal(copy.read(path), tiny_image())

    def test_forked_process_opens_its_own_handles(self, tiny_scene):
        path, reader = tiny_scene(), WindowReader()
        reader.read(path)
        with multiprocessing.get_context("fork").Pool(1, _share, (reader, reader._handles[str(path)])) as pool:
            same_values, own_handle = pool.apply(_read_shared, (str(path),))
        assert same_values
        assert own_handle

    def test_threads_take_turns(self, tiny_scene):
        path, windows = tiny_scene(image=tiny_image(size=256)), tile_windows((256, 256), 16)
        reader = WindowReader()
        with ThreadPoolExecutor(4) as pool:
            parts = list(pool.map(lambda w: reader.read(path, w), windows))
        image = tiny_image(size=256)
        assert all(np.array_equal(p, image[:, *w.toslices()]) for p, w in zip(parts, windows, strict=True))


_shared = {}


def _share(reader, handle):
    _shared.update(reader=reader, handle=handle)


def _read_shared(path):
    values = _shared["reader"].read(path)
    return bool((values == tiny_image()).all()), _shared["reader"]._handles[path] is not _shared["handle"]


class TestRealFiles:
    def test_spain_chip(self, real_data):
        scene = read_scene(real_data / SPAIN.format("S2"), "bgriswir")
        assert (scene.shape, scene.offset, scene.crs.to_epsg()) == ((512, 512), 0, 4326)
        assert 0.02 < np.nanmedian(scene.reflectance()) < 0.4

    def test_spain_label_must_be_converted(self, real_data):
        with pytest.raises(SceneError, match="sen1floods11"):
            read_label(real_data / SPAIN.format("Label"), real_data / SPAIN.format("S2"))

    def test_tile_with_the_offset_needs_it_declared(self, real_data):
        path = real_data / "terramesh/S2L1C/282D_485L_3_3.tif"
        with pytest.raises(SceneError, match="offset=-1000"):
            read_scene(path)
        reflectance = read_scene(path, offset=-1000).reflectance()
        assert reflectance.min() >= 0
        assert reflectance[BANDS.index("B10")].max() < 0.01

    def test_tile_without_the_offset_needs_none(self, real_data):
        path = real_data / "terramesh/S2L1C/38D_378R_2_3.tif"
        assert read_scene(path).offset == 0
        with pytest.raises(SceneError, match="offset"):
            read_scene(path, offset=-1000)
