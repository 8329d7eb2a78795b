"""The aggregated posterior: every sample spreads its own uncertainty over the bins.

``n`` samples, ``k`` latent dimensions.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from jaxtyping import Float, Float64
from pydantic import Field

from debias.density.histogram import FittedHistogram, HistogramDensity
from debias.density.points import Points, as_points
from debias.errors import WeightError
from debias.settings import Settings

VALUES_AT_ONCE = 2**22


class AggregateDensity(Settings):
    """Mass of each bin under q(z_j) = mean over samples of N(mean_j, variance_j).

    The bins are those of the histogram of the means, so with a variance of 0 this is the
    histogram; what lies beyond the outer edges belongs to the outer bins.

    Reference:
        Makhzani et al. 2016, Adversarial Autoencoders, section 2 (the aggregated posterior).
        Deviation: one density per dimension, as bin masses.
    """

    name: Literal["aggregate"] = "aggregate"
    bins: Annotated[int, Field(ge=2)] | Literal["auto"] = Field(
        default=10, description="Equal-width bins per dimension, or 'auto' for numpy's rule."
    )

    def fit(self, z: Points | Float[np.ndarray, "n k"]) -> "FittedAggregate":
        """Estimate from the posteriors of training data.

        Raises:
            AllDimensionsInactiveError: The means of every dimension are constant.
            WeightError: The points have no posterior variance.
        """
        points = as_points(z)
        _require_spread(points)
        return _filled(HistogramDensity(bins=self.bins).fit(points), points)


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedAggregate:
    """Bins that hold the mass of posteriors.

    Attributes:
        histogram: The bins and their masses.
        total: Weight of the points in them: their number, if every point counts once.
    """

    histogram: FittedHistogram
    total: float

    @property
    def about(self) -> dict[str, object]:
        return self.histogram.about

    def refit(self, z: Points | Float[np.ndarray, "m k"]) -> "FittedAggregate":
        points = as_points(z)
        _require_spread(points)
        return _filled(self.histogram, points)

    def merge(self, other: "FittedAggregate") -> "FittedAggregate":
        """What a fit to the points of both, in these bins, would give.

        Args:
            other: Came from :meth:`refit` to another shard, so that its bins are the same.
        """
        total = self.total + other.total
        own, others = self.total / total, other.total / total
        pairs = zip(self.histogram.mass, other.histogram.mass, strict=True)
        mass = tuple(own * mine + others * theirs for mine, theirs in pairs)
        return FittedAggregate(histogram=replace(self.histogram, mass=mass), total=total)

    def log_factors(self, z: Points | Float[np.ndarray, "n k"]) -> Float64[np.ndarray, "n k"]:
        """Natural log of the mass of the bin each mean falls in."""
        return self.histogram.log_factors(z)

    def log_rarity(
        self,
        z: Points | Float[np.ndarray, "n k"],
        *,
        alpha: float,
        combine: Literal["product", "max"] = "product",
    ) -> Float64[np.ndarray, " n"]:
        return self.histogram.log_rarity(z, alpha=alpha, combine=combine)

    def outside(self, z: Points | Float[np.ndarray, "n k"]) -> int:
        """How many means lie outside the fitted range."""
        return self.histogram.outside(z)


def _require_spread(points: Points) -> None:
    if points.log_var is None:
        raise WeightError(
            "density 'aggregate' needs the posterior variance of every point, and these are "
            "points without one; choose the density 'histogram'"
        )


def _filled(histogram: FittedHistogram, points: Points) -> FittedAggregate:
    """The given bins, filled with the mass of the points."""
    below = [np.zeros(len(edges) - 2) for edges in histogram.edges]
    for chunk in points.chunks(max(1, VALUES_AT_ONCE // points.width)):
        spread = chunk.spread()
        assert spread is not None  # checked by the callers
        for sums, edges, mean, deviation in zip(
            below, histogram.edges, chunk.array().T, spread.T, strict=True
        ):
            sums += _mass_below(edges[1:-1], mean, deviation, chunk.weight)
    total = points.total
    # Sums of weights are rounded, so that an empty bin could come out as -1e-17.
    mass = tuple(np.maximum(np.diff(sums / total, prepend=0.0, append=1.0), 0.0) for sums in below)
    return FittedAggregate(histogram=replace(histogram, mass=mass), total=total)


def _mass_below(
    edges: Float64[np.ndarray, " e"],
    mean: Float64[np.ndarray, " n"],
    deviation: Float64[np.ndarray, " n"],
    weight: Float64[np.ndarray, " n"] | None,
) -> Float64[np.ndarray, " e"]:
    """Mass below each edge, summed over the points."""
    from scipy.special import ndtr

    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        steps = (edges - mean[:, None]) / deviation[:, None]  # (n, e)
    # 0 / 0: a point without spread on an edge belongs to the bin above, as in a histogram.
    share = ndtr(np.where(np.isnan(steps), -np.inf, steps))
    return share.sum(axis=0) if weight is None else weight @ share
