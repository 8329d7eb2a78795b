"""The aggregated posterior: every sample spreads its own uncertainty over the bins.

It is a sum over the samples, so shards are filled anywhere and merged, as in
:mod:`debias.density.histogram`. ``n`` samples, ``k`` latent dimensions, ``f`` density factors.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Annotated, ClassVar, Literal

import numpy as np
from jaxtyping import Float, Float64
from pydantic import Field

from debias.density.histogram import FittedHistogram, HistogramDensity
from debias.density.points import Points, as_points, rows_at_once
from debias.density.principal import PrincipalComponents
from debias.errors import WeightError
from debias.plugins import Settings


class AggregateDensity(Settings):
    """Mass of each bin under q(z_j) = mean over samples of N(mean_j, variance_j).

    The bins are those of the histogram of the means, so with a variance of 0 this is the
    histogram; what lies beyond the outer edges belongs to the outer bins.

    Reference:
        Makhzani et al. 2016, Adversarial Autoencoders, section 2 (the aggregated posterior).
        Deviation: one density per factor, as bin masses.
    """

    needs_spread: ClassVar[bool] = True  # a posterior variance of every point

    name: Literal["aggregate"] = "aggregate"
    bins: Annotated[int, Field(ge=2)] | Literal["auto"] = Field(
        default=10, description="Equal-width bins per factor, or 'auto' for numpy's rule."
    )
    components: Annotated[int, Field(ge=1)] | Literal["auto"] | None = Field(
        default=None,
        description="Leading principal components to look at, 'auto': those that stand out from "
        "noise; empty: every dimension by itself.",
    )

    def fit(self, z: Points | Float[np.ndarray, "n k"]) -> "FittedAggregate":
        """Estimate from the posteriors of training data.

        Raises:
            AllDimensionsInactiveError: The means of every dimension are constant.
            WeightError: The points have no posterior variance, or do not spread in as many
                directions as ``components``.
        """
        points = as_points(z)
        return self.empty([points]).partial_fit(points)

    def empty(self, shards: Sequence[Points]) -> "FittedAggregate":
        """Directions and bins that suit the means of all shards, with nothing in them.

        Raises:
            AllDimensionsInactiveError: The means of every dimension are constant.
            WeightError: The points do not spread in as many directions as ``components``.
        """
        histogram = HistogramDensity(bins=self.bins, components=self.components)
        return FittedAggregate(histogram=histogram.empty(shards))


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedAggregate:
    """A histogram whose counts are sums of shares, as every sample lies in several bins."""

    histogram: FittedHistogram

    def partial_fit(self, z: Points | Float[np.ndarray, "m k"]) -> "FittedAggregate":
        """The same bins with more samples in them.

        Raises:
            WeightError: The points have no posterior variance.
        """
        from debias.loops import in_threads

        edges, projection = self.histogram.edges, self.histogram.projection

        def filled(piece: Points) -> list[Float64[np.ndarray, " _"]]:
            return _filled(edges, projection, piece)

        points = as_points(z)
        most = max(map(len, self.histogram.counts))  # every value is seen from every bin
        pieces = points.chunks(max(1, rows_at_once(points) // most))
        start = [np.asarray(counts, dtype=np.float64) for counts in self.histogram.counts]
        counts = reduce(_add, in_threads(filled, pieces), start)
        return FittedAggregate(histogram=replace(self.histogram, counts=tuple(counts)))

    def merge(self, other: "FittedAggregate") -> "FittedAggregate":
        """The same bins with the samples of both.

        Raises:
            WeightError: The other has other bins.
        """
        return FittedAggregate(histogram=self.histogram.merge(other.histogram))

    def refit(self, z: Points | Float[np.ndarray, "m k"]) -> "FittedAggregate":
        nothing = tuple(np.zeros(len(counts)) for counts in self.histogram.counts)
        return FittedAggregate(histogram=replace(self.histogram, counts=nothing)).partial_fit(z)

    @property
    def about(self) -> dict[str, object]:
        return self.histogram.about

    def log_factors(self, z: Points | Float[np.ndarray, "n k"]) -> Float64[np.ndarray, "n f"]:
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
        """How many means lie outside the range of the bins."""
        return self.histogram.outside(z)


def _add(
    own: list[Float64[np.ndarray, " _"]], others: list[Float64[np.ndarray, " _"]]
) -> list[Float64[np.ndarray, " _"]]:
    return [mine + theirs for mine, theirs in zip(own, others, strict=True)]


def _filled(
    edges: Sequence[Float64[np.ndarray, " _"]],
    projection: PrincipalComponents | None,
    points: Points,
) -> list[Float64[np.ndarray, " _"]]:
    """Weight of the points in each bin of each factor."""
    mean, spread = points.array(), points.spread()
    if spread is None:
        raise WeightError(
            "density 'aggregate' needs the posterior variance of every point, and these are "
            "points without one; choose the density 'histogram'"
        )
    if projection is not None:
        mean, spread = projection(mean), _along(projection, spread)
    weight = np.ones(len(mean)) if points.weight is None else points.weight
    columns = zip(edges, mean.T, spread.T, strict=True)
    return [_masses(*column, weight) for column in columns]


def _along(
    projection: PrincipalComponents, spread: Float64[np.ndarray, "n k"]
) -> Float64[np.ndarray, "n f"]:
    """Standard deviation of independent dimensions along the projection's directions."""
    slope = projection.directions / projection.span[:, None]  # (k, f)
    return np.sqrt(np.square(spread) @ np.square(slope))


def _masses(
    edges: Float64[np.ndarray, " e"],
    mean: Float64[np.ndarray, " n"],
    deviation: Float64[np.ndarray, " n"],
    weight: Float64[np.ndarray, " n"],
) -> Float64[np.ndarray, " bins"]:
    """Weight in each bin, summed over the points; the outer bins reach to infinity."""
    from scipy.special import ndtr

    from debias.loops import NUDGE

    inner = edges[1:-1] - NUDGE * np.diff(edges)[1:]  # the histogram rounds values up by as much
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        steps = (inner - mean[:, None]) / deviation[:, None]  # (n, bins - 1)
    # 0 / 0: a point without spread on an edge belongs to the bin above.
    below = weight @ ndtr(np.where(np.isnan(steps), -np.inf, steps))
    # The sums are rounded: without a floor an empty bin can come out as -1e-17.
    return np.maximum(np.diff(below, prepend=0.0, append=weight.sum()), 0.0)
