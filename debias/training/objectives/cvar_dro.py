"""The worst share of every batch."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from debias.training.batches import Batch
from debias.training.objectives.objective import Criterion, Objective, Task


def worst_share(each: Tensor, alpha: float) -> Tensor:
    """Mean of the largest ``alpha`` of the losses (B,), the last of them counted in part."""
    ranked = each.sort(descending=True).values
    count = alpha * len(each)
    parts = (count - torch.arange(len(each), device=each.device)).clamp(0, 1)
    return (parts * ranked).sum() / count


class CVaRDRO(Objective):
    """Conditional value at risk: the mean of the worst ``alpha`` of the losses of a batch.

    Reference:
        Levy, Carmon, Duchi, Sidford 2020, Large-Scale Methods for Distributionally Robust
        Optimization, eq. 3, with their estimator by mini-batches.
    """

    name: Literal["cvar_dro"] = "cvar_dro"
    alpha: float = Field(default=0.2, gt=0, le=1, description="Share of a batch; 1 is plain.")

    def criterion(self, task: Task) -> Criterion:
        def loss(logits: Tensor, batch: Batch) -> Tensor:
            each = functional.cross_entropy(logits, batch.label, reduction="none")
            return worst_share(each, self.alpha)

        return loss
