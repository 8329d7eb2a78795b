"""Agreement with fairlearn and scikit-learn where every group is defined, and where it must end.

fairlearn returns 0 where nothing was measured, and accepts input that leads to plausible numbers.
Each such case is a row of its own here.
"""

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import (
    MetricFrame,
    count,
    demographic_parity_difference,
    equalized_odds_difference,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    precision_score,
    recall_score,
    roc_auc_score,
)

from debias.errors import EvaluationError
from debias.metrics import RATES, evaluate

CLOSE = {"rtol": 0, "atol": 1e-12}
ORACLES = {
    "accuracy": accuracy_score,
    "true_positive_rate": true_positive_rate,
    "false_positive_rate": false_positive_rate,
    "selection_rate": selection_rate,
    "precision": precision_score,
}


def _case(seed, n=3000, classes=2):
    """Labels, predictions and two attributes, every rate defined in every group."""
    generator = np.random.default_rng(seed)
    groups = pd.DataFrame(
        {
            "tone": generator.choice(["dark", "light", "medium"], n, p=[0.2, 0.5, 0.3]),
            "age": generator.choice(["old", "young"], n),
        }
    )
    y_true = generator.integers(0, classes, n)
    wrong = generator.random(n) < np.where(groups["tone"] == "dark", 0.3, 0.15)
    y_pred = np.where(wrong, generator.integers(0, classes, n), y_true)
    return y_true, y_pred, groups


def _value(report, metric, group):
    rows = report.by_group.set_index(["metric", "group"])
    return rows.loc[(metric, group), "value"]


def _frame(report, metric, groups):
    """Values of one metric in fairlearn's order of groups."""
    return np.array([_value(report, metric, group) for group in groups], dtype=np.float64)


def _names(index):
    if index.nlevels == 1:
        return [f"{index.name}:{value}" for value in index]
    return [
        " x ".join(f"{name}:{value}" for name, value in zip(index.names, row, strict=True))
        for row in index
    ]


# Agreement


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("columns", [["tone"], ["age"], ["tone", "age"]])
def test_every_rate_of_every_group_is_that_of_fairlearn(seed, columns):
    y_true, y_pred, groups = _case(seed)
    report = evaluate(y_true, y_pred, groups=groups)
    frame = MetricFrame(
        metrics=ORACLES, y_true=y_true, y_pred=y_pred, sensitive_features=groups[columns]
    )
    names = _names(frame.by_group.index)
    for metric in RATES:
        expected = frame.by_group[metric].to_numpy(dtype=float)
        np.testing.assert_allclose(_frame(report, metric, names), expected, **CLOSE)
        spread = report.spread.set_index(["metric", "attribute"])
        gap = spread.loc[(metric, " x ".join(columns)), "gap"]
        np.testing.assert_allclose(gap, frame.difference()[metric], **CLOSE)
    overall = report.overall.set_index("metric")["value"]
    np.testing.assert_allclose(overall[list(ORACLES)], frame.overall[list(ORACLES)], **CLOSE)


@pytest.mark.parametrize("seed", range(5))
def test_named_disparities_and_the_ratio_are_those_of_fairlearn(seed):
    y_true, y_pred, groups = _case(seed)
    report = evaluate(y_true, y_pred, groups=groups[["tone"]])
    gap = report.spread.set_index("metric")["gap"]
    of = {"sensitive_features": groups["tone"]}
    parity = demographic_parity_difference(y_true, y_pred, **of)
    odds = equalized_odds_difference(y_true, y_pred, **of)
    np.testing.assert_allclose(gap["selection_rate"], parity, **CLOSE)
    widest = max(gap["true_positive_rate"], gap["false_positive_rate"])
    np.testing.assert_allclose(widest, odds, **CLOSE)
    frame = MetricFrame(metrics=selection_rate, y_true=y_true, y_pred=y_pred, **of)
    np.testing.assert_allclose(report.ratios["ratio"], [frame.ratio()], **CLOSE)


