"""Pages about one classifier and about two of them, each one self-contained file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from debias.report import comparison_page as comparison_view
from debias.report import fairness_view, tables
from debias.report.board import View
from debias.report.charts.style import MEASURES_DRAWN, chart_names
from debias.report.fairness_charts import (
    compared_metrics,
    comparison_figures,
    fairness_figures,
)
from debias.report.html import embedded, fill, put
from debias.report.panels import Row
from debias.report.readings import metric_meaning, opened
from debias.report.words import arm_name, attribute_name, group_name, is_number

Document = Mapping[str, Any]


def write_fairness(path: Path, document: Document) -> dict[str, bytes]:
    """Write the page about one classifier, or leave what was there untouched.

    Args:
        path: File to write; its folder must exist.
        document: A fairness document; its verdicts are printed, never computed again.

    Returns:
        The charts of the page, SVG by name.

    Raises:
        OSError: The folder cannot be written.
    """
    drawn = fairness_figures(document)
    put(path, fill("fairness.html", _fairness(document, drawn)))
    return drawn


def write_comparison(path: Path, document: Document) -> dict[str, bytes]:
    """Write the page about two classifiers, harms first, or leave what was there untouched.

    Args:
        path: File to write; its folder must exist.
        document: A comparison document.

    Returns:
        The charts of the page, SVG by name.

    Raises:
        OSError: The folder cannot be written.
    """
    drawn = comparison_figures(document)
    put(path, fill("comparison.html", _comparison(document, drawn)))
    return drawn


def render_fairness(document: Document) -> str:
    """The page about one classifier as text."""
    return fill("fairness.html", _fairness(document, fairness_figures(document)))


def render_comparison(document: Document) -> str:
    """The page about two classifiers as text."""
    return fill("comparison.html", _comparison(document, comparison_figures(document)))


def _fairness(document: Document, drawn: Mapping[str, bytes]) -> dict[str, Any]:
    gaps = fairness_view.gaps(document)
    title = arm_name(document["name"]) or "One classifier"
    return {
        "document": document,
        "title": title,
        "verdict": fairness_view.verdict(document),
        "attributes": fairness_view.attributes(document),
        "sizes": fairness_view.sizes(document),
        "intervals": _pictures(document, "intervals_by_group", drawn),
        "detectable": _pictures(document, "detectable", drawn),
        "chart_limit": fairness_view.chart_limit(document, MEASURES_DRAWN),
        "largest": fairness_view.largest(gaps),
        "gap_count": len(gaps),
        "gaps": fairness_view.complete(gaps, "differences"),
        "tally": fairness_view.tally(document["gaps"], document["margin"]),
        "spread": fairness_view.titled(document["spread"]),
        "ratios": fairness_view.ratios(document),
        "noise": fairness_view.titled(document["noise"]),
        "overall": _overall(document),
        "qualities": _qualities(document),
        "rates": tables.rates({title: document}),
        "charts": embedded(drawn),
    }


def _pictures(document: Document, kind: str, drawn: Mapping[str, bytes]) -> list[View]:
    names = chart_names(kind, document["metrics"])
    present = {metric: name for metric, name in names.items() if name in drawn}
    return fairness_view.by_measure(document, "gaps", present)


def _overall(document: Document) -> list[Row]:
    rows = [{"attribute": "", **row} for row in document["overall"]]
    return [
        {**row, "meaning": metric_meaning(row["metric"], document["positive"])}
        for row in fairness_view.titled(rows)
    ]


def _qualities(document: Document) -> list[tuple[str, Any, str]]:
    known = document["quality"]
    return [
        (title, known[name], "plain")
        for name, title in comparison_view.QUALITIES.items()
        if is_number(known[name])
    ]


def _comparison(document: Document, drawn: Mapping[str, bytes]) -> dict[str, Any]:
    changes = comparison_view.changes(document)
    return {
        "document": document,
        "before": arm_name(document["before"]) or "the first classifier",
        "after": arm_name(document["after"]) or "the second classifier",
        "opened": opened(document["verdict"], document["margin"]),
        "harm": comparison_view.harmed(document),
        "attributes": _compared_groups(document),
        "size_changes": comparison_view.size_changes(document),
        "group_sizes": comparison_view.group_sizes(document),
        "directions": comparison_view.directions(document),
        "tally": comparison_view.tally(document),
        "first": comparison_view.first(changes),
        "trade": comparison_view.trade(document),
        "changes": fairness_view.complete(changes, "changes"),
        "gap_changes": fairness_view.complete(comparison_view.gap_changes(document), "gaps"),
        "change_charts": _changed(document, "change_by_group", "groups", drawn),
        "gap_charts": _changed(document, "gap_change", "gaps", drawn),
        "charts": embedded(drawn),
    }


def _changed(document: Document, kind: str, part: str, drawn: Mapping[str, bytes]) -> list[View]:
    names = chart_names(kind, compared_metrics(document))
    present = {metric: name for metric, name in names.items() if name in drawn}
    return fairness_view.by_measure(document, part, present)


def _compared_groups(document: Document) -> list[tuple[str, list[str]]]:
    found: dict[str, dict[str, None]] = {}
    for row in document["groups"]:
        short = group_name(row["attribute"], row["group"])
        found.setdefault(row["attribute"], {})[short] = None
    names = sorted(found, key=lambda name: " x " in name)
    return [(attribute_name(name), list(found[name])) for name in names]
