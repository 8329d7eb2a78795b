"""Wrong group labels: the range of the gap."""

import numpy as np
import pytest

from debias.metrics.rates import confusion, measures
from debias.metrics.spread import label_noise

FOUND = measures(("no", "yes"), "yes")
SIZES = np.array([2000, 1500, 1000, 600])
ACCURACY = np.array([0.95, 0.94, 0.92, 0.75])


def _images(seed=0):
    """Group, true class and predicted class of images with a planted gap in accuracy."""
    generator = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(SIZES)), SIZES)
    y_true = generator.integers(0, 2, len(codes))
    wrong = generator.random(len(codes)) > ACCURACY[codes]
    return codes, y_true, np.where(wrong, 1 - y_true, y_true)


def _table(codes, y_true, y_pred):
    return confusion(y_true, y_pred, codes, len(SIZES))


def _accuracy_gap(table):
    accuracy = table[:, [0, 1], [0, 1]].sum(axis=1) / table.sum(axis=(1, 2))
    return accuracy.max() - accuracy.min()


def _noise(table, **settings):
    generator = np.random.default_rng(settings.pop("seed", 0))
    return label_noise(table, FOUND, minimum=30, generator=generator, **settings)


def test_one_row_for_each_metric_and_share_with_the_gap_as_annotated():
    table = _table(*_images())
    rows = _noise(table)
    assert list(rows.columns) == ["metric", "flipped", "gap", "low", "high"]
    assert rows["metric"].tolist() == [one.name for one in FOUND] * 2
    assert rows["flipped"].tolist() == [0.05] * len(FOUND) + [0.10] * len(FOUND)
    gaps = rows.loc[rows["metric"] == "accuracy", "gap"]
    assert gaps.tolist() == [_accuracy_gap(table)] * 2


def test_the_range_widens_with_the_share_and_the_planted_gap_shrinks():
    rows = _noise(_table(*_images())).set_index(["metric", "flipped"])
    five, ten = rows.loc[("accuracy", 0.05)], rows.loc[("accuracy", 0.10)]
    assert ten["high"] - ten["low"] > five["high"] - five["low"] > 0
    assert ten["high"] < five["gap"]
    assert ten["low"] < five["low"]


@pytest.mark.parametrize("seed", range(5))
def test_the_range_holds_the_gap_after_flipping_labels_image_by_image(seed):
    codes, y_true, y_pred = _images(seed)
    rows = _noise(_table(codes, y_true, y_pred)).set_index(["metric", "flipped"])
    generator = np.random.default_rng(100 + seed)
    others = (codes + generator.integers(1, len(SIZES), len(codes))) % len(SIZES)
    flipped = np.where(generator.random(len(codes)) < 0.10, others, codes)
    gap = _accuracy_gap(_table(flipped, y_true, y_pred))
    row = rows.loc[("accuracy", 0.10)]
    assert row["low"] <= gap <= row["high"]


def test_nothing_flipped_changes_nothing():
    rows = _noise(_table(*_images()), flipped=(0.0,), draws=3)
    np.testing.assert_array_equal(rows["low"], rows["gap"])
    np.testing.assert_array_equal(rows["high"], rows["gap"])


def test_the_flipped_share_of_two_groups_has_the_expected_gap():
    # Of two groups of 10,000 with accuracies 1 and 0, a tenth is exchanged: 0.9 and 0.1 remain.
    table = np.array([[[10_000, 0], [0, 0]], [[0, 10_000], [0, 0]]])
    rows = _noise(table, flipped=(0.1,)).set_index("metric")
    middle = rows.loc["accuracy", ["low", "high"]].mean()
    assert middle == pytest.approx(0.8, abs=0.01)
    assert rows.loc["accuracy", "gap"] == 1.0


def test_small_groups_take_no_part_and_one_group_has_no_gap():
    table = _table(*_images())
    small = np.concatenate([table, np.array([[[0, 29], [0, 0]]])])
    rows, with_small = _noise(table), _noise(small)
    np.testing.assert_array_equal(rows["gap"], with_small["gap"])
    single = _noise(table[:1])
    assert single[["gap", "low", "high"]].isna().all(axis=None)
    assert len(single) == 2 * len(FOUND)


def test_means_over_trainings_and_equal_seeds():
    table = _table(*_images()) + 0.2
    one, two = _noise(table), _noise(table)
    np.testing.assert_array_equal(one["low"], two["low"])
    assert not one["low"].equals(_noise(table, seed=1)["low"])
