"""Whether the values of some images form a second, smaller heap beyond a valley.

One direction at a time: ``n`` values, one an image. A single heap, however long its tail, only gets
thinner away from its top; a second heap makes it thinner and then thicker again. Two windows of the
same width are compared, one in the valley and one in the heap behind it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from scipy.stats import binom

WIDTHS = (0.2, 0.35, 0.5, 0.75, 1.0)  # of windows, in robust standard deviations
CORES = (2.0, 1.0, 0.5)  # of windows when a heap is confirmed, in quartile ranges of the heap
FEWEST = 8  # images in a heap


@dataclass(frozen=True)
class Valley:
    """A valley and the heap behind it, towards larger values.

    Attributes:
        p: How likely a single heap would look so, were these two windows chosen beforehand.
        cut: Middle of the valley; the heap lies above.
        first: First quartile of the heap.
        third: Third quartile of the heap.
    """

    p: float
    cut: float
    first: float
    third: float


def deepest_valley(values: Float64[np.ndarray, " n"], most: float) -> Valley | None:
    """The most telling valley behind which lies at most a share ``most`` of the values.

    Its ``p`` is the smallest of many and says how promising it is, not how sure: see
    :func:`confirmed`.
    """
    x = np.sort(values)
    middle = float(np.median(x))
    spread = 1.4826 * float(np.median(np.abs(x - middle)))
    if not spread > 0:
        return None
    found = [_scan(x, middle, width * spread, most) for width in WIDTHS]
    best = min((one for one in found if one is not None), default=None)
    return None if best is None else _valley(x, *best)


def _scan(
    x: Float64[np.ndarray, " n"], start: float, width: float, most: float
) -> tuple[float, float] | None:
    """Smallest p over all pairs of windows above ``start``, and the middle of the valley."""
    edges = np.arange(start, x[-1] + width, width / 2)
    before = np.searchsorted(x, edges)
    counts = before[2:] - before[:-2]
    if len(counts) < 4:
        return None
    # Windows overlap by half: the thinnest one so far that does not touch the one looked at.
    thinnest = np.minimum.accumulate(counts)[:-2]
    heap = counts[2:]
    cut = edges[_middle_of_thinnest(counts[:-2], thinnest)] + width / 2
    behind = len(x) - np.searchsorted(x, cut)
    allowed = (heap > thinnest) & (behind <= most * len(x)) & (behind >= FEWEST)
    if not allowed.any():
        return None
    p = np.where(allowed, binom.sf(heap - 1, heap + thinnest, 0.5), 1.0)
    best = int(np.argmin(p))
    return float(p[best]), float(cut[best])


def _middle_of_thinnest(
    counts: Int64[np.ndarray, " w"], thinnest: Int64[np.ndarray, " w"]
) -> Int64[np.ndarray, " w"]:
    """Place of the thinnest window so far: the middle of its gap, which is many windows wide."""
    place, empty = np.arange(len(counts)), counts == thinnest
    goes_on = empty & np.append(False, empty[:-1] & (thinnest[1:] == thinnest[:-1]))
    first = np.maximum.accumulate(np.where(empty & ~goes_on, place, 0))
    last = np.maximum.accumulate(np.where(empty, place, 0))
    middle: Int64[np.ndarray, " w"] = (first + last) // 2
    return middle


def _valley(x: Float64[np.ndarray, " n"], p: float, cut: float) -> Valley:
    first, third = np.quantile(x[x > cut], [0.25, 0.75]).tolist()
    return Valley(p=p, cut=cut, first=first, third=third)


def confirmed(values: Float64[np.ndarray, " m"], valley: Valley) -> float:
    """How likely images without the heap would show it as clearly, among values not used before.

    For three widths the number of values in the middle of the heap is compared with that around
    the valley: a single heap has at least as many around the valley, which is nearer to its top.
    One-sided exact binomial tests, Bonferroni over the widths.

    Reference:
        Idea as in Hartigan and Hartigan 1985, The Dip Test of Unimodality, Annals of Statistics
        13(1). Deviation: places are chosen on other data, so an exact test of two counts remains.
    """
    middle, spread = (valley.first + valley.third) / 2, valley.third - valley.first
    p = [
        _rises(values, valley.cut, middle, core * spread)
        for core in CORES
        if core * spread <= middle - valley.cut  # windows must not overlap
    ]
    return min(1.0, len(p) * min(p)) if p else 1.0


def _rises(values: Float64[np.ndarray, " m"], valley: float, heap: float, width: float) -> float:
    low, high = (
        int(np.count_nonzero(np.abs(values - place) <= width / 2)) for place in (valley, heap)
    )
    return float(binom.sf(high - 1, low + high, 0.5)) if low + high else 1.0
