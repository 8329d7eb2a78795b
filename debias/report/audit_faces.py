"""Faces of an audit page as embedded sheets and strips; only what is given can be shown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from debias.report.board import View
from debias.report.ingest_view import shown
from debias.report.pictures import contact_sheet, shrink, webp
from debias.report.pictures_of_audits import AuditPictures

COLUMNS = 6
SIDE = 72  # pixels of one face on a sheet
STEP_WIDTH = 6.5  # rem that one step of a strip takes at most
Strip = UInt8[np.ndarray, "steps H W 3"]


def sheet(
    ids: Sequence[str], pictures: AuditPictures, most: int = 12, columns: int = COLUMNS
) -> View:
    """The first of some images on one sheet, in their order, and the names of all of these.

    Args:
        ids: Ids as in the document.
        pictures: Where their faces are.
        most: Images on the sheet.
        columns: Images in a row; a short last row leaves its end empty.

    Returns:
        ``image`` (None where no face is given), ``names``, ``shown`` and ``of``.
    """
    kept = list(ids)[:most]
    found = [pictures.faces[one] for one in kept if one in pictures.faces]
    names = [shown(one, 60) for one in kept]
    image = _sheet(np.stack(found), columns) if found else None
    return {"image": image, "names": names, "shown": len(kept), "of": len(ids)}


def lacks_faces(sheets: Iterable[View]) -> bool:
    """Whether images are named of which no face may be shown."""
    found = list(sheets)
    return any(one["names"] for one in found) and not any(one["image"] for one in found)


def _sheet(images: UInt8[np.ndarray, "m H W 3"], columns: int) -> str:
    return webp(contact_sheet(shrink(images, SIDE), columns))


def tiles(rows: Sequence[Mapping[str, Any]], pictures: AuditPictures) -> list[View]:
    """One picture for each row with a ``sample_id``, its other fields kept."""
    return [
        {**row, "name": shown(row["sample_id"], 60), "image": _tile(row["sample_id"], pictures)}
        for row in rows
    ]


def _tile(sample_id: str, pictures: AuditPictures) -> str | None:
    face = pictures.faces.get(sample_id)
    return None if face is None else webp(shrink(face[None])[0])


def strip(images: Strip | None) -> View | None:
    """Steps from left to right without a gap; None where there are none."""
    if images is None or not len(images):
        return None
    return {
        "image": webp(contact_sheet(shrink(images), len(images), gap=0)),
        "width": f"{STEP_WIDTH * len(images):g}rem",
    }


def latent_page(page: Mapping[str, Any], pictures: AuditPictures) -> View:
    """A page of pictures of the model: a strip a label, or one block where rows have no label."""
    found = pictures.pages.get(page["name"])
    return {**page, "strips": [], "block": None} | ({} if found is None else _laid_out(page, found))


def _laid_out(page: Mapping[str, Any], found: UInt8[np.ndarray, "rows columns H W 3"]) -> View:
    labels = list(page["rows"])
    if len(labels) == len(found):
        rows = zip(labels, found, strict=True)
        strips = [(label, drawn) for label, row in rows if (drawn := strip(row))]
        return {"strips": [{"label": label, **drawn} for label, drawn in strips]}
    if not found.size:
        return {}
    rows, columns = found.shape[:2]
    images = shrink(found.reshape(rows * columns, *found.shape[2:]), SIDE)
    block = webp(contact_sheet(images, columns, gap=1))
    return {"block": {"image": block, "width": f"{STEP_WIDTH * columns:g}rem"}}
