"""The page itself: a template filled once and put in place in one step."""

import base64
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from debias.files import replace_file
from debias.report import facts, story, tables
from debias.report.charts import figures
from debias.report.pictures import Pictures, contact_sheet, paired_rows, png, sheets, shrink
from debias.report.text import clean, day, is_number, number, plain_value, words

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
    page = _page(document, pictures, drawn)
    # Faces may be on it: nobody else's to read unless the owner says so.
    replace_file(path, lambda file: file.write_text(page, encoding="utf-8"), mode=0o600)
    return drawn


def render(document: Mapping[str, Any], pictures: Pictures) -> str:
    """The page as text, its charts drawn for it."""
    return _page(document, pictures, figures(document, pictures))


def _page(document: Mapping[str, Any], pictures: Pictures, drawn: Mapping[str, bytes]) -> str:
    """Fill the template."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, words=words)
    environment.tests["number"] = is_number
    template = environment.from_string(
        files("debias.report").joinpath("report.html").read_text(encoding="utf-8")
    )
    return template.render(_view(document, pictures, drawn))


def _printable(value: object) -> object:
    """Clean all text on its way out, and never print None."""
    if value is None or (isinstance(value, float) and not is_number(value)):
        return "undefined"
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _view(
    document: Mapping[str, Any], pictures: Pictures, drawn: Mapping[str, bytes]
) -> dict[str, Any]:
    return {
        "document": document,
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
        "charts": _embedded(drawn),
        "faces": _faces(pictures),
        "faces_shown": pictures.faces_shown,
    }


def _link(place: str | None) -> dict[str, Any]:
    """Only a web address becomes a link; a command or a path stays text."""
    return {
        "text": place,
        "is_address": place is not None and place.startswith(("http://", "https://")),
    }


def _embedded(drawn: Mapping[str, bytes]) -> dict[str, str]:
    """Embed each chart as an image: its markup never becomes part of the page."""
    return {
        name: f"data:image/svg+xml;base64,{base64.b64encode(content).decode()}"
        for name, content in drawn.items()
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
