"""Two classifiers on the same images -> which groups changed, how sure that is, and who was harmed.

``cells`` and ``gaps`` as in ``changes``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from debias.metrics.changes import ArmChanges, Both
from debias.metrics.documents import ChangeVerdict, ComparisonDocument, PrimaryChange
from debias.metrics.fairness_report import FairnessReport, Report, rows_of_metric
from debias.metrics.outcomes import Outcomes
from debias.metrics.primary import answered, answers
from debias.metrics.rules import decided
from debias.metrics.scores import quality
from debias.metrics.verdicts import PerRow, describes
from debias.metrics.words import change_notes, change_scope, conclude_changes
from debias.statistics.intervals import bonferroni_level, holm
from debias.statistics.looks import Looks

_KEYS = ["attribute", "group", "metric"]
TRADE_COLUMNS = (*_KEYS, "before", "after", "change")


@dataclass(frozen=True, kw_only=True, eq=False)
class ComparisonReport(Report[ComparisonDocument]):
    """What changed for each group from one classifier to another, on the same images.

    Numbers are unrounded; NaN (None in JSON) is undefined or withheld, never zero. Rows with harm
    come first in both tables.

    Attributes:
        groups: One row a group and measure, columns of ``GroupChange``. ``low`` and ``high`` hold
            at ``level`` for other images under these trainings; ``wide_low`` and ``wide_high`` at
            the adjusted level for other images and other trainings.
        gaps: One row a pair of groups and measure, columns of ``GapChange``; differences are
            ``group`` minus ``other``, ``low`` and ``high`` hold at the adjusted level.
        trade: Columns of ``TradeRow``; ``sizes`` of ``SizeRow``.
    """

    KIND, SCHEMA = "comparison", 1

    before: str  # name of the classifier compared with; may be empty
    after: str
    n: int  # images
    identities: int | None  # people whom they show; None where nobody says
    seeds: tuple[int, ...]  # of the trainings that were paired; empty for two single classifiers
    level: float  # of the intervals of groups, and of all comparisons together
    comparisons: int  # changes that were tested, in groups and gaps, of all arms together
    adjusted_level: float  # of a single comparison
    margin: float | None  # largest change that does not matter
    classes: tuple[str, ...]
    positive: str | None  # the class that the rates are about; None with more than two
    suppress_below: int  # counts from 1 to below this are withheld
    groups: pd.DataFrame
    gaps: pd.DataFrame
    trade: pd.DataFrame
    primary: list[PrimaryChange]  # what the comparison was made for, in order of priority
    describes: bool  # groups and gaps only describe: not every primary question was answered
    verdict: ChangeVerdict
    notes: tuple[str, ...]  # what a reader must know before reading any number
    scope: tuple[str, ...]  # what was compared on whom, and what was not
    sizes: pd.DataFrame

    def __repr__(self) -> str:
        harms, gains = len(self.verdict["harms"]), len(self.verdict["gains"])
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
        known = list(dict.fromkeys(self.groups["metric"]))
        columns = ["n", "before", "after", "change", "low", "high", "verdict"]
        rows = rows_of_metric(self.groups, metric, known)
        return rows[["attribute", "group", *columns]].reset_index(drop=True)


def compare(before: FairnessReport, after: FairnessReport, **question: Any) -> ComparisonReport:  # noqa: ANN401
    """Compare two classifiers, or two arms over seeds, on the same images.

    The primary questions (``Rules.primary``) come first and decide the verdict: ``primary``. Then
    each group's change is tested image against image, or person against person where identities
    are known (``change_p_value``), and so is the change of each gap (``change_limits_p_value``);
    Holm over all of them. Where several trainings are known, a difference is found over images and
    trainings together (``statistics.crossed``). Unless every primary question found a difference,
    groups and gaps only describe.

    Args:
        before: Report with its images, as made by ``evaluate``.
        after: Likewise, of the same images.
        question: As in ``compare_pairs``.

    Raises:
        EvaluationError: Images, labels, groups, classes, people or
            seeds that differ; a level or margin outside (0, 1).
    """
    return compare_pairs({"": (before, after)}, **question)[""]


def compare_pairs(
    pairs: Mapping[str, tuple[FairnessReport, FairnessReport]],
    *,
    looks: Looks | None = None,
    **question: Any,  # noqa: ANN401
) -> dict[str, ComparisonReport]:
    """Compare several classifiers with what each was before, as one family of comparisons.

    Args:
        pairs: Before and after, by name.
        looks: After which numbers of trainings the primary questions are judged, where there may
            be more than one look.
        question: ``reference`` (as in ``evaluate``; None takes what both reports declared, or all
            pairs), ``margin``, ``level``, ``primary`` and ``seed`` of ``Rules``.

    Raises:
        EvaluationError: As in ``compare``.
    """
    rules = decided(**question)
    found = {name: ArmChanges(*pair, rules) for name, pair in pairs.items()}
    ends = np.cumsum([len(arm.p) for arm in found.values()])[:-1]
    p, wide = (
        np.split(holm(np.concatenate([*parts, np.zeros(0)])), ends)
        for parts in ([arm.p for arm in found.values()], [arm.p_wide for arm in found.values()])
    )
    family = int(sum((~np.isnan(part)).sum() for part in p)), len(pairs)
    asked = {name: answers(pair, found[name].outcomes, rules) for name, pair in pairs.items()}
    primaries = answered(asked, rules, looks)
    return {
        name: _report(arm, (p[k], wide[k]), primaries[name], family)
        for k, (name, arm) in enumerate(found.items())
    }


def _report(
    arm: ArmChanges,
    adjusted: tuple[PerRow, PerRow],
    primary: list[PrimaryChange],
    family: tuple[int, int],
) -> ComparisonReport:
    before, after, rules = arm.before, arm.after, arm.rules
    level = bonferroni_level(rules.level, family[0])
    cells = len(arm.labels)
    images, wide = adjusted
    groups = arm.group_table(images[:cells], wide[:cells], level)
    gaps = arm.gap_table(images[cells:], wide[cells:], level)
    trade = trade_table(before, after, arm.outcomes)
    metrics = list(dict.fromkeys(arm.labels["metric"]))
    return ComparisonReport(
        before=before.name,
        after=after.name,
        n=before.n,
        identities=before.identities,
        seeds=arm.seeds,
        level=rules.level,
        comparisons=family[0],
        adjusted_level=level,
        margin=rules.margin,
        classes=before.classes,
        positive=before.positive,
        suppress_below=max(before.suppress_below, after.suppress_below),
        groups=groups,
        gaps=gaps,
        trade=trade,
        primary=primary,
        describes=describes(primary),
        verdict=conclude_changes(primary, groups, gaps, arm.seeds, rules),
        notes=tuple(change_notes((before, after), arm.seeds, groups, trade)),
        scope=tuple(change_scope((before, after), metrics, family, level, rules)),
        sizes=sizes_table(before, after, arm.outcomes[0]),
    )


def trade_table(before: FairnessReport, after: FairnessReport, outcomes: Both) -> pd.DataFrame:
    """Every rate and the quality of the scores before and after, overall and by group.

    Means over trainings, without interval or verdict. What either report withholds is NaN, and so
    is the quality of scores in a group that either report withholds anything of, or in which a
    class has too few images.

    Returns:
        Columns ``TRADE_COLUMNS``; attribute and group are empty for all images, which come first.
    """
    values = [
        pd.concat([report.overall.assign(attribute="", group=""), report.by_group])[
            [*_KEYS, "value", "state"]
        ]
        for report in (before, after)
    ]
    both = values[0].merge(values[1], on=_KEYS, suffixes=("_before", "_after"))
    hidden = (both[["state_before", "state_after"]] == "suppressed").any(axis=1)
    for end in ("before", "after"):
        both[end] = both[f"value_{end}"].where(~hidden)
    # Groups in the order of the reports, the quality of scores behind the rates of each.
    table = pd.concat([both, *_qualities(before, after, outcomes)], ignore_index=True)
    cells = table[["attribute", "group"]].apply(tuple, axis=1)
    table = table.iloc[np.argsort(pd.factorize(cells)[0], kind="stable")].reset_index(drop=True)
    return table.assign(change=table["after"] - table["before"])[list(TRADE_COLUMNS)]


def _qualities(
    before: FairnessReport, after: FairnessReport, outcomes: Both
) -> Iterator[pd.DataFrame]:
    """Quality of the scores of all images, then of every group; none without scores."""
    first, second = outcomes
    if first.score is None or second.score is None:
        return
    cells = [("", "", np.ones(before.n, dtype=bool))]
    c, smallest = len(first.classes), max(before.minimum, after.minimum)
    told = [report.by_group[report.by_group["state"] == "suppressed"] for report in (before, after)]
    hidden = set(pd.concat(told)["group"])
    for grouping in first.groupings:
        n_cells = len(grouping.cells)
        of_class = np.bincount(grouping.codes * c + first.y_true, minlength=c * n_cells)
        enough = of_class.reshape(-1, c).min(axis=1) >= smallest
        for index, name in enumerate(grouping.cells):
            inside = (grouping.codes == index) & bool(enough[index] and name not in hidden)
            cells.append((grouping.attribute, name, inside))
    for attribute, group, which in cells:
        values = {end: quality(one, which) for end, one in (("before", first), ("after", second))}
        table = pd.DataFrame(values).rename_axis("metric").reset_index()
        yield table.assign(attribute=attribute, group=group)


def sizes_table(before: FairnessReport, after: FairnessReport, outcomes: Outcomes) -> pd.DataFrame:
    """Images of each group, the same before and after; NaN where they are withheld.

    Returns:
        Columns ``attribute, group, before, after``.
    """
    hidden = before.unsized | after.unsized
    rows = [
        (grouping.attribute, name, *[np.nan if name in hidden else float(size)] * 2)
        for grouping in outcomes.groupings
        for name, size in zip(grouping.cells, grouping.sizes, strict=True)
    ]
    return pd.DataFrame(rows, columns=["attribute", "group", "before", "after"])
