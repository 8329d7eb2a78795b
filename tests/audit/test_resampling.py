"""Draws by weight: counts by hand, and laws on random weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from debias.auditing.subsets import resample
from debias.errors import ConfigError, WeightError


def rng(seed=0):
    return np.random.default_rng(seed)


def test_whole_multiples_are_drawn_exactly():
    rows = resample(np.array([1.0, 0.0, 2.0, 5.0]), 16, rng())
    assert np.bincount(rows, minlength=4).tolist() == [2, 0, 4, 10]


def test_equal_weights_draw_every_row_once_in_random_order():
    rows = resample(np.full(100, 0.3), 100, rng())
    np.testing.assert_array_equal(np.sort(rows), np.arange(100))
    assert (rows != np.arange(100)).any()


@given(
    st.lists(st.floats(0, 50), min_size=1, max_size=40).filter(lambda w: sum(w) > 1e-3),
    st.integers(2, 200),
    st.integers(0, 9),
)
def test_counts_are_the_expected_ones_rounded_up_or_down(weights, size, seed):
    weight = np.array(weights)
    counts = np.bincount(resample(weight, size, rng(seed)), minlength=len(weight))
    assert counts.sum() == size
    assert (np.abs(counts - size * weight / weight.sum()) < 1 + 1e-6).all()
    assert not counts[weight == 0].any()


def test_the_mean_of_many_draws_is_the_weight():
    weight = rng().exponential(size=30)
    mean = np.mean([np.bincount(resample(weight, 20, rng(s)), minlength=30) for s in range(800)], 0)
    np.testing.assert_allclose(mean, 20 * weight / weight.sum(), atol=0.08)


def test_a_seed_decides():
    weight = rng().exponential(size=50)
    np.testing.assert_array_equal(resample(weight, 60, rng(4)), resample(weight, 60, rng(4)))


@pytest.mark.parametrize("weight", [[0.0, 0.0], [1.0, -1.0], [1.0, np.nan], [1.0, np.inf]])
def test_weights_that_say_nothing_are_refused(weight):
    with pytest.raises(WeightError, match="finite"):
        resample(np.array(weight), 5, rng())


def test_one_draw_is_no_manifest():
    with pytest.raises(ConfigError, match="choose 2 or more"):
        resample(np.ones(3), 1, rng())
