"""Each training by itself, mean and spread over seeds."""

import json

import numpy as np
import pytest
from fake_predictions import (
    evaluate_predictions,
    groups_of,
    half_right,
    predictions_of,
    two_groups,
)

from debias.errors import EvaluationError
from debias.metrics import Rules, outcomes_of_trainings, report_on, summarise
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
