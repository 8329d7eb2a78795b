"""An audit's page on sets and groups: against a reference, since before, and by annotation."""

from collections.abc import Callable, Iterator, Sequence

from debias.report import audit_findings as findings
from debias.report import blocks as b
from debias.report.audit_blocks import (
    CARDS_OPEN,
    MOST,
    Audit,
    Blocks,
    Document,
    beside,
    explained,
    folded,
    marked,
    numbers,
    told,
)
from debias.report.audit_findings import every_row
from debias.report.blocks import said, table
from debias.report.charts.style import GROUPS_DRAWN
from debias.report.panels import panels
from debias.report.readings import source_name
from debias.report.words import (
    amount,
    attribute_name,
    is_number,
    number,
    shown,
)


def reference(audit: Audit) -> Blocks:
    text = (
        "No reference was given, so this collection was not compared with what it should look "
        "like: name an unlabelled collection that looks as it should with `--reference FOLDER` "
        "(in a recipe: `reference`)."
    )
    found = audit.document["reference"]
    yield from _comparison(audit, found, "reference") if found else (b.Sentence(said(text)),)


def drift(audit: Audit) -> Blocks:
    text = (
        "No earlier version was given: name older images or an older store with `--earlier FOLDER` "
        "(in a recipe: `earlier`), and what was added since is compared with what was there."
    )
    found = audit.document["drift"]
    yield from _comparison(audit, found, "drift") if found else (b.Sentence(said(text)),)


def _comparison(audit: Audit, found: Document, kind: str) -> Blocks:
    other = "reference" if kind == "reference" else "earlier version"
    yield from audit.doubt()
    yield from told(found)
    if found["telltale"]:
        text = (
            "A classifier tells the two sets apart almost without error. That is the mark of "
            "another camera, size or compression rather than of other people: believe the numbers "
            "below only after both sets were prepared alike."
        )
        yield b.Sentence(text, "caution")
    yield from audit.chart(f"{kind}_distance", "distance")
    yield b.Facts(tuple(_distances(found, kind)))
    if found["regions"]:
        yield from _compared_regions(audit, found, kind, other)
    more, less = f"ost like what the {other} has more of", f"Least like the {other}"
    shots = *beside(
        audit.shot(found["wanted"], f"M{more}", "wanted", MOST),
        audit.shot(found["unwanted"], less, "unwanted", MOST),
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
    drawn = (*audit.chart(f"{kind}_regions"),)
    yield from drawn
    count = number(len(found["regions"]), "count")
    yield b.Fold("All regions as a table", _region_table(found, kind, other), count, not drawn)
    yield from audit.hint([one for row in short for one in row["typical"]])
    cards = [
        b.Card(tuple(_region(audit, row, kind, other)), place=f"{kind}-{row['number']}")
        for row in short
    ]
    yield from folded(cards, "region", "with fewer images missing")


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
    rows = table(found["regions"], columns, tone=marked, left=(0, 7), look=look)
    return rows, b.Sentence(said(text, found), "note")


def _region(audit: Audit, row: Document, kind: str, other: str) -> Blocks:
    yield b.Heading(f"Region {row['number']}")
    yield b.Sentence(row["sentence"])
    missing = ("images missing", "{missing:count}", "{missing_low..missing_high:count|}")
    some = is_number(row["missing"]) and row["missing"] > 0
    yield numbers(
        row, *((missing,) if some else ()),
        ("of the images here", "{share:percent}", "{share_low..share_high:percent}"),
        (f"in the {other}", "{reference_share:percent}", "{reference_low..reference_high:percent}"),
    )  # fmt: skip
    yield from beside(
        audit.shot(row["typical"], f"In the {other}", f"{kind}_typical"),
        audit.shot(row["nearest"], "Nearest here", "nearest"),
    )
    yield from explained(row.get("explains"))
    yield from audit.names("Names of the images nearest here", row["nearest"])


def groups(audit: Audit) -> Blocks:
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
    yield from audit.chart("group_rarity")
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
