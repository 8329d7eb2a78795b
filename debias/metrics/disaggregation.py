"""Samples -> cells: every value of every attribute, and the full crossing of all attributes.

``n`` samples, ``g`` cells, ``m`` rates.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from jaxtyping import Int64, Shaped

from debias.errors import EvaluationError
from debias.metrics.intervals import clopper_pearson
from debias.metrics.rates import RATES, confusion, ratio
from debias.ranking import UNKNOWN

CROSS = " x "
# A crossing beyond this could not be read by a person, and 40 attributes would not fit in memory.
MOST_CELLS = 10_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Grouping:
    """One way to divide the samples into cells.

    Attributes:
        attribute: ``race``, or ``race x gender`` for a crossing.
        cells: (g,) names, such as ``race:Black`` or ``race:Black x gender:Female``.
        codes: (n,) cell of each sample; a cell without samples has no code.
    """

    attribute: str
    cells: tuple[str, ...]
    codes: Int64[np.ndarray, " n"]


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


def groupings(groups: pd.DataFrame) -> list[Grouping]:
    """One grouping per attribute, then their crossing when there are two or more.

    Args:
        groups: One row a sample, one text column per attribute. Missing and blank values become
            the group ``unknown``, so that every sample is counted in every grouping.

    Raises:
        EvaluationError: A column is repeated or holds something else than text, the crossing has
            more than 10,000 cells, or two cells have the same name.
    """
    if not groups.columns.is_unique:
        raise EvaluationError(f"an attribute is listed twice: {', '.join(groups.columns)}")
    single = [_single(str(name), groups[name]) for name in groups.columns]
    found = [*single, _crossing(single)] if len(single) > 1 else single
    names = pd.Series([cell for grouping in found for cell in grouping.cells], dtype=object)
    if names.duplicated().any():
        raise EvaluationError(f"two groups are both called {names[names.duplicated()].iloc[0]!r}")
    return found


def disaggregate(
    grouping: Grouping,
    y_true: Int64[np.ndarray, " n"],
    y_pred: Int64[np.ndarray, " n"],
    level: float,
    min_denominator: int,
) -> pd.DataFrame:
    """Every rate in every cell, one row each, cells in order and rates in the registry's order.

    Args:
        grouping: The cells.
        y_true: (n,) in {0, 1}.
        y_pred: (n,) in {0, 1}.
        level: Of the Clopper-Pearson interval, in (0, 1).
        min_denominator: Below this a cell is ``too_small``; it is shown but takes no part in gaps.

    Returns:
        Columns attribute, group, metric, value, numerator, denominator, low, high, state.
    """
    n_cells = len(grouping.cells)
    table = confusion(y_true, y_pred, grouping.codes, n_cells)
    numerator = np.stack([rate.numerator(table) for rate in RATES.values()], axis=1).ravel()
    denominator = np.stack([rate.denominator(table) for rate in RATES.values()], axis=1).ravel()
    low, high = clopper_pearson(numerator, denominator, level)
    return pd.DataFrame(
        {
            "attribute": grouping.attribute,
            "group": np.repeat(np.array(grouping.cells, dtype=object), len(RATES)),
            "metric": list(RATES) * n_cells,
            "value": ratio(numerator, denominator),
            "numerator": numerator,
            "denominator": denominator,
            "low": low,
            "high": high,
            "state": _state(denominator, min_denominator),
        }
    )


def _state(
    denominator: Int64[np.ndarray, " rows"], min_denominator: int
) -> Shaped[np.ndarray, " rows"]:
    conditions = [denominator == 0, denominator < min_denominator]
    return np.select(conditions, ["not_estimable", "too_small"], "estimated").astype(object)


def _single(name: str, column: pd.Series) -> Grouping:
    codes, values = pd.factorize(_as_text(name, column), sort=True)
    cells = tuple(f"{name}:{value}" for value in values)
    return Grouping(attribute=name, cells=cells, codes=codes.astype(np.int64))


def _as_text(name: str, column: pd.Series) -> pd.Series:
    text = column.astype(object)
    kind = pd.api.types.infer_dtype(text, skipna=True)
    if kind not in ("string", "empty"):
        # 1 and "1" would silently be two groups, or NO the group "False".
        raise EvaluationError(f"attribute {name!r} holds {kind} values; groups must be text")
    known = text.notna() & (text.astype(str).str.strip() != "")
    return text.where(known, UNKNOWN)


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
    )
