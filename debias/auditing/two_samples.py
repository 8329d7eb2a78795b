"""Whether two sets of points differ: as a whole, and point by point.

As a whole, by a distance and what chance makes of it; point by point, by a classifier that tells
the sets apart and never scores a point that it saw.

``n`` images of the data, ``m`` of the reference, ``N`` of both sets, ``k`` dimensions or features,
``P`` arrangements.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64
from scipy.spatial.distance import cdist

from debias.auditing.words import say
from debias.statistics.areas import area_under_curve
from debias.statistics.crossfit import left_out_log_odds

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

FEWEST = 20  # images a side: below, neither a test nor a classifier says anything
TELLTALE = 0.97  # sets told apart better than this differ in more than their people
ROWS = 512  # of a block of distances
ARRANGEMENTS = 1000  # of a block of permutations
ROUNDING = 1e-12  # equal arrangements of the same points may differ by this
FOLDS, REPEATS = 5, 3
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)  # inverse penalties, flattest model first

Verdict = Literal["told_apart", "not_told_apart", "too_few"]
Data = Float[np.ndarray, "n _"]
Reference = Float[np.ndarray, "m _"]
Both = Float[np.ndarray, "N k"]
Scores = Float64[np.ndarray, " N"]


@dataclass(frozen=True, kw_only=True)
class TwoSamples:
    """How far two sets of points lie apart, and how far two random sets would.

    ``distance`` is the energy distance of the ``n`` and ``m`` points that were compared, in units
    of the mean distance between two points of both sets together; 0 for equal sets. ``null`` are
    the 2.5 %, 50 % and 97.5 % quantiles of it between two random sets of these sizes (not 0: two
    finite sets are never equal), ``p`` the chance of such a distance, or a larger one, between
    them, and from about ``noticed`` the test tells sets apart. All NaN with ``too_few`` points.
    """

    n: int
    m: int
    level: float
    distance: float = np.nan
    null: tuple[float, float, float] = (np.nan, np.nan, np.nan)
    noticed: float = np.nan
    p: float = np.nan
    verdict: Verdict = "too_few"

    def sentence(self, first: str = "the data set", second: str = "the reference") -> str:
        low, _, high = self.null
        facts = vars(self) | {"first": first, "second": second, "low": low, "high": high}
        chance = say("two_samples.chance", **facts)
        return say(f"two_samples.{self.verdict}", chance=chance, least=FEWEST, **facts)


@dataclass(frozen=True, kw_only=True, eq=False)
class Contrast:
    """How much likelier each image is in the reference than in the data.

    In nats: log density of the reference less that of the data at each image, as a classifier saw
    it that did not see the image; 0 where both are equal. ``separability`` is the area under the
    ROC curve with which it tells the two sets apart; about 0.5 where it cannot.
    """

    data: Float64[np.ndarray, " n"]
    reference: Float64[np.ndarray, " m"]
    separability: float

    @property
    def telltale(self) -> bool:
        """Whether the sets are told apart almost without error, as two cameras are."""
        return self.separability >= TELLTALE

    def swapped(self) -> "Contrast":
        """The same with the two sets in each other's place."""
        return Contrast(data=-self.reference, reference=-self.data, separability=self.separability)


def two_samples(
    data: Data,
    reference: Reference,
    *,
    permutations: int = 999,
    most: int = 2000,
    level: float = 0.01,
    seed: int = 0,
) -> TwoSamples:
    """Compare two sets of points by their energy distance, with a permutation test.

    ``2 E|X - Y| - E|X - X'| - E|Y - Y'|`` over all pairs of at most ``most`` points of each set;
    points are finite, every dimension is standardised over both sets, and the order of the rows
    does not matter. ``level`` is that of a false alarm.

    Reference:
        Székely and Rizzo 2013, Energy statistics: a class of statistics based on distances,
        Journal of Statistical Planning and Inference 143; p-value as in Phipson and Smyth 2010,
        Permutation p-values should never be zero.
    """
    n, m = min(len(data), most), min(len(reference), most)
    if min(n, m) < FEWEST:
        return TwoSamples(n=n, m=m, level=level)
    generator = np.random.default_rng(seed)
    first, second = (_drawn(points, most, generator) for points in (data, reference))
    points = _standardised(np.concatenate([first, second]))
    signs = np.repeat([1 / n, -1 / m], [n, m])
    both = _energies(points, np.stack([signs, np.ones(n + m)], axis=1))
    # The mean distance of two points; 1 if all are one.
    unit = float(-both[1] / (len(points) * (len(points) - 1)) or 1.0)
    observed = float(both[0] / unit)
    blocks = np.diff([*range(0, permutations, ARRANGEMENTS), permutations])
    turned = (generator.permuted(np.tile(signs, (size, 1)), axis=1).T for size in blocks)
    null = np.concatenate([_energies(points, one) for one in turned]) / unit
    p = (1 + int((null >= observed - ROUNDING).sum())) / (1 + permutations)
    low, median, high, noticed = np.quantile(null, [0.025, 0.5, 0.975, 1 - level]).tolist()
    return TwoSamples(
        n=n, m=m, level=level, distance=observed, null=(low, median, high), noticed=noticed, p=p,
        verdict="told_apart" if p <= level else "not_told_apart",
    )  # fmt: skip


