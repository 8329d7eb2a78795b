"""Weights that make the training set look like an unlabelled reference set."""

import warnings
from typing import ClassVar, Literal

from pydantic import Field

from debias.types import TrainingTable
from debias.weighting.tempered import TemperedRule
from debias.weighting.weights import SamplingWeights

SHARPENED = 10  # exponent of a ratio beyond which chance may decide


class ReferenceRatio(TemperedRule):
    """Weights w(x) proportional to (target(x) / q_train(x)) ** tau.

    The ratio is that of two densities, or the odds that a cross-fitted classifier gives a sample
    for belonging to the reference set; neither set needs a group label. With ``ess: published``
    tau is 1 and the weights are the ratio itself.

    Reference:
        Sugiyama, Suzuki, Kanamori 2012, Density Ratio Estimation in Machine Learning, chapter 4
        (probabilistic classification). Deviations: tempered and capped, every class by itself.
    """

    needs_density: ClassVar[bool] = False
    needs_reference: ClassVar[bool] = True
    uses_groups: ClassVar[bool] = False

    name: Literal["reference_ratio"] = "reference_ratio"
    estimate_on: Literal["images", "latents", "density"] = Field(
        default="images",
        description="How the ratio is estimated: on 'images' by small cross-fitted networks (see "
        "'discriminator') and a logistic regression on plain descriptors, on 'latents' by a "
        "cross-fitted logistic regression, or as the ratio of two fits of the recipe's 'density'.",
    )
    alpha: float = Field(
        default=0.01, gt=0, description="Smoothing of both densities, with estimate_on 'density'."
    )

    def weights(self, table: TrainingTable) -> SamplingWeights:
        """Weights of the training samples from their log ratio; the share of each class is kept.

        Raises:
            WeightError: The table has no score.
            NonFiniteWeightError: A score is not finite.
            WeightDegeneracyError: The weights rest on too few samples.
        """
        weights = self.tempered(table, {"estimate_on": self.estimate_on})
        tau = weights.origin["tau"]
        if tau > SHARPENED:
            warnings.warn(
                f"the reference hardly differs from the samples: the ratio had to be taken to the "
                f"power {tau:.0f} to reach the effective sample size, which turns small "
                "differences, chance among them, into large weights; check them on known groups, "
                "or raise ess",
                stacklevel=2,
            )
        return weights
