"""Sections of an audit's page: against other sets, by annotation, and what the images look like."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import UInt8

from debias.report import audit_document as doc
from debias.report import audit_findings as findings
from debias.report import blocks as b
from debias.report.audit_blocks import (
    CARDS_OPEN,
    MOST,
    STEP_WIDTH,
    Audit,
    Blocks,
    beside,
    folded,
    note,
    sheet,
    told,
)
from debias.report.audit_findings import why_no_number
from debias.report.blocks import said, table
from debias.report.charts.maps import map_names
from debias.report.charts.style import GROUPS_DRAWN
from debias.report.pictures import contact_sheet, shrink, webp
from debias.report.readings import all_withheld, is_withheld, source_name
from debias.report.words import amount, attribute_name, is_number, number, shown

Columns = dict[str, b.Column]


def _marked(row: doc.ThinRegion | doc.Region) -> str:
    return "below" if row["found"] else ""


def reference(audit: Audit) -> Blocks:
    found = audit.document["reference"]
    return _against(audit, found, "reference", "reference")


def drift(audit: Audit) -> Blocks:
    found = audit.document["drift"]
    counts = "{added:count} images added, {removed:count} removed, {kept:count} kept"
    since = (("since then", said(counts, found)),) if found else ()
    return _against(audit, found, "drift", "earlier version", *since)


def _against(
    audit: Audit,
    found: doc.Comparison | None,
    kind: str,
    other: str,
    *since: tuple[b.Text, b.Text],
) -> Blocks:
    """Against another set, which is called so."""
    if found is None:
        yield note(f"no_{kind}")
        return
    yield from audit.doubt()
    yield from told(found)
    if found["telltale"]:
        yield note("telltale", tone="caution")
    yield from audit.chart(f"{kind}_distance", "distance")
    yield b.Facts((*_distances(found), *since))
    if found["regions"]:
        yield from _compared_regions(audit, found, kind, other)
    more, less = f"ost like what the {other} has more of", f"Least like the {other}"
    shots = *beside(
        audit.shot(found["wanted"], f"M{more}", "wanted", MOST),
        audit.shot(found["unwanted"], less, "unwanted", MOST),
    ),  # fmt: skip
    yield from (b.Heading("Image by image"), *shots) if shots else ()
    yield from audit.names(f"Names of the images m{more}", found["wanted"], MOST)


def _distances(found: doc.Comparison) -> Iterator[tuple[b.Text, b.Text]]:
    yield "compared with", said("{title}, {images:count} images", found, title=shown(found["name"]))
    yield "images of this collection", said("{against:count}", found)
    if is_number(found["distance"]) and found["null"]:
        low, _, high = found["null"]
        text = "{distance:plain}; two random sets of these sizes: {low..high:plain}"
        yield "distance", said(text, found, low=low, high=high)
        yield "p", said("{p:p}; told apart below {level:plain}", found)
        text = "area under the ROC curve {separability:auc} (0.5: not at all, 1: always)"
        yield "told apart image by image", said(text, found)
    if found["keys_on"]:
        yield "what the comparison looks at", found["keys_on"]


def _compared_regions(audit: Audit, found: doc.Comparison, kind: str, other: str) -> Blocks:
    is_short = kind == "reference"
    short = [row for row in found["regions"] if row["found"]]
    did = "changed" if not is_short else "fall short" if len(short) > 1 else "falls short"
    title = "Which kinds of image have changed their share"
    yield b.Heading("Which images are missing, and how many" if is_short else title)
    text = "{looked} looked at, each a set of images that look alike; {some} {did} beyond chance"
    if found["missing_total"]:
        text += "; it takes {missing_total:count} images to fill all at once"
    looked = amount(found["looked_at"], "region was", "regions were")
    some = number(len(short), "count") if short else "none"
    yield b.Sentence(said(f"{text}.", found, looked=looked, some=some, did=did))
    drawn = (*audit.chart(f"{kind}_regions"),)
    yield from drawn
    rows = _region_table(found, kind, other), note("missing", found, "note", other=other)
    count = number(len(found["regions"]), "count")
    yield b.Fold("All regions as a table", rows, count, not drawn)
    yield from audit.hint([one for row in short for one in row["typical"]])
    cards = [_region(audit, row, kind, other) for row in short]
    yield from folded(cards, "region", "with fewer images missing")


def _region_table(found: doc.Comparison, kind: str, other: str) -> b.Table:
    short = ("no shortfall found", "falls short")
    readings = short if kind == "reference" else ("no change found", "changed")
    columns: Columns = {
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
    look = f"facts {kind}-regions"
    return table(found["regions"], columns, tone=_marked, left=(0, 7), look=look)


def _region(audit: Audit, row: doc.Region, kind: str, other: str) -> b.Card:
    missing = ("images missing", "{missing:count}", "{missing_low..missing_high:count|}")
    there = "{reference_share:percent}", "{reference_low..reference_high:percent}"
    figures: tuple[tuple[str, str, str], ...] = (
        ("of the images here", "{share:percent}", "{share_low..share_high:percent}"),
        (f"in the {other}", *there),
    )
    figures = (missing, *figures) if row["missing"] else figures
    return audit.card(
        b.Heading(f"Region {row['number']}"), row, figures,
        (row["typical"], f"In the {other}", f"{kind}_typical"),
        (row["nearest"], "Nearest here", "nearest"),
        explains=row.get("explains", ()), place=f"{kind}-{row['number']}",
        names=("Names of the images nearest here", row["nearest"]),
    )  # fmt: skip


# ---- annotated groups


def groups(audit: Audit) -> Blocks:
    groups = audit.document["groups"]
    if groups is None:
        known = ", ".join(audit.document["data"].get("known", ()))
        why = f"The data hold annotated columns that were not named ({known})"
        yield note("not_named", why=why if known else "No annotated column was named")
        return
    text = f"Who says to which group a face belongs: {source_name(groups['source'])}."
    if count := groups["comparisons"]:
        were = amount(count, "group was", "groups and crossings were")
        text += f" {were} compared with a declared share, and every p is adjusted for all of them."
    yield b.Sentence(text)
    if sentences := tuple(groups["sentences"]):
        yield b.Points(sentences[:CARDS_OPEN])
    if rest := sentences[CARDS_OPEN:]:
        yield b.Fold(amount(len(rest), "more sentence"), (b.Points(rest),))
    if not findings.is_declared(groups):
        yield note("undeclared", tone="caution")
    yield from audit.chart("crossing_shares")
    if max(map(len, doc.by_attribute(groups).values()), default=0) > GROUPS_DRAWN:
        yield note("groups_drawn", tone="note", most=str(GROUPS_DRAWN))
    yield from _group_tables(audit, "Images by", _share_table, folds_open=True)
    yield note("withheld", tone="note")
    yield from _rarity(audit, groups)


def _rarity(audit: Audit, groups: doc.Groups) -> Blocks:
    rows = list(doc.every_row(groups))
    yield b.Heading("Would weights by rarity reach these groups?")
    if not any(is_number(one) for row in rows for one in (row["auc"], row["weight_share"])):
        yield note("no_rarity")
        return
    yield from audit.doubt()
    yield from audit.chart("group_rarity")
    lost = any(is_number(row["set_aside"]) for row in rows)
    title = "Rarity and weights, and images set aside, by" if lost else "Rarity and weights by"
    yield from _group_tables(audit, title, lambda part: _weight_table(part, lost=lost))
    yield note("rarity", tone="note")


def _group_tables(
    audit: Audit,
    title: str,
    of_rows: Callable[[Sequence[doc.NamedGroup]], b.Table],
    *,
    folds_open: bool = False,
) -> Blocks:
    hidden = audit.document["data"].get("suppress_below", 1)
    for attribute, rows in doc.by_attribute(audit.document["groups"]).items():
        below = sum(row["verdict"] == "below" for row in rows) if folds_open else 0
        about = f", {number(below, 'count')} below the declared share" if below else ""
        is_open = folds_open and bool(below or len(rows) <= 8)
        name = f"{title} {attribute_name(attribute)}"
        table_of = of_rows([row for row in rows if not is_withheld(row)])
        gone = all_withheld((findings.short_name(row) for row in rows if is_withheld(row)), hidden)
        inside: tuple[b.Block, ...] = (table_of, *([b.Sentence(gone, "note")] if gone else []))
        yield b.Fold(name, inside, f"{amount(len(rows), 'group')}{about}", is_open)


def _named(row: doc.NamedGroup) -> b.Cell:
    return b.Cell(findings.short_name(row), title=row["group"])


def _share_table(rows: Sequence[doc.NamedGroup]) -> b.Table:
    columns: Columns = {
        "group": _named,
        "images": "{count:count}",
        "share": ("{share:percent}", "{low..high:percent}"),
        "declared": "{declared:percent|not declared}",
        "reading": findings.reading,
        "missing": "{missing:count|}",
        "p, adjusted": "{p_adjusted:p|not tested}",
    }
    return table(
        rows, columns, why_no_number, left=(0, 4), look="facts shares",
        tone=lambda row: "below" if row["verdict"] == "below" else "",
    )  # fmt: skip


def _weight_table(rows: Sequence[doc.NamedGroup], *, lost: bool) -> b.Table:
    raised = {True: "raised", False: "not raised", None: "cannot tell"}
    columns: Columns = {
        "group": _named,
        "found by rarity": ("{auc:auc}", "{auc_low..auc_high:auc}"),
        "share of the weight": "{weight_share:percent}",
        "weights": lambda row: raised[row["raised"]],
    }
    part = "{set_aside_share:percent}"
    if lost:
        columns["set aside"] = lambda row: said("{set_aside:count}", row, why_no_loss(row))
        columns["share set aside"] = lambda row: said(part, row, why_no_loss(row))
    return table(rows, columns, why_no_number, left=(0, 3), look="facts weights")


def why_no_loss(row: doc.Group) -> str:
    """What stands in the place of a number of images set aside."""
    if row["state"] == "suppressed":
        return "withheld"
    return "too few images" if is_number(row["set_aside"]) else "not known"


# ---- where looks are thin, and in which directions


def regions(audit: Audit) -> Blocks:
    found = audit.document["regions"]
    yield from audit.doubt()
    yield from told(found)
    looked = amount(found["looked_at"], "candidate was", "candidates were")
    yield note("thin_looked" if found["looked_at"] else "thin", found, looked=looked)
    thin = [row for row in found["list"] if row["found"]]
    yield from audit.hint([one for row in thin for one in row["typical"]])
    cards = [_thin(audit, row) for row in thin]
    yield from folded(cards, "thin region")
    if found["list"]:
        columns: Columns = {
            "region": lambda row: str(row["number"]),
            "seen": findings.seen,
            "images": "{count:count}",
            "share": ("{share:percent}", "{low..high:percent}"),
            "p": "{p:p}",
            "p, adjusted": "{p_adjusted:p}",
            "reading": lambda row: "thin" if row["found"] else "cannot tell",
        }
        rows = table(found["list"], columns, tone=_marked, left=(0, 1, 6), look="facts regions")
        count = f"{number(len(found['list']), 'count')}, found or not"
        yield b.Fold("All regions as a table", (rows,), count, not cards)


def _thin(audit: Audit, row: doc.ThinRegion) -> b.Card:
    figures = (
        ("images", "{count:count}", ""), ("of all", "{share:percent}", "{low..high:percent}"),
        ("p, adjusted", "{p_adjusted:p}", ""),
    )  # fmt: skip
    return audit.card(
        b.Heading(f"Thin region {row['number']}", findings.seen(row)), row, figures,
        (row["typical"], "In this region", "region_typical"),
        (row["opposite"], "In the bulk", "region_opposite"),
        steps=(audit.pictures.regions.get(row["number"]), "region_strip"),
        explains=row["explains"], place=f"region-{row['number']}",
        names=("Names of typical images of this region", row["typical"]),
    )  # fmt: skip


def directions(audit: Audit) -> Blocks:
    rows = audit.document["directions"]
    yield from audit.doubt()
    if not rows:
        yield note("no_direction")
        return
    yield note("direction")
    yield from audit.chart("directions")
    yield from audit.hint([one for row in rows for one in row["low"]])
    cards = [_direction(audit, row) for row in rows]
    yield from folded(cards, "direction", "less uneven", most=3)


def _direction(audit: Audit, row: doc.Direction) -> b.Card:
    figures = (
        ("of the images in the lower half of its range", "{low_share:percent}", ""),
        ("of the variation between images", "{variance_share:percent}", ""),
        ("skewness; 0 is even", "{skewness:signed}", ""),
    )
    return audit.card(
        b.Heading(f"Direction {row['number']}"), row, figures,
        (row["low"], "Low end", "direction_low"), (row["high"], "High end", "direction_high"),
        steps=(audit.pictures.directions.get(row["number"]), "direction_strip"),
    )  # fmt: skip


def coverage(audit: Audit) -> Blocks:
    found = audit.document["coverage"]
    yield from audit.doubt()
    yield b.Sentence(found["sentence"])
    yield from findings.action(found)
    yield from audit.chart("coverage")
    cells = said("{occupied:count} of {cells:count} hold an image", found)
    effective, tenth = found["effective_cells"], found["densest_tenth"]
    uneven = _beside_bells(effective, found["bell"]["effective_cells"], "count", "")
    densest = _beside_bells(tenth, found["bell"]["densest_tenth"], "percent", " of the images")
    yield b.Facts((
        ("cells", cells), ("equally full cells that would be as uneven", uneven),
        ("densest tenth of the cells", densest),
    ))  # fmt: skip


def _beside_bells(value: doc.Number, bell: Sequence[doc.Number], kind: str, what: str) -> b.Text:
    low, high = bell or (None, None)
    text = f"{{value:{kind}|too few images}}{what if is_number(value) else ''}"
    if is_number(low) and is_number(high):
        text += f"; single bell-shaped clouds of this size: {{low..high:{kind}}}"
    return said(text, None, value=value, low=low, high=high)


def the_map(audit: Audit) -> Blocks:
    found = audit.document["map"]
    yield from audit.doubt()
    if audit.pictures.map is None:
        yield note("no_map")
        return
    some = "{shown:count} of" if found["shown"] < found["of"] else "All"
    text = f"{{note}} {some} {{of:count}} images are drawn, laid out by {{method}}."
    yield b.Sentence(said(text, found))
    yield from audit.chart("map_faces")
    if audit.has_pictures and "map_faces" not in audit.charts:
        yield note("show_faces", tone="note")
    plain = (audit.chart(name) for name in ("map_density", "map_regions", "map_cluster"))
    names = map_names(audit.pictures.map).values()
    yield from beside(*plain, *(audit.chart(name, "map_annotation") for name in names))


def clusters(audit: Audit) -> Blocks:
    rows = audit.document["clusters"]
    yield from audit.doubt()
    if not rows:
        yield note("no_cluster")
        return
    yield note("cluster")
    yield from audit.chart("clusters")
    yield from audit.hint([one for row in rows for one in row["typical"]])
    yield b.Grid(tuple(tuple(_cluster(audit, row)) for row in rows), "17rem")
    yield note("density", tone="note")


def _cluster(audit: Audit, row: doc.Cluster) -> Blocks:
    yield b.Heading(f"Cluster {row['number']}")
    text = "{count:count} images, {share:percent} ({low..high:percent}); density {density:times}"
    yield b.Sentence(said(text, row), "note")
    yield from audit.shot(row["typical"], "", "cluster_typical", most=6)


def extremes(audit: Audit) -> Blocks:
    least, most = audit.document["extremes"]["least"], audit.document["extremes"]["most"]
    yield from audit.doubt()
    yield from audit.hint([*least, *most])
    if not least and not most:
        yield note("no_extremes")
        return
    yield note("extremes")
    yield from beside(
        audit.shot(least, "Least represented", "least", MOST),
        audit.shot(most, "Most represented", "most", MOST),
    )
    yield from audit.names("Names of the least represented", least, MOST)


# ---- what the model draws, and does not explain


def model(audit: Audit) -> Blocks:
    found, drawn = audit.document["latent_pages"], audit.pictures.pages
    if not found or not found["pages"]:
        yield note("no_drawings")
        return
    if not audit.has_pictures:
        yield note("drawings_hidden")
        return
    yield note("drawings")
    if not all(page["name"] in drawn for page in found["pages"]):
        yield note("show_faces", tone="note")
    for page in found["pages"]:
        yield b.Heading(page["title"])
        yield latent_page(page, drawn.get(page["name"]))


def latent_page(page: doc.Sheet, drawn: UInt8[np.ndarray, "rows columns H W 3"] | None) -> b.Block:
    """A strip a label, or one block where rows have no label; without pictures, what they mean."""
    caption = said("{means} What to do: {do}", page)
    if drawn is None or not drawn.size:
        return b.Sentence(caption)
    rows, columns = drawn.shape[:2]
    labels = tuple(page["rows"]) if len(page["rows"]) == rows else ()
    images = (
        tuple(webp(contact_sheet(shrink(row), columns, gap=0)) for row in drawn)
        if labels
        else (sheet(drawn.reshape(rows * columns, *drawn.shape[2:]), columns, gap=1),)
    )
    width = f"{STEP_WIDTH * columns:g}rem"
    return b.Faces(images, page["title"], caption=caption, width=width, labels=labels)


def anomalies(audit: Audit) -> Blocks:
    found = audit.document["anomalies"]
    if found is None:
        yield note("no_nats")
        return
    yield from audit.doubt()
    yield b.Sentence(found["sentence"])
    yield note("typical_nats", found, "note")
    worst = found["worst"][:MOST]
    ids = [one["sample_id"] for one in worst]
    yield from audit.hint(ids)
    yield from audit.shot(ids, "", "anomalies", MOST)
    nats = [said("{nats:count} nats", one) for one in worst]
    named = tuple(zip(nats, map(audit.pictures.called, ids), strict=True))
    count = number(len(worst), "count")
    yield b.Fold("The images by name, in this order", (b.Facts(named),), count)
