"""How concentrated sampling weights are, and on whom."""

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64, Shaped

Weights = Float64[np.ndarray, " n"]

PERMUTATIONS = 200


def expected_distinct(probability: Weights, draws: int | None = None) -> float:
    """Distinct samples expected among n (or ``draws``) draws with replacement."""
    draws = len(probability) if draws is None else draws
    with np.errstate(divide="ignore"):  # a sample with probability 1 is certain to be seen
        return float(-np.expm1(draws * np.log1p(-probability)).sum())


def top_share(probability: Weights, part: float = 0.01) -> float:
    """Share of the total weight held by the heaviest part of the samples."""
    count = max(1, round(part * len(probability)))
    return float(np.sort(probability)[-count:].sum())


def describe(probability: Weights) -> dict[str, float]:
    """Concentration of weights that sum to 1; plain sampling has 1, n, 0.632 n, 0.01 and 1."""
    effective = float(1 / np.square(probability).sum())
    return {
        "ess": effective / len(probability),
        "effective_samples": effective,
        "unique_per_epoch": expected_distinct(probability),
        "top_1_percent": top_share(probability),
        "largest": float(probability.max() * len(probability)),
    }


def share_by_group(
    probability: Weights,
    groups: Shaped[np.ndarray, " n"],
    labels: Int64[np.ndarray, " n"],
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Share of the samples and of the weight held by each group, beside a random control.

    ``random_low`` and ``random_high`` enclose 95 % of the shares that equally uneven weights give
    a group when they are dealt out at random within each class: the same effective sample size
    without any knowledge. A share inside says nothing about the group.

    Returns:
        Columns group, count, before, after, random_low, random_high; sorted by group.
    """
    names, code = np.unique(groups.astype(str), return_inverse=True)
    size = len(names)
    count = np.bincount(code, minlength=size)
    dealt = [
        np.bincount(code, _dealt(probability, labels, generator), size) for _ in range(PERMUTATIONS)
    ]
    low, high = np.quantile(dealt, [0.025, 0.975], axis=0)
    shares = {"before": count / len(code), "after": np.bincount(code, probability, size)}
    return pd.DataFrame(
        {"group": names, "count": count, **shares, "random_low": low, "random_high": high}
    )


def _dealt(
    probability: Weights, labels: Int64[np.ndarray, " n"], generator: np.random.Generator
) -> Weights:
    """The same weights in random order within each class."""
    shuffled = np.empty_like(probability)
    for label in np.unique(labels):
        here = np.flatnonzero(labels == label)
        shuffled[here] = probability[generator.permutation(here)]
    return shuffled
