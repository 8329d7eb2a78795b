"""Rates as quotients of two sums of counts; intervals of them and of differences, many at once.

``g`` cells, ``c`` classes, ``m`` measures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, Real
from numpy.typing import ArrayLike
from scipy.special import betaincinv, ndtr, ndtri, stdtrit

Counts = Real[np.ndarray, "*cells"]
Figures = Float64[np.ndarray, "*cells"]
PerPair = Float64[np.ndarray, " pairs"]

Z = float | Float64[np.ndarray, "..."]
Limits = tuple[Float64[np.ndarray, "..."], Float64[np.ndarray, "..."]]
Many = Real[np.ndarray, "*pairs"]
Limited = tuple[np.ndarray, np.ndarray, np.ndarray]  # a rate, its lower and its upper limit

# Rungs of z between which p-values are interpolated; beyond 12 nobody tells p-values apart.
_LADDER = np.linspace(0.0, 12.0, 401)


@dataclass(frozen=True, kw_only=True, eq=False)
class Measure:
    """A rate of the classes at hand; counts are indexed [true class, predicted class]."""

    name: str  # ``accuracy``; of more than two classes ``true_positive_rate[cat]``
    numerator: Int64[np.ndarray, "c c"]  # 0 and 1
    denominator: Int64[np.ndarray, "c c"]
    counted: str  # what the denominator counts

    @property
    def is_paired(self) -> bool:
        """Whether the denominator is the same images whatever was predicted."""
        return bool((self.denominator == self.denominator[:, :1]).all())


def counted(
    table: Real[np.ndarray, "g c c"], found: Sequence[Measure]
) -> tuple[Float64[np.ndarray, "g m"], Float64[np.ndarray, "g m"]]:
    """Numerator and denominator of every measure in every cell."""
    flat = table.reshape(len(table), -1).astype(np.float64)
    above = np.stack([one.numerator.ravel() for one in found], axis=1)  # (c * c, m)
    below = np.stack([one.denominator.ravel() for one in found], axis=1)
    return flat @ above, flat @ below


def ratio(numerator: Counts, denominator: Counts) -> Figures:
    """Divide; NaN, never 0, where the denominator is 0."""
    undefined = np.full(numerator.shape, np.nan)
    return np.divide(numerator, denominator, out=undefined, where=denominator > 0)


def clopper_pearson(
    numerator: Counts, denominator: Counts, level: float = 0.95
) -> tuple[Figures, Figures]:
    """Exact two-sided interval for a proportion, from the quantiles of the beta distribution.

    ``low = B(a; x, n - x + 1)`` and ``high = B(1 - a; x + 1, n - x)`` with ``a = (1 - level) / 2``.
    It covers the true proportion with at least probability ``level`` for every n and p when the
    n samples are independent; images of one person are not. Limits lie in [0, 1]; NaN for n = 0.

    Raises:
        ValueError: The level is outside (0, 1), or a numerator outside [0, denominator].

    Reference:
        Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of
        the binomial", Biometrika 26, 1934. Deviation: the numerator may be a mean of counts; the
        limits grow with it continuously and agree with the exact ones at whole numbers.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), got {level}")
    x, n = numerator.astype(np.float64), denominator.astype(np.float64)
    wrong = ~((x >= 0) & (x <= n))
    if wrong.any():
        raise ValueError(
            f"numerators must lie between 0 and their denominator; {wrong.sum()} do not, "
            f"first {x[wrong][0]:g} of {n[wrong][0]:g}"
        )
    tail = (1 - level) / 2
    # At the two ends the beta distribution has no mass to invert: the limit is the end itself.
    low = np.where(x > 0, betaincinv(np.where(x > 0, x, 1), n - x + 1, tail), 0.0)
    high = np.where(x < n, betaincinv(x + 1, np.where(x < n, n - x, 1), 1 - tail), 1.0)
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


