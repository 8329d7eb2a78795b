"""Samples -> cells: every value of every attribute, and the crossing of all attributes.

``n`` samples, ``g`` cells.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64, Shaped
from numpy.typing import ArrayLike

from debias.errors import EvaluationError, GroupSchemaError
from debias.statistics.ranges import proposed

UNKNOWN = "unknown"  # the group of samples without a group label
CROSS = " x "
# A crossing beyond this could not be read by a person, and 40 attributes would not fit in memory.
MOST_CELLS = 10_000
MOST_VALUES = 20  # of a column that nobody declared, before it is asked what they are

Source = Literal["self-reported", "annotated", "inferred", "not stated", "drawn"]
WEAKEST_FIRST = ("inferred", "not stated", "annotated", "self-reported", "drawn")


@dataclass(frozen=True, kw_only=True, eq=False)
class Grouping:
    """One way to divide the samples into cells.

    Names of cells are such as ``race:Black`` or ``race:Black x gender:Female``; the last attribute
    varies fastest.
    """

    attribute: str  # ``race``, or ``race x gender`` for a crossing
    cells: tuple[str, ...]
    codes: Int64[np.ndarray, " n"]  # cell of each sample; a cell without samples has no code
    source: str = "not stated"  # who says so; of a crossing, the weakest source of its attributes
    is_crossing: bool = False

    @property
    def unlabelled(self) -> Bool[np.ndarray, " g"]:
        """Cells of images without a group label, which are no group."""
        parts = [cell.split(CROSS) if self.is_crossing else [cell] for cell in self.cells]
        return np.array([any(value_of(part) == UNKNOWN for part in one) for one in parts], bool)

    @property
    def sizes(self) -> Int64[np.ndarray, " g"]:
        """Samples in each cell."""
        return np.bincount(self.codes, minlength=len(self.cells)).astype(np.int64)


def is_unknown(cell: str) -> bool:
    """Whether a cell holds images without a group label."""
    return any(value_of(part) == UNKNOWN for part in cell.split(CROSS))


def value_of(cell: str) -> str:
    """``Black`` of ``race:Black``."""
    return cell.partition(":")[2]


def named_cell(attributes: Sequence[str], values: Sequence[str]) -> str:
    """``race:Black x gender:Female``."""
    return CROSS.join(map(":".join, zip(attributes, values, strict=True)))


def group_names(groups: ArrayLike, unknown: str = UNKNOWN) -> Shaped[np.ndarray, " n"]:
    """Groups of any kind as text; None, NaN and empty text become ``unknown``."""
    column = pd.Series(list(np.asarray(groups, dtype=object)), dtype=object)
    text = column.where(column.notna(), "").astype(str).str.strip()
    return text.where(text != "", unknown).to_numpy(dtype=str)


def held_cells(codes: Sequence[Int64[np.ndarray, " n"]], size: int) -> Int64[np.ndarray, " n"]:
    """(n,) cell of the crossing of some columns that each of ``size`` samples is in.

    Only cells that hold samples are numbered, in order of first appearance.
    """
    cells = np.zeros(size, dtype=np.int64)
    for one in codes:
        # Numbered anew each time: the product of many columns would leave the integers.
        cells = pd.factorize(cells * (one.max(initial=0) + 1) + one)[0].astype(np.int64)
    return cells


def join_groups(groups: pd.DataFrame, sample_ids: Shaped[np.ndarray, " n"]) -> pd.DataFrame:
    """Look up the groups of the given samples by id; ids that were not asked for are left out.

    Raises:
        EvaluationError: An id of ``groups`` is repeated, or an asked-for one is missing.
    """
    repeated = groups.index[groups.index.duplicated()]
    if len(repeated):
        raise EvaluationError(
            f"{len(repeated)} sample ids occur more than once among the groups, first {repeated[0]}"
        )
    rows = groups.index.get_indexer(pd.Index(sample_ids))
    missing = sample_ids[rows < 0]
    if len(missing):
        raise EvaluationError(
            f"{len(missing)} of {len(rows)} predicted sample ids are missing among the groups, "
            f"first {missing[0]}"
        )
    return groups.iloc[rows]


def as_groups(groups: object, sample_ids: Shaped[np.ndarray, " n"]) -> pd.DataFrame:
    """One column per attribute, in the order of the samples.

    ``groups`` is a table (one row a sample, in order), a mapping of columns, or one column; the ids
    become the index.

    Raises:
        EvaluationError: Another number of rows, or no attribute.
    """
    if isinstance(groups, pd.DataFrame):
        frame = groups
    elif isinstance(groups, pd.Series):
        frame = groups.to_frame(groups.name or "group")
    elif isinstance(groups, Mapping):
        sizes = {str(name): len(column) for name, column in groups.items()}
        if len(set(sizes.values())) > 1:
            raise EvaluationError(f"the columns of groups differ in length: {sizes}")
        # By position: columns with indexes of their own would be put into another order.
        columns = {name: pd.Series(column) for name, column in groups.items()}
        frame = pd.DataFrame({name: c.reset_index(drop=True) for name, c in columns.items()})
    else:
        listed = np.asarray(groups, dtype=object)
        if listed.ndim != 1:
            raise EvaluationError(
                f"groups must be a table, a mapping of columns or one column, got {groups!r:.80}"
            )
        frame = pd.DataFrame({"group": list(listed)})
    if len(frame) != len(sample_ids):
        raise EvaluationError(
            f"groups have {len(frame)} rows for {len(sample_ids)} predictions; they must agree"
        )
    if not len(frame.columns):
        raise EvaluationError("groups have no column; name at least one attribute")
    return frame.set_axis(pd.Index(sample_ids))


def groupings(
    groups: pd.DataFrame,
    sources: Mapping[str, str] | None = None,
    declared: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Grouping, ...]:
    """One grouping per attribute, then their crossing when there are two or more.

    Args:
        groups: One row a sample, one text column per attribute. Missing and blank values become
            the group ``unknown``, so that every sample is counted in every grouping. The
            categories of a categorical column are its declared values.
        sources: Who says so, by attribute.
        declared: Allowed values by attribute; one that no sample has stays a group, without items.

    Raises:
        EvaluationError: A column is repeated or holds something else than text, the crossing has
            more than 10,000 cells, two cells have the same name, a source of unknown kind, or an
            attribute that is no column.
        GroupSchemaError: A value that was not declared.
    """
    if not groups.columns.is_unique:
        raise EvaluationError(f"an attribute is listed twice: {', '.join(groups.columns)}")
    sources, declared = sources or {}, declared or {}
    _check_names(groups, sources, declared)
    single = [
        _single(name, groups[column], declared.get(name), sources.get(name, "not stated"))
        for column, name in zip(groups, map(str, groups), strict=True)
    ]
    found = [*single, _crossing(single)] if len(single) > 1 else single
    names = pd.Series([cell for grouping in found for cell in grouping.cells], dtype=object)
    if names.duplicated().any():
        raise EvaluationError(f"two groups are both called {names[names.duplicated()].iloc[0]!r}")
    return tuple(found)


def require_groups(grouping: Grouping) -> None:
    """Refuse an attribute whose values are names of images, or measurements, and no groups.

    Raises:
        EvaluationError: It has more than 20 values, and they differ from image to image or are all
            numbers.
    """
    values = [value_of(cell) for cell in grouping.cells if not is_unknown(cell)]
    if len(values) <= MOST_VALUES:
        return
    told = (
        f"attribute {grouping.attribute!r} has {len(values):,} values on {len(grouping.codes):,} "
        f"images ({', '.join(values[:3])}, ...): it looks like"
    )
    ranges = ""
    with suppress(ValueError):
        ranges = proposed(grouping.attribute, values)
    advice = f"give ranges of numbers, such as {ranges} in place of {grouping.attribute}"
    if 2 * len(values) > len(grouping.codes):
        raise EvaluationError(
            f"{told} an identifier. Groups hold many images each: name another column"
            f"{f', or {advice}' if ranges else ''}; who is shown belongs to subject, the image to "
            "sample"
        )
    if ranges:
        raise EvaluationError(
            f"{told} a number: {advice}, or declare the values if they are groups"
        )


def _check_names(
    groups: pd.DataFrame, sources: Mapping[str, str], declared: Mapping[str, Sequence[str]]
) -> None:
    known = [str(name) for name in groups.columns]
    for name, values in declared.items():
        if isinstance(values, str) or len(set(values)) < len(values):
            raise EvaluationError(
                f"declared values of {name!r} must be a list without repeats, got {values!r:.80}"
            )
    strange = [name for name in {**sources, **declared} if name not in known]
    if strange:
        raise EvaluationError(f"no attribute {strange[0]!r}; there are: {', '.join(known)}")
    wrong = [source for source in sources.values() if source not in get_args(Source)]
    if wrong:
        kinds = ", ".join(get_args(Source))
        raise EvaluationError(f"unknown source of groups {wrong[0]!r}; known: {kinds}")


def _single(name: str, column: pd.Series, declared: Sequence[str] | None, source: str) -> Grouping:
    if declared is None and isinstance(column.dtype, pd.CategoricalDtype):
        declared = column.cat.categories.tolist()
    text = _as_text(name, column)
    held = set(text.unique())
    values = sorted(held)
    if declared is not None:
        strange = sorted(held - set(declared) - {UNKNOWN})
        if strange:
            raise GroupSchemaError(
                f"attribute {name!r} holds {strange[0]!r}, which was not declared; declared are: "
                f"{', '.join(map(str, declared))}"
            )
        values = [*map(str, declared), *({UNKNOWN} & held - set(declared))]
    codes = pd.Index(values, dtype=object).get_indexer(pd.Index(text))
    cells = tuple(f"{name}:{value}" for value in values)
    return Grouping(attribute=name, cells=cells, codes=codes.astype(np.int64), source=source)


def _as_text(name: str, column: pd.Series) -> pd.Series:
    text = column.astype(object)
    kind = pd.api.types.infer_dtype(text, skipna=True)
    if kind not in ("string", "empty"):
        # 1 and "1" would silently be two groups, or NO the group "False".
        raise EvaluationError(
            f"attribute {name!r} holds {kind} values; groups must be text, for example "
            f"groups[{name!r}].map({{0: 'light', 1: 'dark'}})"
        )
    trimmed = text.astype(str).str.strip()  # "dark " is no group of its own
    return trimmed.where(text.notna() & (trimmed != ""), UNKNOWN).astype(object)


def _crossing(single: Sequence[Grouping]) -> Grouping:
    shape = tuple(len(grouping.cells) for grouping in single)
    if math.prod(shape) > MOST_CELLS:
        raise EvaluationError(
            f"{len(single)} attributes cross to {math.prod(shape):,} groups, "
            f"more than {MOST_CELLS:,}; list fewer attributes"
        )
    # Both the codes and the names below let the last attribute vary fastest.
    codes = np.ravel_multi_index(tuple(grouping.codes for grouping in single), shape)
    names = product(*(grouping.cells for grouping in single))
    return Grouping(
        attribute=CROSS.join(grouping.attribute for grouping in single),
        cells=tuple(CROSS.join(name) for name in names),
        codes=codes.astype(np.int64),
        source=min((grouping.source for grouping in single), key=WEAKEST_FIRST.index),
        is_crossing=True,
    )
