"""What went into a store, what did not, and for whom: plain values for files and pages."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from debias import ingesting as ingest
from debias.ingesting.choosing import Chosen
from debias.ingesting.decoded import Listed
from debias.ingesting.rules import FacesRecipe
from debias.types import SPLITS, Rejected

EXAMPLES = 12  # of each reason
PAIRS = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class Ingested:
    """Everything an account is given of.

    Attributes:
        recipe: What was asked for.
        listed: What the data set listed.
        chosen: What became the store.
        rejected: Everything that was set aside, copies included.
    """

    recipe: FacesRecipe
    listed: Listed
    chosen: Chosen
    rejected: Sequence[Rejected]


def account(found: Ingested) -> dict[str, Any]:
    """Counts by reason, by group and by split, and the pairs that look alike."""
    summary = ingest.summarise(
        found.rejected, found.listed.table, found.recipe.attributes, found.recipe.ingest
    )
    failures = [item for item in found.rejected if item.reason not in ingest.NO_FAILURES]
    document = {
        "counts": _counts(found, len(failures)),
        "reasons": _reasons(failures),
        "notes": _notes(found.chosen.samples[ingest.NOTES]),
        "groups": _plain(summary.by_group.drop(columns=["example", "times_others"])),
        "limits": _limits(found.recipe.ingest),
        "duplicates": {"pairs": _pairs(found.chosen), "rule": ingest.NEAR_RULE},
        "splits": [_split(found, name) for name in SPLITS],
        "leaks": _leaks(found),
        "framing": _framing(found.recipe.ingest),
        "identities": _identities(found.chosen.samples),
    }
    strangers = sum(item.reason in ingest.STRANGERS for item in found.rejected)
    return document | {"concluded": _concluded(document, strangers)}


def _counts(found: Ingested, failed: int) -> dict[str, int | None]:
    samples, pairs = found.chosen.samples, found.chosen.pairs
    collection = found.listed.collection
    failed_early = sum(item.reason not in ingest.NO_FAILURES for item in collection.rejected)
    listed = len(collection.samples) + failed_early
    copies = sum(item.reason == ingest.DUPLICATE for item in found.rejected)
    kinds = pairs["kind"].value_counts()
    clustered = samples["duplicate_cluster"][samples["duplicate_cluster"] >= 0]
    return {
        "listed": listed,
        "kept": len(samples),
        "rejected": failed,
        "exact_duplicates": copies,
        "not_selected": listed - len(samples) - failed - copies,
        "near_pairs": int(kinds.get("near", 0)),
        "mirrored_pairs": int(kinds.get("mirrored", 0)),
        "clusters": int(clustered.nunique()),
        "clustered_images": len(clustered),
        "conflicts": int((pairs["conflict"] != "").sum()),
        "people": int(samples["subject_id"].nunique()) if "subject_id" in samples else None,
    }


def _reasons(failures: Sequence[Rejected]) -> list[dict[str, Any]]:
    counts = Counter(item.reason for item in failures)
    return [
        {
            "reason": reason,
            "count": count,
            "examples": [_example(x) for x in failures if x.reason == reason][:EXAMPLES],
        }
        for reason, count in counts.most_common()
    ]


def _example(item: Rejected) -> dict[str, Any]:
    return {
        "sample_id": item.sample_id,
        "path": item.path,
        "detail": item.detail,
        "format": item.format,
        "dimensions": list(item.dimensions) if item.dimensions else None,
    }


def _notes(notes: "pd.Series[str]") -> list[dict[str, Any]]:
    counts = notes[notes != ""].str.split(", ").explode().value_counts()
    return [{"note": str(note), "count": int(count)} for note, count in counts.items()]


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON knows them: numbers that are not defined become null."""
    rows = table.astype(object).to_dict("records")
    return [{str(name): _value(value) for name, value in row.items()} for row in rows]


def _value(value: Any) -> Any:  # noqa: ANN401 (a cell)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.item() if hasattr(value, "item") else value


