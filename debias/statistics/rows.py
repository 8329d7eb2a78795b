"""Arrays with one row a sample, brought into one order by the labels of pandas objects."""

from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np
import pandas as pd
from jaxtyping import Shaped

from debias.errors import DataError, PipelineError


def in_one_order(
    kind: type[PipelineError] = DataError,
    *,
    names: Shaped[np.ndarray, " n"] | None = None,
    **given: object,
) -> dict[str, Any]:
    """What was given, with the rows of all pandas objects in the order of the first of them.

    Rows whose indexes hold the same labels are joined by them. Arrays and lists have no labels: for
    them, and where every index merely counts its rows, the order of the rows decides. Lengths that
    differ are left to whoever knows what the rows are.

    Args:
        kind: Of the error.
        names: Of the rows that objects with these labels are joined to, such as ids of samples.
        given: By the name under which a message speaks of it; of a mapping, every column.

    Raises:
        PipelineError: Of ``kind``: labels agree in part, not at all, or repeat in another order.
    """
    flat: dict[str, Any] = {}
    for name, value in given.items():
        columns = value.items() if _has_columns(value) else ()
        flat |= {f"{name}[{key!r}]": column for key, column in columns} or {name: value}
    labelled = {name: one.index for name, one in flat.items() if _is_labelled(one)}
    own = None if names is None else pd.Index(names)
    if own is not None and (not _counts(own) or any(_same(i, own) for i in labelled.values())):
        labelled = {"the samples": own, **labelled}
    first = next(iter(labelled.items()), None)
    ordered = {
        name: _ordered(kind, name, one, *first) if first and _is_labelled(one) else one
        for name, one in flat.items()
    }
    return {
        name: {key: ordered[f"{name}[{key!r}]"] for key in value}
        if _has_columns(value) and value
        else ordered[name]
        for name, value in given.items()
    }


def row_labels(*given: object) -> Shaped[np.ndarray, " n"] | None:
    """(n,) labels of the first pandas object that names its rows, each once, by numbers or text."""
    found = next((one.index for one in given if isinstance(one, pd.Series | pd.DataFrame)), None)
    if found is None or _counts(found) or not found.is_unique:
        return None
    return found.to_numpy() if found.inferred_type in {"integer", "string"} else None


def _has_columns(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether it is a mapping of columns; some sparse matrices are mappings of their cells."""
    return isinstance(value, Mapping) and not hasattr(value, "shape")


def _is_labelled(value: object) -> bool:
    return isinstance(value, pd.Series | pd.DataFrame)


def _counts(index: pd.Index) -> bool:
    """Whether it is what pandas gives to rows that nobody named."""
    return bool(index.equals(pd.RangeIndex(len(index))))


def _same(own: pd.Index, other: pd.Index) -> bool:
    once = own.is_unique and other.is_unique and len(own) == len(other)
    return bool(own.equals(other) or (once and own.isin(other).all()))


def _ordered(
    kind: type[PipelineError],
    name: str,
    value: Any,  # noqa: ANN401 (a table or a column)
    first: str,
    index: pd.Index,
) -> Any:  # noqa: ANN401
    """Rows of ``value`` in the order of ``index``, which is that of ``first``."""
    own = value.index
    if own.equals(index) or (_counts(own) and _counts(index)):
        return value
    if _same(own, index):
        return value.iloc[own.get_indexer(index)]
    shared = own.isin(index)
    why = f"{shared.sum()} of {len(own)} labels in the index of {name} are in that of {first}"
    repeated = [*own[own.duplicated()], *index[index.duplicated()]]
    if repeated:
        why = f"the index of {name} or of {first} names a row more than once, first {repeated[0]}"
    elif not shared.all():
        why += f", {own[~shared][0]} is not"
    raise kind(
        f"it cannot be told which row of {name} belongs to which of {first}: {why}; give both the "
        "same index, or, if their rows are in one order, give .to_numpy() of each"
    )
