"""How often the printed intervals cover, and how often equal groups raise an alarm.

The procedures are run on many simulated data sets at once; that the report prints the results of
these very procedures is a test of its own.
"""

import numpy as np
import pytest
from scipy.stats import binom

from debias.metrics import evaluate
from debias.metrics.gaps import Cells
from debias.metrics.rates import RATES, measures
from debias.statistics.groupings import Grouping
from debias.statistics.intervals import (
    bonferroni_level,
    clopper_pearson,
    counted,
    difference_limits,
    ratio,
    wilson,
)
from debias.statistics.people import Units, bootstrap

PROMISED_COVER = 0.94
MINIMUM = 30
ALL = measures(("no", "yes"), "yes")
ACCURACY = measures(("no", "yes"), "yes", ["accuracy"])
UNEQUAL = (2000, 30, 500, 30, 100, 60, 1000)
FIVE = np.array([2000, 500, 100, 30, 30])


def most_alarms(simulations):
    """The 99% point of the number of alarms when each has a probability of 5%."""
    return binom.ppf(0.99, simulations, 0.05)


def test_the_allowance_for_chance_is_the_published_one():
    assert [most_alarms(n) for n in (500, 1000, 10_000)] == [37, 67, 551]


# Coverage of the intervals of rates.


def _cover(limits, n, p):
    x = np.arange(n + 1)
    low, high = limits(x, np.full(n + 1, n))
    return binom.pmf(x, n, p)[(low <= p) & (p <= high)].sum()


@pytest.mark.parametrize("n", [5, 10, 20, 30, 50, 100, 200, 400, 1000, 2000])
def test_clopper_pearson_covers_every_rate(n):
    for p in (0.01, 0.02, 0.05, 0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99):
        assert _cover(clopper_pearson, n, p) >= 0.95


def test_the_enumeration_finds_an_interval_that_falls_short():
    def approximate(x, n):
        return wilson(x / n, n.astype(np.float64), 1.96)

    assert _cover(approximate, 5, 0.9) == pytest.approx(0.919, abs=0.001)
    assert _cover(approximate, 50, 0.98) == pytest.approx(0.922, abs=0.001)
    assert _cover(clopper_pearson, 50, 0.98) == pytest.approx(0.982, abs=0.001)


def _people(shape, p, cells, generator, replicates):
    """Cells in each of which ``people`` have ``images``, right with beta-binomial counts."""
    people, images, correlation = shape
    strength = (1 - correlation) / correlation
    right = generator.beta(p * strength, (1 - p) * strength, size=cells * people)
    table = np.zeros((cells * people, 2, 2), dtype=np.int64)
    table[:, 1, 1] = generator.binomial(images, right)
    table[:, 1, 0] = images - table[:, 1, 1]
    codes = np.repeat(np.arange(cells), people)
    units = Units(table=table, codes=codes, n_cells=cells, people=np.arange(len(codes)))
    summed = table.reshape(cells, people, 2, 2).sum(axis=1).astype(np.float64)
    return Cells(
        grouping=Grouping(attribute="a", cells=tuple(f"a:{i}" for i in range(cells)), codes=codes),
        found=ACCURACY,
        table=summed,
        units=units,
        clusters=bootstrap(units, ACCURACY, 0.95, generator, replicates),
        hidden=np.zeros((cells, 1), dtype=bool),
        state=np.full((cells, 1), "estimated", dtype=object),
    )


SHAPES = [(50, 20, 0.1), (50, 20, 0.3), (200, 5, 0.1)]
RATES_OF_PEOPLE = [0.5, 0.7, 0.9, 0.95, 0.99]


def _check_cover_with_people(shape, p, simulations, replicates):
    cells = _people(shape, p, simulations, np.random.default_rng(17), replicates)
    low, high = cells.limits(0.95)
    held = ((low <= p) & (p <= high)).sum()
    assert held >= binom.ppf(0.01, simulations, PROMISED_COVER)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("p", RATES_OF_PEOPLE)
