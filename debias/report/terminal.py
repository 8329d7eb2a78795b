"""Blocks on a terminal: sentences, points, and tables cut to a screen. Pictures are left out."""

from collections.abc import Iterable, Iterator

from rich import table as rich_table
from rich.markup import escape

from debias.report import blocks as b
from debias.report.words import shown

ROWS = 20  # of a table
LONGEST = 2000  # characters of a sentence
LONGEST_CELL = 300
NAME = 12  # characters of a first column that stay on one line


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
        names = [_flat(b.cells(row)[0].text) for row in block.rows[:ROWS]] if not place else []
        least = min(max(map(len, names), default=0), NAME)  # what a row is about is not broken
        table.add_column(
            _cut(heading, LONGEST_CELL), justify="left" if is_text else "right",
            overflow="fold", min_width=least,
        )  # fmt: skip
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
