"""For whom what changed, beside a tracked run: every group under every arm, worst first."""

import re
from collections.abc import Mapping
from typing import Any

from debias.report.arms import comparisons_of, fairness_of
from debias.report.html import fill
from debias.report.panels import Row, by_rate, of
from debias.report.readings import (
    metric_name,
    remark,
    verdict_name,
    why_no_number,
)
from debias.report.words import arm_name, clean, full_group_name, is_number, number

SENTENCES = 6
Document = Mapping[str, Any]


def arm_title(arm: str) -> str:
    """What the report calls an arm, and in brackets what the recipe calls it."""
    name = arm_name(arm)
    return name if name == arm else f"{name} ({arm})"


def note(document: Document) -> str:
    """Markdown beside a tracked run, of which some show three lines: ways in, then findings.

    The target ``artifact:NAME`` of a link stands for an artifact of the run.
    """
    ways = "[Open the report](artifact:report.html) · [For whom](artifact:for_whom.html)"
    return "\n".join([f"## {ways}", "", *(f"- {_escaped(one)}" for one in _findings(document))])


def page(document: Document) -> str:
    """One HTML page: what was found, then every rate of every group under every arm."""
    first = next(iter(fairness_of(document).values()))
    tables = [rates(document, metric) for metric in first["metrics"]]
    view = {
        "name": document["name"],
        "sentences": _findings(document),
        "tables": [rows for rows in tables if rows],
        "level": number(first["level"], "level"),
    }
    return fill("for_whom.html", view)


def _findings(document: Document) -> list[str]:
    found = document["concluded"]
    more = [f"{len(found) - SENTENCES} more findings are in the report."]
    return [*found[:SENTENCES], *(more if found[SENTENCES:] else [])]


def rates(document: Document, metric: str) -> list[dict[str, str]]:
    """One row a group, the worst under plain training first: its rate under every arm.

    Returns:
        Columns ``rate``, ``group`` and ``images``, then one an arm: the rate with its interval and,
        on a line of its own, the change in points with its interval and the verdict on it.
    """
    fairness = fairness_of(document)
    first = next(iter(fairness.values()))
    changes = {
        arm: {row["group"]: row for row in of(one, "groups", metric)}
        for arm, one in comparisons_of(document).items()
    }
    tables = {
        arm: {row["group"]: row for row in of(one, "by_group", metric)}
        for arm, one in fairness.items()
    }
    return [
        {
            "rate": metric_name(metric),
            "group": full_group_name(clean(row["group"])),
            "images": _images(metric, row, first["suppress_below"]),
            **{
                arm_title(arm): _rate(metric, table[row["group"]], first["suppress_below"])
                + _change(changes.get(arm, {}).get(row["group"]), first["margin"])
                for arm, table in tables.items()
            },
        }
        for row in sorted(of(first, "by_group", metric), key=by_rate)
    ]


def _images(metric: str, row: Row, below: object) -> str:
    if not is_number(row["denominator"]):
        return why_no_number(metric, row, below)
    return number(row["denominator"], "count")


def _rate(metric: str, row: Row, below: object) -> str:
    if not is_number(row["value"]):
        return why_no_number(metric, row, below)
    return f"{number(row['value'], 'percent')}{_between(row, 'points')}{remark(row)}"


def _change(row: Row | None, margin: object) -> str:
    if row is None or not is_number(row["change"]):
        return ""
    harm = "HARM, " if row["harm"] else ""
    verdict = verdict_name(row["verdict"], row["reason"], margin)
    return f"\n{number(row['change'], 'change')}{_between(row, 'change')}: {harm}{verdict}"


def _between(row: Row, kind: str) -> str:
    if not (is_number(row["low"]) and is_number(row["high"])):
        return ""
    return f" [{number(row['low'], kind)}, {number(row['high'], kind)}]"


def _escaped(text: str) -> str:
    """Foreign text makes no link and no HTML."""
    line = " ".join(clean(text).split())
    return re.sub(r"([\\`*_\[\]()])", r"\\\1", line).replace("<", "&lt;")
