"""Outcomes -> counts of every measure in every cell, and differences between the cells.

``g`` cells, ``m`` measures, ``p`` pairs of cells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64, Shaped

from debias.errors import EvaluationError
from debias.metrics.outcomes import Outcomes
from debias.metrics.rates import confusion
from debias.statistics.counts import Measure, counted, ratio
from debias.statistics.groupings import CROSS, Grouping
from debias.statistics.intervals import (
    bonferroni_level,
    clopper_pearson,
    detectable_gap,
    difference_limits,
    difference_p_value,
    holm,
)
from debias.statistics.people import Clusters, Units, bootstrap, shared_people

Figures = Float64[np.ndarray, "g m"]
PerRow = Shaped[np.ndarray, " rows"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """The cells of one grouping.

    Attributes:
        grouping: Names and codes.
        table: (g, c, c) confusion counts, the mean over trainings.
        above: (g, m) numerators.
        below: (g, m) denominators.
        units: The images of each person; None where nobody says who is shown.
        clusters: What a bootstrap over them says; None likewise.
        hidden: (g, m) whether the numbers are withheld.
        state: (g, m) ``estimated``, ``too_small``, ``not_estimable``, ``suppressed``, ``unknown``.
    """

    grouping: Grouping
    table: Float64[np.ndarray, "g c c"]
    above: Figures
    below: Figures
    units: Units | None
    clusters: Clusters | None
    hidden: Bool[np.ndarray, "g m"]
    state: Shaped[np.ndarray, "g m"]

    @property
    def says_the_label(self) -> bool:
        """Whether each cell holds images of one true class only, as when gender is the label.

        Then only accuracy can be compared: other rates differ because the labels do.
        """
        classes = (self.table.sum(axis=2) > 0).sum(axis=1)  # (g,)
        held = self.table.sum(axis=(0, 2)) > 0
        return bool((classes <= 1).all() and held.sum() > 1)

    @property
    def value(self) -> Figures:
        return ratio(self.above, self.below)

    def effective(self, level: float) -> Figures:
        """Independent images that the denominators are worth."""
        return self.below if self.clusters is None else self.clusters.effective(self.below, level)

    def limits(self, level: float) -> tuple[Figures, Figures]:
        """Interval of each rate that covers it with at least the stated probability.

        Clopper-Pearson for independent images. With people that repeat, the outer limits of
        Clopper-Pearson on the images, Clopper-Pearson on the effective number of images, and
        the bootstrap over people: the first two for rates at an end, the last for skewed ones.
        """
        low, high = clopper_pearson(self.above, self.below, level)
        if self.clusters is None:
            return low, high
        size = np.nan_to_num(self.effective(level))
        fewer = clopper_pearson(np.nan_to_num(self.value) * size, size, level)
        below = np.fmin(np.fmin(low, fewer[0]), self.clusters.low)
        above = np.fmax(np.fmax(high, fewer[1]), self.clusters.high)
        return np.where(self.below > 0, below, np.nan), np.where(self.below > 0, above, np.nan)


def confusion_of(outcomes: Outcomes, grouping: Grouping) -> Float64[np.ndarray, "g c c"]:
    """Confusion counts of every cell, the mean over trainings."""
    c, g = len(outcomes.classes), len(grouping.cells)
    tables = [confusion(outcomes.y_true, y, grouping.codes, g, c) for y in outcomes.y_pred]
    return np.mean(tables, axis=0)


def cells_of(
    outcomes: Outcomes,
    grouping: Grouping,
    found: Sequence[Measure],
    level: float,
    generator: np.random.Generator,
) -> Cells:
    """Count every measure in every cell; nothing is withheld and no state is given yet."""
    table = confusion_of(outcomes, grouping)
    above, below = counted(table, found)
    units = units_of(outcomes, grouping)
    return Cells(
        grouping=grouping,
        table=table,
        above=above,
        below=below,
        units=units,
        clusters=None if units is None else bootstrap(units, found, level, generator),
        hidden=np.zeros(above.shape, dtype=bool),
        state=np.full(above.shape, "estimated", dtype=object),
    )


def units_of(outcomes: Outcomes, grouping: Grouping) -> Units | None:
    """Confusion counts of each person in each cell; None where nobody says who is shown."""
    if outcomes.subjects is None:
        return None
    c, people = len(outcomes.classes), int(outcomes.subjects.max()) + 1
    pairs, unit = np.unique(grouping.codes * people + outcomes.subjects, return_inverse=True)
    tables = [confusion(outcomes.y_true, y, unit, len(pairs), c) for y in outcomes.y_pred]
    return Units(
        table=np.sum(tables, axis=0),
        codes=pairs // people,
        n_cells=len(grouping.cells),
        people=pairs % people,
    )


def states(
    cells: Cells, hidden: Bool[np.ndarray, "g m"], minimum: int, level: float
) -> Shaped[np.ndarray, "g m"]:
    """Which numbers may be read, and why not.

    A cell is too small if it has, or is worth, fewer independent images than ``minimum``: a
    thousand photographs of one person say little about a group.
    """
    unlabelled = cells.grouping.unlabelled[:, None]
    # Below 1e-9 a mean over trainings is 0 but for rounding.
    nothing = cells.below < 1e-9
    few = np.minimum(cells.below, np.nan_to_num(cells.effective(level))) < minimum
    conditions = [hidden, nothing, np.broadcast_to(unlabelled, few.shape), few]
    kinds = ["suppressed", "not_estimable", "unknown", "too_small"]
    return np.select(conditions, kinds, "estimated").astype(object)


GAP_COLUMNS = (
    "metric", "attribute", "group", "other", "difference", "low", "high", "p_value", "p_adjusted",
    "detectable", "verdict", "reason",
)  # fmt: skip
# All pairs of more groups would be a list that nobody reads, and that hides every difference.
MOST_GROUPS, MOST_CROSSED = 200, 64
# Words that ask for a reference which the data would choose.
_CHOSEN_BY_DATA = ("best", "worst", "max", "min", "highest", "lowest", "largest", "majority")


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Which cells of a grouping are compared with which, by index."""

    first: Int64[np.ndarray, " p"]
    second: Int64[np.ndarray, " p"]


