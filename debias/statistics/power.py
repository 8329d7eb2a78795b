"""What groups of given sizes can show: the smallest gap they would find, and the size a gap needs.

All functions use the arcsine transformation of a rate, which makes its variance depend on the size
alone. They answer for one planned comparison; what is found depends on the data.
"""

import numpy as np
from jaxtyping import Float64, Real
from numpy.typing import ArrayLike
from scipy.special import ndtri


def detectable_gap(
    rate: Real[np.ndarray, "*pairs"],
    n1: Real[np.ndarray, "*pairs"],
    n2: Real[np.ndarray, "*pairs"],
    level: float,
    power: float = 0.8,
) -> Float64[np.ndarray, "*pairs"]:
    """Smallest distance from a rate that a comparison of two groups finds with this probability.

    One group has ``rate``, the other lies on the side of one half, where rates vary most: a gap
    towards the nearer end of [0, 1] is found with a smaller distance, so the answer holds for both
    directions.

    Args:
        rate: In [0, 1], such as the rate over both groups together.
        n1: How many independent images the first group is worth; real-valued.
        n2: Likewise, of the second group.
        level: Of the two-sided interval that decides, in (0, 1), adjusted for the number of
            comparisons.
        power: Probability of finding the gap, in (0, 1).

    Returns:
        In (0, 1]; NaN where no gap is large enough, where a group is empty, or ``rate`` is NaN.

    Raises:
        ValueError: ``level`` or ``power`` is outside (0, 1).

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

    Args:
        rate: Of one group, in [0, 1]; the other lies on the side of one half.
        gap: Distance of the two rates, in (0, 1].
        level: Of the two-sided interval that decides, in (0, 1).
        power: Probability of finding the gap, in (0, 1).

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
