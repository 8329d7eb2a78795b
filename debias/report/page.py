"""The page itself: a template filled once and put in place in one step."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from debias.report import answers, facts, story, tables
from debias.report.charts import figures
from debias.report.filling import embedded, fill, put
from debias.report.pictures import Pictures, contact_sheet, paired_rows, png, sheets, shrink
from debias.report.text import day, plain_value

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
    fairness, comparisons = answers.measured(document)
    document = answers.with_withheld(document, fairness)
    return {
        "document": document,
        "answers": answers.fairness_sections(fairness, comparisons),
        "compared": bool(fairness and comparisons),
        "created": day(document["created"]),
        "headline": story.headline(document),
        "lead": story.lead(document),
        "cautions": story.cautions(document),
        "arms": tables.arms(document),
        "scores": tables.scores(document),
        "run_facts": facts.run_facts(document),
        "mlflow": _link(document["run"].get("mlflow")),
        "seconds": document["run"].get("seconds") or {},
        "group_counts": facts.group_counts(document),
        "set_aside": document["data"].get("set_aside") or {"count": 0, "examples": []},
        "representation": document.get("representation") or {},
        "described": facts.how_described(document.get("representation") or {}),
        "representation_facts": facts.representation_facts(document.get("representation") or {}),
        "weights": facts.weights(document),
        "situations": document.get("situations") or [],
        "unreadable": tables.unreadable(document),
        "scalars": [label for _, label, _ in tables.SCALARS],
        "seed_rows": tables.seed_rows(document),
        "disparities": tables.disparity_rows(document),
        "rates": tables.rates(document),
        "comparisons": tables.comparisons(document),
        "chart_limits": tables.chart_limits(document),
        "changes": tables.changes(document),
        "concluded": document.get("concluded") or [],
        "not_concluded": document.get("not_concluded") or [],
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
        png(contact_sheet(paired_rows(above[part], below[part], COLUMNS), min(COLUMNS, half)))
        for part in (slice(0, half), slice(half, None))
        if len(above[part])
    ]


def _traversals(pictures: Pictures) -> list[dict[str, Any]]:
    if pictures.traversals is None:
        return []
    return [
        {"dimension": dimension, "image": png(contact_sheet(shrink(row), len(row), gap=0))}
        for dimension, row in zip(pictures.traversed_dimensions, pictures.traversals, strict=True)
    ]
