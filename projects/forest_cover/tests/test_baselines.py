import numpy as np
import pytest
import torch
from samples import write_project

from forest_cover.baselines import baselines, fit_predict
from forest_cover.dataset import CoverDataset, load_dataset
from forest_cover.scores import scores


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    write_project(root)
    return [load_dataset(root / "data" / "tensors", part) for part in ("train", "val")]


def test_the_majority_says_the_shares_of_the_training_rows():
    train = CoverDataset(torch.zeros(4, 2), torch.tensor([3, 3, 3, 5]))
    found = fit_predict(baselines(0)["majority"], train, train)
    assert found.tolist() == [[0, 0, 0, 0.75, 0, 0.25, 0]] * 4


@pytest.mark.parametrize("name", ["logistic regression", "gradient boosting"])
def test_the_others_learn_and_give_the_same_numbers_again(parts, name):
    train, val = parts
    found = fit_predict(baselines(0)[name], train, val)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    assert scores(val.labels.numpy(), found)["macro_f1"] > 0.5
    assert (fit_predict(baselines(0)[name], train, val) == found).all()


def test_a_class_without_training_rows_is_never_predicted(parts):
    train, val = parts
    kept = train.labels != 2
    found = fit_predict(
        baselines(0)["logistic regression"], CoverDataset(train.features[kept], train.labels[kept]), val
    )
    assert (found[:, 2] == 0).all()
    assert found.shape == (len(val), 7)
