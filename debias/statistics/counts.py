"""Rates as quotients of two sums of counts, such as the entries of a confusion table.

``g`` cells, ``c`` classes, ``m`` measures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, Real


@dataclass(frozen=True, kw_only=True, eq=False)
class Measure:
    """A rate of the classes at hand; counts are indexed [true class, predicted class]."""

    name: (
        str  # ``accuracy``; of more than two classes ``true_positive_rate[cat]``: against the rest
    )
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


def ratio(
    numerator: Real[np.ndarray, "*cells"], denominator: Real[np.ndarray, "*cells"]
) -> Float64[np.ndarray, "*cells"]:
    """Divide; NaN, never 0, where the denominator is 0."""
    undefined = np.full(numerator.shape, np.nan)
    return np.divide(numerator, denominator, out=undefined, where=denominator > 0)
