"""The page about an ingest: what came in, what became of it, and whom that hit.

It prints every number and verdict as an ingest document states them: ``None`` in the place of a
number of a group means withheld, unless said otherwise; shares are in [0, 1]. The document holds

- ``name``, ``store``, ``key``, ``created`` (ISO 8601), ``image_size`` (pixels a side), ``seconds``,
  ``reused``, ``framing``, ``identities``, ``remarks`` and ``concluded`` (sentences), ``source``,
  ``leaks``, and ``purged`` (images taken out later), where there are such;
- ``seen``: a ``line`` about every file, the ignored ones included;
- ``counts``: ``listed`` = ``kept`` + ``rejected`` + ``exact_duplicates`` + ``not_selected``
  (filters, caps, leaks), and of ``people`` (None: nobody says), pairs, clusters and conflicts;
- ``reasons``, which add up to ``counts.rejected``, each with ``examples``, and ``notes``;
- ``groups``, one row each (``p`` None beside a number in ``rejected``: not tested), ``limits``;
- ``duplicates``: ``rule`` (a sentence) and ``pairs`` with ``kind`` (of ``KINDS``), ``bits`` and
  ``correlation`` (None: not compared so), ``conflict`` (names of attributes joined by ", ") and
  ``splits`` (of both; empty text: not in the store);
- ``splits`` with ``share`` of the kept images, and ``by_group`` with ``share`` of the split.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from debias.report import blocks as b
from debias.report import words as w
from debias.report.blocks import said, table
from debias.report.charts import rows as chart
from debias.report.charts.flow import flow
from debias.report.charts.rows import Axis, Look, Mark, Rows, Rule, rows_chart
from debias.report.charts.style import ARM_STYLES, GROUPS_DRAWN, Drawing, drawn
from debias.report.html import put, render
from debias.report.pictures import shrink, webp
from debias.report.readings import panels, source_name
from debias.statistics.groupings import UNKNOWN

Document = Mapping[str, Any]
FacePictures = Mapping[str, UInt8[np.ndarray, "_ _ 3"]]
Blocks = Iterator[b.Block]
Columns = Mapping[str, b.Column]
EXAMPLES = 12  # of a reason
EXAMPLES_OPEN = 24  # on the whole page; the others are folded away
PAIRS_OPEN = 12
FEW_GROUPS = 8  # a table that stands open
LEAKS = {"people": "people", "duplicates": "duplicate clusters", "content": "identical content"}
KINDS = {
    "near": "near copy",
    "mirrored": "mirror image",
    "exact": "same content",
    "latent": "close in the latent space",
}
count = partial(w.number, kind="count")


def write_ingest_page(document: Document, pictures: FacePictures, path: Path) -> None:
    """Write the page about an ingest, for its owner alone, or leave what was there; OSError.

    ``pictures``: sample id to pixels, ``uint8 (H, W, 3)``; empty unless faces may be shown.
    """
    put(path, render_ingest(document, pictures))


def render_ingest(document: Document, pictures: FacePictures) -> str:
    return render(page(document, pictures, ingest_figures(document)))


def summary(document: Document) -> Blocks:
    """The outcome and its cautions, then short tables: what a terminal shows."""
    counts, found = document["counts"], _flagged(document)
    yield b.Sentence(_outcome(document), "verdict")
    yield b.Points(tuple(cautions(document)))
    if "seen" in document:
        yield b.Sentence(document["seen"]["line"])
    others = (("exact duplicate", "exact_duplicates"), ("not selected", "not_selected"))
    left = [{"reason": name, "count": counts[key]} for name, key in others if counts[key]]
    if rows := [*_by_reason(document), *left]:
        columns = {"why": "{reason}", "images": "{count:count}"}
        yield table(rows, columns, title="images left out")
    elif not document.get("seen", {}).get("held_back"):
        yield b.Sentence("Every image listed is in the store.")
    if found:
        yield table(found, FLAGGED, lambda _: "withheld", title="groups rejected more often")
    elif counts["rejected"]:
        tested = sum(w.is_number(row["p"]) for row in document["groups"])
        groups = w.amount(tested, "group was", "groups were")
        yield b.Sentence(
            f"{groups} tested for being rejected more often; none is flagged."
            if tested
            else "No group could be tested for being rejected more often."
        )
    text = (
        "Duplicates: {exact_duplicates:count} exact, {near_pairs:count} near pairs, "
        "{mirrored_pairs:count} mirrored pairs; labels disagree in {conflicts:count}."
    )
    yield b.Sentence(said(text, counts))
    if document["splits"]:
        yield table(document["splits"], SPLITS, title="splits")
    yield from map(b.Sentence, leak_check(document))


def page(document: Document, pictures: FacePictures, charts: Mapping[str, bytes]) -> b.Page:
    name, heading = w.shown(document["name"]), "What came in, and what became of it"
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
        kicker=f"{name} · {w.day(document['created'])}",
        heading=heading,
        opening=(
            b.Sentence(b.Strong(_outcome(document)), "verdict"),
            *(b.Sentence(caution, "caution") for caution in cautions(document)),
            *((b.Points(concluded),) if concluded else ()),
        ),
        sections=[b.Section(at, title, tuple(blocks), nav) for at, nav, title, blocks in sections],
        footer="This page measures what an ingest did to one collection of images. It says nothing "
        "about the people on them, and nothing about images that were never collected.",
        crisp=document["image_size"] < 40,
    )


def _outcome(document: Document) -> str:
    listed, kept = document["counts"]["listed"], document["counts"]["kept"]
    share = w.number(kept / listed, "percent") if listed else ""
    if kept < listed and share == w.number(1, "percent"):  # 100 only where nothing is missing
        share = f"more than {w.number(0.999, 'percent')}"
    said_share = f" ({share})" if share else ""
    outcome = f"{count(kept)} of {count(listed)} images are in the store{said_share}."
    if purged := document.get("purged"):
        taken = w.amount(purged, "more image was", "more images were")
        return f"{outcome} {taken} taken out by a purge and stay out."
    return outcome


def cautions(document: Document) -> list[str]:
    """What must not be overlooked: numbers that do not add up, limits passed, groups flagged.

    And what the data set itself has to remark on how it was read.
    """
    counts, found = document["counts"], list(document.get("remarks", ()))
    parts = ("kept", "rejected", "exact_duplicates", "not_selected")
    for what, sums in (
        ("listed", sum(counts[part] for part in parts)),
        ("rejected", sum(row["count"] for row in document["reasons"])),
    ):
        if counts[what] != sums:
            found.append(
                f"The numbers do not add up: {count(counts[what])} images {what}, {count(sums)} "
                "accounted for. Do not rely on this store before that is cleared."
            )
    share, most = _overall_share(document), document["limits"]["most_rejected"]
    if share > most:
        limit = w.number(100 * most)
        found.append(
            f"{w.number(100 * share)}% of all images were rejected; the limit is {limit}%."
        )
    return found + [_more_often(row) for row in _flagged(document)]


def _more_often(row: Document) -> str:
    name = f"Rejected more often: {_full_name(row)}"
    if not w.is_number(row["share"]):
        return f"{name}; its numbers are too small to be shown."
    times, p = w.number(row["times_overall"], "times"), w.number(row["p_adjusted"], "p")
    images = f"{count(row['rejected'])} of {count(row['listed'])} images"
    return f"{name}, {images}, {times} the overall share (p, adjusted: {p})."


def _overall_share(document: Document) -> float:
    return float(document["counts"]["rejected"] / max(document["counts"]["listed"], 1))


def _flagged(document: Document) -> list[Document]:
    """Groups that the document flags, the most unequal first."""
    return sorted((row for row in document["groups"] if row["flagged"]), key=_flagged_first)


def _flagged_first(row: Document) -> tuple[Any, ...]:
    """Flagged groups, then the largest share first, then what is withheld or empty."""
    share = row["share"]
    return not row["flagged"], not w.is_number(share), -share if w.is_number(share) else 0.0


def _by_reason(document: Document) -> list[Document]:
    """The commonest first."""
    return sorted(document["reasons"], key=lambda row: (-row["count"], row["reason"]))


def _short_name(row: Document) -> str:
    named = row["group"] != UNKNOWN
    return w.group_name(row["attribute"], row["group"]) if named else "no group label"


def _full_name(row: Document) -> str:
    return f"{w.attribute_name(row['attribute'])}: {_short_name(row)}"


FLAGGED: Columns = {
    "group": _full_name,
    "rejected": "{rejected:count}",
    "listed": "{listed:count}",
    "times the overall share": "{times_overall:times}",
    "p, adjusted": "{p_adjusted:p}",
}
SPLITS: Columns = {
    "split": "{split}",
    "images": "{images:count}",
    "people": lambda row: said("{people:count|nobody says}", row),
    "share": lambda row: b.Cell(said("{share:percent}", row), bar=row["share"]),
}


def leak_check(document: Document) -> list[str]:
    """What stands on one side of the split only, and what was taken out for it."""
    if not document["splits"]:
        return []
    leaks = document["leaks"]
    checked = ", ".join(LEAKS.get(name, name) for name in leaks["checked"])
    unchecked = ", ".join(name for key, name in LEAKS.items() if key not in leaks["checked"])
    found = [f"Checked, and on one side only: {checked}."] if checked else []
    found += [f"Not checked, so possibly on several sides: {unchecked}."] if unchecked else []
    if leaks["removed"]:
        removed = w.amount(leaks["removed"], "image was", "images were")
        found.append(f"{removed} left out to keep the sides apart.")
    return found


def _facts(rows: Mapping[str, str], counts: Document) -> b.Facts:
    return b.Facts(tuple((label, said(text, counts)) for label, text in rows.items()))


def _became(document: Document, charts: Mapping[str, bytes]) -> Blocks:
    counts = document["counts"]
    if "flow" in charts:
        alt = "Bands from the images listed to what became of them; the numbers stand below"
        yield b.Chart(charts["flow"], alt)
        text = "Bands are as thick as their numbers; the thinnest are drawn as a hair."
        yield b.Sentence(text, "note")
    else:
        yield b.Sentence("Nothing was listed.")
    known = w.is_number(counts["people"])
    people = "showing {people:count} people" if known else "nobody says how many people they show"
    rows = {
        "listed": "{listed:count}",
        "in the store": f"{{kept:count}}, {people}",
        "rejected": "{rejected:count}: could not be read, or not as a picture",
        "exact duplicates": "{exact_duplicates:count}: the same content as an image that stays",
        "not selected": "{not_selected:count}: filtered out, over a cap, or kept off other splits",
    }
    yield _facts(rows, counts)


def _groups(document: Document, charts: Mapping[str, bytes]) -> Blocks:
    if not document["groups"]:
        yield b.Sentence("No group is annotated, so nothing is known about whom rejection hit.")
        return
    if document["counts"]["rejected"]:
        yield from _tested(document, charts)
    else:
        yield b.Sentence("Nothing was rejected, so no group lost more to it than another.")
    for panel in panels(document["groups"], _flagged_first, None, None):
        flags = sum(bool(row["flagged"]) for row in panel.rows)
        note = f", {count(flags)} flagged" if flags else ""
        rows = table(panel.rows, GROUPS, left=(0, 8), look="facts groups", tone=_tone)
        is_open = bool(flags or len(panel.rows) <= FEW_GROUPS)
        yield b.Fold(panel.title, (rows,), f"{w.amount(len(panel.rows), 'group')}{note}", is_open)
    text = (
        "“withheld”: so few images that the number could tell about single people. Exact "
        "duplicates are not rejected. “no group label”: nobody assigned these images to a group."
    )
    yield b.Sentence(text, "note")


def _tone(row: Document) -> str:
    return "flagged" if row["flagged"] else ""


def _why(row: Document) -> str:
    return "no images" if row["listed"] == 0 else "withheld"


def _of_rejected(template: str) -> b.Column:
    """A number that only a group with a share has; without a test it says so."""

    def cell(row: Document) -> b.Text:
        if w.is_number(row["share"]) and w.is_number(row["rejected"]):
            return said(template, row, "not tested")
        return b.Value(None, missing=_why(row))

    return cell


GROUPS: Columns = {
    "group": lambda row: b.Cell(_short_name(row), title=row["group"]),
    "listed": "{listed:count|withheld}",
    "rejected": _of_rejected("{rejected:count}"),
    "share, %": _of_rejected("{share:points}"),
    "times overall": _of_rejected("{times_overall:times}"),
    "p": _of_rejected("{p:p}"),
    "p, adjusted": _of_rejected("{p_adjusted:p}"),
    "exact duplicates": "{duplicates:count|withheld}",
    "": lambda row: b.Strong("flagged") if row["flagged"] else "",
}


def _tested(document: Document, charts: Mapping[str, bytes]) -> Blocks:
    """What was asked of the groups, and when one is flagged."""
    tested, limits = sum(w.is_number(row["p"]) for row in document["groups"]), document["limits"]
    text = "No group could be tested."
    if tested:
        text = (
            f"Tested: whether each of {count(tested)} groups lost a larger or smaller "
            "share of its images than all other images did (Fisher exact test, two-sided; p "
            "adjusted after Holm for all groups together). A group is flagged where its share is "
            f"over {w.number(limits['most_group_ratio'], 'times')} the share of all other images "
            f"and its adjusted p is below {w.number(limits['level'])}; of all images "
            f"{w.number(_overall_share(document), 'level')} were rejected."
        )
    most = w.number(limits["most_rejected"], "level")
    stops = f"A flagged group, or more than {most} of all images rejected, stops an ingest"
    yield b.Sentence(f"{text} {stops} unless these limits are raised.")
    if "rejected_by_group" in charts:
        alt = "Share of each group that was rejected beside that of all images; see the tables"
        yield b.Chart(charts["rejected_by_group"], alt)
        text = (
            f"Flagged groups first, then the largest share; at most {GROUPS_DRAWN} groups of an "
            "attribute are drawn, the tables hold all of them."
        )
        yield b.Sentence(text, "note")
    how = (
        "a group without a flag may still have lost more than others; the smaller the group, the "
        "more it can lose before a test sees it."
    )
    yield b.to_do(how, "How to read it:")


def _rejects(document: Document) -> Blocks:
    reasons = _by_reason(document)
    if not reasons:
        yield b.Sentence("Nothing was rejected.")
        return
    text = (
        "{images} for {reasons}; at most twelve of each are shown, without a picture: what was "
        "rejected is not kept. `quarantine.jsonl` beside the images lists all of them."
    )
    images = w.amount(document["counts"]["rejected"], "image")
    yield b.Sentence(said(text, images=images, reasons=w.amount(len(reasons), "reason")))
    before = 0
    for row in reasons:
        examples = row["examples"][:EXAMPLES]
        note = f", {count(len(examples))} shown" if len(examples) < row["count"] else ""
        rows = table(examples, REJECTED, left=(0, 1, 2), look="facts rejected")
        title = f"{w.amount(row['count'], 'image')}{note}"
        yield b.Fold(row["reason"], (rows,), title, before < EXAMPLES_OPEN)
        before += len(examples)


def _file(row: Document) -> b.Cell:
    path, name = w.shown(row["path"]), w.shown(row["sample_id"])
    return b.Cell(path, name if name != path else "", w.shown(row["path"], 5000))


def _about(row: Document) -> str:
    sizes = row["dimensions"]
    pixels = f"{sizes[0]:,} {w.TIMES} {sizes[1]:,}" if sizes else ""
    return ", ".join(part for part in (w.shown(row["format"]), pixels) if part)


REJECTED: Columns = {
    "image": _file,
    "about": _about,
    "detail": lambda row: w.shown(row["detail"], 240),
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
            "labels disagree": f"in {w.amount(counts['conflicts'], 'pair')}",
        }
        yield _facts(rows, counts)
    else:
        yield b.Sentence("No duplicate was found.")
    if found["rule"]:
        yield b.Sentence(f"How they were looked for: {found['rule']}", "note")
    if not pairs:
        return
    text = (
        "{pairs} shown, those whose labels disagree first. `duplicates.parquet` beside the images "
        "lists all of them."
    )
    hidden = "" if pictures else " Their faces are not shown; `report.show_faces` allows it."
    yield b.Sentence(said(text + hidden, pairs=w.amount(len(pairs), "pair")))
    cards = tuple((_pair(pair, pictures),) for pair in pairs)
    yield b.Grid(cards[:PAIRS_OPEN], "17rem")
    if rest := cards[PAIRS_OPEN:]:
        yield b.Fold(w.amount(len(rest), "more pair"), (b.Grid(rest, "17rem"),))
    if counts["conflicts"]:
        yield b.to_do(
            "where both are the same photograph, at least one of its two labels is wrong. Correct "
            "the table, or leave both images out; which label is right is not known here."
        )


def _pair(pair: Document, pictures: FacePictures) -> b.Card:
    kind = KINDS.get(pair["kind"], w.words(pair["kind"]))
    ends = tuple((_tile(pair[end], kind, pictures),) for end in ("first", "second"))
    text = kind + (", {bits:count} of 256 bits differ" if w.is_number(pair["bits"]) else "")
    text += ", correlation {correlation:plain}" if w.is_number(pair["correlation"]) else ""
    where = ", ".join(dict.fromkeys(split or "not in the store" for split in pair["splits"]))
    apart = len({split for split in pair["splits"] if split}) > 1
    disagree = b.Sentence(b.Strong(f"labels disagree: {w.words(pair['conflict'])}"), "note")
    return b.Card(
        (
            b.Grid(ends, "6rem"),
            *((disagree,) if pair["conflict"] else ()),
            b.Sentence(said(text, pair), "note"),
            b.Sentence(b.Strong(f"on two sides: {where}") if apart else where, "note"),
        ),
        "caution" if pair["conflict"] else "",
    )


def _tile(sample_id: str, kind: str, pictures: FacePictures) -> b.Faces:
    pixels = pictures.get(sample_id)
    images = () if pixels is None else (webp(shrink(pixels[None])[0]),)
    return b.Faces(images, kind, caption=w.shown(sample_id))


def _splits(document: Document) -> Blocks:
    splits = document["splits"]
    if splits:
        yield table(splits, SPLITS, look="facts splits")
    else:
        yield b.Sentence("The images are not split.")
    yield from map(b.Sentence, leak_check(document))
    cells: dict[str, dict[str, dict[str, Document]]] = {}
    for split in splits:
        for row in split["by_group"]:
            of_group = cells.setdefault(row["attribute"], {}).setdefault(_short_name(row), {})
            of_group[split["split"]] = row
    names = [split["split"] for split in splits]
    headings = ("group", *(heading for name in names for heading in (name, "share of it")))
    for attribute in sorted(cells, key=lambda attribute: " x " in attribute):
        found = cells[attribute]
        rows = (
            b.Row((group, *(cell for name in names for cell in _of_split(by_split.get(name)))))
            for group, by_split in found.items()
        )
        title = f"{w.attribute_name(attribute)} by split"
        inner = (b.Table(headings, tuple(rows), look="facts shares"),)
        yield b.Fold(title, inner, w.amount(len(found), "group"), len(found) <= FEW_GROUPS)


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
    again = "; an earlier store was used again" if document["reused"] else ""
    rows = {
        "Data set": w.shown(source["name"]),
        "Place": w.shown(source["place"], 400),
        "Groups assigned": source_name(source["source"]),
        "Annotation": source["annotation"],
        "People": document["identities"],
        "Framing": document["framing"],
        "Pixels": f"{size} {w.TIMES} {size}",
        "Store": w.shown(document["store"], 400),
        "Key": w.shown(document["key"]),
        "Made": w.day(document["created"]),
        "Time": w.number(document["seconds"], "seconds") + again,
    }
    yield b.Facts(tuple(rows.items()))


def ingest_figures(document: Document) -> dict[str, bytes]:
    """Name to SVG: ``flow`` and ``rejected_by_group``; the same input gives the same bytes."""
    counts = document["counts"]
    became = {
        "kept": (counts["kept"], [(row["split"], row["images"]) for row in document["splits"]]),
        "not selected": (counts["not_selected"], []),
        "exact duplicates": (counts["exact_duplicates"], []),
        "rejected": (
            counts["rejected"], [(row["reason"], row["count"]) for row in _by_reason(document)]
        ),
    }  # fmt: skip
    flows = flow(counts["listed"], became)
    return drawn({"flow": flows, "rejected_by_group": rejected_by_group(document)})


def rejected_by_group(document: Document) -> Drawing | None:
    """Share of each group that was rejected, flagged groups first, beside the share of all."""
    overall, most = _overall_share(document), document["limits"]["most_group_ratio"]
    if not overall:
        return None
    limit = Rule(most * overall, f"{w.number(most)}{w.TIMES} all images", ARM_STYLES[1][0])
    axis = Axis(
        label="share of the images listed that was rejected",
        rules=[Rule(overall, "all images", style="--"), limit],
        limits=(0, None),
    )
    found = panels(document["groups"], _flagged_first)
    blocks = [Rows(title=panel.title, rows=[*map(_rejected, panel.rows)]) for panel in found]
    return rows_chart(blocks, [axis], row=0.27)


def _rejected(row: Document) -> chart.Row:
    look = Look("flagged", *ARM_STYLES[1]) if row["flagged"] else Look("group", filled=False)
    note = f"{count(row['rejected'])} of {count(row['listed'])}"
    mark = Mark(value=row["share"], look=look)
    note = note if w.is_number(row["share"]) else _why(row)
    return chart.Row(label=_short_name(row), marks=[mark], note=note)
