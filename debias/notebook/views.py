"""How a value shows itself: as the page that the command writes, and as single charts.

Pages and charts are loaded when they are asked for.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from debias.errors import ConfigError, DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from debias.auditing.audit_report import AuditReport
    from debias.report.audit_document import Document
    from debias.weighting.weights import SamplingWeights

Drawing = tuple[Callable[["Figure"], None], float]  # fills a figure; its height in inches
WIDTH = 7.6  # inches


class Look(NamedTuple):
    """What there is to see: a whole page as HTML, and charts by name, made when called."""

    page: Callable[[], str]
    drawings: Callable[[], Mapping[str, Drawing]]


def framed(value: object) -> str:
    """HTML for a notebook; made from Python, it shows no photograph."""
    # Framed: the page brings a style of its own, which must not become that of the notebook.
    page = escape(look(value).page())
    style = "width: 100%; height: 40rem; border: 1px solid #dcdfe3"
    return f'<iframe srcdoc="{page}" sandbox title="{type(value).__name__}" style="{style}">'


def save(value: object, path: Path) -> Path:
    """Write the page; see :meth:`debias.shown.Shown.save_html`."""
    from debias.report.html import put
    from debias.storage.files import storage_error

    page = look(value).page()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path, page)
    except OSError as error:
        raise storage_error(error, path.parent) from error
    return path


def plot(value: object, chart: str | None) -> "Figure":
    """Draw one chart; see :meth:`debias.shown.Shown.plot`."""
    from debias.plugins import unknown
    from debias.report.charts.style import chart as drawn

    drawings = look(value).drawings()
    if not drawings:
        raise DataError(f"this {type(value).__name__} has nothing to draw; its numbers say why")
    name = next(iter(drawings)) if chart is None else chart
    if name not in drawings:
        raise ConfigError(unknown("chart", name, drawings))
    draw, height = drawings[name]
    figure = drawn(draw, WIDTH, height)
    figure.set_facecolor("white")  # a notebook may stand it on black
    return figure


def look(value: Any) -> Look:  # noqa: ANN401 (of these names; a class would have to be loaded)
    from debias.report import audit_charts, comparison_page, fairness_charts, fairness_page
    from debias.report.charts.style import drawn
    from debias.report.html import render

    kind = type(value).__name__
    if kind == "SamplingWeights":
        return _of_weights(value)
    if kind == "AuditReport":
        return _of_audit(value)
    if kind == "AuditResult":
        page = partial((value.folder / "audit.html").read_text, encoding="utf-8")
        return Look(page, partial(audit_charts.audit_drawings, value.document))
    if kind == "RunResult":
        page = partial((value.folder / "report.html").read_text, encoding="utf-8")
        parts = value.report["fairness"], value.report["comparisons"]
        return Look(page, partial(fairness_charts.run_drawings, *parts))
    pages: dict[str, tuple[Any, Any]] = {
        "FairnessReport": (fairness_page.page, fairness_charts.fairness_drawings),
        "ComparisonReport": (comparison_page.page, fairness_charts.comparison_drawings),
    }
    made, drawings = pages[kind]
    draw = partial(drawings, document := value.to_dict())
    return Look(lambda: render(made(document, drawn(draw()))), draw)


def _of_weights(weights: "SamplingWeights") -> Look:
    from debias.report.charts.curves import weight_distribution
    from debias.report.weights_page import render_weights

    drawing = weight_distribution(["weights"], {"weights": weights.weight})
    drawings = {} if drawing is None else {"weight_distribution": drawing}
    page = partial(render_weights, len(weights.weight), weights.describe(), drawings)
    return Look(page, lambda: drawings)


def _of_audit(report: "AuditReport") -> Look:
    """An audit of values, of which nobody knows where they came from."""
    from debias.report.audit_charts import audit_drawings
    from debias.report.audit_page import render_audit
    from debias.report.pictures import AuditMap, AuditPictures

    drawn = report.images[report.images["x"].notna()]
    places = AuditMap.of(drawn, report.groups.loc[drawn.index])
    document = _document(report)
    page = partial(render_audit, document, AuditPictures(map=places))
    return Look(page, partial(audit_drawings, document))


def _document(report: "AuditReport") -> "Document":
    from debias import __version__

    splits, annotated = report.images["split"].value_counts(), report.document["groups"]
    nowhere = "not recorded"
    return {
        **report.document,
        "schema": 1,
        "name": "audit",
        "version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {
            "name": "a store",
            "place": nowhere,
            "annotation": annotated["source"] if annotated else "none",
            "images": len(report.images),
            "splits": {str(name): int(count) for name, count in splits.items()},
            "image_size": report.image_size,
            "attributes": [str(name) for name in report.groups],
            "set_aside": {"count": 0, "reasons": [], "seen": "", "list": ""},
        },
        "representation": {
            "name": "embeddings",
            "trained": False,
            "latent_dim": len(report.active),
            "active_units": int(report.active.sum()),
        },
        "density": {},
        "run": {"config": {}, "device": nowhere, "seconds": {}, "folder": nowhere, "mlflow": None},
    }
