"""Joint density as a mixture of Gaussians."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from jaxtyping import Float, Float64
from pydantic import Field

from debias.density.joint import Directions, FittedJoint
from debias.density.points import Points
from debias.plugins import Settings

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

LARGEST = 32
ROWS_PER_PARAMETER = 5
LEAST_VARIANCE = 1e-3  # of 1 in the whitened space; a Gaussian on copies of one point stays finite


class MixtureDensity(Settings):
    """Mixture of Gaussians with full covariances, fitted by expectation maximisation.

    Reference:
        McLachlan and Peel 2000, Finite Mixture Models, chapters 3 (fitting) and 6 (choosing the
        number of Gaussians). Deviation: the number is doubled only as long as the Bayesian
        information criterion falls.
    """

    name: Literal["mixture"] = "mixture"
    gaussians: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        default="auto",
        description="Gaussians in the mixture, or 'auto': 1, 2, 4, ... while the Bayesian "
        "information criterion falls.",
    )
    components: Directions = "auto"
    seed: int = Field(default=0, ge=0, description="Of the starting points of the fit.")

    def fit(self, z: Points | Float[np.ndarray, "n k"]) -> FittedJoint:
        """See :meth:`FittedJoint.fit`."""
        return FittedJoint.fit(z, self.components, self._learn)

    def _learn(self, w: Float64[np.ndarray, "n f"]) -> "Mixture":
        if self.gaussians != "auto":
            return Mixture.of(w, self.gaussians, self.seed)
        best = Mixture.of(w, 1, self.seed)
        while 2 * best.gaussians <= _affordable(w):
            larger = Mixture.of(w, 2 * best.gaussians, self.seed)
            if larger.criterion >= best.criterion:
                break
            best = larger
        return best


@dataclass(frozen=True, kw_only=True, eq=False)
class Mixture:
    """A fitted mixture; of ``criterion``, Bayesian information, lower is better."""

    fitted: "GaussianMixture"
    criterion: float
    seed: int

    @staticmethod
    def of(w: Float64[np.ndarray, "n f"], gaussians: int, seed: int) -> "Mixture":
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture  # seconds that a histogram does not need

        mixture = GaussianMixture(
            min(gaussians, len(w)), reg_covar=LEAST_VARIANCE, max_iter=200, random_state=seed
        )
        with warnings.catch_warnings():
            # Reported by ``about``; fewer distinct points than Gaussians leave some of them alike.
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(w)
        return Mixture(fitted=mixture, criterion=float(mixture.bic(w)), seed=seed)

    @property
    def gaussians(self) -> int:
        return int(self.fitted.n_components)

    @property
    def about(self) -> dict[str, object]:
        return {"gaussians": self.gaussians, "converged": bool(self.fitted.converged_)}

    def refit(self, w: Float64[np.ndarray, "m f"]) -> "Mixture":
        return Mixture.of(w, self.gaussians, self.seed)

    def log_density(self, w: Float64[np.ndarray, "n f"]) -> Float64[np.ndarray, " n"]:
        return self.fitted.score_samples(w)


def _affordable(w: Float64[np.ndarray, "n f"]) -> int:
    """Most Gaussians worth trying: each has a mean, a covariance and a share to learn."""
    rows, dimensions = w.shape
    parameters = 1 + dimensions + dimensions * (dimensions + 1) / 2
    return min(LARGEST, int(rows / (ROWS_PER_PARAMETER * parameters)))
