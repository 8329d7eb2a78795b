"""How a value shows itself: as the page that the command writes, and as single charts.

Pages and charts are loaded when they are asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from debias.errors import ConfigError, DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from debias.auditing.audit_report import AuditReport
    from debias.weighting.weights import SamplingWeights

Drawing = tuple[Callable[["Figure"], None], float]  # fills a figure; its height in inches
WIDTH = 7.6  # inches


@dataclass(frozen=True, kw_only=True)
class Look:
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


def of_fairness(document: Mapping[str, Any]) -> Look:
    """One classifier."""
    from debias.report import fairness_charts, fairness_page

    return Look(
        page=partial(fairness_page.render_fairness, document),
        drawings=partial(fairness_charts.fairness_drawings, document),
    )


def of_comparison(document: Mapping[str, Any]) -> Look:
    """Two classifiers."""
    from debias.report import comparison_page, fairness_charts

    return Look(
        page=partial(comparison_page.render_comparison, document),
        drawings=partial(fairness_charts.comparison_drawings, document),
    )


def of_run(document: Mapping[str, Any], page: Path) -> Look:
    """A finished run, whose page lies in its folder."""
    from debias.report.fairness_charts import run_drawings

    return Look(
        page=partial(page.read_text, encoding="utf-8"),
        drawings=partial(run_drawings, document["fairness"], document["comparisons"]),
    )


def of_audit_folder(document: Mapping[str, Any], page: Path) -> Look:
    """A finished audit, whose page lies in its folder."""
    from debias.report.audit_charts import audit_drawings

    return Look(
        page=partial(page.read_text, encoding="utf-8"), drawings=partial(audit_drawings, document)
    )


def of_weights(weights: "SamplingWeights") -> Look:
    """Weights alone: how uneven they are."""
    from debias.report.charts.curves import weight_distribution
    from debias.report.weights_page import render_weights

    drawing = weight_distribution(["weights"], {"weights": weights.weight})
    drawings = {} if drawing is None else {"weight_distribution": drawing}
    return Look(
        page=partial(render_weights, len(weights.weight), weights.describe(), drawings),
        drawings=lambda: drawings,
    )


def of_audit(report: "AuditReport") -> Look:
    """An audit of values, of which nobody knows where they came from."""
    from debias.report.audit_charts import audit_drawings
    from debias.report.audit_page import render_audit
    from debias.report.pictures import AuditMap, AuditPictures

    drawn = report.images[report.images["x"].notna()]
    groups = report.groups.loc[drawn.index]
    places = AuditMap.of(drawn, groups)
    document = _about(report) | dict(report.document)
    return Look(
        page=lambda: render_audit(document, AuditPictures(map=places)),
        drawings=partial(audit_drawings, document),
    )


def _about(report: "AuditReport") -> dict[str, Any]:
    """What the page says of the images and the machine, where only values were given."""
    from debias import __version__

    splits = report.images["split"].value_counts()
    annotated = report.document["groups"]
    return {
        "schema": 1,
        "name": "audit",
        "version": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {
            "name": "a store",
            "place": "not recorded",
            "annotation": annotated["source"] if annotated else "none",
            "images": len(report.images),
            "splits": {str(name): int(count) for name, count in splits.items()},
            "image_size": report.image_size,
            "attributes": [str(name) for name in report.groups],
            "set_aside": {"count": 0},
        },
        "representation": {
            "name": "embeddings",
            "trained": False,
            "latent_dim": len(report.active),
            "active_units": int(report.active.sum()),
        },
        "run": {
            "config": {},
            "device": "not recorded",
            "seconds": {},
            "folder": "not recorded",
            "mlflow": None,
        },
    }


LOOKS: dict[str, Callable[[Any], Look]] = {
    "FairnessReport": lambda report: of_fairness(report.to_dict()),
    "ComparisonReport": lambda report: of_comparison(report.to_dict()),
    "AuditReport": of_audit,
    "SamplingWeights": of_weights,
    "RunResult": lambda result: of_run(result.report, result.folder / "report.html"),
    "AuditResult": lambda result: of_audit_folder(result.document, result.folder / "audit.html"),
}


def look(value: object) -> Look:
    """What there is to see of a value."""
    return LOOKS[type(value).__name__](value)
