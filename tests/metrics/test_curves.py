"""Confusion, calibration and score tables."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from debias.metrics.outcomes import Outcomes
from debias.metrics.scores import calibration_table, confusion_table, score_table
from debias.statistics.groupings import Grouping
from debias.statistics.intervals import clopper_pearson

CLASSES = ("Male", "Female")


def _grouping(codes, names=("race:A", "race:B")):
    return Grouping(attribute="race", cells=names, codes=np.asarray(codes, dtype=np.int64))


def _outcomes(y_true, score, codes, *, subjects=None, classes=CLASSES, y_pred=None):
    """Score: (s, n) probability of the last class, the positive one."""
    score = np.atleast_2d(score).astype(np.float64)
    predicted = (score >= 0.5).astype(np.int64) if y_pred is None else np.atleast_2d(y_pred)
    binary = len(classes) == 2
    return Outcomes(
        sample_ids=np.arange(len(y_true)),
        classes=classes,
        positive=classes[1] if binary else None,
        y_true=np.asarray(y_true, dtype=np.int64),
        y_pred=predicted,
        score=np.stack([1 - score, score], axis=2) if binary else None,
        groupings=(_grouping(codes),),
        subjects=subjects,
    )


def _random(n=700, seed=2, trainings=1):
    generator = np.random.default_rng(seed)
    codes = (generator.random(n) < 0.3).astype(np.int64)
    y_true = generator.integers(0, 2, n)
    score = np.clip(0.25 + 0.5 * y_true + 0.2 * generator.normal(size=(trainings, n)), 0, 1)
    return _outcomes(y_true, score, codes)


BOTH = np.array([True, True])


def test_confusion_counts_are_means_over_trainings():
    outcomes = _outcomes([0, 1, 1], [[0.1, 0.9, 0.9], [0.1, 0.9, 0.1]], [0, 0, 1])
    table = confusion_table(outcomes, outcomes.groupings[0], BOTH)
    assert list(table.columns) == ["attribute", "group", "true", "predicted", "count"]
    counts = table.set_index(["group", "true", "predicted"])["count"]
    assert len(counts) == 8
    assert counts["race:A", "Male", "Male"] == 1
    assert counts["race:A", "Female", "Female"] == 1
    assert counts["race:B", "Female", "Male"] == 0.5
    assert counts["race:B", "Female", "Female"] == 0.5
    assert counts.sum() == 3


def test_cells_that_are_not_shown_leave_no_row():
    outcomes, shown = _random(), np.array([False, True])
    for table in (confusion_table, calibration_table, score_table):
        assert set(table(outcomes, outcomes.groupings[0], shown)["group"]) == {"race:B"}
        assert not len(table(outcomes, outcomes.groupings[0], np.array([False, False])))


def test_calibration_of_sixty_images_by_hand():
    # Two bins of 30: scores 0.01..0.30 with 3 positives, 0.31..0.60 with 21.
    score = np.arange(1, 61) / 100
    y_true = np.zeros(60, dtype=np.int64)
    y_true[[0, 10, 20]] = 1
    y_true[30:51] = 1
    outcomes = _outcomes(y_true[::-1], score[::-1], np.zeros(60, dtype=int))
    table = calibration_table(outcomes, outcomes.groupings[0], BOTH)
    assert list(table.columns) == [
        "attribute", "group", "n", "mean_score", "observed", "low", "high"
    ]  # fmt: skip
    assert table["n"].tolist() == [30, 30]
    np.testing.assert_allclose(table["mean_score"], [0.155, 0.455])
    np.testing.assert_allclose(table["observed"], [0.1, 0.7])
    low, high = clopper_pearson(np.array([3, 21]), np.array([30, 30]))
    np.testing.assert_allclose(table[["low", "high"]], np.stack([low, high], axis=1))


@pytest.mark.parametrize(
    ("n", "bins"), [(29, 0), (30, 1), (59, 1), (60, 2), (299, 9), (300, 10), (5000, 10)]
)
def test_bins_are_equal_and_hold_thirty_images(n, bins):
    generator = np.random.default_rng(n)
    outcomes = _outcomes(generator.integers(0, 2, n), generator.random(n), np.zeros(n, dtype=int))
    table = calibration_table(outcomes, outcomes.groupings[0], BOTH)
    assert len(table) == bins
    if bins:
        assert table["n"].sum() == n
        assert table["n"].min() >= 30
        assert table["n"].max() - table["n"].min() <= 1
        assert table["mean_score"].is_monotonic_increasing


def test_calibration_agrees_with_a_loop_over_groups():
    outcomes = _random(trainings=3)
    table = calibration_table(outcomes, outcomes.groupings[0], BOTH).set_index("group")
    score = outcomes.score[:, :, 1].mean(axis=0)
    for cell, name in enumerate(outcomes.groupings[0].cells):
        mine = outcomes.groupings[0].codes == cell
        parts = np.arange(mine.sum()) * min(10, mine.sum() // 30) // mine.sum()
        order = np.argsort(score[mine])
        for part, (_, row) in enumerate(table.loc[name].iterrows()):
            chosen = order[parts == part]
            assert row["mean_score"] == pytest.approx(score[mine][chosen].mean())
            assert row["observed"] == pytest.approx(outcomes.y_true[mine][chosen].mean())


def test_images_of_one_score_show_one_mix_whatever_their_order():
    # Sorted by class, as files often are: the first bins would hold one class only.
    y_true = np.repeat([0, 1], [150, 150])
    outcomes = _outcomes(y_true, np.full(300, 0.6), np.zeros(300, dtype=int))
    table = calibration_table(outcomes, outcomes.groupings[0], BOTH)
    assert len(table) == 10
    np.testing.assert_allclose(table["observed"], 0.5)


def test_people_who_repeat_widen_the_interval_of_a_bin():
    n = 60
    y_true = np.tile([0, 1], 30)
    score = np.linspace(0.1, 0.9, n)
    codes = np.zeros(n, dtype=int)
    alone = _outcomes(y_true, score, codes, subjects=np.arange(n))
    unnamed = _outcomes(y_true, score, codes)
    # Each bin of 30 holds one person of 15 images and 15 of one: 30^2 / (15^2 + 15) = 3.75.
    often = np.concatenate([np.zeros(15), np.arange(1, 16), np.full(15, 16), np.arange(17, 32)])
    repeated = _outcomes(y_true, score, codes, subjects=often.astype(np.int64))
    tables = [calibration_table(o, o.groupings[0], BOTH) for o in (unnamed, alone, repeated)]
    np.testing.assert_array_equal(tables[0]["low"], tables[1]["low"])
    low, high = clopper_pearson(np.full(2, 0.5 * 3.75), np.full(2, 3.75))
    np.testing.assert_allclose(tables[2][["low", "high"]], np.stack([low, high], axis=1))


def test_quantiles_agree_with_numpy():
    outcomes = _random(trainings=2)
    table = score_table(outcomes, outcomes.groupings[0], BOTH)
    assert list(table.columns) == [
        "attribute", "group", "true", "n", "q05", "q25", "median", "q75", "q95"
    ]  # fmt: skip
    assert len(table) == 4
    score = outcomes.score[:, :, 1].mean(axis=0)
    for row in table.itertuples():
        cell = outcomes.groupings[0].cells.index(row.group)
        mine = (outcomes.groupings[0].codes == cell) & (outcomes.y_true == CLASSES.index(row.true))
        expected = np.quantile(score[mine], [0.05, 0.25, 0.5, 0.75, 0.95])
        assert row.n == mine.sum()
        np.testing.assert_allclose([row.q05, row.q25, row.median, row.q75, row.q95], expected)


def test_fewer_than_thirty_of_a_class_show_no_quantiles():
    y_true = np.repeat([0, 1], [29, 30])
    outcomes = _outcomes(y_true, np.linspace(0, 1, 59), np.zeros(59, dtype=int))
    table = score_table(outcomes, outcomes.groupings[0], BOTH)
    assert table["true"].tolist() == ["Female"]


def test_without_scores_or_with_three_classes_only_the_confusion_is_shown():
    y_true = np.tile([0, 1, 2], 40)
    outcomes = _outcomes(
        y_true, np.zeros(120), np.zeros(120, dtype=int), classes=("a", "b", "c"), y_pred=y_true
    )
    grouping = outcomes.groupings[0]
    assert not len(calibration_table(outcomes, grouping, BOTH))
    assert not len(score_table(outcomes, grouping, BOTH))
    assert len(confusion_table(outcomes, grouping, BOTH)) == 18


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 6)), max_size=250),
    st.booleans(),
)
def test_no_image_is_lost_and_no_bin_is_small(images, named):
    codes, y_true, score = (
        (np.array(column) for column in zip(*images, strict=True))
        if images
        else (np.zeros(0, dtype=np.int64),) * 3
    )
    subjects = np.arange(len(codes)) // 3 if named else None
    outcomes = _outcomes(y_true, score / 6, codes, subjects=subjects)
    grouping = outcomes.groupings[0]
    table = calibration_table(outcomes, grouping, BOTH)
    enough = grouping.sizes >= 30
    assert table["n"].sum() == grouping.sizes[enough].sum()
    assert (table["n"] >= 30).all()
    observed = (table["n"] * table["observed"]).sum()
    assert observed == pytest.approx(outcomes.y_true[enough[grouping.codes]].sum())
    assert (table["low"] <= table["observed"] + 1e-12).all()
    assert (table["observed"] <= table["high"] + 1e-12).all()
