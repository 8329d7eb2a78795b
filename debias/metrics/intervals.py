"""Intervals for one proportion."""

import numpy as np
from jaxtyping import Float64, Real
from scipy.special import betaincinv


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
