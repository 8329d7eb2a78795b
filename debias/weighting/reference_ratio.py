"""Weights that make the training set look like an unlabelled reference set."""

import warnings
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Int64
from pydantic import Field

from debias import density
from debias.density import DensityEstimator
from debias.density.descriptors import DESCRIPTORS, describe
from debias.types import FaceStore, Latents, Rarity, TrainingTable
from debias.weighting.rule import Context, Given, Need, Table
from debias.weighting.tempering import TemperedRule
from debias.weighting.weights import SamplingWeights

SHARPENED = 10  # exponent of a ratio beyond which chance may decide


class ReferenceRatio(TemperedRule):
    """Weights w(x) proportional to (target(x) / q_train(x)) ** tau.

    The ratio is that of two densities, or the odds that a cross-fitted classifier gives a sample
    for belonging to the reference set; neither set needs a group label.

    Reference:
        Sugiyama, Suzuki, Kanamori 2012, Density Ratio Estimation in Machine Learning, chapter 4
        (probabilistic classification). Deviations: tempered and capped, every class by itself.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"reference"})

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

    def score(self, context: Context) -> Given:
        """Log ratio of the reference to the training faces."""
        if self.estimate_on != "images":
            return super().score(context)
        ratio = context.reference_ratio()

        def table() -> Table:
            """Networks and plain descriptors err differently: the mean of both ranks better."""
            networks, wanted = ratio.load(), context.reference().load().faces
            plain = density.log_ratio(
                density.DENSITIES["ratio"](seed=context.seed),
                _described(context.faces, context.rows),
                _described(wanted, np.arange(len(wanted.samples))),
                context.labels,
                alpha=self.alpha,
            )
            score = (networks.population[:, 0] + plain.score) / 2
            return context.table(score=score), {"ratio": dict(networks.figures)}

        return Given(table, {"descriptors": list(DESCRIPTORS)}, {"ratio": ratio.key})

    def estimator(self, context: Context) -> DensityEstimator:
        if self.estimate_on == "latents" and not density.compares(context.density):
            return density.DENSITIES["ratio"](seed=context.seed)
        return context.density

    def scored(self, context: Context, estimator: DensityEstimator) -> Rarity:
        own, wanted = context.latents.load(), context.reference().load().latents()
        return density.log_ratio(
            estimator, own, wanted, context.labels, alpha=self.alpha, across=self.across
        )

    def weights(self, table: TrainingTable) -> SamplingWeights:
        """Weights from the log ratio of the samples; raises as :meth:`tempered`."""
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


def _described(faces: FaceStore, rows: Int64[np.ndarray, " n"]) -> Latents:
    """Every plain descriptor of some faces, side by side."""
    parts = [describe(name, faces.images, rows) for name in DESCRIPTORS]
    return Latents(sample_ids=faces.ids(rows), mean=np.concatenate(parts, axis=1))
