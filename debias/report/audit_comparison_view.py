"""One comparison of an audit, with a reference or with an earlier version, and its faces."""

from collections.abc import Mapping
from typing import Any

from debias.report.audit_faces import lacks_faces, sheet
from debias.report.audit_space_view import CARDS_OPEN, MOST, explained
from debias.report.board import View
from debias.report.ingest_view import shown
from debias.report.pictures_of_audits import AuditPictures

Document = Mapping[str, Any]
ANOTHER_CAMERA = (
    "A classifier tells the two sets apart almost without error. That is the mark of another "
    "camera, size or compression rather than of other people: believe the numbers below only "
    "after both sets were prepared alike."
)
# What the document finds, and does not find, of a region.
READINGS = {
    "reference": {True: "falls short", False: "not found to fall short"},
    "drift": {True: "changed", False: "not found to have changed"},
}


def comparison(document: Document, kind: str, pictures: AuditPictures) -> View | None:
    """What the page shows of a comparison; None where there was none.

    Args:
        document: An audit document.
        kind: ``reference`` or ``drift``.
        pictures: Where the faces are.
    """
    found = document[kind]
    if found is None:
        return None
    cards = [_card(row, pictures) for row in found["regions"] if row["found"]]
    return {
        **found,
        "title": shown(found["name"]),
        "kind": kind,
        "other": "reference" if kind == "reference" else "earlier version",
        "reading": READINGS[kind],
        "caution": ANOTHER_CAMERA if found["telltale"] else None,
        "lacking": lacks_faces(card["typical"] for card in cards),
        "open": cards[:CARDS_OPEN],
        "folded": cards[CARDS_OPEN:],
        "wanted": sheet(found["wanted"], pictures, most=MOST),
        "unwanted": sheet(found["unwanted"], pictures, most=MOST),
    }


def _card(row: Mapping[str, Any], pictures: AuditPictures) -> View:
    return {
        **row,
        "typical": sheet(row["typical"], pictures),
        "nearest": sheet(row["nearest"], pictures),
        "explains": explained(row.get("explains")),
    }
