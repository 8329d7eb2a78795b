"""Thin regions: small parts of a data set that stand apart from all others.

Whether a region is thin has no answer while it shades off into the others: every set has its
extremes. What stands apart has one, so that is what is looked for, without any label: a direction
along which the images form a second, smaller heap beyond a valley. Directions are searched on one
half of the images and confirmed on the other, each half in turn, so that what is only the luck of
a search is not reported.

``n`` images, ``a`` of them searched, ``f`` features of a view, ``d`` directions.
"""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64
from scipy.stats import binom

from debias.statistics.intervals import Share, share_of

SEARCHED = 4000  # images of a half on which directions are searched
COMPONENTS = 40  # most principal components of a view
LEAST_VARIANCE = 1e-3  # of the largest component: what is less is noise
TAILS = (0.01, 0.03, 0.08)  # shares from which a search starts
STEPS = 20  # of a refinement
SHRINKAGE = 0.02  # of the covariance within
PROMISING = 1e-3  # p on the searched half above which nothing is tried on the other
KEPT = 5  # directions a view and half
SAME = 0.5  # share of the smaller of two regions above which they are one
FEWEST = 200  # images below which nothing is looked for
WIDTHS = (0.2, 0.35, 0.5, 0.75, 1.0)  # of windows, in robust standard deviations
CORES = (2.0, 1.0, 0.5)  # of windows when a heap is confirmed, in quartile ranges of the heap
LEAST = 8  # images in a heap

Views = Mapping[str, Float[np.ndarray, "n _"]]
Rows = Int64[np.ndarray, " _"]
Members = Bool[np.ndarray, " n"]
Values = Float64[np.ndarray, " n"]
White = Float64[np.ndarray, "a d"]
Direction = Float64[np.ndarray, " d"]
T = TypeVar("T")


class Valley(NamedTuple):
    """A valley and the heap behind it, towards larger values.

    A single heap, however long its tail, only gets thinner away from its top; a second heap makes
    it thinner and then thicker again. Two windows of the same width are compared, one in the
    valley and one in the heap behind it.
    """

    p: float  # how likely a single heap would look so, were these two windows chosen beforehand
    cut: float  # middle of the valley; the heap lies above
    first: float  # quartile of the heap
    third: float


@dataclass(frozen=True, kw_only=True, eq=False)
class ThinRegion:
    """One small part that stands apart.

    Attributes:
        view: Description of the images in which it does.
        position: (n,), place of every image along the direction, larger towards the region.
        cut: Place of the valley.
        p: Of the half that was not searched, see :func:`debias.auditing.thin.confirmed`; adjusted
            by a weighted Bonferroni rule over everything that was tried.
    """

    view: str
    position: Values
    cut: float
    p: float
    p_adjusted: float = 1.0
    found: bool = False

    @property
    def members(self) -> Members:
        return self.position > self.cut

    @cached_property
    def share(self) -> Share:
        """With its limits; that another cut might have been chosen is not in them."""
        return share_of(int(np.count_nonzero(self.members)), len(self.position))

    def typical(self, most: int) -> Rows:
        """Rows of its images, those in the middle of it first."""
        return self._middle_first(self.members)[:most]

    def opposite(self, most: int) -> Rows:
        """Rows of images in the middle of all others."""
        return self._middle_first(~self.members)[:most]

    def _middle_first(self, chosen: Members) -> Rows:
        rows = np.flatnonzero(chosen)
        away = np.abs(self.position[rows] - np.median(self.position[rows]))
        return rows[np.argsort(away, kind="stable")]


@dataclass(frozen=True, kw_only=True)
class ThinRegions:
    """What was found, most certain first, then the most promising that were not confirmed."""

    regions: tuple[ThinRegion, ...]
    looked_at: int  # directions that were tried on images that had not been searched
    level: float  # of false alarms allowed over all of them
    enough: bool  # images to look at

    @property
    def found(self) -> tuple[ThinRegion, ...]:
        return tuple(region for region in self.regions if region.found)

    def numbers(self, size: int) -> Int64[np.ndarray, " n"]:
        """Number of the region found that each of ``size`` images is in, from 1; 0: none."""
        numbers = np.zeros(size, np.int64)
        for number, one in reversed(list(enumerate(self.found, 1))):
            numbers[one.members] = number
        return numbers

    @property
    def verdict(self) -> str:
        if not self.enough:
            return "too_few"
        return "found" if self.found else "none_found"


