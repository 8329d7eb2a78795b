"""What a page is made of: sections of blocks, each a plain, frozen value.

A page file turns its document into a :class:`Page`, read from top to bottom; :mod:`.html`,
:mod:`.terminal` and :mod:`.markdown` know blocks and nothing of any document. All text is foreign:
each of the three makes it safe on its way out.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias

from debias.report.words import UNDEFINED, is_number, number


@dataclass(frozen=True)
class Value:
    """A number inside a text; on a page the exact one stands behind the printed one.

    Attributes:
        value: None, NaN and infinity print as ``missing``, never as 0.
        kind: Of :func:`debias.report.words.number`.
        missing: Why there is none.
        faint: Printed in grey: it takes no part in any verdict.
    """

    value: int | float | None
    kind: str = "plain"
    missing: str = UNDEFINED
    faint: bool = False

    @property
    def is_known(self) -> bool:
        return is_number(self.value)

    def __str__(self) -> str:
        return number(self.value, self.kind) if self.is_known else self.missing


@dataclass(frozen=True)
class Strong:
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Code:
    """Something to type, or a name as it stands in a file."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Link:
    """A way to a section (``#id``), to an artifact (``artifact:NAME``) or to a web address."""

    text: str
    to: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Marked:
    """A name behind the coloured mark that it has in the charts."""

    text: str
    colour: str

    def __str__(self) -> str:
        return self.text


Piece: TypeAlias = str | Value | Strong | Code | Link | Marked
Text: TypeAlias = Piece | tuple[Piece, ...]


def pieces(text: Text) -> tuple[Piece, ...]:
    """The text in parts, without empty ones."""
    return tuple(part for part in (text if isinstance(text, tuple) else (text,)) if part != "")


def joined(texts: Iterable[Text], between: str = " ") -> Text:
    """Several texts as one; empty ones leave no gap."""
    found: list[Piece] = []
    for text in texts:
        parts = pieces(text)
        found += [between] * bool(found and parts) + list(parts)
    return tuple(found)


def between(
    low: int | float | None, high: int | float | None, kind: str, missing: str = UNDEFINED
) -> Text:
    """An interval."""
    ends = Value(low, kind, missing), Value(high, kind, missing)
    return (
        (ends[0], " to ", ends[1])
        if all(end.is_known for end in ends)
        else Value(None, kind, missing)
    )


@dataclass(frozen=True)
class Sentence:
    """A paragraph.

    Attributes:
        tone: Empty, ``lead``, ``verdict``, ``caution``, ``note`` or ``do``.
    """

    text: Text
    tone: str = ""


def to_do(said: Text, lead: str = "What to do:") -> Sentence:
    """What a reader should do about what stands above."""
    return Sentence((Strong(lead), " ", *pieces(said)), "do")


@dataclass(frozen=True)
class Step:
    """What to do next, and the command for it."""

    why: str
    command: str
    lead: str = "What to do next:"


@dataclass(frozen=True)
class Heading:
    text: Text
    note: str = ""


@dataclass(frozen=True)
class Points:
    items: tuple[Text, ...]


@dataclass(frozen=True)
class Facts:
    """Labels, each with what is known under it."""

    rows: tuple[tuple[Text, Text], ...]


@dataclass(frozen=True)
class Number:
    """A number to be seen from afar.

    Attributes:
        notes: Below it, each on a line.
    """

    label: str
    value: Value
    notes: tuple[Text, ...] = ()


