import json

import pytest
from samples import quick, raw_rows, write_project

from forest_cover.columns import FEATURES, TARGET
from forest_cover.files import ProjectError, write_json
from forest_cover.predictor import PACKAGE, Predictor
from forest_cover.stages.package import package
from forest_cover.stages.train import train_model


@pytest.fixture
def root(tmp_path):
    write_project(tmp_path)
    train_model(quick(), tmp_path / "data" / "tensors", tmp_path / "models")
    write_json({"macro_f1": 0.5}, tmp_path / "metrics.json")
    return tmp_path


def build(root):
    return package(root / "models", root / "models" / "scaling.json", root / "metrics.json", root / "package")


def test_the_folder_alone_is_all_that_a_prediction_needs(root):
    build(root)
    assert {path.name for path in (root / "package").iterdir()} == {"model.safetensors", PACKAGE}
    (root / "models" / "scaling.json").unlink()
    assert len(Predictor.load(root / "package").predict(raw_rows(20).drop(columns=TARGET))) == 20


def test_it_tells_columns_ranges_scaling_labels_scores_and_versions(root):
    build(root)
    about = json.loads((root / "package" / PACKAGE).read_text())
    assert about["columns"] == list(FEATURES)
    assert about["ranges"]["Elevation"] == [1500, 4400, "m"]
    assert about["scaling"] == json.loads((root / "models" / "scaling.json").read_text())
    assert about["scores"] == {"macro_f1": 0.5}
    assert {"classes", "versions", "model", "seed"} <= set(about)


@pytest.mark.parametrize(
    "name", ["models/model.json", "models/model.safetensors", "models/scaling.json", "metrics.json"]
)
def test_what_is_missing_is_named(root, name):
    (root / name).unlink()
    with pytest.raises(ProjectError, match=name):
        build(root)


def test_a_scaling_that_is_none_is_named(root):
    write_json({"mean": 3}, root / "models" / "scaling.json")
    with pytest.raises(ProjectError, match=r"scaling\.json: not as the stage normalise writes it"):
        build(root)
