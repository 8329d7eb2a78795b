"""Plain sampling: what every other rule is compared with."""

from typing import Literal

import numpy as np

from debias.types import TrainingTable
from debias.weighting.rule import Rule
from debias.weighting.weights import SamplingWeights


class Uniform(Rule):
    """Every sample equally likely: plain training."""

    name: Literal["uniform"] = "uniform"

    def weights(self, table: TrainingTable) -> SamplingWeights:
        size = len(table.sample_ids)
        return SamplingWeights(
            sample_ids=table.sample_ids,
            probability=np.full(size, 1 / size),
            origin={"rule": self.name},
        )
