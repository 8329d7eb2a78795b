"""Rows and sentences of an ingest document, in the order in which a reader asks for them."""

from collections.abc import Mapping, Sequence
from typing import Any

from debias.report.board import View
from debias.report.panels import Panel, Row, panels
from debias.report.readings import source_name
from debias.report.tables import paged
from debias.report.words import TIMES, attribute_name, day, group_name, is_number, number
from debias.report.words import shown as shown
from debias.statistics.groupings import UNKNOWN

Document = Mapping[str, Any]
LEAKS = {"people": "people", "duplicates": "duplicate clusters", "content": "identical content"}


def outcome(document: Document) -> str:
    """How many of the images listed are in the store."""
    counts = document["counts"]
    listed, kept = counts["listed"], counts["kept"]
    share = f" ({_never_all(kept / listed)})" if listed else ""
    return f"{number(kept, 'count')} of {number(listed, 'count')} images are in the store{share}."


def _never_all(share: float) -> str:
    """A share in per cent that is 100 only where nothing is missing."""
    text = number(share, "percent")
    whole = number(1, "percent")
    return f"more than {number(0.999, 'percent')}" if text == whole and share < 1 else text


def overall_share(document: Document) -> float | None:
    """Share of the images listed that was rejected; None when nothing was listed."""
    counts = document["counts"]
    return counts["rejected"] / counts["listed"] if counts["listed"] else None


def cautions(document: Document) -> list[str]:
    """What must not be overlooked: numbers that do not add up, limits passed, groups flagged."""
    return [*_unaccounted(document), *_over_limit(document), *map(_flagged, flagged(document))]


def _unaccounted(document: Document) -> list[str]:
    counts = document["counts"]
    parts = ("kept", "rejected", "exact_duplicates", "not_selected")
    reasons = sum(row["count"] for row in document["reasons"])
    checked = (
        ("images listed", counts["listed"], sum(counts[part] for part in parts)),
        ("images rejected", counts["rejected"], reasons),
    )
    return [
        f"The numbers do not add up: {number(total, 'count')} {what}, "
        f"{number(found, 'count')} accounted for. Do not rely on this store before that is cleared."
        for what, total, found in checked
        if total != found
    ]


def _over_limit(document: Document) -> list[str]:
    share, most = overall_share(document), document["limits"]["most_rejected"]
    if share is None or share <= most:
        return []
    return [
        f"{number(100 * share)}% of all images were rejected; the limit is {number(100 * most)}%."
    ]


def flagged(document: Document) -> list[Row]:
    """Groups that the document flags, the most unequal first."""
    rows = [row for row in document["groups"] if row["flagged"]]
    return sorted(rows, key=flagged_first)


def _flagged(row: Row) -> str:
    if not is_number(row["share"]):
        return f"Rejected more often: {full_name(row)}; its numbers are too small to be shown."
    return (
        f"Rejected more often: {full_name(row)}, {number(row['rejected'], 'count')} of "
        f"{number(row['listed'], 'count')} images, {number(row['times_overall'], 'times')} the "
        f"overall share (p, adjusted: {number(row['p_adjusted'], 'p')})."
    )


def short_name(row: Row) -> str:
    """The group without its attribute."""
    return (
        "no group label" if row["group"] == UNKNOWN else group_name(row["attribute"], row["group"])
    )


def full_name(row: Row) -> str:
    """The group with its attribute, for a sentence."""
    return f"{attribute_name(row['attribute'])}: {short_name(row)}"


def flagged_first(row: Row) -> tuple[Any, ...]:
    """Flagged groups, then the largest share first, then what is withheld or empty."""
    share = row["share"]
    return not row["flagged"], not is_number(share), -share if is_number(share) else 0.0


def group_panels(document: Document, most: int | None, panels_drawn: int | None) -> list[Panel]:
    """Groups by attribute, single attributes before crossings."""
    return panels(document["groups"], flagged_first, most, panels_drawn)


