"""Which directions of a latent space carry the imbalance.

``n`` images, ``k`` latent dimensions.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64

MOST = 8
RANGE = (1.0, 99.0)  # percentiles between which a direction is looked at
NO_VARIANCE = 1e-6  # of the largest: what rounding leaves of a direction without any


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
    from sklearn.decomposition import PCA

    width = min(most, points.shape[1], len(points) - 1)
    fitted = PCA(width, svd_solver="covariance_eigh").fit(np.asarray(points, np.float64))
    positions = fitted.transform(points)
    variance = fitted.explained_variance_
    found = [
        _direction(number, positions[:, number], fitted.components_[number], float(share))
        for number, share in enumerate(fitted.explained_variance_ratio_)
        if variance[number] > NO_VARIANCE * variance[0]
    ]
    return sorted(found, key=lambda one: -abs(one.low_share - 0.5))


def _direction(
    number: int,
    position: Float64[np.ndarray, " n"],
    vector: Float64[np.ndarray, " k"],
    share: float,
) -> Direction:
    from scipy.stats import skew

    low, high = np.percentile(position, RANGE).tolist()
    return Direction(
        number=number + 1,
        variance_share=share,
        skewness=float(skew(position)),
        low_share=float((position < (low + high) / 2).mean()),
        position=position,
        vector=vector,
        ends=(low, high),
    )
