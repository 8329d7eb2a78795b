"""The images in groups of similar ones, however many of each there are.

``n`` images, ``k`` latent dimensions, ``c`` clusters.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

from debias.statistics.intervals import share_of

FITTED = 20_000  # images that decide where clusters lie


@dataclass(frozen=True, kw_only=True, eq=False)
class Clusters:
    """Which cluster each image is in, smallest cluster first.

    Attributes:
        of: (n,) number of the cluster, from 0.
        distance: (n,) to the middle of its cluster.
        counts: (c,) images.
    """

    of: Int64[np.ndarray, " n"]
    distance: Float64[np.ndarray, " n"]
    counts: Int64[np.ndarray, " c"]

    def typical(self, number: int, most: int) -> Int64[np.ndarray, " m"]:
        """Rows nearest to the middle of a cluster."""
        rows = np.flatnonzero(self.of == number)
        return rows[np.argsort(self.distance[rows], kind="stable")][:most]

    def limits(self, number: int) -> tuple[float, float]:
        """95 % interval of its share (Clopper and Pearson)."""
        found = share_of(int(self.counts[number]), len(self.of))
        return found.low, found.high


def clustered(points: Float[np.ndarray, "n k"], clusters: int, seed: int) -> Clusters:
    """Group images by k-means; fewer clusters than asked for where images coincide.

    Where clusters lie is decided by at most 20,000 images, so that memory and time stay small.
    """
    from sklearn.cluster import KMeans

    generator = np.random.default_rng(seed)
    some = np.sort(generator.permutation(len(points))[:FITTED])
    there = len(np.unique(points[some], axis=0))
    wanted = min(clusters, there)
    fitted = KMeans(wanted, n_init=4, random_state=seed).fit(np.asarray(points[some], np.float64))
    number = fitted.predict(np.asarray(points, np.float64)).astype(np.int64)
    order = np.argsort(np.bincount(number, minlength=wanted), kind="stable")
    rank = np.argsort(order)
    distance = np.linalg.norm(points - fitted.cluster_centers_[number], axis=1)
    of = rank[number].astype(np.int64)
    return Clusters(
        of=of,
        distance=distance.astype(np.float64),
        counts=np.bincount(of, minlength=wanted).astype(np.int64),
    )
