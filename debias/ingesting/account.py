"""What went into a store, what did not, and for whom: plain values for files and pages.

Counted from the tables of the store: ``samples``, ``pairs`` of duplicates, and ``records`` of what
was set aside, as ``quarantine.jsonl`` holds them. A purge counts again with the same functions.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from debias.ingesting.decoded import Listed
from debias.ingesting.duplicates import RULE
from debias.ingesting.parts import NOTES
from debias.ingesting.quarantine import (
    DUPLICATE,
    LEAKS,
    LEVEL,
    NO_FAILURES,
    STRANGERS,
    QuarantineSummary,
)
from debias.ingesting.rules import FacesRecipe, IngestRules
from debias.types import SPLITS

EXAMPLES = 12  # of each reason
PAIRS = 200
Record = Mapping[str, Any]


def account(
    recipe: FacesRecipe,
    listed: Listed,
    samples: pd.DataFrame,
    pairs: pd.DataFrame,
    records: Sequence[Record],
    summary: QuarantineSummary,
) -> dict[str, Any]:
    """Counts by reason, by group and by split, and the pairs that look alike.

    ``records`` is everything that was set aside, copies included, and ``summary`` the same by
    group; ``pairs`` are duplicates by id, with the columns in which their annotation disagrees.
    """
    early = sum(item.reason not in NO_FAILURES for item in listed.collection.rejected)
    people = ["people"] if "subject_id" in samples else []
    looked = recipe.ingest.near_duplicates and not listed.collection.distinct
    near = ["duplicates"] if looked else []
    removed = sum(record["reason"] in LEAKS for record in records)
    limits = {name: getattr(recipe.ingest, name) for name in ("most_rejected", "most_group_ratio")}
    listed_count = len(listed.collection.samples) + early
    document = counted(samples, pairs, records, recipe.attributes, listed_count) | {
        "groups": _plain(summary.by_group.drop(columns=["example", "times_others"])),
        "limits": limits | {"level": LEVEL},
        "leaks": {"checked": [*people, *near, "content"], "removed": removed},
        "framing": _framing(recipe.ingest),
        "remarks": list(listed.collection.remarks),
    }
    strangers = sum(record["reason"] in STRANGERS for record in records)
    return document | {"concluded": concluded(document, strangers)}


def counted(
    samples: pd.DataFrame,
    pairs: pd.DataFrame,
    records: Sequence[Record],
    attributes: Sequence[str],
    listed: int,
) -> dict[str, Any]:
    """What the tables of a store say, of ``listed`` items."""
    return {
        "counts": counts(samples, pairs, records, listed),
        "reasons": reasons(records),
        "notes": notes(samples),
        "duplicates": {"pairs": _pairs(samples, pairs), "rule": RULE},
        "splits": [split_of(samples, name, attributes) for name in SPLITS],
        "identities": _identities(samples),
    }


def counts(
    samples: pd.DataFrame, pairs: pd.DataFrame, records: Sequence[Record], listed: int
) -> dict[str, int | None]:
    """What became of the ``listed`` items: kept, failed, copies of another, or not selected."""
    failed = sum(record["reason"] not in NO_FAILURES for record in records)
    copies = sum(record["reason"] == DUPLICATE for record in records)
    clustered = samples["duplicate_cluster"][samples["duplicate_cluster"] >= 0]
    return {
        "listed": listed,
        "kept": len(samples),
        "rejected": failed,
        "exact_duplicates": copies,
        "not_selected": listed - len(samples) - failed - copies,
        "near_pairs": int((pairs["kind"] == "near").sum()),
        "mirrored_pairs": int((pairs["kind"] == "mirrored").sum()),
        "clusters": int(clustered.nunique()),
        "clustered_images": len(clustered),
        "conflicts": int((pairs["conflict"] != "").sum()),
        "people": _people(samples),
    }


def reasons(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Failures by reason, the most frequent first, with examples."""
    failures = [record for record in records if record["reason"] not in NO_FAILURES]
    return [
        {
            "reason": reason,
            "count": count,
            "examples": [_example(one) for one in failures if one["reason"] == reason][:EXAMPLES],
        }
        for reason, count in Counter(record["reason"] for record in failures).most_common()
    ]


