"""How one-sided data are: weights concentrated on some, a label that goes together with a group."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64, Shaped

Weights = Float64[np.ndarray, " n"]

PERMUTATIONS = 200
SLACK = 1e-9  # of a share: rounding must not look like an effect
TIED = 0.1  # Cramér's V: "small" for two values
SIGNIFICANT = 0.01


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
    """How closely two columns go together."""

    cramers_v: float  # in [0, 1]: 0 when one says nothing about the other; NaN for a single value
    p_value: float  # of independence (chi-square); NaN likewise
    rarest_cell: tuple[str, str]  # label and group that fall furthest short of independence
    rarest_count: int  # samples of both
    expected_count: float  # as many as there would be under independence
    nested: bool  # whether every group stands with one label only, and says what the label says

    @property
    def tied(self) -> bool:
        """Whether the label counts as going with the group; False where nothing is defined."""
        return self.cramers_v >= TIED and self.p_value < SIGNIFICANT


def association(labels: Int64[np.ndarray, " n"], groups: Shaped[np.ndarray, " n"]) -> Association:
    """Cramér's V with Bergsma's correction for its upward bias.

    Reference:
        Bergsma 2013, A bias-correction for Cramér's V and Tschuprow's T, Journal of the Korean
        Statistical Society 42.
    """
    from scipy.stats import chi2_contingency
    from scipy.stats.contingency import crosstab

    (values, names), counts = crosstab(labels, groups)  # (classes, g)
    result = chi2_contingency(counts, correction=False)
    rarest = int(np.argmin(counts / result.expected_freq))
    label, group = divmod(rarest, len(names))
    single = min(counts.shape) < 2
    return Association(
        cramers_v=np.nan if single else _corrected(float(result.statistic), counts),
        p_value=np.nan if single else float(result.pvalue),
        rarest_cell=(str(values[label]), str(names[group])),
        rarest_count=int(counts.flat[rarest]),
        expected_count=float(result.expected_freq.flat[rarest]),
        nested=bool(((counts > 0).sum(axis=0) == 1).all()),
    )


def _corrected(statistic: float, counts: Int64[np.ndarray, "classes g"]) -> float:
    size, (rows, columns) = int(counts.sum()), counts.shape
    if size < 2:
        return np.nan
    phi = max(0.0, statistic / size - (rows - 1) * (columns - 1) / (size - 1))
    corrected_rows = rows - (rows - 1) ** 2 / (size - 1)
    corrected_columns = columns - (columns - 1) ** 2 / (size - 1)
    widest = min(corrected_rows, corrected_columns) - 1
    return float(np.sqrt(phi / widest)) if widest > 0 else np.nan
