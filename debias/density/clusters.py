"""The share of the samples in each sample's cluster, as how common it is."""

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from jaxtyping import Float, Float64, Int64
from pydantic import Field

from debias.density.joint import Directions, FittedJoint
from debias.density.points import Points
from debias.plugins import Settings

if TYPE_CHECKING:
    from sklearn.cluster import KMeans

STARTS = 4


class ClusterDensity(Settings):
    """The share of a sample's cluster: all samples of a cluster are equally rare.

    Clusters are looked for by k-means in the whitened space, or are those of the representation
    ``kmeans``, whose nearest centre is the smallest of its distances.

    Reference:
        Lloyd 1982, Least Squares Quantization in PCM; Arthur & Vassilvitskii 2007 (first centres).
    """

    name: Literal["clusters"] = "clusters"
    clusters: Annotated[int, Field(ge=2)] | Literal["nearest"] = Field(
        default=16,
        description="Clusters to look for, or 'nearest': as many as dimensions, each sample in "
        "that of its smallest value, as for the distances of the representation kmeans.",
    )
    components: Directions = "auto"
    seed: int = Field(default=0, ge=0, description="Of the first centres.")

    def fit(self, z: Points | Float[np.ndarray, "n k"]) -> FittedJoint:
        """See :meth:`FittedJoint.fit`."""
        components = None if self.clusters == "nearest" else self.components
        return FittedJoint.fit(z, components, self._learn, is_share=True)

    def _learn(self, w: Float64[np.ndarray, "n f"]) -> "Clusters":
        if self.clusters == "nearest":
            return Clusters(count=w.shape[1]).refit(w)
        from sklearn.cluster import KMeans  # seconds that a histogram does not need
        from sklearn.exceptions import ConvergenceWarning

        wanted = min(self.clusters, len(w))
        with warnings.catch_warnings():
            # Copies of a few points: the clusters that are left over stay empty.
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = KMeans(wanted, n_init=STARTS, random_state=self.seed).fit(w)
        return Clusters(count=wanted, centres=found).refit(w)


@dataclass(frozen=True, kw_only=True, eq=False)
class Clusters:
    """Shares (count,) of the samples by cluster; without centres, that of the smallest value."""

    count: int
    centres: "KMeans | None" = None
    shares: Float64[np.ndarray, " c"] | None = None

    @property
    def about(self) -> dict[str, object]:
        return {"clusters": self.count}

    def refit(self, w: Float64[np.ndarray, "m f"]) -> "Clusters":
        counts = np.bincount(self._cluster(w), minlength=self.count)
        return replace(self, shares=counts / len(w))

    def log_density(self, w: Float64[np.ndarray, "n f"]) -> Float64[np.ndarray, " n"]:
        """Natural log of the share of each sample's cluster; minus infinity for an empty one."""
        assert self.shares is not None  # refit has counted
        with np.errstate(divide="ignore"):
            return np.log(self.shares)[self._cluster(w)]

    def _cluster(self, w: Float64[np.ndarray, "n f"]) -> Int64[np.ndarray, " n"]:
        found = w.argmin(axis=1) if self.centres is None else self.centres.predict(w)
        return found.astype(np.int64)
