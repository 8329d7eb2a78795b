"""Predictions and groups -> what may be said about how a classifier treats each group.

``n`` images, ``g`` cells, ``m`` measures.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64
from numpy.typing import ArrayLike

from debias.errors import EvaluationError
from debias.metrics.documents import Attribute
from debias.metrics.fairness_report import FairnessReport
from debias.metrics.gaps import (
    Cells,
    Reference,
    cells_of,
    gap_table,
    pairs,
    primary_gaps,
    references,
)
from debias.metrics.outcomes import Outcomes, read_outcomes
from debias.metrics.rates import GAP, WORST, measures
from debias.metrics.rules import MINIMUM, SUPPRESS_BELOW, Rules, decided
from debias.metrics.scores import calibration_table, confusion_table, quality, score_table
from debias.metrics.spread import noise_table, ratio_table, spread_table
from debias.metrics.words import conclude, notes, scope
from debias.statistics.groupings import Grouping
from debias.statistics.intervals import Measure, bonferroni_level
from debias.statistics.rows import in_one_order, row_labels
from debias.statistics.withholding import hidden_cells
from debias.storage.documents import plain

COLUMNS = (
    "metric", "attribute", "group", "value", "numerator", "denominator", "identities",
    "effective", "low", "high", "state",
)  # fmt: skip


def evaluate(  # noqa: PLR0913 (the columns of one table, and what was decided beforehand)
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    score: ArrayLike | None = None,
    groups: object,
    subject_id: ArrayLike | None = None,
    reference: Reference | None = None,
    margin: float | None = None,
    level: float = 0.95,
    metrics: Sequence[str] | None = None,
    primary: Sequence[str] | None = None,
    classes: Sequence[object] | None = None,
    positive: object | None = None,
    sample_id: ArrayLike | None = None,
    sources: Mapping[str, str] | None = None,
    declared: Mapping[str, Sequence[str]] | None = None,
    minimum: int = MINIMUM,
    suppress_below: int = SUPPRESS_BELOW,
    noise: bool = False,
    seed: int = 0,
    name: str = "",
) -> FairnessReport:
    """Measure how any classifier treats each group, with intervals that may be defended.

    Columns of pandas are joined by their index, arrays and lists by the order of their rows.

    Args:
        y_true: (n,) class of each image: whole numbers or text.
        y_pred: (n,) predicted class; probabilities belong to ``score``.
        score: (n,) probability of the positive of two classes, or (n, c).
        groups: Table, mapping of columns or one column of text, one row an image; several columns
            are also crossed. Missing values become a group of their own; the categories of a
            categorical column are its declared values.
        subject_id: (n,) who is shown. Without it images count as independent, and intervals are
            too narrow if people repeat.
        reference: Group that the others are compared with, such as ``race:White``, or several,
            or a mapping of attribute to value; by default all pairs are compared.
        margin: Largest difference that does not matter, in (0, 1). Without one, a difference can
            never be ruled out.
        level: Of the intervals of groups, and of all gaps together.
        metrics: Of ``accuracy, true_positive_rate, false_positive_rate, selection_rate,
            precision``; every one adds comparisons. With more than two classes all but accuracy
            are formed for each class against the rest.
        primary: Rates whose gaps between groups are asked first, in order of priority; by default
            the first of ``metrics``. Unless each of them differs, all other gaps only describe.
        classes: All classes, if some may be absent from ``y_true``.
        positive: Class that the rates are about; by default the last of two.
        sample_id: (n,) names of the images, by which two reports are joined; by default the index
            of the first column that names its rows, or positions.
        sources: ``self-reported``, ``annotated``, ``inferred`` or ``not stated``, by attribute.
        declared: Allowed values by attribute; one without images stays visible.
        minimum: Denominators below this take no part in a verdict.
        suppress_below: Denominators from 1 to below this are withheld, and everything that they
            follow from; 1 withholds nothing.
        noise: Shuffle 5 % and 10 % of the group labels to see what the gaps depend on.
        seed: Of the bootstrap over people and of the shuffling.
        name: Of the classifier.

    Raises:
        EvaluationError: Input that would give plausible but wrong numbers, such as columns whose
            indexes agree in part.
        GroupSchemaError: A group that was not declared.
    """
    rules = decided(
        reference=reference, margin=margin, level=level, metrics=metrics, primary=primary,
        minimum=minimum, suppress_below=suppress_below, noise=noise, seed=seed,
    )  # fmt: skip
    columns = in_one_order(
        EvaluationError, y_true=y_true, y_pred=y_pred, score=score, groups=groups,
        subject_id=subject_id, sample_id=sample_id,
    )  # fmt: skip
    if sample_id is None:
        columns["sample_id"] = row_labels(*columns.values())
    outcomes = read_outcomes(
        **columns, classes=classes, positive=positive, sources=sources, declared=declared
    )
    known = [one.name for one in measures(outcomes.classes, outcomes.positive, rules.metrics)]
    for one in rules.primary or ():
        if one not in known:
            raise EvaluationError(
                f"primary question {one!r} is no rate that is measured; known: {', '.join(known)}"
            )
    return report_on(outcomes, rules, name=name)


def report_on(
    outcomes: Outcomes, rules: Rules, *, name: str = "", split: str = ""
) -> FairnessReport:
    """The report on checked outcomes."""
    found = measures(outcomes.classes, outcomes.positive, rules.metrics)
    chosen = references(rules.reference, outcomes.groupings)
    every = _all_cells(outcomes, found, rules)
    compared = [(one, pairs(one.grouping, chosen.get(one.grouping.attribute))) for one in every]
    primary = primary_gaps(compared, _asked_first(rules, [one.name for one in found]), rules.level)
    describes = any(one["reading"] != "difference_found" for one in primary)
    gaps, comparisons = gap_table(compared, rules.level, rules.margin, describes=describes)
    by_group = _by_group(every, rules)
    attributes = [_attribute(cells, chosen) for cells in every]
    report = FairnessReport(
        name=name,
        split=split,
        seeds=outcomes.seeds,
        n=len(outcomes.y_true),
        identities=None if outcomes.subjects is None else len(np.unique(outcomes.subjects)),
        classes=outcomes.classes,
        positive=outcomes.positive,
        metrics=tuple(one.name for one in found),
        level=rules.level,
        comparisons=comparisons,
        adjusted_level=bonferroni_level(rules.level, comparisons),
        margin=rules.margin,
        minimum=rules.minimum,
        suppress_below=rules.suppress_below,
        attributes=attributes,
        overall=overall_rates(outcomes, found, rules),
        quality=quality(outcomes),
        by_group=by_group,
        primary=primary,
        describes=describes,
        gaps=gaps,
        spread=spread_table(every, rules.level),
        ratios=ratio_table(every, rules.level),
        noise=noise_table(every, rules),
        verdict=conclude(by_group, gaps, attributes, rules.margin, primary),
        notes=(),
        scope=(),
        confusion=_curves(confusion_table, outcomes, every),
        calibration=_curves(calibration_table, outcomes, every),
        scores=_curves(score_table, outcomes, every),
        outcomes=outcomes,
    )
    return replace(report, notes=tuple(notes(report)), scope=tuple(scope(report)))


def _asked_first(rules: Rules, measured: Sequence[str]) -> list[str]:
    """Rates of the primary questions, each once; by default the first of all."""
    names = [one.partition("/")[0] for one in rules.primary or ()]
    rates = [one.removeprefix(WORST).removesuffix(GAP) for one in names]
    return [one for one in dict.fromkeys(rates) if one in measured] or list(measured[:1])


def _all_cells(outcomes: Outcomes, found: Sequence[Measure], rules: Rules) -> list[Cells]:
    """Counts of every grouping, with what must be withheld, and the state of each number."""
    generator = np.random.default_rng(rules.seed)
    every = [cells_of(outcomes, one, found, rules.level, generator) for one in outcomes.groupings]
    if not every:
        return []
    # Over all rates, whichever are asked for: two reports must not give away what one withholds.
    full = measures(outcomes.classes, outcomes.positive)
    columns = [[one.name for one in full].index(one.name) for one in found]
    hidden = hidden_cells([cells.table for cells in every], full, rules.suppress_below)
    return [
        cells.judged(mask[:, columns], rules.minimum, rules.level)
        for cells, mask in zip(every, hidden, strict=True)
    ]


def group_rates(outcomes: Outcomes, found: Sequence[Measure], rules: Rules) -> pd.DataFrame:
    """Every measure of every group, as in ``FairnessReport.by_group``."""
    return _by_group(_all_cells(outcomes, found, rules), rules)


def overall_rates(outcomes: Outcomes, found: Sequence[Measure], rules: Rules) -> pd.DataFrame:
    """Every measure of all images as one cell, as in ``FairnessReport.overall``."""
    codes = np.zeros(len(outcomes.y_true), dtype=np.int64)
    everyone = Grouping(attribute="", cells=("all",), codes=codes)
    generator = np.random.default_rng([rules.seed, 1])
    cells = cells_of(outcomes, everyone, found, rules.level, generator)
    cells = cells.judged(cells.hidden, rules.minimum, rules.level)
    return _by_group([cells], rules).drop(columns=["attribute", "group"])


def _by_group(every: Sequence[Cells], rules: Rules) -> pd.DataFrame:
    parts = [_table(cells, rules.level, rules.suppress_below) for cells in every]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))


def _table(cells: Cells, level: float, below: int) -> pd.DataFrame:
    """One row a cell and measure, cells in order; what is withheld is NaN."""
    low, high = cells.limits(level)
    identities = np.full(cells.below.shape, np.nan)
    if cells.clusters is not None:
        people = cells.clusters.people
        identities = np.where(_few_people(people, below), np.nan, people)
    numbers = {
        "value": cells.value,
        "numerator": cells.above,
        "denominator": cells.below,
        "identities": identities,
        "effective": np.where(cells.below > 0, cells.effective(level), 0.0),
        "low": low,
        "high": high,
    }
    return pd.DataFrame(
        {
            "metric": [one.name for one in cells.found] * len(cells.grouping.cells),
            "attribute": cells.grouping.attribute,
            "group": np.repeat(np.array(cells.grouping.cells, dtype=object), len(cells.found)),
            **{name: np.where(cells.hidden, np.nan, v).ravel() for name, v in numbers.items()},
            "state": cells.state.ravel(),
        }
    )


def _few_people(people: Float64[np.ndarray, "g m"], below: int) -> Bool[np.ndarray, "g m"]:
    """Numbers of people that are withheld: small ones, and with a single one the next larger."""
    hidden = (people > 0) & (people < below)
    rest = np.where(hidden | (people == 0), np.inf, people)
    alone = (hidden.sum(axis=0) == 1) & np.isfinite(rest).any(axis=0)
    hidden[np.argmin(rest, axis=0)[alone], np.flatnonzero(alone)] = True
    return hidden


def _attribute(cells: Cells, chosen: Mapping[str, str]) -> Attribute:
    """What a reader must know of a grouping; ``empty`` cells, declared by nobody, of a crossing."""
    one = cells.grouping
    empty = [
        name for name, n in zip(one.cells, one.sizes, strict=True) if one.is_crossing and not n
    ]
    return {
        "attribute": one.attribute,
        "source": one.source,
        "groups": list(one.cells),
        "reference": chosen.get(one.attribute),
        "metrics": cells.compared,
        "empty": empty,
    }


def _curves(
    draw: Callable[[Outcomes, Grouping, Bool[np.ndarray, " g"]], pd.DataFrame],
    outcomes: Outcomes,
    every: Sequence[Cells],
) -> list[Any]:
    """Rows of a table of curves, for the groups of which nothing is withheld."""
    tables = [draw(outcomes, cells.grouping, cells.shown) for cells in every]
    return [plain(row) for table in tables for row in table.to_dict("records")]