@dataclass(frozen=True, kw_only=True)
class Share:
    """A part of a set, with a 95 % interval (Clopper-Pearson)."""

    count: int  # images of the part
    size: int  # images of the set
    value: float
    low: float
    high: float


def share_of(count: int, size: int) -> Share:
    """A share with its interval; ``size`` is at least 1."""
    low, high = map(float, clopper_pearson(np.array(count), np.array(size)))
    return Share(count=count, size=size, value=count / size, low=low, high=high)


def wilson(value: Figures, size: Figures, z: Z) -> Limits:
    """Score interval of a proportion; a building block of ``group_limits``, not printed itself.

    ``size`` independent images stand behind it, above 0 and real-valued; ``z`` is a quantile of
    the standard normal distribution, such as 1.96.

    Reference:
        Wilson 1927, Journal of the American Statistical Association 22.
    """
    squared = np.square(z)
    centre = value + squared / (2 * size)
    half = z * np.sqrt(value * (1 - value) / size + squared / (4 * np.square(size)))
    scale = 1 + squared / size
    return np.maximum((centre - half) / scale, 0.0), np.minimum((centre + half) / scale, 1.0)


def group_limits(value: Figures, size: Figures, z: Z) -> Limits:
    """Outer limits of the Wilson and the Jeffreys interval, from which differences are formed.

    At the levels that many comparisons ask for, Wilson's tails are too short for rates near 0 or
    1, and Jeffreys' for two groups of which one is small. Their outer limits keep 2 to 28 equal
    groups of 30 to 2,000 images, rates 0.5 to 0.995, at a false alarm in 5 % of data sets (Wilson
    alone: up to 12 %), and cost 0 to 2 points of power at the sizes that plain tables ask for
    (4 for groups of about 100). Arguments as in ``wilson``.
    """
    low, high = wilson(value, size, z)
    tail, hits = ndtr(-np.asarray(z)), value * size
    misses = size - hits
    other_low = np.where(value > 0, betaincinv(hits + 0.5, misses + 0.5, tail), 0.0)
    # The upper limit as a lower one of the misses: 1 - tail is 1 for large z.
    other_high = np.where(value < 1, 1 - betaincinv(misses + 0.5, hits + 0.5, tail), 1.0)
    return np.minimum(low, other_low), np.maximum(high, other_high)


def difference_limits(
    first: Figures,
    first_size: Figures,
    second: Figures,
    second_size: Figures,
    level: float,
    wider: float | Figures = 1.0,
) -> tuple[Figures, Figures]:
    """Interval of ``first - second``, two proportions with so many independent images behind them.

    Proportions lie in [0, 1], sizes above 0, ``level`` in (0, 1), already adjusted for the number
    of comparisons; ``wider``, at least 1, stretches it where the groups are not independent.

    Reference:
        Newcombe 1998, Interval estimation for the difference between independent proportions,
        Statistics in Medicine 17, method 10. Deviation: limits of each group by ``group_limits``.
    """
    z = float(ndtri((1 + level) / 2))
    below, above = _reach(
        (first, *group_limits(first, first_size, z)),
        (second, *group_limits(second, second_size, z)),
    )
    difference = first - second
    low, high = difference - wider * below, difference + wider * above
    return np.maximum(low, -1.0), np.minimum(high, 1.0)


def difference_p_value(
    first: PerPair,
    first_size: PerPair,
    second: PerPair,
    second_size: PerPair,
    wider: PerPair | None = None,
) -> PerPair:
    """One less the level at which ``difference_limits`` just touches 0; NaN where a rate is.

    An interval that excludes 0 and a p-value below one less its level are thus the same thing.
    The limits of a group are tabulated over z once, however many pairs it is in: exact to 0.1 %
    of p, and never below 1e-32.
    """
    defined = np.flatnonzero(~np.isnan(first + second + first_size + second_size))
    p = np.full(len(first), np.nan)
    factors = np.ones(len(first)) if wider is None else wider
    if len(defined):
        value = np.concatenate([first[defined], second[defined]])
        size = np.concatenate([first_size[defined], second_size[defined]])
        p[defined] = 2 * ndtr(-_touching(value, size, factors[defined]))
    return p


