"""What a terminal shows of an ingest: the outcome, the reasons, flagged groups, and the splits."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from debias.report.ingest_view import cautions, flagged, full_name, leak_check, outcome, shown
from debias.report.words import is_number, number

ROWS = 20
Document = Mapping[str, Any]


def ingest_lines(document: Document) -> Iterator[str | Table]:
    """The outcome and its cautions, then short tables; nothing of it can steer a terminal.

    Args:
        document: An ingest document, as for the page.
    """
    yield f"[bold]{_plain(outcome(document))}[/]"
    for caution in cautions(document):
        yield f"* {_plain(caution)}"
    yield _left_out(document)
    if flagged(document):
        yield _flagged(document)
    elif document["counts"]["rejected"]:
        yield _none_flagged(document)
    yield _duplicates(document)
    if document["splits"]:
        yield _splits(document)
    for sentence in leak_check(document):
        yield _plain(sentence)


def _left_out(document: Document) -> Table | str:
    counts = document["counts"]
    reasons = [(row["reason"], row["count"]) for row in document["reasons"]]
    reasons.sort(key=lambda row: (-row[1], row[0]))
    others = (("exact duplicate", "exact_duplicates"), ("not selected", "not_selected"))
    rows = [*reasons, *((name, counts[key]) for name, key in others if counts[key])]
    if not rows:
        return "Every image listed is in the store."
    return _table("images left out", ("why", "images"), [(why, _count(n)) for why, n in rows])


def _flagged(document: Document) -> Table:
    headings = ("group", "rejected", "listed", "times the overall share", "p, adjusted")
    rows = [
        (
            full_name(row), _count(row["rejected"]), _count(row["listed"]),
            _count(row["times_overall"], "times"), _count(row["p_adjusted"], "p"),
        )
        for row in flagged(document)
    ]  # fmt: skip
    return _table("groups rejected more often", headings, rows)


def _none_flagged(document: Document) -> str:
    tested = sum(is_number(row["p"]) for row in document["groups"])
    if not tested:
        return "No group could be tested for being rejected more often."
    return f"{_count(tested)} groups were tested for being rejected more often; none is flagged."


def _duplicates(document: Document) -> str:
    counts = document["counts"]
    return (
        f"Duplicates: {_count(counts['exact_duplicates'])} exact, {_count(counts['near_pairs'])} "
        f"near pairs, {_count(counts['mirrored_pairs'])} mirrored pairs; labels disagree in "
        f"{_count(counts['conflicts'])}."
    )


def _splits(document: Document) -> Table:
    rows = [
        (
            row["split"], _count(row["images"]),
            _count(row["people"]) if is_number(row["people"]) else "nobody says",
            number(row["share"], "percent"),
        )
        for row in document["splits"]
    ]  # fmt: skip
    return _table("splits", ("split", "images", "people", "share"), rows)


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """The first column is a name, the others are numbers."""
    more = f"{ROWS} of {len(rows)}; the page has all" if len(rows) > ROWS else None
    table = Table(title=title, caption=more)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left", overflow="fold")
    for row in rows[:ROWS]:
        table.add_row(*map(_plain, row))
    return table


def _count(value: object, kind: str = "count") -> str:
    return number(value, kind) if is_number(value) else "withheld"


def _plain(text: str) -> str:
    return escape(shown(text, 300))
