"""For whom what changed, as text beside a tracked run: every group under every arm, worst first."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from debias.report.arms import comparisons_of, fairness_of
from debias.report.panels import Row, of, worst_rate_first
from debias.report.readings import metric_name, remark, verdict_name, why_no_number
from debias.report.text import arm_name, clean, full_group_name, is_number, number

GROUPS = 12  # rows of the table in the note
SENTENCES = 6
METRIC = "accuracy"
Document = Mapping[str, Any]


def arm_title(arm: str) -> str:
    """What the report calls an arm, and in brackets what the recipe calls it."""
    name = arm_name(arm)
    return name if name == arm else f"{name} ({arm})"


def note(document: Document) -> str:
    """Markdown: the way to the report, what was found, and the accuracy of every group.

    The target ``artifact:NAME`` of a link stands for an artifact of the run.
    """
    found, rows = document["concluded"], for_whom(document, METRIC)
    return "\n".join(
        [
            "## [Open the report](artifact:report.html)",
            "",
            *(f"- {_escaped(sentence)}" for sentence in found[:SENTENCES]),
            *([f"- {len(found) - SENTENCES} more in the report"] if found[SENTENCES:] else []),
            "",
            *(_table(document, rows[:GROUPS]) if rows else []),
            "",
            f"{len(rows) - GROUPS} more groups: " if rows[GROUPS:] else "",
            "[every rate of every group](artifact:tables/for_whom.json)",
        ]
    )


def for_whom(document: Document, metric: str) -> list[dict[str, str]]:
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
    rates = {
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
                for arm, table in rates.items()
            },
        }
        for row in sorted(of(first, "by_group", metric), key=worst_rate_first)
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


def _table(document: Document, rows: Sequence[Mapping[str, str]]) -> list[str]:
    columns = [name for name in rows[0] if name != "rate"]
    level = number(next(iter(fairness_of(document).values()))["level"], "level")
    return [
        f"### For whom: {rows[0]['rate']} of every group, worst first",
        "",
        f"With {level} intervals; below a rate its change in points against plain training, the "
        "interval of the change, and what may be said of it.",
        "",
        f"| {' | '.join(map(_escaped, columns))} |",
        f"|{'---|' * len(columns)}",
        *(f"| {' | '.join(_escaped(row[name]) for name in columns)} |" for row in rows),
    ]


def _escaped(text: str) -> str:
    """Foreign text makes no table, link or HTML."""
    lines = (" ".join(line.split()) for line in clean(text).split("\n"))
    marked = (re.sub(r"([|\\`*_\[\]])", r"\\\1", line).replace("<", "&lt;") for line in lines)
    return "<br>".join(marked)
