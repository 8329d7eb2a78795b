"""An audit's page on looks: where they are thin, in which directions, and what the model draws."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from debias.report import audit_findings as findings
from debias.report import blocks as b
from debias.report.audit_blocks import (
    MOST,
    SHOW_FACES,
    STEP_WIDTH,
    Audit,
    Blocks,
    Document,
    beside,
    explained,
    folded,
    marked,
    numbers,
    sheet,
    strip,
    told,
)
from debias.report.blocks import said, table
from debias.report.charts.maps import map_names
from debias.report.pictures import contact_sheet, shrink, webp
from debias.report.words import (
    TIMES,
    amount,
    is_number,
    number,
)


def regions(audit: Audit) -> Blocks:
    found = audit.document["regions"]
    yield from audit.doubt()
    yield from told(found)
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
    yield from folded(cards, "thin region")
    if found["list"]:
        note = f"{number(len(found['list']), 'count')}, found or not"
        yield b.Fold("All regions as a table", (_thin_table(found["list"]),), note, not cards)


def _thin(audit: Audit, row: Document) -> Blocks:
    yield b.Heading(f"Thin region {row['number']}", findings.seen(row))
    yield b.Sentence(row["sentence"])
    yield numbers(
        row, ("images", "{count:count}", ""), ("of all", "{share:percent}", "{low..high:percent}"),
        ("p, adjusted", "{p_adjusted:p}", ""),
    )  # fmt: skip
    yield from strip(audit.pictures.regions.get(row["number"]), "region_strip")
    yield from beside(
        audit.shot(row["typical"], "In this region", "region_typical"),
        audit.shot(row["opposite"], "In the bulk", "region_opposite"),
    )
    yield from explained(row["explains"])
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
    return table(rows, columns, tone=marked, left=(0, 1, 6), look="facts regions")


def directions(audit: Audit) -> Blocks:
    rows = audit.document["directions"]
    yield from audit.doubt()
    if not rows:
        yield b.Sentence("No direction carries enough variation to be looked at.")
        return
    yield b.Sentence(
        "A direction is one way in which the images differ from each other: say, from dark to "
        "light, or from one side to the other. The most uneven come first."
    )
    yield from audit.chart("directions")
    yield from audit.hint([one for row in rows for one in row["low"]])
    cards = [b.Card(tuple(_direction(audit, row))) for row in rows]
    yield from folded(cards, "direction", "less uneven", most=3)


def _direction(audit: Audit, row: Document) -> Blocks:
    yield b.Heading(f"Direction {row['number']}")
    yield b.Sentence(row["sentence"])
    yield numbers(
        row, ("of the images in the lower half of its range", "{low_share:percent}", ""),
        ("of the variation between images", "{variance_share:percent}", ""),
        ("skewness; 0 is even", "{skewness:signed}", ""),
    )  # fmt: skip
    yield from strip(audit.pictures.directions.get(row["number"]), "direction_strip")
    yield from beside(
        audit.shot(row["low"], "Low end", "direction_low"),
        audit.shot(row["high"], "High end", "direction_high"),
    )


def coverage(audit: Audit) -> Blocks:
    found = audit.document["coverage"]
    yield from audit.doubt()
    yield b.Sentence(found["sentence"])
    yield from findings.action(found)
    yield from audit.chart("coverage")
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


def the_map(audit: Audit) -> Blocks:
    found = audit.document["map"]
    yield from audit.doubt()
    if "map_density" not in audit.charts:
        yield b.Sentence("No map was drawn.")
        return
    some = "{shown:count} of" if found["shown"] < found["of"] else "All"
    text = f"{{note}} {some} {{of:count}} images are drawn, laid out by {{method}}."
    yield b.Sentence(said(text, found))
    yield from audit.chart("map_faces")
    if audit.has_pictures and "map_faces" not in audit.charts:
        yield b.Sentence(said(SHOW_FACES), "note")
    plain = (audit.chart(name) for name in ("map_density", "map_regions", "map_cluster"))
    names = map_names(audit.pictures.map).values()
    yield from beside(*plain, *(audit.chart(name, "map_annotation") for name in names))


def clusters(audit: Audit) -> Blocks:
    rows = audit.document["clusters"]
    yield from audit.doubt()
    if not rows:
        yield b.Sentence("The images were not clustered.")
        return
    yield from audit.chart("clusters")
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
    yield from audit.shot(row["typical"], "", "cluster_typical", most=6)


def extremes(audit: Audit) -> Blocks:
    least, most = (audit.document["extremes"][end] for end in ("least", "most"))
    yield from audit.doubt()
    yield from audit.hint([*least, *most])
    if not least and not most:
        yield b.Sentence("No image was ranked.")
        return
    yield from beside(
        audit.shot(least, "Least represented", "least", MOST),
        audit.shot(most, "Most represented", "most", MOST),
    )
    yield from audit.names("Names of the least represented", least, MOST)


def model(audit: Audit) -> Blocks:
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
        else (sheet(drawn.reshape(rows * columns, *drawn.shape[2:]), columns, gap=1),)
    )
    width = f"{STEP_WIDTH * columns:g}rem"
    yield b.Faces(images, page["title"], caption=caption, width=width, labels=labels)


def anomalies(audit: Audit) -> Blocks:
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
    yield from audit.shot(ids, "", "anomalies", MOST)
    nats = [said("{nats:count} nats", one) for one in worst]
    named = tuple(zip(nats, map(audit.pictures.called, ids), strict=True))
    count = number(len(worst), "count")
    yield b.Fold("The images by name, in this order", (b.Facts(named),), count)
