"""What the sections of an audit's page are put together from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import UInt8

from debias.report import audit_document as doc
from debias.report import blocks as b
from debias.report import texts
from debias.report.audit_findings import WORDS, action, opening
from debias.report.blocks import said, table
from debias.report.documents import Told
from debias.report.pictures import AuditPictures, contact_sheet, shrink, webp
from debias.report.readings import is_blurred
from debias.report.words import amount, full_group_name, number

Blocks = Iterator[b.Block]
Values = Mapping[str, object]  # any part of the document, for a template
Faces = UInt8[np.ndarray, "_ H W 3"]
Shot = tuple[Sequence[str], str, str]  # ids, label, caption
MOST = 24  # faces on the sheets of whole sections
CARDS_OPEN = 6
COLUMNS, SIDE = 6, 72  # of a sheet of faces; pixels of one of them
STEP_WIDTH = 6.5  # rem that one step of a strip takes at most
note = partial(texts.note, notes=WORDS["notes"])  # a sentence of ``audit.toml``


@dataclass(frozen=True)
class Audit:
    """The document with its pictures, and the blocks that several sections show.

    Captions are names in ``audit.toml``.
    """

    document: doc.Document
    pictures: AuditPictures
    charts: Mapping[str, bytes]

    @property
    def has_pictures(self) -> bool:
        return bool(self.pictures.faces or self.pictures.pages)

    @property
    def is_blurred(self) -> bool:
        """Whether the model draws one face for everybody."""
        return is_blurred(self.document.get("fidelity"))

    def chart(self, name: str, caption: str = "") -> Blocks:
        """A chart, if it was drawn; its caption is named like it, unless it is another's."""
        if name in self.charts:
            yield b.Chart(self.charts[name], *_captions(caption or name))

    def shot(self, ids: Sequence[str], label: str, caption: str, most: int = 12) -> Blocks:
        """The first of some images on one sheet, in their order, where their faces are given."""
        found = [self.pictures.faces[one] for one in ids[:most] if one in self.pictures.faces]
        if found:
            alt, text = _captions(caption)
            yield b.Faces((sheet(np.stack(found)),), alt, label, text)

    def names(self, title: str, ids: Sequence[str], most: int = 12) -> Blocks:
        """What the images are called, folded away."""
        if ids:
            names = " · ".join(self.pictures.called(one) for one in ids[:most])
            more = f" and {number(len(ids) - most, 'count')} more" if len(ids) > most else ""
            yield b.Fold(title, (b.Sentence(f"{names}{more}", "note"),))

    def hint(self, ids: Sequence[str]) -> Blocks:
        """Where no face of these images may be shown, though others may."""
        if self.has_pictures and ids and not any(one in self.pictures.faces for one in ids):
            yield note("show_faces", tone="note")

    def doubt(self) -> Blocks:
        """What stands over every figure that rests on a model that draws one face for everybody."""
        if self.is_blurred:
            yield note("doubt", tone="caution")

    def card(  # noqa: PLR0913 (whatever a card may hold)
        self,
        heading: b.Heading,
        row: Values,
        figures: Sequence[tuple[str, str, str]],
        *shots: Shot,
        steps: tuple[Faces | None, str] = (None, ""),
        explains: Sequence[doc.Explained] = (),
        names: tuple[str, Sequence[str]] = ("", ()),
        place: str = "",
    ) -> b.Card:
        """A part of the images: its sentence, small numbers, drawings, faces, annotation, names."""
        inside = (
            heading, b.Sentence(str(row["sentence"])), numbers(row, *figures), *strip(*steps),
            *beside(*(self.shot(*shot) for shot in shots)), *explained(explains),
            *self.names(*names),
        )  # fmt: skip
        return b.Card(inside, place=place)


def _captions(name: str) -> tuple[str, b.Text]:
    """What a picture means, and the same with what to do."""
    caption = WORDS["captions"][name]
    return caption.partition(" What to do:")[0], said(caption)


def sheet(images: Faces, columns: int = COLUMNS, gap: int = 2) -> str:
    return webp(contact_sheet(shrink(images, SIDE), columns, gap))


def strip(images: Faces | None, caption: str) -> Blocks:
    """Steps from left to right without a gap."""
    if images is not None and len(images):
        image = webp(contact_sheet(shrink(images), len(images), gap=0))
        alt, text = _captions(caption)
        yield b.Faces((image,), alt, caption=text, width=f"{STEP_WIDTH * len(images):g}rem")


def beside(*shots: Blocks) -> Blocks:
    if cells := tuple((one,) for shot in shots for one in shot):
        yield b.Grid(cells)


def told(section: Told) -> Blocks:
    """What a section of the document finds, its first sentence set off."""
    first, rest = opening(section["sentence"])
    yield b.Sentence((b.Strong(first), f" {rest}" if rest else ""), "verdict")
    yield from action(section)


def folded(cards: Sequence[b.Block], one: str, note: str = "", most: int = CARDS_OPEN) -> Blocks:
    """The first cards, the others folded away."""
    yield from cards[:most]
    if rest := tuple(cards[most:]):
        yield b.Fold(amount(len(rest), f"more {one}"), rest, note)


def numbers(row: Values, *labelled: tuple[str, str, str]) -> b.Numbers:
    """Small numbers of a card: label, template of the number and of its interval."""
    found = []
    for label, value, ends in labelled:
        (one,) = b.pieces(said(value, row))
        assert isinstance(one, b.Value)
        found.append(b.Number(label, one, (said(ends, row),)))
    return b.Numbers(tuple(found), small=True)


def explained(rows: Sequence[doc.Explained]) -> Blocks:
    """What the annotation says of a region: the share of each group inside and outside."""
    if not rows:
        return
    columns: dict[str, b.Column] = {
        "group": lambda row: b.Cell(full_group_name(row["group"]), title=row["group"]),
        "share inside": "{inside:percent}",
        "share outside": "{outside:percent|withheld}",
    }
    most = "more than half"
    found = table(rows, columns, lambda row: most if row.get("most") else "withheld",
                  look="facts explains")  # fmt: skip
    yield b.Fold("What the annotation says of it", (found,), amount(len(rows), "group"))
