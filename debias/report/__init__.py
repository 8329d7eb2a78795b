"""One HTML file that a person without programming wants to look at, and its charts."""

from pathlib import Path

from debias.metrics.documents import ComparisonDocument, FairnessDocument
from debias.report import comparison_page, fairness_page, plan_page, run_page
from debias.report.charts.style import drawn
from debias.report.documents import PlanDocument, RunDocument
from debias.report.fairness_charts import comparison_drawings, fairness_drawings, figures
from debias.report.html import put, render
from debias.report.methods import methods
from debias.report.opening import opening
from debias.report.pictures import Pictures

__all__ = [
    "Pictures", "figures", "methods", "opening", "write_comparison", "write_fairness",
    "write_plan", "write_report",
]  # fmt: skip


def write_report(path: Path, document: RunDocument, pictures: Pictures) -> dict[str, bytes]:
    """Write the page of a run as one self-contained file, or leave what was there untouched.

    Args:
        path: File to write; its folder must exist.
        document: Numbers of the run, as in ``report.json``; None and NaN never print as 0, and
            verdicts are never computed again. Likewise in the other two.
        pictures: What is not a number.

    Returns:
        The charts of the page, SVG by name.

    Raises:
        OSError: The folder cannot be written.
    """
    charts = figures(document, pictures)
    put(path, render(run_page.page(document, pictures, charts)))
    return charts


def write_fairness(path: Path, document: FairnessDocument) -> dict[str, bytes]:
    """Write the page about one classifier, as :func:`write_report`."""
    charts = drawn(fairness_drawings(document))
    put(path, render(fairness_page.page(document, charts)))
    return charts


def write_comparison(path: Path, document: ComparisonDocument) -> dict[str, bytes]:
    """Write the page about two classifiers, harms first, as :func:`write_report`."""
    charts = drawn(comparison_drawings(document))
    put(path, render(comparison_page.page(document, charts)))
    return charts


def write_plan(path: Path, document: PlanDocument) -> dict[str, bytes]:
    """Write the page of a plan, as :func:`write_report`."""
    charts = drawn(plan_page.drawings(document))
    put(path, render(plan_page.page(document, charts)))
    return charts
