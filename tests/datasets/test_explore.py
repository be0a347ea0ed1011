"""Exploration of data: shares, fair samples, distances."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from tiny import GRID, tiny_image

from ml4ops_helpers.datasets import chips, compare, explore
from ml4ops_helpers.datasets.catalogues import catalogue
from ml4ops_helpers.datasets.chips import real_images
from ml4ops_helpers.datasets.sources import DownloadError
from ml4ops_helpers.scenes.rasters import write_raster
from ml4ops_helpers.scenes.scaling import digital_numbers
from ml4ops_helpers.scenes.scene import Scene, read_scene
from ml4ops_helpers.scenes.sentinel2 import BANDS


def write_scene(root, name, clear, ground, numbers=1000, meta=None):
    """A scene of constant digital numbers, cirrus dark, with a label that is given."""
    image = np.full((13, *np.shape(ground)), numbers, np.uint16)
    image[BANDS.index("B10")] = 10
    tags = {"RADIO_ADD_OFFSET": 0}
    write_raster(root / "train/S2" / f"{name}.tif", image, names=BANDS, nodata=0, tags=tags, **GRID)
    write_raster(root / "train/gt" / f"{name}.tif", np.array([clear, ground], np.uint8), **GRID)
    if meta:
        path = root / "train/meta" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(meta))


def sample(value, source, class_name="water", n=100, band="B3"):
    values = np.full(n, value, np.float32)
    return pd.DataFrame({"source": source, "split": "train", "class": class_name, band: values})


def test_facts_are_shares_of_the_label_and_the_metadata(tmp_path):
    meta = {"date": "2022-01-29", "lon": 1.5, "lat": -2.0, "radio_add_offset": -1000}
    write_scene(tmp_path, "ALPHA_1", [[1, 1, 2, 0]], [[1, 2, 2, 0]], meta=meta)
    write_scene(tmp_path, "BETA_1", [[1, 1, 1, 1]], [[1, 1, 1, 1]])
    facts = explore.scene_facts(catalogue(tmp_path))
    alpha, beta = facts.iloc[0], facts.iloc[1]
    assert alpha[["invalid", "land", "water", "cloud"]].tolist() == [0.25, 0.25, 0.25, 0.25]
    assert (alpha["date"], alpha["lon"], alpha["lat"]) == (pd.Timestamp("2022-01-29"), 1.5, -2.0)
    assert alpha["offset"] == -1000
    assert beta["land"] == 1
    assert pd.isna(beta["date"])
    assert pd.isna(beta["lon"])


def test_all_scenes_and_classes_have_the_same_weight(tmp_path):
    ground = np.full((10, 10), 1)
    ground[:5] = 2
    write_scene(tmp_path, "ALPHA_1", np.ones((10, 10)), ground, numbers=1000)
    write_scene(tmp_path, "BETA_1", np.ones((10, 10)), ground, numbers=2000)
    pixels = explore.sample_pixels(catalogue(tmp_path), "bgr", per_class=20, seed=1)
    assert pixels.groupby(["source", "class"]).size().to_dict() == {
        (source, name): 20 for source in ("ALPHA", "BETA") for name in ("land", "water")
    }
    assert pixels.groupby("source")["B3"].unique().map(lambda v: round(float(v[0]), 3)).to_dict() == {
        "ALPHA": 0.1,
        "BETA": 0.2,
    }


def test_a_sample_repeats_with_its_seed_and_only_then(tiny_dataset):
    table = catalogue(tiny_dataset)
    first = explore.sample_pixels(table, per_class=10, seed=1)
    assert first.equals(explore.sample_pixels(table, per_class=10, seed=1))
    assert not first.equals(explore.sample_pixels(table, per_class=10, seed=2))


def test_pixels_without_data_are_never_drawn():
    image = np.full((1, 2, 2), 0.1, np.float32)
    image[0, 0, 0] = np.nan
    codes = np.array([[1, 1], [0, 2]], np.uint8)
    drawn = explore.draw_pixels(image, codes, ["B3"], 10, np.random.default_rng(0))
    assert drawn["class"].tolist() == ["land", "water"]
    assert drawn["B3"].notna().all()


def test_the_square_with_narrow_water_holds_the_ditch_and_no_cloud():
    codes = np.ones((60, 60), np.uint8)
    codes[:, 40:] = 2  # a lake
    codes[10, :30] = 2  # a ditch
    codes[50:52, :30] = 2  # a wider one, below a cloud
    codes[45:50, 5:25] = 3
    rows, columns = explore.narrow_water(codes, 16)
    found = codes[rows, columns]
    assert found.shape == (16, 16)
    assert rows.start <= 10 < rows.stop
    assert (found == 2).sum() == 16
    assert not (found == 3).any()


def test_a_square_is_found_where_there_is_no_water_and_where_it_only_just_fits():
    assert explore.narrow_water(np.zeros((8, 8), np.uint8), 8) == (slice(0, 8), slice(0, 8))


def test_medians_outside_the_simulated_range_are_named():
    values = np.linspace(0.1, 0.2, 101)
    simulated = pd.DataFrame({"class": "land", "B3": values, "B4": values, "B8": values})
    other = pd.DataFrame({"class": "land", "source": "chip", "B3": [0.10, 0.10], "B4": [0.15, 0.15], "B8": np.nan})
    bright = pd.DataFrame({"class": "land", "source": "tile", "B3": [0.15], "B4": [0.3], "B8": [0.191]})
    table = explore.medians_outside(simulated, pd.concat([other, bright]), ["B3", "B4", "B8"])
    assert table.to_numpy().tolist() == [["land", "chip", 2, 1, "B3", ""], ["land", "tile", 3, 2, "", "B4, B8"]]


def test_a_scene_without_a_label_cannot_be_sampled(tmp_path, tiny_scene):
    tiny_scene()
    with pytest.raises(ValueError, match="no label"):
        explore.sample_pixels(catalogue(tmp_path))


def test_the_yardstick_is_the_distance_between_simulated_events():
    simulated = pd.concat([sample(0.1, "A"), sample(0.2, "B"), sample(0.3, "C")])
    other = pd.concat([sample(0.2, "inside"), sample(0.7, "outside")])
    table = compare.compare_distributions(simulated, other, ["B3"], "water").set_index("source")
    assert table["yardstick"].round(4).tolist() == [0.15, 0.15]  # 0.15 for A and C, 0.1 for B
    assert table["distance"].round(4).to_dict() == {"inside": 0.0667, "outside": 0.5}
    assert table.loc["outside", "ratio"] == pytest.approx(0.5 / 0.15, rel=1e-4)


def test_too_few_pixels_are_not_compared():
    simulated = pd.concat([sample(0.1, "A"), sample(0.2, "B")])
    few = sample(0.5, "few", n=compare.FEWEST - 1)
    assert compare.compare_distributions(simulated, few, ["B3"], "water")["distance"].isna().all()


def test_only_one_class_is_compared():
    simulated = pd.concat([sample(0.1, "A"), sample(0.1, "B"), sample(0.9, "A", "land"), sample(0.9, "B", "land")])
    table = compare.compare_distributions(simulated, sample(0.1, "real"), ["B3"], "water")
    assert table["distance"].tolist() == [0.0]


def test_one_event_gives_no_yardstick():
    with pytest.raises(ValueError, match="water"):
        compare.compare_distributions(sample(0.1, "A"), sample(0.1, "real"), ["B3"], "water")


def test_a_page_continues_without_real_images(monkeypatch):
    def unreachable():
        raise DownloadError("the network is down")

    monkeypatch.setattr(chips, "real_chips", unreachable)
    monkeypatch.setattr(chips, "terramesh", unreachable)
    images, missing = real_images()
    assert images == {}
    assert [line.split(":")[0] for line in missing] == ["Sen1Floods11", "TerraMesh"]
    assert "the network is down" in missing[0]

    nothing = explore.add_index(compare.sample_images(images), "ndwi")
    simulated = sample(0.1, "A")
    assert nothing.empty
    assert compare.compare_distributions(simulated, nothing, ["B3"], "water").empty
    assert explore.medians_outside(simulated, nothing, ["B3"])["outside"].sum() == 0
    assert compare.beside(simulated, nothing, "water")["origin"].unique().tolist() == ["simulated"]


def test_simulated_pixels_stand_beside_each_image():
    simulated = pd.concat([sample(0.1, "A"), sample(0.2, "A", "land")])
    other = pd.concat([sample(0.3, "one", n=5), sample(0.4, "two", n=7)])
    table = compare.beside(simulated, other, "water")
    assert table.groupby(["source", "origin"]).size().to_dict() == {
        ("one", "real"): 5, ("one", "simulated"): 100, ("two", "real"): 7, ("two", "simulated"): 100,
    }  # fmt: skip


def test_images_with_other_bands_go_into_one_sample(tiny_scene):
    scene = read_scene(tiny_scene(image=tiny_image(8)))
    codes = np.ones((8, 8), np.uint8)
    fewer = Scene(scene.image[:3], BANDS[:3], scene.crs, scene.transform, scene.valid, digital_numbers(3), scene.path)
    pixels = compare.sample_images({"all": (scene, codes), "three": (fewer, codes)}, per_class=4)
    assert pixels.groupby("source").size().to_dict() == {"all": 4, "three": 4}
    assert pixels.loc[pixels["source"] == "three", "B11"].isna().all()
    assert pixels.loc[pixels["source"] == "all", "B11"].notna().all()


def test_real_images_have_water_and_land(real_data):
    images, _ = real_images()
    water = {name: int((codes == 2).sum()) for name, (_, codes) in images.items()}
    assert water["Spain_7370579"] == 70_035
    assert water["TerraMesh 282D_485L_3_3"] == 25_991
    assert water["TerraMesh 38D_378R_2_3"] == 0
