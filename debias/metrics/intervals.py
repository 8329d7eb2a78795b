"""Intervals for one proportion, and for the difference of two."""

import numpy as np
from jaxtyping import Float64, Real
from scipy.special import betaincinv, ndtr, ndtri


def clopper_pearson(
    numerator: Real[np.ndarray, "*cells"],
    denominator: Real[np.ndarray, "*cells"],
    level: float = 0.95,
) -> tuple[Float64[np.ndarray, "*cells"], Float64[np.ndarray, "*cells"]]:
    """Exact two-sided interval for a proportion, from the quantiles of the beta distribution.

    ``low = B(a; x, n - x + 1)`` and ``high = B(1 - a; x + 1, n - x)`` with ``a = (1 - level) / 2``.
    It covers the true proportion with at least probability ``level`` for every n and p when the
    n samples are independent; images of one person are not.

    Args:
        numerator: x, in [0, denominator]. A mean of several counts may be real-valued; the limits
            grow with it continuously and agree with the exact ones at whole numbers.
        denominator: n; the interval is NaN where it is 0.
        level: In (0, 1).

    Returns:
        Lower and upper limits in [0, 1].

    Raises:
        ValueError: The level is outside (0, 1), or a numerator outside [0, denominator].

    Reference:
        Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of
        the binomial", Biometrika 26, 1934. Deviation: real-valued numerators.
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


def wilson(
    value: Float64[np.ndarray, "*cells"],
    size: Float64[np.ndarray, "*cells"],
    z: float | Float64[np.ndarray, "*cells"],
) -> tuple[Float64[np.ndarray, "*cells"], Float64[np.ndarray, "*cells"]]:
    """Score interval of a proportion; the building block of ``newcombe``, not printed itself.

    Args:
        value: Proportion in [0, 1].
        size: Independent images behind it, above 0; real-valued for correlated ones.
        z: Quantile of the standard normal distribution, such as 1.96.

    Returns:
        Lower and upper limits in [0, 1].

    Reference:
        Wilson 1927, Journal of the American Statistical Association 22.
    """
    squared = np.square(z)
    centre = value + squared / (2 * size)
    half = z * np.sqrt(value * (1 - value) / size + squared / (4 * np.square(size)))
    scale = 1 + squared / size
    return np.maximum((centre - half) / scale, 0.0), np.minimum((centre + half) / scale, 1.0)


def newcombe(
    first: Float64[np.ndarray, "*cells"],
    first_size: Float64[np.ndarray, "*cells"],
    second: Float64[np.ndarray, "*cells"],
    second_size: Float64[np.ndarray, "*cells"],
    level: float,
) -> tuple[Float64[np.ndarray, "*cells"], Float64[np.ndarray, "*cells"]]:
    """Interval of ``first - second`` for two independent groups.

    Args:
        first: Proportion in [0, 1].
        first_size: Independent images behind it, above 0.
        second: Likewise.
        second_size: Likewise.
        level: In (0, 1), already adjusted for the number of comparisons.

    Reference:
        Newcombe 1998, Interval estimation for the difference between independent proportions,
        Statistics in Medicine 17, method 10.
    """
    z = float(ndtri((1 + level) / 2))
    below, above = _reach(first, first_size, second, second_size, z)
    difference = first - second
    return difference - below, difference + above


def newcombe_p_value(
    first: Float64[np.ndarray, "*cells"],
    first_size: Float64[np.ndarray, "*cells"],
    second: Float64[np.ndarray, "*cells"],
    second_size: Float64[np.ndarray, "*cells"],
) -> Float64[np.ndarray, "*cells"]:
    """One less the level at which ``newcombe`` just touches 0, found by bisection.

    An interval that excludes 0 and a p-value below one less its level are thus the same thing.
    """
    difference = first - second
    low, high = np.zeros_like(difference), np.full_like(difference, 40.0)
    for _ in range(50):
        z = (low + high) / 2
        below, above = _reach(first, first_size, second, second_size, z)
        excluded = np.where(difference > 0, difference > below, -difference > above)
        low, high = np.where(excluded, z, low), np.where(excluded, high, z)
    p = 2 * ndtr(-low)
    return np.where(np.isnan(difference), np.nan, np.where(difference == 0, 1.0, p))


def _reach(
    first: Float64[np.ndarray, "*cells"],
    first_size: Float64[np.ndarray, "*cells"],
    second: Float64[np.ndarray, "*cells"],
    second_size: Float64[np.ndarray, "*cells"],
    z: float | Float64[np.ndarray, "*cells"],
) -> tuple[Float64[np.ndarray, "*cells"], Float64[np.ndarray, "*cells"]]:
    """How far the interval of the difference goes below and above it."""
    first_low, first_high = wilson(first, first_size, z)
    second_low, second_high = wilson(second, second_size, z)
    below = np.hypot(first - first_low, second_high - second)
    return below, np.hypot(first_high - first, second - second_low)
