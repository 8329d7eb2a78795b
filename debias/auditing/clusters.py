"""The images in groups of similar ones, and all of them laid out in two dimensions to look at.

``n`` images, ``m`` of them on the map, ``k`` latent dimensions, ``c`` clusters.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64, Int64

from debias.statistics.intervals import Share, share_of

FITTED = 20_000  # images that decide where clusters lie
FEWEST_EMBEDDED = 50  # t-SNE of fewer shows nothing that a plain projection does not

Method = Literal["t-SNE", "PCA"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Clusters:
    """Which cluster each image is in, smallest cluster first.

    Attributes:
        of: (n,) number of the cluster, from 0.
        distance: (n,) to the middle of its cluster.
        shares: Of each cluster, with its 95 % interval (Clopper and Pearson).
    """

    of: Int64[np.ndarray, " n"]
    distance: Float64[np.ndarray, " n"]
    shares: tuple[Share, ...]

    def typical(self, number: int, most: int) -> Int64[np.ndarray, " m"]:
        """Rows nearest to the middle of a cluster."""
        rows = np.flatnonzero(self.of == number)
        return rows[np.argsort(self.distance[rows], kind="stable")][:most]


def clustered(points: Float[np.ndarray, "n k"], clusters: int, seed: int) -> Clusters:
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

    rows: Int64[np.ndarray, " m"]
    xy: Float64[np.ndarray, "m 2"]
    method: Method


def latent_map(points: Float[np.ndarray, "n k"], method: Method, most: int, seed: int) -> LatentMap:
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
