"""The page about an audit: who is missing, how sure that is, and what to collect."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from debias.report import audit_sections as sections
from debias.report import blocks as b
from debias.report.audit_blocks import Audit, Blocks, Document, note, numbers
from debias.report.audit_charts import audit_figures
from debias.report.audit_findings import (
    WORDS,
    action,
    collect,
    every_row,
    opening,
    why_nothing_to_collect,
)
from debias.report.blocks import said, table
from debias.report.html import put, render
from debias.report.pictures import AuditPictures
from debias.report.run_page import how_described, representation_facts
from debias.report.words import amount, day, is_number, number, plain_value, shown, words

CALM = ("nothing", "coverage", "who", "undeclared")
FIRST_SCREEN = 55  # words of the findings above the picture


def write_audit_page(document: Document, pictures: AuditPictures, path: Path) -> dict[str, bytes]:
    """Write the page about an audit, or leave what was there untouched; the charts as SVG by name.

    Every number and sentence is printed as the document states it; nothing is computed again. Of
    ``reference``, ``drift``, ``groups``, ``latent_pages`` and ``anomalies`` that are None the page
    says why. Only pictures of which the document speaks are embedded; faces are among them only
    where the configuration allows it. The file is readable by its owner alone.

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
    parts: dict[str, Callable[[Audit], Blocks]] = {
        "collect": _collect, "how": _how_seen,
        "reference": partial(sections.comparison, kind="reference", other="reference"),
        "drift": partial(sections.comparison, kind="drift", other="earlier version"),
        "groups": sections.groups, "regions": sections.regions, "directions": sections.directions,
        "coverage": sections.coverage, "map": sections.the_map, "clusters": sections.clusters,
        "extremes": sections.extremes, "model": sections.model, "anomalies": sections.anomalies,
        "limits": _limits, "read": _how_to_read, "provenance": _provenance,
    }  # fmt: skip
    made, side = day(document["created"]), data["image_size"]
    images = amount(data["images"], "image")
    return b.Page(
        title=f"{shown(name)}: who is missing from this collection?",
        kicker=f"{shown(name)} · {images} · read as {data['name']} · {made}",
        heading="Who is missing from this collection?",
        opening=tuple(_opening(audit)),
        sections=[
            b.Section(place, title, tuple(parts[place](audit)), name)
            for place, (name, title) in WORDS["sections"].items()
        ],
        footer=f"Made by debias {document['version']}, {made}, audit schema {document['schema']}. "
        + WORDS["notes"]["footer"],
        crisp=is_number(side) and side < 40,
    )


def _opening(audit: Audit) -> Blocks:
    """Who is missing in a few words and one picture; then every finding, the worst first."""
    verdicts = audit.document["verdicts"]
    if not verdicts:
        yield b.Card((b.Sentence("This audit states no finding."),), "calm")
    ahead = _ahead(verdicts)
    for found in verdicts[:ahead]:
        yield _finding(found, b.Sentence(b.Strong(opening(found["sentence"])[0])))
    declared = any(is_number(row["declared"]) for row in every_row(audit.document))
    yield from audit.chart("group_shares", "declared_shares" if declared else "group_shares")
    for place, found in enumerate(verdicts):
        first, rest = opening(found["sentence"])
        head = (b.Sentence(b.Strong(first)),) if place >= ahead else ()
        blocks = *head, *((b.Sentence(rest),) if rest else ()), *action(found)
        if blocks:
            yield _finding(found, *blocks)
    if not audit.has_pictures:
        yield note("show_faces", tone="note")
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
    title, section = WORDS["kinds"].get(found["kind"], ("Finding", "limits"))
    about = b.Sentence(b.Link(title, f"#{section}"), "note")
    return b.Card((about, *blocks), "calm" if found["kind"] in CALM else "caution")


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
    parts = collect(audit.document)
    if not parts:
        yield b.Sentence(why_nothing_to_collect(audit.document))
        return
    for title, rows in parts.items():
        yield b.Heading(title)
        reference = audit.document["reference"] if rows[0]["link"] != "groups" else None
        yield from audit.doubt() if reference else ()
        yield b.Grid(tuple((b.Card(tuple(_wanted(audit, one))),) for one in rows), "15.5rem")
        yield from audit.hint([one for row in rows for one in row["ids"]])
        if reference and is_number(reference["missing_total"]) and len(rows) > 1:
            yield note("fill_all", reference)
    yield note("each_alone", tone="note")


def _wanted(audit: Audit, row: Document) -> Blocks:
    yield numbers(row, ("more", "{missing:count}", "{low..high:count|}"))
    together = ""
    if is_number(row["together"]) and row["together"] > row["missing"]:
        together = ", or {together:count} where all are filled at once"
    yield b.Sentence(said(f"{{who}}{together}. {{why}}", row, why=b.Link("Why", f"#{row['link']}")))
    yield from audit.shot(row["ids"], "", "collect", most=6)


def _how_seen(audit: Audit) -> Blocks:
    """How the images came to be points in a space, for somebody who never heard of one."""
    facts, fidelity = audit.document["representation"], audit.document.get("fidelity")
    yield b.Sentence(how_described(facts))
    yield note("landscape", facts)
    if fidelity is not None:
        yield b.Sentence(fidelity["sentence"])
    elsewhere = facts["name"] in ("embeddings", "encoder")
    yield note("alike_elsewhere" if elsewhere else "alike_pixels")


def _how_to_read(_: Audit) -> Blocks:
    yield b.Facts(tuple(WORDS["glossary"].items()))


def _limits(audit: Audit) -> Blocks:
    yield b.Points(tuple(audit.document["limits"]) or (WORDS["notes"]["no_limits"],))


def _provenance(audit: Audit) -> Blocks:
    document, run = audit.document, audit.document["run"]
    yield b.Facts(tuple(_origin(document)))
    yield note("files", tone="note")
    aside = document["data"]["set_aside"]
    if aside["count"]:
        reasons = table(aside["reasons"], {"reason": "{reason}", "images": "{count:count}"})
        named = note("set_aside", tone="note", file=b.Code(aside["list"]))
        title = f"{amount(aside['count'], 'image')} set aside"
        yield b.Fold(title, (reasons, named), "not part of any number here")
    if facts := tuple(representation_facts(document["representation"])):
        yield b.Fold("Figures of the model", (b.Facts(facts),))
    if run["seconds"]:
        spent = tuple((words(one), b.Value(t, "seconds")) for one, t in run["seconds"].items())
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
