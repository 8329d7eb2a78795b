"""Images -> cells: every value of every annotated attribute, and the crossing of all attributes.

``n`` images, ``g`` cells.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64

from debias.errors import GroupSchemaError
from debias.ranking import UNKNOWN
from debias.types import group_names

CROSS = " x "
MOST_CELLS = 10_000  # nobody reads more
NAMED = 5  # values in a message

Shares = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Grouping:
    """One way to divide the images into cells.

    Attributes:
        attribute: ``race``, or ``race x gender`` for a crossing.
        cells: (g,) names, such as ``race:Black`` or ``race:Black x gender:Female``; the last
            attribute varies fastest.
        codes: (n,) cell of each image; a cell without images has no code.
        declared: (g,) share that the cell should have, in [0, 1]; NaN where nobody said.
        is_crossing: Whether attributes are crossed.
    """

    attribute: str
    cells: tuple[str, ...]
    codes: Int64[np.ndarray, " n"]
    declared: Float64[np.ndarray, " g"]
    is_crossing: bool = False

    @property
    def unlabelled(self) -> Bool[np.ndarray, " g"]:
        """Cells of images without a group label, which are no group."""
        parts = [cell.split(CROSS) if self.is_crossing else [cell] for cell in self.cells]
        return np.array([any(_value(part) == UNKNOWN for part in one) for one in parts], dtype=bool)

    @property
    def sizes(self) -> Int64[np.ndarray, " g"]:
        """Images in each cell."""
        return np.bincount(self.codes, minlength=len(self.cells)).astype(np.int64)


def groupings(
    groups: pd.DataFrame, declared: Shares, lost: Collection[str] = ()
) -> tuple[Grouping, ...]:
    """One grouping per attribute, then their crossing when there are two or more.

    Args:
        groups: One row an image, one text column per attribute. Missing and blank values become
            the group ``unknown``.
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
    crossed = {
        cell: share
        for key, shares in declared.items()
        if key not in names
        for cell, share in _crossed(key, shares, names).items()
    }
    extra = [part for cell in crossed for part in cell.split(CROSS)]
    single = [
        _single(name, groups[name], declared.get(name), [*lost, *extra]) for name in map(str, names)
    ]
    return (*single, _crossing(single, crossed)) if len(single) > 1 else tuple(single)


def _single(
    name: str, column: pd.Series, shares: Mapping[str, float] | None, extra: Sequence[str]
) -> Grouping:
    codes, found = pd.factorize(group_names(column, UNKNOWN), sort=True)
    also = {_value(cell) for cell in extra if cell.startswith(f"{name}:")} - {UNKNOWN}
    values = sorted({*map(str, found), *(shares or {}), *also})
    place = pd.Index(values).get_indexer(pd.Index(found))
    cells = tuple(f"{name}:{value}" for value in values)
    by_cell = {f"{name}:{value}": share for value, share in (shares or {}).items()}
    return _declared(Grouping(
        attribute=name, cells=cells, codes=place[codes].astype(np.int64),
        declared=np.array([by_cell.get(cell, np.nan) for cell in cells], dtype=np.float64),
    ))  # fmt: skip


def _crossing(single: Sequence[Grouping], shares: Mapping[str, float]) -> Grouping:
    shape = tuple(len(grouping.cells) for grouping in single)
    if math.prod(shape) > MOST_CELLS:
        raise GroupSchemaError(
            f"{len(single)} attributes cross to {math.prod(shape):,} groups, more than "
            f"{MOST_CELLS:,}; list fewer attributes"
        )
    codes = np.ravel_multi_index(tuple(grouping.codes for grouping in single), shape)
    cells = tuple(map(CROSS.join, product(*(grouping.cells for grouping in single))))
    return _declared(Grouping(
        attribute=CROSS.join(grouping.attribute for grouping in single),
        cells=cells, codes=codes.astype(np.int64), is_crossing=True,
        declared=np.array([shares.get(cell, np.nan) for cell in cells], dtype=np.float64),
    ))  # fmt: skip


def _declared(grouping: Grouping) -> Grouping:
    """Refuse images of a group that a table of shares forgot."""
    declared = ~np.isnan(grouping.declared)
    forgotten = ~declared & ~grouping.unlabelled & (grouping.sizes > 0)
    if declared.any() and forgotten.any():
        names = [cell for cell, one in zip(grouping.cells, forgotten, strict=True) if one]
        raise GroupSchemaError(
            f"the declared shares of {grouping.attribute!r} do not name {len(names)} groups that "
            f"the data hold: {', '.join(names[:NAMED])}; declare a share for each, 0 where none "
            "is wanted"
        )
    return grouping


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


def _value(cell: str) -> str:
    return cell.partition(":")[2]
