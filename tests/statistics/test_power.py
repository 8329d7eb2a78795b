"""What sizes can show."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from debias.statistics.intervals import detectable_gap, difference_limits, size_needed

GAPS = np.array([0.02, 0.05, 0.10, 0.20])
# Group sizes for 80% power from a rate of 0.90.
ONE_COMPARISON = np.array([3835.0, 681.0, 195.0, 60.0])
OVER_21_PAIRS = np.array([7354.0, 1305.0, 374.0, 114.0])


@pytest.mark.parametrize(
    ("level", "sizes"), [(0.95, ONE_COMPARISON), (1 - 0.05 / 21, OVER_21_PAIRS)]
)
def test_the_published_sizes_and_gaps(level, sizes):
    rate = np.full(4, 0.9)
    np.testing.assert_array_equal(size_needed(rate, GAPS, level), sizes)
    np.testing.assert_allclose(detectable_gap(rate, sizes, sizes, level), GAPS, rtol=0.01)


@pytest.mark.parametrize(("rate", "n1", "n2"), [(0.9, 300, 300), (0.5, 2000, 80), (0.2, 150, 600)])
def test_the_gap_is_found_in_four_of_five_samples(rate, n1, n2):
    gap = float(detectable_gap(np.array(rate), np.array(n1), np.array(n2), 0.95))
    generator = np.random.default_rng(5)
    first = generator.binomial(n1, rate, 4000) / n1
    second = generator.binomial(n2, rate + gap if rate < 0.5 else rate - gap, 4000) / n2
    low, high = difference_limits(
        first, np.full(4000, float(n1)), second, np.full(4000, float(n2)), 0.95
    )
    assert ((low > 0) | (high < 0)).mean() == pytest.approx(0.8, abs=0.06)


def test_a_gap_that_no_size_of_this_kind_can_show_is_undefined():
    sizes = np.array([3.0, 0.0, 100.0, 100.0])
    rate = np.array([0.5, 0.5, np.nan, 0.5])
    gap = detectable_gap(rate, sizes, np.full(4, 100.0), 0.95)
    np.testing.assert_array_equal(np.isnan(gap), [True, True, True, False])
    needed = size_needed(np.array([0.5, 0.9]), np.array([0.6, 0.85]), 0.95)
    np.testing.assert_array_equal(np.isnan(needed), [True, False])


def test_no_gap_needs_infinitely_many_and_a_negative_one_is_refused():
    assert size_needed(np.array(0.3), np.array(0.0), 0.95) == np.inf
    with pytest.raises(ValueError, match=r"must not be negative, got -0\.1"):
        size_needed(np.array(0.3), np.array(-0.1), 0.95)


@pytest.mark.parametrize(("level", "power"), [(0.0, 0.8), (1.0, 0.8), (0.95, 1.0)])
def test_probabilities_outside_their_range_are_refused(level, power):
    with pytest.raises(ValueError, match=r"must lie in \(0, 1\)"):
        detectable_gap(np.array(0.5), np.array(10), np.array(10), level, power)


@given(
    st.floats(0.0, 1.0),
    st.floats(2.0, 1e6),
    st.floats(2.0, 1e6),
    st.floats(0.5, 0.9999),
)
def test_laws_of_the_gap(rate, n1, n2, level):
    def gap(rate, n1, n2, level):
        return float(detectable_gap(np.array(rate), np.array(n1), np.array(n2), level))

    found = gap(rate, n1, n2, level)
    assert np.isnan(found) or 0 < found <= 1
    np.testing.assert_allclose(found, gap(rate, n2, n1, level))
    np.testing.assert_allclose(found, gap(1 - rate, n1, n2, level), rtol=1e-6, atol=1e-12)
    if np.isfinite(found):
        assert gap(rate, 2 * n1, n2, level) <= found
        assert not gap(rate, n1, n2, 1 - (1 - level) / 2) < found


@given(st.floats(0.0, 1.0), st.floats(0.01, 0.5), st.floats(0.5, 0.9999))
def test_the_size_needed_for_a_gap_detects_that_gap(rate, gap, level):
    n = float(size_needed(np.array(rate), np.array(gap), level))
    found = float(detectable_gap(np.array(rate), np.array(n), np.array(n), level))
    assert found <= gap * (1 + 1e-9)
