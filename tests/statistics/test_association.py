"""Cramér's V by hand and against independence."""

import numpy as np
import pytest

from debias.statistics.concentration import association


def test_perfect_association_is_one_and_names_what_is_missing():
    labels = np.repeat([0, 1], 100)
    groups = np.repeat(["a", "b"], 100)
    found = association(labels, groups)
    assert found.cramers_v == pytest.approx(1, abs=0.01)
    assert found.p_value < 1e-9
    assert found.rarest_count == 0
    assert found.expected_count == 50
    assert found.rarest_cell in {("0", "b"), ("1", "a")}


def test_a_table_by_hand():
    # Counts 40 10 / 10 40: chi-square 36, phi^2 0.36, corrected by Bergsma's formula.
    labels = np.repeat([0, 0, 1, 1], [40, 10, 10, 40])
    groups = np.repeat(["a", "b", "a", "b"], [40, 10, 10, 40])
    found = association(labels, groups)
    phi = 0.36 - 1 / 99
    assert found.cramers_v == pytest.approx(np.sqrt(phi / (1 - 1 / 99)))
    assert (found.rarest_count, found.expected_count) == (10, 25)


def test_independent_columns_are_near_zero():
    """Without the correction the mean over tables of this size would be about 0.1."""
    generator = np.random.default_rng(0)
    found = [
        association(generator.integers(0, 2, 200), generator.choice(["a", "b", "c"], 200)).cramers_v
        for _ in range(50)
    ]
    assert np.mean(found) < 0.06


def test_a_single_group_says_nothing():
    found = association(np.array([0, 1, 0, 1]), np.full(4, "a"))
    assert np.isnan(found.cramers_v)
    assert np.isnan(found.p_value)
