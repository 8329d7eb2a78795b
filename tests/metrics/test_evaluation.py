import json
from itertools import product

import fairlearn.metrics
import numpy as np
import pandas as pd
import pytest
from fake_predictions import (
    cell,
    evaluate_predictions,
    groups_of,
    predictions_of,
    random_case,
    two_groups,
)
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, precision_score, recall_score, roc_auc_score

from debias.errors import EvaluationError
from debias.metrics import DISPARITIES, RATES, Rules
from debias.metrics.scores import calibration_error


def expected_calibration_error(y_true, y_pred, score, **bins):
    return calibration_error(y_true == y_pred, np.where(y_pred == 1, score, 1 - score), **bins)


def by_hand():
    """Group a: TP 12, FN 8, FP 4, TN 16 of 40. Group b: TP 30, FN 0, FP 5, TN 15 of 50."""
    y_true = [1] * 20 + [0] * 20 + [1] * 30 + [0] * 20
    y_pred = [1] * 12 + [0] * 8 + [1] * 4 + [0] * 16 + [1] * 30 + [1] * 5 + [0] * 15
    predictions = predictions_of(y_true, y_pred)
    return evaluate_predictions(
        predictions, groups_of(predictions.sample_ids, tone=["a"] * 40 + ["b"] * 50)
    )


HAND_COMPUTED = [
    ("tone:a", "accuracy", 28, 40, "estimated"),
    ("tone:a", "true_positive_rate", 12, 20, "too_small"),
    ("tone:a", "false_positive_rate", 4, 20, "too_small"),
    ("tone:a", "selection_rate", 16, 40, "estimated"),
    ("tone:b", "accuracy", 45, 50, "estimated"),
    ("tone:b", "true_positive_rate", 30, 30, "estimated"),
    ("tone:b", "false_positive_rate", 5, 20, "too_small"),
    ("tone:b", "selection_rate", 35, 50, "estimated"),
]


@pytest.mark.parametrize(("group", "metric", "numerator", "denominator", "state"), HAND_COMPUTED)
def test_hand_computed_cells(group, metric, numerator, denominator, state):
    row = cell(by_hand(), group, metric)
    assert (row["numerator"], row["denominator"]) == (numerator, denominator)
    assert (row["attribute"], row["state"]) == ("tone", state)
    assert row["value"] == numerator / denominator
    exact = binomtest(numerator, denominator).proportion_ci(method="exact")
    np.testing.assert_allclose([row["low"], row["high"]], [exact.low, exact.high], atol=1e-12)


def test_hand_computed_summaries():
    report = by_hand()
    expected = {
        "worst_group_accuracy": 0.7, "accuracy_gap": 0.2, "accuracy_variance": 0.02,
        "demographic_parity_difference": 0.3,
    }  # fmt: skip
    assert {name: report.figures["disparities"][name] for name in expected} == pytest.approx(
        expected, abs=1e-12
    )
    assert report.figures["extremes"] == {"worst_group": "tone:a", "best_group": "tone:b"}
    assert report.figures["disparities_by_attribute"] == {
        "tone": pytest.approx(report.figures["disparities"], nan_ok=True)
    }


def test_a_small_denominator_stays_visible_but_outside_of_the_summaries():
    report = by_hand()
    assert np.isnan(report.figures["disparities"]["equal_opportunity_difference"])
    assert report.figures["reasons"]["equal_opportunity_difference"] == (
        "true_positive_rate is estimated in 1 of 2 groups; two are needed"
    )


def test_a_small_cell_is_never_the_worst_group():
    predictions = predictions_of([0, 1] * 80, [0, 1] * 65 + [1, 0] * 15)
    tones = ["a"] * 70 + ["b"] * 61 + ["c"] * 29
    report = evaluate_predictions(predictions, groups_of(predictions.sample_ids, tone=tones))
    assert cell(report, "tone:c")["value"] == 0.0
    assert cell(report, "tone:c")["state"] == "too_small"
    assert report.figures["extremes"]["worst_group"] == "tone:b"
    assert report.figures["disparities"]["worst_group_accuracy"] == 60 / 61
    wider = evaluate_predictions(
        predictions, groups_of(predictions.sample_ids, tone=tones), rules=Rules(minimum=29)
    )
    assert wider.figures["extremes"]["worst_group"] == "tone:c"


