import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, f1_score, recall_score

from forest_cover.scores import calibration_error, class_table, confusion, f1, recall, reliability, scores


def certain(classes):
    return np.eye(7)[classes]


def test_confusion_by_hand():
    counts = confusion(np.array([0, 0, 0, 6, 6]), np.array([0, 0, 6, 6, 1]))
    assert (counts[0, 0], counts[0, 6], counts[6, 6], counts[6, 1]) == (2, 1, 1, 1)
    assert counts.sum() == 5


def test_recall_and_f1_by_hand():
    counts = np.array([[8, 2], [3, 7]])
    np.testing.assert_allclose(recall(counts), [0.8, 0.7])
    np.testing.assert_allclose(f1(counts), [16 / 21, 14 / 19])


def test_a_class_without_rows_has_no_recall_and_one_never_seen_no_f1():
    counts = confusion(np.array([0, 0]), np.array([0, 1]))
    assert np.isnan(recall(counts)).tolist() == [False, True, True, True, True, True, True]
    np.testing.assert_allclose(f1(counts)[:2], [2 / 3, 0])
    assert np.isnan(f1(counts)[2:]).all()


def test_rare_classes_count_as_much_as_frequent_ones():
    truth = np.array([0] * 98 + [1] * 2)
    found = scores(truth, certain(np.zeros(100, int)))
    assert found["accuracy"] == 0.98
    assert found["balanced_accuracy"] == 0.5
    assert found["macro_f1"] == pytest.approx((2 * 98 / 198 + 0) / 2)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=60))
def test_same_as_scikit_learn(pairs):
    truth, predicted = np.array(pairs).T
    found = scores(truth, certain(predicted))
    assert (confusion(truth, predicted) == confusion_matrix(truth, predicted, labels=range(7))).all()
    assert found["macro_f1"] == pytest.approx(f1_score(truth, predicted, average="macro"))
    balanced = recall_score(truth, predicted, labels=np.unique(truth), average="macro")
    assert found["balanced_accuracy"] == pytest.approx(balanced)


def test_reliability_by_hand():
    probabilities = np.array([[0.55, 0.45], [0.58, 0.42], [0.1, 0.9], [1.0, 0.0]])
    table = reliability(np.array([0, 1, 1, 0]), probabilities)
    assert table["rows"].tolist() == [2, 2]
    np.testing.assert_allclose(table["low"], [0.5, 0.9])
    np.testing.assert_allclose(table["confidence"], [0.565, 0.95])
    np.testing.assert_allclose(table["accuracy"], [0.5, 1.0])
    assert calibration_error(table) == pytest.approx((2 * 0.065 + 2 * 0.05) / 4)


def test_certainty_that_is_always_wrong_is_the_worst_calibration():
    assert scores(np.zeros(5, int), certain(np.ones(5, int)))["ece"] == 1
    assert scores(np.ones(5, int), certain(np.ones(5, int)))["ece"] == 0


def test_the_classes_by_name():
    table = class_table(confusion(np.arange(7), np.arange(7)))
    assert table.loc[6, ["class", "name", "rows", "recall", "f1"]].tolist() == [7, "krummholz", 1, 1.0, 1.0]
    assert isinstance(table, pd.DataFrame)
