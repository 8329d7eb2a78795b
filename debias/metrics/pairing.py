"""Two reports -> the outcomes behind them, if they are of the same images."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Shaped

from debias.errors import EvaluationError
from debias.metrics.fairness_report import FairnessReport
from debias.metrics.outcomes import Outcomes


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
