"""Density ratio to a reference set, by a classifier that tells the two sets apart."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn, get_args

import numpy as np
from jaxtyping import Float, Float64
from pydantic import Field

from debias.density.joint import canonical_order, require_equal_weights
from debias.density.points import Points
from debias.errors import AllDimensionsInactiveError, WeightError
from debias.plugins import Settings
from debias.statistics.crossfit import left_out_log_odds

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

Features = Literal["linear", "squares", "landmarks"]
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
LANDMARKS = 300


class RatioDensity(Settings):
    """log target(z) - log q(z), the log odds for "from the reference" less the prior log odds.

    Logistic regression on standardised latents, cross-fitted: every sample is scored by models
    that never saw it, and the scores are averaged over repetitions of the folds. What the
    regression looks at and how closely it fits is one choice for all samples, by the log loss on
    those left out, hence without any group label. There is no density, only the ratio.

    Reference:
        Sugiyama, Suzuki, Kanamori 2012, Density Ratio Estimation in Machine Learning, chapter 4;
        landmarks: Williams and Seeger 2001, Using the Nyström Method to Speed Up Kernel Machines.
    """

    name: Literal["ratio"] = "ratio"
    folds: int = Field(default=5, ge=2, description="Parts, each scored by a model of the others.")
    repeats: int = Field(default=3, ge=1, description="Repetitions of the folds to average over.")
    features: Features | Literal["auto"] = Field(
        default="auto",
        description="What the regression looks at: the latents ('linear'), also their 'squares', "
        "or also similarities to 300 samples ('landmarks'); 'auto': what predicts best.",
    )
    strength: Annotated[float, Field(gt=0)] | Literal["auto"] = Field(
        default="auto",
        description="C of the logistic regression, larger fits closer; 'auto': what predicts best.",
    )
    seed: int = Field(default=0, ge=0, description="Of the folds and of the landmarks.")

    def fit(self, z: Points | Float[np.ndarray, "n k"]) -> NoReturn:
        """Always a WeightError: a ratio needs a second set."""
        raise WeightError(
            "density 'ratio' compares the samples with a reference set and got none: name a "
            "reference (target 'reference'), or choose another density"
        )

    def log_ratio(self, points: Points, reference: Points) -> Float64[np.ndarray, " n"]:
        """How much likelier each point is in the reference than among the points, in nats.

        Args:
            points: (n, k), held in memory with the reference.
            reference: (m, k).

        Raises:
            AllDimensionsInactiveError: Every column is constant over the points.
            WeightError: Fewer than 2 rows in one of the sets, or weighted ones.
        """
        for part in (points, reference):
            require_equal_weights(part)
        order = canonical_order(points)
        own = points.of(order).array()
        if not np.ptp(own, axis=0).any():
            raise AllDimensionsInactiveError(
                f"all {own.shape[1]} dimensions are constant over {len(own)} samples: "
                "there is nothing to compare with the reference"
            )
        x = np.concatenate([own, reference.of(canonical_order(reference)).array()])
        wanted = np.arange(len(x)) >= len(own)
        kinds = get_args(Features) if self.features == "auto" else (self.features,)
        scores = left_out_log_odds(
            x,
            wanted,
            [partial(_classifier, kind, x.shape) for kind in kinds],
            STRENGTHS if self.strength == "auto" else (self.strength,),
            folds=self.folds,
            repeats=self.repeats,
            seed=self.seed,
        )
        ratio = np.empty(len(own))
        ratio[order] = scores[: len(own)]
        return ratio - np.log(len(reference) / len(own))


def _classifier(
    features: Features, shape: tuple[int, int], strength: float, generator: np.random.Generator
) -> "Pipeline":
    """Of z; with it z^2, or exp(-|z - landmark|^2 / (2 k)); everything standardised."""
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    rows, width = shape
    # No more than a quarter of all rows: with two folds, half of them are there to choose from.
    count, seed = min(LANDMARKS, -(-rows // 4)), int(generator.integers(2**31))
    landmarks = Nystroem(gamma=0.5 / width, n_components=count, random_state=seed)
    more = {"squares": FunctionTransformer(np.square), "landmarks": landmarks}
    seen = FunctionTransformer()
    if features in more:
        seen = make_union(seen, make_pipeline(more[features], StandardScaler()))
    regression = LogisticRegression(C=strength, max_iter=1000)
    return make_pipeline(StandardScaler(), seen, regression)
