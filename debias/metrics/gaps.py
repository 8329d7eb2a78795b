"""Outcomes -> counts of every measure in every cell, and differences between the cells.

``g`` cells, ``m`` measures, ``p`` pairs of cells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64, Shaped

from debias.errors import EvaluationError
from debias.metrics.documents import PrimaryGap
from debias.metrics.outcomes import Outcomes
from debias.metrics.rates import confusion
from debias.metrics.verdicts import within
from debias.statistics.groupings import CROSS, Grouping
from debias.statistics.intervals import (
    Measure,
    bonferroni_level,
    clopper_pearson,
    counted,
    detectable_gap,
    difference_limits,
    difference_p_value,
    holm,
    ratio,
)
from debias.statistics.people import Clusters, Units, bootstrap, shared_people

Figures = Float64[np.ndarray, "g m"]
Mask = Bool[np.ndarray, "g m"]
PerRow = Shaped[np.ndarray, " rows"]
Pairs = tuple[Int64[np.ndarray, " _"], Int64[np.ndarray, " _"]]  # cells compared, by index
Reference = str | Mapping[str, str] | Sequence[str]

GAP_COLUMNS = (
    "metric", "attribute", "group", "other", "difference", "low", "high", "p_value", "p_adjusted",
    "detectable", "verdict", "reason",
)  # fmt: skip
# All pairs of more groups would be a list that nobody reads, and that hides every difference.
MOST_GROUPS, MOST_CROSSED = 200, 64
# Words that ask for a reference which the data would choose.
_CHOSEN_BY_DATA = ("best", "worst", "max", "min", "highest", "lowest", "largest", "majority")


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """The cells of one grouping, and the measures of each."""

    grouping: Grouping
    found: tuple[Measure, ...]
    table: Float64[np.ndarray, "g c c"]  # confusion counts, the mean over trainings
    units: Units | None  # images of each person; None where nobody says who is shown
    clusters: Clusters | None  # what a bootstrap over them says
    hidden: Mask  # whether the numbers are withheld
    # ``estimated``, ``too_small``, ``not_estimable``, ``suppressed`` or ``unknown``
    state: Shaped[np.ndarray, "g m"]

    @cached_property
    def _counted(self) -> tuple[Figures, Figures]:
        return counted(self.table, self.found)

    @property
    def above(self) -> Figures:
        """Numerators."""
        return self._counted[0]

    @property
    def below(self) -> Figures:
        """Denominators."""
        return self._counted[1]

    @property
    def value(self) -> Figures:
        return ratio(self.above, self.below)

    @cached_property
    def compared(self) -> list[str]:
        """The measures in which the groups are compared.

        Accuracy alone if each cell holds images of one true class only, as when gender is the
        label: then other rates differ because the labels do.
        """
        names = [one.name for one in self.found]
        classes = (self.table.sum(axis=2) > 0).sum(axis=1)  # (g,)
        held = self.table.sum(axis=(0, 2)) > 0
        says_the_label = (classes <= 1).all() and held.sum() > 1
        return [name for name in names if name == "accuracy"] if says_the_label else names

    @property
    def shown(self) -> Bool[np.ndarray, " g"]:
        """Cells of which nothing is withheld."""
        return np.asarray(~self.hidden.any(axis=1))

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

    def judged(self, hidden: Mask, minimum: int, level: float) -> "Cells":
        """The same, with what is withheld, and the state of every number.

        A cell is too small if it has, or is worth, fewer independent images than ``minimum``: a
        thousand photographs of one person say little about a group.
        """
        few = np.minimum(self.below, np.nan_to_num(self.effective(level))) < minimum
        unlabelled = np.broadcast_to(self.grouping.unlabelled[:, None], few.shape)
        # Below 1e-9 a mean over trainings is 0 but for rounding.
        kinds = ["suppressed", "not_estimable", "unknown", "too_small"]
        state = np.select([hidden, self.below < 1e-9, unlabelled, few], kinds, "estimated")
        return replace(self, hidden=hidden, state=state.astype(object))


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
    shape, units = (len(grouping.cells), len(found)), _units(outcomes, grouping)
    return Cells(
        grouping=grouping,
        found=tuple(found),
        table=confusion_of(outcomes, grouping),
        units=units,
        clusters=None if units is None else bootstrap(units, found, level, generator),
        hidden=np.zeros(shape, dtype=bool),
        state=np.full(shape, "estimated", dtype=object),
    )


def _units(outcomes: Outcomes, grouping: Grouping) -> Units | None:
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


def references(reference: Reference | None, found: Sequence[Grouping]) -> dict[str, str]:
    """The declared reference group of each grouping that has one, by attribute.

    The crossing has a reference when every attribute has one, or when it is named itself.

    Raises:
        EvaluationError: No such group, or a reference that the data would choose.
    """
    names = [reference] if isinstance(reference, str) else list(reference or [])
    if isinstance(reference, Mapping):
        names = [f"{attribute}:{value}" for attribute, value in reference.items()]
    known = {cell: grouping.attribute for grouping in found for cell in grouping.cells}
    for name in names:
        if name in known:
            continue
        if name.rpartition(":")[2].lower() in _CHOSEN_BY_DATA:
            raise EvaluationError(
                f"reference {name!r} would be chosen by the data and then tested on the same data; "
                "name a group"
            )
        raise EvaluationError(f"reference {name!r} is no group; known: {', '.join(known)[:500]}")
    chosen = {known[name]: name for name in names}
    single = [grouping.attribute for grouping in found if not grouping.is_crossing]
    crossing = [grouping.attribute for grouping in found if grouping.is_crossing]
    if crossing and all(name in chosen for name in single):
        chosen.setdefault(crossing[0], CROSS.join(chosen[name] for name in single))
    return chosen


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
        return first, np.full(len(first), other)
    if len(members) > (MOST_CROSSED if grouping.is_crossing else MOST_GROUPS):
        members = members[:0]
    one, two = np.triu_indices(len(members), k=1)
    return members[one], members[two]


def primary_gaps(
    compared: Sequence[tuple[Cells, Pairs]], rates: Sequence[str], level: float
) -> list[PrimaryGap]:
    """Whether each rate differs between any two groups, asked one after the other.

    A question is wrong with 1 - ``level``, its intervals being at the Bonferroni level of its rate
    alone; the next one is asked only if it found a difference, and so are all gaps together (fixed
    sequence), so that the error of all of them stays the same. Rates without a pair are left out.
    """
    answers: list[PrimaryGap] = []
    for rate in rates:
        tested = [which & _is_of(cells, rate) for (cells, _), which in _tested(compared)]
        count = int(sum(part.sum() for part in tested))
        if not count:
            continue
        adjusted, asked = bonferroni_level(level, count), all(map(_is_found, answers))
        parts = [_rows(*one, which, adjusted) for one, which in zip(compared, tested, strict=True)]
        table = pd.concat([part[part["metric"] == rate] for part in parts]).dropna(subset="p_value")
        row = table.sort_values("p_value", kind="stable").iloc[0].to_dict()
        is_apart = row["low"] > 0 or row["high"] < 0
        reason = "insufficient_evidence" if asked else "only_describes"
        names = "metric", "attribute", "group", "other", "difference", "low", "high"
        found: Any = {name: row[name] for name in names} | {
            "level": adjusted,
            "comparisons": count,
            "p_value": min(row["p_value"] * count, 1.0),
            "reading": "difference_found" if is_apart and asked else "cannot_tell",
            "reason": "" if is_apart and asked else reason,
        }
        answers.append(found)
    return answers


def _is_found(one: PrimaryGap) -> bool:
    return one["reading"] == "difference_found"


def _is_of(cells: Cells, rate: str) -> Bool[np.ndarray, " m"]:
    return np.array([one.name == rate for one in cells.found])


def _tested(
    compared: Sequence[tuple[Cells, Pairs]],
) -> list[tuple[tuple[Cells, Pairs], Bool[np.ndarray, "p m"]]]:
    """Which pairs and measures can be tested."""
    found = []
    for cells, (first, second) in compared:
        asked = np.array([one.name in cells.compared for one in cells.found])
        estimated = (cells.state == "estimated") & asked
        found.append(((cells, (first, second)), estimated[first] & estimated[second]))
    return found


def gap_table(
    compared: Sequence[tuple[Cells, Pairs]],
    level: float,
    margin: float | None,
    *,
    describes: bool = False,
) -> tuple[pd.DataFrame, int]:
    """Every pair and measure with its difference, and the number of comparisons.

    Intervals at the Bonferroni level of everything compared, so that all of them hold together
    with ``level``; p-values by inverting the interval, adjusted by Holm. Where they only describe,
    none is found.

    Returns:
        Columns ``GAP_COLUMNS``, one row a pair and measure; how many rows carry an interval.
    """
    if not compared:
        return pd.DataFrame(columns=list(GAP_COLUMNS)), 0
    tested = [which for _, which in _tested(compared)]
    comparisons = int(sum(part.sum() for part in tested))
    adjusted = bonferroni_level(level, comparisons)
    parts = [_rows(*one, which, adjusted) for one, which in zip(compared, tested, strict=True)]
    table = pd.concat(parts, ignore_index=True)
    table["p_adjusted"] = holm(table["p_value"].to_numpy(dtype=np.float64))
    verdict, reason = read_gaps(table, margin)
    silent = (verdict == "difference_found") & describes
    verdict, reason = (
        np.where(silent, said, found)
        for said, found in (("cannot_tell", verdict), ("only_describes", reason))
    )
    return table.assign(verdict=verdict, reason=reason)[list(GAP_COLUMNS)], comparisons


def _rows(
    cells: Cells, chosen: Pairs, tested: Bool[np.ndarray, "p m"], level: float
) -> pd.DataFrame:
    """The pairs of one grouping, measure by measure; NaN where nothing can be tested."""
    one, other = chosen
    value, size = cells.value, cells.effective(level)
    first, first_size, second, second_size = (
        np.where(tested, part[which], np.nan).T.ravel()
        for which in (one, other)
        for part in (value, size)
    )
    wider = np.ones(len(first))
    if cells.units is not None:
        wider = shared_people(cells.units, cells.found, one, other).T.ravel()
    low, high = difference_limits(first, first_size, second, second_size, level, wider)
    names, m = np.array(cells.grouping.cells, dtype=object), len(cells.found)
    states = [cells.state[which].T.ravel() for which in (one, other)]
    # Why a pair is not tested: the graver state of its two cells.
    graver = ["suppressed", "not_estimable", "too_small"]
    untested = np.select([(states[0] == s) | (states[1] == s) for s in graver], graver, "")
    table = pd.DataFrame(
        {
            "metric": np.repeat([measure.name for measure in cells.found], len(one)),
            "attribute": cells.grouping.attribute,
            "group": np.tile(names[one], m),
            "other": np.tile(names[other], m),
            "difference": first - second,
            "low": low,
            "high": high,
            "p_value": difference_p_value(first, first_size, second, second_size, wider),
            "detectable": detectable_gap(second, first_size, second_size, level),
            "untested": untested.astype(object),
        }
    )
    return table[table["metric"].isin(cells.compared)]


def read_gaps(table: pd.DataFrame, margin: float | None) -> tuple[PerRow, PerRow]:
    """Verdict and reason of each comparison, on unrounded numbers."""
    low, high = table["low"].to_numpy(dtype=float), table["high"].to_numpy(dtype=float)
    found, inside = (low > 0) | (high < 0), within((low, high), margin)
    verdict = np.select(
        [found, inside], ["difference_found", "difference_ruled_out"], "cannot_tell"
    )
    untested = table["untested"].to_numpy(dtype=object)
    open_question = "no_margin" if margin is None else "insufficient_evidence"
    reason = np.select([found | inside, untested != ""], ["", untested], open_question)
    return verdict.astype(object), reason.astype(object)
