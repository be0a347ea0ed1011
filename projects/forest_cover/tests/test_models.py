from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forest_cover.columns import FEATURES
from forest_cover.config import Model, Training
from forest_cover.fit import SCHEDULES
from forest_cover.models import MODELS, Encoder, PiecewiseLinear, build_model

ROWS = torch.randn(200, 54, generator=torch.Generator().manual_seed(0))


def encoding(values, pieces):
    module = PiecewiseLinear(1, pieces)
    module.fit(torch.tensor(values)[:, None])
    return module


def test_edges_are_quantiles_of_the_training_rows():
    module = PiecewiseLinear(10, 8)
    module.fit(ROWS[:, :10])
    expected = np.quantile(ROWS[:, :10].double().numpy(), np.linspace(0, 1, 9), axis=0).T
    np.testing.assert_allclose(module.edges.numpy(), expected, rtol=1e-6)


def test_a_value_fills_the_pieces_below_it_by_hand():
    module = encoding([0.0, 2.0, 4.0, 10.0, 20.0], 4)  # edges 0, 2, 4, 10, 20
    found = module(torch.tensor([[-5.0], [1.0], [7.0], [15.0], [99.0]]))
    expected = [[0, 0, 0, 0], [0.5, 0, 0, 0], [1, 1, 0.5, 0], [1, 1, 1, 0.5], [1, 1, 1, 1]]
    assert found.tolist() == expected


def test_pieces_without_width_hold_nothing():
    module = encoding([0.0, 0.0, 0.0, 4.0, 8.0], 4)  # edges 0, 0, 0, 4, 8
    assert module(torch.tensor([[0.0], [6.0]])).tolist() == [[0, 0, 0, 0], [0, 0, 1, 0.5]]


def test_a_constant_column_says_nothing():
    assert encoding([3.0, 3.0], 2)(torch.tensor([[3.0], [5.0]])).tolist() == [[0, 0], [0, 0]]


@given(st.floats(-1e6, 1e6, width=32), st.floats(-1e6, 1e6, width=32))
def test_a_larger_value_never_fills_less(one, other):
    module = PiecewiseLinear(1, 8)
    module.fit(ROWS[:, :1])
    low, high = module(torch.tensor([[min(one, other)], [max(one, other)]]))
    assert (low <= high).all()
    assert ((low >= 0) & (high <= 1)).all()


def test_one_hot_columns_stay_as_they_are_and_measured_ones_are_encoded():
    encoder = Encoder(FEATURES, 4)
    encoder.pieces.fit(ROWS[:, encoder.measured])
    found = encoder(ROWS)
    assert found.shape == (200, 10 * 4 + 44)
    assert torch.equal(found[:, 40:], ROWS[:, 10:])


def test_measured_columns_are_found_by_their_names_wherever_they_stand():
    encoder = Encoder(["Soil_Type3", "Slope", "Soil_Type1"], 2)
    assert (encoder.measured, encoder.others) == ([1], [0, 2])


def test_without_pieces_all_columns_stay_as_they_are():
    assert torch.equal(Encoder(FEATURES, 0)(ROWS), ROWS)


def test_the_logistic_network_is_one_linear_layer():
    torch.manual_seed(0)
    model = build_model(Model(name="logistic", bins=0), FEATURES, ROWS)
    weight, bias = model.parameters()
    torch.testing.assert_close(model(ROWS), ROWS @ weight.T + bias)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("depth", "bins"), [(0, 0), (0, 4), (2, 0), (3, 4)])
def test_every_network_gives_a_logit_for_each_class(name, depth, bins):
    columns = FEATURES[3:20]
    model = build_model(Model(name=name, depth=depth, bins=bins, width=8), columns, ROWS[:, 3:20])
    logits = model(ROWS[:, 3:20])
    assert logits.shape == (200, 7)
    logits.logsumexp(dim=1).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_weights_carry_the_edges_along(name):
    torch.manual_seed(0)
    settings = Model(name=name, width=8, bins=4)
    model = build_model(settings, FEATURES, ROWS).eval()
    other = build_model(settings, FEATURES).eval()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(ROWS), model(ROWS))


def test_depth_width_and_dropout_are_what_they_say():
    model = build_model(Model(name="mlp", width=32, depth=3, dropout=0.4), FEATURES)
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    assert [m.out_features for m in layers] == [32, 32, 32, 7]
    assert [m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)] == [0.4] * 3


def test_every_network_and_schedule_can_be_set():
    assert get_args(Model.model_fields["name"].annotation) == tuple(MODELS)
    assert set(get_args(Training.model_fields["schedule"].annotation)) == set(SCHEDULES)
