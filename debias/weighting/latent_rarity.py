"""Weights that favour thinly populated regions of the latent space."""

from typing import ClassVar, Literal

from pydantic import Field

from debias import density
from debias.density import DensityEstimator
from debias.density.descriptors import describe
from debias.types import Latents, Rarity, TrainingTable
from debias.weighting.rule import Context, Need
from debias.weighting.tempering import TemperedRule
from debias.weighting.weights import SamplingWeights


class LatentRarity(TemperedRule):
    """Weights w(z) proportional to (prod_j 1 / (q_j(z_j) + alpha)) ** tau.

    Reference:
        Amini et al. 2019, Uncovering and Mitigating Algorithmic Bias through Learned Latent
        Structure, eq. 2. Deviations: bin masses instead of densities, tempering, a cap, every
        class by itself. "max" is the rule of the authors' teaching code, not of the paper.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"density"})

    name: Literal["latent_rarity"] = "latent_rarity"
    combine: Literal["product", "max"] = Field(
        default="product", description="How the rarities of the factors are combined."
    )
    views: tuple[Literal["latents", "colour", "structure"], ...] = Field(
        default=("latents",),
        min_length=1,
        description="In what a sample may be rare: the latents, and plain descriptions of the "
        "colour and the structure of the image. Of several, the ranks are added.",
    )
    alpha: float = Field(
        default=0.01, gt=0, description="Smoothing added to each bin mass; larger is more even."
    )

    def scored(self, context: Context, estimator: DensityEstimator) -> Rarity:
        """Rarity in every view, combined."""
        labels = context.labels
        rarities: dict[str, Rarity] = {
            view: density.rarity(
                estimator, _seen(view, context), labels,
                alpha=self.alpha, combine=self.combine, across=self.across,
            )
            for view in self.views
        }  # fmt: skip
        return density.combined(rarities, labels, self.across)

    def weights(self, table: TrainingTable) -> SamplingWeights:
        """Weights from the log-rarity of the samples; raises as :meth:`tempered`."""
        origin = {"combine": self.combine, "alpha": self.alpha, "views": list(self.views)}
        return self.tempered(table, origin)


def _seen(view: str, context: Context) -> Latents:
    """Where the training faces lie, in the latent space or in a plain description of the image."""
    if view == "latents":
        return context.latents.load()
    ids = context.faces.ids(context.rows)
    return Latents(sample_ids=ids, mean=describe(view, context.faces.images, context.rows))
