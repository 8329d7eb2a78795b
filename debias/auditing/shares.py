"""The groups of images beside the shares that they should have: who falls short, and by how much.

``n`` images, ``g`` cells: the values of each attribute, and the crossing of all attributes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64
from scipy.special import betainc

from debias.auditing.shortfall import images_missing
from debias.errors import EvaluationError, GroupSchemaError
from debias.statistics import people as persons
from debias.statistics.counts import ratio
from debias.statistics.groupings import CROSS, UNKNOWN, Grouping, group_names, groupings, value_of
from debias.statistics.intervals import bonferroni_level, clopper_pearson

NAMED = 5  # values in a message

Shares = Mapping[str, Mapping[str, float]]
Cells = Float64[np.ndarray, " g"]
Sizes = Float64[np.ndarray, "s g"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Declared(Grouping):
    """One way to divide the images into cells.

    Attributes:
        declared: (g,) share that each cell should have, in [0, 1]; NaN where nobody said.
    """

    declared: Cells


def declared_groupings(
    groups: pd.DataFrame, declared: Shares, lost: Collection[str] = ()
) -> tuple[Declared, ...]:
    """One grouping per attribute, then their crossing when there are two or more.

    Args:
        groups: One row an image, one column per attribute. Missing and blank values become the
            group ``unknown``.
        declared: Share of each value by attribute, of each cell under ``a x b``. A declared group
            that no image has stays a cell, without images.
        lost: Names such as ``race:Black`` of groups whose images may all have been set aside;
            they stay cells as well.

    Raises:
        GroupSchemaError: No attribute, or one twice; shares of something else than an attribute
            or the crossing of all; a value of the data without a declared share; more than 10,000
            crossings.
    """
    names = [str(name) for name in groups.columns]
    if not names or len(set(names)) < len(names):
        raise GroupSchemaError(f"attributes must be there and differ, got {names}")
    wanted: dict[str, float] = {}
    for key, shares in declared.items():
        named = {f"{key}:{value}": share for value, share in shares.items()}
        wanted |= named if key in names else _crossed(key, shares, names)
    text = pd.DataFrame({str(name): group_names(groups[name]) for name in groups}, dtype=object)
    parts = [*lost, *(part for cell in wanted for part in cell.split(CROSS))]
    try:
        found = groupings(text, declared={one: _values(one, text[one], parts) for one in names})
    except EvaluationError as problem:
        raise GroupSchemaError(str(problem)) from problem
    return tuple(_declared(grouping, wanted) for grouping in found)


def _crossed(key: str, shares: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """Shares of crossings, named in the order of the attributes."""
    if len(names) < 2 or sorted(key.split(CROSS)) != sorted(names):
        every = f" or their crossing {CROSS.join(names)!r}" if len(names) > 1 else ""
        raise GroupSchemaError(
            f"shares are declared of {key!r}, which is no attribute; there are "
            f"{', '.join(names)}{every}"
        )
    return {_ordered(cell, names): share for cell, share in shares.items()}


def _ordered(cell: str, names: Sequence[str]) -> str:
    parts = {part.partition(":")[0]: part for part in cell.split(CROSS)}
    if set(parts) != set(names):
        example = CROSS.join(f"{name}:value" for name in names)
        raise GroupSchemaError(
            f"a declared crossing is called {cell!r}; it must be of the form {example!r}"
        )
    return CROSS.join(parts[name] for name in names)


def _values(name: str, column: pd.Series, wanted: Sequence[str]) -> list[str]:
    """The groups that images have or should have."""
    also = {value_of(cell) for cell in wanted if cell.startswith(f"{name}:")} - {UNKNOWN}
    return sorted({*column.unique(), *also})


def _declared(grouping: Grouping, shares: Mapping[str, float]) -> Declared:
    """Refuse images of a group that a table of shares forgot."""
    wanted = np.array([shares.get(cell, np.nan) for cell in grouping.cells], dtype=np.float64)
    forgotten = np.isnan(wanted) & ~grouping.unlabelled & (grouping.sizes > 0)
    if forgotten.any() and not np.isnan(wanted).all():
        names = np.array(grouping.cells)[forgotten]
        raise GroupSchemaError(
            f"the declared shares of {grouping.attribute!r} do not name {len(names)} groups that "
            f"the data hold: {', '.join(names[:NAMED])}; declare a share for each, 0 where none "
            "is wanted"
        )
    return Declared(**vars(grouping), declared=wanted)


@dataclass(frozen=True, kw_only=True, eq=False)
class Basis:
    """Of how many images each cell is a share.

    Where the number of images without a label is withheld, a reader knows only between which
    numbers the rest lies; what is printed then follows from these two alone and tells no more.
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
    """
    count = grouping.sizes.astype(np.float64)
    basis = _basis(grouping, withheld)
    sizes = np.ones((1, len(count)))  # each a fraction of the images
    worth = count
    if people is not None:
        counted = ~grouping.unlabelled | withheld  # as many images as the basis has at most
        counted = counted[grouping.codes]
        repeating = persons.Shares(grouping.codes[counted], people[counted], len(count))
        fraction = repeating.fraction(bonferroni_level(1 - level, comparisons), ~withheld)
        sizes, worth = np.stack([sizes[0], fraction]), repeating.worth()
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
    least, most = (np.where(unlabelled, sizes.sum(), one) for one in (known - unsure, known))
    return Basis(least=least, most=most)


def _limits(count: Cells, basis: Basis, sizes: Sizes, level: float) -> tuple[Cells, Cells]:
    """Outer limits over the given sizes and over what the basis may be."""
    x, most, least = count * sizes, basis.most * sizes, basis.least * sizes
    low, _ = clopper_pearson(x, most, 1 - level)
    _, high = clopper_pearson(np.minimum(x, least), least, 1 - level)
    return np.nan_to_num(low).min(axis=0), np.nan_to_num(high, nan=1.0).max(axis=0)


def _p_value(count: Cells, basis: Basis, sizes: Sizes, declared: Cells) -> Cells:
    """Each tail at the basis that makes it larger."""
    x, most, least = count * sizes, basis.most * sizes, basis.least * sizes
    with np.errstate(invalid="ignore"):
        so_few = np.where(x < least, betainc(least - x, x + 1, 1 - declared), 1.0)
        so_many = np.where(x > 0, betainc(x, most - x + 1, declared), 1.0)
    p = np.minimum(1.0, 2 * np.minimum(so_few.max(axis=0), so_many.max(axis=0)))
    return np.where(np.isnan(declared), np.nan, p)
