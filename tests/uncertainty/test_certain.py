"""Probabilities of exactly 0 and 1, as a saturated network gives them: nothing becomes infinite, undefined or warns."""

from __future__ import annotations

import numpy as np
import pytest

from ml4ops_helpers.evaluation.curves import ScoreHistogram
from ml4ops_helpers.uncertainty import areas, calibration, conformal
from ml4ops_helpers.uncertainty.samples import entropy, summarise_samples

pytestmark = pytest.mark.filterwarnings("error")
CERTAIN = np.array([[0.0, 1.0]], np.float32)


def histogram(*, right: bool) -> ScoreHistogram:
    found = ScoreHistogram()
    found.update(np.array([[not right, right]] * 50), np.repeat(CERTAIN, 50, axis=0))
    return found


@pytest.mark.parametrize("temperature", [1 / 20, 1, 20])
def test_temperature_leaves_the_certain_certain(temperature: float) -> None:
    assert calibration.scale_temperature(CERTAIN, temperature).tolist() == CERTAIN.tolist()


@pytest.mark.parametrize("right", [True, False])
def test_scores_of_the_certain_are_finite(right: bool) -> None:
    found = histogram(right=right)
    assert 0 < calibration.fit_temperature({"event": found}) < np.inf
    assert calibration.log_loss(found) == pytest.approx(0 if right else 12, abs=0.6)
    assert calibration.brier_score(found) == pytest.approx(0 if right else 1, abs=1e-4)
    table = calibration.reliability(found).dropna()
    assert table["frequency"].tolist() == ([0, 1] if right else [1, 0])
    assert calibration.expected_calibration_error(calibration.reliability(found)) == pytest.approx(1 - right, abs=1e-4)


@pytest.mark.parametrize("kind", ["lac", "aps"])
@pytest.mark.parametrize("right", [True, False])
def test_sets_of_the_certain(kind: conformal.Kind, right: bool) -> None:
    found = {"event": histogram(right=right)}
    rule = conformal.fit_sets(found, 0.9, kind)
    pixels = np.repeat(CERTAIN, 2000, axis=0)
    sets = conformal.prediction_sets(pixels, rule)
    holds = np.where((pixels == 1) == right, sets & 2, sets & 1) > 0
    assert holds.mean() >= 0.88
    assert conformal.coverage_table(found, rule).loc["pooled", "coverage"] >= 0.9 - 1e-6


def test_the_certain_have_no_entropy_and_no_variance() -> None:
    assert entropy(CERTAIN).tolist() == [[0, 0]]
    assert areas.expected_area(CERTAIN, np.ones((1, 2), bool)) == areas.Area(1.0, 0.0)
    summary = summarise_samples([CERTAIN, CERTAIN])
    assert np.isfinite([part for part in vars(summary).values() if isinstance(part, np.ndarray)]).all()
