"""Rarity, correlation, both, neither; and when it cannot be told."""

import numpy as np
import pytest
from scipy.stats import binomtest

from debias.auditing.diagnosis import METHODS, diagnose
from debias.training.objectives import OBJECTIVES
from debias.weighting import WEIGHTINGS


def column(*cells):
    """Labels and groups of as many images as the cells say: (label, group, images)."""
    counts = [count for _, _, count in cells]
    labels = np.repeat([label for label, _, _ in cells], counts)
    return labels.astype(np.int64), np.repeat([group for _, group, _ in cells], counts)


def table(dark, light):
    """Images of each class in two groups."""
    return column(*((y, "dark", n) for y, n in enumerate(dark)),
                  *((y, "light", n) for y, n in enumerate(light)))  # fmt: skip


@pytest.mark.parametrize(
    ("dark", "light", "reading", "reason"),
    [
        ((500, 500), (500, 500), "neither", ""),
        ((50, 50), (950, 950), "rarity", ""),
        ((100, 900), (900, 100), "correlation", ""),
        ((10, 90), (950, 950), "both", ""),
        # A tie in an uneven class makes a group uncommon among all images, but not in its class.
        ((180, 180), (1620, 20), "correlation", ""),
        ((3, 3), (3, 3), "cannot_tell", "too_few"),
        ((25, 25), (25, 25), "cannot_tell", "correlation"),
        ((250, 250), (750, 750), "cannot_tell", "rarity"),  # just half an even share
        ((8, 8), (192, 192), "rarity", "correlation"),
        ((0, 500), (500, 0), "cannot_tell", "says_the_label"),
        ((0, 0), (500, 500), "cannot_tell", "single"),
        ((500, 0), (500, 0), "cannot_tell", "single"),
    ],
)
def test_readings(dark, light, reading, reason):
    found = diagnose(*table(dark, light))
    assert (found.reading, found.reason) == (reading, reason)
    assert found.rare == ["dark"] * (reading in ("rarity", "both"))


def test_shares_are_means_over_classes_with_limits_put_together_by_hand():
    """2 of 10 and 30 of 40: the mean is 0.475, whatever the sizes of the classes."""
    found = diagnose(*table((2, 30), (8, 10)))
    one = next(one for one in found.groups if one.group == "dark")
    # For each of two groups 97.5 %: 2 of 10, and 30 of 40.
    first, second = (
        binomtest(hits, size).proportion_ci(0.975, method="exact")
        for hits, size in ((2, 10), (30, 40))
    )
    below = np.hypot(0.2 - first.low, 0.75 - second.low) / 2
    above = np.hypot(first.high - 0.2, second.high - 0.75) / 2
    assert one.share == pytest.approx(0.475)
    assert (one.low, one.high) == pytest.approx((0.475 - below, 0.475 + above))
    assert found.fewest == 2


def test_images_without_a_group_are_left_out_while_they_are_few():
    labels, groups = table((50, 50), (950, 950))
    groups = groups.astype(object)
    groups[-90:] = "unknown"  # 4.5 %
    found = diagnose(labels, groups.astype(str))
    assert found.reading == "rarity"
    assert {one.group for one in found.groups} == {"dark", "light"}
    groups[-110:] = "unknown"
    assert diagnose(labels, groups.astype(str)).reason == "unannotated"


def test_images_of_few_people_are_worth_fewer():
    """A hundred images of each of twenty people show no more than twenty images do."""
    labels, groups = table((500, 500), (500, 500))
    assert diagnose(labels, groups).reading == "neither"
    found = diagnose(labels, groups, people=np.arange(2000) // 100)
    assert (found.reading, found.reason) == ("cannot_tell", "too_few")
    alone = diagnose(labels, groups, people=np.arange(2000))
    assert alone.tie == diagnose(labels, groups).tie
    assert alone.reading == "neither"


def test_rows_may_stand_in_any_order():
    labels, groups = table((20, 70), (800, 900))
    order = np.random.default_rng(0).permutation(len(labels))
    assert diagnose(labels[order], groups[order]) == diagnose(labels, groups)


def test_many_groups_are_held_against_their_own_even_share():
    """Of five groups an even share is a fifth: one of 4 % is rare, one of 16 % is not."""
    cells = [(y, group, n) for y in (0, 1) for group, n in zip("abcde", (40, 160, 260, 260, 280),
                                                               strict=True)]  # fmt: skip
    found = diagnose(*column(*cells))
    assert (found.reading, found.rare) == ("rarity", ["a"])
    assert [one.group for one in found.groups] == list("abcde")


def test_methods_say_of_group_labels_what_the_rules_themselves_say():
    for method in METHODS:
        if method.name in WEIGHTINGS:
            needs = WEIGHTINGS[method.name]().needs
            assert method.group_labels == ("training" if "groups" in needs else "no")
        if method.name in OBJECTIVES:
            assert method.group_labels == OBJECTIVES[method.name].uses_groups
        assert method.rarity or method.correlation
    assert {"group_dro", "jtt", "dfr", "last_layer"} <= {one.name for one in METHODS} & set(
        OBJECTIVES
    )
