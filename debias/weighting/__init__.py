"""Rules that turn what is known about the training samples into sampling weights."""

from typing import ClassVar, Protocol, runtime_checkable

from debias.types import TrainingTable
from debias.weighting.group_balance import GroupBalance
from debias.weighting.latent_rarity import LatentRarity
from debias.weighting.reference_ratio import ReferenceRatio
from debias.weighting.uniform import Uniform
from debias.weighting.weights import SamplingWeights

WEIGHTINGS = {
    "uniform": Uniform,
    "latent_rarity": LatentRarity,
    "reference_ratio": ReferenceRatio,
    "group_balance": GroupBalance,
}

__all__ = [
    "WEIGHTINGS",
    "GroupBalance",
    "LatentRarity",
    "ReferenceRatio",
    "Uniform",
    "Weighting",
]


@runtime_checkable
class Weighting(Protocol):
    """A rule and what it must be given.

    ``needs_density`` asks for the log-rarity of every sample, ``needs_reference`` for its log
    ratio to a reference set; ``uses_groups`` opens the door to annotated groups.
    """

    needs_density: ClassVar[bool]
    needs_reference: ClassVar[bool]
    uses_groups: ClassVar[bool]

    @property
    def name(self) -> str: ...
    def weights(self, table: TrainingTable) -> SamplingWeights: ...
