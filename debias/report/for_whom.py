"""For whom what changed, beside a tracked run: every group under every arm, worst first."""

from debias.metrics.documents import GroupChange, RateRow
from debias.report import blocks as b
from debias.report import readings as r
from debias.report.documents import Findings
from debias.report.html import render
from debias.report.markdown import markdown
from debias.report.words import arm_name, clean, full_group_name, is_number, number

SENTENCES = 6


def arm_title(arm: str) -> str:
    """What the report calls an arm, and in brackets what the recipe calls it."""
    name = arm_name(arm)
    return name if name == arm else f"{name} ({arm})"


def note(document: Findings) -> str:
    """Markdown beside a tracked run, of which some show three lines: ways in, then findings.

    The target ``artifact:NAME`` of a link stands for an artifact of the run.
    """
    ways = (b.Link("Open the report", "artifact:report.html"), " · ",
            b.Link("For whom", "artifact:for_whom.html"))  # fmt: skip
    return markdown([b.Heading(ways), b.Points(_findings(document))])


def page(document: Findings) -> str:
    """One HTML page: what was found, then every rate of every group under every arm."""
    first = next(iter(r.fairness_of(document).values()))
    found = _findings(document)
    tables: list[b.Block] = [
        table for metric in first["metrics"] if (table := rate_table(document, metric)).rows
    ]
    none = b.Sentence("Nothing is annotated, so no group can be told from another.")
    how = b.Sentence(
        f"Rates with {number(first['level'], 'level')} intervals. Below them: the change against "
        "plain training in points, its interval (not adjusted for the number of "
        "comparisons), and what may be said of it.",
        "note",
    )
    more = b.Card((b.Heading("What else was found"), b.Points(found[1:])))
    return render(
        b.Page(
            title=f"{document['name']}: for whom",
            kicker=str(document["name"]),
            heading="For whom: before and after, the worst group first",
            opening=(b.Sentence(found[0]), how, *(tables or [none]), *([more] * bool(found[1:]))),
            sections=(),
            footer="The report beside it says what these words mean.",
        )
    )


def _findings(document: Findings) -> list[str]:
    found = document["concluded"]
    more = [f"{len(found) - SENTENCES} more findings are in the report."]
    return [*found[:SENTENCES], *(more if found[SENTENCES:] else [])]


def rate_table(document: Findings, metric: str) -> b.Table:
    """:func:`rates` as a table, the first line of a cell above, the others in small print."""
    rows = rates(document, metric)
    arms = (
        [column for column in rows[0] if column not in ("rate", "group", "images")] if rows else []
    )
    listed = (
        b.Row((b.Cell(row["group"], f"{row['images']} images"),
               *(b.Cell(*row[arm].partition("\n")[::2]) for arm in arms)))
        for row in rows
    )  # fmt: skip
    left = tuple(range(1 + len(arms)))
    return b.Table(("group", *arms), tuple(listed), r.metric_name(metric), left)


def rates(document: Findings, metric: str) -> list[dict[str, str]]:
    """One row a group, the worst under plain training first: its rate under every arm.

    Returns:
        Columns ``rate``, ``group`` and ``images``, then one an arm: the rate with its interval and,
        on a line of its own, the change in points with its interval and the verdict on it.
    """
    fairness, compared = r.fairness_of(document), document["comparisons"]
    first = next(iter(fairness.values()))
    below = first["suppress_below"]
    tables = {arm: {row["group"]: row for row in r.of(one["by_group"], metric)}
              for arm, one in fairness.items()}  # fmt: skip
    changes = {(arm, row["group"]): row
               for arm, one in compared.items() for row in r.of(one["groups"], metric)}  # fmt: skip

    def shown(arm: str, group: str) -> str:
        row, change = tables[arm][group], changes.get((arm, group))
        said = r.why_no_number(row, below)
        if is_number(row["value"]):
            said = f"{number(row['value'], 'percent')}{_between(row, 'points')}{r.remark(row)}"
        if change is None or not is_number(change["change"]):
            return said
        limits = _between(change, "change")
        verdict = r.change_said(change, compared[arm])
        if change["harm"]:
            verdict = (
                f"HARM, {r.verdict_name(change['verdict'], change['reason'], first['margin'])}"
            )
        return f"{said}\n{number(change['change'], 'change')}{limits}: {verdict}"

    return [
        {
            "rate": r.metric_name(metric),
            "group": full_group_name(clean(row["group"])),
            "images": number(row["denominator"], "count")
            if is_number(row["denominator"])
            else r.why_no_number(row, below),
            **{arm_title(arm): shown(arm, row["group"]) for arm in tables},
        }
        for row in sorted(r.of(first["by_group"], metric), key=r.by_rate)
    ]


def _between(row: RateRow | GroupChange, kind: str) -> str:
    known = is_number(row["low"]) and is_number(row["high"])
    return f" [{number(row['low'], kind)}, {number(row['high'], kind)}]" if known else ""
