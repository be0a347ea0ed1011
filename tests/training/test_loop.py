"""Training: the loss of the field, class weights, augmentation, early stopping, resuming."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import torch
from torch import Tensor

from ml4ops_helpers.cli import main
from ml4ops_helpers.datasets.catalogues import catalogue, dataset_hash
from ml4ops_helpers.datasets.simulated import SurfaceWindows
from ml4ops_helpers.datasets.windows import Windows
from ml4ops_helpers.models.networks import build_model
from ml4ops_helpers.models.saved import load_model
from ml4ops_helpers.scenes.rasters import write_raster
from ml4ops_helpers.scenes.sentinel2 import WATER
from ml4ops_helpers.simulation.events import draw_event
from ml4ops_helpers.simulation.simulate import write_scene
from ml4ops_helpers.simulation.surfaces import LOOKS, draw_surfaces
from ml4ops_helpers.training import loop as training, wide_air
from ml4ops_helpers.training.config import CONFIGS, WIDE_AIR, Config
from ml4ops_helpers.training.loop import train
from ml4ops_helpers.training.losses import class_weights

TINY = Config(epochs=3, rounds=1, batch=2, window=64, precision="float32", coarse=0.0)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Four small simulated scenes: two events to train on, two to validate on."""
    root = tmp_path_factory.mktemp("events")
    for split in ("train", "val"):
        for number in range(2):
            write_scene(root, draw_event(split, number, 1, 0), 0, 128, 0)
    return catalogue(root)


def weights_of(model: torch.nn.Module) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in model.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def interrupt_after(epoch: int) -> Callable[[int, dict[str, float]], None]:
    def interrupt(number: int, row: dict[str, float]) -> None:
        if number == epoch:
            raise KeyboardInterrupt

    return interrupt


class TestClassWeights:
    def test_inverse_frequency(self, table: pd.DataFrame) -> None:
        windows = Windows(table[table["split"] == "train"], size=64)
        targets = torch.stack([windows[i][1] for i in range(len(windows))])
        share = torch.bincount(targets.flatten(), minlength=4)[1:].double()
        weights = class_weights(windows, weight_exponent=1.0).double()
        present = share > 0
        product = (weights * share)[present]
        assert torch.allclose(product, product[0].expand_as(product), rtol=1e-4)
        assert float(weights.mean()) == pytest.approx(1, rel=1e-5)

    def test_exponent_0_is_no_weighting(self, table: pd.DataFrame) -> None:
        weights = class_weights(Windows(table[table["split"] == "train"], size=64), weight_exponent=0.0)
        assert set(weights.round(decimals=5).tolist()) <= {0.0, 1.0, 1.5, 3.0}


