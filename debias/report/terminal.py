"""Blocks on a terminal: sentences, points, and tables cut to a screen. Pictures are left out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich import table as rich_table
from rich.markup import escape

from debias.report import blocks as b
from debias.report.words import full_group_name, group_name, number, shown

ROWS = 20  # of a table
LONGEST = 2000  # characters of a sentence
LONGEST_CELL = 300


def lines(blocks: Iterable[b.Block]) -> Iterator[str | rich_table.Table]:
    """What to print, block by block; nothing foreign in it can steer a terminal."""
    for block in blocks:
        yield from _lines(block)
        yield from lines(b.inner(block))


def _lines(block: b.Block) -> Iterator[str | rich_table.Table]:
    match block:
        case b.Sentence():
            yield _bold(block.text) if block.tone == "verdict" else _text(block.text)
        case b.Step():
            yield f"\n{_text(block.why)}\n  {_bold(block.command)}"
        case b.Heading(text=title) | b.Fold(title=title):
            yield f"\n{_bold(title)}"
        case b.Points() | b.Facts() | b.Numbers():
            yield from (f"* {_text(said)}" for said in b.listed(block))
        case b.Table():
            yield _table(block)


def _table(block: b.Table) -> rich_table.Table:
    count = len(block.rows)
    more = f"{ROWS} of {count}; the page has all" if count > ROWS else None
    table = rich_table.Table(title=_cut(block.title, LONGEST_CELL), caption=more)
    for place, heading in enumerate(block.headings):
        is_text = place in block.left
        table.add_column(
            _cut(heading, LONGEST_CELL), justify="left" if is_text else "right", overflow="fold"
        )
    for row in block.rows[:ROWS]:
        table.add_row(*map(_cell, b.cells(row)))
    return table


def _cell(cell: b.Cell) -> str:
    lines = (line for part in (cell.text, cell.note) for line in _flat(part).splitlines())
    return "\n".join(_cut(line, LONGEST_CELL) for line in lines)


def _bold(text: b.Text) -> str:
    return f"[bold]{_text(text)}[/]"


def _text(text: b.Text) -> str:
    return _cut(_flat(text), LONGEST)


def _flat(text: b.Text) -> str:
    return "".join(map(str, b.pieces(text)))


def _cut(text: str, limit: int) -> str:
    return escape(shown(text, limit))


Document = Mapping[str, Any]


def run_lines(document: Document) -> Iterator[str | rich_table.Table]:
    """Who is served worse and what changed, the arms, what may be concluded, what to do next."""
    opening = document["opening"]
    yield _bold(opening["headline"])
    yield escape(" ".join(opening["sentences"]))
    yield _arms(document)
    for arm, reason in document.get("refused", {}).items():
        yield escape(f"* Arm {arm!r} was left out: {reason}.")
    for sentence in document["concluded"]:
        yield escape(f"* {sentence}")
    for step in opening["next"]:
        yield f"\n{escape(step['why'])}\n  [bold]{escape(step['command'] or step['setting'])}[/]"


def evaluation_lines(document: Document) -> Iterator[str | rich_table.Table]:
    """The verdict, banners, and the accuracy of every group, worst first."""
    yield _bold(document["verdict"]["sentence"])
    for note in document["notes"]:
        yield escape(f"* {note}")
    yield _groups(document)


def comparison_lines(name: str, document: Document) -> Iterator[str | rich_table.Table]:
    """Harms first, the verdict, banners, and the change of every group."""
    yield _bold(f"{name}: {document['verdict']['sentence']}")
    for note in document["notes"]:
        yield escape(f"* {note}")
    yield _changes(document)


def _arms(document: Document) -> rich_table.Table:
    seeds = document["run"]["seeds"]
    trainings = f"mean over {seeds} trainings, sd in brackets" if seeds > 1 else "one training"
    table = rich_table.Table(title=f"{document['name']}: {trainings}")
    for heading in ("arm", "accuracy", "worst group", "gap, points"):
        table.add_column(heading, justify="left" if heading == "arm" else "right", no_wrap=True)
    table.add_column("weakest group", overflow="fold")
    for arm, found in document["arms"].items():
        mean, spread = found["mean"]["accuracy"], found["mean"]["sd"]["accuracy"]
        cells = [
            _mean(mean[name], spread[name], kind)
            for name, kind in (
                ("overall", "percent"),
                ("worst_group", "percent"),
                ("gap", "points"),
            )
        ]
        weakest = found["mean"]["extremes"].get("worst_group", "undefined")
        table.add_row(escape(arm), *cells, escape(full_group_name(weakest)))
    return table


def _mean(mean: float | None, spread: float | None, kind: str) -> str:
    return number(mean, kind) + ("" if spread is None else f" ({number(spread, 'points')})")


def _groups(document: Document) -> rich_table.Table:
    metric = document["metrics"][0]
    rows = [row for row in document["by_group"] if row["metric"] == metric]
    rows = sorted(rows, key=lambda row: (row["value"] is None, row["value"] or 0.0))
    interval = f"{100 * document['level']:g} % interval"
    headings = ("group", "images", "value", interval, "state")
    table = _old_table(f"{metric.replace('_', ' ')} by group, lowest first", headings, len(rows))
    for row in rows[:ROWS]:
        table.add_row(
            _name(row), _count(row["denominator"]), _share(row["value"]),
            _between(row["low"], row["high"]), row["state"].replace("_", " "),
        )  # fmt: skip
    return table


def _changes(document: Document) -> rich_table.Table:
    metric = next((row["metric"] for row in document["groups"]), "accuracy")
    metric = "accuracy" if any(_is_accuracy(row) for row in document["groups"]) else metric
    rows = [row for row in document["groups"] if row["metric"] == metric]
    headings = ("group", "images", "before", "after", "change, points", "fixed, broken", "verdict")
    title = f"{metric.replace('_', ' ')} by group, harmed groups first"
    table = _old_table(title, headings, len(rows))
    for row in rows[:ROWS]:
        table.add_row(
            _name(row), _count(row["n"]), _share(row["before"]), _share(row["after"]),
            _points(row), _flips(row), _verdict(row),
        )  # fmt: skip
    return table


def _is_accuracy(row: Document) -> bool:
    return bool(row["metric"] == "accuracy")


def _name(row: Document) -> str:
    """The group without its attributes, which the values usually tell."""
    return escape(group_name(row["attribute"], row["group"]))


def _verdict(row: Document) -> str:
    verdict = row["verdict"].replace("_", " ") + (" (harm)" if row["harm"] else "")
    return f"{verdict}: {row['reason'].replace('_', ' ')}" if row["reason"] else verdict


def _flips(row: Document) -> str:
    if row["fixed"] is None:
        return ""
    return f"{_number(row['fixed'])}, {_number(row['broken'])}"


def _old_table(title: str, headings: Sequence[str], count: int) -> rich_table.Table:
    left = {"group", "state", "verdict"}
    table = rich_table.Table(
        title=title,
        caption=f"{ROWS} of {count} groups; the page has all" if count > ROWS else None,
    )
    for heading in headings:
        table.add_column(heading, justify="left" if heading in left else "right", overflow="fold")
    return table


def _count(value: float | None) -> str:
    return "withheld" if value is None else _number(value)


def _number(value: float | None) -> str:
    return "" if value is None else number(value, "count")


def _share(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.1%}"


def _between(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.1%} to {high:.1%}"


def _points(row: Document) -> str:
    if row["change"] is None:
        return "undefined"
    limits = "" if row["low"] is None else f" [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
    return f"{100 * row['change']:+.1f}{limits}"
