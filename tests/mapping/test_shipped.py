"""What the shipped flood network promises: under bad air, and on real floods."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from ml4ops_helpers.datasets.folders import data_dir
from ml4ops_helpers.evaluation.staged import Staged, score_stages, staged_scenes
from ml4ops_helpers.inference.adaptation import draw_pixels
from ml4ops_helpers.inference.familiarity import Usual
from ml4ops_helpers.inference.whole import class_map
from ml4ops_helpers.models.saved import load_pretrained
from ml4ops_helpers.scenes.sentinel2 import BAND_SETS

FIVE = BAND_SETS["bgriswir"]


@pytest.fixture(scope="module")
def scenes() -> list[Staged]:
    return list(staged_scenes(FIVE, ("cirrus", "aerosol", "glint", "snow"), events=4))


def test_bad_air_hides_no_water_and_snow_is_none(scenes: list[Staged]) -> None:
    model, about = load_pretrained("flood")
    table = score_stages(lambda image: class_map(model, about, image), scenes, FIVE)
    for series, level in (("cirrus", 0.1), ("aerosol", 1.0), ("glint", 0.1)):
        assert table["recall"].xs(series).iloc[0] - table["recall"][series, level] <= 0.05, series
        assert table["cloud"][series, level] <= 0.02, series
    assert table["on_snow"]["snow", 0.4] <= 0.05


def test_haze_is_noticed(scenes: list[Staged]) -> None:
    model, about = load_pretrained("flood")
    usual = Usual.saved(about)
    assert usual is not None

    def distance(scene: Staged) -> float:
        every = np.ones(scene.water.shape, bool)
        return usual.distance(draw_pixels(model, scene.image, every).features)

    levels = {"cirrus": 0.1, "aerosol": 1.0}
    hazy = [distance(s) for s in scenes if s.series in levels and s.level >= levels[s.series]]
    clear = [distance(s) for s in scenes if (s.series, s.level) == ("cirrus", 0)]
    assert roc_auc_score([1] * len(hazy) + [0] * len(clear), hazy + clear) >= 0.9


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "real_floods.py"
    spec = importlib.util.spec_from_file_location("real_floods", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not (data_dir() / "extra").is_dir(), reason="real images are not on this machine (ML4OPS_DATA)")
def test_real_floods_are_found_as_well_as_by_a_rule(benchmark: ModuleType) -> None:
    found: pd.DataFrame = benchmark.table("flood")
    chips = found.loc[[name for name in found.index if not name.startswith(("HLS", "ESWKB"))]].mean()
    assert (found["flood"] - found["MNDWI > 0"]).min() >= -0.02
    assert chips["flood"] >= 0.755
    assert chips["flood"] >= chips["index"] + 0.025
    assert (found["its best threshold"] - found["flood"]).mean() <= 0.03
