"""Rates by cell -> one number about how much the cells differ.

These summaries of a maximum and a minimum are biased upwards: equal groups look unequal, the
smaller the more. They carry no interval, because a percentile interval of a maximum minus a
minimum never covers 0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float64

from debias.metrics.rates import RATES


@dataclass(frozen=True, kw_only=True)
class Disparity:
    """One summary over cells.

    Attributes:
        rates: The rates it needs; of several, the largest summary counts ("worst case").
        summary: (g,) rates in [0, 1], at least two of them -> one number.
    """

    rates: tuple[str, ...]
    summary: Callable[[Float64[np.ndarray, " g"]], float]


def _smallest(values: Float64[np.ndarray, " g"]) -> float:
    return float(values.min())


def _range(values: Float64[np.ndarray, " g"]) -> float:
    return float(values.max() - values.min())


def _variance(values: Float64[np.ndarray, " g"]) -> float:
    """Sum of squared deviations from the unweighted mean over cells, divided by g - 1."""
    return float(values.var(ddof=1))


# The three named differences follow fairlearn 0.15 (between groups, aggregated by worst case),
# except that fairlearn takes a rate without a denominator for 0. Variances are of plain rates in
# [0, 1], so in squared rates: 0.0001 is (1 percentage point) squared.
DISPARITIES = {
    "worst_group_accuracy": Disparity(rates=("accuracy",), summary=_smallest),
    "accuracy_gap": Disparity(rates=("accuracy",), summary=_range),
    "accuracy_variance": Disparity(rates=("accuracy",), summary=_variance),
    "true_positive_rate_variance": Disparity(rates=("true_positive_rate",), summary=_variance),
    "demographic_parity_difference": Disparity(rates=("selection_rate",), summary=_range),
    "equal_opportunity_difference": Disparity(rates=("true_positive_rate",), summary=_range),
    "equalized_odds_difference": Disparity(
        rates=("true_positive_rate", "false_positive_rate"), summary=_range
    ),
}


def disparities(table: pd.DataFrame) -> tuple[dict[str, float], dict[str, str]]:
    """Every registered summary over the cells of one grouping.

    A cell takes part in a rate when that rate is ``estimated`` there. A cell that holds images but
    none in the denominator of a rate makes every summary of that rate undefined, as do fewer than
    two cells that take part. A ``too_small`` cell, and a cell of a crossing that holds no image at
    all, is left out and stays visible in the table.

    Args:
        table: Rows of one attribute, or of the crossing, as made by ``disaggregate``.

    Returns:
        The values by name, NaN where undefined, and the reason of each undefined one by name.
    """
    rows = {rate: _rows(table, rate) for rate in RATES}
    images = rows["accuracy"]["denominator"]
    obstacles = {rate: _obstacle(rate, rows[rate], images) for rate in RATES}
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    for name, disparity in DISPARITIES.items():
        reason = next((obstacles[rate] for rate in disparity.rates if obstacles[rate]), "")
        if reason:
            values[name], reasons[name] = float("nan"), reason
        else:
            values[name] = max(
                disparity.summary(_estimated(rows[rate])) for rate in disparity.rates
            )
    return values, reasons


def extremes(table: pd.DataFrame) -> dict[str, str]:
    """Name the cells of lowest and highest accuracy; empty when fewer than two are estimated.

    Of several equal ones the first in the table is named.
    """
    rows = _rows(table, "accuracy").set_index("group")
    accuracy = rows.loc[rows["state"] == "estimated", "value"]
    if len(accuracy) < 2:
        return {}
    return {"worst_group": str(accuracy.idxmin()), "best_group": str(accuracy.idxmax())}


def _rows(table: pd.DataFrame, rate: str) -> pd.DataFrame:
    return table[table["metric"] == rate].reset_index(drop=True)


def _obstacle(rate: str, rows: pd.DataFrame, images: pd.Series) -> str:
    """Why the summaries of a rate are undefined; empty when they are not."""
    undefined = rows.loc[(rows["denominator"] == 0) & (images > 0), "group"]
    if len(undefined):
        counted = RATES[rate].counted
        return f"no {counted} in {len(undefined)} of {len(rows)} groups, first {undefined.iloc[0]}"
    estimated = int((rows["state"] == "estimated").sum())
    if estimated < 2:
        return f"{rate} is estimated in {estimated} of {len(rows)} groups; two are needed"
    return ""


def _estimated(rows: pd.DataFrame) -> Float64[np.ndarray, " g"]:
    return rows.loc[rows["state"] == "estimated", "value"].to_numpy(dtype=np.float64)
