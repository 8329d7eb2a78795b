"""How densely each region of the latent space is populated.

A density is fitted to latent points and answers with log factors (n, f), f = k for one density
per dimension and f = 1 for a joint one, and with the log-rarity (n,) that weights are made of.
Grow the room by one file and one line in ``DENSITIES``; the contract battery then covers it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from debias.density.clusters import ClusterDensity
from debias.density.histogram import AggregateDensity, FittedHistogram, HistogramDensity
from debias.density.knn import NeighbourDensity
from debias.density.mixture import MixtureDensity
from debias.density.points import Points, limits_of
from debias.density.principal import Moments
from debias.density.ratio import RatioDensity
from debias.errors import AllDimensionsInactiveError, DataError, WeightError
from debias.plugins import Registry, Settings
from debias.types import Latents, Rarity

DENSITIES = Registry(
    "density",
    {
        "histogram": HistogramDensity,
        "aggregate": AggregateDensity,
        "knn": NeighbourDensity,
        "mixture": MixtureDensity,
        "clusters": ClusterDensity,
        "ratio": RatioDensity,
    },
    group="debias.densities",
    asks=("fit",),
)
REMEDY = (
    "Of an autoencoder, raise representation.training.epochs or lower representation.model.beta, "
    "for example --set representation.model.beta=0.5"
)
ACTIVE_VARIANCE = 0.01
Across = Literal["class", "all"]
Combine = Literal["product", "max"]

__all__ = [
    "DENSITIES",
    "AggregateDensity",
    "ClusterDensity",
    "DensityEstimator",
    "FittedDensity",
    "FittedHistogram",
    "HistogramDensity",
    "MixtureDensity",
    "NeighbourDensity",
    "Points",
    "RatioDensity",
    "active_dimensions",
    "combined",
    "compares",
    "log_ratio",
    "rarity",
    "seeded",
    "sized",
]


@runtime_checkable
class FittedDensity(Protocol):
    """A density that has seen its training data; ``about`` holds plain values worth reporting."""

    @property
    def about(self) -> dict[str, object]: ...

    def log_factors(self, z: Points | Float[np.ndarray, "n k"]) -> Float64[np.ndarray, "n f"]:
        """Natural log of the bin mass of each factor, or of the joint density."""

    def log_rarity(
        self, z: Points | Float[np.ndarray, "n k"], *, alpha: float, combine: Combine = "product"
    ) -> Float64[np.ndarray, " n"]:
        """-sum_j log(q_j + alpha), or the largest summand; larger is rarer."""

    def refit(self, z: Points | Float[np.ndarray, "m k"]) -> "FittedDensity":
        """The same bins, directions and scale, filled with other points."""

    def outside(self, z: Points | Float[np.ndarray, "n k"]) -> int:
        """How many values lie outside the range seen when the density was fitted."""


@runtime_checkable
class DensityEstimator(Protocol):
    """Settings that can be fitted; fitting changes nothing."""

    @property
    def name(self) -> str: ...
    def fit(self, z: Points | Float[np.ndarray, "n k"]) -> FittedDensity: ...


@runtime_checkable
class Comparison(DensityEstimator, Protocol):
    """Settings that compare two sets and say nothing about one alone."""

    def log_ratio(self, points: Points, reference: Points) -> Float64[np.ndarray, " n"]: ...


def compares(estimator: DensityEstimator) -> bool:
    """Whether it needs a reference: what it estimates is a ratio."""
    return isinstance(estimator, Comparison)


def seeded(estimator: DensityEstimator, seed: int) -> DensityEstimator:
    """One that draws at random does so by this seed, unless it was given one of its own."""
    assert isinstance(estimator, Settings)  # every member of the registry is
    if "seed" not in type(estimator).model_fields or "seed" in estimator.model_fields_set:
        return estimator
    return estimator.model_copy(update={"seed": seed})


def sized(estimator: DensityEstimator, samples: int) -> DensityEstimator:
    """One that looks at many samples in another way than at few has that among its settings."""
    return estimator.sized(samples) if isinstance(estimator, NeighbourDensity) else estimator


def active_dimensions(latents: Latents) -> Bool[np.ndarray, " k"]:
    """Dimensions that say something about the samples.

    With a posterior, those whose mean varies by more than 0.01, small beside the prior's variance
    of 1. Points without one have no such scale: there a dimension is active unless it is constant.

    Reference:
        Burda, Grosse, Salakhutdinov 2016, Importance Weighted Autoencoders, section 5.2.
    """
    points = Points(mean=latents.mean)
    limits = limits_of(points)
    if latents.log_var is None:
        return limits.varies
    return Moments.of(points, limits).variance > ACTIVE_VARIANCE


def rarity(
    estimator: DensityEstimator,
    latents: Latents,
    labels: Int64[np.ndarray, " n"],
    *,
    alpha: float,
    combine: Combine = "product",
    across: Across = "class",
) -> Rarity:
    """Fit the density to the active dimensions and say how rare each sample is.

    Args:
        estimator: Density settings.
        latents: Training latents.
        labels: (n,), class index.
        alpha: Smoothing, as a share of the samples in a bin or of the typical density.
        combine: How the factors are combined.
        across: "class" fits one density to each class, "all" one to everything.

    Raises:
        AllDimensionsInactiveError: No latent dimension is active.
    """

    def score(part: Points) -> tuple[Float64[np.ndarray, " m"], FittedDensity]:
        fitted = estimator.fit(part)
        return fitted.log_rarity(part, alpha=alpha, combine=combine), fitted

    return _by_part(score, latents, labels, across, _columns(latents))


def log_ratio(
    estimator: DensityEstimator,
    latents: Latents,
    reference: Latents,
    labels: Int64[np.ndarray, " n"],
    *,
    alpha: float,
    across: Across = "class",
) -> Rarity:
    """How much more the reference has of each sample's surroundings: log target(z) - log q(z).

    ``ratio`` asks a cross-fitted classifier; every other estimator is fitted twice, to the samples
    and, in the same bins and directions, to the reference. The reference carries no labels.

    Raises:
        DataError: The reference has another width.
        WeightError: It has fewer than 2 samples.
        AllDimensionsInactiveError: No latent dimension is active.
    """
    own, other = latents.mean.shape[1], reference.mean.shape[1]
    if own != other:
        raise DataError(
            f"the reference has {other} dimensions, the samples have {own}: both must come from "
            "the same encoder"
        )
    if len(reference.mean) < 2:
        raise WeightError(
            f"the reference holds {len(reference.mean)} samples; at least 2 are needed"
        )
    columns, dropped = _columns(latents)
    wanted = Points(mean=reference.mean, log_var=reference.log_var, columns=columns)
    if isinstance(estimator, Comparison):
        # The reference has no classes, so one classifier sees all samples.
        points = Points(mean=latents.mean, log_var=latents.log_var, columns=columns)
        score = estimator.log_ratio(points, wanted)
        return Rarity(sample_ids=latents.sample_ids, score=score, about=dropped)

    def score_part(part: Points) -> tuple[Float64[np.ndarray, " m"], FittedDensity]:
        fitted = estimator.fit(part)
        there = fitted.refit(wanted).log_rarity(part, alpha=alpha)
        return fitted.log_rarity(part, alpha=alpha) - there, fitted

    return _by_part(score_part, latents, labels, across, (columns, dropped))


def combined(
    rarities: Mapping[str, Rarity], labels: Int64[np.ndarray, " n"], across: Across = "class"
) -> Rarity:
    """One score from the rarity of the same samples in several views; one view keeps its score.

    Each view gives a sample its rank among those of its class, as a share; the shares are added.
    Ranks make views comparable whose densities live in spaces of different size and scale.

    Reference:
        Edgington 1972, An Additive Method for Combining Probability Values from Independent
        Experiments, Journal of Psychology 80: a rank is the share of samples at least as common.
    """
    from scipy.stats import rankdata

    first, *others = rarities.values()
    if not others:
        return first
    score = np.zeros(len(labels))
    for found in rarities.values():
        for rows in _parts(labels, across):
            here = slice(None) if rows is None else rows
            score[here] += rankdata(found.score[here]) / len(score[here])
    about = {
        f"{view} {key}": value for view, f in rarities.items() for key, value in f.about.items()
    }
    dropped = {"dropped_dimensions": first.about.get("dropped_dimensions", [])}
    return Rarity(sample_ids=first.sample_ids, score=score, about=about | dropped)


def _by_part(
    score: Callable[[Points], tuple[Float64[np.ndarray, " m"], FittedDensity]],
    latents: Latents,
    labels: Int64[np.ndarray, " n"],
    across: Across,
    active: tuple[Int64[np.ndarray, " k"] | None, dict[str, object]],
) -> Rarity:
    columns, dropped = active
    found = np.zeros(len(latents.mean))  # where all are alike, no sample is rarer than another
    about: list[dict[str, object]] = []
    outside = 0
    for rows in _parts(labels, across):
        part = Points(mean=latents.mean, log_var=latents.log_var, rows=rows, columns=columns)
        if rows is not None and not limits_of(part).varies.any():
            continue
        found[slice(None) if rows is None else rows], fitted = score(part)
        about.append(fitted.about)
        outside += fitted.outside(part)
    if not about:
        raise AllDimensionsInactiveError(
            f"in each of the {len(np.unique(labels))} classes all samples are the same point: "
            "there is no density to estimate; check the labels"
        )
    every = {name: [part[name] for part in about] for name in about[0]}
    about_all = dropped | {"outside": outside} | every
    return Rarity(sample_ids=latents.sample_ids, score=found, about=about_all)


def _parts(
    labels: Int64[np.ndarray, " n"], across: Across
) -> Iterator[Int64[np.ndarray, " m"] | None]:
    """Rows of each class; None for all rows, which spares a copy of each chunk."""
    classes = np.unique(labels)
    if across == "all" or len(classes) == 1:
        yield None
    else:
        yield from (np.flatnonzero(labels == label) for label in classes)


def _columns(latents: Latents) -> tuple[Int64[np.ndarray, " k"] | None, dict[str, object]]:
    """Active columns, None if all are; and which were dropped, to be reported.

    Raises:
        AllDimensionsInactiveError: None is.
    """
    active = active_dimensions(latents)
    if not active.any():
        raise AllDimensionsInactiveError(
            f"none of {len(active)} latent dimensions varies over the {len(latents.mean)} samples "
            f"(with a posterior: variance of the mean above {ACTIVE_VARIANCE}): there is no "
            f"density to estimate. Check embeddings of your own. {REMEDY}"
        )
    dropped: dict[str, object] = {"dropped_dimensions": np.flatnonzero(~active).tolist()}
    return (None if active.all() else np.flatnonzero(active)), dropped
