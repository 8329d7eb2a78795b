"""Compiled loops, where NumPy would need many passes or arrays of the size of the input.

Import this file inside the function that needs it: loading the compiler takes some tenths of a
second, and the first call on a machine compiles for some seconds more. Every loop lets other
threads run.

The loops over latents see ``m`` rows of ``f`` columns. The bins of all columns lie side by side in
flat arrays, and ``grid`` (5, f) says where: a value x of a column falls in the bin

    first + floor(between(0, (x * unit - start) * density + NUDGE, last))

where ``unit, start, density, last, first`` are its rows.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import ParamSpec, TypeVar, no_type_check

import numba
import numpy as np
from jaxtyping import Float, Float64, Int32, Int64, Real, UInt8
from threadpoolctl import threadpool_limits

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

# A value on an edge belongs to the bin above, also where rounding puts it a little below: whole
# numbers stay in their bins whatever their unit.
NUDGE = 1e-6
EACH, SUM, LARGEST = 0, 1, 2
IN_CACHE = 64  # rows
_ALONE = ContextVar("alone", default=False)


def compiled(loop: Callable[P, R], *, any_order: bool = False) -> Callable[P, R]:
    """Compile on the first call, and keep the result where a folder can be written.

    ``any_order`` allows sums to be taken in any order, several terms at a time.
    """
    compiler = partial(
        numba.njit, nogil=True, error_model="numpy", fastmath={"reassoc"} if any_order else False
    )
    try:
        return compiler(cache=True)(loop)
    except RuntimeError:  # neither the folder of the package nor the user's
        return compiler()(loop)


adding = partial(compiled, any_order=True)


def in_threads(work: Callable[[T], R], pieces: Iterable[T]) -> Iterator[R]:
    """Results in the order of the pieces, of which only a few are held at a time.

    Each piece has one thread: those that matrix products start by themselves would only be in the
    way, and wait for each other longer than they work.
    """
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4
    threads = 1 if _ALONE.get() else threads
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[R]] = deque()
        for piece in pieces:
            waiting.append(pool.submit(work, piece))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def one_thread() -> Iterator[None]:
    """In the block, pieces are done one at a time: other processes have the other cores."""
    before = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(before)


@compiled
@no_type_check
def extend_limits(
    z: Float[np.ndarray, "m f"], low: Float[np.ndarray, " f"], high: Float[np.ndarray, " f"]
) -> None:
    """Lower ``low`` (f,) and raise ``high`` (f,) to the values of z (m, f)."""
    for i in range(z.shape[0]):
        row = z[i]
        for j in range(row.shape[0]):
            low[j] = min(row[j], low[j])
            high[j] = max(row[j], high[j])


@numba.njit(inline="always", error_model="numpy")  # as part of a loop it takes two thirds the time
@no_type_check
def find_bins(
    z: Float[np.ndarray, "m f"],
    i: int,
    grid: Float64[np.ndarray, "5 f"],
    found: Int32[np.ndarray, " f"],
) -> None:
    """Bin of each value of row ``i``, written to ``found`` (f,)."""
    for j in range(z.shape[1]):
        t = (z[i, j] * grid[0, j] - grid[1, j]) * grid[2, j] + NUDGE
        t = t if t > 0.0 else 0.0
        t = t if t < grid[3, j] else grid[3, j]
        found[j] = np.int32(t) + np.int32(grid[4, j])


@compiled
@no_type_check
def count(
    z: Float[np.ndarray, "m f"],
    grid: Float64[np.ndarray, "5 f"],
    weight: Real[np.ndarray, " m"],
    counts: Real[np.ndarray, " bins"],
) -> None:
    """Add the weight (m,) of each row of z (m, f) to the bins of its values."""
    found = np.empty(z.shape[1], np.int32)
    for i in range(z.shape[0]):
        find_bins(z, i, grid, found)
        for j in range(z.shape[1]):
            counts[np.uint32(found[j])] += weight[i]


@compiled
@no_type_check
def look_up(
    z: Float[np.ndarray, "m f"],
    grid: Float64[np.ndarray, "5 f"],
    table: Float64[np.ndarray, " bins"],
    out: Float64[np.ndarray, "m _"],
    how: int,
) -> None:
    """Write the entries of the bins of each row of z to ``out``.

    By ``how`` all of them (EACH, to (m, f)), their sum or the largest (SUM, LARGEST, to (m, 1)).
    """
    found = np.empty(z.shape[1], np.int32)
    for i in range(z.shape[0]):
        find_bins(z, i, grid, found)
        if how == EACH:
            for j in range(z.shape[1]):
                out[i, j] = table[np.uint32(found[j])]
        elif how == SUM:
            total = 0.0
            for j in range(z.shape[1]):
                total += table[np.uint32(found[j])]
            out[i, 0] = total
        else:
            largest = -np.inf
            for j in range(z.shape[1]):
                largest = max(largest, table[np.uint32(found[j])])
            out[i, 0] = largest


@adding
@no_type_check
def project(
    z: Float[np.ndarray, "m k"],
    scale: Float64[np.ndarray, "2 k"],
    directions: Float64[np.ndarray, "f k"],
    origin: Float64[np.ndarray, " f"],
    out: Float64[np.ndarray, "m f"],
) -> None:
    """Write what lies along each direction, from its origin, for z times scale[0] less scale[1]."""
    x = np.empty(z.shape[1])
    for i in range(z.shape[0]):
        for c in range(x.shape[0]):
            x[c] = z[i, c] * scale[0, c] - scale[1, c]
        for j in range(directions.shape[0]):
            total = 0.0
            for c in range(x.shape[0]):
                total += x[c] * directions[j, c]
            out[i, j] = total - origin[j]


@adding
@no_type_check
def gather_moments(
    z: Float[np.ndarray, "m k"],
    scale: Float64[np.ndarray, "2 k"],
    weight: Float64[np.ndarray, " m"],
    mean: Float64[np.ndarray, " k"],
    scatter: Float64[np.ndarray, "k k"],
) -> None:
    """Mean (k,) and, below the diagonal and on it, scatter of z times scale[0] less scale[1].

    Some rows at a time that stay in the cache, each group merged as shards are (Chan, Golub,
    LeVeque 1983). The rows have a positive weight.
    """
    width, total = z.shape[1], 0.0
    x, own = np.empty((width, IN_CACHE)), np.empty(width)
    for first in range(0, z.shape[0], IN_CACHE):
        heavy = weight[first : first + IN_CACHE]
        group = heavy.sum()
        share = group / (total + group)
        deviate(z[first : first + IN_CACHE], scale, heavy / group, own, x)
        for r in range(width):
            between = total * share * (own[r] - mean[r])
            for c in range(r + 1):
                product = 0.0
                for i in range(IN_CACHE):
                    product += x[r, i] * x[c, i]
                scatter[r, c] += group * product + between * (own[c] - mean[c])
        for c in range(width):
            mean[c] += share * (own[c] - mean[c])
        total += group


@adding
@no_type_check
def deviate(
    z: Float[np.ndarray, "m k"],
    scale: Float64[np.ndarray, "2 k"],
    share: Float64[np.ndarray, " m"],
    mean: Float64[np.ndarray, " k"],
    x: Float64[np.ndarray, "k rows"],
) -> None:
    """Mean, and columns of deviations from it times the root of the shares, 0 after row ``m``."""
    x[:] = 0.0
    for i in range(z.shape[0]):
        for c in range(z.shape[1]):
            x[c, i] = z[i, c] * scale[0, c] - scale[1, c]
    root = np.sqrt(share)
    for c in range(z.shape[1]):
        mean[c] = 0.0
        for i in range(z.shape[0]):
            mean[c] += x[c, i] * share[i]
        for i in range(z.shape[0]):
            x[c, i] = (x[c, i] - mean[c]) * root[i]


@compiled
@no_type_check
def walk(
    probability: Float64[np.ndarray, " n"],
    spacings: Float64[np.ndarray, " m+1"],
    bucket: UInt8[np.ndarray, " m"],
    end: Int64[np.ndarray, " buckets"],
) -> Int64[np.ndarray, " m"]:
    """Rows drawn by rising uniforms, dealt into buckets.

    Args:
        probability: (n,), unnormalised.
        spacings: (m + 1,), the uniforms are their running sums over the total.
        bucket: (m,), the bucket of each draw.
        end: (buckets,), where each bucket starts; where it ends on return.

    Returns:
        (m,), the rows, bucket by bucket.
    """
    rows = np.empty(bucket.shape[0], np.int64)
    total, last = 0.0, 0
    for row in range(probability.shape[0]):
        total += probability[row]
        last = row if probability[row] > 0.0 else last
    per_spacing = total / spacings.sum()
    row, at, below = 0, 0.0, probability[0]
    for i in range(bucket.shape[0]):
        at += spacings[i] * per_spacing
        while below <= at and row < last:
            row += 1
            below += probability[row]
        rows[end[bucket[i]]] = row
        end[bucket[i]] += 1
    return rows


@compiled
@no_type_check
def shuffle_buckets(
    rows: Int64[np.ndarray, " m"],
    end: Int64[np.ndarray, " buckets"],
    uniform: Float64[np.ndarray, " m"],
) -> None:
    """Shuffle each bucket of ``rows`` (m,) in place by uniforms (m,) in [0, 1)."""
    start = 0
    for stop in end:
        for i in range(stop - 1, start, -1):
            j = start + int(uniform[i] * (i - start + 1))
            rows[i], rows[j] = rows[j], rows[i]
        start = stop