def references(
    reference: str | Mapping[str, str] | Sequence[str] | None, found: Sequence[Grouping]
) -> dict[str, str]:
    """The declared reference group of each grouping that has one, by attribute.

    The crossing has a reference when every attribute has one, or when it is named itself.

    Raises:
        EvaluationError: No such group, or a reference that the data would choose.
    """
    known = {cell: grouping.attribute for grouping in found for cell in grouping.cells}
    chosen: dict[str, str] = {}
    for name in _names(reference):
        if name.rpartition(":")[2].lower() in _CHOSEN_BY_DATA and name not in known:
            raise EvaluationError(
                f"reference {name!r} would be chosen by the data and then tested on the same data; "
                "name a group"
            )
        if name not in known:
            raise EvaluationError(
                f"reference {name!r} is no group; known: {', '.join(known)[:500]}"
            )
        chosen[known[name]] = name
    single = [grouping.attribute for grouping in found if not grouping.is_crossing]
    crossing = [grouping.attribute for grouping in found if grouping.is_crossing]
    if crossing and all(name in chosen for name in single):
        chosen.setdefault(crossing[0], CROSS.join(chosen[name] for name in single))
    return chosen


def _names(reference: str | Mapping[str, str] | Sequence[str] | None) -> list[str]:
    if reference is None:
        return []
    if isinstance(reference, str):
        return [reference]
    if isinstance(reference, Mapping):
        return [f"{attribute}:{value}" for attribute, value in reference.items()]
    return list(reference)


def pairs(grouping: Grouping, reference: str | None) -> Pairs:
    """All pairs of groups, or each group against the reference.

    Images without a label are no group; a cell of the crossing that holds no image is no pair.
    Without a reference, too many groups for all pairs are not compared at all.
    """
    takes_part = ~grouping.unlabelled & ((grouping.sizes > 0) | (not grouping.is_crossing))
    members = np.flatnonzero(takes_part)
    if reference is not None:
        other = grouping.cells.index(reference)
        first = members[members != other]
        return Pairs(first=first, second=np.full(len(first), other))
    if len(members) > (MOST_CROSSED if grouping.is_crossing else MOST_GROUPS):
        members = members[:0]
    one, two = np.triu_indices(len(members), k=1)
    return Pairs(first=members[one], second=members[two])


