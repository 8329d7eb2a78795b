"""Outcomes -> counts of every measure in every cell of one grouping, with what they are worth.

``g`` cells, ``m`` measures, ``s`` trainings, ``u`` units (the images of one person in one cell).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Shaped

from debias.metrics.outcomes import Outcomes
from debias.metrics.rates import confusion
from debias.statistics.counts import Measure, counted, ratio
from debias.statistics.groupings import Grouping
from debias.statistics.intervals import clopper_pearson
from debias.statistics.people import Clusters, Units, bootstrap


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
    above: Float64[np.ndarray, "g m"]
    below: Float64[np.ndarray, "g m"]
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
    def value(self) -> Float64[np.ndarray, "g m"]:
        return ratio(self.above, self.below)

    def effective(self, level: float) -> Float64[np.ndarray, "g m"]:
        """Independent images that the denominators are worth."""
        return self.below if self.clusters is None else self.clusters.effective(self.below, level)

    def limits(self, level: float) -> tuple[Float64[np.ndarray, "g m"], Float64[np.ndarray, "g m"]]:
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
