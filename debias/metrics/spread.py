"""Cells -> how far apart groups lie altogether, and what makes that look large.

``g`` cells, ``m`` measures.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float64

from debias.metrics.cells import Cells
from debias.metrics.gaps import compared_metrics
from debias.metrics.ratios import chance_below, corrected_variance, expected_gap, lowest_to_highest
from debias.statistics.counts import Measure, ratio

_SPREAD = ("metric", "attribute", "groups", "gap", "expected_if_equal", "variance")
_RATIO = (
    "metric", "attribute", "group", "other", "ratio", "low", "high", "n_group", "n_other",
    "chance_if_equal",
)  # fmt: skip


def spread_table(every: Sequence[Cells], found: Sequence[Measure], level: float) -> pd.DataFrame:
    """Highest minus lowest rate of every attribute and measure over its estimated groups.

    A maximum minus a minimum is biased upwards, so each comes with the average that equal groups
    of these sizes would show, and with the variance between groups freed from sampling.
    """
    rows = []
    for cells in every:
        for measure, value, size, _ in _estimated(cells, found, level):
            rows.append(
                {
                    "metric": measure.name,
                    "attribute": cells.grouping.attribute,
                    "groups": len(value),
                    "gap": float(np.ptp(value)),
                    "expected_if_equal": expected_gap(_together(value, size), size),
                    "variance": corrected_variance(value, size),
                }
            )
    return pd.DataFrame(rows, columns=list(_SPREAD))


def ratio_table(every: Sequence[Cells], found: Sequence[Measure], level: float) -> pd.DataFrame:
    """Lowest over highest selection rate of every attribute: the four-fifths rule of thumb.

    Each comes with its interval, both sizes, and the probability that it is below 0.8 although
    all groups have the same rate.
    """
    rows = []
    for cells in every:
        for measure, value, size, where in _estimated(cells, found, level):
            if not measure.name.startswith("selection_rate"):
                continue
            result = lowest_to_highest(value, size, level)
            low, high = int(where[result.lowest]), int(where[result.highest])
            column = list(found).index(measure)
            rows.append(
                {
                    "metric": measure.name,
                    "attribute": cells.grouping.attribute,
                    "group": cells.grouping.cells[low],
                    "other": cells.grouping.cells[high],
                    "ratio": result.value,
                    "low": result.low,
                    "high": result.high if np.isfinite(result.high) else np.nan,
                    "n_group": float(cells.below[low, column]),
                    "n_other": float(cells.below[high, column]),
                    "chance_if_equal": chance_below(_together(value, size), size),
                }
            )
    return pd.DataFrame(rows, columns=list(_RATIO))


def _estimated(
    cells: Cells, found: Sequence[Measure], level: float
) -> Iterator[tuple[Measure, Float64[np.ndarray, " k"], Float64[np.ndarray, " k"], np.ndarray]]:
    """Each measure with the rates and effective sizes of its estimated cells, and their indices."""
    value, size = cells.value, cells.effective(level)
    names = compared_metrics(cells, found)
    for column, measure in enumerate(found):
        if measure.name not in names:
            continue
        where = np.flatnonzero(cells.state[:, column] == "estimated")
        if len(where) > 1:
            yield measure, value[where, column], size[where, column], where


def _together(value: Float64[np.ndarray, " k"], size: Float64[np.ndarray, " k"]) -> float:
    """The rate over all these groups."""
    return float(ratio((value * size).sum(keepdims=True), size.sum(keepdims=True))[0])
