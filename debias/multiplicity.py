"""Several comparisons at once: adjusted p-values and levels."""

import numpy as np
from jaxtyping import Float64


def holm(p: Float64[np.ndarray, " m"]) -> Float64[np.ndarray, " m"]:
    """Adjust p-values so that a false alarm among all of them has at most their level.

    Args:
        p: In [0, 1]; NaN for a comparison that was not made, which stays NaN and does not count.

    Returns:
        In [0, 1], never below p.

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
