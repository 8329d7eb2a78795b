"""What was set aside: one record an item, whether some groups are hit more than others, a limit.

``n`` listed items, ``m`` that were set aside, ``g`` groups.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64
from pydantic import Field

from debias import __version__
from debias.datasets.listing import MASKS, NAMESAKE, NO_IMAGE
from debias.errors import EmptyDatasetError, QuarantineLimitExceededError
from debias.ingesting.labels import cleaned, coded, require_column
from debias.plugins import Settings
from debias.statistics.groupings import CROSS, MOST_CELLS, UNKNOWN, held_cells
from debias.statistics.intervals import holm
from debias.storage.files import replace_file, safe_text
from debias.storage.joining import above
from debias.storage.leftovers import PARTS
from debias.types import Rejected

LEVEL = 0.05
DUPLICATE = "exact duplicate"
LEAKS = ("also in the test set", "also in the validation set")
# Files that lie there and were never part of the data: they are ignored, and counted by kind.
STRANGERS = (NO_IMAGE, "hidden", NAMESAKE, MASKS)
# Left out on purpose, or never part of the data: no sign that something is broken.
NO_FAILURES = (DUPLICATE, *LEAKS, *STRANGERS)
COUNTED = ("attribute", "group", "listed", "rejected", "duplicates", "leaks", "example")
TIE = 1e-7  # outcomes whose chances differ by less, relatively, are equally likely, as in R


class QuarantineLimits(Settings):
    """How much may be set aside before what is left no longer stands for the data."""

    most_rejected: float = Field(
        default=0.01, ge=0, le=1, description="Largest share of the items that may be set aside."
    )
    few: int = Field(
        default=10,
        ge=0,
        description="So many items may be set aside whatever their share is, but at most a tenth.",
    )
    most_group_ratio: float = Field(
        default=2.0,
        ge=1,
        description="A group may be set aside so many times as often as all others; more stops the "
        "run where chance is no explanation (adjusted p below 0.05).",
    )

    @property
    def told(self) -> "QuarantineLimits":
        """At most the usual ones: a loss is told all the same where more of it was allowed."""
        usual = QuarantineLimits()
        return QuarantineLimits(
            most_rejected=min(self.most_rejected, usual.most_rejected),
            most_group_ratio=min(self.most_group_ratio, usual.most_group_ratio),
        )


class Record(TypedDict):
    """One line of ``quarantine.jsonl``.

    ``sha256`` and ``bytes`` are null where the file could not be read, ``format`` and
    ``dimensions`` (pixels) where its header says nothing, ``subject_id`` where nobody is named;
    ``groups`` is empty for items that are not in the table.
    """

    sample_id: str
    path: str
    sha256: str | None
    bytes: int | None
    reason: str
    detail: str
    format: str | None
    dimensions: tuple[int, int] | None
    subject_id: str | None
    groups: dict[str, str]
    version: str


@dataclass(frozen=True, kw_only=True, eq=False)
class QuarantineSummary:
    """Counts of what was set aside; duplicates and leaks are no failures."""

    listed: int  # items in the table, and failed ones that never came into it
    rejected: int  # those that failed
    first: Rejected | None  # of these
    reasons: Mapping[str, int]  # of these, the most frequent first
    by_group: pd.DataFrame  # see there; and ``flagged``: it failed so often that the run stops


def write_quarantine(
    path: Path, rejected: Sequence[Rejected], listed: pd.DataFrame, attributes: Sequence[str]
) -> list[Record]:
    """One JSON object a line, by id; only the owner of the file can read it: it names people.

    Args:
        path: File to write or replace.
        rejected: Items.
        listed: Table of all listed samples, from which groups and person are looked up.
        attributes: Columns of ``listed``; a GroupSchemaError names one that is missing.

    Returns:
        The same records, in the order of ``rejected``.
    """
    records = _records(rejected, listed, attributes)
    by_id = sorted(records, key=lambda one: (one["sample_id"], one["reason"]))
    text = "".join(f"{json.dumps(record)}\n" for record in by_id)
    replace_file(path, lambda file: file.write_text(text, encoding="utf-8"), mode=0o600)
    return records


def read_quarantine(path: Path) -> list[Record]:
    """The records of :func:`write_quarantine`."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _records(
    rejected: Sequence[Rejected], listed: pd.DataFrame, attributes: Sequence[str]
) -> list[Record]:
    for attribute in attributes:
        require_column(listed, attribute, "attributes")
    row = _rows_of([item.sample_id for item in rejected], listed)
    known = listed.iloc[np.unique(row[row >= 0])]
    told = pd.DataFrame({name: cleaned(known[name]) for name in attributes}, index=known.index)
    groups = dict(zip(known["sample_id"], told.to_dict("records"), strict=True))
    who = cleaned(known["subject_id"]) if "subject_id" in known else pd.Series(UNKNOWN, known.index)
    named = (who != UNKNOWN).to_numpy()
    people = dict(zip(known["sample_id"][named], who[named], strict=True))
    return [
        {
            "sample_id": safe_text(item.sample_id),
            "path": safe_text(item.path),
            "sha256": item.sha256 or None,
            "bytes": item.size,
            "reason": safe_text(item.reason),
            "detail": safe_text(item.detail),
            "format": safe_text(item.format) or None,
            "dimensions": item.dimensions,
            "subject_id": people.get(item.sample_id),
            "groups": groups.get(item.sample_id, {}),
            "version": __version__,
        }
        for item in rejected
    ]


