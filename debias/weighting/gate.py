"""Refuses weights that rest on too few samples."""

import warnings

from debias.errors import WeightDegeneracyError
from debias.statistics.concentration import expected_distinct
from debias.types import SamplingWeights

LEAST_SHARE = 0.01
LEAST_SAMPLES = 1000
WARN_SHARE = 0.20


def check(weights: SamplingWeights, *, allow_degenerate: bool) -> SamplingWeights:
    """Return the weights if they are usable.

    Raises:
        WeightDegeneracyError: The effective sample size is below 1 % of n or below 1,000 samples,
            and ``allow_degenerate`` is not set. Below 20 % is a warning.
    """
    size, effective = len(weights.probability), weights.effective_sample_size
    figures = (
        f"effective sample size {effective:.0f} of {size} ({weights.ess:.1%}), "
        f"{expected_distinct(weights.probability):.0f} distinct samples expected per epoch"
    )
    # Rounding must not turn 1,000 equal weights into a degenerate case.
    few = effective < LEAST_SAMPLES * (1 - 1e-9)
    if (few or weights.ess < LEAST_SHARE) and not allow_degenerate:
        raise WeightDegeneracyError(
            f"the weights rest on too few samples: {figures}; at least {LEAST_SHARE:.0%} and "
            f"{LEAST_SAMPLES} samples are needed. Raise 'ess', or set 'allow_degenerate: true' "
            "for this arm to go on all the same"
        )
    if weights.ess < WARN_SHARE:
        warnings.warn(f"the weights are uneven: {figures}", stacklevel=2)
    return weights
