"""Calibration, selective maps and conformal answers: by hand, against scikit-learn, and on data made to fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from ml4ops_helpers.evaluation.curves import ScoreHistogram
from ml4ops_helpers.scenes.sentinel2 import LAND, WATER
from ml4ops_helpers.uncertainty import areas as ar, calibration as ca, conformal as co, selective as se


def histogram(truth: np.ndarray, probability: np.ndarray) -> ScoreHistogram:
    found = ScoreHistogram()
    found.update(truth, probability.astype(np.float32))
    return found


def made(pixels: int = 20_000, scale: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Truth, and a probability whose logit is ``scale`` times the right one."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 2, pixels)
    return rng.random(pixels) < expit(z), expit(scale * z)


class TestCalibration:
    def test_scores_are_those_of_scikit_learn(self) -> None:
        truth, p = made(scale=1.5)
        found = histogram(truth, p)
        assert ca.log_loss(found) == pytest.approx(log_loss(truth, p), abs=1e-4)
        assert ca.brier_score(found) == pytest.approx(brier_score_loss(truth, p), abs=1e-5)
        table = ca.reliability(found, bins=10)
        frequency, said = calibration_curve(truth, p, n_bins=10)
        assert np.allclose(table["frequency"], frequency, atol=1e-3)
        assert np.allclose(table["probability"], said, atol=1e-3)
        assert table["pixels"].sum() == truth.size

    @pytest.mark.parametrize("scale", [0.5, 1.0, 2.5])
    def test_temperature_recovers_a_known_scale(self, scale: float) -> None:
        truth, p = made(200_000, scale)
        found = histogram(truth, p)
        temperature = ca.fit_temperature({"event": found})
        assert temperature == pytest.approx(scale, rel=0.03)
        assert ca.expected_calibration_error(ca.reliability(found, temperature)) < 0.005
        table = ca.calibration_table([("raw", found, 1.0), ("scaled", found, temperature)])
        assert (table.loc["scaled", ["NLL", "Brier"]] <= table.loc["raw", ["NLL", "Brier"]] + 1e-6).all()

    def test_temperature_on_maps_is_that_on_histograms(self) -> None:
        truth, p = made(scale=2)
        one, other = histogram(truth, ca.scale_temperature(p, 2)), histogram(truth, p)
        assert ca.log_loss(one) == pytest.approx(ca.log_loss(other, 2), abs=1e-4)
        assert ca.scale_temperature([0.0, 1.0, np.nan], 3).tolist() == pytest.approx([0, 1, np.nan], nan_ok=True)

    def test_each_event_has_the_same_weight(self) -> None:
        large, small = histogram(*made(100_000, 3)), histogram(*made(1000, 1, seed=1))
        found = ca.fit_temperature({"large": large, "small": small})
        assert found < 0.9 * ca.fit_temperature({"pooled": large + small})

    def test_an_event_without_pixels_does_not_count(self) -> None:
        full = histogram(*made(scale=2))
        both = ca.fit_temperature({"full": full, "empty": ScoreHistogram()})
        assert both == pytest.approx(ca.fit_temperature({"full": full}))
        with pytest.raises(ValueError, match="pixel"):
            ca.fit_temperature({"empty": ScoreHistogram()})

    def test_certain_and_wrong_costs_what_a_step_can_tell(self) -> None:
        found = histogram(np.array([True, False]), np.array([0.0, 1.0]))
        assert 11 < ca.log_loss(found) < 13

    def test_chance_is_taken_off(self) -> None:
        """A perfect model on few pixels: the plain error is far from 0, the debiased one is not."""
        plain, debiased = [], []
        for seed in range(40):
            table = ca.reliability(histogram(*made(150, seed=seed)))
            plain.append(ca.expected_calibration_error(table))
            debiased.append(ca.debiased_calibration_error(table))
        assert np.mean(plain) > 0.06
        assert np.median(debiased) < 0.6 * np.median(plain)

    def test_debiased_error_finds_what_is_wrong(self) -> None:
        table = pd.DataFrame({"pixels": [10**6], "probability": [0.8], "frequency": [0.6]})
        assert ca.debiased_calibration_error(table) == pytest.approx(0.2, abs=1e-4)

    def test_undefined_is_nan(self) -> None:
        empty = ScoreHistogram()
        assert np.isnan([ca.log_loss(empty), ca.brier_score(empty)]).all()
        assert np.isnan(ca.expected_calibration_error(ca.reliability(empty)))
        assert np.isnan(ca.debiased_calibration_error(ca.reliability(empty)))

    def test_temperature_above_zero(self) -> None:
        with pytest.raises(ValueError, match="temperature"):
            ca.scale_temperature(0.5, 0)


class TestSelective:
    def random(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        truth = rng.random(4000) < 0.3
        uncertainty = rng.random(4000) * se.LN_2
        wrong = rng.random(4000) < uncertainty
        return truth, truth ^ wrong, uncertainty

    def test_error_detection_is_the_auroc_of_scikit_learn(self) -> None:
        truth, prediction, uncertainty = self.random()
        counts = se.SelectiveHistogram()
        counts.update(truth, prediction, uncertainty)
        assert counts.error_auroc() == pytest.approx(roc_auc_score(truth != prediction, uncertainty), abs=1e-4)
        table = counts.rejection()
        assert (table["risk"] >= se.best_risk(table["coverage"], table["risk"].iloc[0]) - 1e-9).all()

    def test_small_uncertainties_keep_their_order(self) -> None:
        counts = se.SelectiveHistogram(limit=1)
        counts.update([True, True], [False, True], [3e-9, 1e-9])
        assert counts.error_auroc() == 1

    def test_rejection_by_hand(self) -> None:
        counts = se.SelectiveHistogram(limit=1)
        counts.update([True, False, True, False], [True, False, False, True], [0.1, 0.2, 0.5, 0.9])
        table = counts.rejection()
        assert table["coverage"].tolist() == [1, 0.75, 0.5, 0.25]
        assert table["risk"].tolist() == pytest.approx([0.5, 1 / 3, 0, 0])
        assert table["iou"].tolist() == pytest.approx([1 / 3, 0.5, 1, 1])
        assert counts.kept(0.6)["iou"] == 0.5
        assert counts.area_under_risk() == pytest.approx(0.25 * (5 / 12 + 1 / 6))

    def test_scenes_add_up(self) -> None:
        truth, prediction, uncertainty = self.random()
        whole, parts = se.SelectiveHistogram(), se.SelectiveHistogram()
        whole.update(truth, prediction, uncertainty)
        parts.update(truth[:1000], prediction[:1000], uncertainty[:1000])
        parts.update(truth, prediction, uncertainty, np.arange(4000) >= 1000)
        assert parts.rejection().equals(whole.rejection())

    def test_nothing_counted(self) -> None:
        counts = se.SelectiveHistogram()
        assert np.isnan(counts.error_auroc())
        assert np.isnan(counts.area_under_risk())
        with pytest.raises(ValueError, match="coverage"):
            counts.kept(0.9)

    def test_uncertainty_beyond_its_limit_is_refused(self) -> None:
        with pytest.raises(ValueError, match="scores"):
            se.SelectiveHistogram(limit=0.5).update([True], [True], [0.6])


KINDS = ("lac", "aps")


@pytest.mark.parametrize("kind", KINDS)
class TestSets:
    @pytest.mark.parametrize("level", [0.8, 0.9, 0.97])
    def test_exchangeable_pixels_are_covered(self, kind: co.Kind, level: float) -> None:
        """Even by a model that is badly calibrated."""
        rule = co.fit_sets({"val": histogram(*made(100_000, 3))}, level, kind)
        found = co.coverage_table({"test": histogram(*made(100_000, 3, seed=1))}, rule)
        for name in ("coverage", "land", "water"):
            assert found.loc["pooled", name] == pytest.approx(level, abs=0.01)

    def test_exchangeable_events_are_covered_on_average(self, kind: co.Kind) -> None:
        rng = np.random.default_rng(0)

        def event(number: int) -> ScoreHistogram:
            return histogram(*made(2000, float(np.exp(rng.normal(0, 0.5))), seed=number))

        rule = co.fit_sets({str(n): event(n) for n in range(40)}, 0.9, kind)
        table = co.coverage_table({str(n): event(n) for n in range(40, 80)}, rule).drop(index="pooled")
        assert table["coverage"].mean() == pytest.approx(0.9, abs=0.02)
        assert table["coverage"].min() < 0.89  # not each one

    def test_map_and_table_agree(self, kind: co.Kind) -> None:
        truth, p = made(40_000)
        rule = co.fit_sets({"a": histogram(*made(5000, seed=1))}, 0.9, kind)
        sets = co.prediction_sets(np.append(p, np.nan)[None], rule)[0]
        assert sets[-1] == co.NO_DATA
        sets = sets[:-1]
        held = np.where(truth, np.isin(sets, (WATER, co.EITHER)), np.isin(sets, (LAND, co.EITHER)))
        row = co.coverage_table({"a": histogram(truth, p)}, rule).loc["a"]
        assert row["coverage"] == pytest.approx(held.mean(), abs=0.005)
        assert row["either"] == pytest.approx((sets == co.EITHER).mean(), abs=0.005)
        assert row["neither"] == pytest.approx((sets == co.NEITHER).mean(), abs=0.005)

    def test_each_event_has_the_same_weight(self, kind: co.Kind) -> None:
        small = {str(n): histogram(*made(2000, seed=n)) for n in range(3)}
        large = histogram(*made(100_000, 3, seed=9))
        equal, pooled = co.fit_sets({**small, "large": large}, 0.9, kind), sum(small.values(), large)
        by_pixel = co.fit_sets({"pooled": pooled}, 0.9, kind)
        assert abs(equal.water - by_pixel.water) > 0.01

    def test_a_class_that_no_event_has(self, kind: co.Kind) -> None:
        with pytest.raises(ValueError, match="water"):
            co.fit_sets({"dry": histogram(np.array([False]), np.array([0.1]))}, 0.9, kind)
        with pytest.raises(ValueError, match="level"):
            co.fit_sets({}, 1, kind)

    def test_an_event_without_water_does_not_count_for_water(self, kind: co.Kind) -> None:
        wet, dry = histogram(*made(2000)), histogram(np.zeros(50, bool), np.full(50, 0.2))
        rules = [co.fit_sets(h, 0.9, kind) for h in ({"wet": wet, "dry": dry}, {"wet": wet})]
        assert rules[0].water == rules[1].water
        assert np.isnan(co.coverage_table({"dry": dry}, rules[0]).loc["dry", "water"])


class TestAdaptiveSets:
    def test_by_hand(self) -> None:
        """Land at 0.8 is likelier: in the set where the draw is below 0.6 / 0.8. Water comes on top of 0.8: never."""
        rule = co.SetRule("aps", 0.6, 0.6)
        sets = co.prediction_sets(np.full((1, 100_000), 0.2), rule)
        assert (sets == LAND).mean() == pytest.approx(0.75, abs=0.01)
        assert (sets == co.NEITHER).mean() == pytest.approx(0.25, abs=0.01)
        both = co.prediction_sets(np.full((1, 100_000), 0.2), co.SetRule("aps", 0.9, 0.9))
        assert (both == co.EITHER).mean() == pytest.approx(0.5, abs=0.01)  # draw below (0.9 - 0.8) / 0.2
        assert (both == LAND).mean() == pytest.approx(0.5, abs=0.01)

    def test_hazy_events_are_covered_like_clear_ones(self) -> None:
        """Calibrated both, but the network is surer in one: only adaptive sets cover both alike."""

        def event(spread: float, seed: int) -> ScoreHistogram:
            rng = np.random.default_rng(seed)
            z = rng.normal(0, spread, 50_000)
            return histogram(rng.random(z.size) < expit(z), expit(z))

        known = {"clear": event(6, 0), "hazy": event(1.5, 1)}
        gaps = {}
        for kind in KINDS:
            table = co.coverage_table(known, co.fit_sets(known, 0.9, kind))  # type: ignore[arg-type]
            gaps[kind] = abs(table.loc["clear", "coverage"] - table.loc["hazy", "coverage"])
        assert gaps["aps"] < 0.01 < 0.05 < gaps["lac"]


class TestAreas:
    def events(self, number: int, rng: np.random.Generator) -> pd.DataFrame:
        """Two scenes of each event that err alike, by a model whose variance is far too small."""
        event = np.repeat(np.arange(number), 2)
        variance = rng.uniform(1, 5, 2 * number)
        error = variance * (np.repeat(rng.standard_t(3, number), 2) + rng.normal(0, 0.3, 2 * number)) * 4
        return pd.DataFrame({"event": event, "estimate": 100.0, "variance": variance, "truth": 100 + error})

    @pytest.mark.parametrize(("number", "level"), [(6, 0.8), (14, 0.9)])
    def test_interval_covers_as_often_as_it_says(self, number: int, level: float) -> None:
        rng = np.random.default_rng(0)
        hits = []
        for _ in range(300):
            factor = ar.fit_area_factor(self.events(number, rng), level)
            new = self.events(1, rng).iloc[0]
            low, high = ar.area_interval(ar.Area(new["estimate"], new["variance"]), factor)
            hits.append(low <= new["truth"] <= high)
        assert level - 0.04 < np.mean(hits) < level + 1 / (number + 1) + 0.04

    def test_factor_by_hand_gives_each_event_the_same_weight(self) -> None:
        table = pd.DataFrame({"event": list("abbbb"), "truth": [15, 11, 12, 13, 14], "estimate": 10.0, "variance": 1.0})
        assert ar.fit_area_factor(table, 1 / 3) == 4  # all of b, a third of the weight
        assert ar.fit_area_factor(table, 2 / 3) == 5

    def test_too_few_events_promise_too_little(self) -> None:
        table = pd.DataFrame({"event": ["a", "b"], "truth": 1.0, "estimate": 1.0, "variance": 1.0})
        with pytest.raises(ValueError, match=r"level 0\.8"):
            ar.fit_area_factor(table, 0.8)

    def test_expected_area_is_the_mean_of_what_may_be(self) -> None:
        rng = np.random.default_rng(0)
        p = rng.random((30, 40)).astype(np.float32)
        mask = rng.random((30, 40)) < 0.5
        found = ar.expected_area(p, mask, 1e-4)
        drawn = [(rng.random(p.shape) < p)[mask].sum() * 1e-4 for _ in range(2000)]
        assert found.estimate == pytest.approx(np.mean(drawn), rel=2e-3)
        assert found.variance * 1e-4 == pytest.approx(np.var(drawn), rel=0.1)
