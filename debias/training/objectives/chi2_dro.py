"""The worst mixture within a chi-square ball around every batch."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from debias.training.batches import Batch
from debias.training.objectives.objective import Criterion, Objective, Task

HALVINGS = 50


def worst_mixture(each: Tensor, rho: float) -> Tensor:
    """The largest mean of the losses (B,) under q with sum_i (B q_i - 1)^2 / (2 B) <= rho.

    The worst q is proportional to max(loss - eta, 0) at the eta that minimises the dual,
    sqrt(1 + 2 rho) * sqrt(mean(max(loss - eta, 0)^2)) + eta. It is found without gradient: that of
    the largest mean is q itself (Danskin 1966).
    """
    fixed = each.detach()
    above = (fixed - _level(fixed, rho)).clamp(min=0) if rho else torch.ones_like(fixed)
    worst = torch.where(above.sum() > 0, above, (fixed == fixed.max()).to(above.dtype))
    return (worst / worst.sum() * each).sum()


def _level(each: Tensor, rho: float) -> Tensor:
    """Where 1 - sqrt(1 + 2 rho) * mean(above) / sqrt(mean(above^2)) is zero, or the largest loss.

    Below the lower end all losses are above eta, and their mean exceeds their standard deviation
    by so much that the slope is negative.
    """
    high = each.max()
    low = each.min() - (high - each.min()) / (2 * rho) ** 0.5 - 1e-6
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = (each - middle).clamp(min=0)
        falls = (1 + 2 * rho) ** 0.5 * above.mean() > above.square().mean().sqrt()
        low, high = torch.where(falls, middle, low), torch.where(falls, high, middle)
    return low


class Chi2DRO(Objective):
    """The worst mean of a batch under weights within a chi-square ball of size ``rho``.

    Reference:
        Levy, Carmon, Duchi, Sidford 2020, Large-Scale Methods for Distributionally Robust
        Optimization, eq. 4, with their estimator by mini-batches.
    """

    name: Literal["chi2_dro"] = "chi2_dro"
    rho: float = Field(default=1.0, ge=0, description="Size of the ball; 0 is plain training.")

    def criterion(self, task: Task) -> Criterion:
        def loss(logits: Tensor, batch: Batch) -> Tensor:
            each = functional.cross_entropy(logits, batch.label, reduction="none")
            return worst_mixture(each, self.rho)

        return loss
