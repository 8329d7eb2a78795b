"""Which figures must be withheld so that no small count can be worked out from the others.

The rule of official statistics: a small cell is withheld together with the other corners of a
rectangle in the same grouping. Images could then be exchanged between the corners, and no
published figure would tell: that is a ``Move``. Moves are chosen by labels and groups alone.

``g`` finest cells, ``d`` attributes that are crossed (0 if there is one), ``c`` classes, ``m``
measures, ``k`` cells of one grouping. Grouping 0 is the finest, 1..d are the single attributes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64

from debias.errors import EvaluationError
from debias.statistics.groupings import groupings
from debias.statistics.intervals import Measure, counted

MOST_SMALL = 1_000
# How much of a cell is withheld: nothing, what tells its classes (all but accuracy), or all.
SHOWN, CLASSES, ALL = 0, 1, 2

Cell = tuple[int, int]  # a grouping, and a cell of it
Corners = tuple[tuple[int, ...], tuple[int, ...]]  # finest cells of both signs
Line = Bool[np.ndarray, " g"]  # finest cells that are counted together
Counts = np.int64 | Int64[np.ndarray, " k"] | Float64[np.ndarray, " k"]
Kind = Int64[np.ndarray, " c"]  # 1 for the classes that are counted


@dataclass(frozen=True, kw_only=True)
class Move:
    """Other images that a reader could not tell from the real ones."""

    # Finest cells with one image more of ``rises``: two of a rectangle, or one.
    plus: tuple[int, ...]
    minus: tuple[int, ...]  # as many with one less
    rises: int  # class
    falls: int | None  # class of these images otherwise; None if they come from each other's cells
    # Cells of single attributes between which a single pair moves; a rectangle leaves them as they
    # are, if the same is said of both its pairs.
    margins: tuple[Cell, ...]

    @property
    def level(self) -> int:
        return ALL if self.falls is None else CLASSES

    def changes(self, line: Line, kind: Kind) -> bool:
        """Whether a count differs: the images of these cells and classes."""
        cells = int(line[list(self.plus)].sum()) - int(line[list(self.minus)].sum())
        falls = 0 if self.falls is None else kind[self.falls]
        return cells != 0 and bool(kind[self.rises] != falls)


def hidden_cells(
    tables: Sequence[Float64[np.ndarray, "_ c c"]], found: Sequence[Measure], below: int
) -> list[Bool[np.ndarray, "_ m"]]:
    """Which measures of each cell are withheld so that no small count can be worked out.

    A count is small if it is the size of a cell or the number of its images of a true class that a
    measure divides by, and lies in 1..below-1. A measure that divides by a number of predictions,
    such as precision, is withheld where that number is small, but nothing is withheld to protect
    it: it says something about the classifier, not about people. A reader is taken to know the
    numerator and the denominator of every figure that is not withheld, the confusion table of all
    images, and which finest cells are empty.

    Promised, for every small count: there are other non-negative counts, of whole images for one
    training, that give the same published figures and another value of that count. No total minus
    its published parts is small either. This holds for any number of reports together that differ
    in their predictions alone.

    Not promised: that a small count cannot be narrowed down (two values may be left); anything
    about reports with other images, groups or limits; and a count that the table of all images
    gives away, as no other cell of its grouping has images. Then that whole grouping is withheld.

    Args:
        tables: (k, c, c) confusion counts of every cell of the single attributes, then of their
            crossing, in which the last attribute varies fastest; or of the only attribute. Means
            over trainings if there are several.
        found: The measures.
        below: The least count that need not be protected, at least 1; 1 withholds nothing.

    Returns:
        For each of the tables.

    Raises:
        EvaluationError: ``below`` is under 1, or more than 1,000 finest cells hold a small count.

    Reference:
        Giessing and Repsilber, "Tools and strategies to protect multiple tables with the GHQUAR
        cell suppression engine", 2002. Deviations: of a cell with few images of a class accuracy
        may stay; where there is no rectangle, the margins of a pair are withheld. On 160 random
        tables 6 % more figures are withheld than by an exact program, on tables of faces 0 to 5 %.
    """
    if below < 1:
        raise EvaluationError(f"counts are withheld below {below}; the limit must be at least 1")
    pattern = Pattern([tables[-1], *tables[:-1]], found, below)
    for move in pattern.protect():
        pattern.admit(move)
    first, *others = pattern.mask(found)
    return [*others, first]


def hidden_counts(groups: pd.DataFrame, below: int) -> dict[str, bool]:
    """Which numbers of images, by group and crossing, are withheld from a table of sizes."""
    found = groupings(groups)
    if not found:
        return {}
    one = np.ones((1, 1), dtype=np.int64)
    images = Measure(name="images", numerator=one, denominator=one, counted="images")
    tables = [grouping.sizes.astype(np.float64).reshape(-1, 1, 1) for grouping in found]
    masks = hidden_cells(tables, [images], below)
    return {
        name: bool(withheld)
        for grouping, mask in zip(found, masks, strict=True)
        for name, withheld in zip(grouping.cells, mask[:, 0], strict=True)
    }


def hidden_together(
    parts: Int64[np.ndarray, "p k"], below: int, withheld: Bool[np.ndarray, " k"]
) -> Bool[np.ndarray, " k"]:
    """Groups of one grouping that are withheld where ``p`` counts of each are known.

    Those of ``withheld``, those with a count from 1 to below ``below``, and the smallest others (by
    the first count), until no part holds images of a single withheld group, or a small number of
    all of them together: either would follow from the total.
    """

    def small(counts: Int64[np.ndarray, "..."]) -> Bool[np.ndarray, "..."]:
        return (counts > 0) & (counts < below)

    hidden = withheld | small(parts).any(axis=0)
    for place in np.argsort(parts[0], kind="stable"):
        of_hidden = parts[:, hidden]
        alone = (of_hidden > 0).sum(axis=1) == 1
        if not (alone | small(of_hidden.sum(axis=1))).any():
            break
        hidden[place] = True
    return hidden


@dataclass(frozen=True, eq=False)
class Wanted:
    """A move that is looked for: ``line`` and classes as in ``Move``."""

    line: Line
    rises: int
    falls: int | None
    prices: list[Float64[np.ndarray, " _"]]  # of every cell, by grouping
    gives: Int64[np.ndarray, " g"]  # images of each finest cell that may be one less
    takes: Int64[np.ndarray, " g"]  # images that may turn into one more


class Pattern:
    """What is withheld of every cell, as it grows.

    Attributes:
        level: (k,) of each grouping: ``SHOWN``, ``CLASSES`` or ``ALL``.
        labels: (k, c) images by true class, likewise; the true ones, whatever is predicted.
        parents: (d, g) cell of each single attribute that a finest cell belongs to.
        kinds: Classes that are counted together: all of them, then what measures divide by.
    """

    def __init__(
        self, tables: Sequence[Float64[np.ndarray, "_ c c"]], found: Sequence[Measure], below: int
    ) -> None:
        self.tables, self.below = tables, below
        self.labels = [np.rint(table.sum(axis=2)).astype(np.int64) for table in tables]
        self.size = [labels.sum(axis=1) for labels in self.labels]
        self.level = [np.full(len(table), SHOWN) for table in tables]
        self.shape = [len(table) for table in tables[1:]]
        cells = np.arange(len(tables[0]))
        parents = np.unravel_index(cells, self.shape) if self.shape else []
        self.parents = np.array(parents, dtype=np.int64).reshape(-1, len(cells))
        whole = np.ones(tables[0].shape[1], dtype=np.int64)
        divisors = [one.denominator[:, 0] for one in found if one.is_paired]
        self.kinds = list({tuple(kind): kind for kind in [whole, *divisors]}.values())

    def small(self, count: Counts) -> Any:  # noqa: ANN401 (bool, or an array of bool)
        return (count > 0) & (count < self.below)

    def line(self, cell: Cell) -> Line:
        """The finest cells of a cell."""
        grouping, index = cell
        if grouping:
            return np.asarray(self.parents[grouping - 1] == index)
        return np.arange(len(self.size[0])) == index

    def withhold(self, cells: Sequence[Cell], level: int) -> None:
        for grouping, index in cells:
            self.level[grouping][index] = max(self.level[grouping][index], level)

    def mask(self, found: Sequence[Measure]) -> Iterator[Any]:
        """What of every cell is withheld, figures of too few images included."""
        c = len(self.kinds[0])
        keeps = [bool(m.denominator.all() and (m.numerator == np.eye(c)).all()) for m in found]
        for table, level in zip(self.tables, self.level, strict=True):
            _, below = counted(table, found)
            few = (below > 1e-9) & (below < self.below - 1e-9)
            told = (level[:, None] == CLASSES) & ~np.array(keeps)
            yield few | told | (level[:, None] == ALL)

    def protect(self) -> list[Move]:
        """Withhold the corners of a rectangle with every small count; what could be exchanged."""
        secrets = [
            ((grouping, int(index)), kind)
            for grouping in (*range(1, len(self.size)), 0)
            for kind in self.kinds
            for index in np.flatnonzero(self.small(self.labels[grouping] @ kind))
        ]
        n_small = len({cell for cell, _ in secrets if not cell[0]})
        if n_small > MOST_SMALL:
            raise EvaluationError(
                f"{n_small:,} groups hold a count of 1 to {self.below - 1}, more than the "
                f"{MOST_SMALL:,} that can be protected; list fewer attributes"
            )
        for cell, kind in secrets:
            self.withhold([cell], ALL if kind.all() else CLASSES)
        moves: list[Move] = []
        seen: dict[Cell, list[Move]] = {}
        for cell, kind in secrets:
            line = self.line(cell)
            if not any(move.changes(line, kind) for move in seen.get(cell, [])):
                for move in self._exchange(cell[0], line, kind):
                    moves.append(move)
                    for touched in self._touched(move):
                        seen.setdefault(touched, []).append(move)
        # More, until no total minus its published parts is a small count.
        while (left := next(self._remainders(), None)) is not None:
            moves += self._exchange(*left)
        return moves

    def _touched(self, move: Move) -> list[Cell]:
        corners = [(0, cell) for cell in (*move.plus, *move.minus)]
        return corners if len(move.plus) > 1 else [*corners, *move.margins]

    def _exchange(self, grouping: int, line: Line, kind: Kind) -> list[Move]:
        """Withhold what one cheapest move changes; the whole grouping if there is none."""
        move = self._cheapest(line, kind)
        if move is None:
            self.level[grouping][:] = ALL
            return []
        self.withhold(self._touched(move), move.level)
        return [move]

    def _remainders(self) -> Iterator[tuple[int, Line, Kind]]:
        """Grouping, withheld finest cells and classes of every small remainder."""
        for kind in self.kinds:
            level = ALL if kind.all() else CLASSES
            # A small total of all images is known anyway, and what is left of it no secret.
            total = self.labels[0].sum(axis=0) @ kind
            for grouping, (labels, of) in enumerate(zip(self.labels, self.level, strict=True)):
                hidden = of >= level
                left = labels[hidden].sum(axis=0) @ kind
                if self.small(left) and not self.small(total):
                    where = self.parents[grouping - 1] if grouping else np.arange(len(hidden))
                    yield grouping, hidden[where], kind
            hidden = self.level[0] >= level
            count = np.where(hidden, self.labels[0] @ kind, 0)
            for parents, of in zip(self.parents, self.level[1:], strict=True):
                left = np.bincount(parents, count, len(of))
                for index in np.flatnonzero(self.small(left) & (of < level)):
                    yield 0, hidden & (parents == index), kind

    def _cheapest(self, line: Line, kind: Kind) -> Move | None:
        """The move that changes a count and withholds the fewest images in addition."""
        found: list[tuple[float, Move]] = []
        for wanted in self._wanted(line, kind):
            for anchor in np.flatnonzero(line & (self.size[0] > 0)).tolist():
                found += self._pair(anchor, wanted)
                for axis in range(len(self.shape)):
                    found += self._rectangle(anchor, axis, wanted)
        return min(found, key=itemgetter(0))[1] if found else None

    def _wanted(self, line: Line, kind: Kind) -> Iterator[Wanted]:
        """Classes that may rise and fall so that a kind of count changes."""
        others = np.where(kind == 1, -1, self.labels[0][line].sum(axis=0))
        for rises in np.flatnonzero(kind).tolist():
            for falls in [None] if kind.all() else [None, int(others.argmax())]:
                level = ALL if falls is None else CLASSES
                # What tells all of a cell is twice as dear.
                prices = [
                    np.where(of < level, size * float(level), 0.0)
                    for of, size in zip(self.level, self.size, strict=True)
                ]
                takes = self.size[0] if falls is None else self.labels[0][:, falls]
                gives = self.labels[0][:, rises]
                yield Wanted(line, rises, falls, prices, gives, takes)

    def _pair(self, anchor: int, wanted: Wanted) -> Iterator[tuple[float, Move]]:
        gives, takes, price = wanted.gives, wanted.takes, wanted.prices[0]
        apart = self.parents != self.parents[:, [anchor]]
        cost = price[anchor] + price
        for away, parents, of in zip(apart, self.parents, wanted.prices[1:], strict=True):
            cost = cost + np.where(away, of[parents] + of[parents[anchor]], 0.0)
        changed = wanted.line != wanted.line[anchor]
        up, down = changed & (gives * takes[anchor] > 0), changed & (takes * gives[anchor] > 0)
        for least, other, is_up in _least(cost, up, down):
            axes = np.flatnonzero(apart[:, other]).tolist()
            yield least, self._move(((anchor,), (other,)), wanted, is_up, axes)

    def _rectangle(self, anchor: int, axis: int, wanted: Wanted) -> Iterator[tuple[float, Move]]:
        gives, takes, price = wanted.gives, wanted.takes, wanted.prices[0]
        cells = np.moveaxis(np.arange(len(price)).reshape(self.shape), axis, 0)
        facing = cells.reshape(self.shape[axis], -1)  # each cell as the corner across
        row, column = np.argwhere(facing == anchor)[0]
        beside, below = facing[:, [column]], facing[[row]]
        count = wanted.line.astype(np.int64)
        changed = count[anchor] + count[facing] != count[beside] + count[below]
        changed[row], changed[:, column] = False, False
        up = np.minimum(gives[beside], gives[below]), np.minimum(takes[facing], takes[anchor])
        down = np.minimum(takes[beside], takes[below]), np.minimum(gives[facing], gives[anchor])
        cost = price[anchor] + price[facing] + price[beside] + price[below]
        # Few images may all be predicted in another way, and then the margins have to go.
        images = np.where(np.minimum(*up) > 0, np.minimum(*up), np.minimum(*down)).clip(min=1)
        margins = self.size[axis + 1] * 2.0 * (self.level[axis + 1] < ALL)
        cost = cost + (margins[row] + margins)[:, None] * 0.1 / images**2
        for least, place, is_up in _least(
            cost, changed & (np.minimum(*up) > 0), changed & (np.minimum(*down) > 0)
        ):
            i, j = np.unravel_index(place, facing.shape)
            own, other = (anchor, int(facing[i, j])), (int(beside[i, 0]), int(below[0, j]))
            yield least, self._move((own, other), wanted, is_up, [axis])

    def _move(self, corners: Corners, wanted: Wanted, is_up: bool, axes: Sequence[int]) -> Move:
        own, other = corners
        ends = own[0], other[0]
        margins = tuple((axis + 1, int(self.parents[axis, end])) for axis in axes for end in ends)
        plus, minus = corners if is_up else (other, own)
        return Move(plus=plus, minus=minus, rises=wanted.rises, falls=wanted.falls, margins=margins)

    def admit(self, move: Move) -> None:
        """Withhold more, until a move is possible whatever was predicted for its images."""
        of = self.tables[0]
        plus, minus = of[list(move.plus)].min(axis=0), of[list(move.minus)].min(axis=0)
        corners = [(0, cell) for cell in (*move.plus, *move.minus)]
        is_rectangle = len(move.plus) > 1
        rises, falls = move.rises, move.falls
        if falls is None:
            matches = minus[rises].sum()
        else:
            right = min(plus[falls, falls], minus[rises, rises])
            swapped = min(plus[falls, rises], minus[rises, falls])
            rest = np.minimum(plus[falls], minus[rises])
            wrong = swapped + np.delete(rest, [rises, falls]).sum()
            if right + wrong > 1 - 1e-9:
                return
            self.withhold(corners, ALL)
            matches = min(plus[falls].sum(), minus[rises].sum()) if is_rectangle else 0.0
        if not is_rectangle or matches < 1 - 1e-9:
            self.withhold(move.margins, ALL)


def _least(
    cost: Float64[np.ndarray, "*cells"],
    up: Bool[np.ndarray, "*cells"],
    down: Bool[np.ndarray, "*cells"],
) -> Iterator[tuple[float, int, bool]]:
    """Cost, place and direction of the cheapest of some moves, if there is any."""
    # Half an image dearer: one image less might leave an empty cell.
    dear = np.where(up, cost, np.where(down, cost + 0.5, np.inf)).ravel()
    place = int(dear.argmin())
    if np.isfinite(dear[place]):
        yield float(dear[place]), place, bool(up.ravel()[place])
