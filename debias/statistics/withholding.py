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

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import sparse

from debias.errors import EvaluationError
from debias.metrics.other_images import (
    Counts,
    Hidden,
    Move,
    Report,
    Wanted,
    other_images,
)
from debias.metrics.rates import Measure

MOST_SMALL = 1_000
# Accuracy and selection rate together fix whether a class count is odd; two images keep that.
STEP = 2.0


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
    return Withheld(finest=first, singles=tuple(others))


def _check_number(n_small: int, below: int) -> None:
    if n_small > MOST_SMALL:
        raise EvaluationError(
            f"{n_small:,} groups hold a count of 1 to {below - 1}, more than the {MOST_SMALL:,} "
            "that can be protected; list fewer attributes"
        )


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
