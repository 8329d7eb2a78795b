"""One equal-width histogram per latent dimension, or per leading principal component.

``n`` samples, ``k`` latent dimensions, ``f`` density factors.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float, Float64, Int64
from pydantic import Field

from debias.density import smoothing
from debias.density.points import Points, as_points
from debias.density.principal import PrincipalComponents
from debias.errors import AllDimensionsInactiveError
from debias.settings import Settings

AUTO_LIMIT = 200  # numpy's rules can ask for millions of bins when one value lies far away


class HistogramDensity(Settings):
    """Histogram of bin *masses* in [0, 1]: unlike densities, they do not change with the scale.

    Reference:
        Amini et al. 2019, section 3.3: Q(z) = prod_j Q_j(z_j). Deviations: masses instead of
        densities, and optionally the histogram of whitened principal components.
    """

    name: Literal["histogram"] = "histogram"
    bins: Annotated[int, Field(ge=2)] | Literal["auto"] = Field(
        default=10, description="Equal-width bins per factor, or 'auto' for numpy's rule."
    )
    components: int | None = Field(
        default=None,
        ge=1,
        description="Leading principal components to look at; empty: every dimension by itself.",
    )

    def fit(self, z: Points | Float[np.ndarray, "n k"]) -> "FittedHistogram":
        """Estimate from latent means of training data.

        Raises:
            AllDimensionsInactiveError: Every column of ``z`` is constant.
        """
        projection = None
        z = as_points(z).array()
        if self.components is not None:
            projection = PrincipalComponents.fit(z, self.components)
            z = projection(z)
        z = np.asarray(z, dtype=np.float64)
        if not np.ptp(z, axis=0).any():
            raise AllDimensionsInactiveError(
                f"all {z.shape[1]} dimensions are constant over {len(z)} samples: "
                "there is no density to estimate"
            )
        edges = [self._edges(column) for column in z.T]
        mass = [_counts(column, edge) / len(z) for column, edge in zip(z.T, edges, strict=True)]
        return FittedHistogram(edges=tuple(edges), mass=tuple(mass), projection=projection)

    def _edges(self, column: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " edges"]:
        """Bin edges; a constant column has one bin, whose mass is 1 and says nothing."""
        low, high = column.min(), column.max()
        edges = np.linspace(low, high, self._bins(column, low, high) + 1)
        distinct = (np.diff(edges) > 0).all()
        return edges if distinct else np.array([low, high])

    def _bins(self, column: Float64[np.ndarray, " n"], low: float, high: float) -> int:
        if self.bins != "auto":
            return self.bins
        spread = (column - low) / (high - low) if high > low else column
        return min(len(np.histogram_bin_edges(spread, "auto")) - 1, AUTO_LIMIT)


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedHistogram:
    """Bin edges (bins + 1,) and masses (bins,) of each factor; masses sum to 1."""

    edges: tuple[Float64[np.ndarray, " _"], ...]
    mass: tuple[Float64[np.ndarray, " _"], ...]
    projection: PrincipalComponents | None = None

    @property
    def about(self) -> dict[str, object]:
        return {"factors": len(self.mass)}

    def refit(self, z: Points | Float[np.ndarray, "m k"]) -> "FittedHistogram":
        z = as_points(z).array()
        columns = (z if self.projection is None else self.projection(z)).T
        mass = tuple(_counts(c, e) / len(z) for c, e in zip(columns, self.edges, strict=True))
        return FittedHistogram(edges=self.edges, mass=mass, projection=self.projection)

    def log_rarity(
        self,
        z: Points | Float[np.ndarray, "n k"],
        *,
        alpha: float,
        combine: Literal["product", "max"] = "product",
    ) -> Float64[np.ndarray, " n"]:
        return smoothing.of_factors(self.log_factors(z), alpha, combine)

    def log_factors(self, z: Points | Float[np.ndarray, "n k"]) -> Float64[np.ndarray, "n f"]:
        """Natural log of the mass of the bin each value falls in; -inf for an empty bin.

        Values outside the fitted range count into the outer bin.
        """
        z = as_points(z).array()
        if self.projection is not None:
            z = self.projection(z)
        columns = np.asarray(z, dtype=np.float64).T
        with np.errstate(divide="ignore"):
            logs = [
                np.log(mass)[_bin(column, edges)]
                for column, edges, mass in zip(columns, self.edges, self.mass, strict=True)
            ]
        return np.stack(logs, axis=1)

    def outside(self, z: Points | Float[np.ndarray, "n k"]) -> int:
        """How many values lie outside the fitted range."""
        z = as_points(z).array()
        if self.projection is not None:
            z = self.projection(z)
        low = np.array([edges[0] for edges in self.edges])
        high = np.array([edges[-1] for edges in self.edges])
        return int(((z < low) | (z > high)).sum())


def _bin(
    column: Float64[np.ndarray, " n"], edges: Float64[np.ndarray, " _"]
) -> Int64[np.ndarray, " n"]:
    """Index of the half-open bin [edge, next edge); the last bin includes its upper edge."""
    found = np.searchsorted(edges, column, side="right") - 1
    return np.clip(found, 0, len(edges) - 2).astype(np.int64)


def _counts(
    column: Float64[np.ndarray, " n"], edges: Float64[np.ndarray, " _"]
) -> Int64[np.ndarray, " _"]:
    return np.bincount(_bin(column, edges), minlength=len(edges) - 1).astype(np.int64)
