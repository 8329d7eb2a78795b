from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln, xlogy
from scipy.stats import binomtest

from debias.metrics.changes import _p_of_cells
from debias.metrics.paired import (
    Changes,
    bootstrap_deviation,
    change_limits,
    change_limits_p_value,
    change_p_value,
    measured,
    paired_counts,
    stacked,
)
from debias.metrics.rates import measures
from debias.statistics.intervals import cut, seed_limits

ACCURACY, RECALL, FALSE_ALARM, _ = (one for one in measures(("0", "1"), "1") if one.is_paired)


def moved(gained, lost, n):
    """One cell of n images that are all of class 1: so many newly right, so many newly wrong."""
    before, after = np.ones(n, dtype=np.int64), np.ones(n, dtype=np.int64)
    before[:gained] = 0
    after[gained : gained + lost] = 0
    return before, after


def counts_of(before, after, codes=None, people=None, n_cells=None):
    """All images are of class 1, so an image is right when its value is 1."""
    before, after = np.atleast_2d(before), np.atleast_2d(after)
    n = before.shape[1]
    codes = np.zeros(n, dtype=np.int64) if codes is None else codes
    cells = int(codes.max()) + 1 if n_cells is None else n_cells
    return paired_counts(
        ACCURACY, np.ones(n, dtype=np.int64), (before, after), codes, cells, people
    )


def simulated(shape, gained, lost, seed, correlation=0.0, trainings=1):
    """``shape``: simulations (one cell each), people, images of each; shares drawn by person."""
    runs, people, images = shape
    rng = np.random.default_rng(seed)
    mean = np.array([gained, lost, 1 - gained - lost])
    share = np.broadcast_to(mean, (runs, people, 3))
    if correlation:
        drawn = rng.standard_gamma(np.maximum(mean * (1 / correlation - 1), 1e-9), share.shape)
        share = drawn / drawn.sum(axis=2, keepdims=True)
    share = np.repeat(share.reshape(-1, 3), images, axis=0)
    uniform = rng.random((trainings, len(share)))
    up = uniform < share[:, 0]
    down = ~up & (uniform < share[:, 0] + share[:, 1])
    before = np.where(up, 0, np.where(down, 1, rng.integers(0, 2, up.shape)))
    codes = np.repeat(np.arange(runs), people * images)
    who = np.tile(np.repeat(np.arange(people), images), runs) if images > 1 else None
    return counts_of(before, before + up - down, codes, who)


def test_mcnemar_by_hand():
    counts = counts_of(*moved(8, 2, 50))
    assert change_p_value(counts)[0] == pytest.approx(2 * (1 + 10 + 45) / 2**10)
    assert (counts.gained[0], counts.lost[0], counts.images[0]) == (8, 2, 50)
    assert (counts.before[0], counts.after[0]) == pytest.approx((42 / 50, 48 / 50))
    assert counts.by_training[0, 0] == pytest.approx(6 / 50)


@settings(deadline=None)
@given(gained=st.integers(0, 60), lost=st.integers(0, 60))
def test_agrees_with_the_exact_binomial_test(gained, lost):
    p = change_p_value(counts_of(*moved(gained, lost, 130)))[0]
    expected = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert p == pytest.approx(expected, rel=1e-9, abs=1e-14)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), trainings=st.integers(1, 4), people=st.integers(1, 9))
def test_agrees_with_all_flips_of_signs(seed, trainings, people):
    rng = np.random.default_rng(seed)
    before, after = rng.integers(0, 2, (2, trainings, 40))
    who = rng.integers(0, people, 40)
    d = np.bincount(who, weights=(after - before).sum(axis=0))
    sums = np.abs([np.dot(signs, d) for signs in product((-1, 1), repeat=len(d))])
    p = change_p_value(counts_of(before, after, people=who))[0]
    assert p == pytest.approx((sums >= abs(d.sum())).mean(), abs=1e-12)


