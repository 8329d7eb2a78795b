"""What a page is made of: sections of blocks, each a plain, frozen value.

A page file turns its document into a :class:`Page`, read from top to bottom; :mod:`.html`,
:mod:`.terminal` and :mod:`.markdown` know blocks and nothing of any document. All text is foreign:
each of the three makes it safe on its way out.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeAlias, TypeVar

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


class Code(Strong):
    """Something to type, or a name as it stands in a file."""


@dataclass(frozen=True)
class Link(Strong):
    """A way to a section (``#id``), to an artifact (``artifact:NAME``) or to a web address."""

    to: str


@dataclass(frozen=True)
class Marked(Strong):
    """A name behind the coloured mark that it has in the charts."""

    colour: str


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
    if is_number(low) and is_number(high):
        return Value(low, kind), " to ", Value(high, kind)
    return Value(None, kind, missing)


@dataclass(frozen=True)
class Sentence:
    """A paragraph; its tone is empty, ``lead``, ``verdict``, ``caution``, ``note`` or ``do``."""

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
    items: Sequence[Text]


@dataclass(frozen=True)
class Facts:
    """Labels, each with what is known under it."""

    rows: Sequence[tuple[Text, Text]]


@dataclass(frozen=True)
class Number:
    """A number to be seen from afar, with notes below it, each on a line."""

    label: str
    value: Value
    notes: tuple[Text, ...] = ()


@dataclass(frozen=True)
class Numbers:
    """Big numbers side by side (``small``: on a card): whose they are, and who that is."""

    numbers: tuple[Number, ...]
    who: Text = ""
    about: str = ""
    small: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell of a table: text, small print below it, full name, and a share in [0, 1] as a bar."""

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
    """A table whose first column names the row; a long one is cut where it is shown.

    Attributes:
        left: Places of the columns that hold words; the others hold numbers.
        look: ``facts`` (small), ``wide`` (roomy cells) or ``tight`` (numbers on one line).
    """

    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    title: str = ""
    left: tuple[int, ...] = (0,)
    look: str = "facts"


def cells(row: Row) -> tuple[Cell, ...]:
    """The cells of a row, those without a note too."""
    return tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in row.cells)


TOKEN = re.compile(
    r"`(?P<code>[^`]+)`|(?P<strong>What to do:)"
    r"|\{(?P<name>\w+)(\.\.(?P<end>\w+))?(:(?P<kind>\w+))?(\|(?P<why>[^}]*))?\}"
)


def said(
    template: str,
    row: Mapping[str, object] | None = None,
    otherwise: str = UNDEFINED,
    **more: object,
) -> Text:
    """A sentence of ours with what a document says in it.

    Args:
        template: ```code```, ``{name}`` for a text, ``{name:kind}`` for a number and
            ``{low..high:kind}`` for an interval; ``|why`` at the end: what stands in its place.
            ``name?`` at the beginning: nothing is said where that is no number.
        row: Where the names are looked up.
        otherwise: What stands in the place of a number that says nothing of its own.
        more: Other names.
    """
    values, place = {**(row or {}), **more}, 0
    parts: list[Piece] = []
    if needed := re.match(r"(\w+)\?", template):
        place = needed.end()
        if not is_number(values.get(needed[1])):
            return ()
    for found in TOKEN.finditer(template, place):
        parts += [template[place : found.start()], *_filled(found.groupdict(), values, otherwise)]
        place = found.end()
    return pieces((*parts, template[place:]))


def _filled(
    token: Mapping[str, str | None], values: Mapping[str, object], why: str
) -> tuple[Piece, ...]:
    if token["code"]:
        return (Code(token["code"]),)
    if token["strong"]:
        return (Strong(token["strong"]),)
    name, kind = token["name"] or "", token["kind"] or "plain"
    value: Any = values.get(name) if token["kind"] else values[name]
    why = why if token["why"] is None else token["why"]
    if token["end"]:
        end: Any = values.get(token["end"])
        value = between(value, end, kind, why)
    elif token["kind"]:
        value = Value(value, kind, why)
    return () if isinstance(value, Value) and not str(value) else pieces(value)


Of = TypeVar("Of", bound=Mapping[str, object])  # a row of a document
# What stands in a column: a template, one more for the small print below, or what makes a cell.
Column: TypeAlias = str | tuple[str, str] | Callable[[Any], Cell | Text]
Columns: TypeAlias = dict[str, str | tuple[str, str] | Callable[[Of], Cell | Text]]


def table(
    rows: Iterable[Of],
    columns: Mapping[str, str | tuple[str, str] | Callable[[Of], Cell | Text]],
    why: Callable[[Of], str] = lambda _: UNDEFINED,
    tone: Callable[[Of], str] = lambda _: "",
    **parts: Any,  # noqa: ANN401 (the fields of a table)
) -> Table:
    """A table of rows of a document: headings, each with the template of its cells."""

    def cell(column: Column, row: Of) -> Cell | Text:
        if callable(column):
            return column(row)
        text, note = (column, "") if isinstance(column, str) else column
        return Cell(said(text, row, why(row)), said(note, row, ""))

    filled = (Row(tuple(cell(one, row) for one in columns.values()), tone(row)) for row in rows)
    return Table(tuple(columns), tuple(filled), **parts)


@dataclass(frozen=True)
class Chart:
    """A chart as drawn (embedded as an image), what it shows for those who do not see it."""

    svg: bytes
    alt: str
    caption: Text = ""


@dataclass(frozen=True)
class Faces:
    """Pictures side by side; without any, a frame that says what would be there.

    Attributes:
        images: Addresses, as :func:`debias.report.pictures.webp` makes them.
        label: Above them all; ``labels`` above each, ``width``: most that they take, as in CSS.
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
    """Blocks in a frame, of a tone as ``harm`` or ``gain``; ``place``: for links to it."""

    blocks: tuple["Block", ...]
    tone: str = ""
    place: str = ""


@dataclass(frozen=True)
class Grid:
    """Cells of blocks side by side, as many as there is room for; ``least``: narrowest, in CSS."""

    cells: tuple[tuple["Block", ...], ...]
    least: str = "20rem"


Block: TypeAlias = (
    Sentence | Step | Heading | Points | Facts | Numbers | Table | Chart | Faces | Preformatted
    | Fold | Card | Grid
)  # fmt: skip


def inner(block: Block) -> tuple[Block, ...]:
    """The blocks inside of a block."""
    if isinstance(block, Fold | Card):
        return block.blocks
    return tuple(chain.from_iterable(block.cells)) if isinstance(block, Grid) else ()


def listed(block: Points | Facts | Numbers) -> list[Text]:
    """A list of points, facts or numbers as one text each, for where they have no look."""
    if isinstance(block, Points):
        return list(block.items)
    if isinstance(block, Facts):
        return [joined(row, ": ") for row in block.rows]
    numbers = joined((joined((one.label, one.value)) for one in block.numbers), ", ")
    return [joined((block.who, numbers), ": ")]


@dataclass(frozen=True)
class Section:
    """A part of a page; ``place``: for links to it, ``name``: in the navigation (or the title)."""

    place: str
    title: str
    blocks: tuple[Block, ...]
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Page:
    """A whole page: ``title`` of the window, ``kicker`` above the heading, then the first screen.

    ``crisp``: its images are so small that their pixels should show.
    """

    title: str
    kicker: str
    heading: str
    opening: tuple[Block, ...]
    sections: Sequence[Section]
    footer: str
    crisp: bool = False
