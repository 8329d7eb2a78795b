"""Joint density from the distance to the m-th nearest neighbour."""

from dataclasses import dataclass, replace
from math import ceil, log, pi, sqrt
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from jaxtyping import Float, Float64
from pydantic import Field

from debias.density.joint import Directions, FittedJoint
from debias.density.points import VALUES_AT_ONCE, Points
from debias.density.principal import PrincipalComponents
from debias.plugins import Settings

if TYPE_CHECKING:
    from sklearn.neighbors import NearestNeighbors

SAME = 1e-6  # share of the m-th distance below which the nearest neighbour is the point itself
CLOSEST = 1e-3  # share of the typical distance below which points count as that far apart
SEEN_FOR_TYPICAL = 1000
TREE_DIRECTIONS = 5  # measured, 20,000 points: a tree is as fast as brute force at 6
ENOUGH = 50_000  # samples that can stand for more
LEAST = 50  # of the neighbours that are left among these; fewer make the distance a matter of luck


class NeighbourDensity(Settings):
    """Density q(w) = m / (n * volume of the ball that reaches the m-th neighbour of w).

    Taken over whitened principal components, few enough for distances to differ. Beyond five
    directions every sample is compared with all others up to 50,000 samples, and beyond that with
    50,000 evenly drawn ones, or as many as hold 50 of the neighbours: among R of n samples the
    ball around w that holds m R / n reaches as far as the one that holds m among all, up to
    chance. The time grows with n R. Nothing is drawn at random: equal input, equal result.

    Measured on a million normal points, m = 1000: the rank correlation of the distance with that
    of all pairs is 0.997 in 32 directions and 0.994 in 6 (``benchmarks/neighbours.py``). An index
    of all points finds the neighbours themselves, which nobody asks for here: at m = 1000 and a
    recall of 0.96 HNSW (hnswlib 0.8) takes 22 minutes on two cores, FAISS's inverted lists longer.

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
    among: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Beyond five directions: how many evenly drawn samples each is compared with "
        "at least; empty: 50,000.",
        exclude_if=lambda given: given is None,  # artifacts from before it was there are found
    )

    def sized(self, samples: int) -> "NeighbourDensity":
        """The same; that only some samples are compared with is said, so that keys tell it."""
        return (
            self if self.among or samples <= ENOUGH else self.model_copy(update={"among": ENOUGH})
        )

    def fit(self, z: Points | Float[np.ndarray, "n k"]) -> FittedJoint:
        """See :meth:`FittedJoint.fit`."""
        return FittedJoint.fit(z, self.components, self._learn)

    def held(self, samples: int) -> int:
        """With how many of the samples each is compared where not with all."""
        return _held(samples, self._which(samples), self.among or ENOUGH)

    def among_some(
        self, some: Float[np.ndarray, "m k"], samples: int, projection: PrincipalComponents
    ) -> FittedJoint:
        """Fit to evenly drawn ones (see :meth:`held`) of so many samples, which nobody holds."""
        w = projection(some)
        model = Neighbours.of(w, self._which(samples), samples, self.among or ENOUGH)
        return FittedJoint.about_points(projection, w, model)

    def _which(self, samples: int) -> int:
        wanted = ceil(sqrt(samples)) if self.neighbours == "auto" else self.neighbours
        return min(wanted, samples - 1)

    def _learn(self, w: Float64[np.ndarray, "n f"]) -> "Neighbours":
        return Neighbours.around(w, self._which(len(w)), self.among or ENOUGH)


@dataclass(frozen=True, kw_only=True, eq=False)
class Neighbours:
    """Fitted points, searchable.

    Attributes:
        index: The points that others are compared with.
        m: Which of the neighbours among all points is meant.
        nearest: Which neighbour that is among the points of the index.
        among: How many points the index holds at least, where there are so many.
        closest: None counts as closer than that.
    """

    index: "NearestNeighbors"
    m: int
    nearest: int
    among: int
    closest: float = 0.0

    @staticmethod
    def around(w: Float64[np.ndarray, "n f"], m: int, among: int) -> "Neighbours":
        size = len(w)
        held = size if w.shape[1] <= TREE_DIRECTIONS else _held(size, m, among)
        # Evenly spaced in the canonical order in which the rows come.
        points = w[np.arange(held) * size // held]
        return Neighbours.of(points, m, size, among, seen=w)

    @staticmethod
    def of(
        points: Float64[np.ndarray, "p f"], m: int, size: int, among: int,
        seen: Float64[np.ndarray, "n f"] | None = None,
    ) -> "Neighbours":  # fmt: skip
        """Of so many samples, compared with these; ``seen``: where distances are looked at."""
        from sklearn.neighbors import NearestNeighbors  # seconds that a histogram does not need

        tree, held = points.shape[1] <= TREE_DIRECTIONS, len(points)
        index = NearestNeighbors(algorithm="kd_tree" if tree else "brute").fit(points)
        nearest = min(max(1, round(m * held / size)), held - 1)
        found = Neighbours(index=index, m=m, nearest=nearest, among=among)
        w = points if seen is None else seen
        distance = found._distance(w[:: ceil(len(w) / SEEN_FOR_TYPICAL)])[0]
        apart = distance[distance > 0]
        return replace(found, closest=CLOSEST * float(np.median(apart)) if len(apart) else 1.0)

    @property
    def about(self) -> dict[str, object]:
        return {"neighbours": self.m, "compared_with": self.index.n_samples_fit_}

    def refit(self, w: Float64[np.ndarray, "m f"]) -> "Neighbours":
        found = Neighbours.around(w, min(self.m, len(w) - 1), self.among)
        return replace(found, closest=self.closest)

    def log_density(self, w: Float64[np.ndarray, "n f"]) -> Float64[np.ndarray, " n"]:
        distance, others = self._distance(w)
        radius = np.maximum(distance, self.closest)
        return (
            log(self.nearest) - np.log(others) - _log_ball(w.shape[1]) - w.shape[1] * np.log(radius)
        )

    def _distance(
        self, w: Float64[np.ndarray, "n f"]
    ) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
        """Distance to the wanted neighbour, and among how many others it was looked for."""
        distances, others, m = [], [], self.nearest
        for slab in np.array_split(w, ceil(len(w) * (m + 1) / VALUES_AT_ONCE)):
            distance = self.index.kneighbors(slab, m + 1)[0]  # (n, m + 1)
            # A place can be told from a sample only by its distance, which is rounded.
            itself = distance[:, 0] <= SAME * distance[:, -1]
            distances.append(np.where(itself, distance[:, m], distance[:, m - 1]))
            others.append(self.index.n_samples_fit_ - itself.astype(float))
        return np.concatenate(distances), np.concatenate(others)


def _held(samples: int, m: int, among: int) -> int:
    return min(samples, max(among, ceil(LEAST * samples / m)))


def _log_ball(dimensions: int) -> float:
    """Natural log of the volume of the unit ball."""
    from scipy.special import gammaln

    return 0.5 * dimensions * log(pi) - float(gammaln(0.5 * dimensions + 1))