def contrast(data: Data, reference: Reference, *, seed: int = 0) -> Contrast:
    """Tell the reference from the data, which holds none of its images, image by image.

    Logistic regression on standardised features, cross-fitted: every image is scored by models
    that never saw it, and the scores are averaged over repetitions of the folds. The penalty is
    the one that predicts images left out best. A slope and an offset, fitted to the left-out
    scores of all images, make them log ratios that can be taken at their word; scores that say
    nothing, or the opposite, become 0. The order of the rows does not matter. Source: Sugiyama,
    Suzuki, Kanamori 2012, Density Ratio Estimation in Machine Learning, chapter 4.
    """
    own, others = by_place(data), by_place(reference)
    # No set is told which is which when both are standardised together.
    x = _standardised(np.concatenate([data[own], reference[others]]))
    wanted = np.arange(len(x)) >= len(own)
    scores = left_out_log_odds(
        x, wanted, [_classifier], STRENGTHS, folds=FOLDS, repeats=REPEATS, seed=seed
    )
    ratio = _calibrated(scores, wanted)
    here, there = np.empty(len(own)), np.empty(len(others))
    here[own], there[others] = ratio[~wanted], ratio[wanted]
    area = area_under_curve(scores[wanted], scores[~wanted]).value
    return Contrast(data=here, reference=there, separability=area)


def by_place(points: Data) -> Int64[np.ndarray, " n"]:
    """An order of the rows by where they lie, so that what is drawn does not depend on theirs.

    Along a direction that is always the same, in which different points practically never tie.
    """
    span = np.ptp(points, axis=0).astype(np.float64)  # exact, whatever the order
    direction = np.random.default_rng(0).normal(size=points.shape[1])
    # Not a matrix product: its last bits may depend on where a row stands.
    along = (points * (direction / np.where(span > 0, span, 1.0))).sum(axis=1)
    return np.argsort(along, kind="stable").astype(np.int64)


def _drawn(points: Data, most: int, generator: np.random.Generator) -> Float64[np.ndarray, "_ k"]:
    order = by_place(points)
    if len(order) > most:
        order = order[np.sort(generator.choice(len(order), most, replace=False))]
    return points[order].astype(np.float64)


def _standardised(points: Both) -> Both:
    spread = points.std(axis=0)
    return (points - points.mean(axis=0)) / np.where(spread > 0, spread, 1)


def _energies(points: Both, signs: Float64[np.ndarray, "N P"]) -> Float64[np.ndarray, " P"]:
    """Minus the sum over all pairs of ``sign * sign * distance``, for every arrangement.

    With 1/n for one set and -1/m for the other this is the energy distance.
    """
    total = np.zeros(signs.shape[1])
    for start in range(0, len(points), ROWS):
        rows = slice(start, start + ROWS)
        total -= np.einsum("rp,rp->p", signs[rows], cdist(points[rows], points) @ signs)
    return total


def _classifier(strength: float, _: np.random.Generator) -> "LogisticRegression":
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, tol=1e-3, max_iter=1000)


def _calibrated(scores: Scores, wanted: Bool[np.ndarray, " N"]) -> Scores:
    from sklearn.linear_model import LogisticRegression

    column = _standardised(scores[:, None])
    model = LogisticRegression(tol=1e-6).fit(column, wanted)
    if model.coef_[0, 0] <= 0:
        return np.zeros(len(scores))
    return model.decision_function(column) - np.log(wanted.sum() / (~wanted).sum())