@pytest.mark.parametrize("seed", range(3))
def test_several_classes_are_those_of_scikit_learn_one_against_the_rest(seed):
    y_true, y_pred, groups = _case(seed, classes=3)
    names = np.array(["cat", "dog", "owl"])
    report = evaluate(names[y_true], names[y_pred], groups=groups[["tone"]])
    for tone in ("dark", "light", "medium"):
        mine = (groups["tone"] == tone).to_numpy()
        true, guess = names[y_true[mine]], names[y_pred[mine]]
        group, matrix = f"tone:{tone}", confusion_matrix(true, guess, labels=names)
        accuracy = accuracy_score(true, guess)
        np.testing.assert_allclose(_value(report, "accuracy", group), accuracy, **CLOSE)
        recall = recall_score(true, guess, labels=names, average=None)
        precision = precision_score(true, guess, labels=names, average=None)
        for k, name in enumerate(names):
            others = np.arange(3) != k
            false_alarms = matrix[others, k].sum() / matrix[others].sum()
            expected = {
                "true_positive_rate": recall[k],
                "precision": precision[k],
                "false_positive_rate": false_alarms,
                "selection_rate": (guess == name).mean(),
            }
            for metric, value in expected.items():
                found = _value(report, f"{metric}[{name}]", group)
                np.testing.assert_allclose(found, value, **CLOSE)


def test_the_confusion_table_is_that_of_scikit_learn():
    y_true, y_pred, groups = _case(1)
    table = pd.DataFrame(evaluate(y_true, y_pred, groups=groups[["tone"]]).confusion)
    for tone, rows in table.groupby("group"):
        mine = (groups["tone"] == tone.removeprefix("tone:")).to_numpy()
        expected = confusion_matrix(y_true[mine], y_pred[mine])
        counts = rows.pivot_table(index="true", columns="predicted", values="count")
        np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize("positive", ["no", "yes"])
def test_the_area_under_the_curve_is_that_of_scikit_learn(positive):
    y_true, _, groups = _case(2)
    names = np.array(["no", "yes"])[y_true]
    generator = np.random.default_rng(4)
    score = np.clip((names == positive) * 0.3 + 0.7 * generator.random(len(names)), 0, 1)
    other = "no" if positive == "yes" else "yes"
    y_pred = np.where(score >= 0.5, positive, other)
    report = evaluate(names, y_pred, score=score, groups=groups, positive=positive)
    expected = roc_auc_score(names == positive, score)
    np.testing.assert_allclose(report.quality["auroc"], expected, **CLOSE)
    bias = (names == positive).mean() - score.mean()
    np.testing.assert_allclose(report.quality["calibration_bias"], bias, **CLOSE)


@pytest.mark.parametrize("seed", range(3))
def test_counts_add_up_whatever_the_groups(seed):
    """As many images as came in, missing annotations included."""
    y_true, y_pred, groups = _case(seed, n=2000)
    generator = np.random.default_rng(seed)
    groups = groups.mask(generator.random(groups.shape) < 0.2)
    report = evaluate(y_true, y_pred, groups=groups)
    rows = report.by_group[report.by_group["metric"] == "accuracy"]
    totals = rows.groupby("attribute")["denominator"].sum()
    assert totals.tolist() == [2000] * 3
    filled = groups["tone"].fillna("unknown")
    frame = MetricFrame(metrics=count, y_true=y_true, y_pred=y_pred, sensitive_features=filled)
    found = rows.set_index("group").loc[_names(frame.by_group.index), "denominator"]
    assert found.tolist() == frame.by_group.tolist()


# Where fairlearn returns a number and there is none


def _tones(**sizes):
    return np.repeat(list(sizes), list(sizes.values()))


