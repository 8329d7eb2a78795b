"""What a terminal shows of an export: how it came about, what changed, and the groups."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from debias.report.words import clean, full_group_name, number

ROWS = 20
Document = Mapping[str, Any]


def export_lines(document: Document) -> Iterator[str | Table]:
    """The method, the findings, and the shares of the groups before and after."""
    yield f"[bold]{_plain(document['method'])}[/]"
    for sentence in document["sentences"]:
        yield f"* {_plain(sentence)}"
    if document["groups"]["rows"]:
        yield _groups(document["groups"]["rows"])


def _groups(rows: list[dict[str, Any]]) -> Table:
    """The groups that were smallest before come first; withheld ones last."""
    withheld = [row["before"]["share"] is None for row in rows]
    order = sorted(range(len(rows)), key=lambda i: (withheld[i], rows[i]["before"]["share"]))
    more = f"{ROWS} of {len(rows)}; the .audit.json has all" if len(rows) > ROWS else None
    table = Table(title="share of the images, before and after (95% interval)", caption=more)
    table.add_column("group", overflow="fold")
    for side in ("before", "after"):
        table.add_column(side, justify="right")
    for row in (rows[place] for place in order[:ROWS]):
        name = _plain(full_group_name(row["group"]))
        table.add_row(name, *(_share(row[side]) for side in ("before", "after")))
    return table


def _share(side: Document) -> str:
    if side["share"] is None:
        return "withheld"
    share, low, high = (number(side[name], "percent") for name in ("share", "low", "high"))
    return f"{share} ({low} to {high})"


def _plain(text: str) -> str:
    return escape(clean(text))