def notes(samples: pd.DataFrame) -> list[dict[str, Any]]:
    """What was done to the images on their way to RGB."""
    given = samples[NOTES] if NOTES in samples else pd.Series(dtype=str)
    found = given[given != ""].str.split(", ").explode().value_counts()
    return [{"note": str(note), "count": int(count)} for note, count in found.items()]


def split_of(samples: pd.DataFrame, name: str, attributes: Sequence[str]) -> dict[str, Any]:
    """One split: its size, its people and its groups."""
    rows = samples[samples["split"] == name]
    groups = [
        {"attribute": attribute, "group": str(group), "images": int(count),
         "share": int(count) / len(rows)}
        for attribute in attributes
        for group, count in rows[attribute].value_counts().sort_index().items()
    ]  # fmt: skip
    share = len(rows) / len(samples)
    size = {"split": name, "images": len(rows), "people": _people(rows), "share": share}
    return size | {"by_group": groups}


def _people(samples: pd.DataFrame) -> int | None:
    return int(samples["subject_id"].nunique()) if "subject_id" in samples else None


def _example(record: Record) -> dict[str, Any]:
    shown = {name: record.get(name) for name in ("sample_id", "path", "detail")}
    size = list(record.get("dimensions") or ())
    return shown | {"format": record.get("format") or "", "dimensions": size or None}


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON knows them: numbers that are not defined become null."""
    rows = table.astype(object).replace([np.inf, -np.inf, np.nan], None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _pairs(samples: pd.DataFrame, pairs: pd.DataFrame) -> list[dict[str, Any]]:
    """Conflicting pairs first, then the least similar ones: those are the doubtful ones."""
    side = samples.set_index("sample_id")["split"]
    table = pairs.assign(agrees=pairs["conflict"] == "")
    table = table.sort_values(["agrees", "kind", "correlation", "first_id", "second_id"])
    named = table.head(PAIRS).rename(columns={"first_id": "first", "second_id": "second"})
    return [
        row | {"splits": [side.get(row["first"], ""), side.get(row["second"], "")]}
        for row in _plain(named[["first", "second", "kind", "bits", "correlation", "conflict"]])
    ]


def _framing(rules: IngestRules) -> str:
    named = ", ".join(rules.framing.columns)
    return f"{rules.framing.name} ({named})" if named else "the largest centred square"


def _identities(samples: pd.DataFrame) -> str:
    if "subject_id" not in samples:
        return "Nobody says who is shown: one person may stand on several sides of the split."
    unknown = int(samples["subject_id"].isna().sum())
    rest = f"; {unknown:,} images name nobody" if unknown else ""
    return f"People are kept on one side of the split{rest}."


def concluded(document: Mapping[str, Any], strangers: int) -> list[str]:
    """What it comes to, in sentences; ``strangers``: files that are no part of the data."""
    counted = document["counts"]
    found = [_left_out(counted)]
    if strangers:
        found.append(
            f"{strangers:,} more files lie there that are no part of the data (no images, or on no "
            "list); quarantine.jsonl names them."
        )
    flagged = [row["group"] for row in document["groups"] if row["flagged"]]
    if flagged:
        found.append(f"Set aside more often than the others: {', '.join(flagged)}.")
    alike = counted["near_pairs"] + counted["mirrored_pairs"]
    if alike:
        found.append(
            f"{alike:,} pairs of files, {counted['clustered_images']:,} images in all, appear to "
            "show the same photograph; each pair stands on one side of the split."
        )
    if counted["conflicts"]:
        found.append(
            f"{counted['conflicts']:,} of the pairs carry different annotations: where both are "
            "one photograph, some of them must be wrong."
        )
    empty = [row["split"] for row in document["splits"] if not row["images"]]
    if empty:
        found.append(f"No image is left for {' and '.join(empty)}.")
    return found


def _left_out(counted: Mapping[str, Any]) -> str:
    parts = {
        "could not be used": counted["rejected"],
        "are copies of another file": counted["exact_duplicates"],
        "were not selected": counted["not_selected"],
    }
    named = [f"{count:,} {what}" for what, count in parts.items() if count]
    return f"Left out: {', '.join(named)}." if named else "Nothing was left out."
