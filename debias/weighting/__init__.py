"""Rules that turn what is known about the training samples into sampling weights."""

from typing import ClassVar, Protocol, runtime_checkable

from debias.types import SamplingWeights, TrainingTable
from debias.weighting.figures import describe, share_by_group
from debias.weighting.latent_rarity import LatentRarity
from debias.weighting.simple import GroupBalance, Uniform

WEIGHTINGS = {
    "uniform": Uniform,
    "latent_rarity": LatentRarity,
    "group_balance": GroupBalance,
}

__all__ = [
    "WEIGHTINGS",
    "GroupBalance",
    "LatentRarity",
    "Uniform",
    "Weighting",
    "describe",
    "share_by_group",
]


@runtime_checkable
class Weighting(Protocol):
    """A rule; ``uses_groups`` opens the door to annotated groups, ``needs_density`` to latents."""

    needs_density: ClassVar[bool]
    uses_groups: ClassVar[bool]

    @property
    def name(self) -> str: ...
    def weights(self, table: TrainingTable) -> SamplingWeights: ...
