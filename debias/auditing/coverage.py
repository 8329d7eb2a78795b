"""How a latent space is populated: equal cells, uneven directions, clusters, and a map of it.

``n`` images, ``m`` of them on the map, ``k`` latent dimensions, ``d`` directions.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float64, Int64

from debias.statistics.intervals import Share, share_of

DIRECTIONS = 3  # in which images differ most; cells of more directions would mostly be empty
RANGE = (1.0, 99.0)  # percentiles between which the cells lie; the outer cells hold the rest
CLOUDS = 200  # bell-shaped clouds that the figures are compared with
DENSEST = 0.1  # of the cells
MOST = 8  # directions that are looked at on their own
NO_VARIANCE = 1e-6  # of the largest: what rounding leaves of a direction without any
FITTED = 20_000  # images that decide where clusters lie
FEWEST_EMBEDDED = 50  # t-SNE of fewer shows nothing that a plain projection does not

Points = Float[np.ndarray, "n k"]
Numbers = Int64[np.ndarray, " n"]
Rows = Int64[np.ndarray, " m"]
Position = Float64[np.ndarray, " n"]
Method = Literal["t-SNE", "PCA"]


def _components(points: Points, most: int) -> tuple[Any, Float64[np.ndarray, "n d"]]:
    """The leading principal components as scikit-learn holds them, and the points along them."""
    from sklearn.decomposition import PCA

    width = min(most, points.shape[1], len(points) - 1)
    fitted = PCA(width, svd_solver="covariance_eigh").fit(np.asarray(points, np.float64))
    return fitted, fitted.transform(points)


@dataclass(frozen=True, eq=False)
class Cells:
    """Boxes of equal size along the directions in which the images differ most.

    ``mean`` is taken off first; ``directions`` lead to principal components; inner ``edges`` lie
    along each.
    """

    mean: Float64[np.ndarray, " k"]
    directions: Float64[np.ndarray, "k d"]
    edges: Float64[np.ndarray, "d _"]

    @staticmethod
    def fit(points: Points, cells: int = 64) -> "Cells":
        """Lay about ``cells`` boxes over the middle 98 % of the images.

        As many slices along each of the three (or fewer) leading principal components.
        """
        fitted, components = _components(points, DIRECTIONS)
        return Cells(fitted.mean_, fitted.components_.T.copy(), _edges(components, cells))

    @property
    def count(self) -> int:
        return int((self.edges.shape[1] + 1) ** len(self.edges))

    def of(self, points: Float[np.ndarray, "m k"]) -> Rows:
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

    ``effective_cells`` is exp(entropy) of the shares (Hill 1973, Diversity and Evenness, Ecology
    54(2), eq. 4, order 1): ``cells`` when all hold the same, 1 when one holds everything.
    ``densest_tenth`` is the share of the images in the densest tenth of the cells, ``shares`` are
    those of every cell, falling, ``cell`` (n,) says which each image is in. ``bell`` holds both
    figures for single bell-shaped clouds of this many images: 2.5 % and 97.5 % of 200 of them.
    """

    cells: int
    occupied: int
    effective_cells: float
    densest_tenth: float
    shares: tuple[float, ...]
    cell: Numbers
    bell: dict[str, list[float]] = field(default_factory=dict)


def coverage(points: Points, *, cells: int = 64, seed: int = 0) -> Coverage:
    """How evenly points populate the cells laid over them, beside single heaps."""
    grid = Cells.fit(points, cells)
    clouds = _clouds(len(points), len(grid.edges), cells, np.random.default_rng(seed))
    return replace(coverage_of(grid.of(points), grid.count), bell=clouds)


def coverage_of(cell: Numbers, count: int, weight: Position | None = None) -> Coverage:
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
        skewness: Third standardised moment: 0 where both ends are alike.
        low_share: Share of the images in the lower half of the range from the 1st to the 99th
            percentile: 0.5 where both halves hold the same.
        position: (n,) place of every image along it, the unit ``vector`` (k,).
        ends: Positions of the 1st and the 99th percentile.
    """

    number: int
    variance_share: float
    skewness: float
    low_share: float
    position: Position
    vector: Float64[np.ndarray, " k"]
    ends: tuple[float, float]

    def rows(self, most: int, *, high: bool) -> Rows:
        """Images around one of its ends, nearest first."""
        apart = np.abs(self.position - self.ends[int(high)])
        return np.argsort(apart, kind="stable")[:most].astype(np.int64)


def uneven_directions(points: Points, most: int = MOST) -> list[Direction]:
    """The leading principal components, the most unevenly populated first."""
    from scipy.stats import skew

    fitted, positions = _components(points, most)
    variance, found = fitted.explained_variance_, []
    for number, position in enumerate(positions.T):
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


@dataclass(frozen=True, kw_only=True, eq=False)
class Clusters:
    """Cluster of each image, from 0, the smallest first; its distance from the middle; shares."""

    of: Numbers
    distance: Position
    shares: tuple[Share, ...]

    def typical(self, number: int, most: int) -> Rows:
        """Rows nearest to the middle of a cluster."""
        rows = np.flatnonzero(self.of == number)
        return rows[np.argsort(self.distance[rows], kind="stable")][:most]


def clustered(points: Points, clusters: int, seed: int) -> Clusters:
    """Group images by k-means; fewer clusters than asked for where images coincide.

    Where clusters lie is decided by at most 20,000 images, so that memory and time stay small.
    """
    from sklearn.cluster import KMeans

    generator = np.random.default_rng(seed)
    some = np.sort(generator.permutation(len(points))[:FITTED])
    wanted = min(clusters, len(np.unique(points[some], axis=0)))
    fitted = KMeans(wanted, n_init=4, random_state=seed).fit(np.asarray(points[some], np.float64))
    number = fitted.predict(np.asarray(points, np.float64)).astype(np.int64)
    counts = np.bincount(number, minlength=wanted)
    order = np.argsort(counts, kind="stable")
    distance = np.linalg.norm(points - fitted.cluster_centers_[number], axis=1)
    return Clusters(
        of=np.argsort(order)[number].astype(np.int64),
        distance=distance.astype(np.float64),
        shares=tuple(share_of(count, len(points)) for count in counts[order].tolist()),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class LatentMap:
    """Places on the map: of (m,) rows, ascending, (m, 2), and how they came there."""

    rows: Rows
    xy: Float64[np.ndarray, "m 2"]
    method: Method


def latent_map(points: Points, method: Method, most: int, seed: int) -> LatentMap:
    """Place at most ``most`` images, drawn at random.

    Reference:
        van der Maaten and Hinton 2008, Visualizing Data using t-SNE (scikit-learn).
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    generator = np.random.default_rng(seed)
    rows = np.sort(generator.permutation(len(points))[:most]).astype(np.int64)
    shown = np.asarray(points[rows], np.float64)
    if method == "PCA" or len(rows) < FEWEST_EMBEDDED or shown.shape[1] < 3:
        width = min(2, *shown.shape)
        flat = PCA(width, random_state=seed).fit_transform(shown)
        return LatentMap(rows=rows, xy=np.pad(flat, ((0, 0), (0, 2 - width))), method="PCA")
    perplexity = min(30, (len(rows) - 1) / 3)
    placed = TSNE(init="pca", perplexity=perplexity, random_state=seed).fit_transform(shown)
    return LatentMap(rows=rows, xy=placed.astype(np.float64), method="t-SNE")
