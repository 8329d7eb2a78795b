"""Plain sampling: what every other rule is compared with."""

from typing import ClassVar, Literal

import numpy as np

from debias.plugins import Settings
from debias.types import TrainingTable
from debias.weighting.weights import SamplingWeights


class Uniform(Settings):
    """Every sample equally likely: plain training."""

    needs_density: ClassVar[bool] = False
    needs_reference: ClassVar[bool] = False
    uses_groups: ClassVar[bool] = False

    name: Literal["uniform"] = "uniform"

    def weights(self, table: TrainingTable) -> SamplingWeights:
        size = len(table.sample_ids)
        return SamplingWeights(
            sample_ids=table.sample_ids,
            probability=np.full(size, 1 / size),
            origin={"rule": self.name},
        )
