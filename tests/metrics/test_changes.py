import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from fake_predictions import evaluate_predictions, groups_of, predictions_of, two_groups
from scipy.stats import ttest_rel

from debias.errors import EvaluationError
from debias.metrics import paired_change

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
    assert (change.low, change.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert change.mean == pytest.approx((after - before).mean())
    assert change.sd == pytest.approx((after - before).std(ddof=1))
    assert change.differences == pytest.approx(after - before)
    assert (change.n_seeds, change.seeds) == (5, (0, 1, 2, 3, 4))
    assert (change.reading, change.reason) == ("difference_found", "")


@pytest.mark.parametrize(
    ("quantity", "sign"),
    [
        ("accuracy", 1),
        ("worst_group_accuracy", 1),
        ("accuracy_gap", -1),
    ],
)
def test_every_quantity_moves_the_right_way(quantity, sign):
    change = paired_change(*arms(), quantity)
    assert np.sign(change.mean) == sign
    assert change.mean == pytest.approx(change.arm_mean - change.baseline_mean)
    reverse = paired_change(*arms()[::-1], quantity)
    assert (reverse.baseline, reverse.arm) == ("latent", "uniform")
    assert (reverse.mean, reverse.low) == (-change.mean, -change.high)


def test_equalized_odds_can_be_compared():
    baseline, arm = arms(before=[60, 62, 58, 66, 60], after=[80, 76, 78, 80, 84], n=100)
    change = paired_change(baseline, arm, "equalized_odds_difference")
    seeds = zip(baseline, arm, strict=True)
    name = "equalized_odds_difference"
    assert change.differences == tuple(a.disparities[name] - b.disparities[name] for b, a in seeds)


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
    assert (change.reading, change.reason) == ("cannot_tell", reason)
    assert np.isnan(change.low) == (seeds == 1)


def test_an_interval_with_zero_gives_no_verdict():
    change = paired_change(*arms(after=[31, 29, 31, 30, 33]), "accuracy_gap")
    assert change.low < 0 < change.high
    assert (change.reading, change.reason) == ("cannot_tell", "insufficient_evidence")
    assert "insufficient evidence" in change.sentence()


def test_equal_differences_have_no_interval_and_no_verdict():
    change = paired_change(*arms(after=[k + 5 for k in DARK_BEFORE]), "worst_group_accuracy")
    assert change.mean == pytest.approx(0.1)
    assert np.isnan([change.low, change.high]).all()
    assert (change.reading, change.reason) == ("cannot_tell", "insufficient_evidence")


def test_an_undefined_quantity_gives_no_number():
    def reports(arm):
        predictions = [
            predictions_of([0, 1] * 40 + [0] * 40, [0, 1] * 60, arm=arm, seed=seed)
            for seed in range(5)
        ]
        tones = ["a"] * 80 + ["b"] * 40
        return [evaluate_predictions(p, groups_of(p.sample_ids, tone=tones)) for p in predictions]

    change = paired_change(reports("uniform"), reports("latent"), "equalized_odds_difference")
    assert np.isnan(change.mean)
    assert (change.reading, change.reason) == ("cannot_tell", "not_estimable")
    assert change.sentence() == (
        "equalized odds difference: undefined, over 5 seeds: "
        "cannot tell (not estimable in every seed)"
    )
    assert json.loads(json.dumps(change.to_dict(), allow_nan=False))["mean"] is None


def test_sentences():
    found = paired_change(*arms(), "accuracy_gap").sentence()
    assert found == (
        "accuracy gap: 0.288 -> 0.112, change -0.176 [-0.233, -0.119] over 5 seeds: "
        "difference found"
    )
    few = paired_change(*arms(DARK_BEFORE[:3], DARK_AFTER[:3]), "worst_group_accuracy").sentence()
    assert few.startswith("worst group accuracy: 0.600 -> 0.780, change +0.180 [")
    assert few.endswith("over 3 seeds: cannot tell (3 seeds; at least 5 are needed)")
    one = paired_change(*arms(DARK_BEFORE[:1], DARK_AFTER[:1]), "accuracy").sentence()
    assert one == (
        "accuracy: 0.750 -> 0.840, change +0.090 over 1 seed: "
        "cannot tell (single run; at least 5 seeds are needed)"
    )


def test_no_number_of_a_sentence_is_rounded_to_zero():
    change = paired_change(*arms(), "accuracy_gap")
    close = replace(change, mean=-0.02, low=-0.0399, high=-0.00004, arm_mean=0.268)
    assert close.sentence() == (
        "accuracy gap: 0.28800 -> 0.26800, change -0.02000 [-0.03990, -0.00004] over 5 seeds: "
        "difference found"
    )


def test_identical_arms_are_rarely_told_apart():
    generator = np.random.default_rng(0)
    baseline, arm = arms()

    def noisy(report):
        return replace(
            report, overall={**report.overall, "accuracy": 0.9 + generator.normal() / 100}
        )

    readings = [
        paired_change([noisy(r) for r in baseline], [noisy(r) for r in arm], "accuracy").reading
        for _ in range(500)
    ]
    assert readings.count("difference_found") <= 37  # the 99 % point of a binomial at 5 %


def test_refuses_what_cannot_be_paired():
    baseline, arm = arms()
    with pytest.raises(
        EvaluationError, match=r"same seeds to be paired, got \[0, 1, 2, 3, 4\] and"
    ):
        paired_change(baseline, arm[:4], "accuracy")
    with pytest.raises(EvaluationError, match="evaluated on other images"):
        paired_change(baseline, arms(n=52)[1], "accuracy")
    with pytest.raises(EvaluationError, match="unknown quantity 'acuracy'; known: accuracy, worst"):
        paired_change(baseline, arm, "acuracy")
    with pytest.raises(ValueError, match="level must lie in"):
        paired_change(baseline, arm, "accuracy", level=95.0)