def test_intervals_cover_when_people_repeat(shape, p):
    _check_cover_with_people(shape, p, simulations=400, replicates=500)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("p", RATES_OF_PEOPLE)
def test_intervals_cover_when_people_repeat_at_length(shape, p):
    _check_cover_with_people(shape, p, simulations=4000, replicates=2000)


@pytest.mark.parametrize(("shape", "cover"), list(zip(SHAPES, [0.735, 0.558, 0.899], strict=True)))
def test_without_identities_the_same_images_cover_as_little_as_published(shape, cover):
    cells = _people(shape, 0.9, 2000, np.random.default_rng(19), replicates=2)
    low, high = wilson(cells.value, cells.below, 1.96)
    assert ((low <= 0.9) & (high >= 0.9)).mean() == pytest.approx(cover, abs=0.03)


# False alarms, cover and power of the comparisons.


def _compared(value, size, tested, level=0.95):
    """Limits of all pairs, at the level adjusted over what is tested in each data set.

    Args: (simulations, groups, measures) each.
    """
    one, two = np.triu_indices(value.shape[1], k=1)
    pairs = tested[:, one] & tested[:, two]
    low, high = np.full(pairs.shape, -np.inf), np.full(pairs.shape, np.inf)
    comparisons = pairs.sum(axis=(1, 2))
    for count in np.unique(comparisons):
        of = comparisons == count
        sides = (part[of][:, which] for which in (one, two) for part in (value, size))
        low[of], high[of] = difference_limits(*sides, bonferroni_level(level, int(count)))
    return np.where(pairs, low, -np.inf), np.where(pairs, high, np.inf)


def _drawn(sizes, p, found, simulations, generator):
    """Rates, sizes and whether they are tested; half of the images are positives.

    Images of either class are right with probability p, one for all groups or one for each.
    """
    p = np.broadcast_to(p, len(sizes))
    each = np.stack([p, 1 - p, 1 - p, p], axis=1) / 2
    table = generator.multinomial(np.broadcast_to(sizes, (simulations, len(sizes))), each)
    above, below = counted(table.reshape(-1, 2, 2), found)
    shape = (simulations, len(sizes), len(found))
    return ratio(above, below).reshape(shape), below.reshape(shape), below.reshape(shape) >= MINIMUM


def _alarms(low, high):
    return ((low > 0) | (high < 0)).any(axis=(1, 2)).sum()


def _check_false_alarms(groups, p, found, simulations):
    generator = np.random.default_rng(groups)
    alarms, left = 0, simulations
    while left:
        now = min(left, 500)
        drawn = _drawn(np.resize(UNEQUAL, groups), p, found, now, generator)
        alarms, left = alarms + _alarms(*_compared(*drawn)), left - now
    assert alarms <= most_alarms(simulations)


@pytest.mark.parametrize("groups", [2, 4, 7, 14, 28])
@pytest.mark.parametrize("p", [0.9, 0.98])
@pytest.mark.parametrize("found", [ACCURACY, ALL], ids=["one metric", "all metrics"])
def test_equal_groups_raise_no_more_alarms_than_promised(groups, p, found):
    _check_false_alarms(groups, p, found, simulations=500)


@pytest.mark.slow
@pytest.mark.parametrize("groups", [2, 4, 7, 14, 28])
@pytest.mark.parametrize("p", [0.9, 0.98])
@pytest.mark.parametrize("found", [ACCURACY, ALL], ids=["one metric", "all metrics"])
def test_equal_groups_raise_no_more_alarms_than_promised_at_length(groups, p, found):
    _check_false_alarms(groups, p, found, simulations=10_000)


