"""Joint density from the distance to the m-th nearest neighbour."""

from dataclasses import dataclass, replace
from math import ceil, log, pi, sqrt
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from jaxtyping import Float, Float64
from pydantic import Field

from debias.density.joint import Directions, FittedJoint
from debias.density.points import VALUES_AT_ONCE, Points
from debias.plugins import Settings

if TYPE_CHECKING:
    from sklearn.neighbors import NearestNeighbors

SAME = 1e-6  # share of the m-th distance below which the nearest neighbour is the point itself
CLOSEST = 1e-3  # share of the typical distance below which points count as that far apart
SEEN_FOR_TYPICAL = 1000
TREE_DIRECTIONS = 5  # measured, 20,000 points: a tree is as fast as brute force at 6


class NeighbourDensity(Settings):
    """Density q(w) = m / (n * volume of the ball that reaches the m-th neighbour of w).

    Taken over whitened principal components, few enough for distances to differ. Beyond five
    directions every sample is compared with all others: the time grows with n^2.

    Reference:
        Loftsgaarden and Quesenberry 1965, A Nonparametric Estimate of a Multivariate Density
        Function, Annals of Mathematical Statistics 36(3). Deviations: m instead of m - 1; a
        fitted sample is not its own neighbour; a distance below 1/1000 of the typical one counts
        as that, so that copies are not infinitely dense.
    """

    name: Literal["knn"] = "knn"
    neighbours: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        default="auto", description="Which neighbour's distance is taken, or 'auto': sqrt(n)."
    )
    components: Directions = "auto"

    def fit(self, z: Points | Float[np.ndarray, "n k"]) -> FittedJoint:
        """See :meth:`FittedJoint.fit`."""
        return FittedJoint.fit(z, self.components, self._learn)

    def _learn(self, w: Float64[np.ndarray, "n f"]) -> "Neighbours":
        wanted = ceil(sqrt(len(w))) if self.neighbours == "auto" else self.neighbours
        return Neighbours.around(w, wanted)


@dataclass(frozen=True, kw_only=True, eq=False)
class Neighbours:
    """Fitted points, searchable.

    The ``m``-th is looked at, and none counts as closer than ``closest``.
    """

    index: "NearestNeighbors"
    m: int
    closest: float = 0.0

    @staticmethod
    def around(w: Float64[np.ndarray, "n f"], wanted: int) -> "Neighbours":
        from sklearn.neighbors import NearestNeighbors  # seconds that a histogram does not need

        search = "kd_tree" if w.shape[1] <= TREE_DIRECTIONS else "brute"
        index = NearestNeighbors(algorithm=search).fit(w)
        found = Neighbours(index=index, m=min(wanted, len(w) - 1))
        # Evenly spaced in the canonical order in which the rows come.
        distance = found._distance(w[:: ceil(len(w) / SEEN_FOR_TYPICAL)])[0]
        apart = distance[distance > 0]
        return replace(found, closest=CLOSEST * float(np.median(apart)) if len(apart) else 1.0)

    @property
    def about(self) -> dict[str, object]:
        return {"neighbours": self.m}

    def refit(self, w: Float64[np.ndarray, "m f"]) -> "Neighbours":
        return replace(Neighbours.around(w, self.m), closest=self.closest)

    def log_density(self, w: Float64[np.ndarray, "n f"]) -> Float64[np.ndarray, " n"]:
        distance, others = self._distance(w)
        radius = np.maximum(distance, self.closest)
        return log(self.m) - np.log(others) - _log_ball(w.shape[1]) - w.shape[1] * np.log(radius)

    def _distance(
        self, w: Float64[np.ndarray, "n f"]
    ) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
        """Distance to the m-th neighbour, and among how many others it was looked for."""
        distances, others = [], []
        for slab in np.array_split(w, ceil(len(w) * (self.m + 1) / VALUES_AT_ONCE)):
            distance = self.index.kneighbors(slab, self.m + 1)[0]  # (n, m + 1)
            # A place can be told from a sample only by its distance, which is rounded.
            itself = distance[:, 0] <= SAME * distance[:, -1]
            distances.append(np.where(itself, distance[:, self.m], distance[:, self.m - 1]))
            others.append(self.index.n_samples_fit_ - itself.astype(float))
        return np.concatenate(distances), np.concatenate(others)


def _log_ball(dimensions: int) -> float:
    """Natural log of the volume of the unit ball."""
    from scipy.special import gammaln

    return 0.5 * dimensions * log(pi) - float(gammaln(0.5 * dimensions + 1))