@pytest.mark.parametrize("subject", [None, np.arange(200) // 2], ids=["images", "people"])
def test_a_group_without_positives_has_no_recall(subject):
    tone = _tones(dark=100, light=100)
    y_true = np.concatenate([np.zeros(100, dtype=int), np.tile([0, 1], 50)])
    y_pred = y_true.copy()
    frame = MetricFrame(
        metrics=true_positive_rate, y_true=y_true, y_pred=y_pred, sensitive_features=tone
    )
    assert frame.by_group["dark"] == 0  # the documented difference
    report = evaluate(y_true, y_pred, groups={"tone": tone}, subject_id=subject, margin=0.5)
    row = report.by_group.set_index(["metric", "group"]).loc[("true_positive_rate", "tone:dark")]
    assert row["state"] == "not_estimable"
    assert np.isnan(row["value"])
    gap = report.gaps.set_index("metric").loc["true_positive_rate"]
    assert np.isnan(gap["difference"])
    assert (gap["verdict"], gap["reason"]) == ("cannot_tell", "not_estimable")
    assert not (report.spread["metric"] == "true_positive_rate").any()
    assert report.verdict.reading != "difference_ruled_out"


def test_a_group_in_which_nothing_is_selected_has_no_precision():
    tone = _tones(dark=100, light=100)
    y_true = np.tile([0, 1], 100)
    y_pred = np.where(tone == "dark", 0, y_true)
    report = evaluate(y_true, y_pred, groups={"tone": tone})
    assert np.isnan(_value(report, "precision", "tone:dark"))
    assert _value(report, "selection_rate", "tone:dark") == 0
    low_high = report.by_group.set_index(["metric", "group"]).loc[("selection_rate", "tone:dark")]
    assert low_high["low"] == 0
    assert low_high["high"] > 0.03  # nothing among 100 is not certainly nothing among all


def test_three_images_none_selected_make_no_interval():
    tone = _tones(dark=3, light=300, medium=300)
    y_true = np.tile([0, 1], 303)[: len(tone)]
    y_pred = np.where(tone == "dark", 0, y_true)
    report = evaluate(y_true, y_pred, groups={"tone": tone}, margin=0.5)
    dark = report.by_group[report.by_group["group"] == "tone:dark"]
    assert set(dark["state"]) <= {"suppressed", "not_estimable"}
    assert dark[["value", "low", "high"]].isna().all(axis=None)
    assert report.verdict.reading != "difference_ruled_out"


@pytest.mark.parametrize("n", [1, 300])
def test_one_group_makes_no_difference(n):
    y_true, y_pred, _ = _case(0, n=max(n, 4))
    report = evaluate(
        y_true[:n], y_pred[:n], groups={"tone": ["dark"] * n}, margin=0.5, classes=[0, 1]
    )
    assert report.verdict.reading == "cannot_tell"
    assert not len(report.gaps)
    assert not len(report.spread)


def test_a_declared_category_without_images_stays_visible():
    y_true, y_pred, groups = _case(0)
    tone = pd.Categorical(groups["tone"], categories=["dark", "light", "medium", "olive"])
    report = evaluate(y_true, y_pred, groups=pd.DataFrame({"tone": tone}), margin=0.9)
    olive = report.by_group[report.by_group["group"] == "tone:olive"]
    assert olive["state"].tolist() == ["not_estimable"] * len(RATES)
    assert olive["value"].isna().all()
    assert report.verdict.reading != "difference_ruled_out"


def test_images_without_a_group_are_a_row_of_their_own_and_no_group():
    y_true, y_pred, groups = _case(0)
    tone = groups["tone"].where(np.arange(len(groups)) % 5 > 0)
    report = evaluate(y_true, y_pred, groups=pd.DataFrame({"tone": tone}))
    unknown = report.by_group[report.by_group["group"] == "tone:unknown"]
    assert set(unknown["state"]) == {"unknown"}
    assert "tone:unknown" not in set(report.gaps["group"]) | set(report.gaps["other"])


# Input that fairlearn turns into a plausible number


def test_probabilities_as_predictions_are_refused():
    y_true, _, groups = _case(0)
    probabilities = np.random.default_rng(0).random(len(y_true)) * 0.98 + 0.01
    parity = demographic_parity_difference(y_true, probabilities, sensitive_features=groups["tone"])
    assert parity == 0  # the trap
    with pytest.raises(EvaluationError, match="look like probabilities"):
        evaluate(y_true, probabilities, groups=groups)


@pytest.mark.parametrize("column", ["y_true", "y_pred"])
@pytest.mark.parametrize("missing", [np.nan, None])
def test_a_missing_label_is_refused(column, missing):
    y_true, y_pred, groups = _case(0)
    values = {"y_true": y_true.astype(object), "y_pred": y_pred.astype(object)}
    values[column][7] = missing
    with pytest.raises(EvaluationError, match=f"1 of 3000 values of {column} are missing"):
        evaluate(**values, groups=groups)


def test_one_and_the_text_one_are_not_two_groups():
    y_true, y_pred, groups = _case(0)
    mixed = groups["tone"].map({"dark": 1, "light": "1", "medium": "2"}).astype(object)
    with pytest.raises(EvaluationError, match="groups must be text"):
        evaluate(y_true, y_pred, groups=pd.DataFrame({"tone": mixed}))


@pytest.mark.parametrize("strange", [2, -1])
def test_a_prediction_outside_the_classes_is_refused(strange):
    y_true, y_pred, groups = _case(0)
    y_pred[3] = strange
    with pytest.raises(EvaluationError, match="outside the classes"):
        evaluate(y_true, y_pred, groups=groups)
