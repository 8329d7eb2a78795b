"""The page about an audit: who is missing, how sure that is, and what to collect."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from debias.report import audit_space_view, audit_view, facts
from debias.report.audit_captions import CAPTIONS
from debias.report.audit_charts import audit_figures
from debias.report.audit_comparison_view import comparison
from debias.report.audit_faces import lacks_faces, sheet
from debias.report.audit_groups_view import group_tables, what_is_known
from debias.report.board import View
from debias.report.charts.maps import map_names
from debias.report.charts.style import GROUPS_DRAWN
from debias.report.html import embedded, fill, put
from debias.report.ingest_view import shown
from debias.report.pictures_of_audits import AuditPictures
from debias.report.readings import source_name
from debias.report.words import day, plain_value, words

Document = Mapping[str, Any]


def write_audit_page(document: Document, pictures: AuditPictures, path: Path) -> dict[str, bytes]:
    """Write the page about an audit, or leave what was there untouched.

    Every number and sentence is printed as the document states it; nothing is computed again.
    ``None`` in the place of a number is undefined or withheld, shares are in [0, 1].

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
    put(path, _filled(document, pictures, drawn))
    return drawn


def render_audit(document: Document, pictures: AuditPictures) -> str:
    """The page about an audit as text."""
    return _filled(document, pictures, audit_figures(document, pictures))


def _filled(document: Document, pictures: AuditPictures, drawn: Mapping[str, bytes]) -> str:
    return fill("audit.html", {**_view(document, pictures), "charts": embedded(drawn)})


def _view(document: Document, pictures: AuditPictures) -> View:
    return {
        "document": document,
        "name": shown(document["name"]),
        "created": day(document["created"]),
        "captions": CAPTIONS,
        "opening": audit_view.opening,
        **_findings(document, pictures),
        **_sections(document, pictures),
        **_space(document, pictures),
        "provenance": audit_view.provenance(document),
        "representation_facts": facts.representation_facts(document["representation"]),
        "configuration": json.dumps(
            document["run"]["config"], indent=2, ensure_ascii=False, default=plain_value
        ),
    }


def _findings(document: Document, pictures: AuditPictures) -> View:
    verdicts = audit_view.verdicts(document)
    first = audit_view.first(verdicts)
    return {
        "verdicts": verdicts[:first],
        "more_verdicts": verdicts[first:],
        "doubt": audit_view.doubt(document),
        "unnamed": audit_view.unnamed(document),
        "no_faces": not (pictures.faces or pictures.pages),
        "figures": audit_view.headline_figures(document),
        "collect": [_with_faces(part, pictures) for part in audit_view.collect(document)],
        "nothing_to_collect": audit_view.why_nothing_to_collect(document),
        "how_seen": audit_view.how_seen(document),
    }


def _with_faces(part: View, pictures: AuditPictures) -> View:
    rows = [{**row, "faces": sheet(row["ids"], pictures, most=6)} for row in part["rows"]]
    return {**part, "rows": rows, "lacking": lacks_faces(row["faces"] for row in rows)}


def _sections(document: Document, pictures: AuditPictures) -> View:
    return {
        "reference": comparison(document, "reference", pictures),
        "drift": comparison(document, "drift", pictures),
        "groups": group_tables(document),
        "known": what_is_known(document),
        "groups_drawn": GROUPS_DRAWN,
        "said_by": source_name(document["groups"]["source"]) if document["groups"] else "",
        "map_names": {words(name): drawn for name, drawn in map_names(pictures.map).items()},
    }


def _space(document: Document, pictures: AuditPictures) -> View:
    directions = audit_space_view.directions(document, pictures)
    clusters = audit_space_view.clusters(document, pictures)
    extremes = audit_space_view.extremes(document, pictures)
    pages = audit_space_view.latent_pages(document, pictures)
    return {
        "regions": audit_space_view.regions(document, pictures),
        "directions": directions,
        "clusters": clusters,
        "extremes": extremes,
        "latent_pages": pages,
        "anomalies": audit_space_view.anomalies(document, pictures),
        "lacking": {
            "directions": lacks_faces(row["low"] for row in directions),
            "clusters": lacks_faces(row["typical"] for row in clusters),
            "extremes": lacks_faces(extremes.values()),
            "latent_pages": not all(page["strips"] or page["block"] for page in pages),
        },
    }
