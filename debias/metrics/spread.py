"""Cells -> how far apart groups lie altogether, and what makes that look large.

``g`` cells, ``m`` measures, ``v`` values; ``sizes`` (g,) say how many independent images each
denominator is worth.
"""

from collections.abc import Iterator, Sequence
from math import comb
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64, Real
from scipy.stats import binom

from debias.metrics.gaps import Cells
from debias.metrics.rules import Rules
from debias.statistics.intervals import Measure, clopper_pearson, counted, ratio

Sizes = Real[np.ndarray, " g"]
Rates = Float64[np.ndarray, " g"]
Whole = Int64[np.ndarray, " k"]
Values = Float64[np.ndarray, " v"]
Share = Float64[np.ndarray, "*pairs"]
Limits = tuple[Share, Share] | Float64[np.ndarray, "2 *pairs"]

FOUR_FIFTHS = 0.8
FLIPPED = (0.05, 0.10)  # shares of wrong labels
DRAWS = 200
_SPREAD = ("metric", "attribute", "groups", "gap", "expected_if_equal", "variance")
_RATIO = (
    "metric", "attribute", "group", "other", "ratio", "low", "high", "n_group", "n_other",
    "chance_if_equal",
)  # fmt: skip
_NOISE = ("metric", "attribute", "flipped", "gap", "low", "high")
# Terms of a sum beyond which it is thinned out; then it is off by less than 0.001.
_MOST_VALUES = 1000


class Ratio(NamedTuple):
    """Rate of the group ``lowest`` over that of the group ``highest``, by their indices."""

    lowest: int
    highest: int
    value: float  # in [0, 1]; NaN when every rate is 0
    low: float
    high: float  # may exceed 1; infinite when the highest rate may be 0


def lowest_to_highest(values: Rates, sizes: Sizes, level: float = 0.95) -> Ratio:
    """Ratio of the lowest to the highest of at least two rates, with an interval.

    The interval is about the true rates of the two groups that happen to be lowest and highest.
    They are picked by the data, so it is formed at the level adjusted over all g (g - 1) / 2 pairs
    (Bonferroni): then the intervals of all pairs hold at once, whichever is picked.

    Raises:
        ValueError: Fewer than two groups.
    """
    if len(values) < 2:
        raise ValueError(f"a ratio needs two groups, got {len(values)}")
    lowest, highest = int(np.argmin(values)), int(np.argmax(values))
    if lowest == highest:  # all rates are equal
        highest = 1
    adjusted = 1 - (1 - level) / comb(len(values), 2)
    limits = np.stack(clopper_pearson(values * sizes, sizes.astype(np.float64), adjusted))
    top, bottom = values[[lowest]], values[[highest]]  # limits are formed for arrays
    low, high = ratio_limits(top, limits[:, [lowest]], bottom, limits[:, [highest]])
    return Ratio(lowest, highest, *(float(one[0]) for one in (ratio(top, bottom), low, high)))


def ratio_limits(p1: Share, limits1: Limits, p2: Share, limits2: Limits) -> tuple[Share, Share]:
    """Interval of ``p1 / p2``, two independent rates in [0, 1], from the limits of each.

    Upper limits are infinite where the lower limit of p2 is 0; both are NaN where p2 is 0.

    Reference:
        Donner and Zou, "Closed-form confidence intervals for functions of the normal mean and
        standard deviation", Statistical Methods in Medical Research 21, 2012, equations 9 and 10
        (MOVER-R). Deviation: the lower limit is written without a difference of near equals.
    """
    (low1, high1), (low2, high2) = limits1, limits2
    product = p1 * p2
    fall1, fall2 = low1 * (2 * p1 - low1), low2 * (2 * p2 - low2)
    rise1, rise2 = high1 * (2 * p1 - high1), high2 * (2 * p2 - high2)
    with np.errstate(divide="ignore", invalid="ignore"):
        low = fall1 / (product + np.sqrt(np.maximum(product**2 - fall1 * rise2, 0)))
        high = (product + np.sqrt(np.maximum(product**2 - rise1 * fall2, 0))) / fall2
    low, high = np.where(fall1 > 0, low, 0.0), np.where(fall2 > 0, high, np.inf)
    return np.where(p2 > 0, low, np.nan), np.where(p2 > 0, high, np.nan)


