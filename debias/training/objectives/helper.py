"""What objectives share that learn from a network trained for a while: a helper."""

import warnings

import numpy as np
from jaxtyping import Float64, Int64, Shaped
from pydantic import Field
from torch import nn

from debias.training.objectives.objective import Objective, Supervised, Task


class Helped(Objective):
    """Trains a plain network for a share of the epochs, and then the one that is wanted.

    A helper that is trained for long gets everything right and tells nothing. How long is too long
    is tuned on annotated groups in the literature; half of the epochs needs none.
    """

    helper_share: float = Field(
        default=0.5, gt=0, le=1, description="Epochs of the helper, as a share of the recipe's."
    )

    def helper(self, task: Task) -> nn.Module:
        return task.fit(Supervised(task.network()), epochs=self._helper_epochs(task.epochs))

    def fitted(self, epochs: int) -> int:
        return self._helper_epochs(epochs) + epochs

    def _helper_epochs(self, epochs: int) -> int:
        return max(1, round(self.helper_share * epochs))


def cross_entropies(task: Task, network: nn.Module) -> Float64[np.ndarray, " n"]:
    """Of every training image, in nats; no more than that of the smallest number above zero."""
    own = np.take_along_axis(task.probabilities(network), task.labels_of("train")[:, None], axis=1)
    return -np.log(np.maximum(own[:, 0], np.finfo(np.float64).tiny))


def warn_of_whole_classes(
    name: str, labels: Int64[np.ndarray, " n"], part: Shaped[np.ndarray, " n"]
) -> None:
    """Name the classes whose images all fall into one part."""
    whole = [str(one) for one in np.unique(labels) if len(np.unique(part[labels == one])) < 2]
    if whole:
        warnings.warn(
            f"{name}: the helper tells no images of class {', '.join(whole)} apart, so within it "
            "all count alike; a helper that is right about all of them was trained for too long, "
            "one that is wrong about all not long enough",
            stacklevel=3,
        )
