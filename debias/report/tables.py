"""Rows of the page's tables, taken from the document without computing anything new."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from debias.report.drawing import arm_style
from debias.report.group_charts import GROUPS_DRAWN, PANELS_DRAWN
from debias.report.groups import Attribute, Group, attributes, baseline_arm
from debias.report.readings import metric_name
from debias.report.story import (
    QUANTITIES,
    difference,
    extreme,
    verdict,
)
from debias.report.text import (
    arm_meaning,
    arm_name,
    attribute_name,
    full_group_name,
    is_number,
    is_share,
    number,
    quantity_name,
    reading_name,
    why_undefined,
    words,
)

GROUPS_ON_A_PAGE = 60
METRICS = ("accuracy", "true_positive_rate", "false_positive_rate", "selection_rate")
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


def arms(document: Document) -> list[View]:
    """Name, meaning and colour of each arm."""
    weights = document.get("weights") or {}
    return [
        {
            "arm": arm,
            "title": arm_name(arm),
            "meaning": arm_meaning(arm, weights.get(arm, {})),
            "colour": arm_style(arm, list(document["arms"]))[0],
        }
        for arm in document["arms"]
    ]


def scores(document: Document) -> list[View]:
    """The three big numbers of each arm with their change from the baseline."""
    return [{**arm, "scores": _scores(document, arm["arm"])} for arm in arms(document)]


def _scores(document: Document, arm: str) -> list[View]:
    baseline = baseline_arm(document)
    mean = document["arms"][arm]["mean"]
    worst = extreme(mean, "worst")
    reasons = mean.get("reasons") or {}
    before = document["arms"][baseline]["mean"]["accuracy"] if baseline else {}
    described = (
        ("overall", "overall accuracy", "percent", ""),
        ("worst_group", "worst group", "percent", full_group_name(worst) if worst else ""),
        ("gap", "gap, best to worst", "points", "percentage points"),
    )
    return [
        {
            "label": label,
            "kind": kind,
            "value": mean["accuracy"].get(key),
            "note": note,
            "why": reasons.get(QUANTITIES[key], ""),
            "change": None
            if arm == baseline
            else difference(before.get(key), mean["accuracy"].get(key)),
            "reading": None if arm == baseline else verdict(document, arm, key),
        }
        for key, label, kind, note in described
    ]


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
    return [(dig(record, *keys), kind) for keys, _, kind in SCALARS]


def dig(record: Mapping[str, Any], *keys: str) -> Any:  # noqa: ANN401 (a field of the document)
    """Follow keys into nested mappings; None where one is missing."""
    value: Any = record
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def disparity_rows(document: Document) -> list[View]:
    """Named disparities, over all groups and by attribute, one column an arm."""
    names: dict[tuple[str, ...], None] = {}
    for arm in document["arms"].values():
        names |= dict.fromkeys(("disparities", key) for key in arm["mean"].get("disparities") or {})
        for attribute, found in (arm["mean"].get("disparities_by_attribute") or {}).items():
            names |= dict.fromkeys(("disparities_by_attribute", attribute, key) for key in found)
    return [
        {
            "name": words(path[-1]),
            "over": attribute_name(path[1]) if len(path) == 3 else "all groups",
            "cells": [
                (dig(arm["mean"], *path), dig(arm["mean"], "reasons", "/".join(path[1:])))
                for arm in document["arms"].values()
            ],
        }
        for path in names
    ]


def rates(document: Document) -> list[View]:
    """Every rate of every group under every arm, worst group first, in pages."""
    found = attributes(document)
    known = {row["metric"] for arm in document["arms"].values() for row in arm["mean"]["by_group"]}
    metrics = [name for name in METRICS if name in known] + sorted(known - set(METRICS))
    styled = arms(document)
    return [
        {
            "title": attribute.title,
            "count": len(attribute.groups),
            "metrics": [metric_name(metric) for metric in metrics],
            "pages": [
                [_rate_rows(group, styled, metrics) for group in page]
                for page in paged(attribute.groups)
            ],
        }
        for attribute in found
    ]


def _rate_rows(group: Group, styled: Sequence[View], metrics: Sequence[str]) -> View:
    rows = [
        {**arm, "cells": [_rate(group.rows.get(arm["arm"], {}).get(m), m) for m in metrics]}
        for arm in styled
    ]
    accuracy = (found.get("accuracy", {}) for found in group.rows.values())
    return {
        "short": group.short,
        "full": group.full,
        "test": group.test,
        "withheld": any(row.get("state") == "suppressed" for row in accuracy),
        "rows": rows,
    }


def _rate(row: Mapping[str, Any] | None, metric: str) -> View:
    row = row or {}
    fields = ("value", "numerator", "denominator", "identities", "low", "high", "sd")
    return {
        **{name: row.get(name) for name in fields},
        "state": row.get("state", "not_estimable"),
        "why": row.get("why") or why_undefined(metric, row.get("denominator")),
    }


def unreadable(document: Document) -> View:
    """Groups whose accuracy is undefined or rests on too few images, in words."""
    listed: View = {"undefined": [], "too_small": []}
    for attribute in attributes(document):
        for group in attribute.groups:
            name = _named(attribute, group)
            states = [group.rows.get(arm, {}).get("accuracy", {}) for arm in document["arms"]]
            if all(not is_number(row.get("value")) for row in states):
                why = why_undefined("accuracy", states[0].get("denominator") if states else None)
                listed["undefined"].append(f"{name}: {why}")
            elif any(row.get("state") == "too_small" for row in states):
                listed["too_small"].append(f"{name} (n = {number(group.test, 'count')})")
    return listed


def comparisons(document: Document) -> int:
    """Number of rates on the page."""
    return sum(len(arm["mean"]["by_group"]) for arm in document["arms"].values())


def chart_limits(document: Document) -> str | None:
    """Say what the charts leave out, if they do."""
    sizes = [len(attribute.groups) for attribute in attributes(document)]
    if len(sizes) <= PANELS_DRAWN and all(size <= GROUPS_DRAWN for size in sizes):
        return None
    return (
        f"The charts show the {GROUPS_DRAWN} groups that plain training serves worst of each "
        f"attribute, for {PANELS_DRAWN} attributes at most; the tables hold all of them."
    )


def _named(attribute: Attribute, group: Group) -> str:
    return f"{attribute.title}: {group.short}"


def changes(document: Document) -> list[View]:
    """Change of each quantity from the baseline, with its interval and reading."""
    rows = []
    for change in document.get("changes") or ():
        share = is_share(change["quantity"])
        rows.append(
            {
                **change,
                "title": quantity_name(change["quantity"]),
                "arm_title": arm_name(change["arm"]),
                "baseline_title": arm_name(change["baseline"]),
                "kind": "percent" if share else "plain",
                "change_kind": "change" if share else "signed",
                "reading_title": reading_name(change["reading"], change.get("reason")),
            }
        )
    return rows
