"""The page about an ingest: what came in, what became of it, and whom that hit."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from debias.report import blocks as b
from debias.report.blocks import said, table
from debias.report.charts import rows as chart
from debias.report.charts.flow import flow
from debias.report.charts.rows import Axis, Look, Mark, Rows, Rule, rows_chart
from debias.report.charts.style import ARM_STYLES, GROUPS_DRAWN, PANELS_DRAWN, Drawing, drawn
from debias.report.html import put, render
from debias.report.ingest_findings import (
    SPLITS,
    cautions,
    commonest_first,
    flagged_first,
    leak_check,
    outcome,
    overall_share,
    short_name,
)
from debias.report.panels import Panel, panels
from debias.report.pictures import shrink, webp
from debias.report.readings import source_name
from debias.report.words import (
    TIMES,
    amount,
    attribute_name,
    day,
    is_number,
    number,
    shown,
    words,
)

Document = Mapping[str, Any]
FacePictures = Mapping[str, UInt8[np.ndarray, "_ _ 3"]]
Blocks = Iterator[b.Block]
EXAMPLES = 12  # of a reason
EXAMPLES_OPEN = 24  # on the whole page; the others are folded away
PAIRS_OPEN = 12
FEW_GROUPS = 8  # a table that stands open
KINDS = {
    "near": "near copy",
    "mirrored": "mirror image",
    "exact": "same content",
    "latent": "close in the latent space",
}


def write_ingest_page(document: Document, pictures: FacePictures, path: Path) -> None:
    """Write the page about an ingest, or leave what was there untouched.

    Every number and verdict is printed as the document states it. ``None`` in the place of a
    number of a group means withheld, unless said otherwise; shares are in [0, 1].

    Args:
        document: An ingest document, plain values only:

            - ``name``, ``store``, ``key``, ``created`` (ISO 8601), ``image_size`` (pixels a
              side), ``seconds``, ``reused`` (whether an earlier store was taken as it was),
              ``framing`` and ``identities`` (a sentence each), ``concluded`` (sentences).
            - ``source``: ``name``, ``place``, ``annotation`` (who assigned the groups and how),
              ``source`` (``annotated``, ``estimated``, ...).
            - ``counts``: ``listed`` = ``kept`` + ``rejected`` + ``exact_duplicates`` +
              ``not_selected`` (filters, caps, leaks); ``near_pairs``, ``mirrored_pairs``,
              ``clusters``, ``clustered_images``, ``conflicts`` (pairs whose labels disagree),
              ``people`` (None: nobody says). Parts that do not add up are reported on the page.
            - ``reasons``: ``reason``, ``count``, ``examples`` of ``sample_id``, ``path``,
              ``detail``, ``format`` (may be empty), ``dimensions`` (width and height, or None).
              They add up to ``counts.rejected``: exact duplicates are none of them.
            - ``notes``: ``note``, ``count``: what was converted on the way.
            - ``groups``: ``attribute``, ``group`` (with or without ``attribute:``), ``listed``,
              ``rejected``, ``share``, ``times_overall``, ``p`` and ``p_adjusted`` (None beside a
              number in ``rejected``: not tested), ``flagged``, ``duplicates``.
            - ``limits``: ``most_rejected``, ``most_group_ratio``, ``level``.
            - ``duplicates``: ``rule`` (a sentence) and ``pairs`` of ``first`` and ``second``
              (sample ids), ``kind`` (``near``, ``mirrored``, ``exact`` or ``latent``), ``bits``
              and ``correlation`` (None: not compared so), ``conflict`` (names of attributes
              joined by ", ", or empty), ``splits`` (of both; empty text: not in the store).
            - ``splits``: ``split``, ``images``, ``people`` (None: nobody says), ``share`` of the
              kept images, ``by_group`` of ``attribute``, ``group``, ``images``, ``share`` of the
              split.
            - ``leaks``: ``checked`` (some of ``people``, ``duplicates``, ``content``) and
              ``removed``.
        pictures: Sample id to its pixels, ``uint8 (H, W, 3)``; empty unless the configuration
            allows faces. Only those that stand on the page are embedded.
        path: File to write, readable by its owner alone; its folder must exist.

    Raises:
        OSError: The folder cannot be written.
    """
    put(path, render_ingest(document, pictures))


def render_ingest(document: Document, pictures: FacePictures) -> str:
    """The page about an ingest as text."""
    return render(page(document, pictures, ingest_figures(document)))


def page(document: Document, pictures: FacePictures, charts: Mapping[str, bytes]) -> b.Page:
    """What the page says, from top to bottom."""
    name, heading = shown(document["name"]), "What came in, and what became of it"
    sections = (
        ("flow", "What became of it", "What became of the images?", _became(document, charts)),
        ("groups", "Groups", "Was some group hit more than others?", _groups(document, charts)),
        ("rejected", "Rejected", "Rejected, by reason", _rejects(document)),
        ("duplicates", "Duplicates", "Duplicates, side by side", _duplicates(document, pictures)),
        ("splits", "Splits", "Splits", _splits(document)),
        ("conversions", "Conversions", "What was converted on the way", _conversions(document)),
        ("provenance", "Provenance", "Provenance", _provenance(document)),
    )
    concluded = tuple(document["concluded"])
    return b.Page(
        title=f"{name}: {heading[0].lower()}{heading[1:]}",
        kicker=f"{name} · {day(document['created'])}",
        heading=heading,
        opening=(
            b.Sentence(b.Strong(outcome(document)), "verdict"),
            *(b.Sentence(caution, "caution") for caution in cautions(document)),
            *((b.Points(concluded),) if concluded else ()),
        ),
        sections=[b.Section(at, title, tuple(blocks), nav) for at, nav, title, blocks in sections],
        footer="This page measures what an ingest did to one collection of images. It says nothing "
        "about the people on them, and nothing about images that were never collected.",
        crisp=document["image_size"] < 40,
    )


def _panels(document: Document, most: int | None, drawn_most: int | None) -> list[Panel]:
    return panels(document["groups"], flagged_first, most, drawn_most)


def _why(row: Document) -> str:
    return "no images" if row["listed"] == 0 else "withheld"


def _became(document: Document, charts: Mapping[str, bytes]) -> Blocks:
    counts = document["counts"]
    if "flow" in charts:
        alt = (
            "Bands from the images listed to those kept, not selected, exact duplicates and "
            "rejected, and on to splits and reasons; the numbers are in the table below"
        )
        yield b.Chart(charts["flow"], alt)
        text = "Bands are as thick as their numbers; the thinnest are drawn as a hair."
        yield b.Sentence(text, "note")
    else:
        yield b.Sentence("Nothing was listed.")
    people = "nobody says how many people they show"
    people = "showing {people:count} people" if is_number(counts["people"]) else people
    rows = {
        "listed": "{listed:count}",
        "in the store": f"{{kept:count}}, {people}",
        "rejected": "{rejected:count}: could not be read, or not as a picture",
        "exact duplicates": "{exact_duplicates:count}: the same content as an image that stays",
        "not selected": "{not_selected:count}: filtered out, over a cap, or taken out to keep the "
        "splits apart",
    }
    yield b.Facts(tuple((label, said(text, counts)) for label, text in rows.items()))


def _groups(document: Document, charts: Mapping[str, bytes]) -> Blocks:
    if not document["groups"]:
        yield b.Sentence("No group is annotated, so nothing is known about whom rejection hit.")
        return
    if document["counts"]["rejected"]:
        yield from _tested(document, charts)
    else:
        yield b.Sentence("Nothing was rejected, so no group lost more to it than another.")
    for panel in _panels(document, None, None):
        count, flags = len(panel.rows), sum(bool(row["flagged"]) for row in panel.rows)
        note = f", {number(flags, 'count')} flagged" if flags else ""
        rows = table(
            panel.rows, GROUPS, left=(0, 8), look="facts groups",
            tone=lambda row: "flagged" if row["flagged"] else "",
        )  # fmt: skip
        is_open = bool(flags or count <= FEW_GROUPS)
        yield b.Fold(panel.title, (rows,), f"{amount(count, 'group')}{note}", is_open)
    text = (
        "“withheld” stands where so few images were counted that the number could tell about "
        "single people. Exact duplicates are not counted as rejected. “no group label”: nobody "
        "assigned these images to a group."
    )
    yield b.Sentence(text, "note")


def _of_rejected(template: str) -> b.Column:
    """A number that only a group with a share has; without a test it says so."""

    def cell(row: Document) -> b.Text:
        is_known = is_number(row["share"]) and is_number(row["rejected"])
        untested = "not tested" if is_number(row["rejected"]) else _why(row)
        return said(template, row, untested) if is_known else b.Value(None, missing=_why(row))

    return cell


GROUPS: Mapping[str, b.Column] = {
    "group": lambda row: b.Cell(short_name(row), title=row["group"]),
    "listed": "{listed:count|withheld}",
    "rejected": _of_rejected("{rejected:count}"),
    "share, %": _of_rejected("{share:reach}"),
    "times overall": _of_rejected("{times_overall:times}"),
    "p": _of_rejected("{p:p}"),
    "p, adjusted": _of_rejected("{p_adjusted:p}"),
    "exact duplicates": "{duplicates:count|withheld}",
    "": lambda row: b.Strong("flagged") if row["flagged"] else "",
}


def _tested(document: Document, charts: Mapping[str, bytes]) -> Blocks:
    """What was asked of the groups, and when one is flagged."""
    count, limits = sum(is_number(row["p"]) for row in document["groups"]), document["limits"]
    text = "No group could be tested."
    if count:
        text = (
            f"Tested: whether each of {number(count, 'count')} groups lost a larger or smaller "
            "share of its images than all other images did (Fisher exact test, two-sided; p "
            "adjusted after Holm for all groups together). A group is flagged where its share is "
            f"over {number(limits['most_group_ratio'], 'times')} the share of all other images and "
            f"its adjusted p is below {number(limits['level'])}; of all images "
            f"{number(overall_share(document), 'reach')}% were rejected."
        )
    most = number(limits["most_rejected"], "margin")
    stops = f"A flagged group, or more than {most}% of all images rejected, stops an ingest"
    yield b.Sentence(f"{text} {stops} unless these limits are raised.")
    if "rejected_by_group" in charts:
        alt = (
            "Share of each group that was rejected, flagged groups first, beside the share of all "
            "images; the same numbers are in the tables below"
        )
        yield b.Chart(charts["rejected_by_group"], alt)
        text = (
            "Flagged groups first, then the largest share; at most {drawn} groups of an attribute "
            "are drawn, the tables hold all of them."
        )
        yield b.Sentence(said(text, drawn=str(GROUPS_DRAWN)), "note")
    how = (
        "a group without a flag may still have lost more than others; the smaller the group, the "
        "more it can lose before a test sees it."
    )
    yield b.to_do(how, "How to read it:")


def _rejects(document: Document) -> Blocks:
    reasons = sorted(document["reasons"], key=commonest_first)
    if not reasons:
        yield b.Sentence("Nothing was rejected.")
        return
    images = amount(document["counts"]["rejected"], "image")
    text = (
        "{images} for {reasons}; at most twelve of each are shown. `quarantine.jsonl` beside the "
        "images lists all of them. They have no picture: what was rejected is not kept."
    )
    yield b.Sentence(said(text, images=images, reasons=amount(len(reasons), "reason")))
    before = 0
    for row in reasons:
        examples, count = row["examples"][:EXAMPLES], row["count"]
        note = f", {number(len(examples), 'count')} shown" if len(examples) < count else ""
        rows = table(examples, REJECTED, left=(0, 1, 2), look="facts rejected")
        is_open = before < EXAMPLES_OPEN
        yield b.Fold(row["reason"], (rows,), f"{amount(count, 'image')}{note}", is_open)
        before += len(examples)


def _file(row: Document) -> b.Cell:
    path, name = shown(row["path"]), shown(row["sample_id"])
    return b.Cell(path, name if name != path else "", shown(row["path"], 5000))


def _about(row: Document) -> str:
    sizes = row["dimensions"]
    pixels = f"{sizes[0]:,} {TIMES} {sizes[1]:,}" if sizes else ""
    return ", ".join(part for part in (shown(row["format"]), pixels) if part)


REJECTED: Mapping[str, b.Column] = {
    "image": _file,
    "about": _about,
    "detail": lambda row: shown(row["detail"], 240),
}


def _duplicates(document: Document, pictures: FacePictures) -> Blocks:
    counts, found = document["counts"], document["duplicates"]
    pairs = sorted(found["pairs"], key=lambda pair: not pair["conflict"])
    if pairs or any(counts[key] for key in ("exact_duplicates", "near_pairs", "mirrored_pairs")):
        apart = "duplicates" in document["leaks"]["checked"] and bool(document["splits"])
        rows = {
            "exact duplicates": "{exact_duplicates:count}, left out of the store",
            "near copies": "{near_pairs:count} pairs",
            "mirror images": "{mirrored_pairs:count} pairs",
            "clusters": "{clusters:count}, of {clustered_images:count} images"
            + ("; each stands on one side of the split" if apart else ""),
            "labels disagree": f"in {amount(counts['conflicts'], 'pair')}",
        }
        yield b.Facts(tuple((label, said(text, counts)) for label, text in rows.items()))
    else:
        yield b.Sentence("No duplicate was found.")
    if found["rule"]:
        yield b.Sentence(f"How they were looked for: {found['rule']}", "note")
    if pairs:
        yield from _pairs(pairs, pictures)
    if pairs and counts["conflicts"]:
        yield b.to_do(
            "where both are the same photograph, at least one of its two labels is wrong. Correct "
            "the table, or leave both images out; which label is right is not known here."
        )


def _pairs(pairs: Sequence[Document], pictures: FacePictures) -> Blocks:
    text = (
        "{pairs} shown, those whose labels disagree first. `duplicates.parquet` beside the images "
        "lists all of them."
    )
    if not pictures:
        text += " Their faces are not shown; `report.show_faces` allows it."
    yield b.Sentence(said(text, pairs=amount(len(pairs), "pair")))
    cards = tuple((_pair(pair, pictures),) for pair in pairs)
    yield b.Grid(cards[:PAIRS_OPEN], "17rem")
    if rest := cards[PAIRS_OPEN:]:
        yield b.Fold(amount(len(rest), "more pair"), (b.Grid(rest, "17rem"),))


def _pair(pair: Document, pictures: FacePictures) -> b.Card:
    kind = KINDS.get(pair["kind"], words(pair["kind"]))
    ends = tuple((_tile(pair[end], kind, pictures),) for end in ("first", "second"))
    text = kind + (", {bits:count} of 256 bits differ" if is_number(pair["bits"]) else "")
    text += ", correlation {correlation:plain}" if is_number(pair["correlation"]) else ""
    sides = [split or "not in the store" for split in pair["splits"]]
    where = ", ".join(dict.fromkeys(sides))
    apart = len({split for split in pair["splits"] if split}) > 1
    disagree = b.Strong(f"labels disagree: {words(pair['conflict'])}")
    return b.Card(
        (
            b.Grid(ends, "6rem"),
            *((b.Sentence(disagree, "note"),) if pair["conflict"] else ()),
            b.Sentence(said(text, pair), "note"),
            b.Sentence(b.Strong(f"on two sides: {where}") if apart else where, "note"),
        ),
        "caution" if pair["conflict"] else "",
    )


def _tile(sample_id: str, kind: str, pictures: FacePictures) -> b.Faces:
    pixels = pictures.get(sample_id)
    images = () if pixels is None else (webp(shrink(pixels[None])[0]),)
    return b.Faces(images, kind, caption=shown(sample_id))


def _splits(document: Document) -> Blocks:
    if document["splits"]:
        yield table(document["splits"], SPLITS, look="facts splits")
    else:
        yield b.Sentence("The images are not split.")
    yield from map(b.Sentence, leak_check(document))
    cells: dict[str, dict[str, dict[str, Document]]] = {}
    for split in document["splits"]:
        for row in split["by_group"]:
            of_group = cells.setdefault(row["attribute"], {}).setdefault(short_name(row), {})
            of_group[split["split"]] = row
    names = [split["split"] for split in document["splits"]]
    for attribute in sorted(cells, key=lambda attribute: " x " in attribute):
        rows, count = _split_table(cells[attribute], names), len(cells[attribute])
        title = f"{attribute_name(attribute)} by split"
        yield b.Fold(title, (rows,), amount(count, "group"), count <= FEW_GROUPS)


def _split_table(found: Mapping[str, Mapping[str, Document]], splits: Sequence[str]) -> b.Table:
    headings = ("group", *(heading for split in splits for heading in (split, "share of it")))
    rows = tuple(
        b.Row((short, *(cell for split in splits for cell in _of_split(by_split.get(split)))))
        for short, by_split in found.items()
    )
    return b.Table(headings, rows, look="facts shares")


def _of_split(row: Document | None) -> tuple[b.Cell | b.Text, b.Cell | b.Text]:
    if row is None:
        return b.Value(None, missing="no images"), ""
    share = b.Cell(said("{share:percent|}", row), bar=row["share"])
    return said("{images:count|withheld}", row), share


def _conversions(document: Document) -> Blocks:
    if document["notes"]:
        yield b.Sentence("These images are in the store, but not exactly as they were.")
        yield table(document["notes"], {"conversion": "{note}", "images": "{count:count}"})
    else:
        yield b.Sentence("Nothing but the size.")


def _provenance(document: Document) -> Blocks:
    """Where the images and their labels came from, and how the store was made."""
    source, size = document["source"], document["image_size"]
    spent = number(document["seconds"], "seconds")
    rows = {
        "Data set": shown(source["name"]),
        "Place": shown(source["place"], 400),
        "Groups assigned": source_name(source["source"]),
        "Annotation": source["annotation"],
        "People": document["identities"],
        "Framing": document["framing"],
        "Pixels": f"{size} {TIMES} {size}",
        "Store": shown(document["store"], 400),
        "Key": shown(document["key"]),
        "Made": day(document["created"]),
        "Time": f"{spent}; an earlier store was used again" if document["reused"] else spent,
    }
    yield b.Facts(tuple(rows.items()))


def ingest_figures(document: Document) -> dict[str, bytes]:
    """Name to SVG: ``flow`` and ``rejected_by_group``; the same input gives the same bytes."""
    return drawn({"flow": _flow(document), "rejected_by_group": rejected_by_group(document)})


def _flow(document: Document) -> Drawing | None:
    counts = document["counts"]
    reasons = sorted((-row["count"], row["reason"]) for row in document["reasons"])
    became = {
        "kept": (counts["kept"], [(row["split"], row["images"]) for row in document["splits"]]),
        "not selected": (counts["not_selected"], []),
        "exact duplicates": (counts["exact_duplicates"], []),
        "rejected": (counts["rejected"], [(reason, -count) for count, reason in reasons]),
    }
    return flow(counts["listed"], became)


def rejected_by_group(document: Document) -> Drawing | None:
    """Share of each group that was rejected, flagged groups first, beside the share of all."""
    overall, most = overall_share(document), document["limits"]["most_group_ratio"]
    if not overall:
        return None
    limit = Rule(most * overall, f"{number(most)}{TIMES} all images", ARM_STYLES[1][0])
    axis = Axis(
        label="share of the images listed that was rejected",
        rules=[Rule(overall, "all images", style="--"), limit],
        limits=(0, None),
    )
    blocks = [
        Rows(title=panel.title, rows=[*map(_rejected, panel.rows)])
        for panel in _panels(document, GROUPS_DRAWN, PANELS_DRAWN)
    ]
    return rows_chart(blocks, [axis], row=0.27)


def _rejected(row: Document) -> chart.Row:
    look = Look("flagged", *ARM_STYLES[1]) if row["flagged"] else Look("group", filled=False)
    note = "no images" if row["listed"] == 0 else "withheld"
    if is_number(row["share"]):
        note = f"{number(row['rejected'], 'count')} of {number(row['listed'], 'count')}"
    mark = Mark(value=row["share"], look=look)
    return chart.Row(label=short_name(row), marks=[mark], note=note)