def test_many_cells_at_once_are_as_each_alone():
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, 2, (2, 3, 4_000))
    codes, who = rng.integers(0, 30, 4_000), rng.integers(0, 500, 4_000)
    together = change_p_value(counts_of(before, after, codes, who))
    for cell in (0, 13, 29):
        here = codes == cell
        alone = change_p_value(counts_of(before[:, here], after[:, here], people=who[here]))
        assert together[cell] == pytest.approx(alone[0], abs=1e-12)
    parts = [counts_of(before, after, codes, who), counts_of(before[:, :50], after[:, :50])]
    assert change_p_value(stacked(parts))[:30] == pytest.approx(together, abs=1e-12)


def test_only_the_denominator_counts():
    y_true, codes = np.array([0, 0, 0, 1, 1]), np.zeros(5, dtype=np.int64)
    before, after = np.array([[0, 1, 1, 1, 0]]), np.array([[1, 0, 0, 1, 1]])
    recall, alarms = (
        paired_counts(one, y_true, (before, after), codes, 2, None) for one in (RECALL, FALSE_ALARM)
    )
    assert (recall.images[0], recall.before[0], recall.after[0]) == (2, 0.5, 1.0)
    assert (alarms.images[0], alarms.gained[0], alarms.lost[0]) == (3, 1, 2)
    empty = measured(recall, np.random.default_rng(0)), change_p_value(recall)
    assert np.isnan([recall.before[1], empty[0].value[1], empty[1][1]]).all()
    assert np.isnan(change_limits(empty[0], 0.95)).tolist() == [[False, True]] * 2


def test_a_p_value_is_never_zero():
    assert 0 < change_p_value(counts_of(*moved(5_000, 0, 5_000)))[0] < 1e-10


def test_nothing_changed_is_no_certainty():
    counts = counts_of(*moved(0, 0, 100))
    low, high = change_limits(measured(counts, np.random.default_rng(0)), 0.95)
    assert change_p_value(counts)[0] == 1
    # Wilson's upper limit of 0 in 100, on either side.
    assert (-low[0], high[0]) == pytest.approx([3.8415 / 103.8415] * 2, rel=0.01)


def test_size_and_power_of_the_exact_test():
    runs = 3_000
    equal = change_p_value(simulated((runs, 300, 1), 0.04, 0.04, seed=1))
    assert (equal <= 0.05).mean() <= 0.05
    for n, power in ((300, 0.64), (1_000, 0.995)):
        p = change_p_value(simulated((runs, n, 1), 0.06, 0.02, seed=n))
        error = np.sqrt(power * (1 - power) / runs)
        assert (p <= 0.05).mean() == pytest.approx(power, abs=max(3 * error, 0.01))


def test_identical_arms_with_noise_of_training_are_rarely_told_apart():
    """Every training has its own bias in each group, drawn alike for both arms."""
    rng = np.random.default_rng(7)
    runs, n, seeds = 1_000, 200, 5
    codes = np.repeat(np.arange(runs), n)
    easy = rng.normal(1.3, 1.0, runs * n)
    arms = []
    for _ in range(2):
        bias = np.repeat(rng.normal(0, 0.25, (seeds, runs)), n, axis=1)
        noise = rng.normal(0, 0.5, (seeds, runs * n))
        arms.append((easy + bias + noise > 0).astype(np.int64))
    counts = counts_of(*arms, codes)
    seen = change_p_value(counts) <= 0.05
    low, high = cut(seed_limits(counts.by_training, 0.95)[1:], counts.before)
    claims = seen & ((low > 0) | (high < 0))
    assert claims.mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)
    # Images alone would not do: they say nothing about other trainings.
    assert seen.mean() > 0.2


