"""How large each group is, and whether it falls short of the share it should have.

``n`` images, ``g`` cells, ``u`` units (the images of one person in one cell).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64
from scipy.special import betainc, betaincinv, ndtri, stdtrit

from debias.audit.crossings import Grouping
from debias.multiplicity import bonferroni_level

Cells = Float64[np.ndarray, " g"]
NOTHING = 1e-300
NEARLY = 1e-9  # a share such as 0.1 is no exact number; rounding must not ask for one more image


@dataclass(frozen=True, kw_only=True, eq=False)
class Basis:
    """Of how many images each cell is a share.

    Where the number of images without a label is withheld, a reader knows only between which
    numbers the rest lies; what is printed then follows from these two alone and tells no more.

    Attributes:
        least: (g,) images of which the share is one at least.
        most: (g,) at most; the same unless a number is withheld.
    """

    least: Cells
    most: Cells


def shares(
    grouping: Grouping,
    withheld: Bool[np.ndarray, " g"],
    people: Int64[np.ndarray, " n"] | None,
    *,
    level: float,
    comparisons: int,
) -> pd.DataFrame:
    """Count every cell and compare its share with the declared one.

    Shares are of the images with a label; that of the images without one is of all. The interval
    is Clopper and Pearson's, the p-value twice the smaller tail of the binomial distribution, so
    that one excludes the declared share just when the other is below ``level``. Where people
    repeat, the wider interval and the larger p-value of two: for the images, and for as many
    independent images as leave the uncertainty that shares have between people.

    ``missing`` is the least x with (count + x) / (images + x) >= declared: images of this group
    alone. NaN where no number suffices, or nothing is declared.

    Args:
        grouping: The cells.
        withheld: (g,) cells whose number is not shown.
        people: (n,) who is shown, numbered from 0; None where nobody says.
        level: Of a false alarm, in (0, 1); intervals have level 1 - level.
        comparisons: In how many groups the level is shared.

    Returns:
        One row a cell: ``group``, ``count``, ``share``, ``low``, ``high``, ``declared``,
        ``missing``, ``p`` (NaN where nothing is declared), ``worth`` and ``basis`` (how many
        independent images those of the cell, and those of which it is a share, are worth).

    Reference:
        Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of
        the binomial", Biometrika 26, 1934.
    """
    count = grouping.sizes.astype(np.float64)
    basis = _basis(grouping, withheld)
    sizes = np.ones((1, len(count)))  # each a fraction of the images
    worth = count
    if people is not None:
        counted = ~grouping.unlabelled | withheld  # as many images as the basis has at most
        of_people = _People(grouping, people, counted[grouping.codes])
        shared_level = 1 - bonferroni_level(1 - level, comparisons)
        fraction = of_people.fraction(shared_level, ~withheld)
        sizes, worth = np.stack([sizes[0], fraction]), of_people.worth()
    # Those without a label are no group of people whose share could be estimated.
    low, high = np.where(grouping.unlabelled, np.nan, _limits(count, basis, sizes, level))
    return pd.DataFrame(
        {
            "group": grouping.cells,
            "count": count,
            "share": _ratio(count, basis.most),
            "low": low,
            "high": high,
            "declared": grouping.declared,
            "missing": _missing(count, basis.least, grouping.declared),
            "p": _p_value(count, basis, sizes, grouping.declared),
            "worth": worth,
            "basis": (basis.least * sizes).min(axis=0),
        }
    )


def _basis(grouping: Grouping, withheld: Bool[np.ndarray, " g"]) -> Basis:
    sizes, unlabelled = grouping.sizes.astype(np.float64), grouping.unlabelled
    known = sizes.sum() - sizes[unlabelled & ~withheld].sum()
    unsure = sizes[withheld].sum() if (unlabelled & withheld).any() else 0.0
    everyone = np.full(len(sizes), sizes.sum())
    return Basis(
        least=np.where(unlabelled, everyone, known - unsure),
        most=np.where(unlabelled, everyone, known),
    )


def _limits(
    count: Cells, basis: Basis, sizes: Float64[np.ndarray, "s g"], level: float
) -> tuple[Cells, Cells]:
    """Outer limits over the given sizes and over what the basis may be."""
    x, most, least = count * sizes, basis.most * sizes, basis.least * sizes
    with np.errstate(invalid="ignore"):
        low = np.where(x > 0, betaincinv(x, most - x + 1, level / 2), 0.0)
        high = np.where(x < least, betaincinv(x + 1, least - x, 1 - level / 2), 1.0)
    return low.min(axis=0), high.max(axis=0)


def _p_value(
    count: Cells, basis: Basis, sizes: Float64[np.ndarray, "s g"], declared: Cells
) -> Cells:
    """Each tail at the basis that makes it larger."""
    x, most, least = count * sizes, basis.most * sizes, basis.least * sizes
    with np.errstate(invalid="ignore"):
        so_few = np.where(x < least, betainc(least - x, x + 1, 1 - declared), 1.0)
        so_many = np.where(x > 0, betainc(x, most - x + 1, declared), 1.0)
    p = np.minimum(1.0, 2 * np.minimum(so_few.max(axis=0), so_many.max(axis=0)))
    return np.where(np.isnan(declared), np.nan, p)


def _missing(count: Cells, size: Cells, declared: Cells) -> Cells:
    wanted = declared * size - count
    with np.errstate(divide="ignore", invalid="ignore"):
        more = np.ceil(wanted / (1 - declared) - NEARLY)
    more = np.where(np.isfinite(more), more, np.nan)
    return np.where(wanted <= NEARLY, 0.0, more) + np.where(np.isnan(declared), np.nan, 0.0)


class _People:
    """The images of each person in each cell."""

    def __init__(
        self,
        grouping: Grouping,
        people: Int64[np.ndarray, " n"],
        counted: Bool[np.ndarray, " n"],
    ) -> None:
        self.g = len(grouping.cells)
        people, codes = people[counted], grouping.codes[counted]
        pairs, here = np.unique(people * self.g + codes, return_counts=True)
        by_person = np.bincount(people).astype(np.float64)
        self.cell, self.here = pairs % self.g, here.astype(np.float64)  # (u,)
        self.all = by_person[pairs // self.g]  # (u,) images of that person in any cell
        self.by_person, self.people = by_person, int((by_person > 0).sum())

    def worth(self) -> Cells:
        """Independent images if those of one person in a cell are all alike; NaN without images.

        Reference:
            Kish, "Survey Sampling", 1965: (sum c)^2 / sum c^2 over the c images of each person.
        """
        return _ratio(np.square(self._summed(self.here)), self._summed(np.square(self.here)))

    def fraction(self, level: float, shown: Bool[np.ndarray, " g"]) -> Cells:
        """(g,) independent images that leave the same uncertainty, as a fraction of the images.

        With p the share of a cell, and e = c - p m of a person with m images of which c lie in
        the cell, the variance of p is sum(e^2) / (sum m)^2 * u / (u - 1) for u people. It is
        divided by p (1 - p) / sum(m), that of independent images; so is the sum over all cells
        that are shown, and the larger quotient counts: who appears most often may be missing in a
        small group by chance. Student's t has sum(e^2)^2 / sum(e^4) - 1 degrees of freedom. A
        cell with nobody or everybody inside has no variance; there each person counts as one
        image (Kish).

        Reference:
            Korn and Graubard 1998, Confidence intervals for proportions with small expected number
            of positive counts estimated from survey data, Survey Methodology 24; the quotient over
            all cells is the first-order correction of Rao and Scott 1981, The analysis of
            categorical data from complex sample surveys, Journal of the American Statistical
            Association 76. Deviation: the degrees of freedom are estimated.
        """
        images = max(1.0, self.by_person.sum())
        share = self._summed(self.here) / images
        squares, fourths = (self._errors(share, power) for power in (2, 4))
        variance = squares / images**2 * self.people / max(1, self.people - 1)
        alone = share * (1 - share) / images
        held = alone > 0
        alike = np.square(self.by_person).sum() / images
        together = variance[shown].sum() / max(NOTHING, alone[shown].sum())
        effect = np.maximum(variance / np.maximum(NOTHING, alone), together)
        effect = np.maximum(1.0, np.where(held, effect, alike))
        freedom = np.maximum(1.0, np.square(squares) / np.maximum(fourths, NOTHING) - 1)
        student = ndtri(1 - level / 2) / stdtrit(freedom, 1 - level / 2)
        return np.square(np.where(held, student, 1.0)) / effect

    def _errors(self, share: Cells, power: int) -> Cells:
        """Sum over people of (c - p m)^power."""
        inside = (self.here - share[self.cell] * self.all) ** power
        outside = (self.by_person**power).sum() - self._summed(self.all**power)
        return self._summed(inside) + share**power * outside

    def _summed(self, values: Float64[np.ndarray, " u"]) -> Cells:
        return np.bincount(self.cell, weights=values, minlength=self.g)


def _ratio(above: Cells, below: Cells) -> Cells:
    """Quotient; NaN, never 0, without a denominator."""
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
