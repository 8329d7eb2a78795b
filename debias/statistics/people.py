"""Images of one person are not independent: how many independent images they are worth.

Rates within cells (``bootstrap``), their differences (``shared_people``), and the shares that cells
have of all images (``Shares``).

``n`` images, ``g`` cells, ``m`` measures, ``u`` units (the images of one person in one cell), ``r``
kinds of unit (distinct counts), ``b`` replicates.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64, Real, Shaped
from scipy import sparse
from scipy.special import ndtri, stdtrit

from debias.statistics.intervals import Measure, counted, ratio

PerUnit = Int64[np.ndarray, " u"]
PerCell = Float64[np.ndarray, " g"]
Rates = Float64[np.ndarray, "g m"]
Pairs = Int64[np.ndarray, " p"]
Figures = float | Float64[np.ndarray, "*cells"]

REPLICATES = 2_000
# With fewer people on either side of a rate (some image right, some image wrong) neither the
# bootstrap nor its standard error can be trusted, and each person counts as one image.
FEW = 20
NOTHING = 1e-300
_CELLS_AT_ONCE = 128


def numbered(subjects: Shaped[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """People numbered from 0; an image of nobody known is one of somebody else."""
    column = pd.Series(subjects, dtype=object)
    codes, names = pd.factorize(column.where(column.notna() & (column.astype(str) != "")))
    others = np.cumsum(codes < 0) - 1
    return np.where(codes < 0, len(names) + others, codes).astype(np.int64)


def summed(codes: PerUnit, values: Real[np.ndarray, " u"], n_cells: int) -> PerCell:
    """Sum of a value of each unit over the units of each cell."""
    # Without rows, bincount forgets that it was to sum floats.
    return np.bincount(codes, weights=values, minlength=n_cells).astype(np.float64)


def kish(
    codes: PerUnit,
    size: Real[np.ndarray, " u"],
    n_cells: int,
    times: Real[np.ndarray, " u"] | float = 1.0,
) -> PerCell:
    """Independent images of each cell if those of one unit are all alike; NaN without images.

    ``size`` is the images of each unit, ``times`` how many units there are of its kind.

    Reference:
        Kish, "Survey Sampling", 1965: (sum c)^2 / sum c^2 over the c images of each unit.
    """
    images = summed(codes, size * times, n_cells)
    return ratio(np.square(images), summed(codes, np.square(size) * times, n_cells))


def student(freedom: Figures, level: float) -> Figures:
    """How much longer a tail of Student's t is than a normal one; at least 1 degree of freedom."""
    quantile = (1 + level) / 2
    return stdtrit(np.maximum(freedom, 1.0), quantile) / ndtri(quantile)


