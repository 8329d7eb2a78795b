"""Reading points piece by piece, and the first thing to know about them: their range."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np
from jaxtyping import Bool, Float, Float64

from debias.density.points import Points

VALUES_AT_ONCE = 2**20
Project = Callable[[Float[np.ndarray, "m k"]], Float64[np.ndarray, "m f"]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Limits:
    """Range of each dimension over some points; ``merge`` extends it by that of others.

    Attributes:
        low: (k,), the smallest values.
        high: (k,), the largest values.
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


def limits_of(points: Points, project: Project | None = None) -> Limits:
    """Limits of the points that have a weight, or of what they are projected to."""
    from debias.kernels import in_threads

    def limits(piece: Points) -> Limits:
        return _of_array(plain(piece.mean if project is None else project(piece.mean)))

    return reduce(Limits.merge, in_threads(limits, with_weight(points)))


def rows_at_once(points: Points) -> int:
    """Rows of a piece: its memory is about the same whatever the number of dimensions."""
    return max(1, VALUES_AT_ONCE // max(1, points.width))


def in_pieces(points: Points) -> Iterator[Points]:
    return points.chunks(rows_at_once(points))


def with_weight(points: Points, rows: int | None = None) -> Iterator[Points]:
    """Pieces without the points of weight 0, which count for nothing."""
    for piece in points.chunks(rows or rows_at_once(points)):
        if piece.weight is None or piece.weight.all():
            yield piece
        elif piece.weight.any():
            there = piece.weight > 0
            yield Points(mean=piece.mean[there], weight=piece.weight[there])


def plain(z: Float[np.ndarray, "m k"]) -> Float[np.ndarray, "m k"]:
    """The layout and the number types that compiled loops know; a copy only where needed."""
    return np.ascontiguousarray(z, dtype=np.float32 if z.dtype == np.float32 else np.float64)


def _of_array(z: Float[np.ndarray, "m k"]) -> Limits:
    from debias.kernels import extend_limits

    low, high = np.full((2, z.shape[1]), [[np.inf], [-np.inf]], dtype=z.dtype)
    extend_limits(z, low, high)
    return Limits(low=low.astype(np.float64), high=high.astype(np.float64))
