"""Data sets: catalogue, splits that share no event, windows, and downloads that survive what networks do."""

from __future__ import annotations

import ast
import hashlib
import pickle
import shutil
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, strategies as st
from tiny import GRID, tiny_image, tiny_label, write_tiny_event

from ml4ops_helpers.cli import main
from ml4ops_helpers.datasets import loaders as datasets, sources
from ml4ops_helpers.datasets.catalogues import (
    COLUMNS,
    assert_disjoint,
    dataset_hash,
    load_scene,
    random_tile_split,
    split_by_event,
)
from ml4ops_helpers.datasets.chips import CHIP_40M_BANDS, load_chip, load_chip_40m
from ml4ops_helpers.datasets.sources import DownloadError, download
from ml4ops_helpers.datasets.windows import Windows
from ml4ops_helpers.models.saved import load_model
from ml4ops_helpers.scenes.rasters import SceneError, write_raster
from ml4ops_helpers.scenes.scene import read_scene
from ml4ops_helpers.scenes.sentinel2 import BANDS, merge_label
from ml4ops_helpers.simulation import simulate
from ml4ops_helpers.training.config import CONFIGS, Config


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ML4OPS_CACHE", str(tmp_path / "cache"))


class TestCatalogue:
    def test_worldfloods_layout(self, tiny_dataset):
        table = datasets.catalogue(tiny_dataset)
        assert tuple(table) == COLUMNS
        assert table["split"].tolist() == ["train"] * 4 + ["val", "test"]
        assert table["event"].tolist() == ["ALPHA", "ALPHA", "BETA", "GAMMA", "DELTA", "EPSILON"]
        first = table.iloc[0]
        assert (first["aoi"], first["truth"], first["pre"]) == ("1", "", "")
        assert first["label"] == str(tiny_dataset / "train/gt/ALPHA_1.tif")
        assert first["meta"] == str(tiny_dataset / "train/meta/ALPHA_1.json")

    def test_own_folder_with_labels(self, tiny_dataset):
        table = datasets.get_dataset(tiny_dataset / "train")
        assert set(table["split"]) == {"user"}
        assert len(table) == 4
        assert all(Path(p).is_file() for p in table["label"])

    def test_own_folder_of_images_only(self, tiny_dataset):
        table = datasets.get_dataset(str(tiny_dataset / "train" / "S2"))
        assert table["event"].tolist() == ["ALPHA", "ALPHA", "BETA", "GAMMA"]
        assert (table["label"] == "").all()
        scene, label = load_scene(table.iloc[0], "rgb")
        assert (scene.bands, label) == (("B4", "B3", "B2"), None)

    def test_suffix_in_capitals(self, tiny_dataset, tmp_path):
        for path in sorted((tiny_dataset / "val").rglob("*.tif")):
            target = tmp_path / path.parent.name / f"{path.stem}.TIF"
            target.parent.mkdir(exist_ok=True)
            shutil.copy(path, target)
        table = datasets.get_dataset(tmp_path)
        assert Path(table["label"].iloc[0]).name == f"{Path(table['image'].iloc[0]).stem}.TIF"

    def test_labels_of_no_image_are_told(self, tiny_dataset, tmp_path):
        shutil.copytree(tiny_dataset / "val", tmp_path / "own")
        label = next((tmp_path / "own" / "gt").iterdir())
        label.rename(label.with_name("other.tif"))
        with pytest.warns(UserWarning, match=r"gt.other\.tif: no image of this name in .*S2"):
            datasets.get_dataset(tmp_path / "own")

    def test_folder_without_scenes_is_refused(self, tmp_path):
        with pytest.raises(SceneError, match=r"no scenes; expected <split>/S2"):
            datasets.get_dataset(tmp_path)

    def test_unknown_source_is_refused(self):
        with pytest.raises(ValueError, match="sen2floods: not embedded"):
            datasets.get_dataset("sen2floods")

    def test_scene_and_label_of_a_row(self, tiny_dataset):
        scene, label = load_scene(datasets.catalogue(tiny_dataset).iloc[2], "rgb")
        assert np.array_equal(scene.image, tiny_image(seed=2)[[3, 2, 1]])
        assert np.array_equal(label, tiny_label(seed=2))

    def test_column_offset_declares_what_the_file_does_not(self, tiny_scene):
        path = tiny_scene(image=tiny_image() + 1000, tags=None)
        row = pd.Series({"image": str(path), "label": "", "offset": -1000})
        assert load_scene(row)[0].offset == -1000


