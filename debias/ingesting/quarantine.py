"""What was set aside: one record an item, whether some groups are hit more than others, a limit.

``n`` listed items, ``g`` groups.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool
from pydantic import Field

from debias import __version__
from debias.errors import EmptyDatasetError, QuarantineLimitExceededError
from debias.ingesting.columns import cleaned
from debias.ingesting.rejection_rates import NO_FAILURES, by_group, by_reason, rows_of
from debias.ingesting.selection import require_column
from debias.plugins import Settings
from debias.statistics.groupings import UNKNOWN
from debias.storage.files import replace_file
from debias.types import Rejected

LEVEL = 0.05


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


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """One line of the list of what was set aside.

    Attributes:
        sample_id: As listed.
        path: Of the file; bytes that are no text are written as backslash escapes.
        sha256: Of the content; None where it could not be read.
        bytes: Size of the file, if known.
        format: What the content says it is; None where it says nothing.
        dimensions: Width and height in pixels as the header says.
        subject_id: Who is shown, where the listing says so.
        groups: Value by attribute; empty for items that are not in the table.
        version: Of this package.
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
    version: str = __version__


@dataclass(frozen=True, kw_only=True, eq=False)
class QuarantineSummary:
    """Counts of what was set aside.

    Attributes:
        listed: Items in the table, and failed ones that never came into it.
        rejected: Those that failed; duplicates and leaks are no failures.
        first: The first that failed.
        by_reason: See :func:`~debias.ingesting.rejection_rates.by_reason`.
        by_group: See :func:`~debias.ingesting.rejection_rates.by_group`; and ``flagged``, whether
            the group failed so much more often than all that the run stops.
    """

    listed: int
    rejected: int
    first: Rejected | None
    by_reason: pd.DataFrame
    by_group: pd.DataFrame


def write_quarantine(
    path: Path, rejected: Sequence[Rejected], listed: pd.DataFrame, attributes: Sequence[str]
) -> None:
    """One JSON object a line, by id; only the owner of the file can read it: it names people.

    Args:
        path: File to write or replace.
        rejected: Items.
        listed: Table of all listed samples, from which groups and person are looked up.
        attributes: Columns of ``listed``.

    Raises:
        GroupSchemaError: An attribute is no column.
        OSError: The file cannot be written; what was there stays.
    """
    records = sorted(
        _records(rejected, listed, attributes), key=lambda one: (one.sample_id, one.reason)
    )
    lines = [json.dumps(vars(record)) + "\n" for record in records]
    replace_file(path, lambda file: file.write_text("".join(lines), encoding="utf-8"), mode=0o600)


def read_quarantine(path: Path) -> list[dict[str, Any]]:
    """The records of :func:`write_quarantine`, one dictionary each."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def summarise(
    rejected: Sequence[Rejected],
    listed: pd.DataFrame,
    attributes: Sequence[str],
    limits: QuarantineLimits | None = None,
) -> QuarantineSummary:
    """Count by reason and by group, and test whether some groups failed more often than others.

    Groups are the values of every attribute and, with two or more, the cells of their crossing (if
    no more than 10,000). Items without a value are the group "unknown", tested like any other.
    Failed items that never came into the table have no groups at all: they count overall, but in
    no group, where they would be failures without a denominator.

    Args:
        rejected: Everything that was set aside.
        listed: Table of all listed samples, those that were set aside included.
        attributes: Columns of ``listed``.
        limits: Decide which groups are flagged.

    Raises:
        GroupSchemaError: An attribute is no column.
    """
    failed = [item for item in rejected if item.reason not in NO_FAILURES]
    absent = np.count_nonzero(rows_of([item.sample_id for item in failed], listed) < 0)
    groups = by_group(rejected, listed, attributes)
    return QuarantineSummary(
        listed=len(listed) + int(absent),
        rejected=len(failed),
        first=failed[0] if failed else None,
        by_reason=by_reason(rejected),
        by_group=groups.assign(flagged=_is_hit(groups, limits or QuarantineLimits())),
    )


def require_within(
    summary: QuarantineSummary, limits: QuarantineLimits, where: Path | None = None
) -> None:
    """Stop when what was set aside may have changed what the data stand for.

    Args:
        summary: Of the whole ingest.
        limits: The largest share, and how unequal groups may be hit.
        where: File with all records, for the message.

    Raises:
        EmptyDatasetError: Every item failed.
        QuarantineLimitExceededError: Too many failed, or one group far more often than all.
    """
    count, listed = summary.rejected, summary.listed
    first = summary.first
    example = f"first: {first.path}: {first.detail}" if first else "nothing is listed"
    listing = f"; all are listed in {where}" if where else ""
    if count >= listed:
        raise EmptyDatasetError(f"none of {listed} items could be used; {example}{listing}")
    few = min(limits.few, max(1, listed // 10))  # ten broken files of twenty are not few
    if count > max(few, limits.most_rejected * listed):
        raise QuarantineLimitExceededError(
            f"{count} of {listed} items were set aside, {count / listed:.1%}, more than "
            f"{limits.most_rejected:.1%}: what is left may not represent the data; "
            f"{example}{listing}; repair them, or raise ingest.most_rejected"
        )
    _require_equal(summary.by_group, limits, listing)


def _require_equal(by_group: pd.DataFrame, limits: QuarantineLimits, listing: str) -> None:
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
        f"first: {worst['example']}{listing}; repair them, or raise ingest.most_group_ratio"
    )


def _is_hit(by_group: pd.DataFrame, limits: QuarantineLimits) -> Bool[np.ndarray, " g"]:
    # Beside all items a group of half of them could never fail more than twice as often.
    often = by_group["times_others"].to_numpy(dtype=np.float64) > limits.most_group_ratio
    return often & (by_group["p_adjusted"].to_numpy(dtype=np.float64) < LEVEL)


def _records(
    rejected: Sequence[Rejected], listed: pd.DataFrame, attributes: Sequence[str]
) -> list[Quarantined]:
    for attribute in attributes:
        require_column(listed, attribute, "attributes")
    row = rows_of([item.sample_id for item in rejected], listed)
    known = listed.iloc[np.unique(row[row >= 0])]
    columns = {name: cleaned(known[name]) for name in attributes}
    groups = {
        name: dict(zip(columns, values, strict=True))
        for name, *values in zip(known["sample_id"], *columns.values(), strict=True)
    }
    people = {}
    if "subject_id" in known:
        people = dict(zip(known["sample_id"], cleaned(known["subject_id"]), strict=True))
    return [
        _record(item, people.get(item.sample_id, UNKNOWN), groups.get(item.sample_id, {}))
        for item in rejected
    ]


def _record(item: Rejected, subject: str, groups: dict[str, str]) -> Quarantined:
    return Quarantined(
        sample_id=_writable(item.sample_id),
        path=_writable(item.path),
        sha256=item.sha256 or None,
        bytes=item.size,
        reason=_writable(item.reason),
        detail=_writable(item.detail),
        format=_writable(item.format) or None,
        dimensions=item.dimensions,
        subject_id=None if subject == UNKNOWN else subject,
        groups=groups,
    )


def _writable(text: str) -> str:
    # Half of a surrogate pair is no character: JSON could escape it, few readers would take it.
    return text.encode(errors="backslashreplace").decode()
