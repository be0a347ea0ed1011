import json

import numpy as np
import pandas as pd
import pytest
from samples import quick, write_project

from forest_cover.baselines import baselines, fit_predict
from forest_cover.columns import LABELS
from forest_cover.dataset import load_dataset
from forest_cover.files import ProjectError
from forest_cover.fit import predict
from forest_cover.scores import scores
from forest_cover.stages import evaluate as stage
from forest_cover.stages.train import train_model
from forest_cover.store import load_model

CONFIG = quick(learning_curve=[0.5, 0.25])


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    write_project(root)
    train_model(CONFIG, root / "data" / "tensors", root / "models")
    return root


@pytest.fixture(scope="module")
def evaluated(root):
    """The metrics, and which parts were opened in which order."""
    opened = []

    def load(folder, part):
        opened.append(part)
        return load_dataset(folder, part)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "load_dataset", load)
        metrics = stage.evaluate(CONFIG, root / "data" / "tensors", root / "models", root / "reports")
    return metrics, opened


def test_the_test_rows_are_opened_once_and_last(evaluated):
    assert evaluated[1] == ["train", "val", "test"]


def test_the_scores_are_those_of_the_saved_network_on_the_test_rows(root, evaluated):
    network, _ = load_model(root / "models")
    test = load_dataset(root / "data" / "tensors", "test")
    expected = scores(test.labels.numpy(), predict(network, test.features))
    written = json.loads((root / "reports" / "metrics.json").read_text())
    assert {name: written[name] for name in expected} == expected
    assert written == evaluated[0]
    assert list(written["recall"]) == list(LABELS)


def test_all_models_are_in_one_table_on_the_same_rows(root, evaluated):
    table = pd.read_csv(root / "reports" / "baselines.csv", index_col="model")
    assert table.index.tolist() == ["majority", "logistic regression", "gradient boosting", "network"]
    assert list(table) == ["macro_f1", "balanced_accuracy", "accuracy", "ece"]
    assert table.loc["majority", "balanced_accuracy"] == pytest.approx(1 / 7)
    assert table.loc["gradient boosting", "macro_f1"] == evaluated[0]["baselines_macro_f1"]["gradient_boosting"]


def test_the_baselines_learn_from_the_training_rows(root, evaluated):
    train, test = (load_dataset(root / "data" / "tensors", part) for part in ("train", "test"))
    found = scores(test.labels.numpy(), fit_predict(baselines(0)["logistic regression"], train, test))
    assert evaluated[0]["baselines_macro_f1"]["logistic_regression"] == pytest.approx(found["macro_f1"])


def test_the_other_tables_add_up(root, evaluated):
    read = {name: pd.read_csv(root / "reports" / f"{name}.csv") for name in ("confusion", "calibration", "classes")}
    counts = read["confusion"].set_index("true")
    assert counts.to_numpy().sum() == read["calibration"]["rows"].sum() == evaluated[0]["rows"] == 84
    np.testing.assert_allclose(np.diag(counts) / counts.sum(axis=1), read["classes"]["recall"])


def test_the_learning_curve_grows_to_the_saved_network(root, evaluated):
    curve = pd.read_csv(root / "reports" / "learning_curve.csv")
    assert curve["rows"].tolist() == [63, 126, 252]
    assert curve["val_macro_f1"].iloc[-1] == load_model(root / "models")[1]["val"]["macro_f1"]


def test_figures_are_written(root, evaluated):
    names = {path.name for path in (root / "reports" / "evaluate").iterdir()}
    assert names == {"confusion.png", "reliability.png", "class_recall.png", "learning_curve.png"}


def test_twice_the_same(root, evaluated):
    stage.evaluate(CONFIG, root / "data" / "tensors", root / "models", root / "again")
    for path in (root / "reports").rglob("*.*"):
        assert (root / "again" / path.relative_to(root / "reports")).read_bytes() == path.read_bytes(), path.name


def test_a_network_of_other_columns_is_refused(root, tmp_path):
    write_project(tmp_path, drop=("Slope",))
    with pytest.raises(ProjectError, match="trained on other columns"):
        stage.evaluate(CONFIG, tmp_path / "data" / "tensors", root / "models", tmp_path / "reports")


def test_a_class_without_test_rows_has_no_recall():
    truth = np.array([0, 0, 1])
    by_model = {"network": scores(truth, np.eye(7)[truth])}
    classes = stage.class_table(stage.confusion(truth, truth))
    assert list(stage.numbers(by_model, classes, 3)["recall"]) == list(LABELS[:2])
