"""Weights that favour thinly populated regions of the latent space."""

from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Float64
from pydantic import Field

from debias.errors import NonFiniteWeightError, WeightError
from debias.settings import Settings
from debias.types import SamplingWeights, TrainingTable
from debias.weighting.gate import check
from debias.weighting.tempering import apply, temper


class LatentRarity(Settings):
    """Weights w(z) proportional to (prod_j 1 / (q_j(z_j) + alpha)) ** tau.

    ``tau`` is solved so that the effective sample size is the declared share of the samples;
    ``ess: published`` fixes tau = 1, the formula as published.

    Reference:
        Amini et al. 2019, Uncovering and Mitigating Algorithmic Bias through Learned Latent
        Structure, eq. 2. Deviations: bin masses instead of densities, tempering, a cap, every
        class by itself. "max" is the rule of the authors' teaching code, not of the paper.
    """

    needs_density: ClassVar[bool] = True
    uses_groups: ClassVar[bool] = False

    name: Literal["latent_rarity"] = "latent_rarity"
    combine: Literal["product", "max"] = Field(
        default="product", description="How the rarities of the factors are combined."
    )
    alpha: float = Field(
        default=0.01, gt=0, description="Smoothing added to each bin mass; larger is more even."
    )
    ess: float | Literal["published"] = Field(
        default=0.5, description="Effective sample size as a share of n, or 'published' (tau = 1)."
    )
    cap: float = Field(default=20.0, gt=1, description="Largest weight, times the mean weight.")
    across: Literal["class", "all"] = Field(
        default="class", description="Estimate rarity within each class, or over all samples."
    )
    allow_degenerate: bool = Field(
        default=False, description="Go on although the weights rest on very few samples."
    )

    def model_post_init(self, context: object) -> None:
        """Check the range here: a bound on the union would apply to the word as well."""
        if self.ess != "published" and not 0 < self.ess <= 1:
            raise ValueError(f"ess must lie in (0, 1] or be 'published', got {self.ess}")

    def weights(self, table: TrainingTable) -> SamplingWeights:
        """Weights of the training samples; the share of each class is kept.

        Raises:
            WeightError: The table has no log factors.
            NonFiniteWeightError: A log factor is NaN or positive infinity.
            WeightDegeneracyError: The weights rest on too few samples.
        """
        score = self.log_rarity(table)
        parts = np.unique(table.labels, return_inverse=True)[1].astype(np.int64)
        parts = parts if self.across == "class" else np.zeros_like(parts)
        if self.ess == "published":
            found = apply(score, parts, tau=1.0, cap=self.cap)
        else:
            found = temper(score, parts, ess=self.ess, cap=self.cap)
        origin = {"rule": self.name, "combine": self.combine, "alpha": self.alpha}
        origin |= {"tau": found.tau, "capped": found.capped}
        weights = SamplingWeights(
            sample_ids=table.sample_ids, probability=found.probability, origin=origin
        )
        return check(weights, allow_degenerate=self.allow_degenerate)

    def log_rarity(self, table: TrainingTable) -> Float64[np.ndarray, " n"]:
        """s_i = -sum_j log(q_j(z_ij) + alpha), or the largest summand for "max".

        A sum of logarithms: the product over many dimensions leaves the range of floats.
        """
        if table.log_factors is None:
            raise WeightError("latent_rarity needs the density of a representation")
        if np.isnan(table.log_factors).any() or np.isposinf(table.log_factors).any():
            raise NonFiniteWeightError("the log density holds NaN or positive infinite values")
        rarity = -np.logaddexp(table.log_factors, np.log(self.alpha))  # (n, f)
        return rarity.sum(axis=1) if self.combine == "product" else rarity.max(axis=1)
