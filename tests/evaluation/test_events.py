import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ml4ops_helpers.evaluation.events import bootstrap_interval, mean_defined, per_event, pooled, summarise_events
from ml4ops_helpers.evaluation.metrics import iou


@pytest.fixture
def table():
    """Two scenes of a large, easy flood, one of a small, hard flood, one of an event without water."""
    return pd.DataFrame(
        {
            "event": ["large", "large", "small", "dry"],
            "tp": [50, 40, 1, 0],
            "fp": [5, 5, 2, 0],
            "fn": [0, 0, 1, 0],
            "tn": [45, 55, 96, 100],
        }
    )


def test_an_event_without_the_class_does_not_drag_the_mean():
    """Cloud IoU 7/8 in four events, no cloud in a fifth: the mean is 87.5 %, not 70.0 % (a published mistake)."""
    cloud = pd.DataFrame({"event": list("abcde"), "tp": [7] * 4 + [0], "fp": [1] * 4 + [0], "fn": 0, "tn": 10})
    row = summarise_events(cloud).loc["iou"]
    assert row["per_event_mean"] == 0.875
    assert (row["defined"], row["undefined"]) == (4, 1)


def test_pooled_and_per_event_are_named_and_differ(table):
    """IoU large 90/100, small 1/4, dry undefined; pooled 91/104, precision 91/103, recall 91/92, F1 182/195."""
    assert per_event(table)["iou"].to_dict() == pytest.approx({"dry": np.nan, "large": 0.9, "small": 0.25}, nan_ok=True)
    assert per_event(table)["scenes"].to_dict() == {"dry": 1, "large": 2, "small": 1}
    assert pooled(table)["iou"] == pytest.approx(91 / 104)
    summary = summarise_events(table)
    assert summary.loc["iou"].tolist() == pytest.approx([91 / 104, (0.9 + 0.25) / 2, 2, 1])
    assert summary["pooled"].to_dict() == pytest.approx(
        {"precision": 91 / 103, "recall": 91 / 92, "f1": 182 / 195, "iou": 91 / 104}
    )
    assert summary.loc["recall", "per_event_mean"] == pytest.approx((1 + 1 / 2) / 2)


def test_mean_of_nothing_is_undefined():
    mean = mean_defined([np.nan, np.nan])
    assert np.isnan(mean.value)
    assert mean[1:] == (0, 2)


def test_bootstrap_agrees_with_scipy():
    values = np.random.default_rng(3).beta(5, 2, size=24)
    for level in (0.5, 0.95):
        ours = bootstrap_interval(values, seed=1, n=4000, level=level)
        options = {"n_resamples": 4000, "method": "percentile", "confidence_level": level}
        peer = stats.bootstrap((values,), np.mean, **options, rng=np.random.default_rng(2))
        assert ours.estimate == pytest.approx(values.mean())
        assert (ours.low, ours.high) == pytest.approx(tuple(peer.confidence_interval), abs=0.01)


def test_bootstrap_of_pooled_counts_draws_whole_events(table):
    counts = per_event(table).drop("dry")[["tp", "fp", "fn"]]
    interval = bootstrap_interval(counts, lambda rows: iou(*rows.sum(axis=0)), n=500)
    assert interval.estimate == pytest.approx(91 / 104)
    assert (interval.low, interval.high) == pytest.approx((0.25, 0.9))  # the same event drawn twice


def test_bootstrap_is_repeatable_and_counts_undefined_resamples():
    values = [0.5, 0.7, np.nan]
    first, again = bootstrap_interval(values, seed=4), bootstrap_interval(values, seed=4)
    assert first == again != bootstrap_interval(values, seed=5)
    assert first.undefined == pytest.approx(1000 / 27, rel=0.5)  # all three draws hit the undefined event
    assert (first.low, first.high) == (0.5, 0.7)
    nothing = bootstrap_interval([np.nan, np.nan], n=10)
    assert np.isnan(nothing[:3]).all()
    assert nothing.undefined == 10


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_interval([0.5]), "at least two"),
        (lambda: bootstrap_interval([0.5, 0.6], level=95), "level"),
    ],
)
def test_errors_say_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()