def table_of(events):
    return pd.DataFrame({"event": events, "split": "user", "image": [f"{e}_{i}" for i, e in enumerate(events)]})


class TestSplits:
    @given(
        st.lists(st.text("abcdefgh", min_size=1, max_size=2), min_size=3).filter(lambda e: len(set(e)) >= 3),
        st.integers(0, 99),
    )
    def test_by_event_share_no_event_and_keep_every_scene(self, events, seed):
        split = split_by_event(table_of(events), seed=seed)
        assert_disjoint(split)
        assert set(split["split"]) == {"train", "val", "test"}
        assert split["image"].tolist() == table_of(events)["image"].tolist()

    def test_same_seed_same_split_in_any_order_of_rows(self):
        table = table_of([f"E{i % 20}" for i in range(60)])
        a, b = split_by_event(table, seed=3), split_by_event(table[::-1], seed=3)
        pd.testing.assert_frame_equal(a, b.sort_index())
        assert not a.equals(split_by_event(table, seed=4))

    def test_shares_are_those_asked(self):
        split = split_by_event(table_of([f"E{i}" for i in range(50)]))
        assert Counter(split["split"]) == {"train": 30, "val": 10, "test": 10}

    @pytest.mark.parametrize("fractions", [{"train": 0.5, "test": 0.4}, {"train": 1.0, "test": 0.0}])
    def test_wrong_fractions_are_refused(self, fractions):
        with pytest.raises(ValueError, match="cannot be split as"):
            split_by_event(table_of(list("abcdef")), fractions)

    def test_two_events_cannot_make_three_splits(self):
        with pytest.raises(ValueError, match="2 events cannot be split"):
            split_by_event(table_of(["a", "b", "b"]))

    def test_shared_events_are_named(self):
        table = table_of(["a", "b", "b", "c", "c"]).assign(split=["train", "train", "test", "val", "test"])
        with pytest.raises(ValueError, match="events in more than one split: b, c;"):
            assert_disjoint(table)

    def test_random_tiles_share_events_and_cover_the_scenes(self, tiny_dataset):
        table = datasets.catalogue(tiny_dataset)
        tiles = random_tile_split(table, size=8, seed=1)
        assert len(tiles) == len(table) * 16
        assert tiles.equals(random_tile_split(table, size=8, seed=1))
        with pytest.raises(ValueError, match="ALPHA, BETA, DELTA, EPSILON, GAMMA"):
            assert_disjoint(tiles)


class TestHash:
    def test_same_files_elsewhere_and_in_another_order(self, tiny_dataset, tmp_path):
        shutil.copytree(tiny_dataset, tmp_path / "moved")
        table = datasets.catalogue(tiny_dataset)
        moved = datasets.catalogue(tmp_path / "moved").sample(frac=1, random_state=0)
        assert dataset_hash(table) == dataset_hash(moved)

    @pytest.mark.parametrize("changed", ["train/S2/BETA_1.tif", "test/gt/EPSILON_1.tif", "val/meta/DELTA_1.json"])
    def test_one_byte_more_in_any_file_changes_it(self, changed, tiny_dataset):
        table = datasets.catalogue(tiny_dataset)
        before = dataset_hash(table)
        with (tiny_dataset / changed).open("ab") as file:
            file.write(b" ")
        assert dataset_hash(table) != before

    def test_a_renamed_file_changes_it(self, tiny_dataset):
        before = dataset_hash(datasets.catalogue(tiny_dataset))
        for path in list(tiny_dataset.rglob("BETA_1.*")):
            path.rename(path.with_stem("BETA_2"))
        assert dataset_hash(datasets.catalogue(tiny_dataset)) != before


