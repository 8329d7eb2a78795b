"""The smallest and the largest value of every dimension, over any number of shards."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np
from jaxtyping import Bool, Float, Float64


@dataclass(frozen=True, kw_only=True, eq=False)
class Limits:
    """Range of each dimension over some points; ``merge`` extends it by that of others.

    Attributes:
        low: (k,), inf where no point was seen.
        high: (k,), -inf where no point was seen.
    """

    low: Float64[np.ndarray, " k"]
    high: Float64[np.ndarray, " k"]

    @staticmethod
    def of(pieces: Iterable[Float[np.ndarray, "_ k"]], width: int) -> "Limits":
        """Limits over the pieces of an array (n, k), ``width`` being k."""
        none = Limits(low=np.full(width, np.inf), high=np.full(width, -np.inf))
        return reduce(Limits.merge, map(_of_piece, pieces), none)

    def merge(self, other: "Limits") -> "Limits":
        """Limits of the points of both."""
        return Limits(low=np.minimum(self.low, other.low), high=np.maximum(self.high, other.high))

    @property
    def varies(self) -> Bool[np.ndarray, " k"]:
        return self.high > self.low


def _of_piece(piece: Float[np.ndarray, "m k"]) -> Limits:
    low = piece.min(axis=0, initial=np.inf).astype(np.float64)
    return Limits(low=low, high=piece.max(axis=0, initial=-np.inf).astype(np.float64))