def groups(document: Document) -> list[View]:
    """Every group with what it lost, by attribute."""
    return [
        {
            "title": panel.title,
            "count": len(panel.rows),
            "flagged": sum(bool(row["flagged"]) for row in panel.rows),
            "pages": list(paged([_group(row) for row in panel.rows])),
        }
        for panel in group_panels(document, most=None, panels_drawn=None)
    ]


def _group(row: Row) -> View:
    why = "no images" if row["listed"] == 0 else "withheld"
    untested = "not tested" if is_number(row["rejected"]) else why
    return {**row, "short": short_name(row), "why": why, "untested": untested}


def tested(document: Document) -> str:
    """What was asked of the groups, and when one is flagged."""
    count = sum(is_number(row["p"]) for row in document["groups"])
    limits, share = document["limits"], overall_share(document)
    if not count:
        return "No group could be tested."
    return (
        f"Tested: whether each of {number(count, 'count')} groups lost a larger or smaller share "
        "of its images than all other images did (Fisher exact test, two-sided; p adjusted "
        "after Holm for all groups together). A group is flagged where its share is over "
        f"{number(limits['most_group_ratio'], 'times')} the share of all other images and its "
        f"adjusted p is below {number(limits['level'])}; of all images {number(share, 'reach')}% "
        "were rejected."
    )


def split_groups(document: Document) -> list[View]:
    """The groups of each attribute, with their number and share in every split."""
    cells: dict[str, dict[str, dict[str, Row]]] = {}
    for split in document["splits"]:
        for row in split["by_group"]:
            of_group = cells.setdefault(row["attribute"], {}).setdefault(short_name(row), {})
            of_group[split["split"]] = row
    names = [split["split"] for split in document["splits"]]
    ordered = sorted(cells, key=lambda attribute: " x " in attribute)
    return [
        {
            "title": attribute_name(attribute),
            "count": len(cells[attribute]),
            "pages": list(paged(_split_rows(cells[attribute], names))),
        }
        for attribute in ordered
    ]


def _split_rows(found: Mapping[str, Mapping[str, Row]], splits: Sequence[str]) -> list[View]:
    return [
        {"short": short, "cells": [_split_cell(by_split.get(split)) for split in splits]}
        for short, by_split in found.items()
    ]


def _split_cell(row: Row | None) -> View:
    if row is None:
        return {"images": None, "share": None, "why": "no images"}
    return {"images": row["images"], "share": row["share"], "why": "withheld"}


def leak_check(document: Document) -> list[str]:
    """What stands on one side of the split only, and what was taken out for it."""
    if not document["splits"]:
        return []
    leaks = document["leaks"]
    checked = [LEAKS.get(name, name) for name in leaks["checked"]]
    unchecked = [said for name, said in LEAKS.items() if name not in leaks["checked"]]
    found = [f"Checked, and on one side only: {', '.join(checked)}."] if checked else []
    if unchecked:
        found.append(f"Not checked, so possibly on several sides: {', '.join(unchecked)}.")
    if leaks["removed"]:
        plural = " was" if leaks["removed"] == 1 else "s were"
        removed = number(leaks["removed"], "count")
        found.append(f"{removed} image{plural} left out to keep the sides apart.")
    return found


def provenance(document: Document) -> list[tuple[str, str]]:
    """Where the images and their labels came from, and how the store was made."""
    source, size = document["source"], document["image_size"]
    spent = number(document["seconds"], "seconds")
    return [
        ("Data set", shown(source["name"])),
        ("Place", shown(source["place"], 400)),
        ("Groups assigned", source_name(source["source"])),
        ("Annotation", source["annotation"]),
        ("People", document["identities"]),
        ("Framing", document["framing"]),
        ("Pixels", f"{size} {TIMES} {size}"),
        ("Store", shown(document["store"], 400)),
        ("Key", shown(document["key"])),
        ("Made", day(document["created"])),
        ("Time", f"{spent}; an earlier store was used again" if document["reused"] else spent),
    ]
