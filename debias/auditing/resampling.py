"""A training set drawn by weights, for training code that knows no weights.

``n`` images, ``m`` draws.
"""

import numpy as np
from jaxtyping import Float64, Int64

from debias.errors import ConfigError, WeightError


def resample(
    weight: Float64[np.ndarray, " n"], size: int, generator: np.random.Generator
) -> Int64[np.ndarray, " m"]:
    """Draw rows with replacement, as evenly as the weights allow.

    With p the share of a row in the total weight, it is drawn m p times, rounded up or down at
    random so that the mean is m p exactly. Independent draws would miss a third of the rows whose
    weight is average, by chance alone.

    Args:
        weight: Finite, at least 0, not all 0; the scale does not matter.
        size: m, at least 2.
        generator: Decides which rows are rounded up, and the order of the draws.

    Returns:
        Rows in random order, some of them several times.

    Raises:
        ConfigError: Fewer than two draws.
        WeightError: Weights that say nothing.

    Reference:
        Systematic sampling with unequal probabilities: Madow, "On the theory of systematic
        sampling, II", Annals of Mathematical Statistics 20, 1949; rows in random order.
    """
    if size < 2:
        raise ConfigError(f"a manifest of {size:,} draws was asked for; choose 2 or more")
    if not np.isfinite(weight).all() or weight.min() < 0 or weight.sum() <= 0:
        raise WeightError("weights must be finite, at least 0 and not all 0")
    order = generator.permutation(np.flatnonzero(weight))
    ends = np.cumsum(weight[order])
    ticks = (np.arange(size) + generator.random()) / size * ends[-1]
    place = np.searchsorted(ends, ticks, side="right")
    # Rounding may put the last tick on the end of the last row.
    rows = order[np.minimum(place, len(order) - 1)]
    return generator.permutation(rows).astype(np.int64)
