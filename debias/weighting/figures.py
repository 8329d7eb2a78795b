"""Figures that say what weights do to a data set."""

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from debias.types import SamplingWeights

PERMUTATIONS = 200


def expected_distinct(probability: Float64[np.ndarray, " n"], draws: int | None = None) -> float:
    """Distinct samples expected among n (or ``draws``) draws with replacement."""
    draws = len(probability) if draws is None else draws
    with np.errstate(divide="ignore"):  # a sample with probability 1 is certain to be seen
        return float(-np.expm1(draws * np.log1p(-probability)).sum())


def top_share(probability: Float64[np.ndarray, " n"], part: float = 0.01) -> float:
    """Share of the total weight held by the heaviest part of the samples."""
    count = max(1, round(part * len(probability)))
    return float(np.sort(probability)[-count:].sum())


def share_by_group(
    weights: SamplingWeights,
    groups: Shaped[np.ndarray, " n"],
    labels: Int64[np.ndarray, " n"],
    generator: np.random.Generator,
) -> dict[str, dict[str, float]]:
    """Share of the samples and of the weight held by each group, beside a random control.

    ``random_low`` and ``random_high`` enclose 95 % of the shares that equally uneven weights give
    a group when they are dealt out at random within each class: the same effective sample size
    without any knowledge. A share inside says nothing about the group.
    """
    names, code = np.unique(groups, return_inverse=True)
    size = len(names)
    before = np.bincount(code, minlength=size) / len(code)
    after = np.bincount(code, weights.probability, size)
    dealt = [
        np.bincount(code, _dealt(weights.probability, labels, generator), size)
        for _ in range(PERMUTATIONS)
    ]
    low, high = np.quantile(dealt, [0.025, 0.975], axis=0)
    rows = np.stack([before, after, low, high], axis=1).tolist()
    kinds = ("before", "after", "random_low", "random_high")
    return {
        str(name): dict(zip(kinds, row, strict=True)) for name, row in zip(names, rows, strict=True)
    }


def _dealt(
    probability: Float64[np.ndarray, " n"],
    labels: Int64[np.ndarray, " n"],
    generator: np.random.Generator,
) -> Float64[np.ndarray, " n"]:
    """The same weights in random order within each class."""
    shuffled = np.empty_like(probability)
    for label in np.unique(labels):
        here = np.flatnonzero(labels == label)
        shuffled[here] = probability[generator.permutation(here)]
    return shuffled


def describe(weights: SamplingWeights) -> dict[str, float]:
    """Concentration of the weights; plain sampling has 1, 0.632 n, 0.01 and 1."""
    probability = weights.probability
    return {
        "ess": weights.ess,
        "unique_per_epoch": expected_distinct(probability),
        "top_1_percent": top_share(probability),
        "largest": float(probability.max() * len(probability)),
    }
