"""Cells -> differences between groups, with intervals that hold together.

``g`` cells, ``m`` measures, ``p`` pairs of cells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64, Shaped

from debias.errors import EvaluationError
from debias.metrics.cells import Cells
from debias.statistics.counts import Measure
from debias.statistics.groupings import CROSS, Grouping
from debias.statistics.intervals import (
    bonferroni_level,
    difference_limits,
    difference_p_value,
    holm,
)
from debias.statistics.people import shared_people
from debias.statistics.power import detectable_gap

GAP_COLUMNS = (
    "metric", "attribute", "group", "other", "difference", "low", "high", "p_value", "p_adjusted",
    "detectable", "verdict", "reason",
)  # fmt: skip
# All pairs of more groups would be a list that nobody reads, and that hides every difference.
MOST_GROUPS, MOST_CROSSED = 200, 64
# Words that ask for a reference which the data would choose.
_CHOSEN_BY_DATA = ("best", "worst", "max", "min", "highest", "lowest", "largest", "majority")


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Which cells of a grouping are compared.

    Attributes:
        first: (p,) index of a cell.
        second: (p,) index of the cell it is compared with.
    """

    first: Int64[np.ndarray, " p"]
    second: Int64[np.ndarray, " p"]


def references(
    reference: str | Mapping[str, str] | Sequence[str] | None, found: Sequence[Grouping]
) -> dict[str, str]:
    """The declared reference group of each grouping that has one, by attribute.

    Args:
        reference: ``race:White``, several such names, or a mapping of attribute to value. The
            crossing has a reference when every attribute has one, or when it is named itself.
        found: All groupings.

    Raises:
        EvaluationError: No such group, or a reference that the data would choose.
    """
    known = {cell: grouping.attribute for grouping in found for cell in grouping.cells}
    chosen: dict[str, str] = {}
    for name in _names(reference):
        if name.rpartition(":")[2].lower() in _CHOSEN_BY_DATA and name not in known:
            raise EvaluationError(
                f"reference {name!r} would be chosen by the data and then tested on the same data; "
                "name a group"
            )
        if name not in known:
            raise EvaluationError(
                f"reference {name!r} is no group; known: {', '.join(known)[:500]}"
            )
        chosen[known[name]] = name
    single = [grouping.attribute for grouping in found if not grouping.is_crossing]
    crossing = [grouping.attribute for grouping in found if grouping.is_crossing]
    if crossing and all(name in chosen for name in single):
        chosen.setdefault(crossing[0], CROSS.join(chosen[name] for name in single))
    return chosen


def _names(reference: str | Mapping[str, str] | Sequence[str] | None) -> list[str]:
    if reference is None:
        return []
    if isinstance(reference, str):
        return [reference]
    if isinstance(reference, Mapping):
        return [f"{attribute}:{value}" for attribute, value in reference.items()]
    return list(reference)


def pairs(grouping: Grouping, reference: str | None) -> Pairs:
    """All pairs of groups, or each group against the reference.

    Images without a label are no group; a cell of the crossing that holds no image is no pair.
    Without a reference, too many groups for all pairs are not compared at all.
    """
    takes_part = ~grouping.unlabelled & ((grouping.sizes > 0) | (not grouping.is_crossing))
    members = np.flatnonzero(takes_part)
    if reference is not None:
        other = grouping.cells.index(reference)
        first = members[members != other]
        return Pairs(first=first, second=np.full(len(first), other))
    if len(members) > (MOST_CROSSED if grouping.is_crossing else MOST_GROUPS):
        members = members[:0]
    one, two = np.triu_indices(len(members), k=1)
    return Pairs(first=members[one], second=members[two])


