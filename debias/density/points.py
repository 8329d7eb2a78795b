"""Points in a latent space, which may be more than fit into memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

ROWS_AT_ONCE = 65_536
VALUES_AT_ONCE = 2**20
Project = Callable[[Float[np.ndarray, "m k"]], Float64[np.ndarray, "m f"]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Points:
    """Some rows and columns of an array of latents; nothing is copied until it is asked for.

    Attributes:
        mean: (all rows, all columns), any float type, may be memory-mapped.
        log_var: Natural log of the posterior variance, like ``mean``; None without a spread.
        rows: Rows that belong to the points; None for all.
        columns: Columns that belong to them; None for all.
        weight: (n,) non-negative, a point of weight 2 counts like two points; None for 1.
    """

    mean: Float[np.ndarray, "_ _"]
    log_var: Float[np.ndarray, "_ _"] | None = None
    rows: Int64[np.ndarray, " n"] | None = None
    columns: Int64[np.ndarray, " k"] | None = None
    weight: Float64[np.ndarray, " n"] | None = None

    def __len__(self) -> int:
        return len(self.mean) if self.rows is None else len(self.rows)

    @property
    def width(self) -> int:
        return self.mean.shape[1] if self.columns is None else len(self.columns)

    @property
    def total(self) -> float:
        """Sum of the weights: n without any."""
        return float(len(self)) if self.weight is None else float(self.weight.sum())

    def array(self) -> Float64[np.ndarray, "n k"]:
        """All means in memory."""
        return np.asarray(self._read(self.mean, slice(None)), dtype=np.float64)

    def spread(self) -> Float64[np.ndarray, "n k"] | None:
        """All posterior standard deviations in memory."""
        if self.log_var is None:
            return None
        return np.exp(0.5 * np.asarray(self._read(self.log_var, slice(None)), dtype=np.float64))

    def chunks(self, size: int = ROWS_AT_ONCE) -> Iterator["Points"]:
        """The points piece by piece, in order, each piece in memory once it is read."""
        for start in range(0, len(self), size):
            piece = slice(start, min(start + size, len(self)))
            yield Points(
                mean=self._read(self.mean, piece),
                log_var=None if self.log_var is None else self._read(self.log_var, piece),
                weight=None if self.weight is None else self.weight[piece],
            )

    def of(self, rows: Int64[np.ndarray, " m"]) -> "Points":
        """The points in the given positions."""
        own = rows if self.rows is None else self.rows[rows]
        return replace(self, rows=own, weight=None if self.weight is None else self.weight[rows])

    def _read(self, array: Float[np.ndarray, "_ _"], piece: slice) -> Float[np.ndarray, "m k"]:
        found = array[piece] if self.rows is None else array[self.rows[piece]]
        return found if self.columns is None else found[:, self.columns]


def as_points(z: "Points | Float[np.ndarray, 'n k']") -> Points:
    """Take a plain array for points of weight 1."""
    return z if isinstance(z, Points) else Points(mean=z)


@dataclass(frozen=True, kw_only=True, eq=False)
class Limits:
    """Smallest and largest value (k,) of each dimension over some points."""

    low: Float64[np.ndarray, " k"]
    high: Float64[np.ndarray, " k"]

    def merge(self, other: "Limits") -> "Limits":
        """Limits of the points of both."""
        low, high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        return Limits(low=low, high=high)

    @property
    def varies(self) -> Bool[np.ndarray, " k"]:
        return self.high > self.low

    @property
    def span(self) -> Float64[np.ndarray, " k"]:
        """Largest less smallest value; 1 where they are equal."""
        return np.where(self.varies, self.high - self.low, 1.0)


def unit_of(span: Float64[np.ndarray, " k"]) -> Float64[np.ndarray, " k"]:
    """Powers of 2 near 1 / span.

    Numbers of any size are multiplied by these without rounding and without leaving the range of
    floats.
    """
    return np.ldexp(1.0, np.clip(-np.frexp(span)[1], -1022, 1022))


def limits_of(points: Points, project: Project | None = None) -> Limits:
    """Limits of the points that have a weight, or of what they are projected to."""
    from debias.loops import extend_limits, in_threads

    def limits(piece: Points) -> Limits:
        z = plain(piece.mean if project is None else project(piece.mean))
        low, high = np.full((2, z.shape[1]), [[np.inf], [-np.inf]], dtype=z.dtype)
        extend_limits(z, low, high)
        return Limits(low=low.astype(np.float64), high=high.astype(np.float64))

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
