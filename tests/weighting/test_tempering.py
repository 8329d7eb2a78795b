"""Weights of a declared effective sample size, against a slow and obvious calculation."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from debias.weighting.tempering import apply, temper

ONE = np.zeros(2000, dtype=np.int64)
NORMAL = np.random.default_rng(0).normal(size=2000)


def ess(probability) -> float:
    return 1 / (len(probability) * np.square(probability).sum())


def slowly(score, tau, cap):
    """min(c * exp(tau * score), cap / n) with the c for which they sum to 1."""
    log_weight, limit = tau * (score - score.max()), cap / len(score)

    def total(log_c):
        return np.exp(np.minimum(log_c + log_weight, np.log(limit))).sum() - 1

    if len(score) * limit <= 1 + 1e-12:
        return np.full(len(score), 1 / len(score))
    high = np.log(limit) - log_weight.min()
    return np.exp(np.minimum(brentq(total, -50, high, xtol=1e-13) + log_weight, np.log(limit)))


def solve(score, parts=None, *, target=0.5, cap=20.0):
    """The weights and whether there was a warning."""
    parts = np.zeros(len(score), dtype=np.int64) if parts is None else parts
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = temper(score, parts, ess=target, cap=cap)
    assert all("effective sample size" in str(warning.message) for warning in said)
    return found, bool(said)


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0, 3.0, 30.0])
@pytest.mark.parametrize("cap", [1.5, 20.0, 1e6])
@pytest.mark.parametrize("size", [7, 2000])
def test_weights_for_a_given_tau(tau, cap, size):
    found = apply(NORMAL[:size], ONE[:size], tau=tau, cap=cap)
    expected = slowly(NORMAL[:size], tau, cap)
    np.testing.assert_allclose(found.probability, expected, rtol=1e-7, atol=1e-15)
    assert found.tau == pytest.approx(tau)
    assert found.capped == (expected > cap / size * (1 - 1e-9)).sum()


def test_two_samples_by_hand():
    # e : 1, and with a cap of 1.2 of the mean 0.6 : 0.4.
    score = np.array([1.0, 0.0])
    share = np.e / (np.e + 1)
    plain = apply(score, ONE[:2], tau=1.0, cap=2.0)
    np.testing.assert_allclose(plain.probability, [share, 1 - share])
    cut = apply(score, ONE[:2], tau=1.0, cap=1.2)
    np.testing.assert_allclose(cut.probability, [0.6, 0.4])
    assert (plain.capped, cut.capped) == (0, 1)


scores = st.lists(
    st.one_of(
        st.integers(-3, 3).map(float),
        st.floats(-50, 50, width=32),
        st.integers(-9, 9).map(lambda value: value * 1e140),
        st.integers(-9, 9).map(lambda value: value * 1e-140),
    ),
    min_size=2,
    max_size=40,
).map(np.array)


@settings(max_examples=200, deadline=None)
@given(
    scores,
    st.floats(0.01, 1.0),
    st.sampled_from([1.01, 2.0, 20.0, 1e9]),
    st.integers(1, 3),
)
def test_the_target_is_met_or_the_closest_possible_with_a_warning(score, target, cap, several):
    parts = np.arange(len(score), dtype=np.int64) % min(several, len(score))
    found, warned = solve(score, parts, target=target, cap=cap)
    weight = found.probability
    assert np.isfinite(weight).all()
    assert weight.min() >= 0
    assert weight.sum() == pytest.approx(1, abs=1e-9)
    for part in np.unique(parts):
        here = parts == part
        assert weight[here].sum() == pytest.approx(here.mean())
        assert weight[here].max() * len(score) <= cap * (1 + 1e-9)
        # A rarer sample never gets less.
        order = np.argsort(score[here], kind="stable")
        assert (np.diff(weight[here][order]) >= -1e-12 / len(score)).all()
    reached = ess(weight)
    close = abs(reached - target) <= 0.01 * target
    assert warned == (not close)
    if not close:
        assert reached == pytest.approx(least(score, parts, cap), rel=1e-3)


def least(score, parts, cap):
    """Effective sample size when each part piles on its rarest samples, ties sharing alike."""
    weight = np.zeros(len(score))
    for part in np.unique(parts):
        rows = np.flatnonzero(parts == part)
        left, limit = 1.0, cap / len(rows)
        for value in sorted(set(score[rows].tolist()), reverse=True):
            ties = rows[score[rows] == value]
            weight[ties] = min(limit, left / len(ties)) * len(rows) / len(score)
            left = max(0.0, left - limit * len(ties))
    return ess(weight)


def test_a_warning_says_what_is_in_the_way():
    constant = np.zeros(50)
    with pytest.warns(UserWarning, match=r"1\.000 instead of 0\.500: every sample is equally rare"):
        assert temper(constant, ONE[:50], ess=0.5, cap=20.0).tau == 0
    tied = np.repeat([0.0, 1.0], [20, 30])
    with pytest.warns(UserWarning, match=r"0\.600 instead of 0\.500: ties among the rarest"):
        temper(tied, ONE[:50], ess=0.5, cap=20.0)
    with pytest.warns(UserWarning, match=r"instead of 0\.300: the cap of 1\.5 times the mean"):
        temper(NORMAL, ONE, ess=0.3, cap=1.5)


def test_of_two_sides_the_one_that_can_be_reached_is_taken():
    # 40 of 100 tie for the rarest: 0.4 is the limit; 0.401 lies above it and is met.
    score = np.repeat([0.0, 1.0], [60, 40])
    found, warned = solve(score, target=0.401)
    assert ess(found.probability) == pytest.approx(0.401)
    assert not warned
    found, warned = solve(score, target=0.39)
    assert ess(found.probability) == pytest.approx(0.4, rel=2e-4)
    assert warned


@pytest.mark.parametrize("outlier", [1e3, 1e12, 1e300], ids=lambda value: f"outlier {value:.0e}")
def test_one_extreme_score_does_not_hide_the_others(outlier):
    score = np.append(NORMAL, outlier)
    found, warned = solve(score, cap=20.0)
    assert not warned
    assert ess(found.probability) == pytest.approx(0.5, rel=1e-6)
    assert found.probability[-1] == pytest.approx(20 / len(score))


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1e12, 1e300])
def test_scale_only_changes_tau(scale):
    expected, found = solve(NORMAL)[0], solve(NORMAL * scale)[0]
    np.testing.assert_allclose(found.probability, expected.probability, rtol=1e-9)
    assert found.tau * scale == pytest.approx(expected.tau)


def test_a_shift_and_the_order_change_nothing():
    expected = solve(NORMAL)[0]
    shifted = solve(NORMAL - 1e6)[0]
    np.testing.assert_allclose(shifted.probability, expected.probability, rtol=1e-6)
    order = np.random.default_rng(1).permutation(len(NORMAL))
    permuted = solve(NORMAL[order])[0]
    np.testing.assert_allclose(permuted.probability, expected.probability[order], rtol=1e-9)


def test_parts_share_one_tau_and_keep_their_weight():
    parts = (np.arange(2000) < 100).astype(np.int64)
    score = NORMAL + 7 * parts  # one class far above the other changes nothing
    found, _ = solve(score, parts)
    plain, _ = solve(NORMAL, parts)
    np.testing.assert_allclose(found.probability, plain.probability, rtol=1e-9)
    for part in (0, 1):
        here = parts == part
        alone = apply(score[here], ONE[: here.sum()], tau=found.tau, cap=20.0)
        np.testing.assert_allclose(found.probability[here], alone.probability * here.mean())


@pytest.mark.parametrize("target", [0.02, 0.5, 0.98])
def test_many_samples_meet_the_target_as_exactly(target):
    """Above some 65,000 samples the first guess comes from some of them."""
    generator = np.random.default_rng(2)
    score, parts = generator.standard_exponential(200_000), generator.integers(0, 2, 200_000)
    found, warned = solve(score, parts, target=target, cap=200.0)
    assert not warned
    assert ess(found.probability) == pytest.approx(target, rel=1e-8)


def test_a_guess_from_samples_that_all_tie_still_ends_well():
    score = np.zeros(200_000)
    score[1::2] = np.random.default_rng(3).normal(size=100_000)  # every third to sixth: all sorts
    score[:: 200_000 // 2**15] = 0.0  # exactly those that the guess looks at
    found, warned = solve(score)
    assert not warned
    assert ess(found.probability) == pytest.approx(0.5, rel=1e-8)
