"""How much the encoder says about a sample that it does not say about the others.

``n`` samples, ``k`` latent dimensions.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float, Float64
from pydantic import Field

from debias.density.aggregate import VALUES_AT_ONCE, AggregateDensity, FittedAggregate, mass_below
from debias.density.points import Points, as_points
from debias.settings import Settings


class DivergenceDensity(Settings):
    """Kullback-Leibler divergence of each posterior from the aggregated posterior, per dimension.

    A sample in a thin region is rare; one whose posterior is narrow beside that of the others is
    rare as well, since few others could be taken for it. The divergence counts both, in nats: it
    is the sample's share of the mutual information between samples and latents.

    Reference:
        Hoffman and Johnson 2016, ELBO surgery: yet another way to carve up the variational
        evidence lower bound, eq. 6 (index-code mutual information). Deviations: one dimension at
        a time, the aggregated posterior as bin masses, smoothed by alpha.
    """

    name: Literal["divergence"] = "divergence"
    bins: Annotated[int, Field(ge=2)] | Literal["auto"] = Field(
        default=10, description="Equal-width bins per dimension, or 'auto' for numpy's rule."
    )

    def fit(self, z: Points | Float[np.ndarray, "n k"]) -> "FittedDivergence":
        """Estimate the aggregated posterior from the posteriors of training data.

        Raises:
            AllDimensionsInactiveError: The means of every dimension are constant.
            WeightError: The points have no posterior variance.
        """
        return FittedDivergence(aggregate=AggregateDensity(bins=self.bins).fit(z))


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedDivergence:
    """An aggregated posterior that single posteriors are compared with."""

    aggregate: FittedAggregate

    @property
    def about(self) -> dict[str, object]:
        return self.aggregate.about

    def refit(self, z: Points | Float[np.ndarray, "m k"]) -> "FittedDivergence":
        return FittedDivergence(aggregate=self.aggregate.refit(z))

    def log_factors(self, z: Points | Float[np.ndarray, "n k"]) -> Float64[np.ndarray, "n k"]:
        """Minus the divergence of each dimension, in nats, without smoothing.

        The aggregated posterior counts as flat within a bin, so that a value can be slightly
        above 0 where both are equal.
        """
        return -self._divergence(as_points(z), 0.0)

    def log_rarity(
        self,
        z: Points | Float[np.ndarray, "n k"],
        *,
        alpha: float,
        combine: Literal["product", "max"] = "product",
    ) -> Float64[np.ndarray, " n"]:
        """Divergence over all dimensions, or the largest of one; alpha is added to the masses."""
        divergence = self._divergence(as_points(z), alpha)
        return divergence.sum(axis=1) if combine == "product" else divergence.max(axis=1)

    def outside(self, z: Points | Float[np.ndarray, "n k"]) -> int:
        """How many means lie outside the fitted range."""
        return self.aggregate.outside(z)

    def _divergence(self, points: Points, alpha: float) -> Float64[np.ndarray, "n k"]:
        pieces = points.chunks(max(1, VALUES_AT_ONCE // points.width))
        return np.concatenate([self._of_chunk(piece, alpha) for piece in pieces])
