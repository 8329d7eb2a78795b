"""What a reader of a report knows about counts, and other images that would look the same.

``g`` finest cells, ``p`` published cells (the finest, then those of each single attribute), ``c``
classes, ``m`` measures, ``e`` entries of a cell's table (by true class ``c``, by predicted class
too ``c * c``), ``v = g * e`` unknowns, ``q`` sums of entries that measures publish.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from debias.metrics.rates import Measure

# Far less than any figure costs: of equal choices the one that moves fewest images.
IDLE = 1e-3
# Bounds the search for whole images, by work and not by time: the answer must not vary.
NODES = 200

Hidden = Bool[np.ndarray, "p m"]
Move = Float64[np.ndarray, " v"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """What would be published if nothing were withheld."""

    finest: Float64[np.ndarray, "g c c"]
    parents: Int64[np.ndarray, "a g"]
    found: tuple[Measure, ...]
    below: int

    @cached_property
    def starts(self) -> list[int]:
        """First published cell of each grouping."""
        sizes = [len(self.finest), *(int(cells.max()) + 1 for cells in self.parents)]
        return [0, *np.cumsum(sizes)[:-1].tolist()]

    @cached_property
    def member(self) -> sparse.csr_array:
        """(p, g) 1 where a published cell contains a finest cell."""
        g = len(self.finest)
        blocks = [sparse.csr_array((np.ones(g), (cells, np.arange(g)))) for cells in self.parents]
        return sparse.vstack([sparse.eye_array(g), *blocks], format="csr")

    def grouping_of(self, cell: int) -> slice:
        """The published cells of the grouping that a cell belongs to."""
        ends = [*self.starts[1:], self.member.shape[0]]
        return next(slice(*ab) for ab in zip(self.starts, ends, strict=True) if cell < ab[1])

    def is_small(self, count: Float64[np.ndarray, "*cells"]) -> Bool[np.ndarray, "*cells"]:
        """Whether a count must not become known; means over trainings are no whole numbers."""
        return (count > 1e-9) & (count < self.below - 1e-9)

    def small_ones(self) -> Bool[np.ndarray, "p m"]:
        """Measures of few images, and all measures of cells of few images."""
        flat = self.finest.reshape(len(self.finest), -1)
        divisors = np.stack([one.denominator.ravel() for one in self.found], axis=1)
        size = np.rint(self.member @ flat.sum(axis=1))
        return self.is_small(self.member @ flat @ divisors) | self.is_small(size)[:, None]


class Counts:
    """What a reader does not know, and the published sums of it.

    Attributes:
        counts: (v,) the true values.
        lines: (p * q, v) the sums, of one published cell after the other.
        sums: (q, e) the sums within a cell.
        uses: (m, q) whether a measure publishes a sum.
        guarded: (q,) whether a small value of it must not become known.
        fixed: (e, v) what the table of all images tells.
        values: (p, q) the sums of the true values.
        size: (p,) images in a published cell.
        has_images: (g,) whether a finest cell has any.
        is_whole: Whether the true values are whole numbers, as those of one training are.
    """

    def __init__(self, report: Report, by_prediction: bool) -> None:
        table = report.finest if by_prediction else np.rint(report.finest.sum(axis=2))
        flat = table.reshape(len(table), -1)
        self.report, self.counts = report, table.ravel()
        self.is_whole = bool((self.counts == np.rint(self.counts)).all())
        self.has_images = flat.sum(axis=1) > 0
        self.sums, self.uses, self.guarded = _sums(report.found, by_prediction)
        self.lines = sparse.kron(report.member, sparse.csr_array(self.sums), format="csr")
        entries = sparse.eye_array(flat.shape[1])
        self.fixed = sparse.kron(np.ones((1, len(flat))), entries, format="csr")
        self.values = report.member @ flat @ self.sums.T
        self.size = report.member @ flat.sum(axis=1)

    def published(self, hidden: Hidden) -> Bool[np.ndarray, "p q"]:
        return ~hidden @ self.uses

    def cost(self, hidden: Hidden) -> Float64[np.ndarray, "p q"]:
        """Price of a changed sum: images of the cell, times more the earlier a measure stands."""
        worth = np.arange(len(self.uses), 0, -1.0)
        price = (~hidden * worth) @ self.uses * self.size[:, None]
        return price / price[price > 0].min(initial=np.inf)

    def withhold_changed(self, hidden: Hidden, move: Move) -> None:
        changed = np.abs(self.lines @ move).reshape(self.values.shape) > 1e-6
        hidden |= changed @ self.uses.T


def _sums(
    found: Sequence[Measure], by_prediction: bool
) -> tuple[Int64[np.ndarray, "q e"], Bool[np.ndarray, "m q"], Bool[np.ndarray, " q"]]:
    """The distinct sums that measures publish, who publishes them, and which are guarded."""
    rows: dict[tuple[int, ...], int] = {}

    def place(mask: Int64[np.ndarray, "c c"]) -> int:
        row = mask if by_prediction else mask[:, 0]
        return rows.setdefault(tuple(row.ravel().tolist()), len(rows))

    guarded = set()
    if by_prediction:
        used = [{place(one.numerator), place(one.denominator)} for one in found]
    else:
        guarded = {place(np.ones_like(found[0].denominator))}
        guarded |= {place(one.denominator) for one in found if one.is_paired}
        used = [{place(one.denominator)} if one.is_paired else set() for one in found]
    uses = np.array([[j in one for j in range(len(rows))] for one in used])
    return np.array(list(rows)), uses, np.array([j in guarded for j in range(len(rows))])


@dataclass(frozen=True, eq=False)
class Wanted:
    """Sums (k, v) of a move, and the least and the greatest value (k,) of each."""

    sums: sparse.csr_array
    low: Float64[np.ndarray, " k"]
    high: Float64[np.ndarray, " k"]


def other_images(
    known: Counts,
    hidden: Hidden,
    wanted: Wanted,
    cells: Bool[np.ndarray, " g"],
    gain: Float64[np.ndarray, " v"] | None = None,
) -> Move | None:
    """Find the move that changes published figures least.

    Args:
        known: The counts.
        hidden: (p, m) what is withheld already, and may change freely.
        wanted: What the move must do.
        cells: (g,) where images may move.
        gain: (v,) worth of an image added to an entry. If given, nothing published changes.

    Returns:
        (v,) the move, or None if there is none.
    """
    columns = np.flatnonzero(np.repeat(cells & known.has_images, known.fixed.shape[0]))
    n, lines = len(columns), known.lines[:, columns]
    published = known.published(hidden).ravel() & (np.diff(lines.indptr) > 0)
    price = known.cost(hidden).ravel()[published] if gain is None else np.zeros(0)
    worth = np.zeros(n) if gain is None else gain[columns]
    fixed, lines, sums = known.fixed[:, columns], lines[published], wanted.sums[:, columns]
    slack = sparse.eye_array(lines.shape[0], len(price))
    # Columns: images added, images taken away, published sums that rise, those that fall.
    rows = [[fixed, -fixed, None, None], [lines, -lines, -slack, slack], [sums, -sums, None, None]]
    same = np.zeros(fixed.shape[0] + lines.shape[0])
    low, high = np.concatenate([same, wanted.low]), np.concatenate([same, wanted.high])
    step = _least(
        np.concatenate([IDLE - worth, IDLE + worth, price, price]),
        LinearConstraint(sparse.block_array(rows, format="csr"), low, high),
        np.concatenate(
            [np.full(n, np.inf), known.counts[columns], np.full(2 * len(price), np.inf)]
        ),
        n_whole=2 * n if known.is_whole else 0,
    )
    if step is None:
        return None
    move = np.zeros(len(known.counts))
    move[columns] = step[:n] - step[n : 2 * n]
    return np.where(np.abs(move - np.rint(move)) < 1e-6, np.rint(move), move)


def _least(
    cost: Float64[np.ndarray, " w"],
    rows: LinearConstraint,
    most: Float64[np.ndarray, " w"],
    n_whole: int,
) -> Float64[np.ndarray, " w"] | None:
    """Minimise the cost of numbers in 0..most, the first of them whole if that can be found."""
    whole = (np.arange(len(cost)) < n_whole).astype(np.int64)

    def solve(most: Float[np.ndarray, " w"], kind: Int64[np.ndarray, " w"]) -> np.ndarray | None:
        options = {"node_limit": NODES}
        box = Bounds(0, most)
        return milp(cost, constraints=rows, bounds=box, integrality=kind, options=options).x

    relaxed = solve(most, np.zeros_like(whole))
    # Mostly whole already, as in problems of transport, and whole numbers are dear to insist on.
    if relaxed is None or (np.abs(relaxed - np.rint(relaxed))[:n_whole] < 1e-6).all():
        return relaxed
    # The same figures nearly always suffice for whole images, which is quick to find out.
    for limit in (np.where((whole > 0) | (relaxed > 1e-7), most, 0), most):
        exact = solve(limit, whole)
        if exact is not None:
            return exact
    return relaxed