@pytest.mark.parametrize("trainings", [1, 3])
def test_bootstrap_agrees_with_the_variance_between_people(trainings):
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, 2, (2, trainings, 6_000))
    codes, who = np.sort(rng.integers(0, 3, 6_000)), rng.integers(0, 150, 6_000)
    counts = counts_of(before, after, codes, who)
    found = bootstrap_deviation(counts, np.random.default_rng(1), 4_000)
    for cell in range(3):
        here = codes == cell
        d = np.bincount(who[here], weights=(after - before)[:, here].mean(axis=0), minlength=150)
        n = np.bincount(who[here], minlength=150)
        u = (n > 0).sum()
        squares = np.square(d - n * d.sum() / n.sum()).sum()
        assert found[cell] == pytest.approx(np.sqrt(u / (u - 1) * squares) / n.sum(), rel=0.05)


def test_neither_the_order_of_images_nor_the_run_changes_anything():
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, 2, (2, 2, 500))
    codes, who = rng.integers(0, 4, 500), rng.integers(0, 60, 500)
    order = rng.permutation(500)
    one = measured(counts_of(before, after, codes, who), np.random.default_rng(3))
    other = measured(
        counts_of(before[:, order], after[:, order], codes[order], who[order]),
        np.random.default_rng(3),
    )
    for name in Changes.__dataclass_fields__:
        assert np.array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("n", [50, 200, 1_000])
def test_the_interval_of_independent_images_covers_by_exact_enumeration(n):
    for gained, lost in product((0.0, 0.001, 0.005, 0.02, 0.06, 0.2, 0.4), repeat=2):
        if gained < lost or gained == 0:
            continue
        most = [int(min(n, n * p + 8 * np.sqrt(n * p) + 8)) for p in (gained, lost)]
        up, down = (part.ravel() for part in np.mgrid[: most[0] + 1, : most[1] + 1].astype(float))
        up, down = up[up + down <= n], down[up + down <= n]
        rest = n - up - down
        log_p = gammaln(n + 1) - gammaln(up + 1) - gammaln(down + 1) - gammaln(rest + 1)
        log_p += xlogy(up, gained) + xlogy(down, lost) + xlogy(rest, 1 - gained - lost)
        low, high = change_limits(_independent(up / n, down / n, n), 0.95)
        truth = gained - lost
        covered = (low <= truth + 1e-12) & (high >= truth - 1e-12)
        assert np.exp(log_p[covered]).sum() >= 0.94, (gained, lost)


def _independent(gained, lost, n):
    """Without Student's t, which could only widen the interval."""
    size = np.full(len(gained), float(n))
    return Changes(
        value=gained - lost, deviation=np.full(len(gained), np.nan), freedom=size - 1,
        gained=gained, lost=lost, gained_size=size, lost_size=size,
    )  # fmt: skip


RUNS = 500
PEOPLE = [
    ((50, 20), 0.1, 0.06, 0.02),
    ((50, 20), 0.3, 0.1, 0.1),
    ((50, 20), 0.3, 0.01, 0.0),
    ((200, 5), 0.1, 0.02, 0.02),
    ((20, 10), 0.3, 0.06, 0.02),
]


@cache
def of_people(sizes, correlation, gained, lost):
    return simulated((RUNS, *sizes), gained, lost, seed=11, correlation=correlation)


@pytest.mark.parametrize(("sizes", "correlation", "gained", "lost"), PEOPLE)
def test_the_interval_covers_where_people_repeat(sizes, correlation, gained, lost):
    changes = measured(of_people(sizes, correlation, gained, lost), np.random.default_rng(0))
    low, high = change_limits(changes, 0.95)
    truth = gained - lost
    covered = ((low <= truth) & (high >= truth)).mean()
    assert covered >= 0.94 - 2 * np.sqrt(0.94 * 0.06 / RUNS)