class TestTrain:
    def test_loss_falls_and_weights_change(self, table: pd.DataFrame) -> None:
        model = build_model("linear")
        before = weights_of(model)
        history = train(model, table, replace(TINY, epochs=6, learning_rate=0.05, patience=6))
        losses = history.table()["loss"]
        assert losses.iloc[-1] < 0.9 * losses.iloc[0]
        assert not same(before, weights_of(model))

    def test_same_seed_same_weights(self, table: pd.DataFrame) -> None:
        models = [build_model("cnn") for _ in range(3)]
        histories = [train(m, table, replace(TINY, seed=s)) for m, s in zip(models, (0, 0, 1), strict=True)]
        first, again, other = map(weights_of, models)
        assert same(first, again)
        assert histories[0].epochs == histories[1].epochs
        assert not same(first, other)

    def test_resumed_equals_uninterrupted(self, table: pd.DataFrame, tmp_path) -> None:
        whole = build_model("cnn")
        history = train(whole, table, TINY)
        checkpoint = tmp_path / "run.checkpoint"
        with pytest.raises(KeyboardInterrupt):
            train(build_model("cnn"), table, TINY, checkpoint=checkpoint, after_epoch=interrupt_after(2))
        resumed, ran = build_model("cnn"), []
        again = train(resumed, table, TINY, checkpoint=checkpoint, after_epoch=lambda n, _: ran.append(n))
        assert ran == [3]
        assert again.epochs == history.epochs
        assert same(weights_of(whole), weights_of(resumed))
        assert not checkpoint.exists()

    def test_checkpoint_of_another_run_is_refused(self, table: pd.DataFrame, tmp_path) -> None:
        checkpoint = tmp_path / "run.checkpoint"
        with pytest.raises(KeyboardInterrupt):
            train(build_model("linear"), table, TINY, checkpoint=checkpoint, after_epoch=interrupt_after(1))
        with pytest.raises(ValueError, match=r"run\.checkpoint"):
            train(build_model("linear"), table, replace(TINY, seed=1), checkpoint=checkpoint)
        assert checkpoint.exists()

    def test_two_heads_learn(self, table: pd.DataFrame) -> None:
        model = build_model("linear", "bgriswirs", heads="cloud_water")
        history = train(model, table, replace(TINY, epochs=6, learning_rate=0.05, patience=6))
        losses = history.table()["loss"]
        assert losses.iloc[-1] < 0.9 * losses.iloc[0]
        assert 0 < history.threshold < 1

    def test_only_two_heads_see_thin_cloud(self, table: pd.DataFrame, monkeypatch) -> None:
        shares = []

        def fake(image, target, bands, share, rng):
            shares.append(share)
            return image, target

        monkeypatch.setattr(training, "add_thin_cloud", fake)
        train(build_model("linear"), table, replace(TINY, epochs=1))
        assert not shares
        train(build_model("linear", heads="cloud_water"), table, replace(TINY, epochs=1, thin_cloud=0.25))
        assert set(shares) == {0.25}

    def test_two_heads_are_validated_on_the_ground_under_thin_cloud(self, table: pd.DataFrame) -> None:
        part, model = table[table["split"] == "val"], build_model("linear", heads="cloud_water")
        scorer = training.water_scorer(model)
        counted = [training.score_events(scorer, part, ground=ground).values() for ground in (False, True)]
        pixels = [sum(h.positives.sum() + h.negatives.sum() for h in histograms) for histograms in counted]
        assert pixels[1] > pixels[0]
        expected = training.best_event_threshold(training.score_events(scorer, part, ground=True))
        assert training.validate(model, part) == expected

    def test_early_stop_follows_validation_and_keeps_the_best(self, table, monkeypatch, tmp_path) -> None:
        # Validation says .2, .6, .5, .4, …: it must stop after two worse epochs and give back those of the second.
        said, kept = iter([0.2, 0.6, 0.5, 0.4, 0.3, 0.2]), []

        def fake(model, val_table):
            assert set(val_table["split"]) == {"val"}
            kept.append(weights_of(model))
            return 0.5, next(said)

        monkeypatch.setattr(training, "validate", fake)
        model = build_model("linear")
        history = train(model, table, replace(TINY, epochs=6, patience=2))
        assert [row["val_iou"] for row in history.epochs] == [0.2, 0.6, 0.5, 0.4]
        assert history.best == 1
        assert same(weights_of(model), kept[1])

    def test_missing_split_is_named(self, table: pd.DataFrame) -> None:
        with pytest.raises(ValueError, match="val"):
            train(build_model("linear"), table[table["split"] == "train"], TINY)

    def test_mask_of_zero_and_one_is_reported(self, table: pd.DataFrame, tmp_path) -> None:
        """A mask of land 0 and water 1 would be read as invalid and land: a network that never saw water."""
        masks = []
        for path in table["label"]:
            with rasterio.open(path) as label:
                masks.append(str(tmp_path / Path(path).name))
                mask = (label.read(2) == WATER).astype(np.uint8)
                write_raster(Path(masks[-1]), mask, crs=label.crs, transform=label.transform)
        with pytest.raises(ValueError, match="water"):
            train(build_model("linear"), table.assign(label=masks), TINY)

    def test_validation_is_of_the_validation_events(self, table: pd.DataFrame) -> None:
        """The mistake of a tutorial: the last training batch's loss called validation loss."""
        model = build_model("linear")
        history = train(model, table, replace(TINY, epochs=1))
        threshold, iou = training.validate(model, table[table["split"] == "val"])
        assert (history.epochs[0]["val_iou"], history.threshold) == (iou, threshold)


