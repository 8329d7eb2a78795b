"""Thin regions: small parts of a data set that stand apart from all others.

Whether a region is thin has no answer while it shades off into the others: every set has its
extremes. What stands apart has one, so that is what is looked for, without any label: a direction
along which the images form a second, smaller heap beyond a valley. Directions are searched on one
half of the images and confirmed on the other, each half in turn, so that what is only the luck of
a search is not reported.

``n`` images, ``f`` features of a view, ``d`` directions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from debias.auditing.valley import Valley, confirmed, deepest_valley
from debias.statistics.intervals import share_of

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

Views = Mapping[str, Float[np.ndarray, "n _"]]


@dataclass(frozen=True, kw_only=True, eq=False)
class ThinRegion:
    """One small part that stands apart.

    Attributes:
        view: Description of the images in which it does.
        position: (n,), place of every image along the direction, larger towards the region.
        cut: Place of the valley.
        p: Of the half that was not searched, see :func:`debias.auditing.valley.confirmed`.
        p_adjusted: By a weighted Bonferroni rule over everything that was tried.
        found: ``p_adjusted`` is below the level.
        low: Lower 95 % limit of the share beyond this cut (Clopper and Pearson); that another cut
            might have been chosen is not in it.
        high: Upper 95 % limit.
    """

    view: str
    position: Float64[np.ndarray, " n"]
    cut: float
    p: float
    p_adjusted: float = 1.0
    found: bool = False
    low: float = 0.0
    high: float = 1.0

    @property
    def members(self) -> Bool[np.ndarray, " n"]:
        return self.position > self.cut

    @property
    def count(self) -> int:
        return int(np.count_nonzero(self.members))

    @property
    def share(self) -> float:
        return self.count / len(self.position)

    def typical(self, most: int) -> Int64[np.ndarray, " m"]:
        """Rows of its images, those in the middle of it first."""
        rows = np.flatnonzero(self.members)
        middle = np.median(self.position[rows])
        return rows[np.argsort(np.abs(self.position[rows] - middle), kind="stable")][:most]

    def opposite(self, most: int) -> Int64[np.ndarray, " m"]:
        """Rows of images in the middle of all others."""
        rows = np.flatnonzero(~self.members)
        middle = np.median(self.position[rows])
        return rows[np.argsort(np.abs(self.position[rows] - middle), kind="stable")][:most]


@dataclass(frozen=True, kw_only=True)
class ThinRegions:
    """What was found, most certain first, and among how many.

    Attributes:
        regions: Found ones first; the others are the most promising that were not confirmed.
        looked_at: Directions that were tried on images that had not been searched.
        level: False alarms allowed over all of them.
        enough: Whether there were images enough to look.
    """

    regions: tuple[ThinRegion, ...]
    looked_at: int
    level: float
    enough: bool

    @property
    def found(self) -> tuple[ThinRegion, ...]:
        return tuple(region for region in self.regions if region.found)

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

    Returns:
        Regions that do not overlap by more than half, most certain first.

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
        for weight, region in _weighed(_tried(views, searched, other, most, seed))
    ]
    judged.sort(key=lambda region: (region.p_adjusted, region.p, region.share))
    return ThinRegions(
        regions=tuple(_distinct(judged)), looked_at=len(judged), level=level, enough=True
    )


def _weighed(tried: list[tuple[float, ThinRegion]]) -> Iterator[tuple[float, ThinRegion]]:
    """What each region may spend of the level: the more promising, the more.

    ``1 / (r (r + 1))`` for the r-th most promising, which sums to 1 however many there are; half of
    it, for two halves. What the searched half promises says nothing about the luck of the other.
    """
    for rank, (_, region) in enumerate(sorted(tried, key=lambda one: one[0]), 1):
        yield 0.5 / (rank * (rank + 1)), region


def _judged(region: ThinRegion, weight: float, level: float) -> ThinRegion:
    share = share_of(region.count, len(region.position))
    p_adjusted = min(1.0, region.p / weight)
    return replace(
        region,
        p_adjusted=p_adjusted,
        found=p_adjusted < level,
        low=share.low,
        high=share.high,
    )


def _distinct(regions: Sequence[ThinRegion]) -> Iterator[ThinRegion]:
    """Those that are not, by more than half, one that came before."""
    kept: list[Bool[np.ndarray, " n"]] = []
    for region in regions:
        members = region.members
        if region.count and not any(_same(members, one) for one in kept):
            kept.append(members)
            yield region


def _same(one: Bool[np.ndarray, " n"], other: Bool[np.ndarray, " n"]) -> bool:
    smaller = min(np.count_nonzero(one), np.count_nonzero(other))
    return bool(np.count_nonzero(one & other) > SAME * smaller)


def _tried(
    views: Views,
    searched: Int64[np.ndarray, " a"],
    other: Int64[np.ndarray, " b"],
    most: float,
    seed: int,
) -> list[tuple[float, ThinRegion]]:
    """Regions that look promising on one half, and how much so, with the p of the other half."""
    searched, found = searched[:SEARCHED], []
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


def _whitened(
    view: Float64[np.ndarray, "n f"], rows: Int64[np.ndarray, " a"]
) -> Float64[np.ndarray, "n d"]:
    """Principal components with mean 0 and variance 1 over the given rows."""
    from sklearn.decomposition import PCA

    wanted = min(COMPONENTS, view.shape[1], len(rows) // 10)
    fitted = PCA(wanted, whiten=True, svd_solver="randomized", random_state=0).fit(view[rows])
    variance = fitted.explained_variance_
    kept = variance > LEAST_VARIANCE * variance[0]
    white: Float64[np.ndarray, "n d"] = fitted.transform(view)[:, kept]
    return white


def _promising(
    white: Float64[np.ndarray, "a d"], most: float, seed: int
) -> list[tuple[Float64[np.ndarray, " d"], Valley]]:
    """Directions and their valleys, the most telling first, each region once."""
    found: list[tuple[Float64[np.ndarray, " d"], Valley]] = []
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
    kept: list[tuple[Float64[np.ndarray, " d"], Valley]] = []
    members: list[Bool[np.ndarray, " a"]] = []
    for direction, valley in found:
        here = white @ direction > valley.cut
        if len(kept) < KEPT and not any(_same(here, one) for one in members):
            kept.append((direction, valley))
            members.append(here)
    return kept


def _starts(white: Float64[np.ndarray, "a d"], seed: int) -> Iterator[Bool[np.ndarray, " a"]]:
    """Both tails along every axis and every independent component."""
    for direction in _axes(white, seed):
        position = white @ direction
        lows, highs = np.split(np.quantile(position, [*TAILS, *(1 - np.array(TAILS))]), 2)
        for low, high in zip(lows, highs, strict=True):
            yield position < low
            yield position > high


def _axes(white: Float64[np.ndarray, "a d"], seed: int) -> Iterator[Float64[np.ndarray, " d"]]:
    import warnings

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


def _refined(
    white: Float64[np.ndarray, "a d"], member: Bool[np.ndarray, " a"]
) -> Float64[np.ndarray, " d"] | None:
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


def _fisher(
    white: Float64[np.ndarray, "a d"], member: Bool[np.ndarray, " a"], share: float
) -> Float64[np.ndarray, " d"]:
    """Unit direction that parts members from others best; the covariance of all is 1."""
    apart = white[member].mean(axis=0) / (1 - share)  # others have the opposite mean: all have 0
    within = (1 + SHRINKAGE) * np.eye(white.shape[1]) - share * (1 - share) * np.outer(apart, apart)
    direction: Float64[np.ndarray, " d"] = np.linalg.solve(within, apart)
    return direction / np.linalg.norm(direction)
