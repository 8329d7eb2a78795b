"""Two reports -> recall, precision and calibration side by side: what one was paid for with."""

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool

from debias.metrics.fairness_report import FairnessReport
from debias.metrics.outcomes import Outcomes
from debias.metrics.rates import measures
from debias.metrics.scores import QUALITIES, quality
from debias.statistics.groupings import Grouping

_KEYS = ["attribute", "group", "metric"]
TRADE_COLUMNS = (*_KEYS, "before", "after", "change")


def trade_table(
    before: FairnessReport, after: FairnessReport, outcomes: tuple[Outcomes, Outcomes]
) -> pd.DataFrame:
    """Every rate and the quality of the scores before and after, overall and by group.

    Means over trainings, without interval or verdict. What either report withholds is NaN, and so
    is the quality of scores in a group that either report withholds anything of, or in which a
    class has too few images.

    Returns:
        Columns ``TRADE_COLUMNS``; attribute and group are empty for all images, which come first.
    """
    rates = _side_by_side(_values(before), _values(after))
    scores = pd.DataFrame(_qualities(before, after, outcomes))
    joined = pd.concat([rates, scores], ignore_index=True) if len(scores) else rates
    # Groups in the order of the reports, the quality of scores behind the rates of each.
    cells = joined[["attribute", "group"]].apply(tuple, axis=1)
    order = np.argsort(pd.factorize(cells)[0], kind="stable")
    table = joined.iloc[order].reset_index(drop=True)
    return table.assign(change=table["after"] - table["before"])[list(TRADE_COLUMNS)]


def sizes_table(before: FairnessReport, after: FairnessReport, outcomes: Outcomes) -> pd.DataFrame:
    """Images of each group, the same before and after; NaN where they are not known from a rate.

    Returns:
        Columns ``attribute, group, before, after``.
    """
    found = measures(outcomes.classes, outcomes.positive)
    whole = {one.name for one in found if one.denominator.all()}
    known = set.intersection(*(_shown(report, whole) for report in (before, after)))
    rows = [
        (grouping.attribute, name, float(size) if name in known else np.nan)
        for grouping in outcomes.groupings
        for name, size in zip(grouping.cells, grouping.sizes, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["attribute", "group", "before"])
    return table.assign(after=table["before"])


def _shown(report: FairnessReport, metrics: set[str]) -> set[str]:
    """Groups of which one of the metrics is not withheld."""
    if not len(report.by_group):
        return set()
    told = report.by_group["metric"].isin(metrics) & (report.by_group["state"] != "suppressed")
    return set(report.by_group.loc[told, "group"])


def paid_for(trade: pd.DataFrame) -> str:
    """Whether recall was bought with precision, or the reverse, over all images; else empty."""
    rows = trade[trade["attribute"] == ""].set_index("metric")
    if not {"true_positive_rate", "precision"} <= set(rows.index):
        return ""
    change = rows["change"]
    if not change["true_positive_rate"] * change["precision"] < 0:
        return ""
    rates = ["true_positive_rate", "precision"]
    rose, fell = rates if change["true_positive_rate"] > 0 else rates[::-1]
    names = {"true_positive_rate": "recall", "precision": "precision"}
    told = {
        name: f"{100 * rows['before'][name]:.1f} % to {100 * rows['after'][name]:.1f} %"
        for name in rates
    }
    return (
        f"Over all images {names[rose]} rose by {100 * change[rose]:.2g} percentage points "
        f"({told[rose]}) while {names[fell]} fell by {-100 * change[fell]:.2g} ({told[fell]})."
    )


def _values(report: FairnessReport) -> pd.DataFrame:
    everyone = report.overall.assign(attribute="", group="")
    return pd.concat([everyone, report.by_group], ignore_index=True)[[*_KEYS, "value", "state"]]


def _side_by_side(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    both = before.merge(after, on=_KEYS, suffixes=("_before", "_after"))
    hidden = (both["state_before"] == "suppressed") | (both["state_after"] == "suppressed")
    shown = {name: both[f"value_{name}"].where(~hidden) for name in ("before", "after")}
    return both[_KEYS].assign(**shown)


def _qualities(
    before: FairnessReport, after: FairnessReport, outcomes: tuple[Outcomes, Outcomes]
) -> list[dict[str, Any]]:
    if outcomes[0].score is None or outcomes[1].score is None:
        return []
    rows = _quality_rows("", "", outcomes, None)
    for grouping in outcomes[0].groupings:
        readable = _readable(before, after, outcomes[0], grouping)
        for index, name in enumerate(grouping.cells):
            which = grouping.codes == index if readable[index] else np.zeros(before.n, dtype=bool)
            rows += _quality_rows(grouping.attribute, name, outcomes, which)
    return rows


def _quality_rows(
    attribute: str,
    group: str,
    outcomes: tuple[Outcomes, Outcomes],
    which: Bool[np.ndarray, " n"] | None,
) -> list[dict[str, Any]]:
    first, second = (quality(one, which) for one in outcomes)
    return [
        {
            "attribute": attribute,
            "group": group,
            "metric": name,
            "before": first[name],
            "after": second[name],
        }
        for name in QUALITIES
    ]


def _readable(
    before: FairnessReport, after: FairnessReport, outcomes: Outcomes, grouping: Grouping
) -> Bool[np.ndarray, " g"]:
    """Cells of which nothing is withheld, and that hold enough images of every class."""
    c = len(outcomes.classes)
    of_class = np.bincount(grouping.codes * c + outcomes.y_true, minlength=c * len(grouping.cells))
    enough = of_class.reshape(-1, c).min(axis=1) >= max(before.minimum, after.minimum)
    hidden = {
        name
        for report in (before, after)
        for name in report.by_group.loc[report.by_group["state"] == "suppressed", "group"]
    }
    return enough & np.array([name not in hidden for name in grouping.cells], dtype=bool)
