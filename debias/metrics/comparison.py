"""Two classifiers on the same images -> which groups changed, how sure that is, and who was harmed.

``cells`` and ``gaps`` as in ``changes``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64

from debias.metrics.changes import (
    GAP_COLUMNS,
    GROUP_COLUMNS,
    ArmChanges,
    arm_changes,
    gap_table,
    group_table,
)
from debias.metrics.fairness_report import FairnessReport, Report, chosen_metric, short_table
from debias.metrics.outcomes import Outcomes
from debias.metrics.rates import measures
from debias.metrics.scores import QUALITIES, quality
from debias.metrics.verdicts import Question
from debias.metrics.words import change_notes, change_scope, conclude
from debias.statistics.groupings import Grouping
from debias.statistics.intervals import bonferroni_level, holm

_KEYS = ["attribute", "group", "metric"]
TRADE_COLUMNS = (*_KEYS, "before", "after", "change")


@dataclass(frozen=True, kw_only=True, eq=False)
class ComparisonReport(Report):
    """What changed for each group from one classifier to another, on the same images.

    Numbers are unrounded; NaN (None in JSON) is undefined or withheld, never zero. Rows with harm
    come first in both tables.

    Attributes:
        before: Name of the classifier compared with, and ``after`` of the other; may be empty.
        n: Images, which show so many ``identities``; None where nobody says who is shown.
        seeds: Of the trainings that were paired; empty for two single classifiers.
        level: Of the intervals of groups, and of all comparisons together.
        comparisons: Changes that were tested, in groups and gaps, of all arms together.
        adjusted_level: Of a single comparison.
        margin: Largest change that does not matter, or None.
        positive: The class that the rates are about; None with more than two.
        suppress_below: Counts from 1 to below this are withheld.
        groups: One row a group and measure, columns ``GROUP_COLUMNS``. ``low`` and ``high`` hold
            at ``level`` for other images under these trainings; ``seed_low`` and ``seed_high`` at
            the adjusted level for other trainings on these images.
        gaps: One row a pair of groups and measure, columns ``GAP_COLUMNS``; differences are
            ``group`` minus ``other``, ``low`` and ``high`` hold at the adjusted level.
        trade: ``attribute, group, metric, before, after, change``, without verdict.
        verdict: ``reading, reason, sentence, harms, gains``.
        notes: What a reader must know before reading any number.
        scope: What was compared on whom, and what was not.
        sizes: ``attribute, group, before, after``: images of each group.
    """

    KIND = WORD = "comparison"
    SCHEMA = 1
    TABLES: ClassVar[Mapping[str, Sequence[str]]] = {
        "groups": GROUP_COLUMNS,
        "gaps": GAP_COLUMNS,
        "trade": (),
        "sizes": (),
    }
    LISTED = ("seeds", "notes", "scope")

    before: str
    after: str
    n: int
    identities: int | None
    seeds: tuple[int, ...]
    level: float
    comparisons: int
    adjusted_level: float
    margin: float | None
    positive: str | None
    suppress_below: int
    groups: pd.DataFrame
    gaps: pd.DataFrame
    trade: pd.DataFrame
    verdict: Mapping[str, Any]
    notes: tuple[str, ...]
    scope: tuple[str, ...]
    sizes: pd.DataFrame

    def __repr__(self) -> str:
        harms, gains = (len(self.verdict[name]) for name in ("harms", "gains"))
        return (
            f"ComparisonReport {self.before!r} to {self.after!r} on {self.n:,} images, "
            f"{harms} harmed, {gains} better off: {self.verdict['sentence']}"
        )

    def table(self, metric: str | None = None) -> pd.DataFrame:
        """One measure of every group before and after, harmed groups first.

        Args:
            metric: One that both classifiers were measured by; None for the first.

        Returns:
            ``attribute, group, n, before, after``, then ``change`` with ``low`` and ``high`` (all
            in [-1, 1], NaN where undefined or withheld) and ``verdict``, as in ``groups``.

        Raises:
            EvaluationError: That was not measured.
        """
        chosen = chosen_metric(metric, list(dict.fromkeys(self.groups["metric"])))
        columns = ["n", "before", "after", "change", "low", "high", "verdict"]
        return short_table(self.groups[self.groups["metric"] == chosen], columns)


def compare(before: FairnessReport, after: FairnessReport, **question: Any) -> ComparisonReport:  # noqa: ANN401
    """Compare two classifiers, or two arms over seeds, on the same images.

    Each group's change is tested image against image, or person against person where identities
    are known (``change_p_value``), and so is the change of each gap (``gap_p_value``); Holm over
    all of them. Where the trainings are known, a difference is found only with five seeds or more
    whose own paired interval leaves out 0, too.

    Args:
        before: Report with its images, as made by ``evaluate``.
        after: Likewise, of the same images.
        question: Fields of ``Question``: reference, margin, level, seed.

    Raises:
        EvaluationError: A report read from a file; images, labels, groups, classes, people or
            seeds that differ; a level or margin outside (0, 1).
    """
    return compare_pairs({"": (before, after)}, **question)[""]


def compare_pairs(
    pairs: Mapping[str, tuple[FairnessReport, FairnessReport]],
    **given: Any,  # noqa: ANN401
) -> dict[str, ComparisonReport]:
    """Compare several classifiers with what each was before, as one family of comparisons.

    Args:
        pairs: Before and after, by name.
        given: As in ``compare``.

    Raises:
        EvaluationError: As in ``compare``.
    """
    question = Question(**given)
    found = {name: arm_changes(*pair, question) for name, pair in pairs.items()}
    p = [part for arm in found.values() for part in (arm.p_cells, arm.p_gaps)]
    adjusted = holm(np.concatenate([*p, np.zeros(0)]))
    family = int((~np.isnan(adjusted)).sum()), len(pairs)
    parts = iter(np.split(adjusted, np.cumsum([len(part) for part in p])))
    return {
        name: _report(arm, question, (next(parts), next(parts)), family)
        for name, arm in found.items()
    }


def _report(
    arm: ArmChanges,
    question: Question,
    adjusted: tuple[Float64[np.ndarray, " cells"], Float64[np.ndarray, " gaps"]],
    family: tuple[int, int],
) -> ComparisonReport:
    level = bonferroni_level(question.level, family[0])
    groups = group_table(arm, question, adjusted[0], level)
    gaps = gap_table(arm, question, adjusted[1], level)
    trade = trade_table(arm.before, arm.after, arm.outcomes)
    reports, metrics = (arm.before, arm.after), list(dict.fromkeys(arm.labels["metric"]))
    return ComparisonReport(
        before=arm.before.name,
        after=arm.after.name,
        n=arm.before.n,
        identities=arm.before.identities,
        seeds=arm.seeds,
        level=question.level,
        comparisons=family[0],
        adjusted_level=level,
        margin=question.margin,
        positive=arm.before.positive,
        suppress_below=max(arm.before.suppress_below, arm.after.suppress_below),
        groups=groups,
        gaps=gaps,
        trade=trade,
        verdict=conclude(groups, gaps, arm.seeds, question),
        notes=tuple(change_notes((arm.before, arm.after), arm.seeds, groups, trade)),
        scope=tuple(change_scope(reports, metrics, family, level, question)),
        sizes=sizes_table(arm.before, arm.after, arm.outcomes[0]),
    )


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
    cell = {"attribute": attribute, "group": group}
    return [
        cell | {"metric": name, "before": first[name], "after": second[name]} for name in QUALITIES
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
