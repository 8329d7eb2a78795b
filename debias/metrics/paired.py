"""Two classifiers on the same images -> what happened in each cell, and an exact test of it.

``n`` images, ``s`` trainings of each classifier, ``cells`` (one for each group and measure), ``r``
kinds of unit. A unit is an image, or all images of one person in one cell: what happens to the
images of one person is not independent. Everything is about other images, or other people, under
these same trainings; what other trainings would do is told by the spread over seeds alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.special import bdtr

from debias.statistics.counts import Measure, ratio
from debias.statistics.people import summed

_NUMBERS_AT_ONCE = 2_000_000  # of a block of transforms: 32 MB
_SMALLEST_P = 1e-14  # what a sum of a million rounded probabilities can still tell from 0


@dataclass(frozen=True, kw_only=True, eq=False)
class PairedCounts:
    """What happened to the images of every cell, from one classifier to the other.

    An image counts for a measure when it stands in its denominator; it then has the value 1 or 0,
    such as right or wrong. Units of a cell to which the same happened are one kind.

    Attributes:
        images: (cells,) images that count.
        units: (cells,) units with at least one of them.
        before: (cells,) share of images with the value 1, mean over trainings; NaN without image.
        after: Likewise.
        gained: (cells,) images that go from 0 to 1, mean over trainings.
        lost: (cells,) images that go from 1 to 0, likewise.
        by_training: (s, cells) change of the share in each training.
        cell: (r,) cell of each kind of unit, ascending.
        up: (r,) steps from 0 to 1, summed over the unit's images and over trainings.
        down: (r,) steps from 1 to 0, likewise.
        size: (r,) images of the unit.
        count: (r,) units of that kind.
    """

    images: Int64[np.ndarray, " cells"]
    units: Int64[np.ndarray, " cells"]
    before: Float64[np.ndarray, " cells"]
    after: Float64[np.ndarray, " cells"]
    gained: Float64[np.ndarray, " cells"]
    lost: Float64[np.ndarray, " cells"]
    by_training: Float64[np.ndarray, "s cells"]
    cell: Int64[np.ndarray, " r"]
    up: Int64[np.ndarray, " r"]
    down: Int64[np.ndarray, " r"]
    size: Int64[np.ndarray, " r"]
    count: Int64[np.ndarray, " r"]

    @property
    def change(self) -> Int64[np.ndarray, " r"]:
        """After minus before, summed over the images and trainings of each kind of unit."""
        return self.up - self.down

    @property
    def people_repeat(self) -> Bool[np.ndarray, " cells"]:
        """Whether a person has several images in the cell."""
        return self.units < self.images

    def summed(self, values: Float64[np.ndarray, " r"]) -> Float64[np.ndarray, " cells"]:
        """Sum of a value of each kind of unit over the units of each cell."""
        return summed(self.cell, values * self.count, len(self.images))


def paired_counts(
    measure: Measure,
    y_true: Int64[np.ndarray, " n"],
    y_pred: tuple[Int64[np.ndarray, "s n"], Int64[np.ndarray, "s n"]],
    codes: Int64[np.ndarray, " n"],
    n_cells: int,
    subjects: Int64[np.ndarray, " n"] | None,
) -> PairedCounts:
    """Count what happened in every cell of one grouping, for one measure.

    Args:
        measure: A paired one: its denominator is the same images whatever is predicted.
        y_true: (n,) class of each image.
        y_pred: (s, n) predicted before, and after; training by training.
        codes: (n,) cell of each image.
        n_cells: How many cells there are.
        subjects: (n,) person of each image, or None to take images as independent.
    """
    inside = measure.denominator[y_true, 0] > 0
    truth, codes = y_true[inside], codes[inside]
    first, second = (measure.numerator[truth, part[:, inside]] for part in y_pred)  # (s, n)
    s, moved = len(first), second - first
    people = None if subjects is None else subjects[inside]
    images = np.bincount(codes, minlength=n_cells)
    cell, up, down, size, count = _kinds(codes, people, moved)

    def share(values: Int64[np.ndarray, " n"]) -> Float64[np.ndarray, " cells"]:
        return ratio(summed(codes, values, n_cells), images)

    return PairedCounts(
        images=images.astype(np.int64),
        units=np.bincount(cell, weights=count, minlength=n_cells).astype(np.int64),
        before=share(first.sum(axis=0)) / s,
        after=share(second.sum(axis=0)) / s,
        gained=summed(codes, (moved > 0).sum(axis=0), n_cells) / s,
        lost=summed(codes, (moved < 0).sum(axis=0), n_cells) / s,
        by_training=np.stack([share(row) for row in moved]),
        cell=cell,
        up=up,
        down=down,
        size=size,
        count=count,
    )


def _kinds(
    codes: Int64[np.ndarray, " n"],
    people: Int64[np.ndarray, " n"] | None,
    moved: Int64[np.ndarray, "s n"],
) -> tuple[Int64[np.ndarray, " r"], ...]:
    """Images -> units -> kinds of unit: cell, up, down, size, count."""
    cell, size = codes, np.ones_like(codes)
    up, down = (moved > 0).sum(axis=0), (moved < 0).sum(axis=0)
    if people is not None:
        key = codes * (people.max(initial=0) + 1) + people
        _, first, unit, size = np.unique(
            key, return_index=True, return_inverse=True, return_counts=True
        )
        cell = codes[first]
        up, down = (np.bincount(unit, weights=part).astype(np.int64) for part in (up, down))
    key = cell
    for part in (up, down, size):
        key = key * (part.max(initial=0) + 1) + part
    _, first, count = np.unique(key, return_index=True, return_counts=True)
    return cell[first], up[first], down[first], size[first], count


def stacked(parts: Sequence[PairedCounts], trainings: int) -> PairedCounts:
    """Cells of several groupings and measures one after the other, to be treated in one go."""
    parts = [_no_cells(trainings), *parts]
    starts = np.cumsum([len(part.images) for part in parts])
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts], axis=-1)
        for name in PairedCounts.__dataclass_fields__
        if name != "cell"
    }
    cells = [part.cell + start for part, start in zip(parts[1:], starts[:-1], strict=True)]
    return PairedCounts(**joined, cell=np.concatenate([parts[0].cell, *cells]))


def _no_cells(trainings: int) -> PairedCounts:
    counts, shares = np.zeros(0, dtype=np.int64), np.zeros(0)
    return PairedCounts(
        images=counts, units=counts, before=shares, after=shares, gained=shares, lost=shares,
        by_training=np.zeros((trainings, 0)), cell=counts, up=counts, down=counts, size=counts,
        count=counts,
    )  # fmt: skip


def change_p_value(counts: PairedCounts) -> Float64[np.ndarray, " cells"]:
    """Exact two-sided test of whether units changed for the better as much as for the worse.

    The change ``d`` of each unit keeps its size and takes either sign with probability 1/2;
    ``p = P(|sum of signed d| >= |sum of d|)``. For single images and one training that is the
    exact test of McNemar. People, or several trainings, give d of several sizes: the distribution
    of their sum is the product of ``cos(d t)`` over units, transformed back.

    Returns:
        In [1e-14, 1]; 1 where nothing changed, NaN without image.

    Reference:
        McNemar, "Note on the sampling error of the difference between correlated proportions or
        percentages", Psychometrika 12, 1947. Sign flips: Fisher, "The Design of Experiments",
        1935, section 21.
    """
    cell, size, times = _sizes_of_change(counts)
    observed = np.abs(counts.summed(counts.change.astype(np.float64)))
    reach = summed(cell, size * times, len(observed))
    sizes = np.bincount(cell, minlength=len(observed))
    p = np.ones(len(observed))
    one = sizes[cell] == 1
    # Of units that all changed by the same size, this many are on the rarer side.
    rarer = (reach - observed)[cell[one]] / (2 * size[one])
    p[cell[one]] = 2 * bdtr(rarer, times[one], 0.5)
    for some, length in _blocks(np.flatnonzero(sizes > 1), reach):
        below = _distribution(some, length, (cell, size, times), reach[some])
        place = ((reach[some] - observed[some]) / 2).astype(np.int64)
        p[some] = 2 * np.cumsum(below, axis=1)[np.arange(len(some)), place]
    return np.where(counts.images > 0, np.clip(p, _SMALLEST_P, 1.0), np.nan)


def _sizes_of_change(counts: PairedCounts) -> tuple[Int64[np.ndarray, " r"], ...]:
    """How many units changed by each size, in either direction: cell, size, times."""
    changed = counts.change != 0
    pairs = np.stack([counts.cell[changed], np.abs(counts.change[changed])], axis=1)
    kinds, place = np.unique(pairs, axis=0, return_inverse=True)
    times = np.bincount(place.ravel(), weights=counts.count[changed], minlength=len(kinds))
    return kinds[:, 0], kinds[:, 1], times.astype(np.int64)


def _blocks(
    cells: Int64[np.ndarray, " some"], reach: Float64[np.ndarray, " cells"]
) -> Iterator[tuple[Int64[np.ndarray, " some"], int]]:
    """Cells whose transforms have the same length, as many as fit in memory at once."""
    lengths = 2 ** np.ceil(np.log2(reach[cells] + 1)).astype(np.int64)
    for length in np.unique(lengths):
        alike = cells[lengths == length]
        step = max(1, _NUMBERS_AT_ONCE // int(length))
        for start in range(0, len(alike), step):
            yield alike[start : start + step], int(length)


def _distribution(
    some: Int64[np.ndarray, " some"],
    length: int,
    sizes_of_change: tuple[Int64[np.ndarray, " r"], ...],
    reach: Float64[np.ndarray, " some"],
) -> Float64[np.ndarray, "some length"]:
    """Probabilities of 0, 1, ... of the sizes of those units that changed for the better."""
    cell, size, times = sizes_of_change
    rank = np.arange(len(cell)) - np.searchsorted(cell, cell)
    row = np.full(int(cell.max()) + 1, -1)
    row[some] = np.arange(len(some))
    frequency = np.arange(length // 2 + 1)
    product = np.exp(-1j * np.pi / length * np.outer(reach, frequency))
    for k in range(int(rank[row[cell] >= 0].max()) + 1):
        here = (rank == k) & (row[cell] >= 0)
        angle = np.pi / length * np.outer(size[here], frequency)
        product[row[cell[here]]] *= np.cos(angle) ** times[here, None]
    return np.fft.irfft(product, n=length, axis=1)
