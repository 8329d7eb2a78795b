"""One training of a classifier -> its plain rates by group, and their summaries.

What may be claimed about a classifier is in ``evaluation``; this is the record of each training.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64

from debias.errors import EvaluationError
from debias.metrics.disparities import disparities, extremes
from debias.metrics.overall import overall
from debias.metrics.rates import RATES, confusion, measures
from debias.metrics.rules import Rules
from debias.statistics.counts import counted, ratio
from debias.statistics.groupings import Grouping, groupings, join_groups
from debias.statistics.intervals import clopper_pearson
from debias.statistics.withholding import hidden_cells
from debias.storage.documents import plain
from debias.types import Predictions

_COLUMNS = (
    "attribute",
    "group",
    "metric",
    "value",
    "numerator",
    "denominator",
    "low",
    "high",
    "state",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingReport:
    """The rates of one trained classifier in each group of one split.

    Attributes:
        by_group: One row per cell and rate: ``attribute``, ``group``, ``metric``, ``value``,
            ``numerator``, ``denominator``, ``low`` and ``high`` (Clopper-Pearson), ``state``
            (``estimated``, ``too_small``, ``not_estimable``, or ``suppressed`` with NaN). Single
            attributes first, then their full crossing with the cells that hold no image.
        overall: Rates over all samples, ``auroc``, ``expected_calibration_error``, ``n``.
        disparities: Summaries over the finest cells: the crossing, or the only attribute. NaN
            where undefined. Rates lie in [0, 1]; variances are in squared rates.
        disparities_by_attribute: The same over the values of each attribute alone.
        extremes: ``worst_group`` and ``best_group`` by accuracy among the finest cells; empty when
            fewer than two are estimated.
        reasons: Why a summary is undefined, by ``name`` or ``attribute/name``.
        arm: Name of the weighting arm.
        seed: Seed of the training.
        split: Split that was predicted.
        n: Samples.
        level: Level of the intervals.
    """

    by_group: pd.DataFrame
    overall: Mapping[str, float]
    disparities: Mapping[str, float]
    disparities_by_attribute: Mapping[str, Mapping[str, float]]
    extremes: Mapping[str, str]
    reasons: Mapping[str, str]
    arm: str
    seed: int
    split: str
    n: int
    level: float

    @property
    def finest(self) -> str:
        """Attribute, or crossing, whose cells the disparities compare; empty without groups."""
        return str(self.by_group["attribute"].iloc[-1]) if len(self.by_group) else ""

    def scalars(self) -> dict[str, Any]:
        """Every single number, nested as in :meth:`to_dict`; NaN where undefined."""
        return {
            "accuracy": {
                "overall": self.overall["accuracy"],
                "worst_group": self.disparities["worst_group_accuracy"],
                "gap": self.disparities["accuracy_gap"],
                "variance": self.disparities["accuracy_variance"],
            },
            **{
                name: value for name, value in self.overall.items() if name not in ("accuracy", "n")
            },
            "disparities": dict(self.disparities),
            "disparities_by_attribute": {
                attribute: dict(values)
                for attribute, values in self.disparities_by_attribute.items()
            },
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, None where undefined."""
        nested = {
            "seed": self.seed,
            "n": self.n,
            "level": self.level,
            **self.scalars(),
            "extremes": dict(self.extremes),
            "reasons": dict(self.reasons),
            "by_group": self.by_group.to_dict("records"),
        }
        return {key: plain(value) for key, value in nested.items()}


