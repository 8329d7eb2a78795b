"""Plain sampling, and weights by annotated group: what latent weights are compared with."""

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from debias.errors import WeightError
from debias.settings import Settings
from debias.types import SamplingWeights, TrainingTable
from debias.weighting.gate import check


class Uniform(Settings):
    """Every sample equally likely: plain training."""

    needs_density: ClassVar[bool] = False
    uses_groups: ClassVar[bool] = False

    name: Literal["uniform"] = "uniform"

    def weights(self, table: TrainingTable) -> SamplingWeights:
        size = len(table.sample_ids)
        return SamplingWeights(
            sample_ids=table.sample_ids,
            probability=np.full(size, 1 / size),
            origin={"rule": self.name},
        )


class GroupBalance(Settings):
    """Weights 1 / n_g: every annotated group gets the same total weight.

    It needs the annotation of every training image, so it is the upper bound that weights
    without group labels are compared with.
    """

    needs_density: ClassVar[bool] = False
    uses_groups: ClassVar[bool] = True

    name: Literal["group_balance"] = "group_balance"
    within_class: bool = Field(
        default=True, description="Balance the groups inside each class and keep the class shares."
    )
    allow_degenerate: bool = Field(
        default=False, description="Go on although the weights rest on very few samples."
    )

    def weights(self, table: TrainingTable) -> SamplingWeights:
        """Weights of the training samples.

        Raises:
            WeightError: The table has no groups.
            WeightDegeneracyError: The weights rest on too few samples.
        """
        if table.groups is None:
            raise WeightError("group_balance needs group annotations; set 'attributes'")
        groups = np.unique(table.groups, return_inverse=True)[1]
        classes = np.unique(table.labels, return_inverse=True)[1]
        classes = classes if self.within_class else np.zeros_like(classes)
        cell = classes * (groups.max() + 1) + groups
        present, index, count = np.unique(cell, return_inverse=True, return_counts=True)
        owner = present // (groups.max() + 1)  # class of each cell
        cells_of_class = np.bincount(owner)[owner]
        share = np.bincount(classes)[owner] / len(classes) / cells_of_class / count
        probability = share[index]
        weights = SamplingWeights(
            sample_ids=table.sample_ids,
            probability=probability / probability.sum(),
            origin={"rule": self.name},
        )
        return check(weights, allow_degenerate=self.allow_degenerate)