class TestWindows:
    def test_reflectance_and_code_of_a_window(self, tiny_dataset):
        windows = Windows(datasets.catalogue(tiny_dataset)[:1], bands=["B11", "B2"], size=16)
        x, y = windows[3]
        assert (len(windows), x.shape, x.dtype, y.dtype) == (4, (2, 16, 16), torch.float32, torch.int64)
        np.testing.assert_allclose(x.numpy(), tiny_image()[[11, 1], 16:, 16:] / 10_000, rtol=1e-6)
        assert np.array_equal(y.numpy(), merge_label(tiny_label())[16:, 16:])

    def test_no_data_is_zero_and_invalid_and_the_offset_is_taken_off(self, tiny_dataset, tiny_scene):
        image = tiny_image() + 1000
        image[:, :5] = 0
        row = datasets.catalogue(tiny_dataset)[:1].assign(image=str(tiny_scene(image=image, tags=None)), offset=-1000)
        x, y = Windows(row, "rgb", size=32)[0]
        assert (x[:, :5] == 0).all()
        assert (y[:5] == 0).all()
        np.testing.assert_allclose(x[:, 5:].numpy(), tiny_image()[[3, 2, 1], 5:] / 10_000, rtol=1e-6)

    def test_stride_makes_them_overlap(self, tiny_dataset):
        table = datasets.catalogue(tiny_dataset)
        assert len(Windows(table, size=16, stride=8)) == len(table) * 9

    def test_random_places_change_with_the_epoch_and_not_with_the_run(self, tiny_dataset):
        table = datasets.catalogue(tiny_dataset)
        a, b = (Windows(table, size=8, stride="random", seed=5) for _ in range(2))
        assert len(a) == len(table) * 16
        assert all(torch.equal(a[i][0], b[i][0]) for i in range(8))
        first = a[0][0]
        a.set_epoch(1)
        assert not torch.equal(a[0][0], first)

    def test_tiles_are_the_windows(self, tiny_dataset):
        tiles = random_tile_split(datasets.catalogue(tiny_dataset), size=16)
        windows = Windows(tiles[tiles["split"] == "train"], "all", size=16)
        tile = tiles[tiles["split"] == "train"].iloc[-1]
        expected = read_scene(tile["image"]).reflectance()[:, tile["row"] :, tile["column"] :][:, :16, :16]
        np.testing.assert_array_equal(windows[len(windows) - 1][0].numpy(), expected)

    def test_version_1_label(self, tiny_dataset, tiny_scene):
        label = np.random.default_rng(0).integers(0, 4, (32, 32), np.uint8)
        path = tiny_scene("v1.tif", image=label, names=None)
        table = datasets.catalogue(tiny_dataset)[:1].assign(label=str(path))
        assert np.array_equal(Windows(table, size=32)[0][1].numpy(), label)

    def test_loader_with_workers_gives_the_same(self, tiny_dataset):
        windows = Windows(datasets.catalogue(tiny_dataset), size=16)
        alone = torch.stack([windows[i][0] for i in range(len(windows))])
        loader = torch.utils.data.DataLoader(windows, batch_size=4, num_workers=2)
        assert torch.equal(torch.cat([x for x, _ in loader]), alone)

    def test_pickles(self, tiny_dataset):
        windows = Windows(datasets.catalogue(tiny_dataset), size=16)
        x = windows[5][0]
        assert torch.equal(pickle.loads(pickle.dumps(windows))[5][0], x)

    def test_what_is_wrong_is_said_before_training(self, tiny_dataset, tiny_scene):
        table = datasets.catalogue(tiny_dataset)
        with pytest.raises(SceneError, match=r"ALPHA_1\.tif: no label"):
            Windows(table.assign(label=""))
        small = tiny_scene("small.tif", image=tiny_label(size=16), names=None)
        with pytest.raises(SceneError, match="not on the grid"):
            Windows(table.assign(label=str(small)), size=16)
        with pytest.raises(ValueError, match=r"windows of 64 .*scene of 32×32"):
            Windows(table, size=64)


WRITER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tiny import write_tiny_event
from ml4ops_helpers.datasets import loaders as datasets
from ml4ops_helpers.simulation import simulate
from ml4ops_helpers.training.config import CONFIGS, Config

