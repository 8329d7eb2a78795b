"""Summaries of a lowest and a highest rate: their interval, and what equality looks like."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from debias.metrics.spread import (
    chance_below,
    corrected_variance,
    expected_gap,
    lowest_to_highest,
    ratio_limits,
)
from debias.statistics.intervals import clopper_pearson


@pytest.mark.parametrize(("groups", "chance"), [(2, 0.04), (7, 0.26), (14, 0.46), (28, 0.71)])
def test_how_often_equal_groups_of_20_fail_four_fifths(groups, chance):
    assert chance_below(0.9, np.full(groups, 20)) == pytest.approx(chance, abs=0.01)


@pytest.mark.parametrize(
    ("n", "gap"), [(20, 0.175), (50, 0.113), (100, 0.080), (500, 0.036), (2000, 0.018)]
)
def test_the_gap_that_seven_equal_groups_show(n, gap):
    assert expected_gap(0.9, np.full(7, n)) == pytest.approx(gap, abs=0.001)


def test_two_groups_of_two_by_hand():
    # Shares 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4: nine pairs.
    # |difference|: 0 with 6/16, 1/2 with 8/16, 1 with 2/16.
    assert expected_gap(0.5, np.array([2, 2])) == pytest.approx(8 / 32 + 2 / 16)
    # lowest / highest < 0.8 in all but the equal pairs; two zeros have no ratio below anything.
    assert chance_below(0.5, np.array([2, 2])) == pytest.approx(10 / 16)
    # 1/2 is not below 1/2: only the pairs with one zero are.
    assert chance_below(0.5, np.array([2, 2]), threshold=0.5) == pytest.approx(6 / 16)


def test_a_threshold_met_exactly_is_not_below():
    # With sizes 4 and 5, 4/5 over 4/4 meets 0.8 but for rounding.
    shares = np.array([(a / 5, b / 4) for a in range(6) for b in range(5)])
    from scipy.stats import binom

    mass = np.array(
        [binom.pmf(a, 5, 0.9) * binom.pmf(b, 4, 0.9) for a in range(6) for b in range(5)]
    )
    below = [min(x, y) * 10 < max(x, y) * 8 - 1e-9 for x, y in shares]
    assert chance_below(0.9, np.array([5, 4])) == pytest.approx(mass[below].sum())


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(
    "sizes", [(30, 30, 100, 500, 2000), (40,) * 12, tuple(range(300, 6000, 95))]
)
def test_agreement_with_drawing(rate, sizes):
    generator, sizes = np.random.default_rng(7), np.array(sizes)
    shares = generator.binomial(sizes, rate, size=(20_000, len(sizes))) / sizes
    low, high = shares.min(axis=1), shares.max(axis=1)
    assert chance_below(rate, sizes) == pytest.approx((low < 0.8 * high - 1e-9).mean(), abs=0.012)
    assert expected_gap(rate, sizes) == pytest.approx((high - low).mean(), rel=0.01)


@given(
    st.floats(0.0, 1.0),
    st.lists(st.floats(0.1, 5000.0), min_size=2, max_size=30),
)
def test_both_are_probable_numbers_whatever_the_sizes(rate, sizes):
    sizes = np.array(sizes)
    assert 0 <= chance_below(rate, sizes) <= 1
    assert 0 <= expected_gap(rate, sizes) <= 1
    assert expected_gap(rate, np.append(sizes, 50)) >= expected_gap(rate, sizes) - 1e-3


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_certainty_shows_no_gap(rate):
    assert expected_gap(rate, np.array([30, 40])) == pytest.approx(0, abs=1e-12)
    assert chance_below(rate, np.array([30, 40])) == pytest.approx(0, abs=1e-12)


def test_one_group_or_no_rate_is_undefined():
    assert np.isnan(chance_below(0.5, np.array([30])))
    assert np.isnan(expected_gap(np.nan, np.array([30, 30])))
    assert np.isnan(corrected_variance(np.array([0.5]), np.array([30])))
    assert np.isnan(corrected_variance(np.array([0.5, 0.6]), np.array([30, 1])))


def test_the_corrected_variance_by_hand():
    values, sizes = np.array([0.8, 0.9, 1.0]), np.array([11, 21, 31])
    sampling = (0.16 / 10 + 0.09 / 20 + 0) / 3
    assert corrected_variance(values, sizes) == pytest.approx(0.01 - sampling)


@pytest.mark.parametrize("truth", [(0.9,) * 5, (0.8, 0.85, 0.9, 0.95, 0.75)])
def test_the_corrected_variance_is_unbiased(truth):
    generator, sizes = np.random.default_rng(11), np.array([2000, 500, 100, 30, 30])
    shares = generator.binomial(sizes, truth, size=(4000, 5)) / sizes
    estimates = np.array([corrected_variance(row, sizes) for row in shares])
    error = estimates.std() / np.sqrt(len(estimates))
    assert abs(estimates.mean() - np.var(truth, ddof=1)) < 3.5 * error
    assert shares.var(axis=1, ddof=1).mean() - np.var(truth, ddof=1) > 10 * error


def test_lowest_and_highest_are_named_with_an_interval_at_the_adjusted_level():
    values, sizes = np.array([0.6, 0.3, 0.5]), np.array([100, 50, 80])
    found = lowest_to_highest(values, sizes)
    assert (found.lowest, found.highest, found.value) == (1, 0, pytest.approx(0.5))
    low, high = clopper_pearson(values * sizes, sizes, 1 - 0.05 / 3)
    expected = ratio_limits(values[1:2], (low[1:2], high[1:2]), values[:1], (low[:1], high[:1]))
    assert (found.low, found.high) == (expected[0][0], expected[1][0])
    assert 0 < found.low < 0.5 < found.high


def test_rates_of_zero_leave_the_ratio_open():
    nothing = lowest_to_highest(np.array([0.0, 0.0]), np.array([40, 40]))
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()
    assert nothing.lowest != nothing.highest
    none_in_one = lowest_to_highest(np.array([0.0, 0.5]), np.array([40, 40]))
    assert (none_in_one.value, none_in_one.low) == (0.0, 0.0)
    assert 0 < none_in_one.high < 0.5
    one_of_few = lowest_to_highest(np.array([0.0, 0.0, 0.01]), np.array([40, 40, 40]))
    assert one_of_few.high > 1
    with pytest.raises(ValueError, match="two groups, got 1"):
        lowest_to_highest(np.array([0.5]), np.array([40]))


def _limits(numerator, n):
    return clopper_pearson(np.array([numerator]), np.array([n]))


@given(st.integers(1, 49), st.integers(1, 49))
def test_the_interval_of_the_inverse_ratio_is_the_inverse_interval(a, b):
    one, other = np.array([a / 50]), np.array([b / 50])
    low, high = ratio_limits(one, _limits(a, 50), other, _limits(b, 50))
    inverse_low, inverse_high = ratio_limits(other, _limits(b, 50), one, _limits(a, 50))
    np.testing.assert_allclose([low, high], [1 / inverse_high, 1 / inverse_low])
    assert low < one / other < high


@pytest.mark.parametrize(
    ("truth", "sizes"),
    [
        ((0.9, 0.9), (50, 50)),
        ((0.1, 0.1), (30, 30)),
        ((0.5,) * 7, (50,) * 7),
        ((0.9,) * 5, (2000, 500, 100, 30, 30)),
        ((0.5, 0.7, 0.9), (100, 300, 50)),
    ],
)
def test_the_interval_covers_the_ratio_of_the_groups_that_were_picked(truth, sizes):
    generator, truth, sizes = np.random.default_rng(13), np.array(truth), np.array(sizes)
    found = [
        lowest_to_highest(values, sizes)
        for values in generator.binomial(sizes, truth, size=(1000, len(sizes))) / sizes
    ]
    ratios = [truth[one.lowest] / truth[one.highest] for one in found]
    held = [one.low <= ratio <= one.high for one, ratio in zip(found, ratios, strict=True)]
    assert np.mean(held) >= 0.95
