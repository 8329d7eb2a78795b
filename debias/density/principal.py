"""Leading principal components of latents, most informative direction first.

``n`` samples, ``k`` latent dimensions, ``f`` components. Everything comes from sums, which are
taken chunk by chunk and merge across shards.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import chain
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float64

from debias.density.points import (
    VALUES_AT_ONCE,
    Limits,
    Points,
    limits_of,
    plain,
    unit_of,
    with_weight,
)
from debias.errors import AllDimensionsInactiveError, WeightError

NO_VARIANCE = 1e-10  # of the largest: what rounding leaves of a direction without any
TIED = 1 - 1e-6
LARGEST_BY_CHANCE = 2.02  # 99 % quantile of the Tracy-Widom law of order 1

Components = int | Literal["auto"]
Each = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]


@dataclass(frozen=True, eq=False)
class Moments:
    """Weight, mean and scatter of points, each dimension from ``low`` in units of ``span``.

    In these units every value lies in [0, 1], so no offset and no scale of the input is too large.

    ``total`` is the sum of the weights, ``scatter`` that of the weighted products of deviations
    from the mean.

    Reference:
        Chan, Golub, LeVeque 1983, Algorithms for Computing the Sample Variance, The American
        Statistician 37(3), eq. 2.1; here for vectors.
    """

    low: Float64[np.ndarray, " k"]
    span: Float64[np.ndarray, " k"]
    total: float
    mean: Float64[np.ndarray, " k"]
    scatter: Float64[np.ndarray, "k k"]

    @staticmethod
    def of(points: Points, limits: Limits) -> "Moments":
        """Moments of some points, at least one with a weight; ``limits`` enclose every shard."""
        return reduce(Moments.merge, Moments.pieces(points, limits))

    @staticmethod
    def pieces(points: Points, limits: Limits) -> Iterator["Moments"]:
        """Moments of each piece of some points, in order."""
        from debias.loops import gather_moments, in_threads

        low, span, unit = limits.low, limits.span, unit_of(limits.span)

        def of_chunk(chunk: Points) -> Moments:
            mean, below = np.zeros(points.width), np.zeros((points.width, points.width))
            weight = np.ones(len(chunk)) if chunk.weight is None else chunk.weight
            gather_moments(plain(chunk.mean), np.stack([unit, low * unit]), weight, mean, below)
            scatter = np.tril(below) + np.tril(below, -1).T
            size = span * unit
            return Moments(low, span, chunk.total, mean / size, scatter / np.outer(size, size))

        return in_threads(of_chunk, with_weight(points, rows_of_moments(points.width)))

    def merge(self, other: "Moments") -> "Moments":
        """Moments of the points of both, measured with the same limits."""
        total = self.total + other.total
        share = other.total / total
        apart = other.mean - self.mean
        between = self.total * share * np.outer(apart, apart)
        scatter = self.scatter + other.scatter + between
        return Moments(self.low, self.span, total, self.mean + share * apart, scatter)

    @property
    def variance(self) -> Float64[np.ndarray, " k"]:
        """In the units of the input, squared."""
        return np.diag(self.scatter) / self.total * self.span**2


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """A whitened projection: over the points it was fitted to, each component has variance 1.

    ``directions`` lead from units of ``span`` above ``low`` to whitened components, ``origin`` is
    the mean's.
    """

    low: Float64[np.ndarray, " k"]
    span: Float64[np.ndarray, " k"]
    directions: Float64[np.ndarray, "k f"]
    origin: Float64[np.ndarray, " f"]

    @staticmethod
    def fit(points: Points, components: Components) -> "PrincipalComponents":
        """Fit to training latents.

        Every dimension is standardised first, so that rescaling one changes nothing. Points with
        a posterior come with a unit, the variance 1 of the prior, and are only centred. Constant
        dimensions are ignored. Of "auto" components those are kept that stand out from noise, see
        :func:`noise_edge`, and at least one.

        Raises:
            AllDimensionsInactiveError: Every dimension is constant.
            WeightError: The points do not spread in as many directions as were asked for.
        """
        limits = limits_of(points)
        if not limits.varies.any():
            raise AllDimensionsInactiveError(
                f"all {points.width} dimensions are constant over {len(points)} samples: "
                "there is no density to estimate"
            )
        standardise = points.log_var is None
        if len(points) < points.width:
            return _of_few(points, limits, components, standardise=standardise)
        moments = Moments.of(points, limits)
        return PrincipalComponents.of_moments(moments, components, standardise=standardise)

    @staticmethod
    def of_shards(
        shards: Sequence[Any],
        components: Components,
        each: Each,
        known: Limits | None = None,
        *,
        standardise: bool = True,
    ) -> "PrincipalComponents":
        """Fit to shards, whose limits may be known.

        ``each`` does a piece of work, a function of :class:`Points`, for each of them, like
        ``map``.
        """
        if len(shards) == 1:
            fit = partial(PrincipalComponents.fit, components=components)
            return next(iter(each(fit, shards)))
        limits = known or reduce(Limits.merge, each(limits_of, shards))
        # One sum over all pieces in their order: to the last bit that of one array, if shards are
        # of whole pieces.
        pieces = chain.from_iterable(each(partial(Moments.pieces, limits=limits), shards))
        moments = reduce(Moments.merge, pieces)
        return PrincipalComponents.of_moments(moments, components, standardise=standardise)

    @staticmethod
    def of_moments(
        moments: Moments, components: Components, *, standardise: bool = True
    ) -> "PrincipalComponents":
        """Fit to the merged moments of shards; see :meth:`fit`."""
        covariance = moments.scatter / moments.total
        variance = np.diag(covariance)
        unit = _unit(variance, moments.span, standardise=standardise)
        covariance = covariance / np.outer(unit, unit)
        values, vectors = _leading(covariance, components, moments.total, variance)
        directions = _signed(vectors) / unit[:, None] / np.sqrt(values)
        origin = moments.mean @ directions
        return PrincipalComponents(moments.low, moments.span, directions, origin)

    def __call__(self, z: Float[np.ndarray, "n k"]) -> Float64[np.ndarray, "n f"]:
        """Whitened components of latents."""
        from debias.loops import project

        unit, found = unit_of(self.span), np.empty((len(z), len(self.origin)))
        directions = np.ascontiguousarray((self.directions / (self.span * unit)[:, None]).T)
        project(plain(z), np.stack([unit, self.low * unit]), directions, self.origin, found)
        return found


def rows_of_moments(width: int) -> int:
    """Rows of a piece: more than elsewhere where the matrices would outweigh them."""
    return max(1, VALUES_AT_ONCE // max(1, width), 2 * width)


def noise_edge(samples: float, dimensions: int) -> float:
    """Eigenvalue of a covariance above which a direction is more than noise of variance 1.

    (1 + sqrt(k/n))^2, where the eigenvalues of pure noise end in the limit, moved out to where
    the largest of them ends up in one of a hundred sets of n samples.

    Reference:
        Marchenko and Pastur 1967, Distribution of Eigenvalues for Some Sets of Random Matrices;
        Johnstone 2001, On the Distribution of the Largest Eigenvalue in Principal Components
        Analysis, Annals of Statistics 29(2), theorem 1.1.
    """
    rows, columns = np.sqrt(max(samples - 1, 1)), np.sqrt(dimensions)
    scatter = (rows + columns) ** 2
    deviation = (rows + columns) * np.cbrt(1 / rows + 1 / columns)
    return float((scatter + LARGEST_BY_CHANCE * deviation) / rows**2)


def _of_few(
    points: Points, limits: Limits, components: Components, *, standardise: bool
) -> PrincipalComponents:
    """With fewer points than dimensions, the products of points are the smaller matrix."""
    (chunk,) = points.chunks(len(points))
    total, mean, x = _deviations(chunk, limits)
    variance = np.square(x).sum(axis=0) / total
    unit = _unit(variance, limits.span, standardise=standardise)
    x /= unit * np.sqrt(total)
    values, vectors = _leading(x @ x.T, components, total, variance)
    directions = _signed(x.T @ vectors / np.sqrt(values)) / unit[:, None] / np.sqrt(values)
    return PrincipalComponents(limits.low, limits.span, directions, mean @ directions)


def _deviations(
    chunk: Points, limits: Limits
) -> tuple[float, Float64[np.ndarray, " k"], Float64[np.ndarray, "m k"]]:
    """Total weight, mean, and deviations from it times the root of the weight."""
    x = np.subtract(chunk.mean, limits.low, dtype=np.float64)
    x /= limits.span
    mean = np.average(x, axis=0, weights=chunk.weight)
    x -= mean
    if chunk.weight is not None:
        x *= np.sqrt(chunk.weight)[:, None]
    return chunk.total, mean, x


def _unit(
    variance: Float64[np.ndarray, " k"], span: Float64[np.ndarray, " k"], *, standardise: bool
) -> Float64[np.ndarray, " k"]:
    """The deviation that counts as 1: the standard deviation, or that of the prior."""
    return np.sqrt(np.where(variance > 0, variance, 1.0)) if standardise else 1 / span


def _leading(
    matrix: Float64[np.ndarray, "d d"],
    components: Components,
    samples: float,
    variance: Float64[np.ndarray, " k"],
) -> tuple[Float64[np.ndarray, " f"], Float64[np.ndarray, "d f"]]:
    """Largest eigenvalues of a covariance, falling, and their vectors."""
    from scipy.linalg import eigh

    size, dimensions = len(matrix), int((variance > 0).sum())
    values = np.empty(0)
    if components == "auto":
        edge = noise_edge(samples, dimensions)
        values, vectors = eigh(matrix, subset_by_value=(edge, np.inf))
    if not len(values):
        wanted = 1 if components == "auto" else min(components, size)
        values, vectors = eigh(matrix, subset_by_index=(size - wanted, size - 1))
    spread = int((values > NO_VARIANCE * values[-1]).sum())
    if components != "auto" and spread < components:
        raise WeightError(
            f"density.components is {components}, but {samples:.0f} samples with {dimensions} "
            f"active dimensions spread in at most {spread} directions; lower it, or use 'auto'"
        )
    return values[::-1], vectors[:, ::-1]


def _signed(vectors: Float64[np.ndarray, "k f"]) -> Float64[np.ndarray, "k f"]:
    """Eigenvectors have no sign of their own: let the first of the largest entries be positive."""
    size = np.abs(vectors)
    first = np.argmax(size >= TIED * size.max(axis=0), axis=0)
    return vectors * np.sign(vectors[first, np.arange(vectors.shape[1])])
