"""Points in a latent space, which may be more than fit into memory."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float64, Int64

ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, kw_only=True, eq=False)
class Points:
    """Some rows and columns of an array of latents; nothing is copied until it is asked for.

    Attributes:
        mean: (all rows, all columns), any float type, may be memory-mapped.
        log_var: Natural log of the posterior variance, like ``mean``; None without a spread.
        rows: Rows that belong to the points; None for all.
        columns: Columns that belong to them; None for all.
        weight: (n,) non-negative weight of each point; None for 1. A point of weight 2 counts
            like two points.
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
        """All means in memory, for estimators that need them at once."""
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
