"""Weights as a value: how often each training sample is drawn; and which are refused."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, Shaped
from numpy.typing import ArrayLike

from debias.errors import DataError, NonFiniteWeightError, WeightDegeneracyError
from debias.shown import Shown
from debias.statistics import concentration
from debias.statistics.areas import auc_by_group
from debias.statistics.groupings import group_names
from debias.statistics.rows import in_one_order

LEAST_SHARE = 0.01
LEAST_SAMPLES = 50
LEAST_OF_FEW = 0.1  # share that is asked of sets too small for LEAST_SAMPLES
WARN_SHARE = 0.20


@dataclass(frozen=True, kw_only=True, eq=False)
class SamplingWeights(Shown):
    """Probability of drawing each training sample, with replacement.

    Attributes:
        sample_ids: (n,)
        probability: (n,), non-negative, sums to 1.
        origin: How they came about: rule, alpha, tau, dropped dimensions, capped samples.
    """

    sample_ids: Shaped[np.ndarray, " n"]
    probability: Float64[np.ndarray, " n"]
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.sample_ids) != len(self.probability):
            sizes = len(self.sample_ids), len(self.probability)
            raise ValueError(f"sample_ids and probability have {sizes} rows; they must agree")
        total = float(self.probability.sum())
        if not np.isfinite(total) or self.probability.min() < 0:
            bad = ~np.isfinite(self.probability) | (self.probability < 0)
            first = self.sample_ids[bad][0]
            raise NonFiniteWeightError(
                f"{bad.sum()} of {len(bad)} weights are negative or not finite, first {first}"
            )
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"probability must sum to 1, got {total!r}")

    def __repr__(self) -> str:
        figures = concentration.describe(self.probability)
        return (
            f"SamplingWeights of {len(self.probability):,} samples, worth "
            f"{figures['effective_samples']:,.0f} ({self.ess:.0%}); the largest is "
            f"{figures['largest']:.1f} times the mean"
        )

    @property
    def weight(self) -> Float64[np.ndarray, " n"]:
        """(n,), in multiples of plain sampling: mean 1, as trainers take sample weights."""
        return self.probability * len(self.probability)

    @property
    def effective_sample_size(self) -> float:
        """Kish's 1 / sum(p^2): n when uniform, 1 when one sample takes all."""
        return float(1.0 / np.square(self.probability).sum())

    @property
    def ess(self) -> float:
        """Effective sample size as a share of n, in (0, 1]."""
        return self.effective_sample_size / len(self.probability)

    def describe(
        self,
        groups: ArrayLike | None = None,
        labels: Int64[np.ndarray, " n"] | None = None,
        *,
        seed: int = 0,
    ) -> dict[str, Any]:
        """How concentrated the weights are, and what they do to known groups.

        Args:
            groups: (n,) text or numbers, None, NaN or "" where unknown; adds the key ``by_group``.
                A pandas column with the index of the samples, in any order.
            labels: (n,), class index: groups are compared within classes; None for one class.
            seed: Of the random control.

        Returns:
            ``ess``; ``effective_samples``; ``unique_per_epoch``, distinct samples expected among n
            draws; ``top_1_percent``, the share of the weight held by the heaviest hundredth;
            ``largest``, in multiples of the mean weight; and, with groups, ``by_group``: one row
            a group with ``group, count, before, after`` (shares of the samples and of the weight),
            ``random_low, random_high`` (where equally uneven weights dealt out at random put the
            share in 95 % of cases) and ``auc, low, high`` (area under the ROC curve of weight
            against membership; NaN where a group is a whole class).

        Raises:
            DataError: Groups or labels of another length.
        """
        figures = concentration.describe(self.probability)
        if groups is None:
            return figures
        rows = in_one_order(names=self.sample_ids, groups=groups, labels=labels)
        names, labels = group_names(rows["groups"]), rows["labels"]
        labels = np.zeros(len(self.probability), dtype=np.int64) if labels is None else labels
        sizes = len(self.probability), len(names), len(labels)
        if len(set(sizes)) > 1:
            raise DataError(f"weights, groups and labels have {sizes} rows; they must agree")
        generator = np.random.default_rng(seed)
        shares = concentration.share_by_group(self.probability, names, labels, generator)
        areas = auc_by_group(self.probability, labels, names)
        return figures | {"by_group": shares.merge(areas.drop(columns="n"), on="group")}


def check(
    weights: SamplingWeights, *, allow_degenerate: bool, remedy: str = "raise 'ess'"
) -> SamplingWeights:
    """Return the weights if they are usable; below 20 % of n that is a warning.

    ``remedy`` is a setting of the rule that helps; ``allow_degenerate`` warns only.

    Raises:
        WeightDegeneracyError: The effective sample size is below 1 % of n, or below 50 samples
            (10 % of n where that is less).
    """
    size, effective = len(weights.probability), weights.effective_sample_size
    least = max(LEAST_SHARE * size, min(LEAST_SAMPLES, LEAST_OF_FEW * size))
    figures = f"effective sample size {effective:.0f} of {size} ({weights.ess:.1%}), "
    figures += in_an_epoch(weights)
    # Rounding must not turn equal weights into a degenerate case.
    if effective < least * (1 - 1e-9) and not allow_degenerate:
        raise WeightDegeneracyError(
            f"the weights rest on too few samples: {figures}; at least {least:.0f} are needed. To "
            f"use them, {remedy}, or set 'allow_degenerate: true' for this arm to go on all the "
            "same"
        )
    if weights.ess < WARN_SHARE:
        warnings.warn(f"the weights are uneven: {figures}", stacklevel=2)
    return weights


def in_an_epoch(weights: SamplingWeights) -> str:
    """How often samples come back in an epoch of n draws with replacement."""
    size, distinct = len(weights.probability), concentration.expected_distinct(weights.probability)
    most = weights.probability.max() * size
    return (
        f"{distinct:.0f} distinct samples expected per epoch, each {size / distinct:.1f} times on "
        f"average and one {most:.1f} times"
    )