def slow(root, *, profile, seed, workers):
    Path(sys.argv[2]).open("a").write("made\\n")
    time.sleep(1)
    write_tiny_event(root, "train", "ALPHA_1")

simulate.write_embedded = slow
print(len(datasets.get_dataset("embedded", seed=7)))
"""


class TestEmbedded:
    @pytest.fixture
    def calls(self, monkeypatch):
        calls = []

        def write(root, *, profile, seed, workers):
            calls.append((profile, seed))
            write_tiny_event(root, "train", "ALPHA_1", seed=seed)
            write_tiny_event(root, "test", "BETA_1", seed=seed)

        monkeypatch.setattr(simulate, "write_embedded", write)
        return calls

    def test_is_made_once_for_each_profile_and_seed(self, calls):
        tables = [
            datasets.get_dataset(profile=p, seed=s) for p, s in [("smoke", 0), ("smoke", 0), ("smoke", 1), ("full", 0)]
        ]
        assert calls == [("smoke", 0), ("smoke", 1), ("full", 0)]
        assert tables[0].equals(tables[1])
        assert tables[0]["event"].tolist() == ["ALPHA", "BETA"]
        assert tables[0].iloc[0]["image"].startswith(str(sources.cache_dir()))

    def test_is_kept_where_the_caller_says(self, calls, tmp_path):
        table = datasets.get_dataset(root=tmp_path / "here")
        assert table.iloc[0]["image"].startswith(str(tmp_path / "here"))

    def test_is_taken_from_the_data_folder_where_it_lies_there(self, calls, tmp_path, monkeypatch):
        datasets.get_dataset()
        (tmp_path / "cache").rename(tmp_path / "data")
        monkeypatch.setenv("ML4OPS_DATA", str(tmp_path / "data"))
        assert datasets.get_dataset().iloc[0]["image"].startswith(str(tmp_path / "data"))
        assert len(calls) == 1

    def test_is_made_anew_when_the_simulator_changes(self, calls, monkeypatch):
        datasets.get_dataset()
        monkeypatch.setattr(datasets, "SIMULATOR", datasets.SIMULATOR[:-1])
        datasets.get_dataset()
        assert len(calls) == 2

    def test_comments_and_docstrings_of_the_simulator_change_nothing(self, tmp_path):
        texts = ['"""Old."""\n\n\ndef f():\n    """Old."""\n    return 1  # old\n', "def f():\n    return 1\n",
                 "def f():\n    return 2\n"]  # fmt: skip
        for number, text in enumerate(texts):
            (tmp_path / f"{number}.py").write_text(text)
        old, bare, other = (datasets._statements(tmp_path / f"{number}.py") for number in range(3))
        assert old == bare != other

    def test_every_module_of_the_simulator_counts(self):
        package, found, todo = datasets.HELPERS, set(), ["simulation/simulate"]
        while todo:
            module = todo.pop()
            found.add(module)
            tree = ast.walk(ast.parse((package / f"{module}.py").read_text()))
            for node in tree:
                if isinstance(node, ast.ImportFrom) and node.module.startswith("ml4ops_helpers."):
                    base = node.module.split(".", 1)[1].replace(".", "/")
                    names = {base} if (package / f"{base}.py").is_file() else {f"{base}/{n.name}" for n in node.names}
                    todo += names - found
        assert set(datasets.SIMULATOR) == found

    @pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
    def test_failure_leaves_nothing_and_the_next_call_succeeds(self, error, monkeypatch, tmp_path, request):
        def fail(root, **_):
            write_tiny_event(root, "train", "ALPHA_1")
            raise error

        monkeypatch.setattr(simulate, "write_embedded", fail)
        with pytest.raises(type(error)):
            datasets.get_dataset()
        assert [p for p in (tmp_path / "cache" / "embedded").iterdir() if p.suffix != ".lock"] == []
        request.getfixturevalue("calls")
        assert len(datasets.get_dataset()) == 2

    def test_remains_of_a_killed_run_are_cleared(self, calls, tmp_path):
        datasets.get_dataset()
        (made,) = (p for p in (tmp_path / "cache" / "embedded").iterdir() if p.is_dir())
        rest = made.with_name(f".{made.name}.part")
        made.rename(rest)
        write_tiny_event(rest, "val", "HALF_1")
        assert "HALF" not in set(datasets.get_dataset()["event"])
        assert not rest.exists()

    def test_two_processes_at_once_make_it_once(self, tmp_path):
        log = tmp_path / "log"
        command = [sys.executable, "-c", WRITER, str(Path(__file__).parents[1]), str(log)]
        runs = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
        assert [run.communicate()[0].strip() for run in runs] == [b"1", b"1"]
        assert log.read_text() == "made\n"


class Server:
    """A server of one folder's files that can cut the connection or ignore ranges."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.cuts: list[int] = []
        self.ranges = True
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, request):
        name, wanted = request.path.lstrip("/"), request.headers.get("Range")
        self.asked.append((name, wanted))
        if name not in self.files:
            request.send_error(404)
            return
        body = self.files[name]
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        if start >= len(body):
            request.send_error(416)
            return
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(body) - start))
        request.end_headers()
        request.wfile.write(body[start:][: self.cuts.pop(0) if self.cuts else None])
        request.close_connection = True

    def close(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


BODY = np.random.default_rng(0).bytes(3_000_000)
HASH = hashlib.sha256(BODY).hexdigest()


class TestDownload:
    @pytest.fixture
    def get(self, server, tmp_path):
        server.files["a.tif"] = BODY
        return lambda **k: download(
            f"{server.url}/a.tif", tmp_path / "d" / "a.tif", source="floods", **{"sha256": HASH, **k}
        )

    def test_arrives_whole_and_only_once(self, get, server):
        assert get().read_bytes() == BODY
        get()
        assert server.asked == [("a.tif", None)]
        assert [p.name for p in get().parent.iterdir()] == ["a.tif"]

    def test_cut_connections_are_resumed(self, get, server):
        server.cuts = [1_000_000, 1_500_000]
        assert get().read_bytes() == BODY
        starts = [int((wanted or "bytes=0-")[6:-1]) for _, wanted in server.asked]
        assert starts[0] == 0
        assert 980_000 < starts[1] <= 1_000_000
        assert 2_460_000 < starts[2] <= 2_500_000

    def test_next_run_resumes_what_the_last_one_left(self, get, server):
        server.cuts = [100_000] * 5
        with pytest.raises(DownloadError, match=r"floods: .* cannot be reached or broke off"):
            get()
        assert get().read_bytes() == BODY
        assert int(server.asked[-1][1][6:-1]) > 400_000

    def test_server_without_ranges_sends_all_again(self, get, server):
        server.cuts, server.ranges = [1_000_000], False
        assert get().read_bytes() == BODY

    def test_without_a_hash_the_remains_of_another_run_are_not_trusted(self, get, tmp_path):
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / ".a.tif.part").write_bytes(b"something else")
        assert get(sha256=None).read_bytes() == BODY

    @pytest.mark.parametrize("left", [b"", b"x" * 10, b"x" * 4_000_000])
    def test_wrong_file_is_refused_and_removed(self, left, get, tmp_path):
        if left:
            (tmp_path / "d").mkdir()
            (tmp_path / "d" / ".a.tif.part").write_bytes(left)
        with pytest.raises(DownloadError, match=r"floods: .*another SHA-256"):
            get(sha256=HASH if left else "0" * 64)
        assert list((tmp_path / "d").iterdir()) == []
        assert get().read_bytes() == BODY

    def test_missing_file_is_named(self, server, tmp_path):
        with pytest.raises(DownloadError, match=r"floods: .*/none\.tif answered 404"):
            download(f"{server.url}/none.tif", tmp_path / "none.tif", source="floods")
        assert not (tmp_path / "none.tif").exists()

    def test_unreachable_source_is_named(self, get, server):
        server.close()
        with pytest.raises(DownloadError, match=r"floods: .* cannot be reached .*ML4OPS_DATA"):
            get()


