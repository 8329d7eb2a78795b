"""The worst of groups that nobody annotated: clusters of what a plain model sees."""

import warnings
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64, Int64
from pydantic import Field
from torch import nn

from debias.training.objectives import clustering
from debias.training.objectives.group_dro import WorstGroup
from debias.training.objectives.objective import Objective, Supervised, Task

LOOKED_AT = 2000  # images of a class by which its clusters are found, to keep it within seconds


class George(Objective):
    """GroupDRO on clusters of a plain model's features, found within each class.

    A Gaussian mixture per class, in the first principal components of its features; of all numbers
    of clusters from 2 to ``most``, the one whose clusters have the largest mean silhouette.

    Reference:
        Sohoni, Dunnmon, Angus, Gu, Re 2020, No Subclass Left Behind, algorithm 1; mean silhouette
        over clusters, not images, as in the authors' code. Deviations: principal components in
        place of UMAP, no overclustering; clusters are found by at most 2,000 images of a class;
        the second training draws as the arm's weighting says and adjusts no loss for the sizes of
        clusters.
    """

    name: Literal["george"] = "george"
    most: int = Field(
        default=10, ge=2, lt=LOOKED_AT, description="Clusters of a class that are tried, at most."
    )
    components: int = Field(default=2, ge=1, description="Principal components looked at.")
    eta: float = Field(default=0.01, gt=0, description="Step size of the clusters' shares.")

    def train(self, task: Task) -> nn.Module:
        """See :meth:`Objective.train`; a DataError where a class has at most ``most`` images."""
        # One more: of as many clusters as images there is no silhouette.
        clustering.require_images(task, self.name, "most", self.most, self.most + 1)
        features, noise = clustering.plain_features(task), task.generator("clusters")
        groups = clustering.within_classes(
            features, task.labels_of("train"), lambda one: self.clusters(one, noise)
        )
        return task.fit(Supervised(task.network(), WorstGroup(groups, task, self.eta)))

    def fitted(self, epochs: int) -> int:
        return 2 * epochs

    def clusters(
        self, features: Float[np.ndarray, "m d"], noise: np.random.Generator
    ) -> Int64[np.ndarray, " m"]:
        """Cluster of every image of one class."""
        from sklearn.mixture import GaussianMixture  # seconds that others do not need

        seed = int(noise.integers(2**31))
        points = _main_directions(features, self.components, seed)
        some = points[noise.permutation(len(points))[:LOOKED_AT]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a mixture of too many, which is then not chosen
            found = [
                GaussianMixture(count, n_init=3, random_state=seed).fit(some)
                for count in range(2, self.most + 1)
            ]
        best = max(found, key=lambda one: silhouette(some, one.predict(some)))
        return best.predict(points).astype(np.int64)


def silhouette(points: Float[np.ndarray, "m k"], clusters: Int64[np.ndarray, " m"]) -> float:
    """Mean over clusters of the mean silhouette of their images; -1 for a single cluster."""
    from sklearn.metrics import silhouette_samples

    names = np.unique(clusters)
    if len(names) == 1:
        return -1.0
    each = silhouette_samples(points, clusters)
    return float(np.mean([each[clusters == name].mean() for name in names]))


def _main_directions(
    features: Float[np.ndarray, "m d"], wanted: int, seed: int
) -> Float64[np.ndarray, "m k"]:
    """Principal components, the first of standard deviation 1."""
    from sklearn.decomposition import PCA

    found = PCA(min(wanted, *features.shape), random_state=seed)
    points = found.fit_transform(features.astype(np.float64))
    return points / (points[:, 0].std() or 1)
