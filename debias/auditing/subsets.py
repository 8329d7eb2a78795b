"""Part of the images: as evenly over the latent space as they allow, or drawn by weights.

No annotation is used. ``n`` images, ``m`` of them chosen, ``k`` dimensions, ``c`` cells.
"""

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from debias.errors import ConfigError

PER_CELL = 4  # images that a cell holds in the subset, on average
MOST_CELLS = 1_000
LOOKED_AT = 50_000  # images among which the centres of cells are looked for

Points = Float[np.ndarray, "n k"]
Rows = Int64[np.ndarray, " m"]
Counts = Int64[np.ndarray, " c"]


def even_subset(points: Points, size: int, generator: np.random.Generator) -> Rows:
    """Choose images so that cells of equal reach hold equally many of them; rows, ascending.

    Centres of cells are put as far apart as possible, so that every cell covers about as much of
    the space, however many images it holds; each image belongs to the nearest centre (Euclidean).
    Each cell gives as many images, drawn at random, as every other, or all it has. With a quarter
    of the subset's size as number of cells, an odd image at the edge of the space gets a cell to
    itself but no more; farthest-point selection would take hundreds of them.

    Raises:
        ConfigError: The size is not from 2 to n.

    Reference:
        Centres: Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical
        Computer Science 38, 1985. Deviation: among 50,000 images at most.
    """
    if not 2 <= size <= len(points):
        raise ConfigError(
            f"a subset of {size:,} images was asked for; from these data choose 2 to "
            f"{len(points):,}"
        )
    from sklearn.metrics import pairwise_distances_argmin

    centres = far_apart(points, min(MOST_CELLS, max(2, size // PER_CELL)), generator)
    cell = pairwise_distances_argmin(points, centres)
    counts = np.bincount(cell, minlength=len(centres)).astype(np.int64)
    given = even_shares(counts, size, generator)
    order = generator.permutation(len(cell))
    order = order[np.argsort(cell[order], kind="stable")]
    first = np.cumsum(counts) - counts
    place = np.arange(len(cell)) - first[cell[order]]  # among the images of its cell
    return np.sort(order[place < given[cell[order]]]).astype(np.int64)


def far_apart(
    points: Points, count: int, generator: np.random.Generator
) -> Float32[np.ndarray, "c k"]:
    """Up to ``count`` different points, each as far as possible from those before it."""
    rows = np.arange(len(points))
    if len(rows) > LOOKED_AT:
        rows = np.sort(generator.choice(rows, LOOKED_AT, replace=False))
    seen = np.asarray(points[rows], dtype=np.float32)
    return seen[farthest_first(seen, count, int(generator.integers(len(seen))))]


def farthest_first(points: Points, count: int, first: int) -> Counts:
    """Rows of up to ``count`` points in memory, each as far as possible from those before it."""
    chosen, distance = [first], np.full(len(points), np.inf, points.dtype)
    while len(chosen) < count:
        latest = np.square(points - points[chosen[-1]]).sum(axis=1)
        distance = np.minimum(distance, latest)
        farthest = int(distance.argmax())
        if distance[farthest] == 0:  # the others are copies
            break
        chosen.append(farthest)
    return np.array(chosen, dtype=np.int64)


def even_shares(counts: Counts, size: int, generator: np.random.Generator) -> Counts:
    """How many each cell gives, ``size`` in all: the same number, or everything it has.

    What cannot be divided evenly comes from cells drawn at random, one more each.
    """
    given = np.zeros_like(counts)
    while (left := size - int(given.sum())) > 0:
        able = np.flatnonzero(given < counts)
        if left < len(able):
            able = generator.choice(able, left, replace=False)
        given[able] = np.minimum(counts[able], given[able] + max(1, left // len(able)))
    return given


def resample(weight: Float64[np.ndarray, " n"], size: int, generator: np.random.Generator) -> Rows:
    """Draw a training set by weights, as evenly as they allow, for code that knows no weights.

    With p the share of a row in the total weight, it is drawn m p times, rounded up or down at
    random so that the mean is m p exactly. Independent draws would miss a third of the rows whose
    weight is average, by chance alone. The rows, some of them several times, are in random order.

    Raises:
        ConfigError: Fewer than two draws.

    Reference:
        Systematic sampling with unequal probabilities: Madow, "On the theory of systematic
        sampling, II", Annals of Mathematical Statistics 20, 1949; rows in random order.
    """
    if size < 2:
        raise ConfigError(f"a manifest of {size:,} draws was asked for; choose 2 or more")
    order = generator.permutation(np.flatnonzero(weight))
    ends = np.cumsum(weight[order])
    ticks = (np.arange(size) + generator.random()) / size * ends[-1]
    place = np.searchsorted(ends, ticks, side="right")
    # Rounding may put the last tick on the end of the last row.
    rows = order[np.minimum(place, len(order) - 1)]
    return generator.permutation(rows).astype(np.int64)
