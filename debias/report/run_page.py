"""The page itself: a template filled once and put in place in one step."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from debias.report import facts, tables
from debias.report.answers import answers
from debias.report.board import scores
from debias.report.html import embedded, fill, put
from debias.report.pictures import Pictures, contact_sheet, paired_rows, sheets, shrink, webp
from debias.report.run_charts import figures
from debias.report.words import day, plain_value

COLUMNS = 6


def write_report(path: Path, document: Mapping[str, Any], pictures: Pictures) -> dict[str, bytes]:
    """Write the report as one self-contained HTML file, or leave what was there untouched.

    Args:
        path: File to write; its folder must exist.
        document: Numbers of the run, as in ``report.json``; None and NaN print as "undefined".
        pictures: What is not a number.

    Returns:
        The charts of the page, SVG by name, as :func:`figures` draws them.

    Raises:
        OSError: The folder cannot be written.
    """
    drawn = figures(document, pictures)
    put(path, fill("report.html", _view(document, pictures, drawn)))
    return drawn


def render(document: Mapping[str, Any], pictures: Pictures) -> str:
    """The page as text, its charts drawn for it."""
    return fill("report.html", _view(document, pictures, figures(document, pictures)))


def _view(
    document: Mapping[str, Any], pictures: Pictures, drawn: Mapping[str, bytes]
) -> dict[str, Any]:
    return {
        "document": document,
        "opening": document["opening"],
        "answers": answers(document),
        "created": day(document["created"]),
        "scores": scores(document),
        "run_facts": facts.run_facts(document),
        "mlflow": _link(document["run"]["mlflow"]),
        "seconds": document["run"]["seconds"],
        "group_counts": facts.group_counts(document),
        "set_aside": document["data"]["set_aside"],
        "representation": document["representation"],
        "described": facts.how_described(document["representation"]),
        "representation_facts": facts.representation_facts(document["representation"]),
        "weights": facts.weights(document),
        "situations": document["situations"],
        "scalars": [label for _, label, _ in tables.SCALARS],
        "seed_rows": tables.seed_rows(document),
        "rates": tables.run_rates(document),
        "changes": tables.changes(document),
        "concluded": document["concluded"],
        "not_concluded": document["not_concluded"],
        "configuration": json.dumps(
            document["run"]["config"], indent=2, ensure_ascii=False, default=plain_value
        ),
        "charts": embedded(drawn),
        "faces": _faces(pictures),
        "faces_shown": pictures.faces_shown,
    }


def _link(place: str | None) -> dict[str, Any]:
    """Only a web address becomes a link; a command or a path stays text."""
    return {
        "text": place,
        "is_address": place is not None and place.startswith(("http://", "https://")),
    }


def _faces(pictures: Pictures) -> dict[str, Any]:
    """Embed the faces that exist, none at all when the configuration does not allow them."""
    if not pictures.faces_shown:
        return {}
    found = {
        "samples": sheets(pictures.samples, COLUMNS, parts=2),
        "least": sheets(pictures.least_represented, COLUMNS, most=24),
        "most": sheets(pictures.most_represented, COLUMNS, most=24),
        "wanted": {
            arm: [sheets(images, COLUMNS, most=24) for images in both]
            for arm, both in pictures.wanted.items()
        },
        "reference": sheets(pictures.reference, COLUMNS, parts=2),
        "pairs": _pairs(pictures),
        "traversals": _traversals(pictures),
    }
    return {name: images for name, images in found.items() if images}


def _pairs(pictures: Pictures) -> list[str]:
    if pictures.originals is None or pictures.reconstructions is None:
        return []
    above, below = shrink(pictures.originals[:24]), shrink(pictures.reconstructions[:24])
    half = -(-len(above) // 2) if len(above) >= 2 * COLUMNS else len(above)
    return [
        webp(contact_sheet(paired_rows(above[part], below[part], COLUMNS), min(COLUMNS, half)))
        for part in (slice(0, half), slice(half, None))
        if len(above[part])
    ]


def _traversals(pictures: Pictures) -> list[dict[str, Any]]:
    if pictures.traversals is None:
        return []
    return [
        {"dimension": dimension, "image": webp(contact_sheet(shrink(row), len(row), gap=0))}
        for dimension, row in zip(pictures.traversed_dimensions, pictures.traversals, strict=True)
    ]
