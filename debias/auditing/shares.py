"""How large each group is, and whether it falls short of the share it should have.

``n`` images, ``g`` cells.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64
from scipy.special import betainc

from debias.auditing.declared import Declared
from debias.auditing.shortfall import images_missing
from debias.statistics.counts import ratio
from debias.statistics.intervals import bonferroni_level, clopper_pearson
from debias.statistics.people import Shares

Cells = Float64[np.ndarray, " g"]


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
    grouping: Declared,
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
        counted = counted[grouping.codes]
        of_people = Shares(grouping.codes[counted], people[counted], len(count))
        fraction = of_people.fraction(bonferroni_level(1 - level, comparisons), ~withheld)
        sizes, worth = np.stack([sizes[0], fraction]), of_people.worth()
    # Those without a label are no group of people whose share could be estimated.
    low, high = np.where(grouping.unlabelled, np.nan, _limits(count, basis, sizes, level))
    return pd.DataFrame(
        {
            "group": grouping.cells,
            "count": count,
            "share": ratio(count, basis.most),
            "low": low,
            "high": high,
            "declared": grouping.declared,
            "missing": images_missing(count, basis.least, grouping.declared),
            "p": _p_value(count, basis, sizes, grouping.declared),
            "worth": worth,
            "basis": (basis.least * sizes).min(axis=0),
        }
    )


def _basis(grouping: Declared, withheld: Bool[np.ndarray, " g"]) -> Basis:
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
    low, _ = clopper_pearson(x, most, 1 - level)
    _, high = clopper_pearson(np.minimum(x, least), least, 1 - level)
    return np.nan_to_num(low).min(axis=0), np.nan_to_num(high, nan=1.0).max(axis=0)


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