def chance_below(rate: float, sizes: Sizes, threshold: float = FOUR_FIFTHS) -> float:
    """Probability that lowest / highest rate is below a threshold although all groups are equal.

    The sum over the values v that the highest rate can take of the probability that the highest is
    v and the lowest at least ``threshold * v``, by products of binomial distribution functions.
    ``rate`` in [0, 1], ``threshold`` in (0, 1], sizes rounded. Exact up to 1,000 possible values of
    the highest rate, else within about 0.001; NaN with fewer than two groups.
    """
    if len(sizes) < 2 or not np.isfinite(rate):
        return float("nan")
    n, groups = _rounded(sizes)
    highest = _possible(rate, n)  # (v,)
    below = np.concatenate([[-1.0], highest[:-1]])
    too_low = _distribution(rate, n, threshold * highest, strictly=True)  # (sizes, v)
    up_to = np.maximum(_distribution(rate, n, highest) - too_low, 0)
    short_of = np.maximum(_distribution(rate, n, below) - too_low, 0)
    together = _all_groups(up_to, groups) - _all_groups(short_of, groups)
    return float(np.clip(1 - together.sum(), 0, 1))


def expected_gap(rate: float, sizes: Sizes) -> float:
    """Highest minus lowest rate that groups show on average although all are equal; or NaN."""
    if len(sizes) < 2 or not np.isfinite(rate):
        return float("nan")
    n, groups = _rounded(sizes)
    values = _possible(rate, n)
    at_most = _distribution(rate, n, values)  # (sizes, v)
    # The mean of max - min is the integral of the chance that a value lies between them.
    between = 1 - _all_groups(at_most, groups) - _all_groups(1 - at_most, groups)
    return float(between[:-1] @ np.diff(values))


def corrected_variance(values: Rates, sizes: Sizes) -> float:
    """Variance of the true rates between groups: that of the shown rates less that of sampling.

    Unbiased, therefore sometimes negative, when there is less variance than sampling alone makes.
    In squared rates, divisor g - 1; NaN with fewer than two groups or a size of at most 1.
    """
    if len(values) < 2 or sizes.min() <= 1:
        return float("nan")
    return float(values.var(ddof=1) - (values * (1 - values) / (sizes - 1)).mean())


def _rounded(sizes: Sizes) -> tuple[Whole, Whole]:
    """Distinct whole sizes, and how many groups have each."""
    whole = np.maximum(np.rint(sizes), 1).astype(np.int64)
    n, groups = np.unique(whole, return_counts=True)
    return n, groups.astype(np.int64)


def _possible(rate: float, n: Whole) -> Values:
    """Values that the shares of these groups take, ascending; evenly spaced when they are many."""
    # Beyond this lies less than 1e-12 of a binomial distribution, small variances included.
    reach = 8 * np.sqrt(n * rate * (1 - rate)) + 8
    first = np.clip(np.floor(n * rate - reach), 0, n).astype(np.int64)
    last = np.clip(np.ceil(n * rate + reach), 0, n).astype(np.int64)
    if (last - first).sum() > _MOST_VALUES:
        return np.linspace((first / n).min(), (last / n).max(), _MOST_VALUES)
    ranges = zip(first, last, n, strict=True)
    return np.unique(np.concatenate([np.arange(a, b + 1) / size for a, b, size in ranges]))


def _distribution(
    rate: float, n: Whole, values: Values, *, strictly: bool = False
) -> Float64[np.ndarray, "k v"]:
    """Probability that the share of a group is at most a value, or strictly below it."""
    # The small number keeps 0.8 * 0.5 from falling short of 4 / 10 by a rounding.
    count = values * n[:, None]
    count = np.ceil(count - 1e-9) - 1 if strictly else np.floor(count + 1e-9)
    return binom.cdf(count, n[:, None], rate)


def _all_groups(probability: Float64[np.ndarray, "k v"], groups: Whole) -> Values:
    return np.prod(probability ** groups[:, None], axis=0)


