"""What every rule that tempers a score has in common."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from debias.errors import NonFiniteWeightError, WeightError
from debias.types import TrainingTable
from debias.weighting.gate import check
from debias.weighting.rule import Rule
from debias.weighting.tempering import apply, temper
from debias.weighting.weights import SamplingWeights


class TemperedRule(Rule):
    """Weights proportional to exp(tau * score), capped, every class by itself.

    ``tau`` is solved so that the effective sample size is the declared share of the samples;
    ``ess: published`` fixes tau = 1, the score as it is.
    """

    ess: float | Literal["published"] = Field(
        default=0.5, description="Effective sample size as a share of n, or 'published' (tau = 1)."
    )
    cap: float = Field(
        default=20.0,
        gt=1,
        allow_inf_nan=False,
        description="Largest weight, times the mean weight.",
    )
    across: Literal["class", "all"] = Field(
        default="class", description="Weigh within each class, or over all samples."
    )
    allow_degenerate: bool = Field(
        default=False, description="Go on although the weights rest on very few samples."
    )

    def model_post_init(self, context: object) -> None:
        """Check the range here: a bound on the union would apply to the word as well."""
        if self.ess != "published" and not 0 < self.ess <= 1:
            raise ValueError(f"ess must lie in (0, 1] or be 'published', got {self.ess}")

    def tempered(self, table: TrainingTable, origin: Mapping[str, Any]) -> SamplingWeights:
        """Weights from the scores of the table; ``origin`` is kept beside tau.

        Raises:
            WeightError: The table has no score.
            NonFiniteWeightError: A score is not finite.
            WeightDegeneracyError: The weights rest on too few samples.
        """
        if table.score is None:
            raise WeightError(f"{self.name} needs a score of every sample; see 'density'")
        if not np.isfinite(table.score).all():
            bad = table.sample_ids[~np.isfinite(table.score)]
            raise NonFiniteWeightError(
                f"the scores of {len(bad)} samples are not finite, first {bad[0]}"
            )
        parts = pd.factorize(table.labels)[0].astype(np.int64)  # sorts nothing
        parts = parts if self.across == "class" else np.zeros_like(parts)
        if self.ess == "published":
            found = apply(table.score, parts, tau=1.0, cap=self.cap)
        else:
            found = temper(table.score, parts, ess=self.ess, cap=self.cap)
        about = {"rule": self.name, **origin, "tau": found.tau, "capped": found.capped}
        weights = SamplingWeights(
            sample_ids=table.sample_ids, probability=found.probability, origin=about
        )
        remedy = "give 'ess' a share" if self.ess == "published" else "raise 'ess'"
        return check(weights, allow_degenerate=self.allow_degenerate, remedy=remedy)