def gap_table(
    compared: Sequence[tuple[Cells, Pairs]],
    found: Sequence[Measure],
    level: float,
    margin: float | None,
) -> tuple[pd.DataFrame, int]:
    """Every pair and measure with its difference, and the number of comparisons.

    Intervals at the Bonferroni level of everything compared, so that all of them hold
    together with ``level``; p-values by inverting the interval, adjusted by Holm.

    Returns:
        Columns ``GAP_COLUMNS``, one row a pair and measure; how many rows carry an interval.
    """
    testable = [_testable(cells, chosen, found) for cells, chosen in compared]
    comparisons = int(sum(part.sum() for part in testable))
    adjusted = bonferroni_level(level, comparisons)
    parts = [
        _rows(cells, chosen, found, tested, adjusted)
        for (cells, chosen), tested in zip(compared, testable, strict=True)
    ]
    parts = [
        part[part["metric"].isin(compared_metrics(cells, found))]
        for part, (cells, _) in zip(parts, compared, strict=True)
    ]
    if not parts:
        return pd.DataFrame(columns=list(GAP_COLUMNS)), 0
    table = pd.concat(parts, ignore_index=True)
    table["p_adjusted"] = holm(table["p_value"].to_numpy(dtype=np.float64))
    verdict, reason = read_gaps(table, margin)
    table = table.assign(verdict=verdict, reason=reason)
    return table[list(GAP_COLUMNS)], comparisons


def compared_metrics(cells: Cells, found: Sequence[Measure]) -> list[str]:
    """The measures in which the groups of a grouping are compared."""
    names = [one.name for one in found]
    return [name for name in names if name == "accuracy"] if cells.says_the_label else names


def _testable(cells: Cells, chosen: Pairs, found: Sequence[Measure]) -> Bool[np.ndarray, "p m"]:
    compared = compared_metrics(cells, found)
    estimated = (cells.state == "estimated") & [one.name in compared for one in found]
    return estimated[chosen.first] & estimated[chosen.second]


def _rows(
    cells: Cells,
    chosen: Pairs,
    found: Sequence[Measure],
    tested: Bool[np.ndarray, "p m"],
    level: float,
) -> pd.DataFrame:
    """The pairs of one grouping, measure by measure; NaN where nothing can be tested."""
    value, size = cells.value, cells.effective(level)
    first, first_size, second, second_size = (
        np.where(tested, part[which], np.nan).T.ravel()
        for which in (chosen.first, chosen.second)
        for part in (value, size)
    )
    wider = np.ones(len(first))
    if cells.units is not None:
        wider = shared_people(cells.units, found, chosen.first, chosen.second).T.ravel()
    low, high = difference_limits(first, first_size, second, second_size, level, wider)
    names = np.array(cells.grouping.cells, dtype=object)
    state = [cells.state[which].T.ravel() for which in (chosen.first, chosen.second)]
    return pd.DataFrame(
        {
            "metric": np.repeat([one.name for one in found], len(chosen.first)),
            "attribute": cells.grouping.attribute,
            "group": np.tile(names[chosen.first], len(found)),
            "other": np.tile(names[chosen.second], len(found)),
            "difference": first - second,
            "low": low,
            "high": high,
            "p_value": difference_p_value(first, first_size, second, second_size, wider),
            "detectable": detectable_gap(second, first_size, second_size, level),
            "untested": _obstacle(state[0], state[1]),
        }
    )


def _obstacle(first: PerRow, second: PerRow) -> PerRow:
    """Why a pair is not tested: the graver state of its two cells."""
    states = ["suppressed", "not_estimable", "too_small"]
    return np.select([(first == s) | (second == s) for s in states], states, "").astype(object)


def read_gaps(table: pd.DataFrame, margin: float | None) -> tuple[PerRow, PerRow]:
    """Verdict and reason of each comparison, on unrounded numbers."""
    low, high = table["low"].to_numpy(dtype=float), table["high"].to_numpy(dtype=float)
    untested = table["untested"].to_numpy(dtype=object)
    found = (low > 0) | (high < 0)
    inside = np.zeros(len(table), dtype=bool)
    if margin is not None:
        inside = (low > -margin) & (high < margin)
    verdict = np.select(
        [found, inside], ["difference_found", "difference_ruled_out"], "cannot_tell"
    ).astype(object)
    open_question = "no_margin" if margin is None else "insufficient_evidence"
    reason = np.select(
        [verdict != "cannot_tell", untested != ""], ["", untested], open_question
    ).astype(object)
    return verdict, reason
