import numpy as np
import pytest
from scipy.stats import binom, binomtest

from debias.statistics.intervals import clopper_pearson, cut, seed_limits


@pytest.mark.parametrize("n", [5, 10, 20, 50, 100, 400, 2000])
@pytest.mark.parametrize("p", [0.5, 0.9, 0.98])
def test_covers_at_least_the_level_by_exact_enumeration(n, p):
    x = np.arange(n + 1)
    low, high = clopper_pearson(x, np.full(n + 1, n), 0.95)
    covered = (low <= p) & (p <= high)
    assert binom.pmf(x, n, p)[covered].sum() >= 0.95 - 1e-9


@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
@pytest.mark.parametrize(
    ("x", "n"), [(0, 1), (1, 1), (0, 40), (3, 40), (20, 40), (40, 40), (7, 900)]
)
def test_agrees_with_scipy(x, n, level):
    expected = binomtest(x, n).proportion_ci(confidence_level=level, method="exact")
    low, high = clopper_pearson(np.array([x]), np.array([n]), level)
    np.testing.assert_allclose([low[0], high[0]], [expected.low, expected.high], atol=1e-12)


def test_undefined_without_a_denominator_and_keeps_the_shape():
    low, high = clopper_pearson(np.array([[0, 1], [2, 0]]), np.array([[0, 2], [2, 5]]))
    np.testing.assert_array_equal(np.isnan(low), [[True, False], [False, False]])
    np.testing.assert_array_equal(np.isnan(low), np.isnan(high))


def test_real_numerators_grow_continuously_between_whole_ones():
    x = np.linspace(0, 30, 3001)
    low, high = clopper_pearson(x, np.full(len(x), 30.0))
    assert (np.diff(low) >= 0).all()
    assert (np.diff(high) >= 0).all()
    assert max(np.diff(low)[:-1].max(), np.diff(high)[1:].max()) < 0.01
    assert (low <= x / 30).all()
    assert (x / 30 <= high).all()


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, float("nan")])
def test_refuses_an_impossible_level(level):
    with pytest.raises(ValueError, match="level must lie in"):
        clopper_pearson(np.array([1]), np.array([2]), level)


@pytest.mark.parametrize("numerator", [-1.0, 3.0, float("nan")])
def test_refuses_an_impossible_numerator(numerator):
    with pytest.raises(ValueError, match="between 0 and their denominator"):
        clopper_pearson(np.array([numerator]), np.array([2.0]))


def test_training_again_cannot_lead_a_rate_or_a_gap_beyond_all_or_nothing():
    differences = np.array([[-0.3, 0.1, -0.9], [0.5, 0.1, 1.7]])
    before = np.array([0.667, 0.5, -0.4])
    sd, *limits = seed_limits(differences, 0.95)
    low, high = cut(limits, before)
    assert (low[0], high[0]) == pytest.approx((-0.667, 0.333))
    assert (sd[1], np.isnan([low[1], high[1]]).all()) == (0.0, True)  # alike in both trainings
    low, high = cut(limits, before, -1.0)
    assert (low[2], high[2]) == pytest.approx((-0.6, 1.4))
