import numpy as np
import pytest
from scipy.optimize import brentq
from sklearn.metrics import roc_auc_score

from debias.errors import EvaluationError
from debias.statistics.areas import auc_by_group


def one_class(score, groups, **options):
    found = auc_by_group(
        np.array(score, float), np.zeros(len(score), int), np.array(groups), **options
    )
    return found.set_index("group")


def test_hand_computed_with_a_tie():
    # a against b: 3 beats 1 and 2; 2 beats 1 and ties with 2: (2 + 1.5) of 4 pairs.
    found = one_class([3, 2, 2, 1], ["a", "a", "b", "b"])
    assert found.loc["a", "auc"] == 3.5 / 4
    assert found.loc["b", "auc"] == 0.5 / 4
    assert list(found["n"]) == [2, 2]


def test_one_class_agrees_with_scikit_learn_ties_included():
    generator = np.random.default_rng(0)
    groups = generator.choice(["a", "b", "c"], 500)
    score = generator.integers(0, 12, 500) + 2.0 * (groups == "b")
    found = one_class(score, groups)
    for group in "abc":
        expected = roc_auc_score(groups == group, score)
        assert found.loc[group, "auc"] == pytest.approx(expected, abs=1e-12)


def test_classes_are_compared_apart_and_weighted_by_their_pairs():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 800)
    groups = np.where(generator.uniform(size=800) < 0.1 + 0.2 * labels, "a", "b")
    score = generator.normal(size=800) + 0.5 * (groups == "a") * labels
    member = groups == "a"
    total = pairs = 0.0
    for label in range(3):
        within = labels == label
        weight = (member & within).sum() * (~member & within).sum()
        total += weight * roc_auc_score(member[within], score[within])
        pairs += weight
    found = auc_by_group(score, labels, groups).set_index("group")
    assert found.loc["a", "auc"] == pytest.approx(total / pairs, abs=1e-12)


def test_a_score_that_depends_on_the_class_alone_tells_nothing():
    labels = np.array([0] * 50 + [1] * 50)
    groups = np.array(["a"] * 45 + ["b"] * 5 + ["a"] * 5 + ["b"] * 45)
    found = auc_by_group(labels.astype(float), labels, groups)
    assert (found["auc"] == 0.5).all()


def test_monotone_change_of_the_score_and_order_of_rows_change_nothing():
    generator = np.random.default_rng(4)
    score, labels = generator.normal(size=300), generator.integers(0, 2, 300)
    groups = generator.choice(["a", "b", "c"], 300)
    order = generator.permutation(300)
    first = auc_by_group(score, labels, groups)
    second = auc_by_group(np.exp(score)[order], labels[order], groups[order])
    np.testing.assert_allclose(
        first.drop(columns="group").to_numpy(), second.drop(columns="group").to_numpy(), rtol=1e-12
    )


def test_undefined_where_a_group_shares_no_class_with_others():
    labels = np.array([0, 0, 0, 1, 1, 1])
    found = auc_by_group(np.arange(6.0), labels, np.array(["a"] * 3 + ["b"] * 3))
    assert found[["auc", "low", "high"]].isna().all(axis=None)
    assert list(found["n"]) == [3, 3]
    assert one_class([1, 2], ["a", "a"])[["auc", "low", "high"]].isna().all(axis=None)


@pytest.mark.parametrize("members", [1, 2, 10])
def test_the_interval_does_not_shrink_to_a_point_at_perfect_separation(members):
    found = one_class(np.arange(100.0), ["b"] * (100 - members) + ["a"] * members)
    row = found.loc["a"]
    assert row["auc"] == row["high"] == 1.0
    assert 0 < row["low"] < 1 - 0.2 / members
    mirrored = found.loc["b"]
    assert (mirrored["low"], mirrored["high"]) == (0.0, pytest.approx(1 - row["low"]))


def test_at_perfect_separation_the_limit_is_the_root_of_the_score_equation():
    def excess(theta, p=8, q=40, z=1.959963984540054):
        q1, q2 = theta / (2 - theta), 2 * theta**2 / (1 + theta)  # Hanley and McNeil's Q1 and Q2
        pairs = (p + q) / 2 - 1
        variance = theta * (1 - theta) + pairs * (q1 - theta**2) + pairs * (q2 - theta**2)
        return (1 - theta) ** 2 - z**2 * variance / (p * q)

    row = one_class(np.arange(48.0), ["b"] * 40 + ["a"] * 8).loc["a"]
    assert row["low"] == pytest.approx(brentq(excess, 0.1, 1 - 1e-6), abs=1e-9)


def test_the_interval_widens_with_the_level_and_holds_the_area():
    generator = np.random.default_rng(5)
    score = np.r_[generator.normal(1, 1, 40), generator.normal(0, 1, 400)]
    groups = ["a"] * 40 + ["b"] * 400
    narrow = one_class(score, groups, level=0.8).loc["a"]
    wide = one_class(score, groups, level=0.99).loc["a"]
    assert 0 < wide["low"] < narrow["low"] < narrow["auc"] < narrow["high"] < wide["high"] < 1


@pytest.mark.parametrize(("spread", "truth"), [(2.0, 0.5), (1.0, 0.7602)])
def test_the_interval_covers(spread, truth):
    generator = np.random.default_rng(6)
    shift = 0.0 if truth == 0.5 else 1.0  # Phi(1 / sqrt(2)) = 0.7602
    groups = np.array(["a"] * 30 + ["b"] * 300)
    covered = 0
    for _ in range(120):
        score = np.r_[generator.normal(shift, spread, 30), generator.normal(0, 1, 300)]
        row = one_class(score, groups).loc["a"]
        covered += row["low"] <= truth <= row["high"]
    assert covered >= 106  # 120 draws at 95%: fewer with probability 0.001


def test_missing_groups_are_unknown():
    groups = np.array(["a", None, float("nan"), "a"], dtype=object)
    found = auc_by_group(np.arange(4.0), np.zeros(4, int), groups)
    assert dict(zip(found["group"], found["n"], strict=True)) == {"a": 2, "unknown": 2}


def test_refuses_what_cannot_be_ranked():
    labels, groups = np.zeros(2, int), np.array(["a", "b"])
    with pytest.raises(EvaluationError, match="1 of 2 scores are not finite"):
        auc_by_group(np.array([0.0, np.nan]), labels, groups)
    with pytest.raises(EvaluationError, match="no sample"):
        auc_by_group(np.array([]), labels[:0], groups[:0])
    with pytest.raises(ValueError, match="level must lie in"):
        auc_by_group(np.array([0.0, 1.0]), labels, groups, level=95.0)
