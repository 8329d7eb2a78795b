"""One arm and its baseline -> what changed in each group and each gap, as tables.

``cells``: one for each group and paired measure. ``gaps``: pairs of cells of one measure.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64, Shaped
from scipy import sparse

from debias.errors import EvaluationError
from debias.metrics.fairness_report import FairnessReport
from debias.metrics.gaps import pairs, references
from debias.metrics.outcomes import Outcomes
from debias.metrics.paired import (
    Changes,
    Limits,
    PairedCounts,
    change_limits,
    change_limits_p_value,
    change_p_value,
    measured,
    paired_counts,
    stacked,
)
from debias.metrics.rates import measures
from debias.metrics.rules import Rules
from debias.metrics.verdicts import read_changes, sign_of
from debias.statistics.crossed import ADDED, Crossed, crossed_rows
from debias.statistics.groupings import Grouping
from debias.statistics.intervals import Measure, cut, ratio
from debias.statistics.people import people_by_cell, widening

PerCell = Float64[np.ndarray, " cells"]
PerGap = Float64[np.ndarray, " gaps"]
GapCells = Int64[np.ndarray, " gaps"]
Both = tuple[Outcomes, Outcomes]
Tested = list[tuple[Grouping, Measure]]

GROUP_COLUMNS = (
    "metric", "attribute", "group", "n", "identities", "before", "after", "change", "low", "high",
    "fixed", "broken", "p_value", "p_adjusted", "wide_low", "wide_high", "p_wide", "state",
    "verdict", "reason", "harm",
)  # fmt: skip
GAP_COLUMNS = (
    "metric", "attribute", "group", "other", "before", "after", "change", "low", "high", "p_value",
    "p_adjusted", "direction", "wide_low", "wide_high", "p_wide", "verdict", "reason", "harm",
)  # fmt: skip
_NUMBERS = GROUP_COLUMNS[3:17]
# The graver first: of two states of one cell, or of two cells, the first in this list counts.
_STATES = ("suppressed", "not_estimable", "too_small", "unknown")


class ArmChanges:
    """What changed from the baseline to one arm; tables, once it is known what else is compared.

    Attributes:
        outcomes: Of both, on the same images, trainings paired.
        seeds: (s,) common ones; empty for two single classifiers.
        labels: (cells,) rows of ``metric, attribute, group, state``; ``counts`` and ``changes`` of
            the same cells.
        first: (gaps,) cell of the group, and ``second`` of the group it is compared with.
        wider: (gaps,) factor of the interval, above 1 where people stand in both cells and one
            gains where the other loses.
        wide: (cells,) the changes over images and trainings together; ``wide_gaps`` likewise.
        p: (cells + gaps,) by images alone, under these trainings; NaN where not tested.
        p_wide: (cells + gaps,) by both.

    Raises:
        EvaluationError: The reports cannot be compared.
    """

    def __init__(self, before: FairnessReport, after: FairnessReport, rules: Rules) -> None:
        self.before, self.after, self.rules = before, after, rules
        self.outcomes = paired_outcomes(before, after)
        self.seeds = self.outcomes[0].seeds if self.outcomes[1].seeds else ()
        tested = _tested(before, after, self.outcomes[0])
        self.labels = _labels(before, after, tested)
        self.counts = _counts(*self.outcomes, tested)
        self.changes = measured(self.counts, np.random.default_rng(rules.seed))
        self.first, self.second, self.wider = self._gaps(tested)
        few = ratio(np.full(len(self.labels), ADDED), np.square(self.counts.images.astype(float)))
        self.wide = crossed_rows(
            self.counts.by_training, self.changes.deviation, self.counts.apart, few,
            self.changes.freedom,
        )  # fmt: skip
        self.wide_gaps = self.wide.apart(
            self.counts.by_training, self.first, self.second, self.wider
        )
        state = self.labels["state"].to_numpy()
        self.untested = _graver(state[self.first], state[self.second])
        self.p = np.concatenate([self._p_cells(state == "estimated"), self._p_gaps()])
        both = np.concatenate([self.wide.p_value(), self.wide_gaps.p_value()])
        self.p_wide = np.maximum(self.p, both) if self.seeds else self.p

    def _p_cells(self, tested: Bool[np.ndarray, " cells"]) -> PerCell:
        return np.where(tested, _p_of_cells(self.counts, self.changes), np.nan)

    def _p_gaps(self) -> PerGap:
        both, found = self.untested == "estimated", np.full(len(self.first), np.nan)
        first, second = (self.changes.take(one[both]) for one in (self.first, self.second))
        found[both] = change_limits_p_value(first, second, self.wider[both])
        return found

    def _gaps(self, tested: Tested) -> tuple[GapCells, GapCells, PerGap]:
        """Cells compared with each other, two of one attribute and one measure, and ``wider``."""
        declared = [
            {one["reference"] for one in report.attributes} for report in (self.before, self.after)
        ]
        common = sorted(name for name in declared[0] & declared[1] if name)
        asked = common if self.rules.reference is None else self.rules.reference
        chosen = references(asked, self.outcomes[0].groupings)
        first, second, wider = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
        start = 0
        for grouping, measure in tested:
            one, other = pairs(grouping, chosen.get(grouping.attribute))
            first.append(one + start)
            second.append(other + start)
            score = _people(self.outcomes, grouping, measure)
            wider.append(np.ones(len(one)) if score is None else widening(score, one, other))
            start += len(grouping.cells)
        return np.concatenate(first), np.concatenate(second), np.concatenate(wider)

    def group_table(self, adjusted: PerCell, wide: PerCell, level: float) -> pd.DataFrame:
        """Every cell, columns ``GROUP_COLUMNS``; p-values adjusted, ``level`` of one change."""
        counts, changes = self.counts, self.changes
        low, high = change_limits(changes, self.rules.level)
        fixed, broken = counts.gained, counts.lost
        is_better = sign_of(self.labels["metric"]) >= 0
        table = self.labels.assign(
            n=counts.images.astype(float),
            identities=np.nan if self.before.identities is None else counts.units.astype(float),
            before=counts.before,
            after=counts.after,
            change=changes.value,
            low=low,
            high=high,
            fixed=np.where(is_better, fixed, broken),
            broken=np.where(is_better, broken, fixed),
            p_value=self.p[: len(self.labels)],
            p_adjusted=adjusted,
            p_wide=wide,
        )
        state, limits = self.labels["state"].to_numpy(), change_limits(changes, level)
        table = self._read(table, limits, state, self.wide, level)
        table.loc[table["state"] == "suppressed", list(_NUMBERS)] = np.nan
        return _harm_first(table)[list(GROUP_COLUMNS)]

    def gap_table(self, adjusted: PerGap, wide: PerGap, level: float) -> pd.DataFrame:
        """Every gap, columns ``GAP_COLUMNS``; NaN where one of the two cells is not tested."""
        first, second, counts = self.first, self.second, self.counts
        tested = self.untested == "estimated"

        def gap(values: PerCell) -> PerGap:
            return np.where(tested, values[first] - values[second], np.nan)

        one, other = self.changes.take(first), self.changes.take(second)
        limits = change_limits(one, level, other, self.wider)
        low, high = (np.where(tested, end, np.nan) for end in limits)
        before, after = gap(counts.before), gap(counts.after)
        names = self.labels[["metric", "attribute", "group"]].iloc[first].reset_index(drop=True)
        table = names.assign(
            other=self.labels["group"].to_numpy()[second],
            before=before,
            after=after,
            change=gap(self.changes.value),
            low=low,
            high=high,
            p_value=self.p[len(self.labels) :],
            p_adjusted=adjusted,
            p_wide=wide,
            direction=_direction(before, after),
        )
        table = self._read(table, (low, high), self.untested, self.wide_gaps, level)
        return _harm_first(table)[list(GAP_COLUMNS)]

    def _read(
        self,
        table: pd.DataFrame,
        limits: Limits,
        state: Shaped[np.ndarray, " rows"],
        wide: Crossed,
        level: float,
    ) -> pd.DataFrame:
        """The interval over images and trainings, as far as a change can go, and the verdicts."""
        table = table.assign(wide_low=np.nan, wide_high=np.nan)
        if len(self.seeds) > 1:
            least, before = -1.0 if "other" in table else 0.0, table["before"].to_numpy(dtype=float)
            low, high = cut(wide.limits(level), before, least)
            table = table.assign(wide_low=low, wide_high=high)
        return read_changes(table, limits, state, self.seeds, self.rules)


def _p_of_cells(counts: PairedCounts, changes: Changes) -> PerCell:
    """The exact test; where people repeat, the interval must say so, too.

    Flipping the signs of people takes gains and losses as spread alike over people. If a few
    people have all the gains and many the losses (50 people with 20 images, correlation 0.3, 2 %
    each), it alone finds a change at 5 % in 12 % of cases where there is none.
    """
    exact = change_p_value(counts)
    return np.where(counts.people_repeat, np.fmax(exact, change_limits_p_value(changes)), exact)


def _tested(before: FairnessReport, after: FairnessReport, outcomes: Outcomes) -> Tested:
    """Measures of both reports whose denominator no prediction changes; the order of everything."""
    common = set(before.metrics) & set(after.metrics)
    every = measures(outcomes.classes, outcomes.positive)
    found = [one for one in every if one.is_paired and one.name in common]
    if not found:
        raise EvaluationError(
            "the two reports have no metric in common whose denominator is the same images "
            f"before and after: {', '.join(before.metrics)} and {', '.join(after.metrics)}"
        )
    first, second = (
        {(one["attribute"], name) for one in report.attributes for name in one["metrics"]}
        for report in (before, after)
    )
    return [
        (grouping, measure)
        for grouping in outcomes.groupings
        for measure in found
        if (grouping.attribute, measure.name) in first & second
    ]


def _counts(first: Outcomes, second: Outcomes, tested: Tested) -> PairedCounts:
    """Grouping by grouping, measure by measure, group by group."""
    y_true, y_pred, people = first.y_true, (first.y_pred, second.y_pred), first.subjects
    parts = [
        paired_counts(measure, y_true, y_pred, one.codes, len(one.cells), people)
        for one, measure in tested
    ]
    if not parts:  # no group: the shapes without a cell
        nobody, (every, *_) = y_true[:0], measures(first.classes, first.positive, ["accuracy"])
        none = first.y_pred[:, :0]
        return paired_counts(every, nobody, (none, none), nobody, 0, None)
    return stacked(parts)


def _labels(before: FairnessReport, after: FairnessReport, tested: Tested) -> pd.DataFrame:
    """Every cell by name, with the graver of its two states."""
    columns = ["metric", "attribute", "group"]
    rows = [(m.name, one.attribute, name) for one, m in tested for name in one.cells]
    table = pd.DataFrame(rows, columns=columns, dtype=object)
    states = [
        table.merge(report.by_group, how="left")["state"].to_numpy() if rows else np.zeros(0)
        for report in (before, after)
    ]
    return table.assign(state=_graver(*states))


def _graver(
    one: Shaped[np.ndarray, " rows"], other: Shaped[np.ndarray, " rows"]
) -> Shaped[np.ndarray, " rows"]:
    conditions = [(one == state) | (other == state) for state in _STATES]
    return np.select(conditions, _STATES, "estimated").astype(object)


def _people(outcomes: Both, grouping: Grouping, measure: Measure) -> sparse.csc_array | None:
    """(people, g) what each person adds to the change of each cell; None if nobody is named."""
    before, after = outcomes
    if before.subjects is None:
        return None
    inside = measure.denominator[before.y_true, 0] > 0
    truth, codes = before.y_true[inside], grouping.codes[inside]
    guessed = (part.y_pred[:, inside] for part in (before, after))
    one, other = (measure.numerator[truth, guess].mean(axis=0) for guess in guessed)
    images = np.bincount(codes, minlength=len(grouping.cells))
    change = ratio(np.bincount(codes, other - one, len(images)), images)
    score = (other - one - change[codes]) / images[codes]
    return people_by_cell(score, before.subjects[inside], codes, len(images))


def _direction(before: PerGap, after: PerGap) -> Shaped[np.ndarray, " gaps"]:
    """What became of a gap, as numbers go; whether it is more than chance is in the verdict."""
    kinds = {
        "": np.isnan(before),
        "unchanged": before == after,
        "reversed": before * after < 0,
        "wider": np.abs(after) > np.abs(before),
    }
    return np.select(list(kinds.values()), list(kinds), "narrower").astype(object)


def _harm_first(table: pd.DataFrame) -> pd.DataFrame:
    """Harm first, the largest change foremost; then the order of the report."""
    harm, size = table["harm"].to_numpy(dtype=bool), table["change"].abs().to_numpy()
    order = np.lexsort([np.where(harm, -size, 0.0), ~harm])
    return table.iloc[order].reset_index(drop=True)


def paired_outcomes(before: FairnessReport, after: FairnessReport) -> Both:
    """What both classifiers said about the same images, training by training.

    Raises:
        EvaluationError: Images, labels, groups, classes, people or seeds that differ.
    """
    first, second = before.outcomes, after.outcomes
    _check_images(first, second)
    kinds = [(one.classes, one.positive) for one in (first, second)]
    if kinds[0] != kinds[1]:
        told = " and ".join(f"{', '.join(names)} (positive: {yes})" for names, yes in kinds)
        raise EvaluationError(f"the classes differ: {told}")
    _refuse("true labels", first.y_true != second.y_true, first.sample_ids)
    _check_names("attributes", *([g.attribute for g in one.groupings] for one in (first, second)))
    for one, other in zip(first.groupings, second.groupings, strict=True):
        # Names first: a value declared in one report alone shifts the numbers of the others.
        labels = [np.array(part.cells, dtype=object)[part.codes] for part in (one, other)]
        _refuse(f"groups of {one.attribute}", labels[0] != labels[1], first.sample_ids)
        _check_names(f"groups of {one.attribute}", one.cells, other.cells)
    _check_people(first, second)
    return first, _in_seed_order(first, second)


def _refuse(what: str, differs: Bool[np.ndarray, " n"], ids: Shaped[np.ndarray, " n"]) -> None:
    if differs.any():
        raise EvaluationError(
            f"{what} differ for {differs.sum()} of {len(ids)} images, first {ids[differs][0]}; "
            "a comparison needs the same images, labels and groups, and the column of their names "
            "(sample_id, in a terminal --sample) to be the same where rows stand in another order"
        )


def _check_images(first: Outcomes, second: Outcomes) -> None:
    ids = first.sample_ids, second.sample_ids
    if np.array_equal(*ids):
        return
    if len({one.dtype.kind in "iu" for one in ids}) > 1:
        raise EvaluationError("sample ids are numbers in one report and text in the other")
    alone = np.setxor1d(*ids)
    raise EvaluationError(
        f"{len(alone)} images are in one of the two reports only, first {alone[0]} "
        f"({len(ids[0])} before, {len(ids[1])} after); evaluate both classifiers on the same "
        "images, and name them by the same column (sample_id, in a terminal --sample)"
    )


def _check_names(what: str, before: Sequence[str], after: Sequence[str]) -> None:
    if list(before) != list(after):
        alone = sorted(set(before) ^ set(after)) or list(before)
        raise EvaluationError(
            f"the {what} of the two reports differ: {len(alone)} are not in both in the same "
            f"order, first {alone[0]}"
        )


def _check_people(first: Outcomes, second: Outcomes) -> None:
    known = [one.subjects for one in (first, second) if one.subjects is not None]
    if len(known) == 1:
        raise EvaluationError(
            "only one of the two reports knows who is shown; give subject_id to both"
        )
    if known:
        # Numbered by first appearance: the numbers themselves depend on the order of the rows.
        one, other = (pd.factorize(subjects)[0] for subjects in known)
        _refuse("identities", one != other, first.sample_ids)


def _in_seed_order(first: Outcomes, second: Outcomes) -> Outcomes:
    """The second, its trainings in the order of the first's seeds."""
    if not (first.seeds and second.seeds):
        counts = len(first.y_pred), len(second.y_pred)
        if counts != (1, 1):
            raise EvaluationError(
                f"trainings can be paired by their seeds only, and one report has none: got "
                f"{counts[0]} and {counts[1]} trainings"
            )
        return second
    if sorted(first.seeds) != sorted(second.seeds):
        raise EvaluationError(
            f"both need the same seeds to be paired, got {sorted(first.seeds)} and "
            f"{sorted(second.seeds)}"
        )
    rows = [second.seeds.index(seed) for seed in first.seeds]
    score = None if second.score is None else second.score[rows]
    return replace(second, y_pred=second.y_pred[rows], score=score, seeds=first.seeds)