def freedom(squares: Figures, fourths: Figures) -> Figures:
    """Degrees of freedom of a variance, by the sums of e^2 and e^4 over the errors e of people.

    They are few where a few people make up most of the variance, and never below 1.
    """
    return np.maximum(1.0, np.square(squares) / np.maximum(fourths, NOTHING) - 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Units:
    """The images of each person in each cell."""

    table: Int64[np.ndarray, "u c c"]  # confusion counts, summed over trainings of the classifier
    codes: PerUnit  # cell, ascending
    n_cells: int
    people: PerUnit  # number of the person; one who stands in two cells has two units

    def summed(self, values: Float64[np.ndarray, "u m"]) -> Rates:
        """Sums over the units of each cell."""
        return np.stack([summed(self.codes, column, self.n_cells) for column in values.T], axis=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Clusters:
    """What a bootstrap over people says about the rates of some cells."""

    people: Rates  # with at least one image in the denominator
    kish: Rates  # independent images if each person's were all alike
    value: Rates
    variance: Rates  # of the rates over replicates
    few: Bool[np.ndarray, "g m"]  # whether too few people stand on one side of the rate
    low: Rates  # percentiles over replicates
    high: Rates

    def effective(self, denominator: Rates, level: float) -> Rates:
        """Independent images that would leave the same uncertainty at this level.

        Reference:
            Korn and Graubard 1998, Confidence intervals for proportions with small expected
            number of positive counts estimated from survey data, Survey Methodology 24.
            Deviations: the variance is the bootstrap's, and with few people on one side each
            person counts as one image.
        """
        wider = student(self.people - 1, level)
        with np.errstate(divide="ignore", invalid="ignore"):
            size = self.value * (1 - self.value) / self.variance / np.square(wider)
        size = np.where(self.few | ~np.isfinite(size), self.kish, size)
        return np.minimum(size, denominator)


def bootstrap(
    units: Units,
    found: Sequence[Measure],
    level: float,
    generator: np.random.Generator,
    replicates: int = REPLICATES,
) -> Clusters:
    """Draw people with replacement within each cell, so that every replicate holds every cell."""
    above, below = counted(units.table, found)  # (u, m)
    hits, misses = (units.summed((part > 0).astype(float)) for part in (above, below - above))
    rows, count = kinds(np.column_stack([units.codes, units.table.reshape(len(units.table), -1)]))
    table = rows[:, 1:].reshape(-1, *units.table.shape[1:])
    values, m = np.hstack(counted(table, found)), len(found)
    parts = []
    for start in range(0, units.n_cells, _CELLS_AT_ONCE):
        cells = np.arange(start, min(start + _CELLS_AT_ONCE, units.n_cells))
        sums = resampled((rows[:, 0], count, values), cells, replicates, generator)
        rates = ratio(sums[..., :m], sums[..., m:])  # (b, cells, m)
        with warnings.catch_warnings():
            # NaN where a rate is defined in no replicate; of one, the variance.
            warnings.simplefilter("ignore", RuntimeWarning)
            tails = np.nanquantile(rates, [(1 - level) / 2, (1 + level) / 2], axis=0)
            parts.append([np.nanvar(rates, axis=0, ddof=1), *tails])
    variance, low, high = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Clusters(
        people=units.summed((below > 0).astype(float)),
        kish=np.stack([kish(units.codes, size, units.n_cells) for size in below.T], axis=1),
        value=ratio(units.summed(above), units.summed(below)),
        variance=variance,
        few=np.minimum(hits, misses) < FEW,
        low=low,
        high=high,
    )


def kinds(
    rows: Int64[np.ndarray, "u w"], times: PerUnit | None = None
) -> tuple[Int64[np.ndarray, "r w"], Int64[np.ndarray, " r"]]:
    """Distinct rows and how often each occurs: by cell, the most frequent of a cell first.

    A row is the cell of a unit, and what is counted of it; it stands for so many ``times``.
    """
    distinct, place = np.unique(rows, axis=0, return_inverse=True)
    count = np.bincount(place.ravel(), weights=times, minlength=len(distinct)).astype(np.int64)
    order = np.lexsort([-count, distinct[:, 0]])
    return distinct[order], count[order]


def resampled(
    units: tuple[Int64[np.ndarray, " r"], Int64[np.ndarray, " r"], Float64[np.ndarray, "r w"]],
    cells: Int64[np.ndarray, " g"],
    replicates: int,
    generator: np.random.Generator,
) -> Float64[np.ndarray, "b g w"]:
    """Sums over as many units as each cell has, drawn from it with replacement.

    Units of one kind are interchangeable: a replicate is one multinomial draw over the kinds of a
    cell, made of binomial ones. Most draws are done after the few most frequent kinds.

    ``units`` are cell, number and values of the units of each kind, in the order of :func:`kinds`;
    of the ``cells`` wanted those of most kinds should come first.
    """
    cell, count, values = units
    first, end = (np.searchsorted(cell, cells, side=side) for side in ("left", "right"))
    before = np.concatenate([[0], np.cumsum(count)])
    unseen = before[end] - before[first]
    left = np.tile(unseen, (replicates, 1))  # units still to be drawn
    sums = np.zeros((replicates, len(cells), values.shape[1]))
    for k in range(int((end - first).max(initial=0))):
        here = slice(int(np.flatnonzero(end - first > k)[-1]) + 1)
        row = np.minimum(first[here] + k, len(count) - 1)
        times = np.where(first[here] + k < end[here], count[row], 0)
        drawn = generator.binomial(left[:, here], times / np.maximum(unseen[here], 1))
        sums[:, here] += drawn[:, :, None] * values[row]
        left[:, here] -= drawn
        unseen[here] -= times
    return sums


def shared_people(
    units: Units, found: Sequence[Measure], first: Pairs, second: Pairs
) -> Float64[np.ndarray, "p m"]:
    """How much wider the interval of a difference must be because of people in both cells.

    Someone who is always taken for smiling is right where that is true and wrong where it is not:
    two cells then move apart together, and are less certain than two independent ones. Where
    people make two cells alike, nothing is gained: the factor is never below 1.

    Returns:
        (p, m) factors of the standard error, from 1 to the root of 2, by linearised rates.
    """
    factors = np.ones((len(first), len(found)))
    if len(np.unique(units.people)) == len(units.people):
        return factors
    above, below = counted(units.table, found)
    total = units.summed(below)
    value = np.nan_to_num(ratio(units.summed(above), total))
    scores = ratio(above - value[units.codes] * below, total[units.codes])
    for m, score in enumerate(np.nan_to_num(scores).T):
        by_person = people_by_cell(score, units.people, units.codes, units.n_cells)
        factors[:, m] = widening(by_person, first, second)
    return factors


def people_by_cell(
    score: Float64[np.ndarray, " u"], people: PerUnit, codes: PerUnit, n_cells: int
) -> sparse.csc_array:
    """(people, g) what each person adds to the error of each cell's figure, linearised."""
    shape = int(people.max(initial=0)) + 1, n_cells
    return sparse.csc_array((score, (people, codes)), shape=shape)  # sums what repeats


def widening(by_person: sparse.csc_array, first: Pairs, second: Pairs) -> Float64[np.ndarray, " p"]:
    """Standard error of each difference over that of independent cells, from 1 to the root of 2."""
    if not len(first):
        return np.ones(0)
    together = (by_person.T @ by_person).tocsr()
    apart = -2 * np.asarray(together[first, second]).ravel()
    alone = together.diagonal()
    share = np.nan_to_num(ratio(apart, alone[first] + alone[second]))
    return np.sqrt(1 + np.clip(share, 0, 1))


class Shares:
    """Shares that cells have of all images, of people (numbered from 0) who have several each."""

    def __init__(
        self, codes: Int64[np.ndarray, " n"], people: Int64[np.ndarray, " n"], n_cells: int
    ) -> None:
        self.g = n_cells
        pairs, here = np.unique(people * n_cells + codes, return_counts=True)
        self.by_person = np.bincount(people).astype(np.float64)
        self.cell, self.here = pairs % n_cells, here.astype(np.float64)  # (u,)
        self.all = self.by_person[pairs // n_cells]  # (u,) images of that person in any cell

    def worth(self) -> PerCell:
        """Independent images of each cell by :func:`kish`."""
        return kish(self.cell, self.here, self.g)

    def fraction(self, level: float, shown: Bool[np.ndarray, " g"]) -> PerCell:
        """(g,) independent images that leave the same uncertainty, as a fraction of the images.

        With p the share of a cell, and e = c - p m of a person with m images of which c lie in
        the cell, the variance of p is sum(e^2) / (sum m)^2 * u / (u - 1) for u people. It is
        divided by p (1 - p) / sum(m), that of independent images; so is the sum over all cells
        that are shown, and the larger quotient counts: who appears most often may be missing in a
        small group by chance. A cell with nobody or everybody inside has no variance; there each
        person counts as one image (Kish).

        Reference:
            As ``Clusters.effective``; the quotient over all cells is the first-order correction of
            Rao and Scott 1981, The analysis of categorical data from complex sample surveys,
            Journal of the American Statistical Association 76. Deviation: the degrees of freedom
            are estimated.
        """
        people, images = int((self.by_person > 0).sum()), max(1.0, self.by_person.sum())
        share = summed(self.cell, self.here, self.g) / images
        squares, fourths = (self._errors(share, power) for power in (2, 4))
        variance = squares / images**2 * people / max(1, people - 1)
        alone = share * (1 - share) / images
        held = alone > 0
        alike = np.square(self.by_person).sum() / images
        together = variance[shown].sum() / max(NOTHING, alone[shown].sum())
        effect = np.maximum(variance / np.maximum(NOTHING, alone), together)
        effect = np.maximum(1.0, np.where(held, effect, alike))
        wider = np.where(held, student(freedom(squares, fourths), level), 1.0)
        return 1 / (np.square(wider) * effect)

    def _errors(self, share: PerCell, power: int) -> PerCell:
        """Sum over people of (c - p m)^power."""
        inside = (self.here - share[self.cell] * self.all) ** power
        rest = summed(self.cell, self.all**power, self.g)
        outside = (self.by_person**power).sum() - rest
        return summed(self.cell, inside, self.g) + share**power * outside