def _limits(rules: ingest.IngestRules) -> dict[str, float]:
    return {
        "most_rejected": rules.most_rejected,
        "most_group_ratio": rules.most_group_ratio,
        "level": 0.05,
    }


def _pairs(chosen: Chosen) -> list[dict[str, Any]]:
    """Conflicting pairs first, then the least similar ones: those are the doubtful ones."""
    side = chosen.samples.set_index("sample_id")["split"]
    table = chosen.pairs.assign(agrees=chosen.pairs["conflict"] == "")
    table = table.sort_values(["agrees", "kind", "correlation", "first_id", "second_id"])
    return [
        {
            "first": row["first_id"],
            "second": row["second_id"],
            "kind": row["kind"],
            "bits": _value(row["bits"]),
            "correlation": _value(row["correlation"]),
            "conflict": row["conflict"],
            "splits": [side.get(row["first_id"], ""), side.get(row["second_id"], "")],
        }
        for row in table.head(PAIRS).to_dict("records")
    ]


def _split(found: Ingested, name: str) -> dict[str, Any]:
    samples = found.chosen.samples
    rows = samples[samples["split"] == name]
    groups = []
    for attribute in found.recipe.attributes:
        for group, count in rows[attribute].value_counts().sort_index().items():
            share = {"images": int(count), "share": int(count) / len(rows)}
            groups.append({"attribute": attribute, "group": str(group)} | share)
    return {
        "split": name,
        "images": len(rows),
        "people": int(rows["subject_id"].nunique()) if "subject_id" in rows else None,
        "share": len(rows) / len(samples),
        "by_group": groups,
    }


def _leaks(found: Ingested) -> dict[str, Any]:
    people = ["people"] if "subject_id" in found.chosen.samples else []
    looked = found.recipe.ingest.near_duplicates and not found.listed.collection.distinct
    near = ["duplicates"] if looked else []
    removed = sum(item.reason in ingest.LEAKS for item in found.chosen.rejected)
    return {"checked": [*people, *near, "content"], "removed": removed}


def _framing(rules: ingest.IngestRules) -> str:
    named = ", ".join(rules.framing.columns)
    return f"{rules.framing.name} ({named})" if named else "the largest centred square"


def _identities(samples: pd.DataFrame) -> str:
    if "subject_id" not in samples:
        return "Nobody says who is shown: one person may stand on several sides of the split."
    unknown = int(samples["subject_id"].isna().sum())
    rest = f"; {unknown:,} images name nobody" if unknown else ""
    return f"People are kept on one side of the split{rest}."


def _concluded(document: Mapping[str, Any], strangers: int) -> list[str]:
    counts = document["counts"]
    found = [_left_out(counts)]
    if strangers:
        found.append(
            f"{strangers:,} more files lie there that are no part of the data (no images, or on no "
            "list); quarantine.jsonl names them."
        )
    flagged = [row["group"] for row in document["groups"] if row["flagged"]]
    if flagged:
        found.append(f"Set aside more often than the others: {', '.join(flagged)}.")
    alike = counts["near_pairs"] + counts["mirrored_pairs"]
    if alike:
        found.append(
            f"{alike:,} pairs of files, {counts['clustered_images']:,} images in all, appear to "
            "show the same photograph; each pair stands on one side of the split."
        )
    if counts["conflicts"]:
        found.append(
            f"{counts['conflicts']:,} of the pairs carry different annotations: where both are one "
            "photograph, some of them must be wrong."
        )
    empty = [row["split"] for row in document["splits"] if not row["images"]]
    if empty:
        found.append(f"No image is left for {' and '.join(empty)}.")
    return found


def _left_out(counts: Mapping[str, Any]) -> str:
    parts = {
        "could not be used": counts["rejected"],
        "are copies of another file": counts["exact_duplicates"],
        "were not selected": counts["not_selected"],
    }
    named = [f"{count:,} {what}" for what, count in parts.items() if count]
    return f"Left out: {', '.join(named)}." if named else "Nothing was left out."
