"""Six answers near the top of a run's page: which groups, how many, how different, how sure, ..."""

from collections.abc import Mapping
from typing import Any

from debias.report import comparison_page as comparison_view
from debias.report import fairness_view
from debias.report.arms import arms_of, comparisons_of, fairness_of
from debias.report.banners import arm_notes, banners
from debias.report.board import View
from debias.report.charts.style import chart_names
from debias.report.fairness_charts import MEASURES_OF_A_RUN, run_change_names
from debias.report.opening import learned
from debias.report.readings import opened
from debias.report.words import arm_name

Document = Mapping[str, Any]
GAPS_OF_A_RUN = 6


def answers(document: Document) -> View:
    """What the answers on a run's page print.

    Args:
        document: A run. Its first arm stands for the run where only one can be shown; that is
            plain training, if there is any.
    """
    fairness, comparisons = fairness_of(document), comparisons_of(document)
    name, baseline = next(iter(fairness.items()))
    gaps = fairness_view.gaps(baseline)
    return {
        "baseline": arm_name(name),
        "failed": [arm_name(arm) for arm in arms_of(document) if not learned(document, arm)],
        "document": baseline,
        "attributes": fairness_view.attributes(baseline),
        "sizes": fairness_view.sizes(baseline),
        "intervals": _intervals(baseline),
        "chart_limit": fairness_view.chart_limit(baseline, MEASURES_OF_A_RUN),
        "largest": fairness_view.largest(gaps)[:GAPS_OF_A_RUN],
        "arms": [_arm(arm, found) for arm, found in fairness.items()],
        "by_chance": _by_chance(baseline),
        "ratios": fairness_view.ratios(baseline),
        "noise": fairness_view.titled(baseline["noise"]),
        "compared": [
            {
                **_compared(arm, found),
                "notes": arm_notes(arm, fairness, comparisons),
                "is_finding": learned(document, name) and learned(document, arm),
            }
            for arm, found in comparisons.items()
        ],
        "banners": banners(fairness, comparisons),
        "scope": list(baseline["scope"]),
        "scope_of_changes": _scope_of_changes(comparisons),
    }


def _intervals(baseline: Document) -> list[View]:
    names = chart_names("intervals_by_group", baseline["metrics"], MEASURES_OF_A_RUN)
    return fairness_view.by_measure(baseline, "gaps", names)


def _arm(arm: str, document: Document) -> View:
    return {
        "title": arm_name(arm),
        "verdict": fairness_view.verdict(document),
        "tally": fairness_view.tally(document["gaps"], document["margin"]),
        "gaps": fairness_view.complete(fairness_view.gaps(document), "differences"),
        "spread": fairness_view.titled(document["spread"]),
    }


def _by_chance(document: Document) -> list[View]:
    """The largest gap in the first measure that equal groups would show, by attribute."""
    rows = fairness_view.titled(document["spread"])
    return [row for row in rows if row["metric"] == document["metrics"][0]]


def _compared(arm: str, document: Document) -> View:
    changes, gaps = comparison_view.changes(document), comparison_view.gap_changes(document)
    return {
        "title": arm_name(arm),
        "opened": opened(document["verdict"], document["margin"]),
        "harm": comparison_view.harmed(document),
        "directions": comparison_view.directions(document),
        "charts": fairness_view.by_measure(document, "groups", run_change_names(arm, document)),
        "first": comparison_view.first(changes),
        "trade": comparison_view.trade(document)[:1],
        "changes": fairness_view.complete(changes, "changes"),
        "gap_changes": fairness_view.complete(gaps, "gaps"),
    }


def _scope_of_changes(comparisons: Mapping[str, Document]) -> list[str]:
    every = (sentence for document in comparisons.values() for sentence in document["scope"])
    return list(dict.fromkeys(every))
