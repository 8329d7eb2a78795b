"""The account of a store, counted again from what a purge left of its tables.

What was listed cannot be counted again, so everybody who was removed is subtracted from it. Tests
of groups belong to the ingest and are not repeated: their verdicts stay, their p-values go.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from debias.ingesting.account import counts, notes, reasons, split_of
from debias.ingesting.build import ACCOUNT, PAIRS
from debias.ingesting.quarantine import DUPLICATE, LEAKS, NO_FAILURES
from debias.pipeline.purging.holdings import SAMPLES, Store
from debias.pipeline.purging.scrubbing import without_in_json
from debias.pipeline.purging.traces import SUBJECT, Traces
from debias.statistics.groupings import CROSS, named_cell

KINDS = ("listed", "rejected", "duplicates", "leaks")

Document = dict[str, Any]
Record = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Tables:
    """What an account is made from, at one moment.

    Attributes:
        folder: Of the store.
    """

    folder: Path

    @cached_property
    def samples(self) -> pd.DataFrame:
        return pd.read_parquet(self.folder / SAMPLES)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        if not (self.folder / PAIRS).exists():
            return pd.DataFrame({"kind": [], "conflict": []}, dtype=str)
        return pd.read_parquet(self.folder / PAIRS, columns=["kind", "conflict"])

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        return Store(self.folder).set_aside


def recounted(before: Path, after: Path, traces: Traces) -> Document:
    """The account of a store without the person.

    Args:
        before: The store as it was.
        after: Its tables as they are now.
        traces: Names of the person.

    Returns:
        ``purged`` counts the images that were taken out, now and earlier.
    """
    account: Document = json.loads((before / ACCOUNT).read_text(encoding="utf-8"))
    change = _Change(account, Tables(before), Tables(after))
    purged = account.get("purged", 0) + len(change.removed)
    counted = {
        "counts": change.counts(),
        "reasons": reasons(change.after.records),
        "notes": notes(change.after.samples),
        "groups": change.groups(),
        "splits": [change.split(row) for row in account["splits"]],
        "leaks": account["leaks"] | {"removed": _leaks(change.after.records)},
        "identities": _identities(account["identities"], change.after.samples),
        "concluded": _concluded(account["concluded"], purged),
        "purged": purged,
    }
    # What was counted again goes first: a group would go with an example that names the person.
    rest = {name: value for name, value in account.items() if name not in counted}
    left: Document = without_in_json(rest, traces)[0]
    return {name: (left | counted)[name] for name in [*account, "purged"] if name in left | counted}


@dataclass(frozen=True, eq=False)
class _Change:
    """The tables before and after, and what the account says of those before."""

    account: Document
    before: Tables
    after: Tables

    @cached_property
    def removed(self) -> pd.DataFrame:
        """Images that are no longer in the store."""
        samples = self.before.samples
        return samples[~samples["sample_id"].isin(self.after.samples["sample_id"])]

    @cached_property
    def removed_records(self) -> list[Record]:
        left = {json.dumps(record, sort_keys=True) for record in self.after.records}
        every = self.before.records
        return [record for record in every if json.dumps(record, sort_keys=True) not in left]

    def counts(self) -> dict[str, int | None]:
        """In the sense of the account: ``listed`` is the sum of its four parts."""
        gone = [_kind(record["reason"]) for record in self.removed_records]
        unlisted = len(self.removed) + sum(kind is not None for kind in gone)
        listed = self.account["counts"]["listed"] - unlisted
        return counts(self.after.samples, self.after.pairs, self.after.records, listed)

    def split(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """One split of the account."""
        attributes = dict.fromkeys(group["attribute"] for group in row["by_group"])
        return split_of(self.after.samples, row["split"], list(attributes))

    def groups(self) -> list[dict[str, Any]]:
        """Groups without what was removed from them; those that nobody is left of go."""
        rows = self.account["groups"]
        minus: Counter[tuple[str, str, str]] = Counter()
        for attribute in dict.fromkeys(row["attribute"] for row in rows):
            minus.update((attribute, *x) for x in self._removed_from(attribute.split(CROSS)))
        counted = [
            row | {kind: row[kind] - minus[row["attribute"], row["group"], kind] for kind in KINDS}
            for row in rows
        ]
        left = [row for row in counted if row["listed"] > 0]
        return [_with_rates(row, left) for row in left]

    def _removed_from(self, attributes: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Group, and what a removed item counted as in it."""
        if set(attributes) <= set(self.removed):
            for values in self.removed[list(attributes)].astype(str).itertuples(index=False):
                yield named_cell(attributes, list(values)), "listed"
        for record in self.removed_records:
            groups = record.get("groups") or {}
            if set(attributes) <= set(groups):
                group = named_cell(attributes, [groups[name] for name in attributes])
                yield group, "listed"
                if kind := _kind(record["reason"]):
                    yield group, kind


def _kind(reason: str) -> str | None:
    """What an item that was set aside counts as in its groups; None for what was never a part."""
    if reason not in NO_FAILURES:
        return "rejected"
    return "duplicates" if reason == DUPLICATE else "leaks" if reason in LEAKS else None


def _leaks(records: Sequence[Record]) -> int:
    return sum(record["reason"] in LEAKS for record in records)


def _with_rates(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rates of a group; every listed item is in one group of each attribute."""
    same = [one for one in rows if one["attribute"] == row["attribute"]]
    listed, failed = (sum(one[kind] for one in same) for kind in ("listed", "rejected"))
    share = row["rejected"] / row["listed"]
    times = share / (failed / listed) if failed else None
    known = {name: value for name, value in row.items() if name != "example"}
    return known | {"share": share, "times_overall": times, "p": None, "p_adjusted": None}


def _identities(sentence: str, samples: pd.DataFrame) -> str:
    unknown = int(samples[SUBJECT].isna().sum()) if SUBJECT in samples else 0
    return re.sub(r"[\d,]+(?= images name nobody)", f"{unknown:,}", sentence)


def _concluded(sentences: Sequence[str], purged: int) -> list[str]:
    """Sentences without a number still hold."""
    told = (
        f"{purged:,} images were taken out after this store was made. The counts are those of what "
        "is left; groups were tested before, and are not tested again."
    )
    return [told, *(text for text in sentences if not re.search(r"\d", text))]
