import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from ml4ops_helpers.evaluation.curves import BINS, ScoreHistogram, operating_threshold, otsu
from ml4ops_helpers.evaluation.metrics import Counts, binary_counts

sizes = st.integers(1, 40)
floats32 = st.floats(0, 1, width=32)
grid = st.integers(0, BINS).map(lambda k: k / BINS)


def histogram(truth, score, mask=None):
    h = ScoreHistogram()
    h.update(truth, score, mask)
    return h


def draw(data, n, elements, dtype=np.float32):
    return data.draw(hnp.arrays(bool, n)), data.draw(hnp.arrays(dtype, n, elements=elements))


def scikit_learn_areas(truth, score):
    p, r, _ = sk.precision_recall_curve(truth, score)
    return sk.auc(r, p), sk.roc_auc_score(truth, score)


@pytest.fixture
def four():
    """Water at .75 and .25, land at .5 and .25."""
    return histogram([True, True, False, False], [0.75, 0.25, 0.5, 0.25])


def test_curves_by_hand(four):
    """From the top: .75 finds 1 of 2 with no alarm, .5 adds an alarm, .25 adds water and land at once (a tie)."""
    pr, roc = four.pr_curve(), four.roc_curve()
    assert pr["threshold"].tolist() == [0.75, 0.5, 0.25]
    assert pr["precision"].tolist() == [1, 0.5, 0.5]
    assert pr["recall"].tolist() == [0.5, 0.5, 1]
    assert roc["threshold"].tolist() == [np.inf, 0.75, 0.5, 0.25]
    assert roc["false_positive_rate"].tolist() == [0, 0, 0.5, 1]
    assert roc["true_positive_rate"].tolist() == [0, 0.5, 0.5, 1]


def test_areas_by_hand(four):
    """AP: ½·1 up to recall ½, then ½·½. AUC: of the four pairs 2.5 are in order (the tie counts half)."""
    assert four.average_precision() == 0.75
    assert four.auc() == 2.5 / 4
    assert four.no_skill == 0.5


@given(st.data(), sizes)
def test_areas_equal_scikit_learn_for_scores_on_the_grid(data, n):
    truth, score = draw(data, n, grid, np.float64)
    truth = np.concatenate([truth, [True, False]])  # both classes
    score = np.concatenate([score, [0.5, 0.5]])
    ours = histogram(truth, score)
    assert (ours.average_precision(), ours.auc()) == pytest.approx(scikit_learn_areas(truth, score), abs=1e-12)


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_areas_are_within_a_millionth_of_scikit_learn(share):
    """Logits of both classes have variance 4 and means ±2, so the score is calibrated for equal shares."""
    rng = np.random.default_rng(0)
    truth = rng.random(1_500_000) < share
    score = (1 / (1 + np.exp(-rng.normal(np.where(truth, 2, -2), 2)))).astype(np.float32)
    ours = histogram(truth, score)
    assert (ours.average_precision(), ours.auc()) == pytest.approx(scikit_learn_areas(truth, score), abs=1e-6)


@given(st.data(), sizes, st.sampled_from([np.float32, np.float64]), grid)
def test_counts_are_exact_at_thresholds_on_the_grid(data, n, dtype, threshold):
    elements = floats32 if dtype is np.float32 else st.floats(0, 1)
    near = st.sampled_from([np.nextafter(dtype(threshold), dtype(side)) for side in (0, 1)] + [dtype(threshold)])
    truth, score = draw(data, n, elements | near, dtype)
    assert histogram(truth, score).counts_at(threshold) == binary_counts(truth, score >= threshold)


def test_a_threshold_between_steps_acts_as_the_next_step():
    h = histogram([True, True], [10.4 / BINS, 11 / BINS])
    assert h.counts_at(10.2 / BINS) == h.counts_at(11 / BINS) == Counts(tp=1, fp=0, fn=1, tn=0)


@pytest.mark.parametrize(("threshold", "tp"), [(-np.inf, 3), (-1, 3), (0, 3), (1, 1), (1.1, 0), (np.inf, 0)])
def test_thresholds_at_and_beyond_the_ends(threshold, tp):
    assert histogram([True] * 3, np.float32([0, np.nextafter(np.float32(1), np.float32(0)), 1])).counts_at(
        threshold
    ) == Counts(tp, 0, 3 - tp, 0)


@settings(max_examples=40)
@given(st.data(), st.integers(2, 40))
def test_batches_and_their_order_do_not_change_the_counts(data, n):
    truth, score = draw(data, n, floats32)
    cut = data.draw(st.integers(0, n))
    whole = histogram(truth, score)
    parts = histogram(truth[cut:], score[cut:]) + histogram(truth[:cut], score[:cut])
    one = ScoreHistogram()
    for i in range(n):
        one.update(truth[i], score[i])
    for other in (parts, one):
        np.testing.assert_array_equal(other.positives, whole.positives)
        np.testing.assert_array_equal(other.negatives, whole.negatives)


