"""Second heaps: counted by hand, and not seen where there is none."""

import numpy as np
import pytest
from scipy.stats import binom

from debias.auditing.thin import Valley, confirmed, deepest_valley

SINGLE = {
    "bell": lambda g: g.standard_normal(2000),
    "long tail": lambda g: g.exponential(size=2000),
    "heavy tails": lambda g: g.standard_t(3, 2000),
    "flat": lambda g: g.uniform(-1, 1, 2000),
}


def heaps(generator, size=2000, share=0.05, apart=6.0):
    """A bell, and a smaller one to its right."""
    values = generator.standard_normal(size)
    values[: int(share * size)] += apart
    return values


def test_a_valley_lies_between_two_heaps_and_the_smaller_is_behind_it():
    values = heaps(np.random.default_rng(0))
    valley = deepest_valley(values, 0.125)
    assert 2 < valley.cut < 5
    assert (values > valley.cut).mean() == pytest.approx(0.05, abs=0.005)
    assert 5 < valley.first < 6 < valley.third < 7


def test_a_heap_larger_than_allowed_is_no_thin_region():
    values = heaps(np.random.default_rng(0), share=0.3)
    valley = deepest_valley(values, 0.125)
    assert valley is None or valley.p > 1e-4
    assert deepest_valley(values, 0.5).p < 1e-6


def test_values_without_spread_have_no_valley():
    assert deepest_valley(np.zeros(500), 0.125) is None
    assert deepest_valley(np.repeat([0.0, 1.0], [490, 10]), 0.125) is None


def test_confirmation_counts_two_windows_and_pays_for_three_widths():
    # Quartile range 1 and centre 5: windows around 2 and 5 that are 2, 1 and a half wide.
    values = np.array([1.2, 1.6, 2.4, *np.linspace(4.6, 5.4, 9), 5.9, 0.0, 0.1, -0.1])
    valley = Valley(p=0.0, cut=2.0, first=4.5, third=5.5)
    twice = binom.sf(9, 13, 0.5)  # ten or more of thirteen
    once = binom.sf(8, 11, 0.5)  # nine and two
    half = binom.sf(4, 5, 0.5)  # five and none
    assert confirmed(values, valley) == pytest.approx(3 * min(twice, once, half))


def test_windows_that_would_overlap_are_left_out():
    values = np.array([1.9, *np.linspace(3.6, 4.4, 5)])
    valley = Valley(p=0.0, cut=2.0, first=3.0, third=5.0)  # 2 apart: widths 4 too wide, 2 and 1
    once = binom.sf(4, 6, 0.5)
    assert confirmed(values, valley) == pytest.approx(2 * once)


def test_nothing_near_the_valley_confirms_nothing():
    assert confirmed(np.zeros(100), Valley(p=0.0, cut=2.0, first=4.5, third=5.5)) == 1.0


@pytest.mark.parametrize("name", SINGLE)
def test_a_single_heap_is_confirmed_no_more_often_than_allowed(name):
    """The valley is chosen on one half, so the p of the other holds: at most 5 % below 5 %."""
    generator = np.random.default_rng(1)
    found, tried = 0, 400
    for _ in range(tried):
        values = SINGLE[name](generator)
        valley = deepest_valley(values[:1000], 0.125)
        found += valley is not None and confirmed(values[1000:], valley) < 0.05
    assert found <= binom.ppf(0.999, tried, 0.05)


def test_a_planted_heap_is_confirmed():
    generator = np.random.default_rng(2)
    for _ in range(20):
        first, second = heaps(generator), heaps(generator)
        assert confirmed(second, deepest_valley(first, 0.125)) < 0.01
