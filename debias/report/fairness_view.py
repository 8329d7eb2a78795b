"""Rows and sentences of a fairness document, in the order in which a reader asks for them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from debias.report.board import View
from debias.report.charts.style import GROUPS_DRAWN, PANELS_DRAWN
from debias.report.panels import UNJUDGED, Row, largest_gap_first, of
from debias.report.readings import (
    counted,
    metric_meaning,
    metric_name,
    no_difference,
    opened,
    reading_of,
    source_name,
    verdict_name,
    why_no_number,
)
from debias.report.tables import paged
from debias.report.words import TIMES, attribute_name, group_name, is_number, number
from debias.statistics.groupings import UNKNOWN

Document = Mapping[str, Any]
GAPS_FIRST = 15  # largest gaps, above the complete table
ROWS_SHOWN = 600  # of a complete table; a browser has to hold them
KINDS_SHOWN = 4  # columns of sizes


def attributes(document: Document) -> list[View]:
    """Which groups there are, who assigned them, and what they are compared with."""
    return [
        {
            "title": attribute_name(found["attribute"]),
            "source": source_name(found["source"]),
            "groups": _names(
                found, [group for group in found["groups"] if _is_group(found, group)]
            ),
            "empty": _names(found, found["empty"]),
            "alone": _alone(found, document),
            "reference": group_name(found["attribute"], found["reference"])
            if found["reference"]
            else None,
        }
        for found in document["attributes"]
    ]


def _names(found: Row, groups: Iterable[str]) -> list[str]:
    return [group_name(found["attribute"], group) for group in groups]


def _is_group(found: Row, group: str) -> bool:
    """Not images without a label, and no combination that nobody belongs to."""
    values = [part.partition(":")[2] for part in group.split(" x ")]
    return UNKNOWN not in values and group not in found["empty"]


def _alone(found: Row, document: Document) -> str:
    """The only measures in which the groups are compared; empty where it is all of them."""
    compared = [metric for metric in document["metrics"] if metric in found["metrics"]]
    return "" if compared == document["metrics"] else ", ".join(map(metric_name, compared))


def sizes(document: Document) -> View:
    """How many images and people each group has, and what they are too few for."""
    kinds: dict[str, str] = {}
    for metric in document["metrics"]:
        kinds.setdefault(counted(metric), metric)
    metrics = sorted(kinds.values(), key=lambda metric: counted(metric) != "images")[:KINDS_SHOWN]
    tables = {metric: {_cell(row): row for row in of(document, "by_group", metric)}
              for metric in metrics}  # fmt: skip
    return {
        "kinds": [counted(metric) for metric in metrics],
        "people": is_number(document["identities"]),
        "rows": sum(len(found["groups"]) for found in document["attributes"]),
        "attributes": [
            {
                "title": attribute_name(found["attribute"]),
                "pages": list(paged(_size_rows(document, found, tables))),
            }
            for found in document["attributes"]
        ],
    }


def _cell(row: Row) -> tuple[str, str]:
    return row["attribute"], row["group"]


def _size_rows(document: Document, found: Row, tables: Mapping[str, Any]) -> list[View]:
    rows = []
    for group in found["groups"]:
        cells = [
            _size(metric, table[found["attribute"], group], document)
            for metric, table in tables.items()
        ]
        rows.append({"full": group, "short": group_name(found["attribute"], group),
                     "cells": cells, "people": cells[0]["people"]})  # fmt: skip
    return rows


def _size(metric: str, row: Row, document: Document) -> View:
    return {
        "n": row["denominator"],
        "people": row["identities"],
        "why": why_no_number(metric, row, document["suppress_below"]),
        "needed": document["minimum"] if row["state"] == "too_small" else None,
    }


def gaps(document: Document) -> list[View]:
    """Every gap with the two rates, their sizes and the verdict, largest first."""
    values = {(*_cell(row), row["metric"]): row for row in document["by_group"]}
    rows = sorted(document["gaps"], key=largest_gap_first)
    return [_gap(row, values, document) for row in rows]


def _gap(row: Row, values: Mapping[tuple[str, str, str], Row], document: Document) -> View:
    ends = [
        values.get((row["attribute"], row[end], row["metric"]), {}) for end in ("group", "other")
    ]
    return {
        **row,
        "title": metric_name(row["metric"]),
        "over": attribute_name(row["attribute"]),
        "ends": [
            {
                "short": group_name(row["attribute"], row[end]),
                "value": found.get("value"),
                "n": found.get("denominator"),
            }
            for end, found in zip(("group", "other"), ends, strict=True)
        ],
        "why": no_difference(row["reason"], document["suppress_below"]),
        "said": verdict_name(row["verdict"], row["reason"], document["margin"]),
    }


def largest(found: Sequence[View]) -> list[View]:
    """The largest gap of each measure and attribute, those that were found first."""
    estimated = [row for row in found if is_number(row["difference"])]
    judged = [row for row in estimated if row["reason"] not in UNJUDGED]
    first: dict[tuple[str, str], View] = {}
    for row in judged or estimated:
        first.setdefault((row["metric"], row["attribute"]), row)
    return list(first.values())[:GAPS_FIRST]


def tally(rows: Iterable[Row], margin: object) -> list[tuple[str, int]]:
    """How many comparisons came to which verdict."""
    counts: dict[str, int] = {}
    for row in sorted(rows, key=largest_gap_first):
        said = verdict_name(row["verdict"], row["reason"], margin)
        counts[said] = counts.get(said, 0) + 1
    return list(counts.items())


def verdict(document: Document) -> View:
    """The verdict as a whole and by attribute, as the document states it."""
    margin = document["margin"]
    found = document["verdict"]
    return {
        "reading": reading_of(found, margin),
        "sentence": found["sentence"],
        "opened": opened(found, margin),
        "by_attribute": [
            {
                "title": attribute_name(row["attribute"]),
                "opened": opened(row, margin),
            }
            for row in found["by_attribute"]
        ],
    }


def titled(rows: Iterable[Row]) -> list[View]:
    """Rows of a measure over an attribute, with both names printed."""
    return [
        {**row, "title": metric_name(row["metric"]), "over": attribute_name(row["attribute"])}
        for row in rows
    ]


def ratios(document: Document) -> list[View]:
    """Ratios of the lowest to the highest group, as a rule of thumb."""
    return [
        {
            **row,
            "low_group": group_name(row["attribute"], row["group"]),
            "high_group": group_name(row["attribute"], row["other"]),
        }
        for row in titled(document["ratios"])
    ]


def by_measure(document: Document, part: str, drawn: Mapping[str, str]) -> list[View]:
    """Measures that have a picture, with the number of differences found in each."""
    return [
        {
            "metric": metric,
            "title": metric_name(metric),
            "meaning": metric_meaning(metric, document["positive"]),
            "chart": name,
            "tally": tally_text(of(document, part, metric)),
        }
        for metric, name in drawn.items()
    ]


def tally_text(rows: Sequence[Row]) -> str:
    """Say how many of the comparisons of a measure found a difference, and how many were made."""
    found = sum(row["verdict"] == "difference_found" for row in rows)
    tested = sum(is_number(row["p_value"]) for row in rows)
    untested = len(rows) - tested
    if rows and not tested:
        return f"none of {number(untested, 'count')} comparisons could be made"
    plural = "" if tested == 1 else "s"
    said = f"{number(found, 'count')} found in {number(tested, 'count')} comparison{plural}"
    return f"{said}; {number(untested, 'count')} could not be made" if untested else said


def complete(rows: Sequence[View], what: str) -> View:
    """A complete table, by attribute, as far as a browser can hold it."""
    kept: dict[str, list[View]] = {}
    for row in rows[:ROWS_SHOWN]:
        kept.setdefault(row["over"], []).append(row)
    over = len(rows) - ROWS_SHOWN
    said = (
        f"The first {number(ROWS_SHOWN, 'count')} {what} are listed; the JSON file holds "
        f"{number(over, 'count')} more."
    )
    parts = sorted(kept.items(), key=lambda part: TIMES in part[0])
    return {"parts": parts, "limit": said if over > 0 else ""}


def chart_limit(document: Document, measures: int) -> str:
    """Say what the pictures leave out, if they leave out anything."""
    groups: dict[str, set[str]] = {}
    for row in document["by_group"]:
        groups.setdefault(row["attribute"], set()).add(row["group"])
    said = []
    if any(len(found) > GROUPS_DRAWN for found in groups.values()):
        said.append(f"the {GROUPS_DRAWN} worst groups of an attribute")
    if len(groups) > PANELS_DRAWN:
        said.append(f"{PANELS_DRAWN} attributes")
    if len(document["metrics"]) > measures:
        said.append(f"{measures} measures")
    return f"The pictures show {', '.join(said)}; the tables hold the others." if said else ""
