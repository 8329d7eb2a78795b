"""Rules that turn what is known about the training samples into sampling weights."""

from debias.plugins import Registry
from debias.weighting.elsewhere import Elsewhere
from debias.weighting.generated import Generated
from debias.weighting.group_balance import GroupBalance
from debias.weighting.latent_rarity import LatentRarity
from debias.weighting.reference_ratio import ReferenceRatio
from debias.weighting.rule import Rule as Weighting
from debias.weighting.rule import Uniform

WEIGHTINGS = Registry(
    "weighting",
    {
        "uniform": Uniform,
        "latent_rarity": LatentRarity,
        "generated": Generated,
        "reference_ratio": ReferenceRatio,
        "elsewhere": Elsewhere,
        "group_balance": GroupBalance,
    },
    group="debias.weightings",
    asks=("needs", "score", "weights"),
)

__all__ = [
    "WEIGHTINGS",
    "Elsewhere",
    "Generated",
    "GroupBalance",
    "LatentRarity",
    "ReferenceRatio",
    "Uniform",
    "Weighting",
]