def summarise(
    rejected: Sequence[Rejected],
    listed: pd.DataFrame,
    attributes: Sequence[str],
    limits: QuarantineLimits | None = None,
) -> QuarantineSummary:
    """Count by group, and test whether some groups failed more often than others.

    Groups are the values of every attribute and, with two or more, the cells of their crossing (if
    no more than 10,000). Items without a value are the group "unknown", tested like any other.
    Failed items that never came into the table have no groups at all: they count overall, but in
    no group, where they would be failures without a denominator.

    Args:
        rejected: Everything that was set aside.
        listed: Table of all listed samples, those that were set aside included.
        attributes: Columns of ``listed``; a GroupSchemaError names one that is missing.
        limits: Decide which groups are flagged.
    """
    failed = [item for item in rejected if item.reason not in NO_FAILURES]
    absent = np.count_nonzero(_rows_of([item.sample_id for item in failed], listed) < 0)
    groups = by_group(rejected, listed, attributes)
    return QuarantineSummary(
        listed=len(listed) + int(absent),
        rejected=len(failed),
        first=failed[0] if failed else None,
        reasons=dict(Counter(item.reason for item in failed).most_common()),
        by_group=groups.assign(flagged=_is_hit(groups, limits or QuarantineLimits())),
    )


def require_within(
    summary: QuarantineSummary, limits: QuarantineLimits, where: Path | None = None
) -> None:
    """Stop when what was set aside may have changed what the data stand for.

    The message names the file ``where`` all records are.

    Raises:
        EmptyDatasetError: Every item failed.
        QuarantineLimitExceededError: Too many failed, or one group far more often than all.
    """
    count, listed = summary.rejected, summary.listed
    first = summary.first
    example = f"first: {first.path}: {first.detail}" if first else "nothing is listed"
    why = ", ".join(f"{number} {reason}" for reason, number in summary.reasons.items())
    listing = f"; all are listed in {where}" if where else ""
    if where and (parts := where.with_name(PARTS)).exists():
        listing += f"; the faces decoded so far are kept in {parts} for the next try"
    if count >= listed:
        raise EmptyDatasetError(f"none of {listed} items could be used ({why}); {example}{listing}")
    few = min(limits.few, max(1, listed // 10))  # ten broken files of twenty are not few
    if count > max(few, limits.most_rejected * listed):
        raise QuarantineLimitExceededError(
            f"{count} of {listed} items were set aside, {count / listed:.1%}, more than "
            f"{limits.most_rejected:.1%} ({why}): what is left may not represent the data; "
            f"{example}{listing}; repair them, or allow it with --most-rejected "
            f"{above(count / listed)} (ingest.most_rejected)"
        )
    by_group = summary.by_group
    hit = by_group[_is_hit(by_group, limits)].sort_values("p_adjusted", kind="stable")
    if hit.empty:
        return
    worst = hit.iloc[0]
    others = f" (and {len(hit) - 1} other groups)" if len(hit) > 1 else ""
    raise QuarantineLimitExceededError(
        f"{worst['rejected']} of {worst['listed']} items of {worst['group']}{others} were set "
        f"aside, {worst['share']:.1%}, {worst['times_overall']:.1f} times as many as overall and "
        f"more than {limits.most_group_ratio:g} times as many as of the others, beyond chance "
        f"(adjusted p = {worst['p_adjusted']:.2g}): what is left may not represent this group; "
        f"first: {worst['example']}{listing}; repair them, or allow it with --set "
        f"ingest.most_group_ratio={math.ceil(hit['times_others'].max())}"
    )


def _is_hit(by_group: pd.DataFrame, limits: QuarantineLimits) -> Bool[np.ndarray, " g"]:
    # Beside all items a group of half of them could never fail more than twice as often.
    often = by_group["times_others"].to_numpy(dtype=np.float64) > limits.most_group_ratio
    return often & (by_group["p_adjusted"].to_numpy(dtype=np.float64) < LEVEL)


def by_group(
    rejected: Sequence[Rejected], listed: pd.DataFrame, attributes: Sequence[str]
) -> pd.DataFrame:
    """Failures of every group, and whether chance explains that they are more or fewer.

    Returns:
        One row a group: ``attribute``, ``group``, ``listed``, ``rejected``, ``share`` (in [0, 1]),
        ``times_overall`` (share over that of the whole table; NaN when nothing failed),
        ``times_others`` (over that of all other items, one of which more is taken to have failed),
        ``p`` (:func:`fisher`), ``p_adjusted`` (Holm over all rows), ``duplicates`` and ``leaks``
        (left out on purpose), ``example`` (the first failure, empty without one).
    """
    # Of two records of one item a failure stays, and of two failures the first.
    found: dict[str, Rejected] = {}
    for item in sorted(rejected, key=lambda item: item.reason in NO_FAILURES):
        found.setdefault(item.sample_id, item)
    row, items = _rows_of(list(found), listed), list(found.values())
    reason = pd.Series([item.reason for item in items], dtype=object)
    failed = np.flatnonzero(~reason.isin(NO_FAILURES) & (row >= 0))
    counted = {
        "listed": np.arange(len(listed)),
        "rejected": row[failed],
        "duplicates": row[(reason == DUPLICATE) & (row >= 0)],
        "leaks": row[reason.isin(LEAKS) & (row >= 0)],
    }
    example = np.array([*(f"{item.path}: {item.detail}" for item in items), ""], dtype=object)
    tables = [pd.DataFrame(columns=COUNTED)]
    for attribute, codes, names in _groupings(listed, attributes):
        counts = {
            kind: np.bincount(codes[rows], minlength=len(names)) for kind, rows in counted.items()
        }
        first = np.full(len(names), -1)  # finds the last entry, the empty one
        first[codes[row[failed]][::-1]] = failed[::-1]  # what is written last stays
        group = {"attribute": attribute, "group": names, **counts, "example": example[first]}
        tables.append(pd.DataFrame(group).sort_values("group", kind="stable"))
    table = pd.concat(tables, ignore_index=True)
    hit, size = (table[name].to_numpy(dtype=np.int64) for name in ("rejected", "listed"))
    share = hit / np.maximum(1, size)  # every group has a row
    p = fisher(hit, size, len(failed), len(listed))
    return table.assign(
        share=share,
        times_overall=share / (len(failed) / len(listed)) if len(failed) else np.nan,
        # One imagined failure among the others keeps the ratio finite.
        times_others=share * (len(listed) - size + 1) / (len(failed) - hit + 1),
        p=p,
        p_adjusted=holm(p),
    )


def fisher(
    rejected: Int64[np.ndarray, " g"],
    listed: Int64[np.ndarray, " g"],
    all_rejected: int,
    all_listed: int,
) -> Float64[np.ndarray, " g"]:
    """Two-sided exact test of each group against all items outside it, in [0, 1].

    The chance, if the same number of failures fell on items at random, of a count in the group
    that is no more likely than the one seen; NaN where there is nothing to compare: no failure at
    all, or nobody outside. As in R's fisher.test, chances that agree to 1e-7 are equally likely.
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


def _rows_of(sample_ids: Sequence[str], listed: pd.DataFrame) -> Int64[np.ndarray, " m"]:
    """Row of each id in the table, -1 for one that is not there."""
    index = pd.Index(list(dict.fromkeys(sample_ids)), dtype=object)
    # The few ids are indexed rather than the many rows.
    place = index.get_indexer(pd.Index(listed["sample_id"], dtype=object))
    row = np.full(len(index), -1)
    row[place[place >= 0]] = np.flatnonzero(place >= 0)
    return row[index.get_indexer(pd.Index(list(sample_ids), dtype=object))]


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
