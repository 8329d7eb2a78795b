"""Arms as the literature lists methods: one row each, what it was told and what it takes."""

from collections.abc import Mapping

from debias.report import blocks as b
from debias.report import readings as r
from debias.report.documents import Findings, Method, RunDocument
from debias.report.words import PLAIN, amount
from debias.types import BASELINE


def methods(document: Findings, seconds: Mapping[str, float]) -> list[Method]:
    """One row an arm, plain training first.

    Args:
        document: What was found.
        seconds: Of one training of every arm, the mean over its trainings.
    """
    plain = seconds.get(BASELINE)
    return [_method(document, arm, seconds[arm], plain) for arm in r.arms_of(document)]


def _method(document: Findings, arm: str, seconds: float, plain: float | None) -> Method:
    accuracy = document["arms"][arm]["mean"]["accuracy"]
    weights = document["weights"].get(arm, {})
    return {
        "arm": arm,
        "method": method_name(weights.get("rule", BASELINE), weights.get("objective", PLAIN)),
        "group_labels": weights.get("group_labels", "no"),
        "accuracy": accuracy["overall"],
        "worst_group": accuracy["worst_group"],
        "gap": accuracy["gap"],
        "verdict": _verdict(document, arm),
        "seconds": round(seconds, 3),
        "relative_seconds": round(seconds / plain, 3) if plain else None,
    }


def method_name(rule: str, objective: str) -> str:
    """Weighting and objective, without what is plain about them."""
    parts = [*([rule] * (rule != BASELINE)), *([objective] * (objective != PLAIN))]
    return " + ".join(parts) or PLAIN


def _verdict(document: Findings, arm: str) -> str:
    """What may be said of the change from plain training, in a few words."""
    skill, compared = document["skill"][arm], document["comparisons"].get(arm)
    if skill is not None and not skill["learned"]:
        return "learned nothing"
    if compared is None:
        return "baseline" if arm == BASELINE else "not compared"
    found = compared["verdict"]
    moved = f"{amount(len(found['harms']), 'harm')}, {amount(len(found['gains']), 'gain')}; "
    said = r.reading_of(found, compared["margin"])
    return f"{moved}{said}" if found["harms"] or found["gains"] else said


def methods_table(document: RunDocument) -> b.Table:
    """The rows of :func:`methods`."""
    columns: b.Columns[Method] = {
        "arm": "{arm}",
        "method": "{method}",
        "group labels": "{group_labels}",
        "accuracy": "{accuracy:percent}",
        "worst group": "{worst_group:percent}",
        "gap, points": "{gap:points}",
        "against plain training": "{verdict}",
        "time": "{relative_seconds:times}",
    }
    return b.table(document["methods"], columns, left=(0, 1, 2, 6))
