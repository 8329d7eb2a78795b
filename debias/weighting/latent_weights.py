"""Weights for anybody's embeddings in one call.

``n`` samples, ``k`` latent dimensions, ``m`` samples of a reference set.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64, Shaped
from numpy.typing import ArrayLike
from pydantic import TypeAdapter, ValidationError

from debias.density import DENSITIES, DensityEstimator, compares, log_ratio, rarity, seeded
from debias.errors import ConfigError, DataError, EmptyDatasetError, LabelError
from debias.plugins import OneOf, unknown
from debias.statistics.groupings import group_names
from debias.statistics.rows import in_one_order, row_labels
from debias.types import Latents, TrainingTable
from debias.weighting import WEIGHTINGS, Elsewhere
from debias.weighting.label_shift import estimated, scores_of_latents
from debias.weighting.membership import cross_fitted_membership, even_membership
from debias.weighting.rule import Foreign
from debias.weighting.weights import SamplingWeights

TARGETS = {
    "uniform": "latent_rarity",
    "reference": "reference_ratio",
    "groups": "group_balance",
    "elsewhere": "elsewhere",
}
LEARNABLE = 10  # annotated samples of a group
FEW = 1000  # effective samples below which a training set is thin


def latent_weights(  # noqa: PLR0913 (one call is the point)
    z: ArrayLike | Latents,
    labels: ArrayLike | None = None,
    *,
    density: str | DensityEstimator = "histogram",
    target: str = "uniform",
    reference: ArrayLike | Latents | None = None,
    groups: ArrayLike | None = None,
    elsewhere: tuple[ArrayLike | Latents, ArrayLike] | None = None,
    ess: float | Literal["published"] = 0.5,
    alpha: float = 0.01,
    cap: float = 20.0,
    seed: int = 0,
) -> SamplingWeights:
    """How often to draw each sample so that training sees more of what is rare or wanted.

    Samples are weighed within each class, and every class keeps its share. Nothing is refused for
    resting on few samples, since small arrays are normal here; weights whose effective sample size
    falls below 20 % of n, or below 1,000 where there were as many, come with a warning.
    pandas objects are joined by their index, arrays and lists by the order of their rows.

    Args:
        z: (n, k) real numbers, n >= 2, one row a sample; an array of any real type, memory-mapped
            or not, or ``Latents``. Constant columns say nothing and are left out.
        labels: (n,) class of each sample, text or numbers; None for a single class.
        density: How crowdedness is measured: a name in ``debias.density.DENSITIES`` or settings
            such as ``HistogramDensity(bins=20)``. For target ``reference``, ``ratio`` takes
            seconds longer and ranks samples better than two histograms. Not used by ``groups``.
        target: What the weighted data should look like. ``uniform``: every region of the latent
            space as populated as every other. ``reference``: like the reference set. ``groups``:
            every group the same weight within a class. ``elsewhere``: likewise, of groups that are
            annotated in another collection only.
        reference: (m, k), m >= 2, from the same encoder and the same kind of picture, without
            labels; for target ``reference`` only.
        groups: (n,) text or numbers, None, NaN or "" where nobody said; for target ``groups``
            only. Where some are unknown, the known ones are used to estimate them from ``z``.
        elsewhere: (m, k) from the same encoder and (m,) their groups, for target ``elsewhere``
            only; rows without a group are left out. The estimated shares stand in ``origin``.
        ess: Effective sample size of the weights as a share of n, in (0, 1]; 1 is uniform. With
            target ``elsewhere`` the least that is wanted.
            ``published`` takes the score as it is. Not used by ``groups``.
        alpha: Smoothing of the density, > 0, as a share of the samples in a bin.
        cap: Largest weight in multiples of the mean, > 1. Not used by ``groups``.
        seed: Of every random choice; the same seed gives the same weights.

    Returns:
        Weights with ``sample_ids`` (row numbers of an array, the index of a table), in the order of
        ``z``, ``probability`` (n,),
        ``ess``, ``origin`` (how they came about) and ``describe(groups=None)``.

    Raises:
        ConfigError: A setting is unknown or out of range, or does not go with the target.
        DataError: Arrays of the wrong shape, type or length, or with values that are not finite;
            indexes that agree in part.
        WeightError: There is nothing to estimate: every column is constant, or too few groups.
    """
    if seed < 0:
        raise ConfigError(f"seed must be 0 or more, got {seed}")
    rows = in_one_order(z=z, labels=labels, groups=groups)
    labels, groups = rows["labels"], rows["groups"]
    latents = as_latents(z)
    labels = _class_numbers(labels, len(latents.mean))
    _check_target(target, {"reference": reference, "groups": groups, "elsewhere": elsewhere})
    if groups is not None:
        found = _balanced(latents, labels, groups, seed)
    elif elsewhere is not None:
        found = _as_elsewhere(latents, labels, elsewhere, {"ess": ess, "cap": cap}, seed)
    else:
        estimator = estimator_of(density, seed)
        settings = {"ess": ess, "cap": cap, "alpha": alpha}
        found = _tempered(latents, labels, estimator, reference, settings)
    size, effective = len(found.probability), found.effective_sample_size
    if effective < FEW * (1 - 1e-9) and size >= FEW:
        warnings.warn(
            f"the weights count for {effective:.0f} samples of {size}, fewer than {FEW}; raise ess "
            "for steadier training",
            stacklevel=2,
        )
    return replace(found, origin={"target": target, **found.origin})


def as_latents(z: ArrayLike | Latents, what: str = "latents") -> Latents:
    """Take an array (n, k) for points without a spread, numbered by row or named by its index.

    Raises:
        DataError: It is no matrix of real, finite numbers with at least two rows.
    """
    mean = _real(z.mean if isinstance(z, Latents) else np.asarray(z), what)
    if len(mean) < 2:
        raise DataError(f"there is 1 row of {what}: nothing to compare it with; give at least 2")
    if isinstance(z, Latents):
        return z
    labels = row_labels(z)
    return Latents(sample_ids=np.arange(len(mean)) if labels is None else labels, mean=mean)


def _real(values: Shaped[np.ndarray, "..."], what: str) -> Float[np.ndarray, "n k"]:
    if values.ndim != 2:
        raise DataError(
            f"{what} must have two dimensions (samples, dimensions), got shape {values.shape}; "
            "a single column is z[:, None]"
        )
    if not values.size:
        raise EmptyDatasetError(f"there are no {what}: the shape is {values.shape}")
    if values.dtype in (np.float32, np.float64):
        return values
    if values.dtype.kind not in "fiub":
        raise DataError(f"{what} must be real numbers, got values of type {values.dtype}")
    # Sums of half-precision squares overflow; whole numbers and longer floats become float64.
    return values.astype(np.float32 if values.dtype == np.float16 else np.float64)


def _class_numbers(labels: ArrayLike | None, size: int) -> Int64[np.ndarray, " n"]:
    if labels is None:
        return np.zeros(size, dtype=np.int64)
    codes = pd.factorize(_column(labels, "labels", size))[0]
    if (codes < 0).any():
        raise LabelError(f"{(codes < 0).sum()} of {size} labels are missing; drop those rows")
    return codes.astype(np.int64)


def _column(values: ArrayLike, what: str, size: int) -> Shaped[np.ndarray, " n"]:
    # A list of text and NaN would become text, NaN included.
    array = isinstance(values, np.ndarray | pd.Series)
    column = np.asarray(values) if array else np.asarray(values, dtype=object)
    if column.shape != (size,):
        raise DataError(f"{what} have shape {column.shape}, expected ({size},): one for each row")
    return column


def _check_target(target: str, given: Mapping[str, object]) -> None:
    """Refuse a target that lacks its data, and data that no target asked for."""
    if target not in TARGETS:
        raise ConfigError(unknown("target", target, TARGETS))
    for name, value in given.items():
        if target == name and value is None:
            raise ConfigError(f"target {target!r} needs its data: give {name}=...")
        if target != name and value is not None:
            raise ConfigError(
                f"{name}=... was given but the target is {target!r}; set target={name!r}, or leave "
                "it out"
            )


def estimator_of(density: str | DensityEstimator, seed: int) -> DensityEstimator:
    """Settings by name; an estimator that is not in the registry is taken as it is."""
    if not isinstance(density, str) and isinstance(density, DensityEstimator):
        return density
    known: TypeAdapter[Any] = TypeAdapter(Annotated[Any, OneOf("density", DENSITIES)])
    return seeded(checked(lambda: known.validate_python(density)), seed)


def checked(make: Callable[[], Any]) -> Any:  # noqa: ANN401 (whatever it makes)
    """Settings, or what is wrong with the first of them in one sentence."""
    try:
        return make()
    except ValidationError as error:
        detail = error.errors()[0]
        message = str(detail["msg"]).removeprefix("Value error, ")
        place = f"{detail['loc'][0]}: " if detail["loc"] else ""
        shown = f", got {detail['input']!r}" if place else ""
        raise ConfigError(place + message + shown) from error


def _tempered(
    latents: Latents,
    labels: Int64[np.ndarray, " n"],
    estimator: DensityEstimator,
    reference: ArrayLike | Latents | None,
    settings: Mapping[str, Any],
) -> SamplingWeights:
    """Weights from rarity or, with a reference, from the ratio to it."""
    more: dict[str, Any] = {"allow_degenerate": True}
    if reference is not None:
        more["estimate_on"] = "latents" if compares(estimator) else "density"
    kind = WEIGHTINGS["latent_rarity" if reference is None else "reference_ratio"]
    rule = checked(lambda: kind(**settings, **more))
    if not np.isfinite(rule.alpha):
        raise ConfigError(f"alpha must be finite, got {rule.alpha}; ess=1 gives uniform weights")
    if reference is None:
        found = rarity(estimator, latents, labels, alpha=rule.alpha)
    else:
        wanted = as_latents(reference, "reference samples")
        found = log_ratio(estimator, latents, wanted, labels, alpha=rule.alpha)
    table = TrainingTable(sample_ids=latents.sample_ids, labels=labels, score=found.score)
    weights: SamplingWeights = rule.weights(table)
    return replace(weights, origin={"density": estimator.name, **found.about, **weights.origin})


def _balanced(
    latents: Latents, labels: Int64[np.ndarray, " n"], given: ArrayLike, seed: int
) -> SamplingWeights:
    groups = group_names(_column(given, "groups", len(labels)), "")  # empty where unknown
    names = np.unique(groups[groups != ""])
    if len(names) < 2:
        raise DataError(
            f"groups hold {len(names)} distinct value(s) {names.tolist()}; at least 2 are needed "
            "to balance anything"
        )
    member = None
    if (groups == "").any():
        member = cross_fitted_membership(latents.mean, groups, labels, seed=seed)
    table = TrainingTable(
        sample_ids=latents.sample_ids, labels=labels, groups=groups, membership=member
    )
    rule = WEIGHTINGS[TARGETS["groups"]](allow_degenerate=True, estimate_on="latents")
    found: SamplingWeights = rule.weights(table)
    return found


def _as_elsewhere(
    latents: Latents,
    labels: Int64[np.ndarray, " n"],
    elsewhere: tuple[ArrayLike | Latents, ArrayLike],
    settings: Mapping[str, Any],
    seed: int,
) -> SamplingWeights:
    """Weights by groups that other samples teach."""
    there = as_latents(elsewhere[0], "annotated samples elsewhere")
    if there.mean.shape[1] != latents.mean.shape[1]:
        raise DataError(
            f"samples elsewhere have {there.mean.shape[1]} dimensions, the latents "
            f"{latents.mean.shape[1]}; both must come from the same encoder"
        )
    groups = group_names(_column(elsewhere[1], "groups elsewhere", len(there.mean)), "")
    known = groups != ""
    names, codes, counts = np.unique(groups[known], return_inverse=True, return_counts=True)
    if len(names) < 2 or counts.min() < LEARNABLE:
        raise DataError(
            f"groups elsewhere are {dict(zip(names.tolist(), counts.tolist(), strict=True))}; at "
            f"least 2 groups of {LEARNABLE} samples or more are needed to learn them"
        )
    scores = scores_of_latents(latents.mean, there.mean[known], codes.astype(np.int64), seed=seed)
    shares = estimated(scores, np.random.default_rng(seed))
    figures = {"column": "the groups", "images": int(known.sum()), **shares.describe(names)}
    even = even_membership(scores.averaged, scores.held_out[0], scores.codes)
    rule = checked(lambda: Elsewhere(allow_degenerate=True, **settings))
    member, score = rule.balanced(Foreign(even, figures), labels)
    table = TrainingTable(
        sample_ids=latents.sample_ids, labels=labels, score=score, membership=member
    )
    found: SamplingWeights = rule.weights(table)
    return replace(found, origin={"elsewhere": figures, **found.origin})