def thin_regions(
    views: Views, *, most: float = 0.125, level: float = 0.05, seed: int = 0
) -> ThinRegions:
    """Look for small parts that stand apart in some description of the images.

    Args:
        views: Description to (n, f) features, finite; any scale.
        most: Largest share of a thin region.
        level: Probability of reporting anything where no part stands apart.
        seed: Of the halves and of the search.

    Reference:
        Hyvarinen 1999, Fast and Robust Fixed-Point Algorithms for Independent Component Analysis
        (where a search starts: directions along which the data are least like noise); Fisher 1936,
        The Use of Multiple Measurements in Taxonomic Problems (how one is refined); Cox 1975, A
        Note on Data-Splitting for the Evaluation of Significance Levels (why it is confirmed on
        the other half); Genovese, Roeder, Wasserman 2006, False Discovery Control with p-Value
        Weighting, section 2 (weighted Bonferroni).
    """
    size = len(next(iter(views.values())))
    if size < FEWEST:
        return ThinRegions(regions=(), looked_at=0, level=level, enough=False)
    order = np.random.default_rng(seed).permutation(size)
    halves = order[: size // 2], order[size // 2 :]
    judged = [
        _judged(region, weight, level)
        for searched, other in (halves, halves[::-1])
        for weight, region in _weighed(_tried(views, searched[:SEARCHED], other, most, seed))
    ]
    judged.sort(key=lambda region: (region.p_adjusted, region.p, region.share.count))
    distinct = tuple(_distinct((region.members, region) for region in judged))
    return ThinRegions(regions=distinct, looked_at=len(judged), level=level, enough=True)


def _weighed(tried: list[tuple[float, ThinRegion]]) -> Iterator[tuple[float, ThinRegion]]:
    """What each region may spend of the level: the more promising, the more.

    ``1 / (r (r + 1))`` for the r-th most promising, which sums to 1 however many there are; half of
    it, for two halves. What the searched half promises says nothing about the luck of the other.
    """
    for rank, (_, region) in enumerate(sorted(tried, key=lambda one: one[0]), 1):
        yield 0.5 / (rank * (rank + 1)), region


def _judged(region: ThinRegion, weight: float, level: float) -> ThinRegion:
    p = min(1.0, region.p / weight)
    return replace(region, p_adjusted=p, found=p < level)


def _distinct(found: Iterable[tuple[Members, T]]) -> Iterator[T]:
    """Those whose members are not, by more than half of the smaller, those of one before."""
    kept: list[Members] = []
    for members, one in found:
        again = any(
            np.count_nonzero(members & other) > SAME * min(members.sum(), other.sum())
            for other in kept
        )
        if members.any() and not again:
            kept.append(members)
            yield one


def _tried(
    views: Views, searched: Rows, other: Rows, most: float, seed: int
) -> list[tuple[float, ThinRegion]]:
    """Regions that look promising on one half, and how much so, with the p of the other half."""
    found = []
    for name, view in views.items():
        if not np.ptp(view[searched], axis=0).any():
            continue  # this description says the same of every image
        white = _whitened(np.asarray(view, np.float64), searched)
        for direction, valley in _promising(white[searched], most, seed):
            position = white @ direction
            p = confirmed(position[other], valley)
            region = ThinRegion(view=name, position=position, cut=valley.cut, p=p)
            found.append((valley.p, region))
    return found


def _whitened(view: Float64[np.ndarray, "n f"], rows: Rows) -> Float64[np.ndarray, "n d"]:
    """Principal components with mean 0 and variance 1 over the given rows."""
    from sklearn.decomposition import PCA

    wanted = min(COMPONENTS, view.shape[1], len(rows) // 10)
    fitted = PCA(wanted, whiten=True, svd_solver="randomized", random_state=0).fit(view[rows])
    variance = fitted.explained_variance_
    kept = variance > LEAST_VARIANCE * variance[0]
    return np.asarray(fitted.transform(view)[:, kept], np.float64)


def _promising(white: White, most: float, seed: int) -> list[tuple[Direction, Valley]]:
    """Directions and their valleys, the most telling first, each region once."""
    found: list[tuple[Direction, Valley]] = []
    seen: set[bytes] = set()
    for start in _starts(white, seed):
        direction = _refined(white, start)
        if direction is None or (name := np.round(direction, 3).tobytes()) in seen:
            continue
        seen.add(name)
        valley = deepest_valley(white @ direction, most)
        if valley is not None and valley.p < PROMISING:
            found.append((direction, valley))
    found.sort(key=lambda one: one[1].p)
    behind = ((white @ direction > valley.cut, (direction, valley)) for direction, valley in found)
    return list(islice(_distinct(behind), KEPT))


def _starts(white: White, seed: int) -> Iterator[Bool[np.ndarray, " a"]]:
    """Both tails along every axis and every independent component."""
    for direction in _axes(white, seed):
        position = white @ direction
        lows, highs = np.split(np.quantile(position, [*TAILS, *(1 - np.array(TAILS))]), 2)
        for low, high in zip(lows, highs, strict=True):
            yield position < low
            yield position > high


def _axes(white: White, seed: int) -> Iterator[Direction]:
    from sklearn.decomposition import FastICA
    from sklearn.exceptions import ConvergenceWarning

    yield from np.eye(white.shape[1])
    for contrast in ("logcosh", "exp"):
        search = FastICA(
            whiten="unit-variance", fun=contrast, max_iter=200, tol=1e-3, random_state=seed
        )
        with warnings.catch_warnings():
            # A start need not have converged: every one is refined.
            warnings.simplefilter("ignore", ConvergenceWarning)
            found = search.fit(white).components_
        yield from found / np.linalg.norm(found, axis=1, keepdims=True)


def _refined(white: White, member: Bool[np.ndarray, " a"]) -> Direction | None:
    """Move between region and direction: Fisher's best, then the images nearer to its end.

    None when the region vanishes or takes in everything, as tails of a single heap do.
    """
    size, direction = len(white), None
    for _ in range(STEPS):
        count = int(np.count_nonzero(member))
        if not 8 <= count <= 0.3 * size:
            return None
        direction = _fisher(white, member, count / size)
        position = white @ direction
        middle = (position[member].mean() + position[~member].mean()) / 2
        moved = position > middle
        if np.count_nonzero(moved != member) <= 1:
            break
        member = moved
    return direction


def _fisher(white: White, member: Bool[np.ndarray, " a"], share: float) -> Direction:
    """Unit direction that parts members from others best; the covariance of all is 1."""
    apart = white[member].mean(axis=0) / (1 - share)  # others have the opposite mean: all have 0
    within = (1 + SHRINKAGE) * np.eye(white.shape[1]) - share * (1 - share) * np.outer(apart, apart)
    direction = np.linalg.solve(within, apart)
    return direction / np.linalg.norm(direction)


# ---- whether the values along one direction form a second, smaller heap beyond a valley


def deepest_valley(values: Values, most: float) -> Valley | None:
    """The most telling valley behind which lies at most a share ``most`` of the values.

    Its ``p`` is the smallest of many: how promising it is, not how sure (:func:`confirmed`).
    """
    x = np.sort(values)
    middle = float(np.median(x))
    spread = 1.4826 * float(np.median(np.abs(x - middle)))
    if not spread > 0:
        return None
    found = [_scan(x, middle, width * spread, most) for width in WIDTHS]
    best = min((one for one in found if one is not None), default=None)
    if best is None:
        return None
    first, third = np.quantile(x[x > best[1]], [0.25, 0.75]).tolist()
    return Valley(*best, first, third)


def _scan(x: Values, start: float, width: float, most: float) -> tuple[float, float] | None:
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
    allowed = (heap > thinnest) & (behind <= most * len(x)) & (behind >= LEAST)
    if not allowed.any():
        return None
    p = np.where(allowed, binom.sf(heap - 1, heap + thinnest, 0.5), 1.0)
    best = int(np.argmin(p))
    return float(p[best]), float(cut[best])


def _middle_of_thinnest(counts: Rows, thinnest: Rows) -> Rows:
    """Place of the thinnest window so far: the middle of its gap, which is many windows wide."""
    place, empty = np.arange(len(counts)), counts == thinnest
    goes_on = empty & np.append(False, empty[:-1] & (thinnest[1:] == thinnest[:-1]))
    first = np.maximum.accumulate(np.where(empty & ~goes_on, place, 0))
    last = np.maximum.accumulate(np.where(empty, place, 0))
    return (first + last) // 2


def confirmed(values: Values, valley: Valley) -> float:
    """How likely images without the heap would show it as clearly, among values not used before.

    For three widths the number of values in the middle of the heap is compared with that around
    the valley: a single heap has at least as many around the valley, which is nearer to its top.
    One-sided exact binomial tests, Bonferroni over the widths.

    Reference:
        Idea as in Hartigan and Hartigan 1985, The Dip Test of Unimodality, Annals of Statistics
        13(1). Deviation: places are chosen on other data, so an exact test of two counts remains.
    """
    middle, spread = (valley.first + valley.third) / 2, valley.third - valley.first

    def rises(width: float) -> float:
        low, high = (
            int(np.count_nonzero(np.abs(values - place) <= width / 2))
            for place in (valley.cut, middle)
        )
        return float(binom.sf(high - 1, low + high, 0.5)) if low + high else 1.0

    # Windows must not overlap.
    p = [rises(core * spread) for core in CORES if core * spread <= middle - valley.cut]
    return min(1.0, len(p) * min(p)) if p else 1.0