def label_noise(
    table: Real[np.ndarray, "g c c"],
    found: Sequence[Measure],
    *,
    minimum: int,
    generator: np.random.Generator,
    flipped: Sequence[float] = FLIPPED,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Range of every largest gap when a share of the group labels is wrong at random.

    Each image changes its group with the given probability, to any other group with equal chance.
    What was true and predicted of it stays, so the counts tell all: no image is touched.

    Groups without images are to be left out of ``table``; those with fewer than ``minimum`` in a
    denominator, as annotated, are left out of that gap. ``flipped`` shares are at most 1 - 1 / g,
    with so many ``draws`` each.

    Returns:
        ``metric, flipped, gap`` (highest minus lowest rate as annotated), ``low, high`` (smallest
        and largest gap over the draws); NaN with fewer than two groups of ``minimum`` images.
    """
    images = np.rint(table).astype(np.int64)
    estimated = counted(images, found)[1] >= minimum  # (g, m)

    def gaps(images: Int64[np.ndarray, "draws g c c"]) -> Float64[np.ndarray, "draws m"]:
        """Highest minus lowest rate over the groups that are estimated."""
        rates = ratio(*counted(images.reshape(-1, *images.shape[2:]), found))
        rates = rates.reshape(*images.shape[:2], len(found))  # (draws, g, m)
        take_part = estimated & np.isfinite(rates)
        highest = np.where(take_part, rates, -np.inf).max(axis=1)
        lowest = np.where(take_part, rates, np.inf).min(axis=1)
        return np.where(take_part.sum(axis=1) > 1, highest - lowest, np.nan)

    rows = []
    for share in flipped:
        relabelled = gaps(_relabel(images, share, draws, generator))
        columns = {"low": relabelled.min(axis=0), "high": relabelled.max(axis=0)}
        columns = {"flipped": share, "gap": gaps(images[None])[0], **columns}
        rows.append(pd.DataFrame({"metric": [one.name for one in found], **columns}))
    return pd.concat(rows).sort_values("flipped", kind="stable", ignore_index=True)


def _relabel(
    images: Int64[np.ndarray, "g c c"], share: float, draws: int, generator: np.random.Generator
) -> Int64[np.ndarray, "draws g c c"]:
    g = len(images)
    if g < 2:
        return np.repeat(images[None], draws, axis=0)
    # A move to another group with this chance is a fresh label, its own included, with a slightly
    # higher one. Fresh labels of all groups are alike, so they are dealt out together.
    moved = generator.binomial(images, share * g / (g - 1), size=(draws, *images.shape))
    dealt = generator.multinomial(moved.sum(axis=1), np.full(g, 1 / g))  # (draws, c, c, g)
    return images - moved + np.moveaxis(dealt, -1, 1)


def noise_table(every: Sequence[Cells], rules: Rules) -> pd.DataFrame:
    """``label_noise`` of every grouping, over the groups that may be shown; empty if not asked."""
    generator = np.random.default_rng([rules.seed, 2])
    parts = [pd.DataFrame(columns=list(_NOISE))]
    for cells in every if rules.noise else ():
        readable = (cells.grouping.sizes > 0) & cells.shown
        asked = [one for one in cells.found if one.name in cells.compared]
        if readable.sum() > 1:
            table = label_noise(
                cells.table[readable], asked, minimum=rules.minimum, generator=generator
            )
            parts.append(table.assign(attribute=cells.grouping.attribute)[list(_NOISE)])
    return pd.concat(parts[1:] or parts, ignore_index=True)


def spread_table(every: Sequence[Cells], level: float) -> pd.DataFrame:
    """Highest minus lowest rate of every attribute and measure over its estimated groups.

    A maximum minus a minimum is biased upwards, so each comes with the average that equal groups
    of these sizes would show, and with the variance between groups freed from sampling.
    """
    rows = []
    for cells in every:
        for column, value, size, _ in _estimated(cells, level):
            equal = expected_gap(_together(value, size), size)
            figures = len(value), float(np.ptp(value)), equal, corrected_variance(value, size)
            rows.append((cells.found[column].name, cells.grouping.attribute, *figures))
    return pd.DataFrame(rows, columns=list(_SPREAD))


def ratio_table(every: Sequence[Cells], level: float) -> pd.DataFrame:
    """Lowest over highest selection rate of every attribute: the four-fifths rule of thumb.

    Each comes with its interval, both sizes, and the probability that it is below 0.8 although
    all groups have the same rate.
    """
    rows = []
    for cells in every:
        for column, value, size, where in _estimated(cells, level):
            name = cells.found[column].name
            if not name.startswith("selection_rate"):
                continue
            found = lowest_to_highest(value, size, level)
            pair = where[[found.lowest, found.highest]]
            groups = [cells.grouping.cells[cell] for cell in pair]
            high = found.high if np.isfinite(found.high) else np.nan
            chance = chance_below(_together(value, size), size)
            figures = found.value, found.low, high, *cells.below[pair, column].tolist(), chance
            rows.append((name, cells.grouping.attribute, *groups, *figures))
    return pd.DataFrame(rows, columns=list(_RATIO))


def _estimated(cells: Cells, level: float) -> Iterator[tuple[int, Rates, Rates, np.ndarray]]:
    """Each compared measure with rates and effective sizes of its estimated cells, and which."""
    value, size = cells.value, cells.effective(level)
    for column, measure in enumerate(cells.found):
        where = np.flatnonzero(cells.state[:, column] == "estimated")
        if measure.name in cells.compared and len(where) > 1:
            yield column, value[where, column], size[where, column], where


def _together(value: Rates, size: Rates) -> float:
    """The rate over all these groups."""
    return float(ratio((value * size).sum(keepdims=True), size.sum(keepdims=True))[0])
