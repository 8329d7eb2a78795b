"""A part of a set, counted, with its interval."""

from dataclasses import dataclass

from scipy.stats import binomtest


@dataclass(frozen=True, kw_only=True)
class Share:
    """A part of a set, with a 95 % interval (Clopper-Pearson).

    Attributes:
        count: Images of the part.
        size: Images of the set.
    """

    count: int
    size: int
    value: float
    low: float
    high: float


def share_of(count: int, size: int) -> Share:
    """A share with its interval.

    Reference:
        Clopper and Pearson 1934, The use of confidence or fiducial limits illustrated in the case
        of the binomial, Biometrika 26.
    """
    limits = binomtest(count, size).proportion_ci(method="exact")
    low, high = float(limits.low), float(limits.high)
    return Share(count=count, size=size, value=count / size, low=low, high=high)
