"""The measurement of the leak: worked by hand, on models whose scores are known, and in its direction."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

from forest_cover import leak
from forest_cover.columns import FEATURES, TARGET
from forest_cover.files import ProjectError
from forest_cover.leak import claim_and_truth, interval, main, measure, prepare_parts
from forest_cover.prepare import fit_scaling
from forest_cover.simulate import simulate

ROWS = simulate(6000, seed=0)
MEASURED = list(FEATURES[:10])


class Recorder:
    """A model that knows which rows it saw; predicts the commonest class."""

    seen: list[pd.DataFrame]

    def __init__(self):
        self.seen, self.asked = [], []

    def fit(self, features, target):
        self.seen.append(features.assign(**{TARGET: target}))
        return self

    def predict(self, features):
        self.asked.append(features)
        return np.full(len(features), 2)


def recorded(order, seed=0, limit=100):
    model = Recorder()
    claim_and_truth(ROWS, lambda _: model, limit, seed, order)
    return model.seen[0], *model.asked


@pytest.mark.parametrize("order", [(), ("scaling",), ("cap",), ("scaling", "cap")])
def test_rows_put_aside_are_seen_by_nobody(order):
    train, test, held = recorded(order)
    assert not set(train.index) & set(test.index)
    assert not set(held.index) & (set(train.index) | set(test.index))


def test_rows_put_aside_are_the_same_for_every_order_and_have_the_shares_of_the_world():
    held = [recorded(order)[2].index for order in ((), ("scaling",), ("cap",), ("scaling", "cap"))]
    assert all(h.equals(held[0]) for h in held)
    shares = ROWS.loc[held[0], TARGET].value_counts(normalize=True)
    assert shares[2] == pytest.approx(283301 / 581012, abs=0.005)
    assert not recorded((), seed=1)[2].index.equals(held[0])


def test_right_order_caps_the_training_rows_and_not_the_test_rows():
    train, test, _ = prepare_parts(ROWS, 100, 0)
    assert train[TARGET].value_counts().max() == 100
    assert test[TARGET].value_counts(normalize=True)[2] == pytest.approx(283301 / 581012, abs=0.01)


def test_leaking_cap_takes_the_shares_of_the_world_from_the_test_rows():
    train, test, _ = prepare_parts(ROWS, 100, 0, ["cap"])
    assert train[TARGET].value_counts().max() == 70
    assert test[TARGET].value_counts()[[1, 2, 3]].tolist() == [15, 15, 15]


def test_right_scaling_is_fitted_on_training_rows_before_they_are_capped():
    train, test, scaling = prepare_parts(ROWS, 0, 0)
    np.testing.assert_allclose(train[MEASURED].mean(), 0, atol=1e-9)
    assert (test[MEASURED].mean().abs() > 1e-6).all()
    assert scaling == fit_scaling(ROWS.loc[train.index])


def test_leaking_scaling_knows_the_test_rows():
    _, _, scaling = prepare_parts(ROWS, 0, 0, ["scaling"])
    assert scaling == fit_scaling(ROWS)


def test_leaking_both_scales_what_the_cap_has_left():
    train, _, scaling = prepare_parts(ROWS, 100, 0, ["scaling", "cap"])
    assert set(train[TARGET].value_counts()) <= {*range(71)}
    assert scaling != fit_scaling(ROWS)


def test_unknown_leak_is_refused():
    with pytest.raises(ProjectError, match=r"leak=\['split'\]: use scaling and cap"):
        prepare_parts(ROWS, 100, 0, ["split"])


def test_claim_of_a_model_that_guesses_is_known():
    # Who always says class 2 has recall 1 there, and as precision its share: F1 = 2 p / (1 + p), over seven classes.
    share = 283301 / 581012
    for score in claim_and_truth(ROWS, lambda _: DummyClassifier(strategy="constant", constant=2), 0, 0):
        assert score == pytest.approx(2 * share / (1 + share) / 7, abs=0.003)


def test_interval_by_hand():
    # 0.1, 0.2, 0.3: deviation 0.1, Student's t of two degrees of freedom 4.303.
    mean, low, high = interval([0.1, 0.2, 0.3])
    assert (mean, low, high) == pytest.approx((0.2, 0.2 - 4.303 * 0.1 / 3**0.5, 0.2 + 4.303 * 0.1 / 3**0.5), abs=1e-3)
    with pytest.raises(ProjectError, match="1 seeds give no interval"):
        interval([0.1])


def test_cap_before_the_split_claims_too_much_and_the_right_order_does_not():
    orders = ((), ("scaling",), ("cap",))
    table = measure(lambda seed: simulate(12000, seed), leak.make_logistic, 200, range(4), orders)
    table = table.set_index("before the split")
    claimed = table["claimed - true"]
    assert claimed["cap"] > claimed["nothing (right)"] + 0.05
    assert table.loc["cap", "low"] > 0
    assert abs(claimed["nothing (right)"]) < 0.06
    assert abs(claimed["scaling"] - claimed["nothing (right)"]) < 0.01  # means of so many rows hardly change
    np.testing.assert_allclose(claimed, table["claimed"] - table["true"])


def test_command_prints_a_table_for_each_model(monkeypatch, capsys):
    monkeypatch.delenv("ML4OPS_DATA", raising=False)
    monkeypatch.setattr(leak, "MODELS", {"guess": lambda _: DummyClassifier()})
    monkeypatch.setattr(leak, "simulated_rows", lambda seed: simulate(6000, seed))
    main(seeds=2, limit=100)
    printed = capsys.readouterr().out
    assert "guess, simulated rows, at most 100 of a class, 2 seeds, macro-F1" in printed
    assert all(order in printed for order in ("nothing (right)", "scaling and cap"))
