import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from ml4ops_helpers.evaluation.metrics import (
    Confusion,
    Counts,
    as_mask,
    binary_counts,
    boundary_band,
    error_map,
    f1,
    false_positive_rate,
    flood_water,
    iou,
    precision,
    recall,
)
from ml4ops_helpers.scenes.sentinel2 import CLOUD, INVALID, LAND, WATER

codes = hnp.arrays(np.uint8, st.tuples(st.integers(1, 6), st.just(7)), elements=st.integers(1, 3))


def confused(truth, prediction):
    confusion = Confusion()
    confusion.update(truth, prediction)
    return confusion


# Mistakes that published flood metrics made


def test_invalid_pixels_of_one_image_do_not_touch_the_counts_of_another():
    """By hand: image A has 1 invalid pixel and 2 land pixels, image B 3 invalid and 1 land pixel that is called water.

    Subtracting the batch's 4 invalid pixels from every image gives A −2 true negatives: a negative rate 0 / (0 − 2).
    """
    truth = np.array([[WATER, LAND, LAND, INVALID, WATER], [WATER, LAND, INVALID, INVALID, INVALID]])
    called_water = np.array([[True, False, False, False, False], [True, True, False, True, False]])
    each = [binary_counts(t == WATER, p, mask=t != INVALID) for t, p in zip(truth, called_water, strict=True)]
    assert each == [Counts(tp=1, fp=0, fn=1, tn=2), Counts(tp=1, fp=1, fn=0, tn=0)]
    assert [false_positive_rate(c.fp, c.tn) for c in each] == [0, 1]
    assert binary_counts(truth == WATER, called_water, truth != INVALID) == Counts(*np.sum(each, axis=0))


def test_absent_class_is_undefined_not_minus_one_nor_perfect():
    scores = confused([LAND, LAND, WATER, WATER], [LAND, WATER, WATER, WATER]).scores()
    assert scores.loc["cloud", ["precision", "recall", "f1", "iou"]].isna().all()
    assert scores.loc["cloud", ["support", "predicted"]].tolist() == [0, 0]
    assert scores.loc["water", "iou"] == pytest.approx(2 / 3)
    assert scores.loc["land", ["precision", "recall", "f1", "iou"]].tolist() == pytest.approx([1, 1 / 2, 2 / 3, 1 / 2])


def test_false_alarm_for_an_absent_class_scores_zero_and_leaves_recall_undefined():
    cloud = confused([LAND, LAND], [LAND, CLOUD]).scores().loc["cloud"]
    assert (cloud["iou"], cloud["precision"], cloud["predicted"]) == (0, 0, 1)
    assert np.isnan(cloud["recall"])


def test_rows_are_the_truth_and_columns_the_prediction():
    """By hand: 3 land pixels of which 2 are called water and 1 cloud; 1 water pixel called land; nothing symmetric."""
    truth = [LAND, LAND, LAND, WATER, CLOUD, CLOUD]
    prediction = [WATER, WATER, CLOUD, LAND, CLOUD, LAND]
    confusion = confused(truth, prediction)
    assert confusion.matrix.tolist() == [[0, 2, 1], [1, 0, 0], [1, 0, 1]]
    assert confusion.counts(LAND) == Counts(tp=0, fp=2, fn=3, tn=1)
    assert confusion.scores().loc["water", ["support", "predicted"]].tolist() == [1, 2]


@given(codes, st.data())
def test_matrix_and_scores_agree_with_scikit_learn(truth, data):
    prediction = data.draw(hnp.arrays(np.uint8, truth.shape, elements=st.integers(1, 3)))
    confusion = confused(truth, prediction)
    arguments = {"labels": [1, 2, 3], "average": None, "zero_division": np.nan}
    t, p, scores = truth.ravel(), prediction.ravel(), confusion.scores()
    np.testing.assert_array_equal(confusion.matrix, sk.confusion_matrix(t, p, labels=[1, 2, 3]))
    np.testing.assert_allclose(scores["precision"], sk.precision_score(t, p, **arguments))
    np.testing.assert_allclose(scores["recall"], sk.recall_score(t, p, **arguments))
    np.testing.assert_allclose(scores["f1"], sk.f1_score(t, p, **arguments))


@settings(max_examples=40)
@given(codes, st.data())
def test_batches_do_not_change_a_confusion_matrix(truth, data):
    prediction = data.draw(hnp.arrays(np.uint8, truth.shape, elements=st.integers(1, 3)))
    cut = data.draw(st.integers(0, len(truth)))
    parts = confused(truth[cut:], prediction[cut:])
    parts.update(truth[:cut], prediction[:cut])
    np.testing.assert_array_equal(parts.matrix, confused(truth, prediction).matrix)


# Formulas and definitions


def test_ratios_by_hand():
    """tp 6, fp 2, fn 4, tn 8: precision 6/8, recall 6/10, F1 12/18, IoU 6/12, false positive rate 2/10."""
    ratios = [precision(6, 2), recall(6, 4), f1(6, 2, 4), iou(6, 2, 4), false_positive_rate(2, 8)]
    assert [float(r) for r in ratios] == pytest.approx([0.75, 0.6, 2 / 3, 0.5, 0.2])
    assert np.isnan([precision(0, 0), recall(0, 0), f1(0, 0, 0), iou(0, 0, 0), false_positive_rate(0, 0)]).all()


def test_invalid_truth_is_not_counted():
    matrix = confused([INVALID, INVALID, LAND, WATER, CLOUD], [WATER, INVALID, LAND, LAND, LAND]).matrix
    assert matrix.tolist() == [[1, 0, 0], [1, 0, 0], [1, 0, 0]]


def test_error_map_marks_each_kind_of_pixel():
    errors = error_map([[True, True], [False, False]], [[True, False], [True, False]])
    assert errors.tolist() == [[3, 2], [1, 0]]
    assert error_map([True, False], [True, True], mask=[False, True]).tolist() == [255, 1]


def test_boundary_band_by_hand():
    """A 2-pixel square of water: within 1 pixel of the edge lie the square and the 8 land pixels that share a side."""
    water = np.zeros((4, 4), bool)
    water[1:3, 1:3] = True
    near = boundary_band(water, 1)
    assert near.astype(int).tolist() == [[0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0]]
    assert boundary_band(water, 1.5).all()
    np.testing.assert_array_equal(boundary_band(~water, 1), near)


@pytest.mark.parametrize("side", [True, False])
def test_a_mask_with_one_side_has_no_boundary(side):
    assert not boundary_band(np.full((3, 3), side), 2).any()


def test_flood_water_leaves_out_permanent_water_only():
    assert flood_water([True] * 4 + [False], [0, 1, 2, 3, 0]).tolist() == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: as_mask("truth", [0, 1]), "truth.*boolean"),
        (lambda: binary_counts([True], [True, False]), "prediction.*shape"),
        (lambda: binary_counts([True], [True], [1]), "mask.*boolean"),
        (lambda: confused([1, 2], [1]), "shape"),
        (lambda: confused([1.0], [1]), "truth.*float64"),
        (lambda: confused([1], [7]), "prediction.*codes"),
        (lambda: confused([-1], [1]), "truth.*codes"),
        (lambda: confused([1, 2], [0, 3]), "1 pixels.*invalid"),
        (lambda: boundary_band([[True]], 0), "wide"),
        (lambda: flood_water([True], [9]), "permanent.*codes"),
    ],
)
def test_errors_say_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