def holm(p: Float64[np.ndarray, " m"]) -> Float64[np.ndarray, " m"]:
    """Adjust p-values so that a false alarm among all of them has at most their level.

    NaN for a comparison that was not made stays NaN and does not count.

    Reference:
        Holm 1979, A simple sequentially rejective multiple test procedure, Scandinavian Journal
        of Statistics 6.
    """
    adjusted = np.full(len(p), np.nan)
    made = np.flatnonzero(~np.isnan(p))
    order = made[np.argsort(p[made], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return adjusted


def bonferroni_level(level: float, comparisons: int) -> float:
    """Level of each of several intervals that hold together with ``level``."""
    return 1 - (1 - level) / max(1, comparisons)


def spread(values: Float64[np.ndarray, "s rows"]) -> Float64[np.ndarray, " rows"]:
    """Standard deviation over seeds, divisor s - 1; NaN for one seed, exactly 0 for equal ones."""
    if len(values) < 2:
        return np.full(values.shape[1], np.nan)
    # Less the first row, because the mean of equal floats may be off by a rounding.
    return (values - values[0]).std(axis=0, ddof=1)


def seed_limits(
    differences: Float64[np.ndarray, "s rows"], level: float
) -> tuple[Float64[np.ndarray, " rows"], ...]:
    """Standard deviation over seeds, and Student's t limits of the mean.

    They are NaN for one seed, and when all differences are equal, because then nothing tells how
    much they would vary.
    """
    s, mean, sd = len(differences), differences.mean(axis=0), spread(differences)
    # Below 1e-12 the differences are equal but for rounding: no interval can be formed.
    known = np.where(sd > 1e-12, sd, np.nan)
    half = stdtrit(max(s - 1, 1), (1 + level) / 2) * known / np.sqrt(s)
    return sd, mean - half, mean + half


def cut(
    limits: tuple[Float64[np.ndarray, " rows"], Float64[np.ndarray, " rows"]],
    before: Float64[np.ndarray, " rows"],
    least: float = 0.0,
) -> tuple[Float64[np.ndarray, " rows"], Float64[np.ndarray, " rows"]]:
    """Limits of a change of what was ``before`` and lies between ``least`` and 1.

    They end where it cannot go any further.
    """
    low, high = limits
    return np.maximum(low, least - before), np.minimum(high, 1 - before)


def mean_limits(
    values: Float64[np.ndarray, " n"], level: float = 0.95
) -> tuple[float, float, float]:
    """Mean of values with Student's t limits, as of :func:`seed_limits`."""
    _, low, high = seed_limits(values[:, None], level)
    return float(values.mean()), float(low[0]), float(high[0])


def _touching(
    value: Float64[np.ndarray, " both"], size: Float64[np.ndarray, " both"], wider: PerPair
) -> PerPair:
    """The z at which the interval of each pair touches 0; first halves are the first groups."""
    groups, which = np.unique(np.stack([value, size]), axis=1, return_inverse=True)
    low, high = group_limits(groups[0][:, None], groups[1][:, None], _LADDER[None])
    one, other = np.split(which.ravel(), 2)
    first, second = groups[0][one], groups[0][other]
    difference = first - second

    def excess(step: Int64[np.ndarray, " pairs"]) -> PerPair:
        """How far the interval at this rung of the ladder stays away from 0."""
        below, above = _reach(
            (first, low[one, step], high[one, step]), (second, low[other, step], high[other, step])
        )
        return np.where(difference > 0, difference - wider * below, -difference - wider * above)

    under, over = np.zeros_like(one), np.full_like(one, len(_LADDER) - 1)
    while (over - under > 1).any():
        middle = (under + over) // 2
        excluded = excess(middle) > 0
        under, over = np.where(excluded, middle, under), np.where(excluded, over, middle)
    inside, outside = excess(under), excess(over)
    fall, none = inside - outside, np.zeros_like(inside)
    part = np.divide(inside, fall, out=none, where=fall != 0).clip(0, 1)
    z = _LADDER[under] + part * (_LADDER[over] - _LADDER[under])
    return np.where(difference == 0, 0.0, z)


def _reach(first: Limited, second: Limited) -> tuple[np.ndarray, np.ndarray]:
    """How far the interval of a difference goes below and above it (Newcombe's square-and-add)."""
    one, one_low, one_high = first
    other, other_low, other_high = second
    below = np.hypot(one - one_low, other_high - other)
    return below, np.hypot(one_high - one, other - other_low)


def detectable_gap(
    rate: Many, n1: Many, n2: Many, level: float, power: float = 0.8
) -> Float64[np.ndarray, "*pairs"]:
    """Smallest distance from a rate that a comparison of two groups finds with this probability.

    One group has ``rate``, the other lies on the side of one half, where rates vary most: a gap
    towards the nearer end of [0, 1] is found with a smaller distance, so the answer holds for both
    directions.

    ``rate`` in [0, 1] is such as that over both groups together; ``n1`` and ``n2`` are the
    independent images that they are worth, real-valued; ``level`` is that of the two-sided
    interval that decides, adjusted for the number of comparisons. ``level`` and ``power`` outside
    (0, 1) raise a ValueError.

    Returns:
        In (0, 1]; NaN where no gap is large enough, where a group is empty, or ``rate`` is NaN.

    Reference:
        Cohen, "Statistical Power Analysis for the Behavioral Sciences", 2nd edition 1988, chapter
        6: the effect size h.
    """
    z = _standard_errors(level, power)
    with np.errstate(divide="ignore"):
        h = z * np.sqrt(1 / np.maximum(n1, 0) + 1 / np.maximum(n2, 0))
    near = np.minimum(rate, 1 - rate)  # by symmetry the other group has the higher rate
    angle = np.arcsin(np.sqrt(near)) + h / 2
    reachable = angle <= np.pi / 2
    return np.where(reachable, np.sin(np.where(reachable, angle, 0)) ** 2 - near, np.nan)


def size_needed(
    rate: ArrayLike, gap: ArrayLike, level: float, power: float = 0.8
) -> Float64[np.ndarray, "*gaps"]:
    """Independent images that each of two groups needs to show a gap with this probability.

    Args as in ``detectable_gap``; ``gap``, the distance of the two rates, lies in (0, 1].

    Returns:
        Whole numbers; NaN where no rate is that far away, infinite for a gap of 0.

    Raises:
        ValueError: ``level`` or ``power`` is outside (0, 1), or a gap is negative.
    """
    z = _standard_errors(level, power)
    rate, gap = np.asarray(rate, dtype=np.float64), np.asarray(gap, dtype=np.float64)
    if (gap < 0).any():
        raise ValueError(f"a gap must not be negative, got {gap.min()}")
    near = np.minimum(rate, 1 - rate)
    exists = near + gap <= 1
    far = np.where(exists, near + gap, near)
    h = 2 * (np.arcsin(np.sqrt(far)) - np.arcsin(np.sqrt(near)))
    with np.errstate(divide="ignore"):
        return np.where(exists, np.ceil(2 * (z / h) ** 2), np.nan)


def _standard_errors(level: float, power: float) -> float:
    """How many standard errors away from equality the truth must be."""
    for name, value in (("level", level), ("power", power)):
        if not 0 < value < 1:
            raise ValueError(f"{name} must lie in (0, 1), got {value}")
    return float(ndtri((1 + level) / 2) + ndtri(power))
