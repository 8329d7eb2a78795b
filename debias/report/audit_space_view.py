"""Thin regions, directions, clusters and single images of an audit, with their faces."""

from collections.abc import Mapping, Sequence
from typing import Any

from debias.report.audit_faces import lacks_faces, latent_page, sheet, strip, tiles
from debias.report.board import View
from debias.report.pictures_of_audits import AuditPictures
from debias.report.words import full_group_name

Document = Mapping[str, Any]
VIEWS = {
    "latents": "as the model describes the images",
    "descriptors": "by plain measures such as brightness, contrast and sharpness",
    "colour": "by colour",
    "structure": "by light and dark",
    "gradients": "by edges",
    "tones": "by the tones of the whole image",
    "pixels": "by coarse pixels",
}
MOST = 24  # faces on the sheets of whole sections
CARDS_OPEN = 6


def regions(document: Document, pictures: AuditPictures) -> View:
    """The thin regions that were found as cards, and the rows of all that were listed."""
    listed = document["regions"]["list"]
    cards = [_region(row, pictures) for row in listed if row["found"]]
    return {
        **document["regions"],
        "lacking": lacks_faces(card["typical"] for card in cards),
        "open": cards[:CARDS_OPEN],
        "folded": cards[CARDS_OPEN:],
        "rows": [{**row, "seen": VIEWS.get(row["view"], row["view"])} for row in listed],
    }


def _region(row: Mapping[str, Any], pictures: AuditPictures) -> View:
    return {
        **row,
        "seen": VIEWS.get(row["view"], row["view"]),
        "strip": strip(pictures.regions.get(row["number"])),
        "typical": sheet(row["typical"], pictures),
        "opposite": sheet(row["opposite"], pictures),
        "explains": explained(row["explains"]),
    }


def explained(rows: Sequence[Mapping[str, Any]] | None) -> list[View]:
    """What the annotation says of a region: the share of each group inside and outside."""
    return [{**row, "name": full_group_name(row["group"]), "why": _why(row)} for row in rows or ()]


def _why(row: Mapping[str, Any]) -> str:
    """What stands in the place of a share that is not told."""
    return "more than half" if row.get("most") else "withheld"


def directions(document: Document, pictures: AuditPictures) -> list[View]:
    """Directions in which the images differ, most uneven first, each with both of its ends."""
    return [
        {
            **row,
            "strip": strip(pictures.directions.get(row["number"])),
            "low": sheet(row["low"], pictures),
            "high": sheet(row["high"], pictures),
        }
        for row in document["directions"]
    ]


def clusters(document: Document, pictures: AuditPictures) -> list[View]:
    """Clusters, smallest first, each with its most typical images in one row."""
    return [
        {**row, "typical": sheet(row["typical"], pictures, most=6)} for row in document["clusters"]
    ]


def extremes(document: Document, pictures: AuditPictures) -> dict[str, View]:
    """The images with the emptiest and with the most crowded surroundings."""
    found = document["extremes"]
    return {end: sheet(found[end], pictures, most=MOST) for end in ("least", "most")}


def anomalies(document: Document, pictures: AuditPictures) -> View | None:
    """The images that the model explains worst."""
    found = document["anomalies"]
    if found is None:
        return None
    worst = tiles(found["worst"][:MOST], pictures)
    return {**found, "worst": worst, "lacking": not any(one["image"] for one in worst)}


def latent_pages(document: Document, pictures: AuditPictures) -> list[View]:
    """What the model draws."""
    found = document["latent_pages"]
    return [latent_page(page, pictures) for page in found["pages"]] if found else []
