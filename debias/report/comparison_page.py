"""Rows and sentences of a comparison, harmed groups first."""

from collections.abc import Iterable, Mapping
from typing import Any

from debias.report.board import View
from debias.report.panels import UNJUDGED, Row, harm_first
from debias.report.readings import metric_name, no_difference, remark, verdict_name, why_no_number
from debias.report.words import (
    attribute_name,
    full_group_name,
    group_name,
    is_number,
    number,
    words,
)

Document = Mapping[str, Any]
CHANGES_FIRST = 10
QUALITIES = {
    "auroc": "area under the ROC curve",
    "expected_calibration_error": "expected calibration error",
    "calibration_bias": "calibration bias: share of positives minus mean score",
}


def changes(document: Document) -> list[View]:
    """Every rate before and after, harmed groups first."""
    below = document["suppress_below"]
    return [
        {
            **row,
            "title": metric_name(row["metric"]),
            "over": attribute_name(row["attribute"]),
            "short": group_name(row["attribute"], row["group"]),
            "why": why_no_number(row["metric"], row, below),
            "remark": remark(row),
            "said": _said(row, document),
        }
        for row in sorted(document["groups"], key=harm_first)
    ]


def gap_changes(document: Document) -> list[View]:
    """Every gap before and after, those that grew first."""
    sizes = {(row["metric"], row["attribute"], row["group"]): row["n"]
             for row in document["groups"]}  # fmt: skip
    return [
        {
            **row,
            "title": metric_name(row["metric"]),
            "over": attribute_name(row["attribute"]),
            "ends": [
                {
                    "short": group_name(row["attribute"], row[end]),
                    "n": sizes.get((row["metric"], row["attribute"], row[end])),
                }
                for end in ("group", "other")
            ],
            "why": no_difference(row["reason"], document["suppress_below"]),
            "said": _said(row, document),
        }
        for row in sorted(document["gaps"], key=harm_first)
    ]


def _said(row: Row, document: Document) -> str:
    if row["harm"]:
        return "HARM: became worse"
    return verdict_name(row["verdict"], row["reason"], document["margin"])


def first(rows: Iterable[View]) -> list[View]:
    """Changes to look at first: harms, other changes that were found, then the largest losses."""
    judged = [row for row in rows if is_number(row["change"]) and row["reason"] not in UNJUDGED]
    return judged[:CHANGES_FIRST]


def harmed(document: Document) -> View:
    """Who became worse, in the words of the document, and where harm could go unseen."""
    rows = [*changes(document), *gap_changes(document)]
    open_ = [row for row in rows if not row["harm"] and row["verdict"] == "cannot_tell"]
    unread = [row for row in open_ if row["reason"] in UNJUDGED]
    return {
        "sentences": list(document["verdict"]["harms"]),
        "gains": list(document["verdict"]["gains"]),
        "rates": [row for row in rows if row["harm"] and "state" in row],
        "gaps": [row for row in rows if row["harm"] and "state" not in row],
        "unseen": _unseen(len(open_), len(unread), len(rows)),
    }


def tally(document: Document) -> list[tuple[str, int]]:
    """How many changes came to which verdict, harms first."""
    counts: dict[str, int] = {}
    for row in sorted([*document["groups"], *document["gaps"]], key=harm_first):
        said = _said(row, document)
        counts[said] = counts.get(said, 0) + 1
    return list(counts.items())


def _unseen(open_: int, unread: int, every: int) -> str:
    if not open_:
        return ""
    those = f"{number(open_, 'count')} of {number(every, 'count')} comparisons"
    said = f"{those} came to no verdict: a harm could be among them."
    if open_ == every:
        said = "No comparison came to a verdict: a harm could be in any of them."
    if unread:
        said += (
            f" {number(unread, 'count')} of them concern groups that are too small, empty or "
            "withheld, or images without a label."
        )
    return said


def trade(document: Document) -> list[View]:
    """Measures side by side before and after, all images first, then each group."""
    found: dict[tuple[str, str], list[View]] = {}
    for row in document["trade"]:
        metric = row["metric"]
        is_quality = metric in QUALITIES
        found.setdefault((row["attribute"], row["group"]), []).append(
            {
                **row,
                "title": QUALITIES.get(metric) or metric_name(metric),
                "kind": "plain" if is_quality else "percent",
                "change_kind": "signed" if is_quality else "gap",
            }
        )
    return [
        {"who": full_group_name(group) if group else "all images", "rows": rows}
        for (_, group), rows in found.items()
    ]


def size_changes(document: Document) -> list[View]:
    """Groups whose number of images differs between the two."""
    return [
        {**row, "short": full_group_name(row["group"])}
        for row in document["sizes"]
        if row["before"] != row["after"]
    ]


def group_sizes(document: Document) -> list[View]:
    """Images of each group, as far as they may be shown."""
    found: dict[str, list[View]] = {}
    for row in document["sizes"]:
        short = group_name(row["attribute"], row["group"])
        found.setdefault(row["attribute"], []).append({**row, "short": short})
    return [{"title": attribute_name(name), "rows": rows} for name, rows in found.items()]


def directions(document: Document) -> str:
    """Say how many gaps went which way, told apart from chance or not."""
    counts: dict[str, int] = {}
    for row in document["gaps"]:
        if row["verdict"] == "difference_found":
            counts[row["direction"]] = counts.get(row["direction"], 0) + 1
    if not counts:
        return "For no gap between two groups was a change found."
    said = ", ".join(f"{number(n, 'count')} {words(name)}" for name, n in counts.items())
    return f"Changes of a gap that were found: {said}."
