"""Both halves of every class, told apart by how a helper learned them."""

from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64
from torch import Tensor, nn

from debias.training.objectives.clustering import within_classes
from debias.training.objectives.helper import cross_entropies, warn_of_whole_classes
from debias.training.objectives.objective import Objective, Supervised, Task


class TAB(Objective):
    """Cluster the images of every class by their losses in a helper's training; draw both alike.

    The helper is trained as the recipe says, and an image is described by its cross-entropy after
    every epoch. Two-means within each class separates what was learned early from what was not.
    The smaller cluster is drawn more often, until it counts as much as the larger one; the network
    is then trained anew. There is nothing to set.

    Reference:
        Espinosa Zarlenga, Sankaranarayanan, Andrews, Shams, Jamnik, Xiang 2024, Efficient Bias
        Mitigation Without Privileged Information (Targeted Augmentations for Bias mitigation):
        loss histories, partition, group-balanced set, robust training. Deviations: random views
        are those of the recipe and shown of all images, not of the added copies alone; an epoch has
        as many draws as there are images, not as many as the enlarged set.
    """

    name: Literal["tab"] = "tab"

    def train(self, task: Task) -> nn.Module:
        learned = Histories(task)
        task.fit(Supervised(task.network()), on_epoch=learned)
        labels, seed = task.labels_of("train"), int(task.generator("tab").integers(2**31))
        histories = np.stack(learned.losses, axis=1)
        clusters = within_classes(histories, labels, lambda one: halves(one, seed))
        warn_of_whole_classes(self.name, labels, clusters)
        return task.fit(Supervised(task.network()), multiples=balance(labels, clusters))

    def fitted(self, epochs: int) -> int:
        return 2 * epochs


class Histories:
    """Cross-entropies of every training image, one array an epoch."""

    def __init__(self, task: Task) -> None:
        self.task, self.losses = task, list[Float64[np.ndarray, " n"]]()

    def __call__(self, network: nn.Module) -> None:
        self.losses.append(cross_entropies(self.task, network))

    def state_dict(self) -> dict[str, list[Float64[np.ndarray, " n"]]]:
        return {"losses": self.losses}

    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        self.losses = [one.numpy() for one in state["losses"]]


def halves(histories: Float64[np.ndarray, "m epochs"], seed: int) -> Int64[np.ndarray, " m"]:
    """0 or 1 for every image of one class; 0 where all are alike."""
    from sklearn.cluster import KMeans  # seconds that others do not need

    if (histories == histories[0]).all():
        return np.zeros(len(histories), dtype=np.int64)
    return KMeans(2, n_init=10, random_state=seed).fit_predict(histories).astype(np.int64)


def balance(
    labels: Int64[np.ndarray, " n"], clusters: Int64[np.ndarray, " n"]
) -> Float64[np.ndarray, " n"]:
    """How much more often an image is drawn: the size of its class's larger cluster by its own."""
    own, largest = np.bincount(clusters)[clusters], np.zeros(labels.max() + 1)
    np.maximum.at(largest, labels, own)
    return largest[labels] / own