def by_scikit_learn(y_true, y_pred):
    return {
        "accuracy": accuracy_score(y_true, y_pred),
        "true_positive_rate": recall_score(y_true, y_pred),
        "false_positive_rate": 1 - recall_score(y_true, y_pred, pos_label=0),
        "selection_rate": y_pred.mean(),
        "precision": precision_score(y_true, y_pred),
    }


def test_every_cell_agrees_with_masking():
    predictions, groups = random_case()
    report = evaluate_predictions(predictions, groups)
    race, gender = groups["race"].to_numpy(), groups["gender"].to_numpy()
    masks = {f"race:{value}": race == value for value in set(race)}
    masks |= {f"gender:{value}": gender == value for value in set(gender)}
    masks |= {
        f"race:{r} x gender:{g}": (race == r) & (gender == g)
        for r, g in product(set(race), set(gender))
    }
    assert set(report.by_group["group"]) == set(masks)
    assert len(report.by_group) == len(masks) * len(RATES)
    for group, mask in masks.items():
        expected = by_scikit_learn(predictions.y_true[mask], predictions.y_pred[mask])
        found = {metric: cell(report, group, metric)["value"] for metric in expected}
        assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "name",
    ["demographic_parity_difference", "equal_opportunity_difference", "equalized_odds_difference"],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_differences_agree_with_fairlearn_where_every_group_is_defined(name, seed):
    predictions, groups = random_case(seed=seed)
    report = evaluate_predictions(predictions, groups)
    theirs = getattr(fairlearn.metrics, name)
    arguments = predictions.y_true, predictions.y_pred
    crossed = theirs(*arguments, sensitive_features=groups)
    assert report.figures["disparities"][name] == pytest.approx(crossed, abs=1e-12)
    for attribute in groups:
        single = theirs(*arguments, sensitive_features=groups[attribute])
        assert report.figures["disparities_by_attribute"][attribute][name] == pytest.approx(
            single, abs=1e-12
        )


def test_overall_numbers_agree_with_scikit_learn():
    predictions, groups = random_case()
    found = evaluate_predictions(predictions, groups).figures
    y_true, y_pred = predictions.y_true, predictions.y_pred
    expected = by_scikit_learn(y_true, y_pred) | {
        "auroc": roc_auc_score(y_true, predictions.score),
        "expected_calibration_error": expected_calibration_error(y_true, y_pred, predictions.score),
        "n": 1200,
    }
    found = {**found, "accuracy": found["accuracy"]["overall"]}
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def test_a_group_without_positives_is_undefined_and_makes_no_number():
    y_true = [0, 1] * 40 + [0] * 40
    predictions = predictions_of(y_true, [0, 1] * 40 + [0, 1] * 20)
    tones = ["a"] * 80 + ["b"] * 40
    report = evaluate_predictions(predictions, groups_of(predictions.sample_ids, tone=tones))
    row = cell(report, "tone:b", "true_positive_rate")
    assert row["state"] == "not_estimable"
    assert (row["numerator"], row["denominator"]) == (0, 0)
    assert np.isnan([row["value"], row["low"], row["high"]]).all()
    undefined = {name for name, value in report.figures["disparities"].items() if np.isnan(value)}
    assert undefined == {
        "equal_opportunity_difference", "equalized_odds_difference", "true_positive_rate_variance",
    }  # fmt: skip
    assert undefined == {name for name in report.figures["reasons"] if "/" not in name}
    assert (
        report.figures["reasons"]["equalized_odds_difference"]
        == "no positives in 1 of 2 groups, first tone:b"
    )
    assert "tone/equalized_odds_difference" in report.figures["reasons"]
    # The library invents a rate of 0 for the group, and with it a difference of 1.
    theirs = fairlearn.metrics.equalized_odds_difference(
        predictions.y_true, predictions.y_pred, sensitive_features=tones
    )
    assert theirs == 1.0


def test_what_has_one_group_none_or_one_class_has_no_disparity():
    predictions = predictions_of([0, 1] * 40, [0, 1] * 40)
    one = evaluate_predictions(predictions, groups_of(predictions.sample_ids, tone=["a"] * 80))
    none = evaluate_predictions(predictions, groups_of(predictions.sample_ids))
    for report in (one, none):
        assert np.isnan(list(report.figures["disparities"].values())).all()
        assert set(DISPARITIES) <= set(report.figures["reasons"])
        assert report.figures["extremes"] == {}
    assert (none.figures["accuracy"]["overall"], len(none.by_group)) == (1.0, 0)
    predictions = predictions_of([1] * 40, [0, 1] * 20)
    report = evaluate_predictions(predictions, groups_of(predictions.sample_ids, tone=["a"] * 40))
    assert np.isnan([report.figures["auroc"], report.figures["false_positive_rate"]]).all()
    assert report.figures["true_positive_rate"] == 0.5


