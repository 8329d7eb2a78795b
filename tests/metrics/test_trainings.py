"""Each training by itself, mean and spread over seeds, and paired changes between arms."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from documents import misfits
from fake_predictions import (
    evaluate_predictions,
    groups_of,
    half_right,
    predictions_of,
    two_groups,
)
from scipy.stats import ttest_rel

from debias.errors import EvaluationError
from debias.metrics import Rules, outcomes_of_trainings, paired_change, report_on, summarise
from debias.metrics.documents import SummaryChange
from debias.metrics.trainings import change_sentence
from debias.statistics.intervals import clopper_pearson


def row_of(summary, group, metric="accuracy"):
    (row,) = (
        row for row in summary["by_group"] if (row["group"], row["metric"]) == (group, metric)
    )
    return row


def without_positives(seeds, arm="uniform"):
    """Trainings of which group b holds no positive."""
    y_true, tones = [0, 1] * 40 + [0] * 40, ["a"] * 80 + ["b"] * 40
    predictions = [predictions_of(y_true, [0, 1] * 60, arm=arm, seed=k) for k in range(seeds)]
    return [evaluate_predictions(p, groups_of(p.sample_ids, tone=tones)) for p in predictions]


def test_means_and_spreads_by_hand():
    # Dark .8 .6 .7, light .6 .9 .8: the worst group of a seed is not always the same one.
    reports = [two_groups(40, 30, seed=0), two_groups(30, 45, seed=1), two_groups(35, 40, seed=2)]
    found = summarise(reports)
    assert found["seeds"] == [0, 1, 2]
    assert found["accuracy"]["overall"] == pytest.approx((0.7 + 0.75 + 0.75) / 3)
    assert found["accuracy"]["worst_group"] == pytest.approx((0.6 + 0.6 + 0.7) / 3)
    assert found["accuracy"]["gap"] == pytest.approx((0.2 + 0.3 + 0.1) / 3)
    assert found["sd"]["accuracy"]["gap"] == pytest.approx(0.1)
    assert found["extremes"] == {"worst_group": "tone:dark", "best_group": "tone:light"}
    dark = row_of(found, "tone:dark")
    assert (dark["value"], dark["sd"]) == (pytest.approx(0.7), pytest.approx(0.1))


def test_seeds_add_no_images_to_the_interval():
    def dark(*correct):
        made = [half_right(k, 40, seed=seed) for seed, k in enumerate(correct)]
        outcomes = outcomes_of_trainings([one for one, _ in made], made[0][1], ("0", "1"))
        (row, *_) = report_on(outcomes, Rules()).by_group.to_dict("records")
        return row

    low, high = clopper_pearson(np.array([35]), np.array([50]))
    assert (dark(*[35] * 9)["low"], dark(*[35] * 9)["high"]) == (low[0], high[0])
    equal = summarise([two_groups(35, 40, seed=seed) for seed in range(9)])
    assert row_of(equal, "tone:dark")["sd"] == 0.0
    between = dark(35, 36)
    assert between["numerator"] == 35.5
    assert low[0] < between["low"] < clopper_pearson(np.array([36]), np.array([50]))[0][0]


def test_one_seed_has_no_spread_and_its_own_values():
    report = two_groups(40, 30)
    found, alone = summarise([report]), report.to_dict()
    assert {value for value in found["sd"]["accuracy"].values()} == {None}
    assert found["sd"]["disparities_by_attribute"]["tone"]["accuracy_gap"] is None
    assert {row["sd"] for row in found["by_group"]} == {None}
    for key in set(alone) - {"seed"}:
        assert found[key] == alone[key]
    assert [row["value"] for row in found["by_group"]] == report.by_group["value"].tolist()


def test_the_spread_has_the_layout_of_the_mean():
    found = summarise([two_groups(40, 30, seed=seed) for seed in range(2)])

    def shape(tree):
        return {
            key: shape(value) if isinstance(value, dict) else None for key, value in tree.items()
        }

    outside = {"seeds", "n", "level", "sd", "extremes", "reasons", "by_group"}
    mean = {key: value for key, value in found.items() if key not in outside}
    assert shape(found["sd"]) == shape(mean)


def test_what_is_undefined_stays_undefined_and_json_has_no_nan():
    found = summarise(without_positives(3))
    assert found["disparities"]["equalized_odds_difference"] is None
    assert found["sd"]["disparities"]["equalized_odds_difference"] is None
    row = row_of(found, "tone:b", "true_positive_rate")
    assert (row["value"], row["sd"]) == (None,) * 2
    assert "equalized_odds_difference" in found["reasons"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_no_attributes_can_be_summarised():
    predictions = [predictions_of([0, 1] * 40, [0, 1] * 40, seed=seed) for seed in (0, 1)]
    reports = [evaluate_predictions(p, groups_of(p.sample_ids)) for p in predictions]
    found = summarise(reports)
    assert found["accuracy"]["overall"] == 1.0
    assert found["by_group"] == []


def test_the_order_of_reports_changes_nothing():
    reports = [two_groups(40 - seed, 30 + seed, seed=seed) for seed in range(4)]
    assert summarise(reports) == summarise(reports[::-1])


def test_refuses_trainings_that_do_not_belong_together():
    def together(*trainings):
        predictions, groups = zip(*trainings, strict=True)
        outcomes_of_trainings(predictions, groups[0], ("0", "1"))

    with pytest.raises(EvaluationError, match="no training"):
        summarise([])
    with pytest.raises(EvaluationError, match="each seed may occur once"):
        summarise([two_groups(40, 30)] * 2)
    with pytest.raises(EvaluationError, match="each seed may occur once"):
        together(half_right(40, 30), half_right(30, 30))
    with pytest.raises(EvaluationError, match="latent on test, uniform on test"):
        together(half_right(40, 30), half_right(40, 30, arm="latent", seed=1))
    with pytest.raises(EvaluationError, match="uniform on test, uniform on validation"):
        together(half_right(40, 30), half_right(40, 30, seed=1, split="validation"))
    with pytest.raises(EvaluationError, match="predicted different images"):
        together(half_right(40, 30), half_right(40, 30, n=52, seed=1))


report_of = cache(two_groups)  # reports are frozen
DARK_BEFORE, DARK_AFTER = [30, 31, 29, 33, 30], [39, 38, 40, 39, 41]


def arms(before=DARK_BEFORE, after=DARK_AFTER, **options):
    """Two arms that differ in the dark group; the light one has 45 of 50 right throughout."""
    return (
        [report_of(k, 45, arm="uniform", seed=i, **options) for i, k in enumerate(before)],
        [report_of(k, 45, arm="latent", seed=i, **options) for i, k in enumerate(after)],
    )


def test_agrees_with_a_paired_t_test():
    change = paired_change(*arms(), "accuracy_gap")
    before, after = 0.9 - np.array(DARK_BEFORE) / 50, 0.9 - np.array(DARK_AFTER) / 50
    expected = ttest_rel(after, before).confidence_interval(0.95)
    assert (change["low"], change["high"]) == pytest.approx(
        (expected.low, expected.high), abs=1e-12
    )
    assert change["mean"] == pytest.approx((after - before).mean())
    assert change["sd"] == pytest.approx((after - before).std(ddof=1))
    assert change["differences"] == pytest.approx(after - before)
    assert (change["n_seeds"], change["seeds"]) == (5, [0, 1, 2, 3, 4])
    assert (change["reading"], change["reason"]) == ("difference_found", "")


@pytest.mark.parametrize(
    ("quantity", "sign"), [("accuracy", 1), ("worst_group_accuracy", 1), ("accuracy_gap", -1)]
)
def test_every_quantity_moves_the_right_way(quantity, sign):
    change = paired_change(*arms(), quantity)
    assert np.sign(change["mean"]) == sign
    assert change["mean"] == pytest.approx(change["arm_mean"] - change["baseline_mean"])
    reverse = paired_change(*arms()[::-1], quantity)
    assert (reverse["baseline"], reverse["arm"]) == ("latent", "uniform")
    assert (reverse["mean"], reverse["low"]) == (-change["mean"], -change["high"])


def test_equalized_odds_can_be_compared():
    baseline, arm = arms(before=[60, 62, 58, 66, 60], after=[80, 76, 78, 80, 84], n=100)
    change = paired_change(baseline, arm, "equalized_odds_difference")
    seeds = zip(baseline, arm, strict=True)
    name = "equalized_odds_difference"
    assert change["differences"] == [
        a.figures["disparities"][name] - b.figures["disparities"][name] for b, a in seeds
    ]


def test_pairs_by_seed_whatever_the_order():
    baseline, arm = arms()
    assert paired_change(baseline[::-1], arm, "accuracy") == paired_change(
        baseline, arm, "accuracy"
    )


@pytest.mark.parametrize(
    ("seeds", "reason"), [(1, "single_run"), (2, "too_few_seeds"), (4, "too_few_seeds")]
)
def test_fewer_than_five_seeds_never_give_a_verdict(seeds, reason):
    change = paired_change(*arms(DARK_BEFORE[:seeds], DARK_AFTER[:seeds]), "accuracy_gap")
    assert (change["reading"], change["reason"]) == ("cannot_tell", reason)
    assert (change["low"] is None) == (seeds == 1)


def test_an_interval_with_zero_gives_no_verdict():
    change = paired_change(*arms(after=[31, 29, 31, 30, 33]), "accuracy_gap")
    assert change["low"] < 0 < change["high"]
    assert (change["reading"], change["reason"]) == ("cannot_tell", "insufficient_evidence")
    assert "insufficient evidence" in change["sentence"]


def test_equal_differences_have_no_interval_and_no_verdict():
    change = paired_change(*arms(after=[k + 5 for k in DARK_BEFORE]), "worst_group_accuracy")
    assert change["mean"] == pytest.approx(0.1)
    assert (change["low"], change["high"]) == (None, None)
    assert (change["reading"], change["reason"]) == ("cannot_tell", "insufficient_evidence")


def test_an_undefined_quantity_gives_no_number():
    arms = without_positives(5), without_positives(5, "latent")
    change = paired_change(*arms, "equalized_odds_difference")
    assert change["mean"] is None
    assert (change["reading"], change["reason"]) == ("cannot_tell", "not_estimable")
    assert change["sentence"] == (
        "equalized odds difference: undefined, over 5 seeds: "
        "cannot tell (not estimable in every seed)"
    )
    assert misfits(json.loads(json.dumps(change, allow_nan=False)), SummaryChange) == []


def test_sentences():
    found = paired_change(*arms(), "accuracy_gap")["sentence"]
    assert found == (
        "accuracy gap: 0.288 -> 0.112, change -0.176 [-0.233, -0.119] over 5 seeds: "
        "difference found"
    )
    few = paired_change(*arms(DARK_BEFORE[:3], DARK_AFTER[:3]), "worst_group_accuracy")["sentence"]
    assert few.startswith("worst group accuracy: 0.600 -> 0.780, change +0.180 [")
    assert few.endswith("over 3 seeds: cannot tell (3 seeds; at least 5 are needed)")
    one = paired_change(*arms(DARK_BEFORE[:1], DARK_AFTER[:1]), "accuracy")["sentence"]
    assert one == (
        "accuracy: 0.750 -> 0.840, change +0.090 over 1 seed: "
        "cannot tell (single run; at least 5 seeds are needed)"
    )


def test_no_number_of_a_sentence_is_rounded_to_zero():
    change = paired_change(*arms(), "accuracy_gap")
    close = {"mean": -0.02, "low": -0.0399, "high": -0.00004, "arm_mean": 0.268}
    assert change_sentence({**change, **close}) == (
        "accuracy gap: 0.28800 -> 0.26800, change -0.02000 [-0.03990, -0.00004] over 5 seeds: "
        "difference found"
    )


def test_identical_arms_are_rarely_told_apart():
    generator = np.random.default_rng(0)
    baseline, arm = arms()

    def noisy(report):
        accuracy = {**report.figures["accuracy"], "overall": 0.9 + generator.normal() / 100}
        return replace(report, figures={**report.figures, "accuracy": accuracy})

    readings = [
        paired_change([noisy(r) for r in baseline], [noisy(r) for r in arm], "accuracy")["reading"]
        for _ in range(500)
    ]
    assert readings.count("difference_found") <= 37  # the 99% point of a binomial at 5 %


def test_refuses_what_cannot_be_paired():
    baseline, arm = arms()
    with pytest.raises(EvaluationError, match=r"same seeds .*, got \[0, 1, 2, 3, 4\] and"):
        paired_change(baseline, arm[:4], "accuracy")