@dataclass(frozen=True)
class Numbers:
    """Big numbers side by side, small ones on a card.

    Attributes:
        who: Whose they are, where several rows stand below each other.
        about: Who that is, in half a sentence.
    """

    numbers: tuple[Number, ...]
    who: Text = ""
    about: str = ""
    small: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        note: Below the text in small print; a line break begins a new line.
        title: Full name, shown on pointing.
        bar: Share in [0, 1], drawn as a bar.
    """

    text: Text
    note: Text = ""
    title: str = ""
    bar: float | None = None


@dataclass(frozen=True)
class Row:
    """A row of a table; its tone marks it: ``harmed``, ``below``, ``flagged``, ``mean``, ..."""

    cells: tuple[Cell | Text, ...]
    tone: str = ""


@dataclass(frozen=True)
class Table:
    """A table whose first column names the row.

    Attributes:
        rows: A long table is cut into parts that fold away; a terminal shows the first ones.
        title: For where a table stands alone.
        left: Places of the columns that hold words; the others hold numbers.
        look: ``facts`` (small), ``wide`` (roomy cells) or ``tight`` (numbers on one line).
    """

    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    title: str = ""
    left: tuple[int, ...] = (0,)
    look: str = "facts"


TOKEN = re.compile(
    r"`(?P<code>[^`]+)`|(?P<strong>What to do:)"
    r"|\{(?P<name>\w+)(\.\.(?P<end>\w+))?(:(?P<kind>\w+))?(\|(?P<why>[^}]*))?\}"
)


def said(
    template: str, row: Mapping[str, Any] | None = None, otherwise: str = UNDEFINED, **more: object
) -> Text:
    """A sentence of ours with what a document says in it.

    Args:
        template: ```code```, ``{name}`` for a text, ``{name:kind}`` for a number and
            ``{low..high:kind}`` for an interval; ``|why`` at the end: what stands in its place.
        row: Where the names are looked up.
        otherwise: What stands in the place of a number that says nothing of its own.
        more: Other names.
    """
    values, place = {**(row or {}), **more}, 0
    parts: list[Piece] = []
    for found in TOKEN.finditer(template):
        parts += [template[place : found.start()], *_filled(found.groupdict(), values, otherwise)]
        place = found.end()
    return pieces((*parts, template[place:]))


def _filled(
    token: Mapping[str, str | None], values: Mapping[str, Any], why: str
) -> tuple[Piece, ...]:
    if token["code"]:
        return (Code(token["code"]),)
    if token["strong"]:
        return (Strong(token["strong"]),)
    value = values[token["name"] or ""]
    why = why if token["why"] is None else token["why"]
    if token["end"]:
        value = between(value, values[token["end"]], token["kind"] or "plain", why)
    elif token["kind"]:
        value = Value(value, token["kind"], why)
    return () if value == Value(None, token["kind"] or "plain", "") else pieces(value)


# What stands in a column: a template, one more for the small print below, or what makes a cell.
Column: TypeAlias = str | tuple[str, str] | Callable[[Any], Cell | Text]


def table(
    rows: Iterable[Any],
    columns: Mapping[str, Column],
    why: Callable[[Any], str] | None = None,
    tone: Callable[[Any], str] | None = None,
    **parts: Any,  # noqa: ANN401 (the fields of a table)
) -> Table:
    """A table of rows of a document: headings, each with the template of its cells."""

    def cell(column: Column, row: Any) -> Cell | Text:  # noqa: ANN401 (a row of the document)
        missing = why(row) if why else UNDEFINED
        if callable(column):
            return column(row)
        text, note = (column, "") if isinstance(column, str) else column
        return Cell(said(text, row, missing), said(note, row, ""))

    filled = (
        Row(tuple(cell(column, row) for column in columns.values()), tone(row) if tone else "")
        for row in rows
    )
    return Table(tuple(columns), tuple(filled), **parts)


def cells(row: Row) -> tuple[Cell, ...]:
    """The cells of a row, those without a note too."""
    return tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in row.cells)


@dataclass(frozen=True)
class Chart:
    """A chart with what it shows.

    Attributes:
        svg: As drawn; it is embedded as an image, and never becomes part of the page.
        alt: For those who do not see it.
    """

    svg: bytes
    alt: str
    caption: Text = ""


@dataclass(frozen=True)
class Faces:
    """Pictures side by side; without any, a frame that says what would be there.

    Attributes:
        images: Addresses, as :func:`debias.report.pictures.webp` makes them.
        label: Above them all.
        labels: Above each of them.
        caption: Below them, in small print.
        width: Most that they may take, as in CSS.
    """

    images: tuple[str, ...]
    alt: str
    label: str = ""
    caption: Text = ""
    width: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Preformatted:
    text: str


@dataclass(frozen=True)
class Fold:
    """Blocks that open on a click."""

    title: Text
    blocks: tuple["Block", ...]
    note: str = ""
    is_open: bool = False


@dataclass(frozen=True)
class Card:
    """Blocks in a frame.

    Attributes:
        tone: Empty, ``harm``, ``gain``, ``caution`` or ``calm``.
        place: Where links to the card lead.
    """

    blocks: tuple["Block", ...]
    tone: str = ""
    place: str = ""


@dataclass(frozen=True)
class Grid:
    """Cells of blocks side by side, as many in a row as there is room for.

    Attributes:
        least: Narrowest cell, as in CSS.
    """

    cells: tuple[tuple["Block", ...], ...]
    least: str = "20rem"


Block: TypeAlias = (
    Sentence | Step | Heading | Points | Facts | Numbers | Table | Chart | Faces | Preformatted
    | Fold | Card | Grid
)  # fmt: skip


def inner(block: Block) -> tuple[Block, ...]:
    """The blocks inside of a block."""
    match block:
        case Fold() | Card():
            return block.blocks
        case Grid():
            return tuple(chain.from_iterable(block.cells))
    return ()


def listed(block: Points | Facts | Numbers) -> list[Text]:
    """A list of points, facts or numbers as one text each, for where they have no look."""
    match block:
        case Points():
            return list(block.items)
        case Facts():
            return [joined(row, ": ") for row in block.rows]
    numbers = joined((joined((one.label, one.value)) for one in block.numbers), ", ")
    return [joined((block.who, numbers), ": ")]


@dataclass(frozen=True)
class Section:
    """A part of a page with a way to it.

    Attributes:
        place: Where links to the section lead.
        name: In the navigation; empty: the title.
    """

    place: str
    title: str
    blocks: tuple[Block, ...]
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A whole page.

    Attributes:
        title: Of the window.
        kicker: Above the heading: what the page is about, and when.
        opening: The first screen.
        crisp: Its images are so small that their pixels should show.
    """

    title: str
    kicker: str
    heading: str
    opening: tuple[Block, ...]
    sections: Sequence[Section]
    footer: str
    crisp: bool = False
