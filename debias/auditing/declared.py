"""The groups of images beside the shares that they should have.

``n`` images, ``g`` cells: the values of each attribute, and the crossing of all attributes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float64

from debias.errors import EvaluationError, GroupSchemaError
from debias.statistics.groupings import CROSS, UNKNOWN, Grouping, group_names, groupings, value_of

NAMED = 5  # values in a message

Shares = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Declared(Grouping):
    """One way to divide the images into cells.

    Attributes:
        declared: (g,) share that each cell should have, in [0, 1]; NaN where nobody said.
    """

    declared: Float64[np.ndarray, " g"]


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
    crossed = {
        cell: share
        for key, shares in declared.items()
        if key not in names
        for cell, share in _crossed(key, shares, names).items()
    }
    shares = crossed | {
        f"{name}:{value}": share
        for name in names
        for value, share in declared.get(name, {}).items()
    }
    text = pd.DataFrame({str(name): group_names(groups[name]) for name in groups}, dtype=object)
    wanted = [*lost, *(part for cell in shares for part in cell.split(CROSS))]
    try:
        found = groupings(text, declared={one: _values(one, text[one], wanted) for one in names})
    except EvaluationError as problem:
        raise GroupSchemaError(str(problem)) from problem
    return tuple(_declared(grouping, shares) for grouping in found)


def _values(name: str, column: pd.Series, wanted: Sequence[str]) -> list[str]:
    """The groups that images have or should have."""
    also = {value_of(cell) for cell in wanted if cell.startswith(f"{name}:")} - {UNKNOWN}
    return sorted({*column.unique(), *also})


def _declared(grouping: Grouping, shares: Mapping[str, float]) -> Declared:
    """Refuse images of a group that a table of shares forgot."""
    wanted = np.array([shares.get(cell, np.nan) for cell in grouping.cells], dtype=np.float64)
    declared = ~np.isnan(wanted)
    forgotten = ~declared & ~grouping.unlabelled & (grouping.sizes > 0)
    if declared.any() and forgotten.any():
        names = [cell for cell, one in zip(grouping.cells, forgotten, strict=True) if one]
        raise GroupSchemaError(
            f"the declared shares of {grouping.attribute!r} do not name {len(names)} groups that "
            f"the data hold: {', '.join(names[:NAMED])}; declare a share for each, 0 where none "
            "is wanted"
        )
    return Declared(**vars(grouping), declared=wanted)


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