@pytest.mark.parametrize(
    ("sizes", "p"),
    [
        ((50,) * 7, 0.9),
        ((500,) * 7, 0.9),
        ((2000,) * 7, 0.9),
        ((1000,) * 2, 0.9),
        (FIVE, 0.9),
        (FIVE, (0.9, 0.75, 0.9, 0.9, 0.9)),
        (FIVE, (0.9, 0.9, 0.75, 0.9, 0.9)),
    ],
)
def test_all_intervals_hold_at_once(sizes, p):
    generator, simulations = np.random.default_rng(23), 1000
    low, high = _compared(*_drawn(sizes, p, ACCURACY, simulations, generator))
    one, two = np.triu_indices(len(sizes), k=1)
    p = np.broadcast_to(p, len(sizes))
    truth = (p[one] - p[two])[:, None]
    missed = ~((low <= truth) & (truth <= high)).all(axis=(1, 2))
    assert missed.sum() <= most_alarms(simulations)


@pytest.mark.parametrize(
    ("bad", "needed"),
    # The promise is 188 of 200. In the smallest group that can be told apart at all, of 100
    # images, the gap is found in 92% of samples: its 99% point is 173.
    [(1, 188), (2, 173)],
)
def test_a_gap_of_15_points_is_found(bad, needed):
    p = np.full(5, 0.9)
    p[bad] = 0.75
    drawn = _drawn(FIVE, p, ACCURACY, 200, np.random.default_rng(29))
    assert _alarms(*_compared(*drawn)) >= needed


@pytest.mark.parametrize("shape", SHAPES)
def test_equal_groups_of_people_who_repeat_raise_no_more_alarms_than_promised(shape):
    simulations, groups = 500, 4
    generator = np.random.default_rng(31)
    cells = _people(shape, 0.9, simulations * groups, generator, replicates=400)
    level = bonferroni_level(0.95, groups * (groups - 1) // 2)
    value = cells.value.reshape(simulations, groups, 1)
    worth = cells.effective(level).reshape(value.shape)
    images = cells.below.reshape(value.shape)
    tested = np.full(value.shape, True)
    assert _alarms(*_compared(value, worth, tested)) <= most_alarms(simulations)
    # The same images without identities: the simulation can tell.
    assert _alarms(*_compared(value, images, tested)) > most_alarms(simulations)


# The report prints what was simulated.


def test_the_report_prints_the_limits_that_were_simulated():
    generator = np.random.default_rng(37)
    group = np.repeat([f"g{i}" for i in range(5)], FIVE)
    y_true = generator.integers(0, 2, len(group))
    y_pred = np.where(generator.random(len(group)) < 0.9, y_true, 1 - y_true)
    report = evaluate(y_true, y_pred, groups={"tone": group})
    rows = report.by_group.set_index(["metric", "group"])
    printed = rows.loc[rows["state"] == "estimated"]
    low, high = clopper_pearson(
        printed["numerator"].to_numpy(), printed["denominator"].to_numpy(), 0.95
    )
    np.testing.assert_allclose(printed["low"], low)
    np.testing.assert_allclose(printed["high"], high)
    order = [(name, f"tone:g{i}") for i in range(5) for name in RATES]
    value, size = (
        rows.loc[order, name].to_numpy(dtype=float).reshape(1, 5, len(RATES))
        for name in ("value", "denominator")
    )
    low, high = _compared(value, size, size >= MINIMUM)
    gaps = report.gaps.set_index(["metric", "group", "other"])
    one, two = np.triu_indices(5, k=1)
    for place, (first, second) in enumerate(zip(one, two, strict=True)):
        for column, name in enumerate(RATES):
            gap = gaps.loc[(name, f"tone:g{first}", f"tone:g{second}")]
            if np.isfinite(low[0, place, column]):
                assert gap["low"] == pytest.approx(low[0, place, column], abs=1e-12)
                assert gap["high"] == pytest.approx(high[0, place, column], abs=1e-12)
            else:
                assert np.isnan(gap["low"])
    assert report.comparisons == np.isfinite(low).sum() == gaps["low"].notna().sum()
