"""What changed in each cell -> how sure: standard errors, intervals, and changes of gaps.

``cells`` as in ``paired``, ``gaps`` pairs of cells.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from debias.metrics.intervals import wilson
from debias.metrics.paired import PairedCounts
from debias.metrics.rates import ratio

REPLICATES = 2_000
# With fewer changed units their spread is not known, and each person counts as one image.
FEW = 5
_DRAWS_AT_ONCE = 1_000_000
_HALVINGS = 32

Limits = tuple[Float64[np.ndarray, "*shape"], Float64[np.ndarray, "*shape"]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Changes:
    """Change of the share of each cell, and what its uncertainty rests on.

    Attributes:
        value: (cells,) after minus before, in [-1, 1].
        deviation: (cells,) standard error of the value, by the bootstrap over units.
        freedom: (cells,) units less one.
        gained: (cells,) share of images that went from 0 to 1, mean over trainings.
        lost: (cells,) share of images that went from 1 to 0, likewise.
        effective: (cells,) independent images with the same uncertainty.
    """

    value: Float64[np.ndarray, " cells"]
    deviation: Float64[np.ndarray, " cells"]
    freedom: Float64[np.ndarray, " cells"]
    gained: Float64[np.ndarray, " cells"]
    lost: Float64[np.ndarray, " cells"]
    effective: Float64[np.ndarray, " cells"]

    def take(self, cells: Int64[np.ndarray, " some"]) -> "Changes":
        """The given cells, in that order."""
        names = self.__dataclass_fields__
        return Changes(**{name: getattr(self, name)[cells] for name in names})


def measured(counts: PairedCounts, generator: np.random.Generator) -> Changes:
    """Change of every cell; NaN where no image counts."""
    gained, lost = (ratio(part, counts.images) for part in (counts.gained, counts.lost))
    deviation = bootstrap_deviation(counts, generator)
    return Changes(
        value=gained - lost,
        deviation=deviation,
        freedom=counts.units - 1.0,
        gained=gained,
        lost=lost,
        effective=_effective(counts, gained + lost - np.square(gained - lost), deviation),
    )


def bootstrap_deviation(
    counts: PairedCounts, generator: np.random.Generator, replicates: int = REPLICATES
) -> Float64[np.ndarray, " cells"]:
    """Standard error of the change of every cell, by drawing its units with replacement.

    Cells are drawn apart, so every replicate holds every cell, and the change of a gap varies by
    the root of two squares. Units of one kind are interchangeable: a replicate is one multinomial
    draw over the kinds of a cell, made of binomial ones, the most frequent kind first.

    Args:
        counts: The cells.
        generator: Of the draws.
        replicates: How many draws.

    Returns:
        Standard deviation over replicates, times root(u / (u - 1)) for u units, because
        replicates vary about the sample and not about what it was drawn from. NaN below two units.
    """
    order = np.lexsort([-counts.count, counts.cell])
    kinds = np.bincount(counts.cell, minlength=len(counts.images))
    start = np.cumsum(kinds) - kinds
    wanted = np.flatnonzero(counts.units > 1)
    # In a block, the cells that have a k-th kind must come first.
    wanted = wanted[np.argsort(-kinds[wanted], kind="stable")]
    deviation = np.full(len(kinds), np.nan)
    step = max(1, _DRAWS_AT_ONCE // replicates)
    for first in range(0, len(wanted), step):
        some = wanted[first : first + step]
        left = np.tile(counts.units[some], (replicates, 1))
        rows = [order[start[some[kinds[some] > k]] + k] for k in range(int(kinds[some[0]]))]
        deviation[some] = _drawn(counts, rows, left, generator).std(axis=0, ddof=1)
    return deviation * np.sqrt(ratio(counts.units, counts.units - 1)) / len(counts.by_training)


def _drawn(
    counts: PairedCounts,
    rows: list[Int64[np.ndarray, " some"]],
    left: Int64[np.ndarray, "replicates some"],
    generator: np.random.Generator,
) -> Float64[np.ndarray, "replicates some"]:
    """Change per image of each replicate; ``rows[k]`` are the k-th kinds of the first cells."""
    change, size = np.zeros(left.shape), np.zeros(left.shape)
    unseen = left[0].copy()
    for row in rows:
        here = slice(len(row))
        drawn = generator.binomial(left[:, here], counts.count[row] / unseen[here])
        change[:, here] += drawn * counts.change[row]
        size[:, here] += drawn * counts.size[row]
        left[:, here] -= drawn
        unseen[here] -= counts.count[row]
    return change / size


def _effective(
    counts: PairedCounts,
    variance: Float64[np.ndarray, " cells"],
    deviation: Float64[np.ndarray, " cells"],
) -> Float64[np.ndarray, " cells"]:
    """Independent images that would leave the same standard error.

    Images of one training that are taken as independent are worth themselves. Otherwise the worth
    follows from the standard error, at most one image for each image and training; with fewer
    than five changed units each person counts as one image (Kish's size where they have unequally
    many), as if all images of one person changed alike.
    """
    size = counts.size.astype(np.float64)
    kish = ratio(np.square(counts.summed(size)), counts.summed(np.square(size)))
    few = counts.summed((counts.change != 0).astype(np.float64)) < FEW
    trainings = len(counts.by_training)
    found = np.minimum(ratio(variance, np.square(deviation)), counts.images * trainings)
    found = np.where(few | np.isnan(found), kish, found)
    alone = (counts.units == counts.images) & (trainings == 1)
    return np.where(counts.images > 0, np.where(alone, counts.images, found), np.nan)


def change_limits(changes: Changes, level: float) -> Limits:
    """Interval of the change of every cell: the outer limits of two.

    The change is the share of images gained less the share lost, so the first interval joins
    Wilson's intervals of the two shares, which exclude each other (method of variance estimates
    recovery), with the effective number of images; it does not vanish where nothing changed. The
    second is Student's t about the bootstrap's standard error, which follows people.

    Coverage at 95 %, of the first by exact enumeration for independent images (n 50 to 1,000,
    0 to 40 % gained and lost): 94.7 % or more. Of both by simulation for 20 to 200 people with 4
    to 20 images, correlation 0 to 0.3, 0.3 to 30 % gained and lost: 94.7 % or more. Student's t
    alone covers down to 5 % where few images change, intervals that ignore people down to 55 %.

    Args:
        changes: The cells.
        level: In (0, 1).

    Returns:
        Lower and upper limits in [-1, 1]; NaN without image.

    Reference:
        Zou and Donner, "Construction of confidence limits about effect measures: a general
        approach", Statistics in Medicine 27, 2008, with the correlation of two shares of one
        multinomial.
    """
    below, above = _reach(changes, float(ndtri((1 + level) / 2)))
    half = stdtrit(_at_least_one(changes.freedom), (1 + level) / 2) * changes.deviation
    low = changes.value - np.fmax(below, half)
    return np.maximum(low, -1.0), np.minimum(changes.value + np.fmax(above, half), 1.0)


def gap_limits(first: Changes, second: Changes, level: float) -> Limits:
    """Interval of the change of each gap: that of the first cell less that of the second.

    The outer limits of two: the intervals of ``change_limits`` joined as for independent cells,
    and Student's t about the root of the two squared standard errors, with Welch's degrees of
    freedom. People who stand in both cells are taken for different ones.

    Args:
        first: (gaps,) first cells.
        second: (gaps,) second cells.
        level: In (0, 1), already adjusted for the number of comparisons.

    Returns:
        Lower and upper limits in [-2, 2].
    """
    below, above = _gap_reach(first, second, float(ndtri((1 + level) / 2)))
    deviation, freedom = _welch(first, second)
    half = stdtrit(freedom, (1 + level) / 2) * deviation
    value = first.value - second.value
    low, high = value - np.fmax(below, half), value + np.fmax(above, half)
    return np.maximum(low, -2.0), np.minimum(high, 2.0)


def gap_p_value(first: Changes, second: Changes) -> Float64[np.ndarray, " gaps"]:
    """One less the highest level at which ``gap_limits`` excludes 0.

    Simulated for gaps that did not change, 30 to 2,000 images or people on a side: below 0.05 in
    at most 5 %, below 0.001 in at most 0.1 %.
    """
    value = first.value - second.value
    low, high = np.zeros_like(value), np.full_like(value, 40.0)
    for _ in range(_HALVINGS):
        z = (low + high) / 2
        below, above = _gap_reach(first, second, z)
        excluded = np.where(value > 0, value > below, -value > above)
        low, high = np.where(excluded, z, low), np.where(excluded, high, z)
    deviation, freedom = _welch(first, second)
    student = 2 * stdtr(freedom, -ratio(np.abs(value), deviation))
    p = np.fmax(2 * ndtr(-low), student)
    return np.where(np.isnan(value), np.nan, np.where(value == 0, 1.0, p))


def _reach(
    changes: Changes, z: float | Float64[np.ndarray, " cells"]
) -> tuple[Float64[np.ndarray, " cells"], Float64[np.ndarray, " cells"]]:
    """How far the first interval goes below and above the change."""
    p, q = changes.gained, changes.lost
    p_low, p_high = wilson(p, changes.effective, z)
    q_low, q_high = wilson(q, changes.effective, z)
    # Of two shares of one multinomial: an image that is gained is not lost.
    apart = np.sqrt(ratio(p * q, (1 - p) * (1 - q)).clip(max=1.0))
    apart = np.nan_to_num(apart)
    below = _joined(p - p_low, q_high - q, apart)
    return below, _joined(p_high - p, q - q_low, apart)


def _joined(
    one: Float64[np.ndarray, " cells"],
    other: Float64[np.ndarray, " cells"],
    apart: Float64[np.ndarray, " cells"],
) -> Float64[np.ndarray, " cells"]:
    return np.sqrt(np.square(one) + 2 * apart * one * other + np.square(other))


def _gap_reach(
    first: Changes, second: Changes, z: float | Float64[np.ndarray, " gaps"]
) -> tuple[Float64[np.ndarray, " gaps"], Float64[np.ndarray, " gaps"]]:
    first_below, first_above = _reach(first, z)
    second_below, second_above = _reach(second, z)
    return np.hypot(first_below, second_above), np.hypot(first_above, second_below)


def _welch(
    first: Changes, second: Changes
) -> tuple[Float64[np.ndarray, " gaps"], Float64[np.ndarray, " gaps"]]:
    """Standard error of a difference, and its degrees of freedom."""
    a, b = np.square(first.deviation), np.square(second.deviation)
    parts = [np.square(v) / _at_least_one(c.freedom) for v, c in ((a, first), (b, second))]
    freedom = ratio(np.square(a + b), parts[0] + parts[1])
    return np.sqrt(a + b), _at_least_one(np.nan_to_num(freedom))


def _at_least_one(freedom: Float64[np.ndarray, " cells"]) -> Float64[np.ndarray, " cells"]:
    return np.maximum(freedom, 1.0)
