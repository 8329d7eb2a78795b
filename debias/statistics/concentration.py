"""How one-sided data are: weights concentrated on some, a label that goes together with a group."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64, Shaped
from scipy.special import chndtrinc

from debias.statistics.people import NOTHING, Shares

Weights = Float64[np.ndarray, " n"]

PERMUTATIONS = 200
SLACK = 1e-9  # of a share: rounding must not look like an effect
TIED = 0.2  # Cramér's V above which a label goes with a column: between "small" and "medium"


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


@dataclass(frozen=True, kw_only=True)
class Association:
    """How closely a label goes with a column, were all groups of the column equally large.

    Attributes:
        cramers_v: In [0, 1], 0 when one says nothing about the other; with its 95 % limits. NaN
            for a single class or a single group.
        rarest_cell: Label and group that fall furthest short of independence.
        rarest_count: Samples of both; ``expected_count``, as many as independence would give.
        nested: Whether every group stands with one label only, and says what the label says.
    """

    cramers_v: float
    low: float
    high: float
    rarest_cell: tuple[str, str]
    rarest_count: int
    expected_count: float
    nested: bool

    @property
    def tied(self) -> bool | None:
        """Whether the label goes with the column; None where these samples cannot tell."""
        if self.low > TIED:
            return True
        return False if self.high < TIED else None


def association(
    labels: Int64[np.ndarray, " n"],
    groups: Shaped[np.ndarray, " n"],
    people: Int64[np.ndarray, " n"] | None = None,
) -> Association:
    """Cramér's V without its upward bias, and its limits by the noncentral chi-square distribution.

    Every group counts as having the harmonic mean of the sizes of all: a small group, however
    closely it goes with the label, would hardly move the ordinary V, and this one says nothing of
    how large groups are. ``people`` (numbered from 0) who have several samples make the groups
    worth fewer (Kish).

    Of 1,000 drawn tables of each of six makes, 2.3 to 3.1 % count as tied at a true V of just 0.2,
    and none without a tie (``benchmarks/disease.py``).

    Reference:
        Smithson 2003, Confidence Intervals, chapter 4 (noncentral limits). Deviation: groups of
        one size.
    """
    from scipy.stats.contingency import crosstab

    (values, names), counts = crosstab(labels, groups)  # (classes, g)
    sizes = counts.sum(axis=0)
    expected = counts.sum(axis=1, keepdims=True) * sizes / counts.sum()
    rarest = int(np.argmin(counts / expected))
    label, group = divmod(rarest, len(names))
    worth = sizes.astype(np.float64)
    if people is not None:
        codes = np.unique(groups, return_inverse=True)[1].astype(np.int64)
        worth = Shares(codes, people, len(names)).worth()
    v, low, high = _cramers_v(counts / sizes, len(worth) / (1 / worth).sum())
    return Association(
        cramers_v=v,
        low=low,
        high=high,
        rarest_cell=(str(values[label]), str(names[group])),
        rarest_count=int(counts.flat[rarest]),
        expected_count=float(expected.flat[rarest]),
        nested=bool(((counts > 0).sum(axis=0) == 1).all()),
    )


def _cramers_v(shares: Float64[np.ndarray, "classes g"], size: float) -> tuple[float, float, float]:
    """V and its limits from the shares of the classes in groups of ``size`` samples each."""
    classes, g = shares.shape
    if min(classes, g) < 2:
        return np.nan, np.nan, np.nan
    even = shares.mean(axis=1, keepdims=True)
    freedom = (classes - 1) * (g - 1)
    statistic = float(size * (np.square(shares - even) / even).sum())
    # The noncentrality at which so large a statistic leaves 2.5 % above it, or below. A table more
    # even than chance makes them is no proof: ten images that fall evenly say next to nothing.
    low = chndtrinc(max(statistic, NOTHING), freedom, 0.975)
    high = chndtrinc(max(statistic, freedom), freedom, 0.025)
    excess = np.array([max(0.0, statistic - freedom), low, high])
    v, least, most = np.sqrt(excess / (size * g * (min(classes, g) - 1))).clip(0, 1)
    return float(v), float(least), float(most)
