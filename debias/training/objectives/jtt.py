"""Just train twice."""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64
from pydantic import Field
from torch import nn

from debias.training.objectives.helper import Helped, warn_of_whole_classes
from debias.training.objectives.objective import Supervised, Task


class JTT(Helped):
    """Train a helper, then anew from the initial parameters with its errors drawn more often.

    An image that the helper gets wrong is drawn ``upweight`` times as often as another of its
    weight. Published settings (1 to 60 epochs, factors of 4 to 100) are tuned on annotated
    groups for each data set, and the method loses most of its gain without them. Half of the epochs
    and a factor of 10 are those of no data set: the untuned ones of SubpopBench (Yang et al. 2023).

    Reference:
        Liu, Haghgoo, Chen, Raghunathan, Koh, Sagawa, Liang, Finn 2021, Just Train Twice: Improving
        Group Robustness without Training Group Information, algorithm 1. Deviations: an epoch has
        as many draws as there are images, so that all objectives take equal steps; the authors'
        code adds the errors to all images, which is ``upweight`` + 1 here.
    """

    name: Literal["jtt"] = "jtt"
    upweight: float = Field(default=10.0, ge=1, description="1 is plain training.")

    def train(self, task: Task) -> nn.Module:
        labels = task.labels_of("train")
        wrong = task.probabilities(self.helper(task)).argmax(1) != labels
        warn_of_whole_classes(self.name, labels, wrong)
        return task.fit(Supervised(task.network()), multiples=self.multiples(wrong))

    def multiples(self, wrong: Bool[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
        """How much more often an image is drawn."""
        return np.where(wrong, self.upweight, 1.0)
