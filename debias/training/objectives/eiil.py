"""Groups inferred from a plain network, then the worst of them."""

from typing import Literal

import numpy as np
from jaxtyping import Bool
from pydantic import Field
from scipy.special import entr
from torch import nn

from debias.training.objectives.group_dro import WorstGroup
from debias.training.objectives.helper import Helped, cross_entropies, warn_of_whole_classes
from debias.training.objectives.objective import Supervised, Task


class EIIL(Helped):
    """Infer two environments that a helper breaks invariance on the most, then GroupDRO on them.

    The helper's logits l_i are multiplied by a scale, and d_i is the derivative of the
    cross-entropy by it at 1. Soft assignments q_i in [0, 1] maximise the penalty of IRM,
    (sum_i q_i d_i)^2 + (sum_i (1 - q_i) d_i)^2. The two sums add up to a constant, so this is
    convex in the first, and its maximum has a closed form: q_i = [d_i > 0]. With p_i the
    probabilities, d_i = sum_c p_ic l_ic - l_iy is cross-entropy less entropy: an image is in the
    second environment where the helper is further off than it expects to be: only ever where it is
    wrong, and with two classes wherever it is. Groups are the cells of class and environment.

    Reference:
        Creager, Jacobsen, Zemel 2021, Environment Inference for Invariant Learning, eq. 4 and 5,
        with GroupDRO as on Waterbirds. Deviation: the authors climb to that maximum by gradient
        steps from a random start.
    """

    name: Literal["eiil"] = "eiil"
    eta: float = Field(default=0.01, gt=0, description="Step size of the groups' shares.")

    def train(self, task: Task) -> nn.Module:
        labels = task.labels_of("train")
        second = environments(task, self.helper(task))
        warn_of_whole_classes(self.name, labels, second)
        _, groups = np.unique(2 * labels + second, return_inverse=True)
        criterion = WorstGroup(groups.astype(np.int64), task, self.eta)
        return task.fit(Supervised(task.network(), criterion))


def environments(task: Task, helper: nn.Module) -> Bool[np.ndarray, " n"]:
    """Which training images are in the second environment."""
    return cross_entropies(task, helper) > entr(task.probabilities(helper)).sum(1)
