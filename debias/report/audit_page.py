"""The page about an audit: who is missing, how sure that is, and what to collect."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from debias.report import audit_findings as findings
from debias.report import blocks as b
from debias.report.audit_charts import audit_figures
from debias.report.audit_findings import every_row, opening
from debias.report.blocks import said, table
from debias.report.charts.maps import map_names
from debias.report.charts.style import GROUPS_DRAWN
from debias.report.facts import how_described, representation_facts
from debias.report.html import put, render
from debias.report.panels import panels
from debias.report.pictures import AuditPictures, contact_sheet, shrink, webp
from debias.report.readings import source_name
from debias.report.words import (
    TIMES,
    amount,
    attribute_name,
    day,
    full_group_name,
    is_number,
    number,
    plain_value,
    shown,
    words,
)

Document = Mapping[str, Any]
Blocks = Iterator[b.Block]
Faces = UInt8[np.ndarray, "_ H W 3"]
# What a verdict is about, and the section of the page that tells more.
KINDS = {
    "fidelity": ("The model", "how"),
    "who": ("Who is there", "groups"),
    "undeclared": ("Who is missing", "reference"),
    "shortfall": ("Against the reference", "reference"),
    "group": ("Annotated groups", "groups"),
    "thin": ("Thin regions", "regions"),
    "drift": ("Since the earlier version", "drift"),
    "coverage": ("Coverage", "coverage"),
    "caution": ("Caution", "limits"),
    "nothing": ("No finding", "limits"),
}
CALM = ("nothing", "coverage", "who", "undeclared")
FIRST_SCREEN = 55  # words of the findings above the picture
MOST = 24  # faces on the sheets of whole sections
CARDS_OPEN = 6
COLUMNS, SIDE = 6, 72  # of a sheet of faces; pixels of one of them
STEP_WIDTH = 6.5  # rem that one step of a strip takes at most
SHOW_FACES = (
    "Pictures are not shown here: `--show-faces` (in a recipe: `report.show_faces: true`) allows "
    "faces on this page."
)
DOUBT = (
    "This rests on a model that draws nearly the same face for every image: do not rely on it "
    "before it has been trained for longer."
)


def write_audit_page(document: Document, pictures: AuditPictures, path: Path) -> dict[str, bytes]:
    """Write the page about an audit, or leave what was there untouched.

    Every number and sentence is printed as the document states it; nothing is computed again.

    Args:
        document: An audit document, plain values only. ``reference``, ``drift``, ``groups``,
            ``latent_pages`` and ``anomalies`` may be None; the page then says why.
        pictures: Faces and decoded pictures, empty unless the configuration allows faces, and the
            map. Only those of which the document speaks are embedded.
        path: File to write, readable by its owner alone; its folder must exist.

    Returns:
        The charts on the page by name, as SVG.

    Raises:
        OSError: The folder cannot be written.
    """
    drawn = audit_figures(document, pictures)
    put(path, render(page(document, pictures, drawn)))
    return drawn


def render_audit(document: Document, pictures: AuditPictures) -> str:
    """The page about an audit as text."""
    return render(page(document, pictures, audit_figures(document, pictures)))


def page(document: Document, pictures: AuditPictures, charts: Mapping[str, bytes]) -> b.Page:
    """What the page says, from top to bottom."""
    audit, name, data = Audit(document, pictures, charts), document["name"], document["data"]
    sections: Sequence[tuple[str, str, str, Callable[[Audit], Blocks]]] = (
        ("collect", "What to collect", "What should you collect?", _collect),
        ("how", "The model", "How this page sees your images", _how_seen),
        ("reference", "Against the reference", "Who is missing beside the reference?", _reference),
        ("drift", "Since before", "What has changed since the earlier version?", _drift),
        ("groups", "Annotated groups", "What do the annotations say?", _groups),
        ("regions", "Thin regions", "Where is the collection thin?", _regions),
        ("directions", "Directions", "In which directions is it lopsided?", _directions),
        ("coverage", "Coverage", "How evenly is the landscape filled?", _coverage),
        ("map", "Map", "The whole collection on one map", _map),
        ("clusters", "Clusters", "Cluster by cluster, smallest first", _clusters),
        ("extremes", "Rarest, commonest", "The least and the most represented", _extremes),
        ("model", "What the model draws", "What the model draws", _model),
        ("anomalies", "Oddest", "Which images does the model explain worst?", _anomalies),
        ("limits", "Limits", "What this audit cannot see", _limits),
        ("read", "How to read it", "How to read it", _how_to_read),
        ("provenance", "Provenance", "Provenance", _provenance),
    )
    made, side = day(document["created"]), data["image_size"]
    images = amount(data["images"], "image")
    return b.Page(
        title=f"{shown(name)}: who is missing from this collection?",
        kicker=f"{shown(name)} · {images} · read as {data['name']} · {made}",
        heading="Who is missing from this collection?",
        opening=tuple(_opening(audit)),
        sections=[b.Section(at, title, tuple(of(audit)), nav) for at, nav, title, of in sections],
        footer=f"Made by debias {document['version']}, {made}, audit schema {document['schema']}. "
        "This page measures what one collection of images holds. It says nothing about the people "
        "on them. Of people who never came in, a collection can tell only beside a reference.",
        crisp=is_number(side) and side < 40,
    )


@dataclass(frozen=True)
class Audit:
    """The document with its pictures, and the blocks that several sections show.

    A caption is what a picture means, then ``What to do:`` and what to do.
    """

    document: Document
    pictures: AuditPictures
    charts: Mapping[str, bytes]

    @property
    def has_pictures(self) -> bool:
        return bool(self.pictures.faces or self.pictures.pages)

    def chart(self, name: str, caption: str) -> Blocks:
        """A chart, if it was drawn."""
        if name in self.charts:
            yield b.Chart(self.charts[name], _alt(caption), said(caption))

    def shot(self, ids: Sequence[str], label: str, caption: str, most: int = 12) -> Blocks:
        """The first of some images on one sheet, in their order, where their faces are given."""
        found = [self.pictures.faces[one] for one in ids[:most] if one in self.pictures.faces]
        if found:
            yield b.Faces((_sheet(np.stack(found)),), _alt(caption), label, said(caption))

    def names(self, title: str, ids: Sequence[str], most: int = 12) -> Blocks:
        """What the images are called, folded away."""
        if ids:
            names = " · ".join(self.pictures.called(one) for one in ids[:most])
            more = f" and {number(len(ids) - most, 'count')} more" if len(ids) > most else ""
            yield b.Fold(title, (b.Sentence(f"{names}{more}", "note"),))

    def hint(self, ids: Sequence[str]) -> Blocks:
        """Where no face of these images may be shown, though others may."""
        if self.has_pictures and ids and not any(one in self.pictures.faces for one in ids):
            yield b.Sentence(said(SHOW_FACES), "note")

    def doubt(self) -> Blocks:
        """What stands over every figure that rests on a model that draws one face for everybody."""
        found = self.document.get("fidelity")
        if found is not None and found["verdict"] == "blurred":
            yield b.Sentence(DOUBT, "caution")


def _alt(caption: str) -> str:
    return caption.partition(" What to do:")[0]


def _sheet(images: Faces, columns: int = COLUMNS, gap: int = 2) -> str:
    return webp(contact_sheet(shrink(images, SIDE), columns, gap))


def _strip(images: Faces | None, caption: str) -> Blocks:
    """Steps from left to right without a gap."""
    if images is not None and len(images):
        image = webp(contact_sheet(shrink(images), len(images), gap=0))
        width = f"{STEP_WIDTH * len(images):g}rem"
        yield b.Faces((image,), _alt(caption), caption=said(caption), width=width)


def _beside(*shots: Blocks) -> Blocks:
    if cells := tuple((one,) for shot in shots for one in shot):
        yield b.Grid(cells)


def _told(section: Document) -> Blocks:
    """What a section of the document finds, its first sentence set off."""
    first, rest = opening(section["sentence"])
    yield b.Sentence((b.Strong(first), f" {rest}" if rest else ""), "verdict")
    yield from findings.action(section)


def _folded(cards: Sequence[b.Block], one: str, note: str = "", most: int = CARDS_OPEN) -> Blocks:
    """The first cards, the others folded away."""
    yield from cards[:most]
    if rest := tuple(cards[most:]):
        yield b.Fold(amount(len(rest), f"more {one}"), rest, note)


def _numbers(row: Document, *labelled: tuple[str, str, str]) -> b.Numbers:
    """Small numbers of a card: label, template of the number and of its interval."""
    found = []
    for label, value, ends in labelled:
        (one,) = b.pieces(said(value, row))
        assert isinstance(one, b.Value)
        found.append(b.Number(label, one, (said(ends, row),)))
    return b.Numbers(tuple(found), small=True)


def _opening(audit: Audit) -> Blocks:
    """Who is missing in a few words and one picture; then every finding, the worst first."""
    verdicts = audit.document["verdicts"]
    if not verdicts:
        yield b.Card((b.Sentence("This audit states no finding."),), "calm")
    ahead = _ahead(verdicts)
    for found in verdicts[:ahead]:
        yield _finding(found, b.Sentence(b.Strong(opening(found["sentence"])[0])))
    yield from _shares_chart(audit)
    for place, found in enumerate(verdicts):
        first, rest = opening(found["sentence"])
        head = (b.Sentence(b.Strong(first)),) if place >= ahead else ()
        blocks = *head, *((b.Sentence(rest),) if rest else ()), *findings.action(found)
        if blocks:
            yield _finding(found, *blocks)
    if not audit.has_pictures:
        yield b.Sentence(said(SHOW_FACES), "note")
    yield b.Numbers(tuple(_headline(audit.document)))


def _ahead(verdicts: Sequence[Document]) -> int:
    """How many findings stand above the picture: the first few, to that of who is missing."""
    length = 0
    for place, found in enumerate(verdicts):
        length += len(opening(found["sentence"])[0].split())
        if place and length > FIRST_SCREEN:
            return place
        if found["kind"] not in ("fidelity", "who"):
            return place + 1
    return len(verdicts)


def _finding(found: Document, *blocks: b.Block) -> b.Card:
    title, section = KINDS.get(found["kind"], ("Finding", "limits"))
    about = b.Sentence(b.Link(title, f"#{section}"), "note")
    return b.Card((about, *blocks), "calm" if found["kind"] in CALM else "caution")


def _shares_chart(audit: Audit) -> Blocks:
    caption = (
        "Each mark is the share of a group with its interval. What to do: look at the smallest "
        "groups, and declare the share that each should have."
    )
    if any(is_number(row["declared"]) for row in every_row(audit.document)):
        caption = (
            "Each mark is the share of a group with its interval; the upright stroke is the share "
            "that the group was declared to have. What to do: collect images of the groups whose "
            "whole line lies left of the stroke."
        )
    yield from audit.chart("group_shares", caption)


def _headline(document: Document) -> Iterator[b.Number]:
    """Up to three large numbers: images, thin regions, images to collect."""
    regions, reference = document["regions"], document["reference"]
    yield b.Number("images audited", b.Value(document["data"]["images"], "count"))
    thin = b.Value(sum(row["found"] for row in regions["list"]), "count")
    looked = said("of {looked_at:count} looked at", regions)
    if regions["verdict"] == "too_few":
        thin, looked = b.Value(None, "count", "too few images to look"), ""
    yield b.Number("thin regions found", thin, (looked,))
    if reference is not None:
        missing = b.Value(reference["missing_total"], "count", "not estimated")
        yield b.Number("images to collect", missing, ("to look like the reference",))


def _collect(audit: Audit) -> Blocks:
    parts = findings.collect(audit.document)
    if not parts:
        yield b.Sentence(findings.why_nothing_to_collect(audit.document))
        return
    for title, rows in parts.items():
        yield b.Heading(title)
        reference = audit.document["reference"] if rows[0]["link"] != "groups" else None
        yield from audit.doubt() if reference else ()
        yield b.Grid(tuple((b.Card(tuple(_wanted(audit, one))),) for one in rows), "15.5rem")
        yield from audit.hint([one for row in rows for one in row["ids"]])
        if reference and is_number(reference["missing_total"]) and len(rows) > 1:
            text = (
                "To fill all of them at once takes {missing_total:count} images: whatever is added "
                "to one thins out the others."
            )
            yield b.Sentence(said(text, reference))
    text = (
        "Each large number stands for itself: it is what one kind of image or one group lacks "
        "while the others stay as they are. The range behind a number is its interval."
    )
    yield b.Sentence(text, "note")


def _wanted(audit: Audit, row: Document) -> Blocks:
    yield _numbers(row, ("more", "{missing:count}", "{low..high:count|}"))
    together = ""
    if is_number(row["together"]) and row["together"] > row["missing"]:
        together = ", or {together:count} where all are filled at once"
    yield b.Sentence(said(f"{{who}}{together}. {{why}}", row, why=b.Link("Why", f"#{row['link']}")))
    caption = (
        "Reference images of a kind that this collection has too few of. What to do: name what "
        "their faces have in common, and collect that many more."
    )
    yield from audit.shot(row["ids"], "", caption, most=6)


def _how_seen(audit: Audit) -> Blocks:
    """How the images came to be points in a space, for somebody who never heard of one."""
    facts, fidelity = audit.document["representation"], audit.document.get("fidelity")
    yield b.Sentence(how_described(facts))
    text = (
        "Each image is described by {latent_dim:count} numbers, of which {active_units:count} "
        "carry information. Images that look alike have similar numbers, so the collection is like "
        "a landscape: where many images lie close together it is crowded, where few lie it is "
        "thin. This page asks where it is thin, and what would fill the gaps."
    )
    yield b.Sentence(said(text, facts))
    if fidelity is not None:
        yield b.Sentence(fidelity["sentence"])
    alike = "is what changes pixels most: light, background and framing as much as people"
    if facts["name"] in ("embeddings", "encoder"):
        alike = (
            "was decided elsewhere, where the description was made: it may be people, but also "
            "light, background or framing"
        )
    look = "Only a look at the pictures tells which of these it is."
    yield b.Sentence(f"What counts as alike {alike}. {look}")


def _reference(audit: Audit) -> Blocks:
    text = (
        "No reference was given, so this collection was not compared with what it should look "
        "like: name an unlabelled collection that looks as it should with `--reference FOLDER` "
        "(in a recipe: `reference`)."
    )
    found = audit.document["reference"]
    yield from _comparison(audit, found, "reference") if found else (b.Sentence(said(text)),)


def _drift(audit: Audit) -> Blocks:
    text = (
        "No earlier version was given: name older images or an older store with `--earlier FOLDER` "
        "(in a recipe: `earlier`), and what was added since is compared with what was there."
    )
    found = audit.document["drift"]
    yield from _comparison(audit, found, "drift") if found else (b.Sentence(said(text)),)


def _comparison(audit: Audit, found: Document, kind: str) -> Blocks:
    other = "reference" if kind == "reference" else "earlier version"
    yield from audit.doubt()
    yield from _told(found)
    if found["telltale"]:
        text = (
            "A classifier tells the two sets apart almost without error. That is the mark of "
            "another camera, size or compression rather than of other people: believe the numbers "
            "below only after both sets were prepared alike."
        )
        yield b.Sentence(text, "caution")
    caption = (
        "The mark is how far apart the two sets lie; the grey bar is how far apart chance alone "
        "puts two sets of these sizes. What to do: take a mark inside the bar as no evidence of a "
        "difference, and one beyond it as a reason to look at the regions below."
    )
    yield from audit.chart(f"{kind}_distance", caption)
    yield b.Facts(tuple(_distances(found, kind)))
    if found["regions"]:
        yield from _compared_regions(audit, found, kind, other)
    more, less = f"ost like what the {other} has more of", f"Least like the {other}"
    wanted = (
        "Images of this collection that are most like it. What to do: look for what they share: "
        "of these there are fewer here."
    )
    unwanted = (
        "Images of this collection that are least like it. What to do: look for what they share: "
        "of these there are more here."
    )
    shots = *_beside(
        audit.shot(found["wanted"], f"M{more}", wanted, MOST),
        audit.shot(found["unwanted"], less, unwanted, MOST),
    ),  # fmt: skip
    yield from (b.Heading("Image by image"), *shots) if shots else ()
    yield from audit.names(f"Names of the images m{more}", found["wanted"], MOST)


def _distances(found: Document, kind: str) -> Iterator[tuple[b.Text, b.Text]]:
    yield "compared with", said("{title}, {images:count} images", found, title=shown(found["name"]))
    yield "images of this collection", said("{against:count}", found)
    if is_number(found["distance"]):
        low, _, high = found["null"]
        text = "{distance:plain}; two random sets of these sizes: {low..high:plain}"
        yield "distance", said(text, found, low=low, high=high)
        yield "p", said("{p:p}; told apart below {level:plain}", found)
        text = "area under the ROC curve {separability:auc} (0.5: not at all, 1: always)"
        yield "told apart image by image", said(text, found)
    if kind == "drift":
        text = "{added:count} images added, {removed:count} removed, {kept:count} kept"
        yield "since then", said(text, found)
    if found["keys_on"]:
        yield "what the comparison looks at", found["keys_on"]


def _compared_regions(audit: Audit, found: Document, kind: str, other: str) -> Blocks:
    is_short = kind == "reference"
    short = [row for row in found["regions"] if row["found"]]
    did = "changed" if not is_short else "fall short" if len(short) > 1 else "falls short"
    title = "Which kinds of image have changed their share"
    yield b.Heading("Which images are missing, and how many" if is_short else title)
    text = "{looked} looked at, each a set of images that look alike; {some} {did} beyond chance"
    if is_number(found["missing_total"]) and found["missing_total"] > 0:
        text += "; it takes {missing_total:count} images to fill all at once"
    looked = amount(found["looked_at"], "region was", "regions were")
    some = number(len(short), "count") if short else "none"
    yield b.Sentence(said(f"{text}.", found, looked=looked, some=some, did=did))
    caption = (
        f"Each row is one kind of image: the circle is its share here, the diamond its share in "
        f"the {other}, the lines are their intervals. What to do: "
    )
    caption += (
        "collect for the coloured rows, where the diamond lies to the right of the circle."
        if is_short
        else "look into the coloured rows whose lines do not overlap: these have changed."
    )
    drawn = (*audit.chart(f"{kind}_regions", caption),)
    yield from drawn
    count = number(len(found["regions"]), "count")
    yield b.Fold("All regions as a table", _region_table(found, kind, other), count, not drawn)
    yield from audit.hint([one for row in short for one in row["typical"]])
    cards = [
        b.Card(tuple(_region(audit, row, kind, other)), place=f"{kind}-{row['number']}")
        for row in short
    ]
    yield from _folded(cards, "region", "with fewer images missing")


def _region_table(found: Document, kind: str, other: str) -> tuple[b.Block, ...]:
    readings = {
        "reference": {True: "falls short", False: "no shortfall found"},
        "drift": {True: "changed", False: "no change found"},
    }[kind]
    columns: dict[str, b.Column] = {
        "region": lambda row: str(row["number"]),
        "images here": "{count:count}",
        f"in the {other}": "{reference_count:count}",
        "share here": ("{share:percent}", "{share_low..share_high:percent}"),
        f"share in the {other}": (
            "{reference_share:percent}", "{reference_low..reference_high:percent}",
        ),
        "missing": ("{missing:count}", "{missing_low..missing_high:count}"),
        "p, adjusted": "{p_adjusted:p}",
        "reading": lambda row: readings[row["found"]],
    }  # fmt: skip
    text = (
        "“missing” is how many images like these would have to be added, to this region alone, "
        f"for its share of the enlarged collection to be that of the {other}; the range is its "
        "interval. p is adjusted for the {looked_at:count} regions looked at."
    )
    look = f"facts {kind}-regions"
    rows = table(found["regions"], columns, tone=_marked, left=(0, 7), look=look)
    return rows, b.Sentence(said(text, found), "note")


def _marked(row: Document) -> str:
    return "below" if row["found"] else ""


def _region(audit: Audit, row: Document, kind: str, other: str) -> Blocks:
    yield b.Heading(f"Region {row['number']}")
    yield b.Sentence(row["sentence"])
    missing = ("images missing", "{missing:count}", "{missing_low..missing_high:count|}")
    some = is_number(row["missing"]) and row["missing"] > 0
    yield _numbers(
        row, *((missing,) if some else ()),
        ("of the images here", "{share:percent}", "{share_low..share_high:percent}"),
        (f"in the {other}", "{reference_share:percent}", "{reference_low..reference_high:percent}"),
    )  # fmt: skip
    typical = f"Images of the {other} of this kind, the clearest first. What to do: "
    typical += (
        "collect more that look like these."
        if kind == "reference"
        else "name what they share: of this kind there are now fewer or more, see above."
    )
    nearest = (
        "The nearest that this collection has. What to do: compare them with the others: other "
        "people mean a gap in people, another light or background one in photographs."
    )
    yield from _beside(
        audit.shot(row["typical"], f"In the {other}", typical),
        audit.shot(row["nearest"], "Nearest here", nearest),
    )
    yield from _explained(row.get("explains"))
    yield from audit.names("Names of the images nearest here", row["nearest"])


def _explained(rows: Sequence[Document] | None) -> Blocks:
    """What the annotation says of a region: the share of each group inside and outside."""
    if not rows:
        return
    columns: dict[str, b.Column] = {
        "group": lambda row: b.Cell(full_group_name(row["group"]), title=row["group"]),
        "share inside": "{inside:percent}",
        "share outside": "{outside:percent|withheld}",
    }
    found = table(rows, columns, _why_not_inside, look="facts explains")
    yield b.Fold("What the annotation says of it", (found,), amount(len(rows), "group"))


def _why_not_inside(row: Document) -> str:
    return "more than half" if row.get("most") else "withheld"


def _groups(audit: Audit) -> Blocks:
    groups, rows = audit.document["groups"], list(every_row(audit.document))
    if groups is None:
        known = ", ".join(audit.document["data"].get("known") or ())
        why = f"The data hold annotated columns that were not named ({known})"
        text = (
            "{why}, so nothing on this page is counted by group: name them with "
            "`--attributes COLUMN,...` (in a recipe: `attributes`)."
        )
        yield b.Sentence(said(text, why=why if known else "No annotated column was named"))
        return
    yield from _said_of_groups(audit, groups, rows)
    yield from _group_tables(rows, "Images by", _share_table, folds_open=True)
    text = (
        "“withheld” stands where so few images were counted that the number could tell about "
        "single people, or would let a reader work out such a number. “cannot tell” leaves open "
        "whether the share is right. “missing” is how many images to add to this group alone; "
        "adding to one group lowers the share of the others."
    )
    yield b.Sentence(text, "note")
    yield from _rarity(audit, rows)


def _said_of_groups(audit: Audit, groups: Document, rows: Sequence[Document]) -> Blocks:
    text = f"Who says to which group a face belongs: {source_name(groups['source'])}."
    if count := groups["comparisons"]:
        were = amount(count, "group was", "groups and crossings were")
        text += f" {were} compared with a declared share, and every p is adjusted for all of them."
    yield b.Sentence(text)
    if sentences := tuple(groups["sentences"]):
        yield b.Points(sentences[:CARDS_OPEN])
    if rest := sentences[CARDS_OPEN:]:
        yield b.Fold(amount(len(rest), "more sentence"), (b.Points(rest),))
    if not any(is_number(row["declared"]) for row in rows):
        text = (
            "No share was declared, so it cannot be said that a group is too small: give the "
            "share that each group should have with `--shares FILE` (in a recipe: `audit.shares`)."
        )
        yield b.Sentence(said(text), "caution")
    if "group_shares" in audit.charts:
        text = (
            f"The picture at the top of the page draws at most {GROUPS_DRAWN} groups of an "
            "attribute; the tables hold all of them."
        )
        yield b.Sentence(text, "note")


def _rarity(audit: Audit, rows: Sequence[Document]) -> Blocks:
    yield b.Heading("Would weights by rarity reach these groups?")
    if not any(is_number(row[key]) for row in rows for key in ("auc", "weight_share")):
        yield b.Sentence("For no group could it be measured whether rarity in looks finds it.")
        return
    yield from audit.doubt()
    caption = (
        "Left: whether members of a group are rarer in looks than other images, where 0.5 means no "
        "rarer; right: the share of the group in the images (hollow) and in the weight (filled). "
        "What to do: rely on the weights only for groups whose line lies right of 0.5; others they "
        "cannot find, so collect or annotate those."
    )
    yield from audit.chart("group_rarity", caption)
    lost = any(is_number(row["set_aside"]) for row in rows)
    title = "Rarity and weights, and images set aside, by" if lost else "Rarity and weights by"
    yield from _group_tables(rows, title, lambda part: _weight_table(part, lost=lost))
    text = (
        "“found by rarity” is the chance that an image of the group is rarer in looks than an "
        "image of another group (area under the ROC curve). Near 0.5, rarity knows nothing of the "
        "group, and weights by rarity will not raise it."
    )
    yield b.Sentence(text, "note")


def _group_tables(
    rows: Sequence[Document],
    title: str,
    of_rows: Callable[[Sequence[Document]], b.Table],
    *,
    folds_open: bool = False,
) -> Blocks:
    for panel in panels(rows, lambda _: (), most=None, panels_drawn=None):
        count = len(panel.rows)
        below = sum(row["verdict"] == "below" for row in panel.rows) if folds_open else 0
        note = f", {number(below, 'count')} below the declared share" if below else ""
        is_open = folds_open and bool(below or count <= 8)
        name = f"{title} {attribute_name(panel.attribute)}"
        yield b.Fold(name, (of_rows(panel.rows),), f"{amount(count, 'group')}{note}", is_open)


def _named(row: Document) -> b.Cell:
    return b.Cell(findings.short_name(row), title=row["group"])


def _share_table(rows: Sequence[Document]) -> b.Table:
    def or_withheld(template: str, otherwise: str) -> Callable[[Document], b.Text]:
        def cell(row: Document) -> b.Text:
            why = findings.why_no_number(row)
            return said(template, row, why if why == "withheld" else otherwise)

        return cell

    columns: dict[str, b.Column] = {
        "group": _named,
        "images": "{count:count}",
        "share": ("{share:percent}", "{low..high:percent}"),
        "declared": "{declared:percent|not declared}",
        "reading": findings.reading,
        "missing": or_withheld("{missing:count}", ""),
        "p, adjusted": or_withheld("{p_adjusted:p}", "not tested"),
    }
    return table(
        rows, columns, findings.why_no_number, left=(0, 4), look="facts shares",
        tone=lambda row: "below" if row["verdict"] == "below" else "",
    )  # fmt: skip


def _weight_table(rows: Sequence[Document], *, lost: bool) -> b.Table:
    raised = {True: "raised", False: "not raised", None: "cannot tell"}
    columns: dict[str, b.Column] = {
        "group": _named,
        "found by rarity": ("{auc:auc}", "{auc_low..auc_high:auc}"),
        "share of the weight": "{weight_share:percent}",
        "weights": lambda row: raised[row["raised"]],
    }
    if lost:
        columns |= {
            "set aside": lambda row: said("{set_aside:count}", row, _why_no_loss(row)),
            "share set aside": lambda row: said(
                "{set_aside_share:percent}", row, _why_no_loss(row)
            ),
        }
    return table(rows, columns, findings.why_no_number, left=(0, 3), look="facts weights")


def _why_no_loss(row: Document) -> str:
    if row["state"] == "suppressed":
        return "withheld"
    return "too few images" if is_number(row["set_aside"]) else "not known"


def _regions(audit: Audit) -> Blocks:
    found = audit.document["regions"]
    yield from audit.doubt()
    yield from _told(found)
    text = (
        "A region is thin when a few images form a heap of their own, apart from the bulk of the "
        "collection."
    )
    if found["looked_at"]:
        text += (
            " {looked} looked at; if no part stood apart, the chance of reporting any would be at "
            "most {level:percent}."
        )
    looked = amount(found["looked_at"], "candidate was", "candidates were")
    yield b.Sentence(said(text, found, looked=looked))
    thin = [row for row in found["list"] if row["found"]]
    yield from audit.hint([one for row in thin for one in row["typical"]])
    cards = [b.Card(tuple(_thin(audit, row)), place=f"region-{row['number']}") for row in thin]
    yield from _folded(cards, "thin region")
    if found["list"]:
        note = f"{number(len(found['list']), 'count')}, found or not"
        yield b.Fold("All regions as a table", (_thin_table(found["list"]),), note, not cards)


def _thin(audit: Audit, row: Document) -> Blocks:
    yield b.Heading(f"Thin region {row['number']}", findings.seen(row))
    yield b.Sentence(row["sentence"])
    yield _numbers(
        row, ("images", "{count:count}", ""), ("of all", "{share:percent}", "{low..high:percent}"),
        ("p, adjusted", "{p_adjusted:p}", ""),
    )  # fmt: skip
    drawn = (
        "Drawn by the model itself: the way from an ordinary image, on the left, to this region, "
        "on the right. What to do: name what changes from left to right: of that there is little "
        "here."
    )
    yield from _strip(audit.pictures.regions.get(row["number"]), drawn)
    inside = (
        "Images from the middle of this region. What to do: if they show a kind of people, collect "
        "more of them; if a kind of photograph, leave it."
    )
    outside = (
        "Images from the bulk of the collection, to compare with. What to do: name the difference: "
        "that is what is rare here, and what to collect if you need it."
    )
    yield from _beside(
        audit.shot(row["typical"], "In this region", inside),
        audit.shot(row["opposite"], "In the bulk", outside),
    )
    yield from _explained(row["explains"])
    yield from audit.names("Names of typical images of this region", row["typical"])


def _thin_table(rows: Sequence[Document]) -> b.Table:
    columns: dict[str, b.Column] = {
        "region": lambda row: str(row["number"]),
        "seen": findings.seen,
        "images": "{count:count}",
        "share": ("{share:percent}", "{low..high:percent}"),
        "p": "{p:p}",
        "p, adjusted": "{p_adjusted:p}",
        "reading": lambda row: "thin" if row["found"] else "cannot tell",
    }
    return table(rows, columns, tone=_marked, left=(0, 1, 6), look="facts regions")


def _directions(audit: Audit) -> Blocks:
    rows = audit.document["directions"]
    yield from audit.doubt()
    if not rows:
        yield b.Sentence("No direction carries enough variation to be looked at.")
        return
    yield b.Sentence(
        "A direction is one way in which the images differ from each other: say, from dark to "
        "light, or from one side to the other. The most uneven come first."
    )
    caption = (
        "Each row is one way in which the images differ; the mark is the share of images in the "
        "lower half of its range, and an even collection has half there. What to do: look first at "
        "the directions whose mark is far from the dashed line."
    )
    yield from audit.chart("directions", caption)
    yield from audit.hint([one for row in rows for one in row["low"]])
    cards = [b.Card(tuple(_direction(audit, row))) for row in rows]
    yield from _folded(cards, "direction", "less uneven", most=3)


def _direction(audit: Audit, row: Document) -> Blocks:
    yield b.Heading(f"Direction {row['number']}")
    yield b.Sentence(row["sentence"])
    yield _numbers(
        row, ("of the images in the lower half of its range", "{low_share:percent}", ""),
        ("of the variation between images", "{variance_share:percent}", ""),
        ("skewness; 0 is even", "{skewness:signed}", ""),
    )  # fmt: skip
    drawn = (
        "Drawn by the model itself: the way from the low end of this direction to its high end. "
        "What to do: name what changes from left to right."
    )
    yield from _strip(audit.pictures.directions.get(row["number"]), drawn)
    low = (
        "Images at its low end. What to do: compare them with the high end, to see which people or "
        "photographs lie there."
    )
    high = (
        "Images at its high end. What to do: collect more of the end that holds fewer images, if "
        "it is one that you need."
    )
    yield from _beside(
        audit.shot(row["low"], "Low end", low), audit.shot(row["high"], "High end", high)
    )


def _coverage(audit: Audit) -> Blocks:
    found = audit.document["coverage"]
    yield from audit.doubt()
    yield b.Sentence(found["sentence"])
    yield from findings.action(found)
    caption = (
        "Top: the share of the images in each cell of the landscape, fullest first, beside a "
        "dashed line where all are equally full; below: two summaries, beside the range (grey) "
        "that a single bell-shaped cloud would show. What to do: worry when a mark lies outside "
        "its grey range on the uneven side, which is left for the number of cells and right for "
        "the densest tenth."
    )
    yield from audit.chart("coverage", caption)
    cells = said("{occupied:count} of {cells:count} hold an image", found)
    uneven = _beside_bells(found, "effective_cells", "count", "")
    densest = _beside_bells(found, "densest_tenth", "percent", " of the images")
    yield b.Facts((
        ("cells", cells), ("equally full cells that would be as uneven", uneven),
        ("densest tenth of the cells", densest),
    ))  # fmt: skip


def _beside_bells(found: Document, name: str, kind: str, what: str) -> b.Text:
    low, high = found["bell"][name] or (None, None)
    text = f"{{{name}:{kind}|too few images}}{what if is_number(found[name]) else ''}"
    if is_number(low) and is_number(high):
        text += f"; single bell-shaped clouds of this size: {{low..high:{kind}}}"
    return said(text, found, low=low, high=high)


MAPS = {
    "map_density": (
        "The same map; the darker a point, the fewer images look like it. What to do: find the "
        "dark spots on the map with faces, and ask who or what lies there."
    ),
    "map_regions": (
        "The same map with the thin regions in colour. What to do: read about the region of each "
        "colour among the thin regions above."
    ),
    "map_cluster": (
        "The same map with the clusters numbered and the six smallest in colour. What to do: look "
        "up the small ones among the clusters below: they are the rare kinds of image."
    ),
}
BY_ANNOTATION = (
    "The same map by annotation. What to do: look for colours in a clump of their own: these "
    "groups the model can tell apart, and a group spread over the map it cannot find by looks."
)


def _map(audit: Audit) -> Blocks:
    found = audit.document["map"]
    yield from audit.doubt()
    if "map_density" not in audit.charts:
        yield b.Sentence("No map was drawn.")
        return
    some = "{shown:count} of" if found["shown"] < found["of"] else "All"
    text = f"{{note}} {some} {{of:count}} images are drawn, laid out by {{method}}."
    yield b.Sentence(said(text, found))
    caption = (
        "A map on which images that look alike lie close together, with some of the faces in "
        "their places. What to do: look for faces that stand alone at the edges: few others look "
        "like them."
    )
    yield from audit.chart("map_faces", caption)
    if audit.has_pictures and "map_faces" not in audit.charts:
        yield b.Sentence(said(SHOW_FACES), "note")
    by_name = dict.fromkeys(map_names(audit.pictures.map).values(), BY_ANNOTATION)
    yield from _beside(*(audit.chart(*one) for one in (MAPS | by_name).items()))


def _clusters(audit: Audit) -> Blocks:
    rows = audit.document["clusters"]
    yield from audit.doubt()
    if not rows:
        yield b.Sentence("The images were not clustered.")
        return
    caption = (
        "Each row is a group of images that look alike: its share with an interval, and how "
        "crowded it is beside a typical image. What to do: look at the smallest ones below before "
        "you trust that your collection has everybody."
    )
    yield from audit.chart("clusters", caption)
    yield from audit.hint([one for row in rows for one in row["typical"]])
    yield b.Grid(tuple(tuple(_cluster(audit, row)) for row in rows), "17rem")
    text = (
        "“density” says how crowded the surroundings of its images are: those of a typical image "
        f"of this collection are 1{TIMES}."
    )
    yield b.Sentence(text, "note")


def _cluster(audit: Audit, row: Document) -> Blocks:
    yield b.Heading(f"Cluster {row['number']}")
    text = "{count:count} images, {share:percent} ({low..high:percent}); density {density:times}"
    yield b.Sentence(said(text, row), "note")
    caption = (
        "The most typical images of this cluster. What to do: name what they share; if it is a "
        "kind of people, ask whether its share is what you need."
    )
    yield from audit.shot(row["typical"], "", caption, most=6)


def _extremes(audit: Audit) -> Blocks:
    least, most = (audit.document["extremes"][end] for end in ("least", "most"))
    yield from audit.doubt()
    yield from audit.hint([*least, *most])
    if not least and not most:
        yield b.Sentence("No image was ranked.")
        return
    emptiest = (
        "The images with the emptiest surroundings, loneliest first. What to do: tell rare people, "
        "of whom to collect more, from broken or odd images, which to take out."
    )
    crowded = (
        "The images with the most crowded surroundings. What to do: add no more of these: the "
        "collection is full of them."
    )
    yield from _beside(
        audit.shot(least, "Least represented", emptiest, MOST),
        audit.shot(most, "Most represented", crowded, MOST),
    )
    yield from audit.names("Names of the least represented", least, MOST)


def _model(audit: Audit) -> Blocks:
    found, drawn = audit.document["latent_pages"], audit.pictures.pages
    if not found or not found["pages"]:
        yield b.Sentence(
            "There are no drawings: only a variational autoencoder that was trained here can "
            "draw, and the images were described by something else."
        )
        return
    if not audit.has_pictures:
        yield b.Sentence(
            "The model can also draw; its drawings show faces and are left out of this page."
        )
        return
    yield b.Sentence(
        "The model can also draw. What it draws well it has understood; what it cannot draw, this "
        "audit cannot see."
    )
    if not all(page["name"] in drawn for page in found["pages"]):
        yield b.Sentence(said(SHOW_FACES), "note")
    for page in found["pages"]:
        yield b.Heading(page["title"])
        yield from _latent_page(page, drawn.get(page["name"]))


def _latent_page(page: Document, drawn: UInt8[np.ndarray, "rows columns H W 3"] | None) -> Blocks:
    """A strip a label, or one block where rows have no label."""
    caption = said("{means} What to do: {do}", page)
    if drawn is None or not drawn.size:
        yield b.Sentence(caption)
        return
    rows, columns = drawn.shape[:2]
    labels = tuple(page["rows"]) if len(page["rows"]) == rows else ()
    images = (
        tuple(webp(contact_sheet(shrink(row), columns, gap=0)) for row in drawn)
        if labels
        else (_sheet(drawn.reshape(rows * columns, *drawn.shape[2:]), columns, gap=1),)
    )
    width = f"{STEP_WIDTH * columns:g}rem"
    yield b.Faces(images, page["title"], caption=caption, width=width, labels=labels)


def _anomalies(audit: Audit) -> Blocks:
    found = audit.document["anomalies"]
    if found is None:
        yield b.Sentence(
            "This was not measured: only a variational autoencoder that was trained here says how "
            "well it explains an image."
        )
        return
    yield from audit.doubt()
    yield b.Sentence(found["sentence"])
    yield b.Sentence(said("A typical image costs the model {median:count} nats.", found), "note")
    worst = found["worst"][:MOST]
    ids = [one["sample_id"] for one in worst]
    yield from audit.hint(ids)
    caption = (
        "The images that the model explains worst; a higher number of nats means a worse one. "
        "What to do: look for broken files and wrong crops first, then for people whom the model "
        "never learned to draw."
    )
    yield from audit.shot(ids, "", caption, MOST)
    nats = [said("{nats:count} nats", one) for one in worst]
    named = tuple(zip(nats, map(audit.pictures.called, ids), strict=True))
    count = number(len(worst), "count")
    yield b.Fold("The images by name, in this order", (b.Facts(named),), count)


def _limits(audit: Audit) -> Blocks:
    none = "No limit was stated. There always are some: this audit sees looks, not people."
    yield b.Points(tuple(audit.document["limits"]) or (none,))


GLOSSARY = {
    "thin region": "A few images that form a heap of their own, with hardly any image between them "
    "and the bulk, more clearly than chance explains.",
    "cannot tell": "Chance alone could have done it. There may still be a difference.",
    "interval, “2% to 4%”": "The values that go together with what was counted. A short one is a "
    "sure number, a long one an unsure one.",
    "p, adjusted": "How easily chance alone would do this, allowing for everything that was looked "
    "at. Small is sure.",
    "cell": "One of many patches of equal reach that cover the landscape of looks.",
    "cluster": "Images that look alike, put together without knowing what they show.",
    "nats": "How much an image surprises the model. Only differences mean anything.",
    "withheld": "A number so small that it could tell about single people, or would give such a "
    "number away.",
    "undefined": "There is no such number. It never stands for zero.",
}


def _how_to_read(_: Audit) -> Blocks:
    yield b.Facts(tuple(GLOSSARY.items()))


def _provenance(audit: Audit) -> Blocks:
    document, run = audit.document, audit.document["run"]
    yield b.Facts(tuple(_origin(document)))
    text = (
        "Beside this page, `audit.json` holds the same numbers, unrounded, and `images.parquet` "
        "the region, the cluster, the rarity and the weight of every image."
    )
    yield b.Sentence(said(text), "note")
    aside = document["data"]["set_aside"]
    if aside["count"]:
        reasons = table(aside["reasons"], {"reason": "{reason}", "images": "{count:count}"})
        text = "Every one of them is named in {file}, which stays on this machine."
        blocks = reasons, b.Sentence(said(text, file=b.Code(aside["list"])), "note")
        title = f"{amount(aside['count'], 'image')} set aside"
        yield b.Fold(title, blocks, "not part of any number here")
    if figures := representation_facts(document["representation"]):
        facts = tuple((label, b.Value(value, kind)) for label, value, kind in figures)
        yield b.Fold("Figures of the model", (b.Facts(facts),))
    if run["seconds"]:
        spent = tuple(
            (words(one), b.Value(time, "seconds")) for one, time in run["seconds"].items()
        )
        yield b.Fold("Time by stage", (b.Facts(spent),))
    settings = json.dumps(run["config"], indent=2, ensure_ascii=False, default=plain_value)
    yield b.Fold("Configuration", (b.Preformatted(settings),))


def _origin(document: Document) -> Iterator[tuple[str, str]]:
    """Where the images came from and how they were audited."""
    data, run, facts = document["data"], document["run"], document["representation"]
    splits = ", ".join(f"{number(n, 'count')} {split}" for split, n in data["splits"].items())
    spent = sum(value for value in run["seconds"].values() if is_number(value))
    made = "trained on these images" if facts["trained"] else "not trained on these images"
    yield "Read as", shown(data["name"])
    yield "Place", shown(data["place"], 400)
    yield "Images", splits or number(data["images"], "count")
    yield "Attributes", ", ".join(map(shown, data["attributes"])) or "none named"
    yield "Annotation", data["annotation"] if data["attributes"] else "not used"
    yield "Pixels", f"{number(data['image_size'], 'count')} a side"
    yield "Described by", f"{shown(facts['name'])}, {made}"
    yield "Machine", shown(run["device"])
    yield "Time", number(spent, "seconds") if run["seconds"] else "not recorded"
    yield "Folder", shown(run["folder"], 400)
    yield "MLflow", shown(run["mlflow"], 400) if run["mlflow"] else "not recorded"
