"""What an audit found: its groups, what to collect, and the whole in a few blocks."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

from debias.report import audit_document as doc
from debias.report.blocks import Block, Column, Sentence, table, to_do
from debias.report.documents import Told
from debias.report.readings import all_withheld, is_withheld, source_name
from debias.report.words import attribute_name, full_group_name, group_name, is_number, number
from debias.statistics.groupings import UNKNOWN

WORDS: dict[str, Any] = tomllib.loads(
    files("debias.report").joinpath("audit.toml").read_text(encoding="utf-8")
)
VIEWS, READINGS, STATES = WORDS["views"], WORDS["readings"], WORDS["states"]
UNJUDGED = ("too_small", "unknown")


def opening(text: str) -> tuple[str, str]:
    """The first sentence, to be set off, and what follows it."""
    parts = re.split(r"(?<=[.!?])\s+(?=[A-Z])", text, maxsplit=1)
    return parts[0], parts[1] if len(parts) > 1 else ""


def short_name(row: doc.NamedGroup) -> str:
    """The group without its attribute."""
    if row["group"] in (UNKNOWN, f"{row['attribute']}:{UNKNOWN}"):
        return "no group label"
    return group_name(row["attribute"], row["group"])


def reading(row: doc.Group) -> str:
    """What may be said of the share of a group, in a few words."""
    undecided = "not judged" if is_number(row["declared"]) else "no share was declared"
    return str(READINGS.get(row["verdict"]) or STATES.get(row["state"], undecided))


def why_no_number(row: doc.Group) -> str:
    """What stands in the place of a number: never 0.

    Of a group with images only what rarity and weights see of it can lack: it takes images enough,
    and others to compare them with.
    """
    if row["state"] == "suppressed" or row["count"] is None:
        return "withheld"
    if row["count"] == 0:
        return "no images"
    if row["state"] == "unknown":
        return "not measured"
    return "no other images" if row["share"] == 1 else "too few images"


def seen(region: doc.ThinRegion) -> str:
    """How the images of a thin region were looked at."""
    return str(VIEWS.get(region["view"], region["view"]))


def is_declared(groups: doc.Groups | None) -> bool:
    """Whether anybody said how large some group should be."""
    return any(is_number(row["declared"]) for row in doc.every_row(groups))


def collect(document: doc.Findings) -> dict[str, list[doc.Wanted]]:
    """What was found missing by what it was compared with, most missing first."""
    parts = {
        "To look like the reference": _regions(document["reference"]),
        "To reach the declared shares": _groups(document["groups"]),
    }
    found = {name: sorted(rows, key=lambda row: -row["missing"]) for name, rows in parts.items()}
    return {name: rows for name, rows in found.items() if rows}


def _regions(reference: doc.Comparison | None) -> Iterator[doc.Wanted]:
    for row in reference["regions"] if reference else ():
        if row["found"] and row["missing"]:
            yield doc.Wanted(
                who=f"images like those of region {row['number']}", missing=row["missing"],
                low=row["missing_low"], high=row["missing_high"],
                together=row.get("missing_together"), share=row["share"],
                goal=row["reference_share"], p_adjusted=row["p_adjusted"], ids=row["typical"],
                link=f"reference-{row['number']}",
            )  # fmt: skip


def _groups(groups: doc.Groups | None) -> Iterator[doc.Wanted]:
    for row in doc.every_row(groups):
        if row["verdict"] == "below" and row["missing"]:
            yield doc.Wanted(
                who=f"images of {full_group_name(row['group'])}", missing=row["missing"],
                low=None, high=None, together=None, share=row["share"], goal=row["declared"],
                p_adjusted=row["p_adjusted"], ids=[], link="groups",
            )  # fmt: skip


def why_nothing_to_collect(document: doc.Findings) -> str:
    """The sentence that stands where there is no number of images to collect."""
    compared = document["reference"] is not None or is_declared(document["groups"])
    return str(WORDS["notes"]["nothing_short" if compared else "no_number"])


def action(found: Told) -> Iterator[Block]:
    """What to do about a finding, if anything."""
    if found["action"]:
        yield to_do(found["action"])


def summary(document: doc.Document) -> Iterator[Block]:
    """Verdicts, worst first, then what to collect, where it is thin, and the annotated groups."""
    yield Sentence(_read_as(document["data"]))
    for place, found in enumerate(document["verdicts"]):
        yield Sentence(found["sentence"], "" if place else "verdict")
        yield from action(found)
    parts = collect(document)
    yield from (table(rows, TO_COLLECT, title=title) for title, rows in parts.items())
    if not parts:
        yield Sentence(why_nothing_to_collect(document))
    regions, below = document["regions"], document["data"].get("suppress_below", 1)
    if thin := [one for one in regions["list"] if one["found"]]:
        title = f"thin regions, of {number(regions['looked_at'], 'count')} looked at"
        yield table(thin, THIN, title=title)
    if document["groups"] is not None:
        rows = sorted(doc.every_row(document["groups"]), key=lambda row: row["verdict"] != "below")
        columns = GROUPS | (DECLARED if is_declared(document["groups"]) else {})
        told = [row for row in rows if not is_withheld(row)]
        yield table(told, columns, title="annotated groups", left=(0, 5))
        if said := all_withheld(map(_called, filter(is_withheld, rows)), below):
            yield Sentence(said)


TO_COLLECT: Mapping[str, Column] = {
    "what to collect": "{who}",
    "images, each alone": "{missing:count}",
    "interval": "{low..high:count|}",
    "all together": "{together:count|-}",
    "share here": "{share:percent}",
    "aimed at": "{goal:percent}",
}
THIN: Mapping[str, Column] = {
    "region": lambda row: f"{row['number']}, {seen(row)}",
    "images": "{count:count}",
    "share": "{share:percent}",
    "interval": "{low..high:percent|}",
    "p, adjusted": "{p_adjusted:p}",
}
GROUPS: dict[str, Column] = {
    "group": lambda row: _called(row),
    "images": "{count:count}",
    "share": "{share:percent}",
    "interval": "{low..high:percent|}",
}
DECLARED: dict[str, Column] = {
    "declared": "{declared:percent|not declared}",
    "reading": reading,
    "missing": "{missing:count|}",
}


def _read_as(data: doc.Data) -> str:
    """The layout that was recognised, and the groups that are told apart."""
    read = f"{number(data['images'], 'count')} images, read as {data['name']}"
    if data["attributes"]:
        source = source_name(data.get("source", "not stated"))
        return f"{read}; groups by {', '.join(data['attributes'])} ({source})."
    known = ", ".join(data.get("known", ()))
    return f"{read}; {f'annotated columns not named: {known}' if known else 'no groups named'}."


def _called(row: doc.NamedGroup) -> str:
    if " x " in row["attribute"]:
        return short_name(row)  # the attributes of a crossing would fill the line
    return f"{attribute_name(row['attribute'])}: {short_name(row)}"
