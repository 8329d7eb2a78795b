"""Rows of the annotated groups of an audit document in its order; what is withheld stays so."""

from collections.abc import Iterator, Mapping
from typing import Any

from debias.report.board import View
from debias.report.panels import Panel, Row, panels
from debias.report.tables import paged
from debias.report.words import group_name, is_number
from debias.statistics.groupings import UNKNOWN

Document = Mapping[str, Any]
READINGS = {
    "below": "below its declared share",
    "above": "above its declared share",
    "cannot_tell": "cannot tell",
}
STATES = {
    "too_small": "too small to judge",
    "suppressed": "withheld",
    "not_estimable": "no images",
    "unknown": "no group label, in no verdict",
}
UNJUDGED = ("too_small", "unknown")


def every_row(document: Document) -> Iterator[Row]:
    """Rows of single attributes, then of crossings, worst first, each with its ``attribute``."""
    groups = document["groups"]
    if groups is None:
        return
    for attribute in groups["attributes"]:
        for row in attribute["rows"]:
            yield {**row, "attribute": attribute["attribute"]}
    for row in groups["crossings"]:
        yield {**row, "attribute": _attribute(row["group"])}


def _attribute(crossing: str) -> str:
    """``a x b`` of ``a:x x b:y``."""
    return " x ".join(part.partition(":")[0] for part in crossing.split(" x "))


def group_panels(document: Document, most: int | None, panels_drawn: int | None) -> list[Panel]:
    """Groups by attribute in the order of the document, single attributes before crossings."""
    return panels(every_row(document), lambda _: (), most, panels_drawn)


def group_tables(document: Document) -> list[View]:
    """Every group with its numbers and its reading, by attribute."""
    return [
        {
            "title": panel.title,
            "count": len(panel.rows),
            "below": sum(row["verdict"] == "below" for row in panel.rows),
            "pages": list(paged([_view(row) for row in panel.rows])),
        }
        for panel in group_panels(document, most=None, panels_drawn=None)
    ]


def _view(row: Row) -> View:
    return {
        **row,
        "short": short_name(row),
        "why": why_no_number(row),
        "why_set_aside": _why_no_loss(row),
        "reading": reading(row),
        "raised": {True: "raised", False: "not raised"}.get(row["raised"], "cannot tell"),
    }


def short_name(row: Row) -> str:
    """The group without its attribute."""
    if row["group"] in (UNKNOWN, f"{row['attribute']}:{UNKNOWN}"):
        return "no group label"
    return group_name(row["attribute"], row["group"])


def reading(row: Row) -> str:
    """What may be said of the share of a group, in a few words."""
    if row["verdict"] in READINGS:
        return READINGS[row["verdict"]]
    undecided = "not judged" if is_number(row["declared"]) else "no share was declared"
    return STATES.get(row["state"], undecided)


def why_no_number(row: Row) -> str:
    """What stands in the place of a number: never 0.

    Of a group with images only what rarity and weights see of it can lack: it takes images enough,
    and others to compare them with.
    """
    if row["state"] == "suppressed" or row["count"] is None:
        return "withheld"
    if row["count"] == 0:
        return "no images"
    return "undefined" if row["share"] == 1 or row["state"] == "unknown" else "too few images"


def _why_no_loss(row: Row) -> str:
    if row["state"] == "suppressed":
        return "withheld"
    return "too few images" if is_number(row["set_aside"]) else "not known"


def what_is_known(document: Document) -> dict[str, bool]:
    """Which columns have a number in any row; the others are left out of the tables."""
    rows = list(every_row(document))
    columns = ("declared", "auc", "weight_share", "set_aside")
    return {name: any(is_number(row[name]) for row in rows) for name in columns}
