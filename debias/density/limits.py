"""Reading points piece by piece, and the first thing to know about them: their range."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np
from jaxtyping import Bool, Float, Float64

from debias.density.points import Points

VALUES_AT_ONCE = 2**20


@dataclass(frozen=True, kw_only=True, eq=False)
class Limits:
    """Range of each dimension over some points; ``merge`` extends it by that of others.

    Attributes:
        low: (k,), inf where no point was seen.
        high: (k,), -inf where no point was seen.
    """

    low: Float64[np.ndarray, " k"]
    high: Float64[np.ndarray, " k"]

    def merge(self, other: "Limits") -> "Limits":
        """Limits of the points of both."""
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        return Limits(low=low, high=high)

    @property
    def varies(self) -> Bool[np.ndarray, " k"]:
        return self.high > self.low


def limits_of(points: Points) -> Limits:
    """Limits of the points that have a weight."""
    from debias.kernels import in_threads

    found = in_threads(lambda piece: limits_of_array(piece.mean), with_weight(points))
    none = np.full(points.width, np.inf)
    return reduce(Limits.merge, found, Limits(low=none, high=-none))


def limits_of_array(z: Float[np.ndarray, "n k"]) -> Limits:
    """Limits of values in memory."""
    from debias.kernels import extend_limits

    low = np.full(z.shape[1], np.inf, dtype=z.dtype)
    high = -low
    extend_limits(np.ascontiguousarray(z), low, high)
    return Limits(low=low.astype(np.float64), high=high.astype(np.float64))


def in_pieces(points: Points) -> Iterator[Points]:
    """Pieces of about equal memory, whatever the number of dimensions."""
    return points.chunks(max(1, VALUES_AT_ONCE // max(1, points.width)))


def with_weight(points: Points) -> Iterator[Points]:
    """Pieces without the points of weight 0, which count for nothing."""
    for piece in in_pieces(points):
        if piece.weight is None or piece.weight.all():
            yield piece
        elif piece.weight.any():
            there = piece.weight > 0
            yield Points(mean=piece.mean[there], weight=piece.weight[there])
