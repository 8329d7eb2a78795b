"""Cramér's V by hand and against independence."""

import numpy as np
import pytest
from scipy.stats import ncx2

from debias.statistics.concentration import association


def test_perfect_association_is_one_and_names_what_is_missing():
    labels = np.repeat([0, 1], 100)
    groups = np.repeat(["a", "b"], 100)
    found = association(labels, groups)
    assert found.cramers_v == pytest.approx(1, abs=0.01)
    assert found.low > 0.8
    assert found.rarest_count == 0
    assert found.expected_count == 50
    assert found.rarest_cell in {("0", "b"), ("1", "a")}


def test_a_table_by_hand():
    # Counts 40 10 / 10 40: chi-square 36 on one degree of freedom, so V^2 is (36 - 1) / 100.
    labels = np.repeat([0, 0, 1, 1], [40, 10, 10, 40])
    groups = np.repeat(["a", "b", "a", "b"], [40, 10, 10, 40])
    found = association(labels, groups)
    assert found.cramers_v == pytest.approx(np.sqrt(35 / 100))
    assert (found.rarest_count, found.expected_count) == (10, 25)
    # Of a noncentral chi-square with these noncentralities, 36 is the upper and lower 2.5 %.
    tails = [ncx2.sf(36, 1, 100 * limit**2) for limit in (found.low, found.high)]
    assert tails == pytest.approx([0.025, 0.975])
    assert found.tied


def test_how_large_a_group_is_changes_only_how_sure_it_is():
    """A tenth of one group: its rows count as much, with the harmonic mean of the sizes."""
    labels = np.repeat([0, 0, 1, 1], [400, 10, 100, 40])
    groups = np.repeat(["a", "b", "a", "b"], [400, 10, 100, 40])
    found = association(labels, groups)
    size = 2 / (1 / 500 + 1 / 50)  # images of each of the two groups
    assert found.cramers_v == pytest.approx(np.sqrt((size * 0.72 - 1) / (2 * size)))


def test_people_with_several_images_make_it_less_sure():
    labels, groups = np.arange(400) % 2, np.repeat(["a", "b"], 200)
    alone = association(labels, groups, np.arange(400))
    assert alone == association(labels, groups)
    assert alone.tied is False
    pairs = association(labels, groups, np.arange(400) // 2)
    assert pairs.high == pytest.approx(alone.high * np.sqrt(2))
    assert pairs.tied is None


def test_ten_images_that_fall_evenly_prove_nothing():
    found = association(np.arange(12) % 2, np.repeat(["a", "b"], 6))
    assert found.cramers_v == 0
    assert found.tied is None


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
    assert found.tied is None