class TestSources:
    def test_chip_is_downloaded_checked_and_found_again(self, server, tmp_path, monkeypatch):
        monkeypatch.delenv("ML4OPS_DATA", raising=False)
        names = [f"{sources.HAND_LABELLED}/{kind}/Spain_7370579_{kind}.tif" for kind in ("S2Hand", "LabelHand")]
        server.files = {name: name.encode() for name in names}
        with pytest.raises(DownloadError, match="another SHA-256"):
            sources.sen1floods11_files(base_url=server.url)
        pinned = {name: hashlib.sha256(name.encode()).hexdigest() for name in names}
        monkeypatch.setattr(sources, "SHA256", pinned)
        image, label = sources.sen1floods11_files(base_url=server.url)["Spain_7370579"]
        assert (image.read_text(), label.read_text()) == tuple(names)
        server.close()
        assert datasets.get_dataset("sen1floods11")["event"].tolist() == ["Spain"]

    def test_a_download_that_works_says_nothing(self, server, tmp_path):
        """On a page, words on standard error are a fault."""
        program = "import sys; from ml4ops_helpers.datasets.sources import download; from pathlib import Path; "
        program += "download(sys.argv[1], Path(sys.argv[2]), source='floods', sha256=sys.argv[3])"
        server.files = {"x.tif": b"x"}
        asked = [f"{server.url}/x.tif", str(tmp_path / "x.tif"), hashlib.sha256(b"x").hexdigest()]
        done = subprocess.run([sys.executable, "-c", program, *asked], capture_output=True, text=True, check=True)
        assert (tmp_path / "x.tif").read_bytes() == b"x"
        assert (done.stdout, done.stderr) == ("", "")

    def test_file_without_a_known_hash_is_taken_with_a_warning(self, server, tmp_path):
        server.files = {"x.tif": b"x"}
        with pytest.warns(UserWarning, match=r"no SHA-256 is known for x\.tif"):
            sources.fetch("floods", ["x.tif"], server.url, tmp_path)

    def test_official_splits_of_chips_train_a_network(self, server, tmp_path, monkeypatch, capsys):
        """Lists and chips come from the source once; test and Bolivia are scored apart."""
        monkeypatch.delenv("ML4OPS_DATA", raising=False)
        splits = {"train": ["Ghana_1", "India_2"], "val": ["Ghana_3"], "test": ["India_4"], "bolivia": ["Bolivia_5"]}
        for split, chips in splits.items():
            lines = [f"{chip}_S1Hand.tif,{chip}_LabelHand.tif" for chip in chips]
            server.files[sources.SPLIT_LISTS[split]] = "\n".join(lines).encode()
            for chip in chips:
                here = tmp_path / f"{chip}.tif"
                for kind, array in (
                    ("S2Hand", tiny_image(dtype="int16")),
                    ("LabelHand", tiny_label()[1].astype(int) - 1),
                ):
                    names = BANDS if kind == "S2Hand" else None
                    write_raster(here, array.astype(np.int16), names=names, **GRID)
                    server.files[f"{sources.HAND_LABELLED}/{kind}/{chip}_{kind}.tif"] = here.read_bytes()
        with pytest.raises(DownloadError, match=r"names 2 chips, the published list 252; delete it"):
            sources.sen1floods11_splits(tmp_path / "a", server.url)
        monkeypatch.setattr(sources, "SPLIT_SIZES", {split: len(chips) for split, chips in splits.items()})
        with pytest.warns(UserWarning, match=r"flood_train_data\.csv and 3 more; taken as they come"):
            found = sources.sen1floods11_splits(base_url=server.url)
        assert found == splits
        with pytest.warns(UserWarning, match=r"S2Hand\.tif and 9 more"):
            sources.sen1floods11_files([chip for chips in found.values() for chip in chips], base_url=server.url)
        server.close()
        tiny = Config(epochs=1, batch=2, window=32, averaging_steps=1)
        monkeypatch.setitem(CONFIGS, "smoke", tiny)
        out = tmp_path / "chips.safetensors"
        command = ["train", "--profile", "smoke", "--model", "linear", "--data", "sen1floods11", "--out", str(out)]
        assert main(command) == 0
        printed = capsys.readouterr().out
        assert load_model(out)[0].bands == ("B2", "B3", "B4", "B8", "B11")
        assert [line.split()[0] for line in printed.splitlines()[-2:]] == ["test", "bolivia"]
        table = datasets.sen1floods11_official()
        assert table.groupby("split", sort=False)["aoi"].apply(list).to_dict() == {
            split: [chip.split("_")[1] for chip in chips] for split, chips in splits.items()
        }

    def test_read_only_data_folder_is_left_alone(self, server, tmp_path, monkeypatch):
        folder = tmp_path / "data"
        folder.mkdir()
        folder.chmod(0o555)
        monkeypatch.setenv("ML4OPS_DATA", str(folder))
        server.files = {"x.tif": BODY}
        path = sources.fetch("floods", ["x.tif"], server.url, None, {"x.tif": HASH})["x.tif"]
        assert path == tmp_path / "cache" / "floods" / "x.tif"

    def test_worldfloods_by_name(self, server, tmp_path, tiny_dataset):
        server.files = {str(p.relative_to(tiny_dataset)): p.read_bytes() for p in tiny_dataset.rglob("*.*")}
        hashes = {name: hashlib.sha256(body).hexdigest() for name, body in server.files.items()}
        table = datasets.worldfloods({"test": ["EPSILON_1"]}, root=tmp_path / "wf", base_url=server.url, sha256=hashes)
        assert table[["split", "event", "aoi"]].to_numpy().tolist() == [["test", "EPSILON", "1"]]
        assert load_scene(table.iloc[0])[1] is not None
        assert datasets.get_dataset("worldfloods", root=tmp_path / "wf").equals(table)

    def test_worldfloods_that_is_not_there_is_said(self, tmp_path):
        with pytest.raises(SceneError, match="no WorldFloods here; put it in place"):
            datasets.get_dataset("worldfloods", root=tmp_path / "none")

    @pytest.mark.parametrize(
        "contents",
        [
            {},
            {"image": np.zeros((5, 4, 4)), "label": np.zeros((4, 4))},
            {"image": np.zeros((6, 4, 4)), "label": np.full((4, 4), 7)},
        ],
    )
    def test_other_archives_are_no_chip(self, contents, tmp_path):
        np.savez(tmp_path / "x.npz", **contents)
        with pytest.raises(SceneError, match=r"x\.npz: "):
            load_chip_40m(tmp_path / "x.npz")


