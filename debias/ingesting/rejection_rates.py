"""Why items were set aside, and whether some groups are hit more often than others.

``n`` listed items, ``m`` that were set aside, ``g`` groups.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64

from debias.ingesting.columns import coded
from debias.ingesting.selection import require_column
from debias.statistics.groupings import CROSS, MOST_CELLS, UNKNOWN, held_cells
from debias.statistics.intervals import holm
from debias.types import Rejected

DUPLICATE = "exact duplicate"
LEAKS = ("also in the test set", "also in the validation set")
# Files that lie there and were never part of the data.
STRANGERS = ("not listed", "not an image file", "in no class folder", "hidden")
# Left out on purpose, or never part of the data: no sign that something is broken.
NO_FAILURES = (DUPLICATE, *LEAKS, *STRANGERS)
FAILED, COPY, LEAK, OTHER = 1, 2, 3, 4
COUNTED = ("attribute", "group", "listed", "rejected", "duplicates", "leaks", "example")
TIE = 1e-7  # outcomes whose chances differ by less, relatively, are equally likely, as in R


def by_reason(rejected: Sequence[Rejected]) -> pd.DataFrame:
    """One row a reason: ``reason``, ``count``, ``failure``; the most frequent first."""
    counts = sorted(Counter(item.reason for item in rejected).items(), key=lambda c: (-c[1], c[0]))
    return pd.DataFrame(
        {
            "reason": pd.Series([reason for reason, _ in counts], dtype=object),
            "count": np.array([count for _, count in counts], dtype=np.int64),
            "failure": np.array([reason not in NO_FAILURES for reason, _ in counts], dtype=bool),
        }
    )


def by_group(
    rejected: Sequence[Rejected], listed: pd.DataFrame, attributes: Sequence[str]
) -> pd.DataFrame:
    """Failures of every group, and whether chance explains that they are more or fewer.

    Returns:
        One row a group: ``attribute``, ``group``, ``listed``, ``rejected``, ``share`` (in [0, 1]),
        ``times_overall`` (share over that of the whole table; NaN when nothing failed),
        ``times_others`` (over that of all other items, one of which more is taken to have failed),
        ``p``
        (:func:`fisher`), ``p_adjusted`` (Holm over all rows), ``duplicates`` and ``leaks`` (left
        out on purpose), ``example`` (the first failure, empty without one).

    Raises:
        GroupSchemaError: An attribute is no column.
    """
    items = _one_an_id(rejected)
    row = rows_of([item.sample_id for item in items], listed)
    kind = np.array([_kind(item) for item in items], dtype=np.int64)
    example = np.array([*(f"{item.path}: {item.detail}" for item in items), ""], dtype=object)
    failed = np.flatnonzero((kind == FAILED) & (row >= 0))
    tables = [pd.DataFrame(columns=COUNTED)]
    for attribute, codes, names in _groupings(listed, attributes):
        counted = {
            column: np.bincount(codes[rows], minlength=len(names))
            for column, rows in [
                ("listed", slice(None)),
                ("rejected", row[failed]),
                ("duplicates", row[(kind == COPY) & (row >= 0)]),
                ("leaks", row[(kind == LEAK) & (row >= 0)]),
            ]
        }
        first = np.full(len(names), -1)  # finds the last entry, the empty one
        first[codes[row[failed]][::-1]] = failed[::-1]  # what is written last stays
        table = {"attribute": attribute, "group": names, **counted, "example": example[first]}
        tables.append(pd.DataFrame(table).sort_values("group", kind="stable"))
    return _with_rates(pd.concat(tables, ignore_index=True), len(listed), len(failed))


def rows_of(sample_ids: Sequence[str], listed: pd.DataFrame) -> Int64[np.ndarray, " m"]:
    """Row of each id in the table, -1 for one that is not there."""
    index = pd.Index(list(dict.fromkeys(sample_ids)), dtype=object)
    # The few ids are indexed rather than the many rows.
    place = index.get_indexer(pd.Index(listed["sample_id"], dtype=object))
    row = np.full(len(index), -1)
    row[place[place >= 0]] = np.flatnonzero(place >= 0)
    return row[index.get_indexer(pd.Index(list(sample_ids), dtype=object))]


def fisher(
    rejected: Int64[np.ndarray, " g"],
    listed: Int64[np.ndarray, " g"],
    all_rejected: int,
    all_listed: int,
) -> Float64[np.ndarray, " g"]:
    """Two-sided exact test of each group against all items outside it.

    The chance, if the same number of failures fell on items at random, of a count in the group
    that is no more likely than the one seen.

    Returns:
        In [0, 1]; NaN where there is nothing to compare: no failure at all, or nobody outside.

    Reference:
        Fisher's exact test as in R's fisher.test, which counts outcomes as equally likely when
        their chances agree to 1e-7.
    """
    pairs, where = np.unique(np.stack([rejected, listed]), axis=1, return_inverse=True)
    p = [_fisher(int(hit), int(size), all_rejected, all_listed) for hit, size in pairs.T]
    return np.array(p, dtype=np.float64)[where.reshape(-1)]


def _fisher(hit: int, size: int, all_hit: int, everyone: int) -> float:
    if all_hit == 0 or size == everyone:
        return float("nan")
    low, high = max(0, all_hit - (everyone - size)), min(size, all_hit)
    x = np.arange(low, high, dtype=np.float64)
    # Ratio of the chances of x + 1 and x: no factorial leaves the range of the numbers.
    outside = everyone - size - all_hit
    step = np.log((size - x) * (all_hit - x)) - np.log((x + 1) * (outside + x + 1))
    log_chance = np.concatenate([[0.0], np.cumsum(step)])
    chance = np.exp(log_chance - log_chance.max())
    rare = chance <= chance[hit - low] * (1 + TIE)
    return float(min(1.0, chance[rare].sum() / chance.sum()))


def _kind(item: Rejected) -> int:
    if item.reason == DUPLICATE:
        return COPY
    if item.reason in LEAKS:
        return LEAK
    return OTHER if item.reason in NO_FAILURES else FAILED


def _one_an_id(rejected: Sequence[Rejected]) -> list[Rejected]:
    """Of two records of one item a failure stays, and of two failures the first."""
    failures_first = sorted(rejected, key=lambda item: item.reason in NO_FAILURES)
    found: dict[str, Rejected] = {}
    for item in failures_first:
        found.setdefault(item.sample_id, item)
    return list(found.values())


def _groupings(
    listed: pd.DataFrame, attributes: Sequence[str]
) -> list[tuple[str, Int64[np.ndarray, " n"], list[str]]]:
    """Name, (n,) group of each row and names of the groups: every attribute, then all crossed."""
    found = []
    for attribute in attributes:
        require_column(listed, attribute, "attributes")
        codes, values = coded(listed[attribute], UNKNOWN)
        found.append((attribute, codes, [f"{attribute}:{value}" for value in values]))
    cells = held_cells([codes for _, codes, _ in found], len(listed))
    rows = np.unique(cells, return_index=True)[1]
    if len(attributes) > 1 and len(rows) <= MOST_CELLS:
        names = [CROSS.join(names[codes[row]] for _, codes, names in found) for row in rows]
        found.append((CROSS.join(attributes), cells, names))
    return found


def _with_rates(table: pd.DataFrame, listed: int, failed: int) -> pd.DataFrame:
    hit = table["rejected"].to_numpy(dtype=np.int64)
    size = table["listed"].to_numpy(dtype=np.int64)
    share = hit / np.maximum(1, size)  # every group has a row
    p = fisher(hit, size, failed, listed)
    return table.assign(
        share=share,
        times_overall=share / (failed / listed) if failed else np.nan,
        # One imagined failure among the others keeps the ratio finite.
        times_others=share * (listed - size + 1) / (failed - hit + 1),
        p=p,
        p_adjusted=holm(p),
    )