def test_the_crossing_names_its_cells_in_the_order_it_counts_them():
    # Both attributes use the same values, and no two cells have the same size or accuracy, so
    # that decoding in any other order than encoding gives other numbers under some name.
    sizes = {("F", "T"): (31, 1), ("T", "F"): (42, 5), ("T", "T"): (53, 11), ("F", "mid"): (64, 20)}
    young = [a for (a, _), (n, _) in sizes.items() for _ in range(n)]
    blond = [b for (_, b), (n, _) in sizes.items() for _ in range(n)]
    y_pred = [int(i >= wrong) for n, wrong in sizes.values() for i in range(n)]
    predictions = predictions_of([1] * len(y_pred), y_pred)
    report = evaluate_predictions(
        predictions, groups_of(predictions.sample_ids, young=young, blond=blond)
    )
    crossing = report.by_group.query("attribute == 'young x blond' and metric == 'accuracy'")
    counted = {
        row["group"]: (row["denominator"], row["denominator"] - row["numerator"])
        for _, row in crossing.iterrows()
    }
    named = {f"young:{a} x blond:{b}": size for (a, b), size in sizes.items()}
    empty = {"young:F x blond:F": (0, 0), "young:T x blond:mid": (0, 0)}
    assert counted == named | empty
    assert list(crossing["group"]) == sorted(counted)


def test_an_empty_cell_of_the_crossing_is_listed_and_left_out():
    predictions, groups = random_case()
    kept = ~((groups["race"] == "Black") & (groups["gender"] == "Male")).to_numpy()
    y_true, score = predictions.y_true[kept], predictions.score[kept]
    ids = predictions.sample_ids[kept]
    report = evaluate_predictions(predictions_of(y_true, 0, score=score, ids=ids), groups)
    for metric in RATES:
        row = cell(report, "race:Black x gender:Male", metric)
        assert row["state"] == "not_estimable"
        assert np.isnan(row["value"])
    assert np.isfinite(list(report.figures["disparities"].values())).all()


@pytest.mark.parametrize("hole", [None, float("nan"), pd.NA, "", "  "])
def test_missing_groups_are_counted_as_unknown(hole):
    predictions, groups = random_case(n=300)
    race = groups["race"].astype(object)
    race.iloc[::3] = hole
    report = evaluate_predictions(predictions, groups.assign(race=race))
    assert cell(report, "race:unknown")["denominator"] == 100
    accuracy = report.by_group[report.by_group["metric"] == "accuracy"]
    assert (accuracy.groupby("attribute")["denominator"].sum() == 300).all()
    assert set(accuracy["attribute"]) == {"race", "gender", "race x gender"}


def shuffled(predictions, groups):
    order = np.random.default_rng(0).permutation(1200)
    y_true, score, ids = (
        part[order] for part in (predictions.y_true, predictions.score, predictions.sample_ids)
    )
    return predictions_of(y_true, 0, score=score, ids=ids), groups.iloc[order[::-1]]


def with_groups_of_others(predictions, groups):
    other = groups_of(["other"], race=["Other"], gender=["Female"])
    return predictions, pd.concat([groups, other])


def with_categorical_columns(predictions, groups):
    return predictions, groups.astype("category")


@pytest.mark.parametrize("change", [shuffled, with_groups_of_others, with_categorical_columns])
def test_what_must_not_matter_changes_nothing(change):
    case = random_case()
    one, two = evaluate_predictions(*case), evaluate_predictions(*change(*case))
    assert one.to_dict() == two.to_dict()
    pd.testing.assert_frame_equal(one.by_group, two.by_group)


def test_the_input_is_left_as_it_was():
    predictions, groups = random_case(n=100)
    before = groups.copy(deep=True), predictions.score.copy(), predictions.sample_ids.copy()
    evaluate_predictions(predictions, groups)
    pd.testing.assert_frame_equal(groups, before[0])
    np.testing.assert_array_equal(predictions.score, before[1])
    np.testing.assert_array_equal(predictions.sample_ids, before[2])