class TestRealFiles:
    def test_spain_chip_counts(self, real_data):
        scene, label = load_chip("Spain_7370579", "bgriswir")
        assert Counter(merge_label(label).ravel().tolist()) == {2: 70_035, 1: 192_010, 0: 99}
        assert scene.image.shape == (5, 512, 512)

    def test_spain_hashes_are_those_pinned(self, real_data):
        for source in ("sen1floods11", "terramesh"):
            found = {n: real_data / source / n for n in sources.SHA256 if (real_data / source / n).exists()}
            assert found
            assert all(hashlib.sha256(p.read_bytes()).hexdigest() == sources.SHA256[n] for n, p in found.items())

    def test_spain_windows(self, real_data):
        windows = Windows(datasets.get_dataset("sen1floods11"))
        counts = sum(torch.bincount(y.ravel(), minlength=4) for _, y in windows)
        assert counts.tolist() == [99, 192_010, 70_035, 0]

    def test_tiles_carry_their_offset(self, real_data):
        table = datasets.terramesh()
        scenes = {row["event"]: load_scene(row)[0] for _, row in table.iterrows()}
        assert {event: scene.offset for event, scene in scenes.items()} == {"282D": -1000, "38D": 0}
        assert all(scene.reflectance()[BANDS.index("B10")].max() < 0.01 for scene in scenes.values())

    def test_bands_of_the_40m_chips_are_in_the_order_stated(self, real_data):
        for path in sorted((real_data / "sen1floods11_40m").glob("*.npz")):
            scene, label = load_chip_40m(path)
            mean = dict(zip(CHIP_40M_BANDS, np.nanmean(scene.reflectance(), axis=(1, 2)), strict=True))
            assert mean["B10"] < 0.01 < mean["B4"] < mean["B3"] < mean["B2"] < mean["B8"]
            assert mean["B11"] < mean["B8"]
            assert label.shape == (2, 128, 128)
