"""One arm and its baseline -> what changed in each group and each gap, as tables.

``cells``: one for each group and paired measure. ``gaps``: pairs of cells of one measure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64, Shaped

from debias.errors import EvaluationError
from debias.metrics.fairness_report import FairnessReport
from debias.metrics.gaps import Pairs, pairs, references
from debias.metrics.outcomes import Outcomes
from debias.metrics.paired import (
    Changes,
    PairedCounts,
    change_limits,
    change_limits_p_value,
    change_p_value,
    gap_limits,
    gap_p_value,
    measured,
    paired_counts,
    stacked,
)
from debias.metrics.rates import measures
from debias.metrics.verdicts import Question, Reference, read_changes, sign_of
from debias.statistics.counts import Measure, ratio
from debias.statistics.groupings import Grouping
from debias.statistics.intervals import seed_limits
from debias.statistics.people import people_by_cell, widening

PerCell = Float64[np.ndarray, " cells"]
PerGap = Float64[np.ndarray, " gaps"]
GapCells = Int64[np.ndarray, " gaps"]

GROUP_COLUMNS = (
    "metric", "attribute", "group", "n", "identities", "before", "after", "change", "low", "high",
    "fixed", "broken", "p_value", "p_adjusted", "seed_low", "seed_high", "state", "verdict",
    "reason", "harm",
)  # fmt: skip
GAP_COLUMNS = (
    "metric", "attribute", "group", "other", "before", "after", "change", "low", "high", "p_value",
    "p_adjusted", "direction", "seed_low", "seed_high", "verdict", "reason", "harm",
)  # fmt: skip
_NUMBERS = GROUP_COLUMNS[3:16]
# The graver first: of two states of one cell, the first in this list counts.
_STATES = ("suppressed", "not_estimable", "too_small", "unknown")


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmChanges:
    """What changed from the baseline to one arm, before it is known what else is compared.

    Attributes:
        outcomes: Of both, on the same images, trainings paired.
        seeds: (s,) common ones; empty for two single classifiers.
        labels: (cells,) rows of ``metric, attribute, group, state``; ``counts`` and ``changes`` of
            the same cells.
        first: (gaps,) cell of the group, and ``second`` of the group it is compared with.
        wider: (gaps,) factor of the interval, above 1 where people stand in both cells and one
            gains where the other loses.
        p_cells: (cells,) NaN where not tested; ``p_gaps`` likewise.
    """

    before: FairnessReport
    after: FairnessReport
    outcomes: tuple[Outcomes, Outcomes]
    seeds: tuple[int, ...]
    labels: pd.DataFrame
    counts: PairedCounts
    changes: Changes
    first: GapCells
    second: GapCells
    wider: PerGap
    p_cells: PerCell
    p_gaps: PerGap


def arm_changes(before: FairnessReport, after: FairnessReport, question: Question) -> ArmChanges:
    """Count, measure and test every cell and every gap.

    Raises:
        EvaluationError: The reports cannot be compared.
    """
    outcomes = paired_outcomes(before, after)
    found = _paired_measures(before, after, outcomes[0])
    counts = _counts(outcomes, found)
    labels = _labels(outcomes[0], found, _states(before, after))
    changes = measured(counts, np.random.default_rng(question.seed))
    first, second, wider = _gaps((before, after), outcomes, question.reference, found)
    tested = labels["state"].to_numpy() == "estimated"
    both = tested[first] & tested[second]
    p_gaps = np.full(len(first), np.nan)
    p_gaps[both] = gap_p_value(changes.take(first[both]), changes.take(second[both]), wider[both])
    return ArmChanges(
        before=before,
        after=after,
        outcomes=outcomes,
        seeds=common_seeds(*outcomes),
        labels=labels,
        counts=counts,
        changes=changes,
        first=first,
        second=second,
        wider=wider,
        p_cells=np.where(tested, _p_of_cells(counts, changes), np.nan),
        p_gaps=p_gaps,
    )


def _p_of_cells(counts: PairedCounts, changes: Changes) -> PerCell:
    """The exact test; where people repeat, the interval must say so, too.

    Flipping the signs of people takes gains and losses as spread alike over people. If a few
    people have all the gains and many the losses (50 people with 20 images, correlation 0.3, 2 %
    each), it alone finds a change at 5 % in 12 % of cases where there is none.
    """
    exact = change_p_value(counts)
    return np.where(counts.people_repeat, np.fmax(exact, change_limits_p_value(changes)), exact)


def _paired_measures(
    before: FairnessReport, after: FairnessReport, outcomes: Outcomes
) -> dict[str, list[Measure]]:
    """By attribute, the measures of both reports whose denominator no prediction changes."""
    common = set(before.metrics) & set(after.metrics)
    every = measures(outcomes.classes, outcomes.positive)
    found = [one for one in every if one.is_paired and one.name in common]
    if not found:
        raise EvaluationError(
            "the two reports have no metric in common whose denominator is the same images "
            f"before and after: {', '.join(before.metrics)} and {', '.join(after.metrics)}"
        )
    compared = {one["attribute"]: set(one["metrics"]) for one in after.attributes}
    return {
        one["attribute"]: [
            measure
            for measure in found
            if measure.name in compared[one["attribute"]] & set(one["metrics"])
        ]
        for one in before.attributes
    }


def _counts(
    outcomes: tuple[Outcomes, Outcomes], found: Mapping[str, Sequence[Measure]]
) -> PairedCounts:
    """Grouping by grouping, measure by measure, group by group; the order of everything here."""
    first, second = outcomes
    parts = [
        paired_counts(
            measure, first.y_true, (first.y_pred, second.y_pred), grouping.codes,
            len(grouping.cells), first.subjects,
        )
        for grouping in first.groupings
        for measure in found[grouping.attribute]
    ]  # fmt: skip
    return stacked(parts, len(first.y_pred))


def _labels(
    outcomes: Outcomes,
    found: Mapping[str, Sequence[Measure]],
    states: Mapping[tuple[str, str], str],
) -> pd.DataFrame:
    rows = [
        (measure.name, grouping.attribute, name, states[measure.name, name])
        for grouping in outcomes.groupings
        for measure in found[grouping.attribute]
        for name in grouping.cells
    ]
    return pd.DataFrame(rows, columns=["metric", "attribute", "group", "state"], dtype=object)


def _states(before: FairnessReport, after: FairnessReport) -> dict[tuple[str, str], str]:
    """The graver of the two states, by metric and group."""
    if not len(before.by_group):
        return {}
    columns = ["metric", "group", "state"]
    both = before.by_group[columns].merge(after.by_group[columns], on=["metric", "group"])
    one, other = both["state_x"], both["state_y"]
    state = np.select([(one == s) | (other == s) for s in _STATES], _STATES, "estimated")
    return dict(zip(zip(both["metric"], both["group"], strict=True), state.tolist(), strict=True))


def _gaps(
    reports: tuple[FairnessReport, FairnessReport],
    outcomes: tuple[Outcomes, Outcomes],
    reference: Reference | None,
    found: Mapping[str, Sequence[Measure]],
) -> tuple[GapCells, GapCells, PerGap]:
    """Cells compared with each other, two of one attribute and one measure, and ``wider``."""
    declared = [{one["reference"] for one in report.attributes} for report in reports]
    common = sorted(name for name in declared[0] & declared[1] if name)
    chosen = references(common if reference is None else reference, outcomes[0].groupings)
    first, second, wider = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    start = 0
    for grouping in outcomes[0].groupings:
        pair = pairs(grouping, chosen.get(grouping.attribute))
        for measure in found[grouping.attribute]:
            first.append(pair.first + start)
            second.append(pair.second + start)
            wider.append(_wider(outcomes, grouping, measure, pair))
            start += len(grouping.cells)
    return np.concatenate(first), np.concatenate(second), np.concatenate(wider)


def _wider(
    outcomes: tuple[Outcomes, Outcomes], grouping: Grouping, measure: Measure, pair: Pairs
) -> PerGap:
    """How much wider each interval must be because of people in both cells."""
    before, after = outcomes
    if before.subjects is None:
        return np.ones(len(pair.first))
    inside = measure.denominator[before.y_true, 0] > 0
    truth, codes = before.y_true[inside], grouping.codes[inside]
    guessed = (part.y_pred[:, inside] for part in (before, after))
    one, other = (measure.numerator[truth, guess].mean(axis=0) for guess in guessed)
    images = np.bincount(codes, minlength=len(grouping.cells))
    change = ratio(np.bincount(codes, other - one, len(images)), images)
    score = (other - one - change[codes]) / images[codes]
    people = before.subjects[inside]
    return widening(people_by_cell(score, people, codes, len(images)), pair.first, pair.second)


def group_table(
    arm: ArmChanges, question: Question, adjusted: PerCell, level: float
) -> pd.DataFrame:
    counts, changes = arm.counts, arm.changes
    low, high = change_limits(changes, question.level)
    people = counts.units.astype(float) if arm.before.identities is not None else np.nan
    is_better = sign_of(arm.labels["metric"]) >= 0
    table = arm.labels.assign(
        n=counts.images.astype(float),
        identities=people,
        before=counts.before,
        after=counts.after,
        change=changes.value,
        low=low,
        high=high,
        fixed=np.where(is_better, counts.gained, counts.lost),
        broken=np.where(is_better, counts.lost, counts.gained),
        p_value=arm.p_cells,
        p_adjusted=adjusted,
        **_over_seeds(arm, counts.by_training, level, 1.0),
    )
    within = change_limits(changes, level)
    table = read_changes(table, within, arm.labels["state"].to_numpy(), arm.seeds, question)
    table.loc[table["state"] == "suppressed", list(_NUMBERS)] = np.nan
    return _harm_first(table)[list(GROUP_COLUMNS)]


def gap_table(arm: ArmChanges, question: Question, adjusted: PerGap, level: float) -> pd.DataFrame:
    first, second, counts = arm.first, arm.second, arm.counts
    untested = _graver(arm.labels["state"].to_numpy(), first, second)
    tested = untested == "estimated"

    def gap(values: PerCell) -> PerGap:
        return np.where(tested, values[first] - values[second], np.nan)

    before, after = gap(counts.before), gap(counts.after)
    low, high = gap_limits(arm.changes.take(first), arm.changes.take(second), level, arm.wider)
    limits = np.where(tested, low, np.nan), np.where(tested, high, np.nan)
    by_training = np.stack([gap(row) for row in counts.by_training])
    names = arm.labels[["metric", "attribute", "group"]].iloc[first].reset_index(drop=True)
    table = names.assign(
        other=arm.labels["group"].to_numpy()[second],
        before=before,
        after=after,
        change=gap(arm.changes.value),
        low=limits[0],
        high=limits[1],
        p_value=arm.p_gaps,
        p_adjusted=adjusted,
        direction=_direction(before, after),
        **_over_seeds(arm, by_training, level, 2.0),
    )
    table = read_changes(table, limits, untested, arm.seeds, question)
    return _harm_first(table)[list(GAP_COLUMNS)]


def _over_seeds(
    arm: ArmChanges, by_training: Float64[np.ndarray, "s rows"], level: float, most: float
) -> dict[str, Float64[np.ndarray, " rows"]]:
    """Paired interval over seeds, as far as a change can go; NaN where seeds are not known."""
    if not arm.seeds:
        unknown = np.full(by_training.shape[1], np.nan)
        return {"seed_low": unknown, "seed_high": unknown}
    _, low, high = seed_limits(by_training, level)
    return {"seed_low": np.maximum(low, -most), "seed_high": np.minimum(high, most)}


def _graver(
    state: Shaped[np.ndarray, " cells"], first: GapCells, second: GapCells
) -> Shaped[np.ndarray, " gaps"]:
    conditions = [(state[first] == one) | (state[second] == one) for one in _STATES]
    return np.select(conditions, _STATES, "estimated").astype(object)


def _direction(before: PerGap, after: PerGap) -> Shaped[np.ndarray, " gaps"]:
    """What became of a gap, as numbers go; whether it is more than chance is in the verdict."""
    conditions = [
        np.isnan(before),
        before == after,
        before * after < 0,
        np.abs(after) > np.abs(before),
    ]
    words = ["", "unchanged", "reversed", "wider"]
    return np.select(conditions, words, "narrower").astype(object)


def _harm_first(table: pd.DataFrame) -> pd.DataFrame:
    """Harm first, the largest change foremost; then the order of the report."""
    harm, size = table["harm"].to_numpy(dtype=bool), table["change"].abs().to_numpy()
    order = np.lexsort([np.where(harm, -size, 0.0), ~harm])
    return table.iloc[order].reset_index(drop=True)


def paired_outcomes(before: FairnessReport, after: FairnessReport) -> tuple[Outcomes, Outcomes]:
    """What both classifiers said about the same images, training by training.

    Raises:
        EvaluationError: A report without its images; or images, labels, groups, classes, people
            or seeds that differ.
    """
    first, second = _outcomes(before), _outcomes(after)
    _check_images(first, second)
    _check_classes(first, second)
    ids = first.sample_ids
    _refuse("true labels", first.y_true != second.y_true, ids)
    _check_groups(first, second)
    _check_people(first, second)
    return first, _in_seed_order(first, second)


def common_seeds(first: Outcomes, second: Outcomes) -> tuple[int, ...]:
    """Seeds of both; empty where a training is unknown: two single classifiers."""
    return first.seeds if second.seeds else ()


def _outcomes(report: FairnessReport) -> Outcomes:
    if report.outcomes is None:
        raise EvaluationError(
            f"the report on {report.name or 'one classifier'} was read from a file, which lists no "
            "image; compare run folders, or reports made by evaluate"
        )
    return report.outcomes


def _refuse(what: str, differs: Bool[np.ndarray, " n"], ids: Shaped[np.ndarray, " n"]) -> None:
    if differs.any():
        raise EvaluationError(
            f"{what} differ for {differs.sum()} of {len(ids)} images, first {ids[differs][0]}; "
            "a comparison needs the same images, labels and groups"
        )


def _check_images(first: Outcomes, second: Outcomes) -> None:
    if np.array_equal(first.sample_ids, second.sample_ids):
        return
    kinds = first.sample_ids.dtype.kind, second.sample_ids.dtype.kind
    if (kinds[0] in "iu") != (kinds[1] in "iu"):
        raise EvaluationError("sample ids are numbers in one report and text in the other")
    alone = np.setxor1d(first.sample_ids, second.sample_ids)
    raise EvaluationError(
        f"{len(alone)} images are in one of the two reports only, first {alone[0]} "
        f"({len(first.sample_ids)} before, {len(second.sample_ids)} after); "
        "evaluate both classifiers on the same images"
    )


def _check_classes(first: Outcomes, second: Outcomes) -> None:
    kinds = [(one.classes, one.positive) for one in (first, second)]
    if kinds[0] != kinds[1]:
        told = " and ".join(f"{', '.join(names)} (positive: {yes})" for names, yes in kinds)
        raise EvaluationError(f"the classes differ: {told}")


def _check_groups(first: Outcomes, second: Outcomes) -> None:
    _check_names("attributes", *([g.attribute for g in one.groupings] for one in (first, second)))
    for one, other in zip(first.groupings, second.groupings, strict=True):
        # Names first: a value declared in one report alone shifts the numbers of the others.
        labels = [np.array(part.cells, dtype=object)[part.codes] for part in (one, other)]
        _refuse(f"groups of {one.attribute}", labels[0] != labels[1], first.sample_ids)
        _check_names(f"groups of {one.attribute}", one.cells, other.cells)


def _check_names(what: str, before: Sequence[str], after: Sequence[str]) -> None:
    if list(before) != list(after):
        alone = sorted(set(before) ^ set(after)) or list(before)
        raise EvaluationError(
            f"the {what} of the two reports differ: {len(alone)} are not in both in the same "
            f"order, first {alone[0]}"
        )


def _check_people(first: Outcomes, second: Outcomes) -> None:
    if (first.subjects is None) != (second.subjects is None):
        raise EvaluationError(
            "only one of the two reports knows who is shown; give subject_id to both"
        )
    if first.subjects is not None and second.subjects is not None:
        # Numbered by first appearance: the numbers themselves depend on the order of the rows.
        codes = [pd.factorize(one)[0] for one in (first.subjects, second.subjects)]
        _refuse("identities", codes[0] != codes[1], first.sample_ids)


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
