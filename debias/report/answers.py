"""Six answers near the top of a run's page: which groups, how many, how different, how sure, ..."""

from collections.abc import Mapping
from typing import Any

from debias.report import comparison_view, fairness_view
from debias.report.fairness_charts import MEASURES_OF_A_RUN, chart_names, run_change_names
from debias.report.groups import baseline_arm
from debias.report.readings import opened
from debias.report.tables import View
from debias.report.text import arm_name

Document = Mapping[str, Any]
GAPS_OF_A_RUN = 6


def fairness_sections(
    fairness: Mapping[str, Document], comparisons: Mapping[str, Document]
) -> View | None:
    """What the answers on a run's page print; None where no arm was measured this way.

    Args:
        fairness: Arm to its fairness document, the baseline first.
        comparisons: Arm to its comparison with the baseline; may be empty.
    """
    if not fairness:
        return None
    baseline = next(iter(fairness.values()))
    gaps = fairness_view.gaps(baseline)
    return {
        "baseline": arm_name(next(iter(fairness))),
        "document": baseline,
        "attributes": fairness_view.attributes(baseline),
        "sizes": fairness_view.sizes(baseline),
        "intervals": _intervals(baseline),
        "chart_limit": fairness_view.chart_limit(baseline, MEASURES_OF_A_RUN),
        "largest": fairness_view.largest(gaps)[:GAPS_OF_A_RUN],
        "arms": [_arm(arm, document) for arm, document in fairness.items()],
        "spread": _spread(fairness),
        "tables": {
            arm_name(arm): fairness_view.complete(fairness_view.gaps(document), "differences")
            for arm, document in fairness.items()
        },
        "compared": [_compared(arm, document) for arm, document in comparisons.items()],
        "notes": list(dict.fromkeys(_notes(fairness, comparisons))),
        "scope": list(baseline["scope"]),
    }


def _intervals(baseline: Document) -> list[View]:
    names = chart_names("intervals_by_group", baseline["metrics"], MEASURES_OF_A_RUN)
    return fairness_view.by_measure(baseline, "gaps", names)


def _arm(arm: str, document: Document) -> View:
    return {
        "title": arm_name(arm),
        "verdict": fairness_view.verdict(document),
        "tally": fairness_view.tally(document["gaps"], document.get("margin")),
    }


def _spread(fairness: Mapping[str, Document]) -> list[View]:
    """The first measure of every arm: the others are on the pages of single classifiers."""
    return [
        {**row, "name": arm_name(arm)}
        for arm, document in fairness.items()
        for row in fairness_view.titled(document["spread"])
        if row["metric"] == document["metrics"][0]
    ]


def _compared(arm: str, document: Document) -> View:
    changes, gaps = comparison_view.changes(document), comparison_view.gap_changes(document)
    return {
        "title": arm_name(arm),
        "opened": opened(document["verdict"], document.get("margin")),
        "document": document,
        "harm": comparison_view.harmed(document),
        "directions": comparison_view.directions(document),
        "charts": fairness_view.by_measure(document, "groups", run_change_names(arm, document)),
        "first": comparison_view.first(changes),
        "trade": comparison_view.trade(document)[:1],
        "changes": fairness_view.complete(changes, "changes"),
        "gap_changes": fairness_view.complete(gaps, "gaps"),
    }


def _notes(fairness: Mapping[str, Document], comparisons: Mapping[str, Document]) -> list[str]:
    every = [*fairness.values(), *comparisons.values()]
    return [note for document in every for note in document["notes"]]


def measured(document: Document) -> tuple[dict[str, Document], dict[str, Document]]:
    """Fairness documents and comparisons of a run, the baseline first; empty in older runs."""
    fairness = dict(document.get("fairness") or {})
    baseline = baseline_arm(document)
    if baseline in fairness:
        fairness = {baseline: fairness[baseline], **fairness}
    return fairness, dict(document.get("comparisons") or {})


def with_withheld(document: Document, fairness: Mapping[str, Document]) -> Document:
    """The run with the rates of its fairness documents, so that nothing withheld is printed."""
    if not fairness:
        return document
    rows = fairness_view.rate_rows(fairness)["arms"]
    hidden = {
        (row["attribute"], row["group"])
        for found in fairness.values()
        for row in found["by_group"]
        if row["state"] == "suppressed" and row["metric"] == found["metrics"][0]
    }
    arms = {
        arm: record | {"mean": record["mean"] | rows[arm]["mean"]} if arm in rows else record
        for arm, record in document["arms"].items()
    }
    groups = [_without_test(row, hidden) for row in document["data"]["groups"]]
    return {**document, "arms": arms, "data": {**document["data"], "groups": groups}}


def _without_test(row: Mapping[str, Any], hidden: set[tuple[str, str]]) -> View:
    if (row["attribute"], row["group"]) in hidden:
        return {**row, "test": None, "withheld": True}
    return dict(row)
