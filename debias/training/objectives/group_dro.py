"""The worst of the known groups."""

from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Int64
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from debias.errors import DataError
from debias.training.batches import Batch
from debias.training.objectives.objective import Criterion, GroupUse, Objective, Task


class WorstGroup(nn.Module):
    """Criterion that leans on the groups with the largest loss.

    q_g <- q_g exp(eta loss_g), normalised; the loss is sum_g q_g loss_g, with loss_g the mean
    cross-entropy of the group's images in the batch and 0 where it has none.

    Args:
        groups: Group of every training image, 0 to G - 1.
        task: Tells which of them stand in a batch.
        eta: Step size of q.
    """

    share: Tensor

    def __init__(self, groups: Int64[np.ndarray, " n"], task: Task, eta: float) -> None:
        super().__init__()
        self.groups, self.task, self.eta = torch.from_numpy(groups), task, eta
        count = int(groups.max()) + 1
        self.register_buffer("share", torch.full((count,), 1 / count))

    def forward(self, logits: Tensor, batch: Batch) -> Tensor:
        each = functional.cross_entropy(logits, batch.label, reduction="none")
        groups = self.groups.to(each.device)[self.task.positions(batch)]
        share = self.share.to(each.device)
        total = each.new_zeros(len(share)).index_add(0, groups, each)
        size = each.new_zeros(len(share)).index_add(0, groups, torch.ones_like(each))
        losses = total / size.clamp(min=1)
        # By logarithms, as exp(eta loss) overflows for a large step.
        self.share = (share.log() + self.eta * losses.detach()).softmax(0)
        return (self.share * losses).sum()


class GroupDRO(Objective):
    """Minimise the loss of the worst annotated group, by exponentiated gradients over groups.

    Groups are cells of class and annotated attributes. Its authors find that it needs strong
    regularisation: set ``classifier.training.weight_decay``, which all arms share.

    Reference:
        Sagawa, Koh, Hashimoto, Liang 2020, Distributionally Robust Neural Networks for Group
        Shifts, algorithm 1. Deviations: draws are those of the arm's weighting, not uniform over
        groups; all groups of a batch are updated at once, as in the authors' code.
    """

    uses_groups: ClassVar[GroupUse] = "training"

    name: Literal["group_dro"] = "group_dro"
    eta: float = Field(default=0.01, gt=0, description="Step size of the groups' shares.")

    def criterion(self, task: Task) -> Criterion:
        groups = task.groups_of("train")
        if (groups < 0).any():
            raise DataError(
                f"group_dro needs the group of every training image, and {(groups < 0).sum()} of "
                f"{len(groups)} have none: annotate them, leave them out by selection.filters, or "
                "use an objective without groups (cvar_dro, jtt)"
            )
        return WorstGroup(groups, task, self.eta)