def gap_table(
    compared: Sequence[tuple[Cells, Pairs]],
    found: Sequence[Measure],
    level: float,
    margin: float | None,
) -> tuple[pd.DataFrame, int]:
    """Every pair and measure with its difference, and the number of comparisons.

    Intervals at the Bonferroni level of everything compared, so that all of them hold
    together with ``level``; p-values by inverting the interval, adjusted by Holm.

    Args:
        compared: Cells and pairs of each grouping.
        found: The measures.
        level: Of all intervals together.
        margin: Largest difference that does not matter, in the unit of a rate; None if the user
            set none.

    Returns:
        Columns ``GAP_COLUMNS``, one row a pair and measure; how many rows carry an interval.
    """
    testable = [_testable(cells, chosen, found) for cells, chosen in compared]
    comparisons = int(sum(part.sum() for part in testable))
    adjusted = bonferroni_level(level, comparisons)
    parts = [
        _rows(cells, chosen, found, tested, adjusted)
        for (cells, chosen), tested in zip(compared, testable, strict=True)
    ]
    parts = [
        part[part["metric"].isin(compared_metrics(cells, found))]
        for part, (cells, _) in zip(parts, compared, strict=True)
    ]
    if not parts:
        return pd.DataFrame(columns=list(GAP_COLUMNS)), 0
    table = pd.concat(parts, ignore_index=True)
    table["p_adjusted"] = holm(table["p_value"].to_numpy(dtype=np.float64))
    verdict, reason = read_gaps(table, margin)
    table = table.assign(verdict=verdict, reason=reason)
    return table[list(GAP_COLUMNS)], comparisons


def compared_metrics(cells: Cells, found: Sequence[Measure]) -> list[str]:
    """The measures in which the groups of a grouping are compared."""
    names = [one.name for one in found]
    return [name for name in names if name == "accuracy"] if cells.says_the_label else names


def _testable(cells: Cells, chosen: Pairs, found: Sequence[Measure]) -> Bool[np.ndarray, "p m"]:
    compared = compared_metrics(cells, found)
    estimated = (cells.state == "estimated") & [one.name in compared for one in found]
    return estimated[chosen.first] & estimated[chosen.second]


def _rows(
    cells: Cells,
    chosen: Pairs,
    found: Sequence[Measure],
    tested: Bool[np.ndarray, "p m"],
    level: float,
) -> pd.DataFrame:
    """The pairs of one grouping, measure by measure; NaN where nothing can be tested."""
    value, size = cells.value, cells.effective(level)
    first, first_size, second, second_size = (
        np.where(tested, part[which], np.nan).T.ravel()
        for which in (chosen.first, chosen.second)
        for part in (value, size)
    )
    wider = np.ones(len(first))
    if cells.units is not None:
        wider = shared_people(cells.units, found, chosen.first, chosen.second).T.ravel()
    low, high = difference_limits(first, first_size, second, second_size, level, wider)
    names = np.array(cells.grouping.cells, dtype=object)
    state = [cells.state[which].T.ravel() for which in (chosen.first, chosen.second)]
    return pd.DataFrame(
        {
            "metric": np.repeat([one.name for one in found], len(chosen.first)),
            "attribute": cells.grouping.attribute,
            "group": np.tile(names[chosen.first], len(found)),
            "other": np.tile(names[chosen.second], len(found)),
            "difference": first - second,
            "low": low,
            "high": high,
            "p_value": difference_p_value(first, first_size, second, second_size, wider),
            "detectable": detectable_gap(second, first_size, second_size, level),
            "untested": _obstacle(state[0], state[1]),
        }
    )


def _obstacle(
    first: Shaped[np.ndarray, " rows"], second: Shaped[np.ndarray, " rows"]
) -> Shaped[np.ndarray, " rows"]:
    """Why a pair is not tested: the graver state of its two cells."""
    states = ["suppressed", "not_estimable", "too_small"]
    return np.select([(first == s) | (second == s) for s in states], states, "").astype(object)


def read_gaps(
    table: pd.DataFrame, margin: float | None
) -> tuple[Shaped[np.ndarray, " rows"], Shaped[np.ndarray, " rows"]]:
    """Verdict and reason of each comparison, on unrounded numbers."""
    low, high = table["low"].to_numpy(dtype=float), table["high"].to_numpy(dtype=float)
    untested = table["untested"].to_numpy(dtype=object)
    found = (low > 0) | (high < 0)
    inside = np.zeros(len(table), dtype=bool)
    if margin is not None:
        inside = (low > -margin) & (high < margin)
    verdict = np.select(
        [found, inside], ["difference_found", "difference_ruled_out"], "cannot_tell"
    ).astype(object)
    open_question = "no_margin" if margin is None else "insufficient_evidence"
    reason = np.select(
        [verdict != "cannot_tell", untested != ""], ["", untested], open_question
    ).astype(object)
    return verdict, reason
