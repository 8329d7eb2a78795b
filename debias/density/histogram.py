"""One equal-width histogram per leading principal component, or per latent dimension.

Everything is a sum over the samples. Points are read in pieces, several at a time, and nothing of
their size is kept; shards are counted anywhere and merged:

    empty = HistogramDensity().empty(shards)
    whole = reduce(FittedHistogram.merge, map(empty.partial_fit, shards))

``n`` samples, ``k`` latent dimensions, ``f`` density factors.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float, Float64, Int64, Real
from pydantic import Field

from debias.density.points import (
    Limits,
    Points,
    as_points,
    in_pieces,
    limits_of,
    plain,
    rows_at_once,
    unit_of,
    with_weight,
)
from debias.density.principal import Each, PrincipalComponents
from debias.errors import AllDimensionsInactiveError, EmptyDatasetError, WeightError
from debias.plugins import Settings

FINE = 1024  # cells in which the quartiles are looked for
AUTO_LIMIT = 200  # the rules ask for millions of bins when one value lies far away
ROUNDING = 1e-9  # of the range: a component differs a little in other company
COMPONENTS = (
    "Leading principal components to look at, 'auto': those that stand out from noise; empty: "
    "every dimension by itself."
)
Components = Annotated[int, Field(ge=1)] | Literal["auto"] | None


class HistogramDensity(Settings):
    """Histogram of bin *masses* in [0, 1]: unlike densities, they do not change with the scale.

    Reference:
        Amini et al. 2019, section 3.3: Q(z) = prod_j Q_j(z_j). Deviations: masses instead of
        densities, and by default the histograms of those whitened principal components that stand
        out from noise.
    """

    needs_spread: ClassVar[bool] = False  # a posterior variance of every point

    name: Literal["histogram"] = "histogram"
    bins: Annotated[int, Field(ge=2)] | Literal["auto"] = Field(
        default=10, description="Equal-width bins per factor, or 'auto' for numpy's rule."
    )
    components: Components = Field(default="auto", description=COMPONENTS)

    def fit(self, z: Points | Float[np.ndarray, "n k"]) -> "FittedHistogram":
        """Estimate from the latents of training data; raises as :meth:`empty`."""
        points = as_points(z)
        return self.empty([points]).partial_fit(points)

    def empty(self, shards: Sequence[Points]) -> "FittedHistogram":
        """Directions and bins that suit the means of all shards, which are read but not counted.

        Raises:
            AllDimensionsInactiveError: Every column is constant.
            EmptyDatasetError: There is no point with a weight.
            WeightError: The points do not spread in as many directions as ``components``.
        """
        shards = [shard for shard in shards if shard.total > 0]
        if not shards:
            raise EmptyDatasetError("there is no sample to estimate a density from")
        return self.suited(shards, map, standardise=shards[0].log_var is None)

    def suited(
        self,
        shards: Sequence[Any],
        each: Each,
        known: Limits | None = None,
        *,
        standardise: bool = True,
    ) -> "FittedHistogram":
        """Likewise of shards that may lie elsewhere, whose limits may be known.

        ``each`` does a piece of work, a function of :class:`Points`, for each of them, like
        ``map``.
        """
        projection = self._projection(shards, each, known, standardise=standardise)
        limits = known
        if limits is None or projection is not None:
            limits = reduce(Limits.merge, each(partial(limits_of, project=projection), shards))
        if not limits.varies.any():
            raise AllDimensionsInactiveError(
                f"all {len(limits.low)} dimensions are constant over {sum(each(len, shards))} "
                "samples: there is no density to estimate"
            )
        bins = np.full(len(limits.low), FINE if self.bins == "auto" else self.bins)
        found = FittedHistogram.on(limits, bins, projection)
        if self.bins == "auto":
            fine = reduce(FittedHistogram.merge, each(found.partial_fit, shards))
            found = FittedHistogram.on(limits, np.array([*map(_enough, fine.counts)]), projection)
        return replace(found, spread=self.needs_spread)

    def _projection(
        self, shards: Sequence[Any], each: Each, known: Limits | None, *, standardise: bool
    ) -> PrincipalComponents | None:
        if self.components is None:
            return None
        return PrincipalComponents.of_shards(
            shards, self.components, each, known, standardise=standardise
        )


class AggregateDensity(HistogramDensity):
    """Mass of each bin under q(z_j) = mean over samples of N(mean_j, variance_j).

    The bins are those of the histogram of the means, so with a variance of 0 this is the
    histogram; what lies beyond the outer edges belongs to the outer bins. Points without a
    posterior variance are refused with a WeightError.

    Reference:
        Makhzani et al. 2016, Adversarial Autoencoders, section 2 (the aggregated posterior).
        Deviation: one density per factor, as bin masses.
    """

    needs_spread: ClassVar[bool] = True

    name: Literal["aggregate"] = "aggregate"  # type: ignore[assignment]
    components: Components = Field(default=None, description=COMPONENTS)


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedHistogram:
    """Bins and how many samples are in them.

    A bin holds its lower edge, and the last also its upper edge. Values beyond the outer edges
    count into the outer bins.

    Attributes:
        limits: Outer edges of each factor.
        counts: (bins,) for each factor: samples, or their weight. One bin for a constant column,
            whose mass of 1 says nothing.
        projection: From latents to the factors; None if these are the latents.
        spread: Whether every sample counts in all bins, by the share of its posterior in each.
    """

    limits: Limits
    counts: tuple[Real[np.ndarray, " _"], ...]
    projection: PrincipalComponents | None = None
    spread: bool = False

    @staticmethod
    def on(
        limits: Limits,
        bins: Int64[np.ndarray, " f"],
        projection: PrincipalComponents | None = None,
    ) -> "FittedHistogram":
        """Empty bins of equal width between the limits."""
        counts = (np.zeros(size, dtype=np.int64) for size in np.where(limits.varies, bins, 1))
        return FittedHistogram(limits=limits, counts=tuple(counts), projection=projection)

    def partial_fit(self, z: Points | Float[np.ndarray, "m k"]) -> "FittedHistogram":
        """The same bins with more samples in them; a WeightError without a spread it needs."""
        from debias.loops import in_threads

        points = as_points(z)
        most = max(map(len, self.counts))  # each sample is seen from each bin if it is spread
        rows = max(1, rows_at_once(points) // most)
        pieces = points.chunks(rows) if self.spread else with_weight(points)
        found = in_threads(self._shared if self.spread else self._counted, pieces)
        return self._with(reduce(np.add, found, np.concatenate(self.counts)))

    def merge(self, other: "FittedHistogram") -> "FittedHistogram":
        """The same bins with the samples of both; a WeightError for other bins."""
        if not self._same_bins(other):
            raise WeightError(
                "histograms of different bins cannot be merged: fill them from the same empty one, "
                "see HistogramDensity.empty"
            )
        return self._with(np.concatenate(self.counts) + np.concatenate(other.counts))

    def refit(self, z: Points | Float[np.ndarray, "m k"]) -> "FittedHistogram":
        return self._with(np.zeros_like(np.concatenate(self.counts))).partial_fit(z)

    @property
    def about(self) -> dict[str, object]:
        return {"factors": len(self.counts), "bins": max(map(len, self.counts))}

    @property
    def mass(self) -> tuple[Float64[np.ndarray, " _"], ...]:
        """(bins,) for each factor, the share of the samples in each bin."""
        return tuple(counts / counts.sum() for counts in self.counts)

    @property
    def edges(self) -> tuple[Float64[np.ndarray, " _"], ...]:
        """(bins + 1,) for each factor, rising."""
        ends = zip(self.limits.low, self.limits.high, self.counts, strict=True)
        return tuple(np.linspace(low, high, len(counts) + 1) for low, high, counts in ends)

    def log_factors(self, z: Points | Float[np.ndarray, "n k"]) -> Float64[np.ndarray, "n f"]:
        """Natural log of the mass of the bin each mean falls in; -inf for an empty bin."""
        from debias.loops import EACH

        with np.errstate(divide="ignore"):
            table = np.log(np.concatenate(self.mass))
        return self._look_up(as_points(z), table, EACH)

    def log_rarity(
        self,
        z: Points | Float[np.ndarray, "n k"],
        *,
        alpha: float,
        combine: Literal["product", "max"] = "product",
    ) -> Float64[np.ndarray, " n"]:
        """-sum_j log(q_j + alpha), or the largest summand.

        ``alpha`` is a mass: a bin with much less than this share of the samples counts as holding
        about this share. A sum of logarithms, as the product leaves the range of floats.

        Reference:
            Amini et al. 2019, eq. 2; "max" is the rule of the authors' teaching code.
        """
        from debias.loops import LARGEST, SUM

        table = -np.log(np.concatenate(self.mass) + alpha)
        return self._look_up(as_points(z), table, SUM if combine == "product" else LARGEST)[:, 0]

    def outside(self, z: Points | Float[np.ndarray, "n k"]) -> int:
        """How many values lie outside the range of the bins."""
        from debias.loops import in_threads

        margin = ROUNDING * (self.limits.high - self.limits.low)
        low, high = self.limits.low - margin, self.limits.high + margin

        def beyond(piece: Points) -> int:
            x = self._factors(piece)
            return int(((x < low) | (x > high)).sum())

        return sum(in_threads(beyond, in_pieces(as_points(z))))

    def _counted(self, piece: Points) -> Real[np.ndarray, " bins"]:
        from debias.loops import count

        weight = np.ones(len(piece), np.int64) if piece.weight is None else piece.weight
        found = np.zeros(sum(map(len, self.counts)), dtype=weight.dtype)
        count(self._factors(piece), self._grid(), weight, found)
        return found

    def _shared(self, piece: Points) -> Float64[np.ndarray, " bins"]:
        """Weight of the points in each bin of each factor, by shares of their posteriors."""
        mean, deviation = piece.array(), piece.spread()
        if deviation is None:
            raise WeightError(
                "density 'aggregate' needs the posterior variance of every point, and these are "
                "points without one; choose the density 'histogram'"
            )
        if self.projection is not None:
            slope = self.projection.directions / self.projection.span[:, None]  # (k, f)
            mean = self.projection(mean)
            deviation = np.sqrt(np.square(deviation) @ np.square(slope))
        weight = np.ones(len(mean)) if piece.weight is None else piece.weight
        columns = zip(self.edges, mean.T, deviation.T, strict=True)
        return np.concatenate([_masses(*column, weight) for column in columns])

    def _look_up(
        self, points: Points, table: Float64[np.ndarray, " bins"], how: int
    ) -> Float64[np.ndarray, "n _"]:
        """What a table of all bins says of each sample, see :func:`debias.loops.look_up`."""
        from debias.loops import EACH, in_threads, look_up

        grid, rows = self._grid(), rows_at_once(points)
        out = np.empty((len(points), len(self.counts) if how == EACH else 1))

        def fill(task: tuple[Points, int]) -> None:
            piece, start = task
            look_up(self._factors(piece), grid, table, out[start : start + rows], how)

        starts = range(0, len(points), rows)
        deque(in_threads(fill, zip(in_pieces(points), starts, strict=True)), maxlen=0)
        return out

    def _factors(self, piece: Points) -> Float[np.ndarray, "m f"]:
        return plain(piece.mean if self.projection is None else self.projection(piece.mean))

    def _grid(self) -> Float64[np.ndarray, "5 f"]:
        """Where a value falls, see :mod:`debias.loops`."""
        bins = np.array([*map(len, self.counts)])
        span = self.limits.span
        unit = unit_of(span)
        density = np.where(self.limits.varies, bins / (span * unit), 0.0)
        return np.stack([unit, self.limits.low * unit, density, bins - 1, np.cumsum(bins) - bins])

    def _with(self, counts: Real[np.ndarray, " bins"]) -> "FittedHistogram":
        ends = np.cumsum([*map(len, self.counts)])[:-1]
        return replace(self, counts=tuple(np.split(counts, ends)))

    def _same_bins(self, other: "FittedHistogram") -> bool:
        sizes = [*map(len, self.counts)] == [*map(len, other.counts)]
        same = np.array_equal(self.limits.low, other.limits.low)
        return sizes and same and np.array_equal(self.limits.high, other.limits.high)


def _enough(counts: Real[np.ndarray, " fine"]) -> int:
    """Bins for a factor: the rule of Freedman and Diaconis 1981 or of Sturges 1926, the finer one.

    The quartiles are read off the cells of a fine histogram, so that a pass over the samples is
    enough and shards merge; the rest is numpy's rule "auto".
    """
    below = np.concatenate([[0.0], np.cumsum(counts)])
    total = below[-1]
    quartiles = np.interp([0.25 * total, 0.75 * total], below, np.arange(len(below)) / len(counts))
    sturges = np.log2(total) + 1
    freedman_diaconis = total ** (1 / 3) / (2 * np.ptp(quartiles))
    finer = max(sturges, min(freedman_diaconis, 2 * np.sqrt(total)))
    return max(2, min(int(np.ceil(finer)), AUTO_LIMIT))


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
