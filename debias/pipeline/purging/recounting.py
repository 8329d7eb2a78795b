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

from debias.pipeline.purging.holdings import SAMPLES, Store
from debias.pipeline.purging.scrubbing import without_in_json
from debias.pipeline.purging.traces import SUBJECT, Traces
from debias.statistics.groupings import CROSS, named_cell

ACCOUNT, PAIRS = "account.json", "duplicates.parquet"
# As an ingest writes them; no room imports another.
COPY = "exact duplicate"
LEAKS = ("also in the test set", "also in the validation set")
EXAMPLES = 12  # of each reason
EXAMPLE = ("sample_id", "path", "detail", "format", "dimensions")
NOTES = "decode_notes"
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
        "reasons": change.reasons(),
        "notes": _notes(change.after.samples),
        "groups": change.groups(),
        "splits": [change.split(row) for row in account["splits"]],
        "leaks": account["leaks"] | {"removed": change.leaks(change.after.records)},
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

    @cached_property
    def failures(self) -> set[str]:
        """Reasons that count as failures: those that the account lists."""
        return {row["reason"] for row in self.account["reasons"]}

    def failed(self, records: Sequence[Record]) -> int:
        return sum(record["reason"] in self.failures for record in records)

    def copies(self, records: Sequence[Record]) -> int:
        return sum(record["reason"] == COPY for record in records)

    def leaks(self, records: Sequence[Record]) -> int:
        return sum(record["reason"] in LEAKS for record in records)

    def counts(self) -> dict[str, int | None]:
        """In the sense of the account: ``listed`` is the sum of its four parts."""
        gone, samples, pairs = self.removed_records, self.after.samples, self.after.pairs
        unlisted = self.failed(gone) + self.copies(gone) + self.leaks(gone)
        listed = self.account["counts"]["listed"] - len(self.removed) - unlisted
        rejected, copies = self.failed(self.after.records), self.copies(self.after.records)
        clustered = samples["duplicate_cluster"][samples["duplicate_cluster"] >= 0]
        return {
            "listed": listed,
            "kept": len(samples),
            "rejected": rejected,
            "exact_duplicates": copies,
            "not_selected": listed - len(samples) - rejected - copies,
            "near_pairs": int((pairs["kind"] == "near").sum()),
            "mirrored_pairs": int((pairs["kind"] == "mirrored").sum()),
            "clusters": int(clustered.nunique()),
            "clustered_images": len(clustered),
            "conflicts": int((pairs["conflict"] != "").sum()),
            "people": _people(samples),
        }

    def reasons(self) -> list[dict[str, Any]]:
        left = [record for record in self.after.records if record["reason"] in self.failures]
        return [
            {
                "reason": reason,
                "count": count,
                "examples": [
                    {name: record.get(name) for name in EXAMPLE}
                    | {"format": record.get("format") or ""}
                    for record in left
                    if record["reason"] == reason
                ][:EXAMPLES],
            }
            for reason, count in Counter(record["reason"] for record in left).most_common()
        ]

    def split(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """One split of the account."""
        samples = self.after.samples
        part = samples[samples["split"] == row["split"]]
        attributes = dict.fromkeys(group["attribute"] for group in row["by_group"])
        return dict(row) | {
            "images": len(part),
            "people": _people(part),
            "share": len(part) / len(samples),
            "by_group": [group for name in attributes for group in _groups_of(part, name)],
        }

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
                yield from ((group, kind) for kind in self._kinds(record["reason"]))

    def _kinds(self, reason: str) -> Iterator[str]:
        if reason in self.failures:
            yield "rejected"
        elif reason == COPY:
            yield "duplicates"
        elif reason in LEAKS:
            yield "leaks"


def _people(samples: pd.DataFrame) -> int | None:
    return int(samples[SUBJECT].nunique()) if SUBJECT in samples else None


def _groups_of(samples: pd.DataFrame, attribute: str) -> Iterator[dict[str, Any]]:
    for group, count in samples[attribute].value_counts().sort_index().items():
        yield {
            "attribute": attribute,
            "group": str(group),
            "images": int(count),
            "share": int(count) / len(samples),
        }


def _with_rates(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rates of a group; every listed item is in one group of each attribute."""
    same = [one for one in rows if one["attribute"] == row["attribute"]]
    listed, failed = (sum(one[kind] for one in same) for kind in ("listed", "rejected"))
    share = row["rejected"] / row["listed"]
    times = share / (failed / listed) if failed else None
    known = {name: value for name, value in row.items() if name != "example"}
    return known | {"share": share, "times_overall": times, "p": None, "p_adjusted": None}


def _notes(samples: pd.DataFrame) -> list[dict[str, Any]]:
    notes = samples[NOTES] if NOTES in samples else pd.Series(dtype=str)
    counts = notes[notes != ""].str.split(", ").explode().value_counts()
    return [{"note": str(note), "count": int(count)} for note, count in counts.items()]


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