def test_the_plain_form_is_json_without_nan():
    predictions = predictions_of([0, 1] * 40 + [0] * 40, [0, 1] * 60)
    groups = groups_of(predictions.sample_ids, tone=["a"] * 80 + ["b"] * 40, sex=["f", "m"] * 60)
    plain = evaluate_predictions(predictions, groups).to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["disparities"]["equalized_odds_difference"] is None
    assert set(plain) == {
        "seed", "n", "level", "auroc", "expected_calibration_error", "disparities",
        "disparities_by_attribute", "extremes", "reasons", *RATES,
    }  # fmt: skip
    assert two_groups(40, 30).to_dict()["accuracy"] == pytest.approx(
        {"overall": 0.7, "worst_group": 0.6, "gap": 0.2, "variance": 0.02}
    )


def test_calibration_error_by_hand():
    # Confidences .9 .9 .6 .6 (predicted 1, 1, 0, 1), of which correct: yes, no, yes, yes.
    score = np.array([0.9, 0.9, 0.4, 0.6])
    y_true, y_pred = np.array([1, 0, 0, 1]), np.array([1, 1, 0, 1])
    expected = (abs(1 - 1.8) + abs(2 - 1.2)) / 4
    assert expected_calibration_error(y_true, y_pred, score) == pytest.approx(expected, abs=1e-12)
    # In one bin the two faults cancel: summed confidence 3.0, correct 3.
    found = expected_calibration_error(y_true, y_pred, score, bins=1)
    assert found == pytest.approx(0.0, abs=1e-12)


def test_calibration_error_vanishes_for_true_probabilities_and_not_for_bold_ones():
    generator = np.random.default_rng(1)
    probability = generator.uniform(size=200_000)
    y_true = (generator.uniform(size=200_000) < probability).astype(np.int64)
    y_pred = (probability >= 0.5).astype(np.int64)
    assert expected_calibration_error(y_true, y_pred, probability) < 0.01
    assert expected_calibration_error(y_true, y_pred, y_pred.astype(float)) == pytest.approx(
        0.25, abs=0.01
    )


def spoilt(**fields):
    """Predictions with a field replaced after they were built."""
    predictions = predictions_of([0, 1] * 20, [0, 1] * 20)
    for name, value in fields.items():
        object.__setattr__(predictions, name, value)
    return predictions


REFUSED = [
    (
        {"y_true": np.array([0, 2] * 20)},
        r"20 of 40 values of y_true lie outside the classes 0, 1: 2",
    ),
    ({"y_true": np.array([0, 1] * 10)}, "for 20 predictions"),
    ({"score": np.full(40, 1.5)}, r"40 of 40 scores are not probabilities"),
    ({"score": np.array([0.5] * 39 + [np.nan])}, r"1 of 40 scores .* first nan in row 39"),
    ({"score": np.full(40, -0.1)}, "not probabilities"),
    ({"sample_ids": np.array(["same"] * 40)}, "39 predictions repeat a sample id"),
    ({"threshold": float("nan")}, "threshold must be finite"),
    (
        {"sample_ids": np.array([], str), "y_true": np.array([], int), "score": np.array([])},
        "no prediction to evaluate",
    ),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED)
def test_refuses_wrong_predictions(fields, message):
    groups = groups_of([f"id{i:05d}" for i in range(40)], tone=["a", "b"] * 20)
    with pytest.raises(EvaluationError, match=message):
        evaluate_predictions(spoilt(**fields), groups)


def wide(groups):
    return groups_of(
        groups.index, **{f"a{i}": [f"v{j % 20}" for j in range(100)] for i in range(4)}
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda groups: groups.iloc[7:], "7 of 100 predicted sample ids are missing"),
        (lambda groups: groups.reset_index(drop=True), "100 of 100 predicted sample ids are miss"),
        (lambda groups: pd.concat([groups, groups.iloc[:3]]), "3 sample ids occur more than once"),
        (lambda groups: groups.assign(race=[0, 1] * 50), "groups must be text"),
        (lambda groups: groups.assign(race=[True, False] * 50), "groups must be text"),
        (lambda groups: groups.assign(race=["1", 1] * 50), "groups must be text"),
        (wide, "4 attributes cross to 160,000 groups"),
        (lambda groups: groups_of(groups.index, a=["1", "1 x b:2"] * 50, b=["2", "3"] * 50),
         "two groups are both called 'a:1 x b:2'"),
        (lambda groups: pd.concat([groups, groups], axis=1), "an attribute is listed twice"),
    ],
)  # fmt: skip
def test_refuses_wrong_groups(change, message):
    predictions, groups = random_case(n=100)
    with pytest.raises(EvaluationError, match=message):
        evaluate_predictions(predictions, change(groups))
