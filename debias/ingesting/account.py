"""What went into a store, what did not, and for whom: plain values for files and pages.

No command uses less of what it was given than it says: every file that was seen was read, was left
out or is no image and was ignored.

Counted from the tables of the store: ``samples``, ``pairs`` of duplicates, and ``records`` of what
was set aside, as ``quarantine.jsonl`` holds them. A purge counts again with the same functions.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from debias.datasets import Dataset
from debias.datasets.likely_people import people_in, people_of
from debias.datasets.listing import NO_IMAGE
from debias.ingesting.decoded import Listed, held_back
from debias.ingesting.duplicates import RULE
from debias.ingesting.parts import NOTES
from debias.ingesting.quarantine import (
    DUPLICATE,
    LEAKS,
    LEVEL,
    NO_FAILURES,
    STRANGERS,
    QuarantineSummary,
    Record,
)
from debias.ingesting.rules import FacesRecipe, IngestRules
from debias.ingesting.splitting import DRAWN_INSTEAD
from debias.storage.joining import above
from debias.types import SPLITS, Rejected

EXAMPLES = 12  # of each reason
PAIRS = 200
KINDS = 6  # of ignored files that a sentence names


class Counts(TypedDict):
    """``listed`` = ``kept`` + ``rejected`` + ``exact_duplicates`` + ``not_selected``."""

    listed: int
    kept: int
    rejected: int
    exact_duplicates: int
    not_selected: int
    near_pairs: int
    mirrored_pairs: int
    clusters: int
    clustered_images: int
    conflicts: int
    people: int | None  # nobody says who is shown


class Kind(TypedDict):
    """Files that are no images, by the end of their names."""

    kind: str
    count: int


class Seen(TypedDict):
    """``files`` = ``read`` + ``notes`` + ``held_back`` + ``left_out`` + ``ignored``.

    Members of archives and rows of arrays count as files.
    """

    files: int
    read: int
    notes: int  # beside images, read for what they say of them
    held_back: int  # of people who were purged
    left_out: int
    ignored: int
    kinds: list[Kind]  # of what was ignored, the most frequent first
    line: str  # all this in a sentence


class Example(TypedDict):
    sample_id: str
    path: str
    detail: str
    format: str
    dimensions: list[int] | None  # width and height, pixels


class Reason(TypedDict):
    reason: str
    count: int
    examples: list[Example]


class Note(TypedDict):
    note: str
    count: int


class Pair(TypedDict):
    """``bits`` and ``correlation`` are None where the content is the same."""

    first: str
    second: str
    kind: str
    bits: int | None
    correlation: float | None
    conflict: str
    splits: list[str]


class Duplicates(TypedDict):
    pairs: list[Pair]
    rule: str


class SplitGroup(TypedDict):
    attribute: str
    group: str
    images: int
    share: float  # of the split


class Split(TypedDict):
    split: str
    images: int
    people: int | None
    share: float  # of the kept images
    by_group: list[SplitGroup]


class Group(TypedDict):
    """A row of :func:`~debias.ingesting.quarantine.by_group`; None: not defined."""

    attribute: str
    group: str
    listed: int
    rejected: int
    duplicates: int
    leaks: int
    share: float
    times_overall: float | None
    p: float | None
    p_adjusted: float | None
    flagged: bool


class Limits(TypedDict):
    most_rejected: float
    most_group_ratio: float
    level: float


class LeakCheck(TypedDict):
    checked: list[str]
    removed: int


class Counted(TypedDict):
    """What the tables of a store say."""

    counts: Counts
    seen: Seen
    reasons: list[Reason]
    notes: list[Note]
    duplicates: Duplicates
    splits: list[Split]
    identities: str


class Account(Counted):
    """``account.json``; ``remarks``: what else is not used, or read otherwise than it stands."""

    groups: list[Group]
    limits: Limits
    leaks: LeakCheck
    framing: str
    remarks: list[str]
    held_back: int  # images of people who were purged
    concluded: list[str]


def account(
    recipe: FacesRecipe,
    listed: Listed,
    samples: pd.DataFrame,
    pairs: pd.DataFrame,
    records: Sequence[Record],
    summary: QuarantineSummary,
) -> Account:
    """Counts by reason, by group and by split, and the pairs that look alike.

    ``records`` is everything that was set aside, copies included, and ``summary`` the same by
    group; ``pairs`` are duplicates by id, with the columns in which their annotation disagrees.
    """
    collection, rules, told = listed.collection, recipe.ingest, recipe.ingest.told
    early = sum(item.reason not in NO_FAILURES for item in collection.rejected)
    listed_count = len(collection.samples) + early
    kinds = kinds_of(collection.rejected, collection.ignored)
    found = counted(
        samples, pairs, records, recipe.attributes, listed_count, kinds, listed.held_back,
        collection.notes,
    )  # fmt: skip
    groups: list[Group] = _plain(summary.by_group.drop(columns=["example", "times_others"]))
    people = ["people"] if "subject_id" in samples else []
    near = ["duplicates"] if rules.near_duplicates and not collection.distinct else []
    removed = sum(record["reason"] in LEAKS for record in records)
    return {
        **found,
        "groups": groups,
        "limits": {
            "most_rejected": told.most_rejected,
            "most_group_ratio": told.most_group_ratio,
            "level": LEVEL,
        },
        "leaks": {"checked": [*people, *near, "content"], "removed": removed},
        "framing": _framing(rules),
        "remarks": [
            *collection.remarks,
            *([recipe.planting.told(samples)] if recipe.planting else []),
            *questions(recipe.data, samples),
            *without_validation(samples, drawn="split" not in collection.samples),
            *without_test(samples, drawn="split" not in collection.samples),
            *more_than_usual(found["counts"], rules),
        ],
        "held_back": listed.held_back,
        "concluded": concluded(found, groups),
    }


def counted(  # noqa: PLR0913 (tables, and what they do not say)
    samples: pd.DataFrame,
    pairs: pd.DataFrame,
    records: Sequence[Record],
    attributes: Sequence[str],
    listed: int,
    kinds: list[Kind],
    purged: int,
    notes: int = 0,
) -> Counted:
    """What the tables of a store say, of ``listed`` items and ``kinds`` of files beside them.

    ``purged``: items that were held back or taken out, and are not listed any more; ``notes``:
    files that were read beside images.
    """
    found = counts(samples, pairs, records, listed)
    return {
        "counts": found,
        "seen": seen_of(listed, found["rejected"], kinds, purged, notes),
        "reasons": reasons(records),
        "notes": notes_of(samples),
        "duplicates": {"pairs": _pairs(samples, pairs), "rule": RULE},
        "splits": [split_of(samples, name, attributes) for name in SPLITS],
        "identities": _identities(samples),
    }


def counts(
    samples: pd.DataFrame, pairs: pd.DataFrame, records: Sequence[Record], listed: int
) -> Counts:
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


def kinds_of(rejected: Sequence[Rejected], ignored: Mapping[str, int]) -> list[Kind]:
    """What was ignored, the commonest kind first."""
    found = Counter(ignored)
    for item in rejected:
        if item.reason in STRANGERS:
            ending = PurePath(item.path).suffix.lower() or "without ending"
            found[ending if item.reason == NO_IMAGE else item.reason] += 1
    return [
        {"kind": kind, "count": count}
        for kind, count in sorted(found.items(), key=lambda one: (-one[1], one[0]))
        if count
    ]


def seen_of(listed: int, left_out: int, kinds: list[Kind], purged: int, notes: int) -> Seen:
    """Of ``listed`` items, the files and notes beside them, and what was ``purged``."""
    ignored = sum(kind["count"] for kind in kinds)
    files, read = listed + notes + purged + ignored, listed - left_out
    named = [f"{kind['count']:,} {kind['kind']}" for kind in kinds[:KINDS]]
    if others := sum(kind["count"] for kind in kinds[KINDS:]):
        named.append(f"{others:,} others")
    held = f" {purged:,} held back (purged)," if purged else ""
    beside = f" {notes:,} notes read beside them," if notes else ""
    which = f" ({', '.join(named)})" if named else ""
    return {
        "files": files,
        "read": read,
        "notes": notes,
        "held_back": purged,
        "left_out": left_out,
        "ignored": ignored,
        "kinds": kinds,
        "line": f"{files:,} files seen: {read:,} read,{beside}{held} {left_out:,} left out, "
        f"{ignored:,} ignored{which}.",
    }


def reasons(records: Sequence[Record]) -> list[Reason]:
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


def notes_of(samples: pd.DataFrame) -> list[Note]:
    """What was done to the images on their way to RGB."""
    given = samples[NOTES] if NOTES in samples else pd.Series(dtype=str)
    found = given[given != ""].str.split(", ").explode().value_counts()
    return [{"note": str(note), "count": int(count)} for note, count in found.items()]


def split_of(samples: pd.DataFrame, name: str, attributes: Sequence[str]) -> Split:
    """One split: its size, its people and its groups."""
    rows = samples[samples["split"] == name]
    groups: list[SplitGroup] = [
        {"attribute": attribute, "group": str(group), "images": int(count),
         "share": int(count) / len(rows)}
        for attribute in attributes
        for group, count in rows[attribute].value_counts().sort_index().items()
    ]  # fmt: skip
    return {
        "split": name,
        "images": len(rows),
        "people": _people(rows),
        "share": len(rows) / len(samples),
        "by_group": groups,
    }


def _people(samples: pd.DataFrame) -> int | None:
    return int(samples["subject_id"].nunique()) if "subject_id" in samples else None


def _example(record: Record) -> Example:
    return {
        "sample_id": record["sample_id"],
        "path": record["path"],
        "detail": record["detail"],
        "format": record["format"] or "",
        "dimensions": list(record["dimensions"] or ()) or None,
    }


def _plain(table: pd.DataFrame) -> Any:  # noqa: ANN401 (a list of the row that is asked for)
    """Rows as JSON knows them: numbers that are not defined become null."""
    rows = table.astype(object).replace([np.inf, -np.inf, np.nan], None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


def _pairs(samples: pd.DataFrame, pairs: pd.DataFrame) -> list[Pair]:
    """Conflicting pairs first, then the least similar ones: those are the doubtful ones."""
    side = samples.set_index("sample_id")["split"]
    table = pairs.assign(agrees=pairs["conflict"] == "")
    table = table.sort_values(["agrees", "kind", "correlation", "first_id", "second_id"])
    named = table.head(PAIRS).rename(columns={"first_id": "first", "second_id": "second"})
    return [
        row | {"splits": [side.get(row["first"], ""), side.get(row["second"], "")]}
        for row in _plain(named[["first", "second", "kind", "bits", "correlation", "conflict"]])
    ]


def questions(data: Dataset, samples: pd.DataFrame) -> list[str]:
    """What may say who is shown, if nothing is known to: a column, or names of files or folders.

    Nothing is asked of sets whose owners are known.
    """
    fields, root = getattr(type(data), "model_fields", {}), getattr(data, "root", "")
    if "subject_id" in samples or "annotation" not in fields:
        return []
    people, files = people_in(samples), samples
    if people is None and "path" in samples:
        files = samples[samples["offset"].isna()] if "offset" in samples else samples
        people = people_of(files["path"].str.removeprefix(f"{root}/").tolist())
        if people is not None and "folders" not in fields and data.name != "image_folder":
            people = people._replace(way="")
    return [] if people is None else [people.asked(files["split"].tolist())]


def without_validation(samples: pd.DataFrame, *, drawn: bool) -> list[str]:
    """What to do where so few people, each of so many images, left none for validation."""
    train = samples[samples["split"] == "train"]
    if (samples["split"] == "validation").any() or not drawn or len(train) < 2:
        return []
    person = train["subject_id"] if "subject_id" in train else train["sample_id"]
    most = int(person.value_counts().max())
    share = min(0.9, most / max(1, len(train) - most))
    return [
        "No image is left for validation, without which debias run refuses to train: the images "
        f"of a person are not divided. --set selection.validation_fraction={above(share)} takes "
        "one or more."
    ]


def without_test(samples: pd.DataFrame, *, drawn: bool) -> list[str]:
    """What to do where nothing is left to test on."""
    if (samples["split"] == "test").any():
        return []
    how = "raise selection.test_fraction" if drawn else DRAWN_INSTEAD
    return [f"The test set has 0 images, so nothing can be compared on it: {how}."]


def more_than_usual(counts: Counts, rules: IngestRules) -> list[str]:
    """That more was left out than its share allows, and why it passed all the same."""
    rejected, listed = counts["rejected"], counts["listed"]
    if not rejected > rules.most_rejected * listed:
        return []
    return [
        f"{rejected:,} of {listed:,} images ({rejected / listed:.1%}) were left out, more than "
        f"{rules.most_rejected:.1%}. That did not stop the ingest, as up to {rules.few} may be, if "
        "no more than a tenth: --set ingest.few=0 stops it."
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


def concluded(found: Counted, groups: Sequence[Group]) -> list[str]:
    """What it comes to, in sentences."""
    counts, purged = found["counts"], found["seen"]["held_back"]
    sentences = [found["seen"]["line"], *([held_back(purged)] * bool(purged))]
    sentences += _left_out(counts, nothing=[] if purged else ["Nothing was left out."])
    flagged = [row["group"] for row in groups if row["flagged"]]
    if flagged:
        sentences.append(f"Set aside more often than the others: {', '.join(flagged)}.")
    alike = counts["near_pairs"] + counts["mirrored_pairs"]
    if alike:
        sentences.append(
            f"{alike:,} pairs of files, {counts['clustered_images']:,} images in all, appear to "
            "show the same photograph; each pair stands on one side of the split."
        )
    if counts["conflicts"]:
        sentences.append(
            f"{counts['conflicts']:,} of the pairs carry different annotations: where both are "
            "one photograph, some of them must be wrong."
        )
    empty = [row["split"] for row in found["splits"] if not row["images"]]
    if empty:
        sentences.append(f"No image is left for {' and '.join(empty)}.")
    return sentences


def _left_out(counts: Counts, nothing: list[str]) -> list[str]:
    parts = {
        "could not be used": counts["rejected"],
        "are copies of another file": counts["exact_duplicates"],
        "were not selected": counts["not_selected"],
    }
    named = [f"{count:,} {what}" for what, count in parts.items() if count]
    return [f"Left out: {', '.join(named)}."] if named else nothing
