"""The big numbers at the top of a run's page, one line an arm."""

from collections.abc import Mapping
from typing import Any

from debias.report.arms import arms_of
from debias.report.charts.style import arm_style
from debias.report.words import arm_meaning, arm_name, full_group_name, is_number, reading_name
from debias.types import BASELINE

Document = Mapping[str, Any]
View = dict[str, Any]
# What the three numbers are called among the changes and the reasons of a document.
QUANTITIES = {"overall": "accuracy", "worst_group": "worst_group_accuracy", "gap": "accuracy_gap"}


def arms(document: Document) -> list[View]:
    """Name, meaning and colour of each arm."""
    weights, names = document["weights"], arms_of(document)
    return [
        {
            "arm": arm,
            "title": arm_name(arm),
            "meaning": arm_meaning(arm, weights.get(arm, {})),
            "colour": arm_style(arm, names)[0],
        }
        for arm in names
    ]


def scores(document: Document) -> list[View]:
    """The three big numbers of each arm with their change from plain training."""
    return [{**arm, "scores": _scores(document, arm["arm"])} for arm in arms(document)]


def _scores(document: Document, arm: str) -> list[View]:
    mean = document["arms"][arm]["mean"]
    worst = mean["extremes"].get("worst_group")  # absent with fewer than two groups
    reasons = mean.get("reasons") or {}
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
            "change": _change(document, arm, key),
            "reading": _reading(document, arm, key),
        }
        for key, label, kind, note in described
    ]


def _change(document: Document, arm: str, key: str) -> float | None:
    """After minus before, None where either is undefined or there is no plain training."""
    if arm == BASELINE or BASELINE not in document["arms"]:
        return None
    before, after = (document["arms"][name]["mean"]["accuracy"][key] for name in (BASELINE, arm))
    return float(after - before) if is_number(before) and is_number(after) else None


def _reading(document: Document, arm: str, key: str) -> str | None:
    """What was found of the change; None where it cannot be told, or is not in the document."""
    for change in document["changes"]:
        found = change["reading"] == "difference_found"
        if found and change["arm"] == arm and change["quantity"] == QUANTITIES[key]:
            return reading_name(change["reading"], None)
    return None