def test_images_larger_than_a_chunk_and_strided_views_count_the_same():
    rng = np.random.default_rng(1)
    probabilities = rng.random((2, 3, 600, 700), dtype=np.float32)
    truth = rng.random((2, 600, 700)) < 0.3
    mask = rng.random((2, 600, 700)) < 0.8
    view = histogram(truth, probabilities[:, 1], mask)
    flat = histogram(truth[mask], probabilities[:, 1][mask])
    np.testing.assert_array_equal(view.positives, flat.positives)
    np.testing.assert_array_equal(view.negatives, flat.negatives)
    assert view.counts_at(0.5) == binary_counts(truth, probabilities[:, 1] >= 0.5, mask)


def test_memory_does_not_grow_with_the_image():
    truth, score = np.zeros((4, 1024, 1024), bool), np.full((4, 1024, 1024), 0.3, np.float32)
    tracemalloc.start()
    histogram(truth, score).counts_at(0.5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6  # the input holds 21 MB


def test_pixels_left_out_may_hold_anything():
    h = histogram([True, False, True], [0.75, np.nan, 7], mask=[True, False, False])
    assert (h.positives.sum(), h.negatives.sum()) == (1, 0)


def test_a_refused_batch_leaves_the_histogram_as_it_was(four):
    bad = np.full(600_000, 0.5)
    bad[-1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        four.update(np.ones(600_000, bool), bad)
    assert four.counts_at(0) == Counts(2, 2, 0, 0)


def test_undefined_areas_are_nan():
    only_land, only_water, empty = histogram([False], [0.2]), histogram([True], [0.2]), ScoreHistogram()
    assert np.isnan([only_land.average_precision(), only_land.auc(), only_water.auc()]).all()
    assert np.isnan([empty.average_precision(), empty.auc(), empty.no_skill]).all()
    assert only_water.average_precision() == 1
    assert (only_land.no_skill, only_water.no_skill) == (0, 1)


def test_curve_at_given_thresholds_is_undefined_where_nothing_is_called_water(four):
    curve = four.pr_curve([0.9, 0.5])
    assert curve["threshold"].tolist() == [0.9, 0.5]
    assert np.isnan(curve["precision"][0])
    assert (curve["recall"][0], curve["precision"][1]) == (0, 0.5)


def test_operating_threshold_is_the_cheapest_of_all():
    """For a calibrated probability it is cost_fp / (cost_fp + cost_fn): .2 when a miss costs four times more."""
    rng = np.random.default_rng(5)
    score = rng.random(400_000)
    h = histogram(rng.random(400_000) < score, score)
    assert operating_threshold(h, cost_fn=4, cost_fp=1) == pytest.approx(0.2, abs=0.03)
    assert operating_threshold(h, cost_fn=1, cost_fp=4) == pytest.approx(0.8, abs=0.03)


def test_operating_threshold_may_be_never():
    """One water pixel below ten land pixels: finding it costs ten alarms."""
    h = histogram([True] + [False] * 10, [0.25] + [0.5] * 10)
    never = operating_threshold(h, cost_fn=1, cost_fp=1)
    assert h.counts_at(never) == Counts(tp=0, fp=0, fn=1, tn=10)
    assert operating_threshold(h, cost_fn=11, cost_fp=1) == 0.25


def test_otsu_by_hand():
    """Otsu 1979. 0 0 1 | 8 9 9: no other cut separates the groups more; the gap 1 to 8 has its middle at 4.5."""
    values = [0, 0, 1, 8, 9, 9]
    between = {cut: cut * (6 - cut) * (np.mean(values[:cut]) - np.mean(values[cut:])) ** 2 for cut in (2, 3, 4, 5)}
    assert max(between, key=between.get) == 3
    assert otsu(values) == pytest.approx(4.5, abs=9 / 256)
    assert otsu([*values, np.nan]) == otsu(values)


def test_otsu_follows_a_shift_and_a_scale():
    rng = np.random.default_rng(6)
    values = np.concatenate([rng.normal(-0.4, 0.1, 4000), rng.normal(0.5, 0.1, 1000)])
    threshold = otsu(values)
    assert -0.15 < threshold < 0.25
    assert otsu(10 * values + 3) == pytest.approx(10 * threshold + 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: histogram([1], [0.5]), "truth.*boolean"),
        (lambda: histogram([True], [0.5, 0.6]), "truth.*shape"),
        (lambda: histogram([True], [0.5], [1]), "mask.*boolean"),
        (lambda: histogram([True], [np.nan]), "NaN"),
        (lambda: histogram([True, True], [0.5, 1.01]), "scores"),
        (lambda: histogram([True], [-0.1]), "scores"),
        (lambda: ScoreHistogram().counts_at(np.nan), "threshold"),
        (lambda: operating_threshold(histogram([True], [0.5]), 0, 1), "costs"),
        (lambda: operating_threshold(ScoreHistogram(), 1, 1), "empty"),
        (lambda: otsu([1.0, 1.0, np.nan]), "values"),
        (lambda: otsu([1.0, np.inf]), "values"),
    ],
)
def test_errors_say_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
