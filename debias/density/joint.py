"""What joint densities have in common: they live in a whitened space of few dimensions.

``n`` samples, ``k`` latent dimensions, ``f`` directions. In the whitened space every direction has
variance 1, so distances and covariances mean the same whatever the scale of the latents.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float64, Int64
from pydantic import Field

from debias.density.points import Points, as_points, in_pieces, limits_of
from debias.density.principal import Components, PrincipalComponents
from debias.errors import WeightError

ENOUGH_FOR_A_MEDIAN = 20_000
ROUNDING = 1e-9  # of 1 in the whitened space: a product differs a little in other company
Directions = Annotated[  # a setting of every joint density
    Annotated[int, Field(ge=1)] | Literal["auto"],
    Field(description="Leading principal components to look at, or 'auto': those above noise."),
]


@runtime_checkable
class JointModel(Protocol):
    """A density in the whitened space."""

    @property
    def about(self) -> dict[str, object]: ...

    def log_density(self, w: Float64[np.ndarray, "n f"]) -> Float64[np.ndarray, " n"]:
        """Natural log of the density per unit of whitened volume; finite everywhere."""

    def refit(self, w: Float64[np.ndarray, "m f"]) -> "JointModel":
        """The same choices, made for other points."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedJoint:
    """A joint density: whitened directions and a model of the samples along them.

    Attributes:
        projection: From latents (n, k) to the whitened space (n, f).
        low: (f,), smallest coordinate of the samples first fitted.
        high: (f,), largest.
        typical: Natural log of the density that counts as 1: the median over those samples.
        model: The density.
        is_share: Whether the model gives shares of the samples, not a density per volume.
    """

    projection: PrincipalComponents
    low: Float64[np.ndarray, " f"]
    high: Float64[np.ndarray, " f"]
    typical: float
    model: JointModel
    is_share: bool = False

    @staticmethod
    def fit(
        z: Points | Float[np.ndarray, "n k"],
        components: Components | None,
        learn: Callable[[np.ndarray], JointModel],
        *,
        is_share: bool = False,
    ) -> "FittedJoint":
        """Choose directions, then learn the density along them, from whitened points (n, f).

        Without ``components`` the points are taken as they are.

        Raises:
            AllDimensionsInactiveError: Every column is constant.
            WeightError: Fewer than 2 samples, weighted ones, or fewer dimensions than components.
        """
        points = _in_order(z)
        projection = _chosen(points, components)
        w = _whitened(projection, points)
        return FittedJoint.about_points(projection, w, learn(w), is_share=is_share)

    @staticmethod
    def about_points(
        projection: PrincipalComponents, w: Float64[np.ndarray, "n f"], model: JointModel,
        *, is_share: bool = False,
    ) -> "FittedJoint":  # fmt: skip
        """A model of whitened points, whose range and typical density are kept with it."""
        # Evenly spaced in the canonical order, hence spread over the whole space.
        some = w[:: -(-len(w) // ENOUGH_FOR_A_MEDIAN)]
        typical = float(np.median(model.log_density(some)))
        low, high = w.min(axis=0), w.max(axis=0)
        return FittedJoint(
            projection=projection, low=low, high=high, typical=typical, model=model,
            is_share=is_share,
        )  # fmt: skip

    @property
    def about(self) -> dict[str, object]:
        return {"directions": len(self.low)} | self.model.about

    def refit(self, z: Points | Float[np.ndarray, "m k"]) -> "FittedJoint":
        return replace(self, model=self.model.refit(_whitened(self.projection, _in_order(z))))

    def log_factors(self, z: Points | Float[np.ndarray, "n k"]) -> Float64[np.ndarray, "n 1"]:
        """Natural log of the joint density, per unit of whitened volume."""
        pieces = in_pieces(as_points(z))
        found = [self.model.log_density(self.projection(piece.array())) for piece in pieces]
        return np.concatenate(found)[:, None]

    def log_rarity(
        self,
        z: Points | Float[np.ndarray, "n k"],
        *,
        alpha: float,
        combine: Literal["product", "max"] = "product",
    ) -> Float64[np.ndarray, " n"]:
        """-log((q / typical)^(1 / f) + alpha); one factor, so both ways to combine are the same.

        The root makes q a density per dimension, whose spread does not grow with their number;
        regions thinner than ``alpha`` times the typical density count as about equally rare. Shares
        have no volume, and are taken without a root.
        """
        log_density = self.log_factors(z)[:, 0] - self.typical
        root = 1 if self.is_share else len(self.low)
        return -np.logaddexp(log_density / root, np.log(alpha))

    def outside(self, z: Points | Float[np.ndarray, "n k"]) -> int:
        """How many coordinates in the whitened space lie outside the fitted range."""
        w = _whitened(self.projection, as_points(z))
        return int(((w < self.low - ROUNDING) | (w > self.high + ROUNDING)).sum())


def canonical_order(points: Points) -> Int64[np.ndarray, " n"]:
    """An order of the rows that depends on where they lie, not on how the input is sorted.

    Random starts and folds, which pick rows by position, then pick the same rows whatever the
    input's order and scale. It is the order along a random direction, always the same one.
    """
    limits = limits_of(points)
    direction = np.random.default_rng(0).normal(size=points.width) / limits.span
    # Not a matrix product: its last bits may depend on where a row stands.
    along = [((piece.array() - limits.low) * direction).sum(axis=1) for piece in in_pieces(points)]
    return np.argsort(np.concatenate(along), kind="stable").astype(np.int64)


def require_equal_weights(points: Points) -> None:
    """Raise WeightError for weighted points, or fewer than two."""
    if len(points) < 2:
        raise WeightError(f"a density needs at least 2 samples, got {len(points)}")
    if points.weight is not None:
        raise WeightError(
            "this density counts every sample once and got weighted samples; repeat rows "
            "instead, or use the density 'histogram' or 'aggregate'"
        )


def _in_order(z: Points | Float[np.ndarray, "n k"]) -> Points:
    points = as_points(z)
    require_equal_weights(points)
    return points.of(canonical_order(points))


def _chosen(points: Points, components: Components | None) -> PrincipalComponents:
    if components is not None:
        return PrincipalComponents.fit(points, components)
    zeros, ones = np.zeros(points.width), np.ones(points.width)
    return PrincipalComponents(zeros, ones, np.eye(points.width), zeros)


def _whitened(projection: PrincipalComponents, points: Points) -> Float64[np.ndarray, "n f"]:
    return np.concatenate([projection(piece.array()) for piece in in_pieces(points)])
