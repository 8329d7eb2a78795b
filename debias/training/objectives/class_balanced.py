"""Every class counts alike, as far as its images are new."""

from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from debias.training.batches import Batch
from debias.training.objectives.objective import Criterion, Objective, Task


class ClassBalanced(Objective):
    """Cross-entropy weighted by 1 / effective number of the class, (1 - beta^n) / (1 - beta).

    The weights are scaled to a mean of 1 over the classes; the loss is the mean over the batch of
    weighted cross-entropies.

    Reference:
        Cui, Jia, Lin, Song, Belongie 2019, Class-Balanced Loss Based on Effective Number of
        Samples, eq. 2 and section 4.
    """

    name: Literal["class_balanced"] = "class_balanced"
    beta: float = Field(
        default=0.9999, ge=0, lt=1, description="0 is plain training; near 1, one over the counts."
    )

    def criterion(self, task: Task) -> Criterion:
        count = np.bincount(task.labels_of("train"), minlength=task.classes)
        # -expm1(n log beta) is 1 - beta^n without the loss of digits near 1.
        number = -np.expm1(count * np.log(self.beta)) if self.beta else np.ones(len(count))
        inverse = np.divide(1 - self.beta, number, out=np.zeros(len(count)), where=count > 0)
        weight = torch.from_numpy(inverse * task.classes / inverse.sum()).float()

        def loss(logits: Tensor, batch: Batch) -> Tensor:
            each = functional.cross_entropy(logits, batch.label, reduction="none")
            return (weight.to(each.device)[batch.label] * each).mean()

        return loss
