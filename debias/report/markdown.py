"""Blocks as Markdown, for places that show no HTML page. Pictures are left out."""

import html
import re
from collections.abc import Iterable, Iterator

from debias.report import blocks as b
from debias.report.words import clean

ROWS = 24  # of a table
# Characters that Markdown reads as more than themselves.
MARKS = re.compile(r"([\\`*_{}\[\]()#+!|~>$])")


def markdown(blocks: Iterable[b.Block]) -> str:
    """The blocks as text, a blank line between two of them."""
    return "\n\n".join(part for block in blocks for part in _parts(block))


def _parts(block: b.Block) -> Iterator[str]:
    match block:
        case b.Sentence():
            is_bold = block.tone == "verdict" and isinstance(block.text, str)
            yield f"**{text(block.text)}**" if is_bold else text(block.text)
        case b.Step():
            yield f"- {text(block.why)} {code(block.command)}"
        case b.Heading(text=title) | b.Fold(title=title):
            yield f"## {text(title)}"
        case b.Points() | b.Facts() | b.Numbers():
            yield "\n".join(f"- {text(said)}" for said in b.listed(block))
        case b.Table():
            yield from _table(block)
    for part in b.inner(block):
        yield from _parts(part)


def _table(block: b.Table) -> Iterator[str]:
    rules = ("---" if place in block.left else "---:" for place in range(len(block.headings)))
    rows = [[_cell(cell) for cell in b.cells(row)] for row in block.rows[:ROWS]]
    if block.title:
        yield f"{text(block.title)}:"
    lines = [map(text, block.headings), rules, *rows]
    yield "\n".join(f"| {' | '.join(line)} |" for line in lines)
    if len(block.rows) > ROWS:
        yield f"{ROWS} of {len(block.rows)} rows; the page has all."


def _cell(cell: b.Cell) -> str:
    return text(b.joined((cell.text, cell.note)))


def text(said: b.Text) -> str:
    """A text on one line that neither Markdown nor a browser reads as anything else."""
    return "".join(map(_piece, b.pieces(said))).strip()


def _piece(part: b.Piece) -> str:
    match part:
        case b.Code():
            return code(part.text)
        case b.Link():
            return f"[{_plain(part.text)}]({part.to})"
        case b.Strong() if not isinstance(part, b.Marked):
            return f"**{_plain(part.text)}**"
    return _plain(str(part))


def _plain(foreign: str) -> str:
    line = re.sub(r"\s+", " ", clean(foreign))
    return html.escape(MARKS.sub(r"\\\1", line), quote=False)


def code(foreign: object) -> str:
    """Foreign text on one line, as it is, whatever marks it holds."""
    line = " ".join("".join(one if one.isprintable() else " " for one in str(foreign)).split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"
