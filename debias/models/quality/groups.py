"""Does a representation serve some annotated groups worse, and which does it let one find?

``n`` images. Groups are read here and nowhere earlier: no model has seen them.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64, Shaped

from debias.density import DensityEstimator, rarity
from debias.metrics.rules import SUPPRESS_BELOW
from debias.statistics.areas import auc_by_group
from debias.statistics.groupings import group_names
from debias.statistics.intervals import clopper_pearson, mean_limits
from debias.statistics.withholding import hidden_counts
from debias.types import Latents

ALPHA = 0.01  # smoothing of a density, as in a weighting
KEYS, MEAN = ["attribute", "group", "n"], ["mean", "mean_low", "mean_high"]


def served(
    measures: Mapping[str, Float64[np.ndarray, " n"]],
    groups: pd.DataFrame,
    *,
    below: int = SUPPRESS_BELOW,
) -> pd.DataFrame:
    """Each measure by group, such as squared error or nats, larger for images served worse.

    Returns:
        A row a measure, attribute and group: ``mean`` in the unit of the measure with a 95 %
        interval (Student's t), and ``worse``: the share of pairs, 0 to 1, in which a member is
        served worse than an image outside of the group, 0.5 for no difference, with its interval
        (:func:`~debias.statistics.areas.auc_by_group`). Everything is NaN for a group of fewer
        than ``below`` images, or from which the size of such a one could be worked out.
    """
    one_class = np.zeros(len(groups), dtype=np.int64)
    tables = [
        _by_group(values, one_class, groups, below, _mean_of).assign(measure=measure)
        for measure, values in measures.items()
    ]
    named = {"auc": "worse", "low": "worse_low", "high": "worse_high"}
    return _stacked(tables, ["measure", *KEYS, *named, *MEAN]).rename(columns=named)


def found(
    latents: Latents,
    labels: Int64[np.ndarray, " n"],
    groups: pd.DataFrame,
    densities: Mapping[str, DensityEstimator],
    *,
    below: int = SUPPRESS_BELOW,
) -> pd.DataFrame:
    """How well rarity under each density tells the members of each group from all others.

    Within classes, as a weighting would use it: 0.5 when rarity says nothing about the group, 1
    when every member is rarer than everybody else of the same class.

    Returns:
        A row a density, attribute and group: ``auc`` in [0, 1] with ``low`` and ``high`` (95 %).
        What is withheld is NaN, as in :func:`served`.

    Raises:
        AllDimensionsInactiveError: The latents say nothing about the images.
    """
    tables = [
        _by_group(
            rarity(density, latents, labels, alpha=ALPHA).score, labels, groups, below
        ).assign(density=name)
        for name, density in densities.items()
    ]
    return _stacked(tables, ["density", *KEYS, "auc", "low", "high"])


def shares(judged: Shaped[np.ndarray, " m"], groups: Shaped[np.ndarray, " _"]) -> pd.DataFrame:
    """Share of each group among samples, as a classifier judges them, with a 95 % interval.

    ``groups`` are the values that it knows. Its own errors are not in the interval: compare with
    what it says of real images. Intervals are Clopper and Pearson's; NaN where nothing was judged.
    """
    counts = np.array([(judged == group).sum() for group in groups])
    total = np.full_like(counts, len(judged))
    low, high = clopper_pearson(counts, total)
    value = np.divide(counts, total, out=np.full(len(counts), np.nan), where=total > 0)
    return pd.DataFrame({"group": groups, "n": counts, "share": value, "low": low, "high": high})


def _by_group(
    score: Float64[np.ndarray, " n"],
    labels: Int64[np.ndarray, " n"],
    groups: pd.DataFrame,
    below: int,
    more: Callable[[Float64[np.ndarray, " m"]], Mapping[str, float]] = lambda members: {},
) -> pd.DataFrame:
    """Area of a score for every group and whatever else is asked of its members; or NaN."""
    hidden, tables = hidden_counts(groups, below), []
    for attribute, column in groups.items():
        names = group_names(column)
        table = auc_by_group(score, labels, names).astype({"n": np.float64})
        extra = [more(score[names == group]) for group in table["group"]]
        table = pd.concat([table, pd.DataFrame(extra, index=table.index)], axis=1)
        withheld = [hidden.get(f"{attribute}:{group}", False) for group in table["group"]]
        table.loc[withheld, table.columns.drop("group")] = np.nan
        tables.append(table.assign(attribute=str(attribute)))
    return _stacked(tables, None)


def _stacked(tables: list[pd.DataFrame], columns: list[str] | None) -> pd.DataFrame:
    if not tables:
        return pd.DataFrame(columns=columns)
    table = pd.concat(tables, ignore_index=True)
    return table if columns is None else table.reindex(columns=columns)


def _mean_of(values: Float64[np.ndarray, " m"]) -> dict[str, float]:
    return dict(zip(("mean", "mean_low", "mean_high"), mean_limits(values), strict=True))
