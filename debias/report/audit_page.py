"""The page about an audit: who is missing, how sure that is, and what to collect."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from debias.report import audit_document as doc
from debias.report import audit_sections as sections
from debias.report import blocks as b
from debias.report.audit_blocks import Audit, Blocks, note, numbers
from debias.report.audit_charts import audit_figures
from debias.report.audit_findings import (
    WORDS,
    action,
    collect,
    is_declared,
    opening,
    why_nothing_to_collect,
)
from debias.report.blocks import said
from debias.report.html import put, render
from debias.report.pictures import AuditPictures
from debias.report.run_page import how_described, representation_facts, set_aside
from debias.report.texts import sections_of
from debias.report.words import (
    amount,
    day,
    full_group_name,
    is_number,
    number,
    plain_value,
    shown,
    words,
)

CALM = ("nothing", "coverage", "who", "undeclared")
# The picture of the first screen: the first of these that was drawn.
FIRST = ("group_shares", "reference_regions", "map_density")


def write_audit_page(
    document: doc.Document, pictures: AuditPictures, path: Path
) -> dict[str, bytes]:
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


def render_audit(document: doc.Document, pictures: AuditPictures) -> str:
    """The page about an audit as text."""
    return render(page(document, pictures, audit_figures(document, pictures)))


def page(document: doc.Document, pictures: AuditPictures, charts: Mapping[str, bytes]) -> b.Page:
    """What the page says, from top to bottom."""
    name, data = document["name"], document["data"]
    first = next((one for one in FIRST if one in charts), "")
    audit = Audit(document, pictures, {one: svg for one, svg in charts.items() if one != first})
    parts: dict[str, Callable[[Audit], Blocks]] = {
        "collect": _collect, "how": _how_seen, "reference": sections.reference,
        "drift": sections.drift, "groups": sections.groups, "regions": sections.regions,
        "directions": sections.directions, "coverage": sections.coverage, "map": sections.the_map,
        "clusters": sections.clusters, "extremes": sections.extremes, "model": sections.model,
        "anomalies": sections.anomalies, "limits": _limits, "read": _how_to_read,
        "provenance": _provenance,
    }  # fmt: skip
    made, images = day(document["created"]), amount(data["images"], "image")
    return b.Page(
        title=f"{shown(name)}: who is missing from this collection?",
        kicker=f"{shown(name)} · {images} · read as {data['name']} · {made}",
        heading="Who is missing from this collection?",
        opening=tuple(_opening(Audit(document, pictures, charts), first)),
        sections=sections_of(WORDS["sections"], {name: parts[name](audit) for name in parts}),
        footer=f"Made by debias {document['version']}, {made}, audit schema {document['schema']}. "
        + WORDS["notes"]["footer"],
        crisp=data["image_size"] < 40,
    )


# ---- the first screen


def _opening(audit: Audit, first: str) -> Blocks:
    """In a few words and one picture: who is there, who is missing, how sure, and what to do."""
    yield b.Facts(tuple(_in_short(audit)))
    declared = first == "group_shares" and is_declared(audit.document["groups"])
    yield from audit.chart(first, "first_declared" if declared else f"first_{first}")
    verdicts = audit.document["verdicts"]
    findings = tuple(map(_finding, verdicts)) or (b.Sentence(WORDS["notes"]["no_finding"]),)
    counted = b.Numbers(tuple(_headline(audit.document)))
    yield b.Fold("All findings, the worst first", (*findings, counted), str(len(verdicts)))
    if not audit.has_pictures:
        yield note("show_faces", tone="note")


def _in_short(audit: Audit) -> Iterator[tuple[b.Text, b.Text]]:
    document = audit.document
    if row := _fewest(document["groups"]):
        who = full_group_name(row["group"])
        yield "Who is there", said(WORDS["short"]["fewest"], row, who=who)
    else:
        yield "Who is there", said(WORDS["short"]["unnamed"], document["data"])
    # Shares of groups do not rest on what the model sees, so they come first.
    compared = document["reference"] or document["drift"] or is_declared(document["groups"])
    found = [row for part in reversed(collect(document).values()) for row in part[:1]]
    if found:
        yield "Who is missing", said("{missing:count} {who}", found[0])
        doubt = f". {WORDS['short']['one_face']}" if audit.is_blurred else ""
        yield "How sure", said(WORDS["short"]["sure"] + doubt, found[0])
    else:
        yield "Who is missing", WORDS["short"]["nothing" if compared else "not_compared"]
        if audit.is_blurred:
            yield "How sure", WORDS["short"]["blurred"]
    steps = {one["kind"]: one["action"] for one in reversed(document["verdicts"]) if one["action"]}
    by_group = steps.get("group") if found and found[0]["link"] == "groups" else None
    if not found and not compared:  # then something to compare with comes before a better model
        by_group = steps.get("undeclared")
    if step := by_group or next(reversed(steps.values()), None):
        yield "Next", opening(step)[0]


def _fewest(groups: doc.Groups | None) -> doc.Group | None:
    """The smallest group of any attribute."""
    rows = doc.every_row(groups, crossed=False)
    known = [row for row in rows if row["state"] != "unknown" and row["share"] is not None]
    return min(known, key=lambda row: row["share"] or 0.0, default=None)


def _finding(found: doc.Verdict) -> b.Card:
    title, section = WORDS["kinds"].get(found["kind"], ("Finding", "limits"))
    first, rest = opening(found["sentence"])
    return b.Card(
        (b.Sentence(b.Link(title, f"#{section}"), "note"), b.Sentence(b.Strong(first)),
         *((b.Sentence(rest),) if rest else ()), *action(found)),
        "calm" if found["kind"] in CALM else "caution",
    )  # fmt: skip


def _headline(document: doc.Document) -> Iterator[b.Number]:
    """Up to three large numbers: images, thin regions, images to collect."""
    regions, reference = document["regions"], document["reference"]
    yield b.Number("images audited", b.Value(document["data"]["images"], "count"))
    thin, looked = sum(row["found"] for row in regions["list"]), regions["looked_at"]
    value = b.Value(
        None if regions["verdict"] == "too_few" else thin, "count", "too few images to look"
    )
    yield b.Number(
        "thin regions found", value, (f"of {number(looked, 'count')} looked at" * bool(looked),)
    )
    if reference is not None:
        missing = b.Value(reference["missing_total"], "count", "not estimated")
        yield b.Number("images to collect", missing, ("to look like the reference",))


# ---- what to collect, what it rests on, and where it comes from


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
        if reference and reference["missing_total"] and len(rows) > 1:
            yield note("fill_all", reference)
    yield note("each_alone", tone="note")


def _wanted(audit: Audit, row: doc.Wanted) -> Blocks:
    yield numbers(row, ("more", "{missing:count}", "{low..high:count|}"))
    is_more = (row["together"] or 0) > row["missing"]
    together = ", or {together:count} where all are filled at once" if is_more else ""
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
    yield from set_aside(document["data"]["set_aside"])
    if facts := tuple(representation_facts(document["representation"])):
        yield b.Fold("Figures of the model", (b.Facts(facts),))
    if run["seconds"]:
        spent = tuple((words(one), b.Value(t, "seconds")) for one, t in run["seconds"].items())
        yield b.Fold("Time by stage", (b.Facts(spent),))
    settings = json.dumps(run["config"], indent=2, ensure_ascii=False, default=plain_value)
    yield b.Fold("Configuration", (b.Preformatted(settings),))


def _origin(document: doc.Document) -> Iterator[tuple[str, str]]:
    """Where the images came from and how they were audited."""
    data, run, facts = document["data"], document["run"], document["representation"]
    splits = ", ".join(f"{number(n, 'count')} {split}" for split, n in data["splits"].items())
    spent = sum(filter(is_number, run["seconds"].values()))
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
    if lost := run.get("unpublished"):
        yield "Not published", shown(lost, 600)
