"""What a terminal shows of an audit: the verdicts, then what to collect and where it is thin."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from debias.report.audit_groups_view import every_row, reading, short_name
from debias.report.audit_space_view import VIEWS
from debias.report.audit_view import collect, why_nothing_to_collect
from debias.report.ingest_view import shown
from debias.report.readings import source_name
from debias.report.words import attribute_name, is_number, number

ROWS = 20
Document = Mapping[str, Any]


def audit_lines(document: Document) -> Iterator[str | Table]:
    """Verdicts, worst first, then short tables; nothing of it can steer a terminal.

    Args:
        document: An audit document, as for the page.
    """
    yield _plain(_read_as(document["data"]))
    for place, found in enumerate(document["verdicts"]):
        yield f"[bold]{_plain(found['sentence'])}[/]" if not place else _plain(found["sentence"])
        if found["action"]:
            yield f"  -> {_plain(found['action'])}"
    parts = collect(document)
    for part in parts:
        yield _collect(part)
    if not parts:
        yield why_nothing_to_collect(document)
    if document["regions"]["list"]:
        yield _regions(document)
    if document["groups"] is not None:
        yield _groups(document)


def _read_as(data: Mapping[str, Any]) -> str:
    """The layout that was recognised, and the groups that are told apart."""
    read = f"{number(data['images'], 'count')} images, read as {data['name']}"
    if data["attributes"]:
        return f"{read}; groups by {', '.join(data['attributes'])} ({source_name(data['source'])})."
    known = ", ".join(data.get("known") or ())
    return (
        f"{read}; annotated columns not named: {known}." if known else f"{read}; no groups named."
    )


def _collect(part: Mapping[str, Any]) -> Table:
    rows = [
        (
            one["who"], number(one["missing"], "count"), _span(one["low"], one["high"], "count"),
            number(one["together"], "count") if is_number(one["together"]) else "-",
        )
        for one in part["rows"]
    ]  # fmt: skip
    headings = ("what to collect", "images, each alone", "interval", "all together")
    return _table(part["title"], headings, rows)


def _regions(document: Document) -> Table:
    rows = [
        (
            f"{row['number']}, {VIEWS.get(row['view'], row['view'])}",
            number(row["count"], "count"), number(row["share"], "percent"),
            _span(row["low"], row["high"], "percent"),
            number(row["p_adjusted"], "p"), "thin" if row["found"] else "cannot tell",
        )
        for row in document["regions"]["list"]
    ]  # fmt: skip
    looked = number(document["regions"]["looked_at"], "count")
    headings = ("region", "images", "share", "interval", "p, adjusted", "reading")
    return _table(f"thin regions, of {looked} looked at", headings, rows)


def _groups(document: Document) -> Table:
    rows = [
        (
            _called(row), _of_people(row["count"]),
            _of_people(row["share"], "percent"), _span(row["low"], row["high"], "percent"),
            number(row["declared"], "percent") if is_number(row["declared"]) else "not declared",
            reading(row),
        )
        for row in sorted(every_row(document), key=lambda row: row["verdict"] != "below")
    ]  # fmt: skip
    headings = ("group", "images", "share", "interval", "declared", "reading")
    return _table("annotated groups", headings, rows)


def _called(row: Mapping[str, Any]) -> str:
    if " x " in row["attribute"]:
        return short_name(row)  # the attributes of a crossing would fill the line
    return f"{attribute_name(row['attribute'])}: {short_name(row)}"


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """The first column is a name, the last may be words, the others are numbers."""
    more = f"{ROWS} of {len(rows)}; the page has all" if len(rows) > ROWS else None
    table = Table(title=title, caption=more)
    for place, heading in enumerate(headings):
        is_text = place == 0 or heading == "reading"
        table.add_column(heading, justify="left" if is_text else "right", overflow="fold")
    for row in rows[:ROWS]:
        table.add_row(*map(_plain, row))
    return table


def _of_people(value: object, kind: str = "count") -> str:
    return number(value, kind) if is_number(value) else "withheld"


def _span(low: object, high: object, kind: str) -> str:
    if not is_number(low) or not is_number(high):
        return ""
    return f"{number(low, kind)} to {number(high, kind)}"


def _plain(text: str) -> str:
    return escape(shown(text, 600))
