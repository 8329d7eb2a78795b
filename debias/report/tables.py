"""Rows of the page's tables, taken from the document without computing anything new."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from debias.report.arms import fairness_of
from debias.report.board import arms
from debias.report.charts.style import arm_style
from debias.report.panels import Panel, Row, of, panels, worst_rate_first
from debias.report.readings import metric_name, remark, size, why_no_number
from debias.report.words import arm_name, group_name, is_share, quantity_name, reading_name

GROUPS_ON_A_PAGE = 60
SCALARS = (
    (("accuracy", "overall"), "overall accuracy", "percent"),
    (("accuracy", "worst_group"), "worst group", "percent"),
    (("accuracy", "gap"), "gap, points", "points"),
    (("accuracy", "variance"), "variance over groups", "plain"),
    (("auroc",), "AUROC", "plain"),
    (("expected_calibration_error",), "calibration error", "plain"),
    (("true_positive_rate",), "true positive rate", "percent"),
    (("false_positive_rate",), "false positive rate", "percent"),
    (("selection_rate",), "selection rate", "percent"),
)
Document = Mapping[str, Any]
View = dict[str, Any]
Key = tuple[str, str, str]  # attribute, group, measure


def paged(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Cut a long table into pages that a browser can fold away."""
    for start in range(0, len(rows), GROUPS_ON_A_PAGE):
        yield rows[start : start + GROUPS_ON_A_PAGE]


def seed_rows(document: Document) -> list[View]:
    """Every seed of every arm, then the mean and the standard deviation over seeds."""
    rows = []
    for arm in arms(document):
        record = document["arms"][arm["arm"]]
        for seed in record["seeds"]:
            rows.append({**arm, "kind": f"seed {seed['seed']}", "cells": _scalars(seed)})
        rows.append({**arm, "kind": "mean", "cells": _scalars(record["mean"])})
        if len(record["seeds"]) > 1:
            spread = _scalars(record["mean"].get("sd") or {})
            rows.append({**arm, "kind": "standard deviation", "cells": spread})
    return rows


def _scalars(record: Mapping[str, Any]) -> list[tuple[Any, str]]:
    return [(_dig(record, *keys), kind) for keys, _, kind in SCALARS]


def _dig(record: Mapping[str, Any], *keys: str) -> Any:  # noqa: ANN401 (a field of the document)
    """Follow keys into nested mappings; None where one is missing."""
    value: Any = record
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def run_rates(document: Document) -> list[View]:
    """Every rate of every group under every arm, with its standard deviation over seeds."""
    deviations = {
        arm: {_key(row): row.get("sd") for row in record["mean"]["by_group"]}
        for arm, record in document["arms"].items()
    }
    return rates(fairness_of(document), deviations)


def rates(
    documents: Mapping[str, Document], deviations: Mapping[str, Mapping[Key, Any]] | None = None
) -> list[View]:
    """Every rate of every group, worst group first, in pages.

    Args:
        documents: Name of a classifier to its fairness document, all about the same groups; the
            first one gives the order.
        deviations: Name of a classifier to the standard deviations of its rates over seeds.
    """
    first = next(iter(documents.values()))
    rows = of(first, "by_group", first["metrics"][0])
    cells = {
        name: _cells(document, (deviations or {}).get(name, {}))
        for name, document in documents.items()
    }
    every = panels(rows, worst_rate_first, most=None, panels_drawn=None)
    return [_rates(panel, first, cells) for panel in every]


def _key(row: Row) -> Key:
    return row["attribute"], row["group"], row["metric"]


def _cells(document: Document, deviations: Mapping[Key, Any]) -> dict[Key, View]:
    below = document["suppress_below"]
    return {
        _key(row): {
            **row,
            "sd": deviations.get(_key(row)),
            "why": why_no_number(row["metric"], row, below),
            "remark": remark(row),
        }
        for row in document["by_group"]
    }


def _rates(panel: Panel, document: Document, cells: Mapping[str, Mapping[Key, View]]) -> View:
    groups = [_group_rates(row, document, cells) for row in panel.rows]
    return {
        "title": panel.title,
        "count": len(groups),
        "metrics": [metric_name(metric) for metric in document["metrics"]],
        "pages": list(paged(groups)),
    }


def _group_rates(row: Row, document: Document, cells: Mapping[str, Mapping[Key, View]]) -> View:
    attribute, group, names = row["attribute"], row["group"], list(cells)
    return {
        "short": group_name(attribute, group),
        "full": group,
        "size": size(row["metric"], row, document["suppress_below"]),
        "rows": [
            {
                "title": arm_name(name),
                "colour": arm_style(name, names)[0],
                "cells": [table[attribute, group, metric] for metric in document["metrics"]],
            }
            for name, table in cells.items()
        ],
    }


def changes(document: Document) -> list[View]:
    """Change of each summary figure from plain training, with its interval and reading."""
    rows = []
    for change in document["changes"]:
        share = is_share(change["quantity"])
        rows.append(
            {
                **change,
                "title": quantity_name(change["quantity"]),
                "arm_title": arm_name(change["arm"]),
                "kind": "percent" if share else "plain",
                "change_kind": "change" if share else "signed",
                "reading_title": reading_name(change["reading"], change.get("reason")),
            }
        )
    return rows
