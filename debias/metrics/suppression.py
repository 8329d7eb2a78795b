"""Which figures must be withheld so that no small count can be worked out from the others.

The method is constructive. For every small count it looks for *other images*: counts that a reader
of the report could not tell from the real ones, though the small count differs. A figure in which
the two differ is withheld; a linear program finds the other images for which these are fewest.

``g`` finest cells, ``p`` published cells (the finest, then those of each single attribute), ``c``
classes, ``e`` entries of a cell's table, ``m`` measures, ``q`` sums of entries that measures
publish, ``v`` entries of all finest cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from debias.errors import EvaluationError
from debias.metrics.rates import Measure

MOST_SMALL = 1_000
# Accuracy and selection rate together fix whether a class count is odd; two images keep that.
STEP = 2.0
# Less than any figure costs: moves no more images than it must.
IDLE = 1e-3
# Bounds the search for whole images; what it then lacks is only the cheapest choice.
NODES = 200


@dataclass(frozen=True, kw_only=True, eq=False)
class Withheld:
    """The figures that a report must not show.

    Attributes:
        finest: (g, m) whether a measure of a finest cell is withheld.
        singles: (g_k, m) likewise, one per single attribute.
    """

    finest: Bool[np.ndarray, "g m"]
    singles: tuple[Bool[np.ndarray, "_ m"], ...]


def withheld(
    finest: Float64[np.ndarray, "g c c"],
    parents: Int64[np.ndarray, "a g"],
    found: Sequence[Measure],
    below: int = 11,
) -> Withheld:
    """Choose what to withhold so that no small count can be worked out.

    A reader is assumed to know, of every figure that is not withheld, the numerator and the
    denominator, the confusion table of all images, and which finest cells are empty. A count is
    small if it is the size of a cell or the denominator of a measure there, and in 1..below-1.

    Promised, for every small count: there are other counts, non-negative (and whole, if those of
    ``finest`` are), that give the same published figures and another value of that count. No total
    minus its published parts is a small count either. For small sizes and numbers of a true class
    both hold for any number of reports together that differ in the predictions alone: the other
    images are chosen from labels and groups, and every report must admit the same ones.

    Not promised: that a small count cannot be narrowed down (its range may be two values); for
    predicted classes, anything about several reports together; reports with other images, groups,
    measures or limits; and a count that the table of all images gives away, because no other cell
    of its grouping has images. Then that whole grouping is withheld.

    Args:
        finest: (g, c, c) confusion counts of the finest cells, the empty ones included; the mean
            over the trainings if there are several.
        parents: (a, g) the cell of each single attribute that a finest cell belongs to. No rows
            if there is one attribute, whose cells are the finest ones.
        found: The measures, the ones worth most first.
        below: The least count that need not be protected, at least 1; 1 withholds nothing.

    Raises:
        EvaluationError: ``below`` is under 1, or more than 1,000 finest cells hold a small count.

    Reference:
        Fischetti and Salazar, "Models and Algorithms for Optimizing Cell Suppression in Tabular
        Data with Linear Constraints", 2000. Deviations: a withheld figure may keep others of its
        cell; one set of other images serves many counts; the cost is per image moved.
    """
    if below < 1:
        raise EvaluationError(f"counts are withheld below {below}; the limit must be at least 1")
    report = _Report(finest=finest, parents=parents, found=tuple(found), below=below)
    hidden = report.small_ones()
    n_small = int(hidden[: len(finest)].any(axis=1).sum())
    if n_small > MOST_SMALL:
        raise EvaluationError(
            f"{n_small:,} groups hold a count of 1 to {below - 1}, more than {MOST_SMALL:,} "
            "can be withheld safely; list fewer attributes"
        )
    if hidden.any():
        true_classes = _Counts(report, by_prediction=False)
        moves = _protect(true_classes, hidden)
        both_classes = _Counts(report, by_prediction=True)
        for move in moves:
            _admit(both_classes, hidden, move)
        _protect(both_classes, hidden)
    first, *others = np.split(hidden, report.starts[1:])
    return Withheld(finest=first, singles=tuple(others))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Report:
    """What would be published if nothing were withheld."""

    finest: Float64[np.ndarray, "g c c"]
    parents: Int64[np.ndarray, "a g"]
    found: tuple[Measure, ...]
    below: int

    @cached_property
    def starts(self) -> list[int]:
        """First published cell of each grouping."""
        sizes = [self.finest.shape[0], *(int(cells.max()) + 1 for cells in self.parents)]
        return [0, *np.cumsum(sizes)[:-1].tolist()]

    @cached_property
    def member(self) -> Any:
        """(p, g) sparse: 1 where a published cell contains a finest cell."""
        from scipy import sparse

        g = self.finest.shape[0]
        blocks = [sparse.csr_array((np.ones(g), (cells, np.arange(g)))) for cells in self.parents]
        return sparse.vstack([sparse.eye_array(g), *blocks], format="csr")

    def grouping_of(self, cell: int) -> slice:
        """The published cells of the grouping that a cell belongs to."""
        ends = [*self.starts[1:], self.member.shape[0]]
        return next(slice(*ab) for ab in zip(self.starts, ends, strict=True) if cell < ab[1])

    def is_small(self, count: Float64[np.ndarray, "..."]) -> Bool[np.ndarray, "..."]:
        """Whether a count must not become known; means over trainings are no whole numbers."""
        return (count > 1e-9) & (count < self.below - 1e-9)

    def small_ones(self) -> Bool[np.ndarray, "p m"]:
        """Measures of few images, and all measures of cells of few images."""
        flat = self.finest.reshape(len(self.finest), -1)
        divisors = np.stack([one.denominator.ravel() for one in self.found], axis=1)
        size = np.rint(self.member @ flat.sum(axis=1))
        return self.is_small(self.member @ flat @ divisors) | self.is_small(size)[:, None]


class _Counts:
    """The unknowns of a reader, and the published sums of them.

    Attributes:
        counts: (v,) true values.
        lines: (p * q, v) sparse: the sums, of every published cell in turn.
        uses: (m, q) whether a measure publishes a sum.
        guarded: (q,) whether a small value of it must not become known.
        fixed: (e, v) sparse: what the table of all images tells.
    """

    def __init__(self, report: _Report, by_prediction: bool) -> None:
        from scipy import sparse

        self.report = report
        table = report.finest if by_prediction else np.rint(report.finest.sum(axis=2))
        self.counts = table.ravel()
        self.is_whole = bool(np.array_equal(self.counts, np.rint(self.counts)))
        g, e = len(table), table[0].size
        sums, self.uses, self.guarded = _sums(report.found, by_prediction)
        self.sums = sums
        self.lines = sparse.kron(report.member, sparse.csr_array(sums), format="csr")
        self.fixed = sparse.kron(np.ones((1, g)), sparse.eye_array(e), format="csr")
        self.shape = (report.member.shape[0], len(sums))
        self.values = (self.lines @ self.counts).reshape(self.shape)
        size = report.member @ table.reshape(g, e).sum(axis=1)
        # A count of 0 is known to exist nowhere: the last one that should stand in for another.
        self.size = np.where(self.values > 0, size[:, None], size.max() * 2 + 1)
        self.can_grow = np.repeat(table.reshape(g, e).sum(axis=1) > 0, e)

    def published(self, hidden: Bool[np.ndarray, "p m"]) -> Bool[np.ndarray, "p q"]:
        return ~hidden @ self.uses

    def cost(self, hidden: Bool[np.ndarray, "p m"]) -> Float64[np.ndarray, "p q"]:
        """Price of a changed sum: images of the cell, more for the measures listed first."""
        worth = np.arange(len(self.uses), 0, -1.0)
        price = (~hidden * worth) @ self.uses * self.size
        return price / max(price[price > 0].min(initial=np.inf), 1e-9)

    def withhold_changed(self, hidden: Bool[np.ndarray, "p m"], move: np.ndarray) -> None:
        changed = np.abs(self.lines @ move).reshape(self.shape) > 1e-6
        hidden |= changed @ self.uses.T


def _sums(
    found: Sequence[Measure], by_prediction: bool
) -> tuple[Int64[np.ndarray, "q e"], Bool[np.ndarray, "m q"], Bool[np.ndarray, " q"]]:
    """The distinct sums that measures publish, the size of the cell first."""
    c = len(found[0].denominator)
    rows: dict[bytes, np.ndarray] = {}
    uses, guarded = [], []

    def place(mask: np.ndarray) -> int:
        flat = mask.ravel() if by_prediction else mask[:, 0].copy()
        rows.setdefault(flat.tobytes(), flat)
        return list(rows).index(flat.tobytes())

    guarded.append(place(np.ones((c, c), dtype=np.int64)))
    for one in found:
        used = [place(one.denominator)] if by_prediction or one.is_paired else []
        if one.is_paired != by_prediction:
            guarded += used
        uses.append([*used, place(one.numerator)] if by_prediction else used)
    sums = np.stack(list(rows.values()))
    table = np.array([[j in used for j in range(len(sums))] for used in uses])
    # The size is settled before predictions are looked at.
    wanted = guarded[1:] if by_prediction else guarded
    return sums, table, np.isin(np.arange(len(sums)), wanted)


def _protect(known: _Counts, hidden: Bool[np.ndarray, "p m"]) -> list[np.ndarray]:
    """Withhold more, in place, until every guarded small count could be another.

    Returns:
        Moves, each (v,): what added to the true counts gives other images.
    """
    small = known.report.is_small(known.values) & known.guarded
    _close_cells(known, hidden, small)
    todo, moves = np.flatnonzero(small), []
    signs = np.random.default_rng(0)
    while len(todo):
        lines = known.lines[todo]
        move = _shuffle(known, hidden, lines, signs.choice([-1.0, 1.0], size=len(todo)))
        if not _is_moved(lines, move).any():
            move = _cheapest(known, hidden, known.lines[todo[:1]])
            if move is None:
                hidden[known.report.grouping_of(int(todo[0]) // known.shape[1])] = True
                todo = todo[1:]
                continue
        known.withhold_changed(hidden, move)
        moves.append(move)
        todo = todo[~_is_moved(lines, move)]
    return moves + _protect_remainders(known, hidden)


def _close_cells(
    known: _Counts, hidden: Bool[np.ndarray, "p m"], small: Bool[np.ndarray, "p q"]
) -> None:
    """Withhold, in place, what gives a small count away within its own cell.

    A sum is known if it is a combination of published ones. Measures are kept in their order.
    """
    pattern = np.concatenate([hidden, small], axis=1)
    kinds, which = np.unique(pattern, axis=0, return_inverse=True)
    for number, kind in enumerate(kinds):
        closed, secret = kind[: len(known.uses)].copy(), kind[len(known.uses) :]
        if not secret.any():
            continue
        kept = np.zeros(known.shape[1], dtype=bool)
        for measure in np.flatnonzero(~closed):
            tried = kept | known.uses[measure]
            closed[measure] = _tells(known.sums[tried], known.sums[secret])
            kept = kept if closed[measure] else tried
        hidden[which == number] |= closed


def _tells(published: Int64[np.ndarray, "k e"], secret: Int64[np.ndarray, "l e"]) -> bool:
    """Whether a secret sum is a linear combination of the published ones."""
    rank = np.linalg.matrix_rank
    known = rank(published) if len(published) else 0
    return any(rank(np.vstack([published, one])) == known for one in secret)


def _is_moved(lines: Any, move: np.ndarray) -> Bool[np.ndarray, " k"]:
    return np.abs(lines @ move) > 0.01


def _protect_remainders(known: _Counts, hidden: Bool[np.ndarray, "p m"]) -> list[np.ndarray]:
    """Withhold more until no total minus its published parts is a small count."""
    whole, parts = _equations(known)
    lost = np.zeros(whole.shape, dtype=bool)
    moves: list[np.ndarray] = []
    while True:
        secret = ~known.published(hidden)
        left = known.report.is_small(parts @ (known.values * secret)) & known.guarded & ~lost
        # Beyond all images there is nothing to hide: their table is always published.
        left[: len(known.report.starts)] &= ~known.report.is_small(whole)[: len(known.report.starts)]
        left[len(known.report.starts) :] &= ~secret[len(known.report.finest) :]
        if not left.any():
            return moves
        equation, total = np.argwhere(left)[0]
        chosen = np.zeros(known.shape)
        chosen[:, total] = parts[[equation]].toarray()[0] * secret[:, total]
        move = _cheapest(known, hidden, (known.lines.T @ chosen.ravel())[None])
        if move is None:
            lost[equation, total] = True
            hidden[known.report.grouping_of(int(chosen.any(axis=1).argmax()))] = True
            continue
        known.withhold_changed(hidden, move)
        moves.append(move)


def _equations(known: _Counts) -> tuple[Float64[np.ndarray, "E q"], Any]:
    """Every total whose parts are published: all images by each grouping, a parent by its cells.

    Returns:
        (E, q) the totals, and (E, p) sparse 1 where a published cell is a part.
    """
    from scipy import sparse

    report, (p, _) = known.report, known.shape
    by_grouping = np.zeros((len(report.starts), p))
    for row, start in zip(by_grouping, report.starts, strict=True):
        row[report.grouping_of(start)] = 1
    g = len(report.finest)
    by_parent = report.member[g:]
    padded = sparse.hstack([by_parent, sparse.csr_array((p - g, p - g))])
    parts = sparse.vstack([sparse.csr_array(by_grouping), padded], format="csr")
    return parts @ known.values, parts


def _shuffle(
    known: _Counts, hidden: Bool[np.ndarray, "p m"], lines: Any, signs: np.ndarray
) -> np.ndarray:
    """Move as many counts as possible at once without withholding more."""
    limit = np.full(len(signs), STEP)
    move = _other_images(known, hidden, (lines, -limit, limit), reward=lines.T @ signs)
    return np.zeros(known.counts.size) if move is None else move


def _cheapest(known: _Counts, hidden: Bool[np.ndarray, "p m"], line: Any) -> np.ndarray | None:
    """Move one count, up or else down, changing as few published figures as possible."""
    down = min(STEP, float((line @ known.counts)[0]))
    up = _other_images(known, hidden, (line, np.array([STEP]), np.array([np.inf])))
    if up is not None:
        return up
    return _other_images(known, hidden, (line, np.array([-np.inf]), np.array([-down])))


def _admit(known: _Counts, hidden: Bool[np.ndarray, "p m"], move: np.ndarray) -> None:
    """Withhold more until the report allows a move of true classes, whatever was predicted."""
    from scipy import sparse

    c = known.report.finest.shape[1]
    by_class = sparse.kron(sparse.eye_array(len(move)), np.ones((1, c)), format="csr")
    found = _other_images(known, hidden, (by_class, move, move))
    assert found is not None  # each image moved takes what was predicted for it along
    known.withhold_changed(hidden, found)


def _other_images(
    known: _Counts,
    hidden: Bool[np.ndarray, "p m"],
    wanted: tuple[Any, np.ndarray, np.ndarray],
    reward: np.ndarray | None = None,
) -> np.ndarray | None:
    """Find the move that changes published figures least.

    Args:
        known: The counts.
        hidden: (p, m) what is withheld already, and may change freely.
        wanted: Sums (k, v) of the move, and the least and greatest value (k,) of each.
        reward: (v,) gain of every image added to an entry. If given, nothing published changes.

    Returns:
        (v,) the move, or None if there is none.
    """
    from scipy import sparse

    published = known.published(hidden).ravel()
    lines, v = known.lines[published], known.counts.size
    price = known.cost(hidden).ravel()[published] if reward is None else np.zeros(0)
    slack = sparse.eye_array(lines.shape[0], len(price))
    rows = sparse.vstack([known.fixed, lines, wanted[0]])
    exact = np.zeros(known.fixed.shape[0] + lines.shape[0])
    gain = np.zeros(v) if reward is None else reward
    filler = sparse.vstack(
        [
            sparse.csr_array((known.fixed.shape[0], len(price))),
            slack,
            sparse.csr_array((wanted[0].shape[0], len(price))),
        ]
    )
    step = _least(
        cost=np.concatenate([IDLE - gain, IDLE + gain, price, price]),
        rows=sparse.hstack([rows, -rows, -filler, filler], format="csr"),
        between=(np.concatenate([exact, wanted[1]]), np.concatenate([exact, wanted[2]])),
        most=np.concatenate(
            [np.where(known.can_grow, np.inf, 0), known.counts, np.full(2 * len(price), np.inf)]
        ),
        whole=np.arange(2 * v + 2 * len(price)) < 2 * v * known.is_whole,
    )
    if step is None:
        return None
    move = step[:v] - step[v : 2 * v]
    return np.where(np.abs(move - np.rint(move)) < 1e-6, np.rint(move), move)


def _least(
    cost: np.ndarray,
    rows: Any,
    between: tuple[np.ndarray, np.ndarray],
    most: np.ndarray,
    whole: np.ndarray,
) -> np.ndarray | None:
    from scipy.optimize import Bounds, LinearConstraint, milp

    def solve(most: np.ndarray, integrality: np.ndarray) -> np.ndarray | None:
        limits = LinearConstraint(rows, *between)
        options = {"node_limit": NODES}
        bounds = Bounds(0, most)
        return milp(
            cost, constraints=limits, bounds=bounds, integrality=integrality, options=options
        ).x

    relaxed = solve(most, np.zeros(len(cost)))
    # Mostly whole already, as in problems of transport, and whole numbers are dear to insist on.
    if relaxed is None or not whole.any() or _is_whole(relaxed[whole]):
        return relaxed
    # The same figures nearly always suffice for whole images, which is quick to find out.
    same = np.where(whole | (relaxed > 1e-7), most, 0)
    for limit in (same, most):
        exact = solve(limit, whole.astype(np.int64))
        if exact is not None:
            return exact
    return relaxed


def _is_whole(values: np.ndarray) -> bool:
    return bool((np.abs(values - np.rint(values)) < 1e-6).all())
