"""Small clusters that are classified badly count more, as training goes."""

import warnings
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from debias.training.batches import Batch
from debias.training.objectives import clustering
from debias.training.objectives.objective import Objective, Supervised, Task

STARTS = 4


class ClusterWeights(nn.Module):
    """Criterion that weighs images by the mean loss of their cluster over its size.

    Whenever an image is drawn, its weight w moves to (1 - m) w + m v / mean v, with v the last
    known mean loss of its cluster divided by the cluster's number of images, and the mean over the
    batch; then the weights of the batch are scaled to a mean of 1. Until some image of every
    cluster has been drawn, v is one over the number.

    Args:
        clusters: Cluster of every training image, 0 to K - 1.
        task: Tells which of them stand in a batch.
        momentum: m.
    """

    def __init__(self, clusters: Int64[np.ndarray, " n"], task: Task, momentum: float) -> None:
        super().__init__()
        self.clusters, self.task, self.momentum = clusters, task, momentum
        self.weights = np.ones(len(clusters))
        self.losses = np.full(len(clusters), np.nan)  # of every image when it was last drawn

    def forward(self, logits: Tensor, batch: Batch) -> Tensor:
        each = functional.cross_entropy(logits, batch.label, reduction="none")
        rows = self.task.positions(batch).cpu().numpy()
        wanted = self.of_clusters()[self.clusters[rows]]
        moved = (1 - self.momentum) * self.weights[rows] + self.momentum * wanted / wanted.mean()
        self.weights[rows] = moved / moved.mean()
        self.losses[rows] = each.detach().float().cpu().numpy()
        return (torch.from_numpy(self.weights[rows]).to(each) * each).mean()

    def get_extra_state(self) -> dict[str, Tensor]:
        """No buffers, as some devices have no numbers of this precision."""
        return {"weights": torch.from_numpy(self.weights), "losses": torch.from_numpy(self.losses)}

    def set_extra_state(self, state: dict[str, Tensor]) -> None:
        self.weights, self.losses = state["weights"].numpy(), state["losses"].numpy()

    def of_clusters(self) -> Float64[np.ndarray, " K"]:
        """What every cluster counts: v."""
        known = ~np.isnan(self.losses)
        seen = np.bincount(self.clusters[known], minlength=self.clusters.max() + 1)
        total = np.bincount(self.clusters[known], self.losses[known], minlength=len(seen))
        # A mean loss of exactly 0 would leave a batch of nothing.
        loss = np.maximum(total / seen, 1e-12) if seen.all() else np.ones(len(seen))
        return loss / np.bincount(self.clusters)


class PseudoAttributes(Objective):
    """Cross-entropy weighted by mean loss over size of the clusters of a plain model's features.

    Clusters are found within each class by k-means on features of length 1, so that directions
    count; weights follow the losses of the second training (:class:`ClusterWeights`).

    Reference:
        Seo, Lee, Han 2022, Unsupervised Learning of Debiased Representations with
        Pseudo-Attributes, section 3, with the moving average of the authors' code ("avg").
        Deviations: mean losses of clusters are taken anew at every batch, not every tenth; the
        size alone counts until every cluster has been seen, not every image.
    """

    name: Literal["pseudo_attributes"] = "pseudo_attributes"
    clusters: int = Field(default=8, ge=1, description="Clusters of every class.")
    momentum: float = Field(default=0.3, gt=0, le=1, description="How fast weights move.")

    def train(self, task: Task) -> nn.Module:
        """See :meth:`Objective.train`; a DataError where a class has fewer images than clusters."""
        clustering.require_images(task, self.name, "clusters", self.clusters, self.clusters)
        features, noise = clustering.plain_features(task), task.generator("clusters")
        seed = int(noise.integers(2**31))
        found = clustering.within_classes(
            features, task.labels_of("train"), lambda one: self.directions(one, seed)
        )
        return task.fit(Supervised(task.network(), ClusterWeights(found, task, self.momentum)))

    def fitted(self, epochs: int) -> int:
        return 2 * epochs

    def directions(self, features: Float[np.ndarray, "m d"], seed: int) -> Int64[np.ndarray, " m"]:
        """Cluster of every image of one class."""
        from sklearn.cluster import KMeans  # seconds that others do not need

        length = np.linalg.norm(features, axis=1, keepdims=True)
        points = features / np.where(length, length, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of fewer distinct points than clusters
            found = KMeans(self.clusters, n_init=STARTS, random_state=seed).fit_predict(points)
        return found.astype(np.int64)