class TestSurfaces:
    """Training on surfaces under drawn air, beside the scenes."""

    SURFACES = replace(TINY, surfaces=2)

    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch) -> None:
        monkeypatch.setattr(training, "draw_surfaces", partial(draw_surfaces, size=64, workers=1))

    def test_resumed_on_surfaces_equals_uninterrupted(self, table: pd.DataFrame, tmp_path) -> None:
        new = partial(build_model, "linear", heads="cloud_water")
        whole, resumed, checkpoint = new(), new(), tmp_path / "run.checkpoint"
        history = train(whole, table, self.SURFACES)
        with pytest.raises(KeyboardInterrupt):
            train(new(), table, self.SURFACES, checkpoint=checkpoint, after_epoch=interrupt_after(2))
        assert train(resumed, table, self.SURFACES, checkpoint=checkpoint).epochs == history.epochs
        assert same(weights_of(whole), weights_of(resumed))
        scenes_only = new()
        train(scenes_only, table, TINY)
        assert not same(weights_of(whole), weights_of(scenes_only))

    def test_every_window_is_seen_in_every_round(self, table: pd.DataFrame, monkeypatch) -> None:
        seen = []
        get = SurfaceWindows.__getitem__
        monkeypatch.setattr(SurfaceWindows, "__getitem__", lambda w, k: seen.append((w.epoch, k)) or get(w, k))
        monkeypatch.setattr(training, "class_weights", lambda *_: torch.ones(2, 2))
        train(build_model("linear", heads="cloud_water"), table, replace(self.SURFACES, epochs=2, rounds=2))
        assert sorted(seen) == [(epoch, k) for epoch in range(4) for k in range(2 * LOOKS)]

    def test_three_classes_are_refused(self, table: pd.DataFrame) -> None:
        with pytest.raises(ValueError, match="cloud and water are learnt apart: choose heads cloud_water"):
            train(build_model("linear"), table, self.SURFACES)

    def test_the_command_makes_the_network_ready(self, table: pd.DataFrame, tmp_path, monkeypatch) -> None:
        monkeypatch.setitem(WIDE_AIR, "smoke", replace(self.SURFACES, epochs=1))
        monkeypatch.setattr(wide_air, "draw_surfaces", training.draw_surfaces)
        monkeypatch.setattr(wide_air, "HELD_OUT", 4)
        root = str(table["image"].iloc[0]).rsplit("/", 3)[0]
        out = tmp_path / "wide.safetensors"
        options = ["--profile", "smoke", "--model", "linear", "--heads", "cloud_water", "--wide-air"]
        assert main(["train", *options, "--data", root, "--out", str(out)]) == 0
        _, about = load_model(out)
        assert (about["threshold"], about["adapts"], about["config"]["surfaces"]) == (0.5, True, 2)
        assert set(about["usual"]) == {"kinds", "distances"}
        assert 0 < about["cloud_threshold"] < 1
        assert (
            main(["train", "--profile", "smoke", "--model", "linear", "--wide-air", "--data", root, "--out", str(out)])
            == 2
        )


def test_command_trains_and_writes_the_model(table: pd.DataFrame, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(CONFIGS, "smoke", TINY)
    root = str(table["image"].iloc[0]).rsplit("/", 3)[0]
    out = tmp_path / "water.safetensors"
    assert main(["train", "--profile", "smoke", "--model", "linear", "--data", root, "--out", str(out)]) == 0
    _, about = load_model(out)
    assert about["data"] == dataset_hash(table)
    captured = capsys.readouterr()
    assert "epoch   1" in captured.out
    told = captured.err.splitlines()  # how its data are read, one line for each way
    assert sum(int(line.split()[0]) for line in told) == len(table)
    assert len({line.partition(": ")[2] for line in told}) == len(told) < len(table)
    assert all("reflectance = " in line for line in told)
    assert main(["train", "--data", str(tmp_path / "nowhere"), "--out", str(out)]) == 2


def test_command_trains_two_heads_and_freezes_both_thresholds(table: pd.DataFrame, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(CONFIGS, "smoke", replace(TINY, epochs=1))
    root = str(table["image"].iloc[0]).rsplit("/", 3)[0]
    out = tmp_path / "two.safetensors"
    options = ["--profile", "smoke", "--model", "linear", "--heads", "cloud_water", "--bands", "bgriswirs"]
    assert main(["train", *options, "--data", root, "--out", str(out)]) == 0
    model, about = load_model(out)
    assert (model.heads, len(model.bands)) == ("cloud_water", 6)
    assert 0 < about["cloud_threshold"] < 1
    assert 0 < about["threshold"] < 1
