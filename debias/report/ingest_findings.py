"""What an ingest did, in words: for the top of its page and for a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from debias.report import blocks as b
from debias.report.blocks import said, table
from debias.report.words import amount, attribute_name, group_name, is_number, number
from debias.statistics.groupings import UNKNOWN

Document = Mapping[str, Any]
LEAKS = {"people": "people", "duplicates": "duplicate clusters", "content": "identical content"}


def summary(document: Document) -> Iterator[b.Block]:
    """The outcome and its cautions, then short tables: what a terminal shows."""
    counts, found = document["counts"], flagged(document)
    yield b.Sentence(outcome(document), "verdict")
    yield b.Points(tuple(cautions(document)))
    reasons = sorted(document["reasons"], key=commonest_first)
    others = (("exact duplicate", "exact_duplicates"), ("not selected", "not_selected"))
    rows = [
        *reasons,
        *({"reason": name, "count": counts[key]} for name, key in others if counts[key]),
    ]
    if rows:
        columns = {"why": "{reason}", "images": "{count:count}"}
        yield table(rows, columns, title="images left out")
    else:
        yield b.Sentence("Every image listed is in the store.")
    if found:
        yield table(found, FLAGGED, lambda _: "withheld", title="groups rejected more often")
    elif counts["rejected"]:
        yield b.Sentence(_none_flagged(document))
    text = (
        "Duplicates: {exact_duplicates:count} exact, {near_pairs:count} near pairs, "
        "{mirrored_pairs:count} mirrored pairs; labels disagree in {conflicts:count}."
    )
    yield b.Sentence(said(text, counts))
    if document["splits"]:
        yield table(document["splits"], SPLITS, title="splits")
    yield from map(b.Sentence, leak_check(document))


def _none_flagged(document: Document) -> str:
    tested = sum(is_number(row["p"]) for row in document["groups"])
    if not tested:
        return "No group could be tested for being rejected more often."
    groups = amount(tested, "group was", "groups were")
    return f"{groups} tested for being rejected more often; none is flagged."


def commonest_first(row: Document) -> tuple[int, str]:
    """Order of reasons."""
    return -row["count"], row["reason"]


def outcome(document: Document) -> str:
    """How many of the images listed are in the store."""
    counts = document["counts"]
    listed, kept = counts["listed"], counts["kept"]
    share = f" ({_never_all(kept / listed)})" if listed else ""
    return f"{number(kept, 'count')} of {number(listed, 'count')} images are in the store{share}."


def _never_all(share: float) -> str:
    """A share in per cent that is 100 only where nothing is missing."""
    text, whole = number(share, "percent"), number(1, "percent")
    return f"more than {number(0.999, 'percent')}" if text == whole and share < 1 else text


def overall_share(document: Document) -> float | None:
    """Share of the images listed that was rejected; None when nothing was listed."""
    counts = document["counts"]
    return counts["rejected"] / counts["listed"] if counts["listed"] else None


def cautions(document: Document) -> list[str]:
    """What must not be overlooked: numbers that do not add up, limits passed, groups flagged."""
    return [*_unaccounted(document), *_over_limit(document), *map(_flagged, flagged(document))]


def _unaccounted(document: Document) -> Iterator[str]:
    counts = document["counts"]
    parts = ("kept", "rejected", "exact_duplicates", "not_selected")
    reasons = sum(row["count"] for row in document["reasons"])
    for what, total, found in (
        ("images listed", counts["listed"], sum(counts[part] for part in parts)),
        ("images rejected", counts["rejected"], reasons),
    ):
        if total != found:
            yield (
                f"The numbers do not add up: {number(total, 'count')} {what}, "
                f"{number(found, 'count')} accounted for. Do not rely on this store before that "
                "is cleared."
            )


def _over_limit(document: Document) -> Iterator[str]:
    share, most = overall_share(document), document["limits"]["most_rejected"]
    if share is not None and share > most:
        over, limit = number(100 * share), number(100 * most)
        yield f"{over}% of all images were rejected; the limit is {limit}%."


def flagged(document: Document) -> list[Document]:
    """Groups that the document flags, the most unequal first."""
    return sorted((row for row in document["groups"] if row["flagged"]), key=flagged_first)


def _flagged(row: Document) -> str:
    if not is_number(row["share"]):
        return f"Rejected more often: {full_name(row)}; its numbers are too small to be shown."
    return (
        f"Rejected more often: {full_name(row)}, {number(row['rejected'], 'count')} of "
        f"{number(row['listed'], 'count')} images, {number(row['times_overall'], 'times')} the "
        f"overall share (p, adjusted: {number(row['p_adjusted'], 'p')})."
    )


def flagged_first(row: Document) -> tuple[Any, ...]:
    """Flagged groups, then the largest share first, then what is withheld or empty."""
    share = row["share"]
    return not row["flagged"], not is_number(share), -share if is_number(share) else 0.0


def short_name(row: Document) -> str:
    """The group without its attribute."""
    named = row["group"] != UNKNOWN
    return group_name(row["attribute"], row["group"]) if named else "no group label"


def full_name(row: Document) -> str:
    """The group with its attribute, for a sentence."""
    return f"{attribute_name(row['attribute'])}: {short_name(row)}"


def _people(row: Document) -> b.Text:
    return said("{people:count|nobody says}", row)


FLAGGED: Mapping[str, b.Column] = {
    "group": full_name,
    "rejected": "{rejected:count}",
    "listed": "{listed:count}",
    "times the overall share": "{times_overall:times}",
    "p, adjusted": "{p_adjusted:p}",
}
SPLITS: Mapping[str, b.Column] = {
    "split": "{split}",
    "images": "{images:count}",
    "people": _people,
    "share": lambda row: b.Cell(said("{share:percent}", row), bar=row["share"]),
}


def leak_check(document: Document) -> list[str]:
    """What stands on one side of the split only, and what was taken out for it."""
    if not document["splits"]:
        return []
    leaks = document["leaks"]
    checked = [LEAKS.get(name, name) for name in leaks["checked"]]
    unchecked = [name for key, name in LEAKS.items() if key not in leaks["checked"]]
    found = [f"Checked, and on one side only: {', '.join(checked)}."] if checked else []
    if unchecked:
        found.append(f"Not checked, so possibly on several sides: {', '.join(unchecked)}.")
    if leaks["removed"]:
        removed = amount(leaks["removed"], "image was", "images were")
        found.append(f"{removed} left out to keep the sides apart.")
    return found
