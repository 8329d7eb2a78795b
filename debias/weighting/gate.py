"""Refuses weights that rest on a handful of samples, and warns of uneven ones."""

import warnings

from debias.errors import WeightDegeneracyError
from debias.statistics.concentration import expected_distinct
from debias.weighting.weights import SamplingWeights

LEAST_SHARE = 0.01
LEAST_SAMPLES = 50
LEAST_OF_FEW = 0.1  # share that is asked of sets too small for LEAST_SAMPLES
WARN_SHARE = 0.20


def check(
    weights: SamplingWeights, *, allow_degenerate: bool, remedy: str = "raise 'ess'"
) -> SamplingWeights:
    """Return the weights if they are usable; below 20 % of n that is a warning.

    Args:
        weights: Of n samples.
        allow_degenerate: Warn only.
        remedy: What helps, a setting that the rule has.

    Raises:
        WeightDegeneracyError: The effective sample size is below 1 % of n, or below 50 samples
            (10 % of n where that is less), and ``allow_degenerate`` is not set.
    """
    size, effective = len(weights.probability), weights.effective_sample_size
    least = max(LEAST_SHARE * size, min(LEAST_SAMPLES, LEAST_OF_FEW * size))
    figures = f"effective sample size {effective:.0f} of {size} ({weights.ess:.1%}), "
    figures += in_an_epoch(weights)
    # Rounding must not turn equal weights into a degenerate case.
    if effective < least * (1 - 1e-9) and not allow_degenerate:
        raise WeightDegeneracyError(
            f"the weights rest on too few samples: {figures}; at least {least:.0f} are needed. To "
            f"use them, {remedy}, or set 'allow_degenerate: true' for this arm to go on all the "
            "same"
        )
    if weights.ess < WARN_SHARE:
        warnings.warn(f"the weights are uneven: {figures}", stacklevel=2)
    return weights


def in_an_epoch(weights: SamplingWeights) -> str:
    """How often samples come back in an epoch of n draws with replacement."""
    size, distinct = len(weights.probability), expected_distinct(weights.probability)
    most = weights.probability.max() * size
    return (
        f"{distinct:.0f} distinct samples expected per epoch, each {size / distinct:.1f} times on "
        f"average and one {most:.1f} times"
    )
