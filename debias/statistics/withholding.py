"""Which figures must be withheld so that no small count can be worked out from the others.

The method is constructive. For every small count it looks for *other images*: counts that a reader
of the report could not tell from the real ones, though the small count differs. A figure in which
the two differ is withheld; a linear program finds the other images for which these are fewest.

``g`` finest cells, ``p`` published cells (the finest, then those of each single attribute), ``c``
classes, ``m`` measures, ``e`` entries of a cell's table (by true class ``c``, by predicted class
too ``c * c``), ``v = g * e`` unknowns, ``q`` sums of entries that measures publish.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float64, Int64
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from debias.errors import EvaluationError
from debias.statistics.counts import Measure
from debias.statistics.groupings import groupings

MOST_SMALL = 1_000
# Accuracy and selection rate together fix whether a class count is odd; two images keep that.
STEP = 2.0
# Far less than any figure costs: of equal choices the one that moves fewest images.
IDLE = 1e-3
# Bounds the search for whole images, by work and not by time: the answer must not vary.
NODES = 200

Hidden = Bool[np.ndarray, "p m"]
Move = Float64[np.ndarray, " v"]


def withheld(
    finest: Float64[np.ndarray, "g c c"],
    parents: Int64[np.ndarray, "a g"],
    found: Sequence[Measure],
    below: int = 11,
) -> list[Bool[np.ndarray, "_ m"]]:
    """Choose what to withhold so that no small count can be worked out.

    A count is small if it is the size of a cell or the number of its images of a true class that a
    measure divides by, and lies in 1..below-1. A measure that divides by a number of predictions,
    such as precision, is withheld where that number is small, but nothing is withheld to protect
    it: it says something about the classifier, not about people, and is the numerator of another
    rate. A reader is taken to know the numerator and the denominator of every figure that is
    not withheld, the confusion table of all images, and which finest cells are empty.

    Promised, for every small count: there are other non-negative counts that give the same
    published figures and another value of that count, by whole images unless ``finest`` holds
    means or the bounded search for them fails. No total minus its published parts is small either.
    This holds for any number of reports together that differ in their predictions alone (and are
    made with one version of SciPy): the other images are chosen from labels and groups, and every
    report must admit the same ones.

    Not promised: that a small count cannot be narrowed down (two values may be left); anything
    about reports with other images, groups, measures or limits; and a count that the table of all
    images gives away, as no other cell of its grouping has images. Then that whole grouping is
    withheld.

    Args:
        finest: (g, c, c) confusion counts of the finest cells, the empty ones included; the mean
            over the trainings if there are several.
        parents: (a, g) the cell of each single attribute that a finest cell belongs to. No rows
            if there is one attribute, whose cells are the finest ones.
        found: The measures, those to keep first in front.
        below: The least count that need not be protected, at least 1; 1 withholds nothing.

    Returns:
        (g_k, m) whether a measure of a cell is withheld, for each single attribute, and (g, m)
        last, for the finest cells.

    Raises:
        EvaluationError: ``below`` is under 1, or more than 1,000 finest cells hold a small count.

    Reference:
        Fischetti and Salazar, "Models and Algorithms for Optimizing Cell Suppression in Tabular
        Data with Linear Constraints", 2000. Deviations: withheld are measures of a cell instead of
        cells; one set of other images serves many counts; the cost is per image moved.
    """
    if below < 1:
        raise EvaluationError(f"counts are withheld below {below}; the limit must be at least 1")
    report = Report(finest=finest, parents=parents, found=tuple(found), below=below)
    hidden = report.small_ones()
    _check_number(int(hidden[: len(finest)].any(axis=1).sum()), below)
    if hidden.any():
        # Without a look at the predictions, so that these cannot sway it.
        moves = _protect(Counts(report, by_prediction=False), hidden)
        predicted = Counts(report, by_prediction=True)
        for move in moves:
            _admit(predicted, hidden, move)
        # A cell whose size is hidden has no figure left, so that siblings hide its predictions.
        paired = np.array([one.is_paired for one in found])
        if paired.any():
            hidden |= hidden[:, paired].all(axis=1, keepdims=True)
    first, *others = np.split(hidden, report.starts[1:])
    return [*others, first]


def hidden_cells(
    tables: Sequence[Float64[np.ndarray, "_ c c"]], found: Sequence[Measure], below: int
) -> list[Bool[np.ndarray, "_ m"]]:
    """Which numbers of each grouping are withheld.

    Args:
        tables: Confusion counts of the single attributes, then of their crossing; or of the only
            attribute.
        found: The measures.
        below: Denominators from 1 to below this are withheld.
    """
    singles, finest = tables[:-1], tables[-1]
    shape = [len(table) for table in singles]
    cells = np.arange(len(finest))
    # The crossing names its cells with the last attribute varying fastest.
    parents = np.array(np.unravel_index(cells, shape)) if shape else np.zeros((0, len(cells)))
    return withheld(finest, parents.astype(np.int64), found, below)


def hidden_counts(groups: pd.DataFrame, below: int) -> dict[str, bool]:
    """Which numbers of images, by group and crossing, are withheld from a table of sizes."""
    found = groupings(groups)
    if not found:
        return {}
    images = Measure(
        name="images",
        numerator=np.ones((1, 1), dtype=np.int64),
        denominator=np.ones((1, 1), dtype=np.int64),
        counted="images",
    )
    tables = [grouping.sizes.astype(np.float64).reshape(-1, 1, 1) for grouping in found]
    masks = hidden_cells(tables, [images], below)
    return {
        name: bool(withheld)
        for grouping, mask in zip(found, masks, strict=True)
        for name, withheld in zip(grouping.cells, mask[:, 0], strict=True)
    }


def _check_number(n_small: int, below: int) -> None:
    if n_small > MOST_SMALL:
        raise EvaluationError(
            f"{n_small:,} groups hold a count of 1 to {below - 1}, more than the {MOST_SMALL:,} "
            "that can be protected; list fewer attributes"
        )


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


def _protect(known: Counts, hidden: Hidden) -> list[Move]:
    """Withhold more, in place, until no guarded count that is small can be worked out.

    Returns:
        What was added to the true counts to get other images, (v,) each.
    """
    small = known.report.is_small(known.values) & known.guarded
    _close_cells(known, hidden, small)
    todo, moves = np.flatnonzero(small), []
    generator = np.random.default_rng(0)
    while len(todo):
        lines = known.lines[todo]
        move = _shuffle(known, hidden, lines, generator.choice([-1.0, 1.0], size=len(todo)))
        if move is None or not _is_moved(lines, move).any():
            move = _cheapest(known, hidden, lines[:1])
        if move is None:
            hidden[known.report.grouping_of(int(todo[0]) // len(known.sums))] = True
            todo = todo[1:]
        else:
            known.withhold_changed(hidden, move)
            moves.append(move)
            todo = todo[~_is_moved(lines, move)]
    return moves + _protect_remainders(known, hidden)


def _is_moved(lines: sparse.csr_array, move: Move) -> Bool[np.ndarray, " k"]:
    return np.abs(lines @ move) > 0.01


def _close_cells(known: Counts, hidden: Hidden, small: Bool[np.ndarray, "p q"]) -> None:
    """Withhold, in place, what gives a small count away within its own cell.

    Nothing here that the search would not find; but cells have few patterns, and are many.
    """
    patterns, which = np.unique(np.hstack([hidden, small]), axis=0, return_inverse=True)
    m = hidden.shape[1]
    for number, pattern in enumerate(patterns):
        if pattern[m:].any():
            hidden[which.ravel() == number] = _closed(known, pattern[:m], pattern[m:])


def _closed(
    known: Counts, hidden: Bool[np.ndarray, " m"], secret: Bool[np.ndarray, " q"]
) -> Bool[np.ndarray, " m"]:
    """Keep the measures in their order as long as no secret is a combination of their sums."""
    closed, kept = hidden.copy(), np.zeros(len(secret), dtype=bool)
    for measure in np.flatnonzero(~hidden):
        tried = kept | known.uses[measure]
        closed[measure] = _tells(known.sums[tried], known.sums[secret])
        kept = kept if closed[measure] else tried
    return closed


def _tells(published: Int64[np.ndarray, "k e"], secret: Int64[np.ndarray, "l e"]) -> bool:
    rank = np.linalg.matrix_rank
    known = rank(published) if len(published) else 0
    return any(rank(np.vstack([published, one])) == known for one in secret)


def _protect_remainders(known: Counts, hidden: Hidden) -> list[Move]:
    """Withhold more, in place, until no total minus its published parts is a small count."""
    parts = _equations(known.report)
    moves: list[Move] = []
    g, n_groupings = len(known.report.finest), len(known.report.starts)
    # A small total of all images is known anyway, and what is left of it no smaller secret.
    is_large = ~known.report.is_small(parts[:n_groupings] @ known.values)
    lost = np.zeros((parts.shape[0], len(known.sums)), dtype=bool)
    while True:
        secret = ~known.published(hidden)
        is_told = np.vstack([is_large, ~secret[g:]]) & known.guarded & ~lost
        left = is_told & known.report.is_small(parts @ (known.values * secret))
        if not left.any():
            return moves
        equation, kind = np.argwhere(left)[0]
        cells = np.flatnonzero(parts[[equation]].toarray()[0] * secret[:, kind])
        line = known.lines[cells * len(known.sums) + kind].sum(axis=0)
        move = _cheapest(known, hidden, sparse.csr_array(line[None]))
        if move is None:
            lost[equation, kind] = True
            hidden[known.report.grouping_of(int(cells[0]))] = True
        else:
            known.withhold_changed(hidden, move)
            moves.append(move)


def _equations(report: Report) -> sparse.csr_array:
    """(n_groupings + p - g, p) the parts of all images by each grouping, then of each parent."""
    p, g = report.member.shape
    by_grouping = np.zeros((len(report.starts), p))
    for row, start in zip(by_grouping, report.starts, strict=True):
        row[report.grouping_of(start)] = 1
    by_parent = sparse.hstack([report.member[g:], sparse.csr_array((p - g, p - g))])
    return sparse.vstack([sparse.csr_array(by_grouping), by_parent], format="csr")


def _shuffle(
    known: Counts, hidden: Hidden, lines: sparse.csr_array, signs: Float64[np.ndarray, " k"]
) -> Move | None:
    """Move as many counts as possible at once without withholding more."""
    cells = np.any(~known.published(hidden)[: len(known.report.finest)], axis=1)
    limit = np.full(len(signs), STEP)
    return other_images(known, hidden, Wanted(lines, -limit, limit), cells, lines.T @ signs)


def _cheapest(known: Counts, hidden: Hidden, line: sparse.csr_array) -> Move | None:
    """Move one count, up or else down, changing as few published figures as possible."""
    cells = np.ones(len(known.report.finest), dtype=bool)
    endless, down = np.array([np.inf]), np.minimum(STEP, line @ known.counts)
    up = other_images(known, hidden, Wanted(line, np.array([STEP]), endless), cells)
    if up is not None:
        return up
    return other_images(known, hidden, Wanted(line, -endless, -down), cells)


def _admit(known: Counts, hidden: Hidden, move: Float64[np.ndarray, " w"]) -> None:
    """Withhold more, in place, until a move of true classes (g * c,) leaves what is published."""
    g, c = known.report.finest.shape[:2]
    by_class = sparse.kron(sparse.eye_array(g * c), np.ones((1, c)), format="csr")
    cells = np.any(np.hstack([~known.published(hidden)[:g], move.reshape(g, c) != 0]), axis=1)
    found = other_images(known, hidden, Wanted(by_class, move, move), cells)
    assert found is not None  # each image moved takes what was predicted for it along
    known.withhold_changed(hidden, found)


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
