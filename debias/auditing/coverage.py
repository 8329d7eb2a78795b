"""How evenly a latent space is populated: equal cells, how many of them count, and directions.

``n`` images, ``k`` latent dimensions, ``d`` directions.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float, Float64, Int64

DIRECTIONS = 3  # in which images differ most; cells of more directions would mostly be empty
RANGE = (1.0, 99.0)  # percentiles between which the cells lie; the outer cells hold the rest
CLOUDS = 200  # bell-shaped clouds that the figures are compared with
DENSEST = 0.1  # of the cells
MOST = 8  # directions that are looked at on their own
NO_VARIANCE = 1e-6  # of the largest: what rounding leaves of a direction without any


@dataclass(frozen=True, eq=False)
class Cells:
    """Boxes of equal size along the directions in which the images differ most.

    Attributes:
        mean: (k,) taken off first.
        directions: (k, d) to principal components.
        edges: (d, slices - 1) inner edges along each.
    """

    mean: Float64[np.ndarray, " k"]
    directions: Float64[np.ndarray, "k d"]
    edges: Float64[np.ndarray, "d _"]

    @staticmethod
    def fit(points: Float[np.ndarray, "n k"], cells: int = 64) -> "Cells":
        """Lay about ``cells`` boxes over the middle 98 % of the images.

        As many slices along each of the three (or fewer) leading principal components.
        """
        from sklearn.decomposition import PCA

        width = min(DIRECTIONS, points.shape[1], len(points) - 1)
        fitted = PCA(width, svd_solver="covariance_eigh").fit(np.asarray(points, np.float64))
        components = fitted.transform(points)
        return Cells(fitted.mean_, fitted.components_.T.copy(), _edges(components, cells))

    @property
    def count(self) -> int:
        return int((self.edges.shape[1] + 1) ** len(self.edges))

    def of(self, points: Float[np.ndarray, "m k"]) -> Int64[np.ndarray, " m"]:
        """Number of the cell of each point, from 0."""
        components = (points - self.mean) @ self.directions
        cell = np.zeros(len(points), np.int64)
        for column, edges in zip(components.T, self.edges, strict=True):
            cell = cell * (len(edges) + 1) + np.searchsorted(edges, column)
        return cell


def _edges(components: Float64[np.ndarray, "n d"], cells: int) -> Float64[np.ndarray, "d _"]:
    low, high = np.percentile(components, RANGE, axis=0)
    slices = max(2, round(cells ** (1 / components.shape[1])))
    return np.linspace(low, high, slices + 1, axis=1)[:, 1:-1]


@dataclass(frozen=True, kw_only=True, eq=False)
class Coverage:
    """How many cells count, and how much the densest hold.

    Attributes:
        cells: All.
        occupied: Those with any image.
        effective_cells: exp(entropy) of the shares: ``cells`` when all hold the same, 1 when one
            holds everything (the Hill number of order 1).
        densest_tenth: Share of the images in the densest tenth of the cells.
        shares: Of every cell, falling.
        cell: (n,) number of the cell of every image.
        bell: The same two figures for single bell-shaped clouds of this many images: 2.5 % and
            97.5 % of 200 of them; empty of cells that were given.

    Reference:
        Hill 1973, Diversity and Evenness, Ecology 54(2), eq. 4.
    """

    cells: int
    occupied: int
    effective_cells: float
    densest_tenth: float
    shares: tuple[float, ...]
    cell: Int64[np.ndarray, " n"]
    bell: dict[str, list[float]] = field(default_factory=dict)


def coverage(points: Float[np.ndarray, "n k"], *, cells: int = 64, seed: int = 0) -> Coverage:
    """How evenly points populate the cells laid over them, beside single heaps."""
    grid = Cells.fit(points, cells)
    clouds = _clouds(len(points), len(grid.edges), cells, np.random.default_rng(seed))
    return replace(coverage_of(grid.of(points), grid.count), bell=clouds)


def coverage_of(
    cell: Int64[np.ndarray, " n"], count: int, weight: Float64[np.ndarray, " n"] | None = None
) -> Coverage:
    """The same of given cells, images counting by their weight."""
    mass = np.bincount(cell, weights=weight, minlength=count).astype(np.float64)
    shares = np.sort(mass / mass.sum())[::-1]
    there = shares[shares > 0]
    whole, part = divmod(DENSEST * count, 1)  # the last cell of the tenth is counted in part
    densest = shares[: int(whole)].sum() + part * shares[int(whole) : int(whole) + 1].sum()
    return Coverage(
        cells=count,
        occupied=len(there),
        effective_cells=float(np.exp(-(there * np.log(there)).sum())),
        densest_tenth=float(densest),
        shares=tuple(shares.tolist()),
        cell=cell,
    )


def _clouds(
    size: int, width: int, cells: int, generator: np.random.Generator
) -> dict[str, list[float]]:
    """Both figures of clouds that are one heap: what no minority and no gap would look like."""
    size = min(size, 20_000)  # beyond, they no longer change
    found = []
    for _ in range(CLOUDS):
        points = generator.standard_normal((size, width))
        grid = Cells(np.zeros(width), np.eye(width), _edges(points, cells))
        one = coverage_of(grid.of(points), grid.count)
        found.append((one.effective_cells, one.densest_tenth))
    effective, densest = np.percentile(found, [2.5, 97.5], axis=0).T.tolist()
    return {"effective_cells": effective, "densest_tenth": densest}


@dataclass(frozen=True, kw_only=True, eq=False)
class Direction:
    """One principal component, and how unevenly its two halves are populated.

    Attributes:
        number: From 1, by the variance it explains.
        variance_share: Of the variance of all latents.
        skewness: Third standardised moment: 0 where both ends are alike.
        low_share: Share of the images in the lower half of the range from the 1st to the 99th
            percentile: 0.5 where both halves hold the same.
        position: (n,) place of every image along it.
        vector: (k,) unit vector.
        ends: Positions of the 1st and the 99th percentile.
    """

    number: int
    variance_share: float
    skewness: float
    low_share: float
    position: Float64[np.ndarray, " n"]
    vector: Float64[np.ndarray, " k"]
    ends: tuple[float, float]

    def rows(self, most: int, *, high: bool) -> Int64[np.ndarray, " m"]:
        """Images around one of its ends, nearest first."""
        apart = np.abs(self.position - self.ends[int(high)])
        return np.argsort(apart, kind="stable")[:most].astype(np.int64)


def uneven_directions(points: Float[np.ndarray, "n k"], most: int = MOST) -> list[Direction]:
    """The leading principal components, the most unevenly populated first."""
    from scipy.stats import skew
    from sklearn.decomposition import PCA

    width = min(most, points.shape[1], len(points) - 1)
    fitted = PCA(width, svd_solver="covariance_eigh").fit(np.asarray(points, np.float64))
    variance, found = fitted.explained_variance_, []
    for number, position in enumerate(fitted.transform(points).T):
        if not variance[number] > NO_VARIANCE * variance[0]:
            continue
        low, high = np.percentile(position, RANGE).tolist()
        found.append(
            Direction(
                number=number + 1,
                variance_share=float(fitted.explained_variance_ratio_[number]),
                skewness=float(skew(position)),
                low_share=float((position < (low + high) / 2).mean()),
                position=position,
                vector=fitted.components_[number],
                ends=(low, high),
            )
        )
    return sorted(found, key=lambda one: -abs(one.low_share - 0.5))
