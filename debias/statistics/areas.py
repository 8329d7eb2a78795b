"""How well a score separates two sets of samples: the area under the ROC curve.

``n`` samples, ``p`` samples of the first set, ``q`` of the second.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float64, Int64, Shaped
from scipy.special import expit, logit, ndtri, stdtrit
from scipy.stats import rankdata

from debias.errors import EvaluationError
from debias.statistics.groupings import UNKNOWN
from debias.statistics.people import freedom, student

Codes = Int64[np.ndarray, " n"]
Column = Shaped[np.ndarray, " n"]
Limits = tuple[float, float]

_HALVINGS = 40  # of [0, 1]: down to 1e-12


@dataclass(frozen=True, kw_only=True)
class Area:
    """Share of pairs in which the first set scores higher, ties counted half."""

    value: float  # in [0, 1]; 0.5 when the score tells nothing
    variance: float  # DeLong's estimate; NaN when a set has one sample
    n_first: int
    n_second: int


def area_under_curve(first: Float[np.ndarray, " p"], second: Float[np.ndarray, " q"]) -> Area:
    """Compare every pair of the two sets through midranks; NaN when a set is empty.

    Reference:
        DeLong, DeLong and Clarke-Pearson, "Comparing the areas under two or more correlated
        receiver operating characteristic curves", Biometrics 44, 1988; by midranks as in Sun and
        Xu, "Fast implementation of DeLong's algorithm", IEEE Signal Processing Letters 21, 2014.
    """
    p, q = len(first), len(second)
    if p == 0 or q == 0:
        return Area(value=np.nan, variance=np.nan, n_first=p, n_second=q)
    above, below = placements(first, second)
    enough = p > 1 and q > 1
    variance = above.var(ddof=1) / p + below.var(ddof=1) / q if enough else np.nan
    return Area(value=float(above.mean()), variance=float(variance), n_first=p, n_second=q)


def placements(
    first: Float[np.ndarray, " p"], second: Float[np.ndarray, " q"]
) -> tuple[Float64[np.ndarray, " p"], Float64[np.ndarray, " q"]]:
    """Share of the other set that each sample of the first beats, and that beats each second."""
    p, q = len(first), len(second)
    ranks = rankdata(np.concatenate([first, second]))
    return (ranks[:p] - rankdata(first)) / q, 1 - (ranks[p:] - rankdata(second)) / p


def auc_by_group(
    score: Float[np.ndarray, " n"], labels: Codes, groups: Column, *, level: float = 0.95
) -> pd.DataFrame:
    """How well a per-sample score tells the members of each group from all other samples.

    Members are compared with non-members of the same class only, and the areas of the classes are
    averaged, each weighted by its number of pairs: a score that depends on nothing but the class
    gets 0.5. The score, higher for members, may be a sampling weight, its logarithm or a rank; only
    order matters. Missing groups are the group ``unknown``; intervals take samples as independent.

    Returns:
        Columns group, auc, low, high, n (members of the group), sorted by group. All three numbers
        are NaN for a group that shares no class with a sample outside of it.

    Raises:
        EvaluationError: Nothing to compare, lengths that disagree, a score that is not finite.
    """
    sizes = len(score), len(labels), len(groups)
    if len(set(sizes)) > 1:
        raise EvaluationError(f"score, labels and groups have {sizes} rows; they must agree")
    if len(score) == 0:
        raise EvaluationError("no sample to compare")
    wrong = int((~np.isfinite(score)).sum())
    if wrong:
        raise EvaluationError(f"{wrong} of {len(score)} scores are not finite")
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), got {level}")
    series = pd.Series(groups, dtype=object)
    codes, names = pd.factorize(series.where(series.notna(), UNKNOWN), sort=True)
    rows = []
    for code, name in enumerate(names):
        members = codes == code
        areas = [
            area_under_curve(score[members & within], score[~members & within])
            for within in (labels == label for label in np.unique(labels))
        ]
        rows.append((name, *_pooled(areas, level), int(members.sum())))
    return pd.DataFrame(rows, columns=["group", "auc", "low", "high", "n"])


def areas_of_people(
    score: Float64[np.ndarray, " n"], codes: Codes, people: Codes | None, *, level: float
) -> pd.DataFrame:
    """Area under the ROC curve of a score against membership of each cell.

    Where people repeat, intervals grow by how much more the area varies between people than
    between independent images.

    The score is finite, and higher is expected for members; ``codes`` are -1 for images that are
    nobody's members but others to everybody; ``people`` are numbered from 0, None if nobody says.

    Returns:
        Columns ``auc``, ``auc_low``, ``auc_high`` by cell that holds images; NaN where everyone is
        a member.
    """
    table = auc_by_group(score, np.zeros(len(score), dtype=np.int64), codes, level=level)
    table = table.drop(columns="n").set_index("group").drop(index=-1, errors="ignore")
    table = table.rename(columns={"low": "auc_low", "high": "auc_high"}).astype(np.float64)
    if people is None:
        return table
    wider = np.array([_widening(score, codes == code, people, level) for code in table.index])
    return table.assign(
        auc_low=(table["auc"] - wider * (table["auc"] - table["auc_low"])).clip(lower=0),
        auc_high=(table["auc"] + wider * (table["auc_high"] - table["auc"])).clip(upper=1),
    )


def _widening(
    score: Float64[np.ndarray, " n"], members: Bool[np.ndarray, " n"], people: Codes, level: float
) -> float:
    """Half a width for people that repeat over that for independent images, at least 1.

    With e what the images of one person add to the error of the area, the quotient of the
    variances is sum(e^2) over people by that over images; Student's t makes it matter if few people
    make up a group, or most images.

    Reference:
        Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics 53, 1997.
        Deviations: relative to independent images; Student's t, degrees of freedom estimated.
    """
    if members.all() or not members.any():
        return 1.0
    ranks, influence = rankdata(score), np.empty(len(score))
    for side, sign in ((members, 1), (~members, -1)):
        beaten = ranks[side] - rankdata(score[side])  # images of the other side
        influence[side] = sign * (beaten - beaten.mean())  # a common factor cancels
    by_person = np.bincount(people, weights=influence)
    alone, together = np.square(influence).sum(), np.square(by_person).sum()
    if alone == 0:
        return 1.0
    wider = student(freedom(together, (by_person**4).sum()), level)
    return float(wider * max(1.0, np.sqrt(together / alone)))


def _pooled(areas: Sequence[Area], level: float) -> tuple[float, float, float]:
    """Area pooled over classes with the outer limits of two intervals; NaN if no class has a pair.

    DeLong's interval follows the data but shrinks to a point at an area of 0 or 1 and is too short
    for a dozen samples; Hanley and McNeil's variance, inverted as a score interval, does neither
    but rests on a distribution. Simulated at 95 %, groups of 10, 50 and 200 in 1,000, four
    distributions, areas 0.5 to 0.96: the outer limits cover 93 % to 100 %, DeLong's plain interval
    down to 81 %, on the logit scale with Student's t down to 91 %, the score interval 84 %.

    Reference:
        Hanley and McNeil, "The meaning and use of the area under a receiver operating
        characteristic (ROC) curve", Radiology 143, 1982; inverted as method 5 of Newcombe,
        "Confidence intervals for an effect size measure based on the Mann-Whitney statistic.
        Part 2", Statistics in Medicine 25, 2006. Deviation: summed over classes.
    """
    used = [area for area in areas if area.n_first and area.n_second]
    if not used:
        return np.nan, np.nan, np.nan
    pairs = np.array([area.n_first * area.n_second for area in used], dtype=np.float64)
    share = pairs / pairs.sum()
    value = float(share @ [area.value for area in used])
    one = _delong_limits(value, used, np.square(share), level)
    other = _score_limits(value, used, np.square(share), level)
    return value, float(np.fmin(one[0], other[0])), float(np.fmax(one[1], other[1]))


def _delong_limits(
    value: float, areas: Sequence[Area], squares: Float[np.ndarray, " c"], level: float
) -> Limits:
    """On the logit scale, with as many degrees of freedom as the smaller sets have; or NaN."""
    variance = float(squares @ [area.variance for area in areas])
    freedom = sum(min(area.n_first, area.n_second) - 1 for area in areas)
    if not 0 < value < 1 or not np.isfinite(variance):
        return np.nan, np.nan
    half = stdtrit(freedom, (1 + level) / 2) * np.sqrt(variance) / (value * (1 - value))
    return float(expit(logit(value) - half)), float(expit(logit(value) + half))


def _score_limits(
    value: float, areas: Sequence[Area], squares: Float[np.ndarray, " c"], level: float
) -> Limits:
    """The areas that lie just ``z`` standard errors, taken at themselves, from the observed one."""
    z_squared = float(ndtri((1 + level) / 2)) ** 2

    def edge(inner: float, outer: float) -> float:
        """Halve the way from a compatible area to an end of the range until the edge is found."""
        for _ in range(_HALVINGS):
            middle = (inner + outer) / 2
            variances = [_hanley_mcneil(middle, area.n_first, area.n_second) for area in areas]
            if (value - middle) ** 2 <= z_squared * float(squares @ variances):
                inner = middle
            else:
                outer = middle
        return inner

    return edge(value, 0.0), edge(value, 1.0)


def _hanley_mcneil(theta: float, p: int, q: int) -> float:
    half = (p + q) / 2 - 1
    spread = 1 + half * (1 - theta) / (2 - theta) + half * theta / (1 + theta)
    return theta * (1 - theta) * spread / (p * q)
