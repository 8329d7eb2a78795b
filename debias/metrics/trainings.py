"""Each training of an arm by itself, and mean and spread over seeds.

What may be claimed about an arm is in ``evaluation`` and ``comparison``. Here images count as
independent, and images without a group label are a group like others. ``s`` seeds; all of them are
evaluated on the same images, so a seed adds no image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_type_hints

import numpy as np
import pandas as pd

from debias.errors import EvaluationError
from debias.metrics.documents import Scalars, SummaryDocument, TrainingDocument
from debias.metrics.evaluation import group_rates, overall_rates
from debias.metrics.outcomes import Outcomes
from debias.metrics.rates import DISPARITIES, RATES, Summary, measures
from debias.metrics.rules import Rules
from debias.metrics.scores import quality
from debias.statistics.intervals import spread
from debias.storage.documents import plain

_NUMBERS = get_type_hints(Scalars)
COLUMNS = (
    "attribute", "group", "metric", "value", "numerator", "denominator", "low", "high", "state",
)  # fmt: skip


def disparities(table: pd.DataFrame) -> tuple[dict[str, float], dict[str, str]]:
    """Every registered summary over the cells of one grouping.

    A cell takes part in a rate when that rate is ``estimated`` there. A cell that holds images but
    none in the denominator of a rate makes every summary of that rate undefined, as do fewer than
    two cells that take part. A ``too_small`` cell, and one of a crossing without image, is left
    out.

    Returns:
        The values by name, NaN where undefined, and the reason of each undefined one by name.
    """
    images = table.loc[table["metric"] == "accuracy", "denominator"].to_numpy()
    known, obstacles = {}, {}
    for rate, registered in RATES.items():
        rows = table[table["metric"] == rate]
        known[rate] = rows.loc[rows["state"] == "estimated", "value"].to_numpy(dtype=np.float64)
        undefined = rows.loc[(rows["denominator"] == 0) & (images > 0), "group"]
        if len(undefined):
            where = f"{len(undefined)} of {len(rows)} groups, first {undefined.iloc[0]}"
            obstacles[rate] = f"no {registered.counted} in {where}"
        elif len(known[rate]) < 2:
            where = f"{len(known[rate])} of {len(rows)} groups; two are needed"
            obstacles[rate] = f"{rate} is estimated in {where}"
    values, reasons = {}, {}
    for name, (rates, summary) in DISPARITIES.items():
        why = [obstacles[rate] for rate in rates if rate in obstacles]
        values[name] = np.nan if why else float(max(summary(known[rate]) for rate in rates))
        if why:
            reasons[name] = why[0]
    return values, reasons


def extremes(table: pd.DataFrame) -> dict[str, str]:
    """Cells of lowest and highest accuracy, the first of equal ones; empty below two estimated."""
    rows = table[(table["metric"] == "accuracy") & (table["state"] == "estimated")]
    accuracy = rows.set_index("group")["value"]
    if len(accuracy) < 2:
        return {}
    return {"worst_group": str(accuracy.idxmin()), "best_group": str(accuracy.idxmax())}


@dataclass(frozen=True, kw_only=True, eq=False)
class Training:
    """The rates of one trained classifier in each group of one split.

    Summaries are over the finest cells: the crossing, or the only attribute; NaN where undefined.
    Rates lie in [0, 1]; variances are in squared rates.

    Attributes:
        by_group: One row per cell and rate, columns ``COLUMNS``; ``low`` and ``high``
            (Clopper-Pearson); ``state`` is ``estimated``, ``too_small``, ``not_estimable``, or
            ``suppressed`` with NaN. Single attributes first, then their full crossing with the
            cells that hold no image.
    """

    arm: str
    figures: TrainingDocument
    by_group: pd.DataFrame

    @property
    def seed(self) -> int:
        return self.figures["seed"]

    def to_dict(self) -> TrainingDocument:
        """Plain values for JSON, None where undefined; rates by group are not among them."""
        found: TrainingDocument = plain(self.figures)
        return found


def each_training(outcomes: Outcomes, rules: Rules, arm: str = "") -> list[Training]:
    """Measure every training of an arm on two classes, overall and by group.

    A rate below ``rules.minimum`` is ``too_small``: shown with its interval, but outside of every
    disparity and never the worst group.
    """
    rows = [slice(row, row + 1) for row in range(len(outcomes.y_pred))]
    alone = [
        replace(
            outcomes,
            y_pred=outcomes.y_pred[one],
            score=None if outcomes.score is None else outcomes.score[one],
            seeds=outcomes.seeds[one],
            subjects=None,
        )
        for one in rows
    ]
    return [_measured(one, rules, arm) for one in alone]


def _measured(outcomes: Outcomes, rules: Rules, arm: str) -> Training:
    found = measures(outcomes.classes, outcomes.positive)
    table = group_rates(outcomes, found, rules)
    few = np.where(table["denominator"] < rules.minimum, "too_small", "estimated")
    table = table.assign(state=table["state"].mask(table["state"] == "unknown", few))
    single = [one.attribute for one in outcomes.groupings if not one.is_crossing]
    alone = {name: disparities(table[table["attribute"] == name]) for name in single}
    values, reasons = disparities(_finest(table))
    for name, (_, why) in alone.items():
        reasons |= {f"{name}/{summary}": text for summary, text in why.items()}
    whole = overall_rates(outcomes, found, rules).set_index("metric")["value"].to_dict()
    figures: Any = {
        "seed": next(iter(outcomes.seeds), 0),
        "n": len(outcomes.y_true),
        "level": rules.level,
        "accuracy": {
            "overall": whole.pop("accuracy"),
            "worst_group": values["worst_group_accuracy"],
            "gap": values["accuracy_gap"],
            "variance": values["accuracy_variance"],
        },
        **whole,
        **{name: quality(outcomes)[name] for name in ("auroc", "expected_calibration_error")},
        "disparities": values,
        "disparities_by_attribute": {name: part for name, (part, _) in alone.items()},
        "extremes": extremes(_finest(table)),
        "reasons": reasons,
    }
    return Training(arm=arm, figures=figures, by_group=table[list(COLUMNS)])


def _finest(by_group: pd.DataFrame) -> pd.DataFrame:
    """Rows of the crossing, or of the only attribute, whose cells the disparities compare."""
    return by_group[by_group["attribute"].isin(by_group["attribute"].tail(1))]


def summarise(trainings: Sequence[Training]) -> SummaryDocument:
    """Mean and spread of one arm over its seeds, as plain values for JSON.

    Returns:
        The layout of ``Training.to_dict`` with ``seeds``, means in place of values, and ``sd``:
        the same nesting of standard deviations (divisor s - 1; None for one seed). What is
        undefined in a seed is None. ``accuracy.worst_group`` and every gap are means over the
        seeds' own, which may be of different groups; ``extremes`` goes by mean accuracy. Rows of
        ``by_group`` hold the mean ``value`` of each rate and its ``sd``.

    Raises:
        EvaluationError: No training, or a seed twice.
    """
    if not trainings:
        raise EvaluationError("there is no training to summarise")
    ordered = _by_seed(trainings)
    figures: list[Any] = [one.figures for one in ordered]
    nested = [{name: one[name] for name in _NUMBERS} for one in figures]
    first, values = ordered[0], np.stack([one.by_group["value"].to_numpy(float) for one in ordered])
    withheld = np.any([one.by_group["state"] == "suppressed" for one in ordered], axis=0)
    by_group = first.by_group.assign(
        value=values.mean(axis=0),
        sd=spread(values),
        state=first.by_group["state"].mask(withheld, "suppressed"),
    )
    summary = {
        **{name: first.figures[name] for name in ("n", "level", "reasons")},
        "seeds": [one.seed for one in ordered],
        **_leafwise(lambda values: float(values.mean()), nested),
        "sd": _leafwise(lambda values: float(spread(values[:, None])[0]), nested),
        "extremes": extremes(_finest(by_group)),
        "by_group": by_group[["attribute", "group", "metric", "value", "sd"]],
    }
    found: SummaryDocument = plain(summary)
    return found


def _by_seed(trainings: Sequence[Training]) -> list[Training]:
    seeds = sorted(one.seed for one in trainings)
    if len(set(seeds)) < len(seeds):
        raise EvaluationError(f"each seed may occur once, got {seeds}")
    return sorted(trainings, key=lambda one: one.seed)


def _leafwise(function: Summary, items: Sequence[Any]) -> Any:  # noqa: ANN401 (as the items nest)
    """Apply a function to each number of equally nested mappings, across the mappings."""
    if not isinstance(items[0], Mapping):
        return function(np.array(items, dtype=np.float64))
    return {key: _leafwise(function, [item[key] for item in items]) for key in items[0]}
