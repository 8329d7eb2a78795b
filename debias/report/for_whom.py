"""For whom what changed, beside a tracked run: every group under every arm, worst first."""

from collections.abc import Mapping, Sequence
from typing import Any

from debias.report import blocks as b
from debias.report.arms import comparisons_of, fairness_of
from debias.report.html import render
from debias.report.markdown import markdown
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
    ways = (b.Link("Open the report", "artifact:report.html"), " · ",
            b.Link("For whom", "artifact:for_whom.html"))  # fmt: skip
    return markdown([b.Heading(ways), b.Points(tuple(_findings(document)))])


def page(document: Document) -> str:
    """One HTML page: what was found, then every rate of every group under every arm."""
    first = next(iter(fairness_of(document).values()))
    found = _findings(document)
    tables: list[b.Block] = [
        _table(rows, metric_name(metric))
        for metric in first["metrics"]
        if (rows := rates(document, metric))
    ]
    none = b.Sentence("Nothing is annotated, so no group can be told from another.")
    more = b.Card((b.Heading("What else was found"), b.Points(tuple(found[1:]))))
    return render(
        b.Page(
            title=f"{document['name']}: for whom",
            kicker=str(document["name"]),
            heading="For whom: before and after, the worst group first",
            opening=(
                b.Sentence(found[0]),
                b.Sentence(
                    f"Rates with {number(first['level'], 'level')} intervals. Below them: the "
                    "change against plain training in points, its interval, and what may be said "
                    "of it.",
                    "note",
                ),
                *(tables or [none]),
                *([more] if found[1:] else []),
            ),
            sections=(),
            footer="The report beside it says what these words mean.",
        )
    )


def _table(rows: Sequence[Mapping[str, str]], title: str) -> b.Table:
    """The first line of a cell above, the others in small print."""
    arms = [column for column in rows[0] if column not in ("rate", "group", "images")]
    listed = (
        b.Row((b.Cell(row["group"], f"{row['images']} images"),
               *(b.Cell(*row[arm].partition("\n")[::2]) for arm in arms)))
        for row in rows
    )  # fmt: skip
    return b.Table(("group", *arms), tuple(listed), title, tuple(range(1 + len(arms))))


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
