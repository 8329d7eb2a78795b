"""Less of what is easy."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from debias.training.batches import Batch
from debias.training.objectives.objective import Criterion, Objective, Task


class Focal(Objective):
    """Cross-entropy times (1 - p)^gamma, p the probability of the true class; mean over the batch.

    Reference:
        Lin, Goyal, Girshick, He, Dollar 2017, Focal Loss for Dense Object Detection, eq. 4, without
        the class weight alpha.
    """

    name: Literal["focal"] = "focal"
    gamma: float = Field(default=2.0, ge=0, description="Larger looks away from what is easy.")

    def criterion(self, task: Task) -> Criterion:
        def loss(logits: Tensor, batch: Batch) -> Tensor:
            each = functional.cross_entropy(logits, batch.label, reduction="none")
            # Below gamma 1 the power has no finite slope at 0, where a sure answer is rounded to.
            wrong = (-each).expm1().neg().clamp(min=torch.finfo(each.dtype).tiny)
            return (wrong**self.gamma * each).mean()

        return loss