def evaluate_predictions(
    predictions: Predictions,
    groups: pd.DataFrame,
    *,
    rules: Rules | None = None,
) -> TrainingReport:
    """Measure one classifier on one split, overall and by group.

    Args:
        predictions: Of a binary task; class 1 is positive.
        groups: Indexed by ``sample_id``, one text column per attribute; joined by id, in any
            order. Ids that were not predicted are ignored; missing values become ``unknown``.
        rules: Level of the Clopper-Pearson intervals, which take images as independent, so they
            are too narrow where people repeat; ``minimum``, below which a rate is ``too_small``:
            shown with its interval, but outside of every disparity and never the worst group;
            ``suppress_below``: smaller counts are withheld.

    Raises:
        EvaluationError: No prediction, repeated ids, lengths that disagree, classes outside
            {0, 1}, scores outside [0, 1], ids without groups, groups that are not text.
    """
    rules = rules or Rules()
    _check(predictions)
    # Sums of floats depend on their order; sorted by id they do not depend on the caller's.
    order = np.argsort(predictions.sample_ids, kind="stable")
    y_true, y_pred = predictions.y_true[order], predictions.y_pred[order]
    joined = join_groups(groups, predictions.sample_ids[order])
    tables = _disaggregate(groupings(joined), y_true, y_pred, rules)
    found = {attribute: disparities(table) for attribute, table in tables.items()}
    finest = list(tables.values())[-1] if tables else _no_groups()
    values, reasons = found[list(tables)[-1]] if tables else disparities(finest)
    by_attribute = {str(name): found[str(name)] for name in joined.columns}
    return TrainingReport(
        by_group=pd.concat(tables.values(), ignore_index=True) if tables else finest,
        overall=overall(y_true, y_pred, predictions.score[order]),
        disparities=values,
        disparities_by_attribute={name: single for name, (single, _) in by_attribute.items()},
        extremes=extremes(finest),
        reasons=reasons | _prefixed(by_attribute),
        arm=predictions.arm,
        seed=predictions.seed,
        split=predictions.split,
        n=len(order),
        level=rules.level,
    )


def _disaggregate(
    found: Sequence[Grouping],
    y_true: Int64[np.ndarray, " n"],
    y_pred: Int64[np.ndarray, " n"],
    rules: Rules,
) -> dict[str, pd.DataFrame]:
    """Every rate in every cell by attribute, one row each, cells in order and rates in order."""
    if not found:
        return {}
    rates = measures(("0", "1"), "1")
    tables = [
        confusion(y_true, y_pred, grouping.codes, len(grouping.cells)).astype(np.float64)
        for grouping in found
    ]
    hidden = hidden_cells(tables, rates, rules.suppress_below)
    return {
        grouping.attribute: _rows(grouping, counted(table, rates), mask, rules)
        for grouping, table, mask in zip(found, tables, hidden, strict=True)
    }


def _rows(
    grouping: Grouping,
    counts: tuple[Float64[np.ndarray, "g m"], Float64[np.ndarray, "g m"]],
    hidden: Bool[np.ndarray, "g m"],
    rules: Rules,
) -> pd.DataFrame:
    above, below = (part.ravel() for part in counts)
    low, high = clopper_pearson(above, below, rules.level)
    numbers = {
        "value": ratio(above, below), "numerator": above, "denominator": below,
        "low": low, "high": high,
    }  # fmt: skip
    conditions = [hidden.ravel(), below == 0, below < rules.minimum]
    kinds = ["suppressed", "not_estimable", "too_small"]
    return pd.DataFrame(
        {
            "attribute": grouping.attribute,
            "group": np.repeat(np.array(grouping.cells, dtype=object), len(RATES)),
            "metric": list(RATES) * len(grouping.cells),
            **{name: np.where(hidden.ravel(), np.nan, part) for name, part in numbers.items()},
            "state": np.select(conditions, kinds, "estimated").astype(object),
        }
    )


def _prefixed(found: Mapping[str, tuple[Mapping[str, float], Mapping[str, str]]]) -> dict[str, str]:
    return {
        f"{attribute}/{name}": reason
        for attribute, (_, reasons) in found.items()
        for name, reason in reasons.items()
    }


def _no_groups() -> pd.DataFrame:
    return pd.DataFrame({column: [] for column in _COLUMNS})


def _check(predictions: Predictions) -> None:
    ids, y_true, score = predictions.sample_ids, predictions.y_true, predictions.score
    sizes = len(ids), len(y_true), len(score)
    if len(set(sizes)) > 1:
        raise EvaluationError(f"sample_ids, y_true and score have {sizes} rows; they must agree")
    if len(ids) == 0:
        raise EvaluationError("there is no prediction to evaluate")
    distinct = len(np.unique(ids))
    if distinct < len(ids):
        raise EvaluationError(f"{len(ids) - distinct} predictions repeat a sample id")
    classes = sorted(set(np.unique(y_true).tolist()) - {0, 1})
    if classes:
        raise EvaluationError(f"y_true must be 0 or 1, got {classes[:10]}")
    outside = ~((score >= 0) & (score <= 1))  # True for NaN, too
    if outside.any():
        first = np.flatnonzero(outside)[0]
        raise EvaluationError(
            f"{outside.sum()} of {len(score)} scores are not probabilities in [0, 1], "
            f"first {score[first]} of sample {ids[first]}"
        )
    if not math.isfinite(predictions.threshold):
        raise EvaluationError(f"the threshold must be finite, got {predictions.threshold}")