def test_without_regard_to_people_it_would_not_cover():
    counts = of_people((50, 20), 0.3, 0.1, 0.1)
    changes = measured(counts, np.random.default_rng(0))
    size = counts.images.astype(float)
    blind = replace(changes, gained_size=size, lost_size=size, deviation=np.full(RUNS, np.nan))
    low, high = change_limits(blind, 0.95)
    assert ((low <= 0) & (high >= 0)).mean() < 0.8


def test_a_few_people_with_all_the_gains_make_no_finding():
    """Gains by few people, losses spread over all: flipping signs alone finds too much."""
    rng = np.random.default_rng(0)
    up = rng.random((RUNS, 50, 20)) < rng.beta(0.047, 2.29, (RUNS, 50, 1))
    down = ~up & (rng.random(up.shape) < 0.02)
    before = np.where(up, 0, 1).ravel()
    after = np.where(down, 0, 1).ravel()
    codes, who = np.repeat(np.arange(RUNS), 1_000), np.tile(np.repeat(np.arange(50), 20), RUNS)
    counts = counts_of(before, after, codes, who)
    changes = measured(counts, np.random.default_rng(0))
    assert (change_p_value(counts) <= 0.05).mean() > 0.08
    assert (_p_of_cells(counts, changes) <= 0.05).mean() <= 0.05 + 2 * np.sqrt(0.0475 / RUNS)


def _gaps(counts, seed=0):
    changes = measured(counts, np.random.default_rng(seed))
    first = np.arange(0, len(counts.images), 2)
    return changes.take(first), changes.take(first + 1)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.9995])
def test_the_interval_of_a_gap_and_its_p_value_are_one_thing(level):
    counts = stacked(
        [
            simulated((60, 150, 1), 0.1, 0.05, seed=1),
            simulated((60, 40, 4), 0.15, 0.1, seed=2, correlation=0.2),
        ]
    )
    first, second = _gaps(counts)
    low, high = change_limits(first, level, second)
    p = change_limits_p_value(first, second)
    excluded = (low > 0) | (high < 0)
    decided = np.abs(p - (1 - level)) > 1e-6
    assert (excluded == (p < 1 - level))[decided].all()
    assert (p[(first.value == second.value)] == 1).all()


@pytest.mark.parametrize(("sizes", "correlation"), [((50, 20), 0.3), ((300, 1), 0.0)])
def test_gaps_that_did_not_change_are_rarely_found(sizes, correlation):
    p = change_limits_p_value(*_gaps(simulated((1_000, *sizes), 0.08, 0.08, 5, correlation)))
    assert (p <= 0.05).mean() <= 0.05 + 2 * np.sqrt(0.0475 / len(p))


def test_the_interval_of_a_gap_is_hand_computed():
    first, second = (
        _independent(np.array([0.1]), np.array([0.0]), 100),
        _independent(np.array([0.0]), np.array([0.0]), 100),
    )
    low, high = change_limits(first, 0.95, second)
    # Wilson: 10 in 100 -> [0.0552, 0.1744], 0 in 100 -> [0, 0.0370].
    assert low[0] == pytest.approx(0.1 - np.hypot(np.hypot(0.0448, 0.0370), 0.0370), abs=2e-4)
    assert high[0] == pytest.approx(0.1 + np.hypot(0.0744, 0.0370), abs=2e-4)


def test_people_with_few_steps_count_once():
    who = np.repeat(np.arange(50), 20)
    before, after = moved(40, 0, 1_000)  # two people, all their images
    changes = measured(counts_of(before, after, people=who), np.random.default_rng(0))
    assert (changes.gained_size[0], changes.lost_size[0]) == (50, 50)
    alone = measured(counts_of(before, after), np.random.default_rng(0))
    assert (alone.gained_size[0], alone.lost_size[0]) == (1_000, 1_000)


def test_several_trainings_are_worth_at_most_as_many_images():
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, 2, (2, 5, 400))
    changes = measured(counts_of(before, after), np.random.default_rng(0))
    assert 400 < changes.gained_size[0] <= 2_000
