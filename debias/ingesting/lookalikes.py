"""Compiled loops that compare images with every earlier one.

``n`` images, ``m`` whose lookalikes are wanted. Import this file inside the function that needs it,
as :mod:`debias.loops`.
"""

from typing import NamedTuple, no_type_check

import numba
import numpy as np
from jaxtyping import Float64, Int8, Int64, UInt64
from numba.extending import intrinsic

from debias.ingesting.duplicates import SIDE
from debias.loops import adding, compiled

BORDER = 3  # left out: what a shift brings in there, the other image does not have
INNER = SIDE - 2 * BORDER
BLANK = 1.0  # mean square of the details below which there is nothing to compare
BLANK_BITS = 8
ROUGH = 0.7  # correlation without movement below which none is looked for
INVERTED = 128  # bits that mirroring inverts: the first two words
TILE = 128  # hashes compared in one go before any of them is looked at alone
MOST_FOUND = 16
START = BORDER * SIDE + BORDER  # in a flat picture, of what lies within the border
STRETCH = (INNER - 1) * SIDE + INNER

Words = UInt64[np.ndarray, "4 n"]  # the hashes
Details = Int8[np.ndarray, "n side side"]
Picture = Int8[np.ndarray, "side side"]
Inside = Int8[np.ndarray, "m stretch"]  # a flat picture, 0 at the border


class Images(NamedTuple):
    """What is known of each image.

    Attributes:
        words: (4, n), hashes.
        details: (n, 32, 32).
        sums: (n,), of the details without their border.
        squares: (n,), of the same, centred.
    """

    words: Words
    details: Details
    sums: Int64[np.ndarray, " n"]
    squares: Float64[np.ndarray, " n"]


class Asked(NamedTuple):
    """Images whose lookalikes are wanted.

    Attributes:
        start: Row of the first.
        plain: (m, stretch), their details from the first inner pixel on, 0 at the border.
        turned: (m, stretch), the same of the mirrored images.
    """

    start: int
    plain: Inside
    turned: Inside


class Found(NamedTuple):
    """Of some images the first 16 earlier ones that look like each.

    Attributes:
        number: (m,), how many were found.
        pairs: (m, 16, 3), the row of each, whether it is mirrored, the bits that differ.
        correlation: (m, 16).
    """

    number: Int64[np.ndarray, " m"]
    pairs: Int64[np.ndarray, "m 16 3"]
    correlation: Float64[np.ndarray, "m 16"]


@intrinsic
@no_type_check
def count_ones(context, word):  # noqa: ANN001, ANN201
    """Number of set bits; one instruction on most processors."""
    uint64 = numba.types.uint64
    return uint64(uint64), lambda _, builder, __, given: builder.ctpop(given[0])


@compiled
@no_type_check
def find(images: Images, rows: tuple[int, int], limits: tuple[int, float]) -> Found:
    """The first 16 earlier images that look like each image of a range.

    Sixteen, because a million pictures of one object would be 5e11 pairs; each joined to sixteen
    earlier ones, they are one cluster all the same. No image waits for another, so the ranges can
    be searched in any order.

    ``rows`` are the first one to look at and the one after the last, ``limits`` the most bits that
    differ and the least correlation.
    """
    start, stop = rows
    size, details = stop - start, images.details[start:stop]
    asked = Asked(start, inside(details), inside(details[:, :, ::-1]))
    number, pairs = np.zeros(size, np.int64), np.empty((size, MOST_FOUND, 3), np.int64)
    found = Found(number, pairs, np.empty((size, MOST_FOUND)))
    words = images.words  # taken out of its tuple, whose parts are counted anew for every call
    for low in range(0, stop, TILE):
        for j in range(max(start, low + 1), stop):
            tile = low, min(low + TILE, j)
            if number[j - start] < MOST_FOUND and closest(words, tile, j) <= limits[0]:
                search(images, asked, (j - start, *tile), limits, found)
    return found


@compiled
@no_type_check
def search(
    images: Images,
    asked: Asked,
    where: tuple[int, int, int],
    limits: tuple[int, float],
    found: Found,
) -> None:
    """Add what looks like the ``k``-th of those asked about in a range of rows."""
    k, low, high = where
    words, j = images.words, asked.start + k
    for i in range(low, high):
        even, odd = apart(words, i, j)
        if even + min(odd, INVERTED - odd) > limits[0]:
            continue
        mirrored, bits, agreed = compare(images, asked, (i, k), limits[0])
        if agreed >= limits[1] and found.number[k] < MOST_FOUND:
            place = found.number[k]
            found.correlation[k, place] = agreed
            found.pairs[k, place] = i, mirrored, bits
            found.number[k] += 1


@compiled
@no_type_check
def closest(words: Words, rows: tuple[int, int], j: int) -> int:
    """Fewest bits in which a range of hashes differs from that of image ``j``, mirrored or not."""
    low, high = rows
    # Arrays without gaps, or the compiler does not compare eight hashes at a time.
    a, b, c, d = words[0, low:high], words[1, low:high], words[2, low:high], words[3, low:high]
    first, second, third, last = words[0, j], words[1, j], words[2, j], words[3, j]
    least = 256
    for i in range(high - low):
        odd = np.int64(count_ones(a[i] ^ first) + count_ones(b[i] ^ second))
        even = np.int64(count_ones(c[i] ^ third) + count_ones(d[i] ^ last))
        least = min(least, even + min(odd, INVERTED - odd))
    return least


@compiled
@no_type_check
def apart(words: Words, i: int, j: int) -> tuple[int, int]:
    """In how many bits two hashes differ: among those that mirroring keeps, and inverts."""
    even = count_ones(words[2, i] ^ words[2, j]) + count_ones(words[3, i] ^ words[3, j])
    odd = count_ones(words[0, i] ^ words[0, j]) + count_ones(words[1, i] ^ words[1, j])
    return np.int64(even), np.int64(odd)


@compiled
@no_type_check
def compare(
    images: Images, asked: Asked, pair: tuple[int, int], most: int
) -> tuple[int, int, float]:
    """Whether an image agrees better with one asked about if that is mirrored, bits, correlation.

    An orientation in which more than ``most`` bits differ is not looked at.
    """
    i, k = pair
    j = asked.start + k
    even, odd = apart(images.words, i, j)
    mirrored, bits, agreed = 0, even + odd, -2.0
    if bits <= most:
        agreed = correlation(images, (i, j), asked.plain[k], False, bits)
    bits_turned = even + INVERTED - odd
    if bits_turned <= most:
        turned = correlation(images, (i, j), asked.turned[k], True, bits_turned)
        if turned > agreed:
            mirrored, bits, agreed = 1, bits_turned, turned
    return mirrored, bits, agreed


@compiled
@no_type_check
def correlation(
    images: Images,
    pair: tuple[int, int],
    second: Int8[np.ndarray, " stretch"],
    turned: bool,
    bits: int,
) -> float:
    """Correlation of two pictures that may be a little shifted, zoomed and turned.

    A small movement changes a picture by a multiple of its slopes, so what the slopes of the two
    together explain is taken out of both first (a partial correlation). It does not matter which
    of the two comes first. ``second`` is that of the second image, ``turned`` whether mirrored.

    Returns:
        In [-1, 1]. Where one picture is blank, 0; where both are, 1 if the hashes are nearly
        the same and otherwise 0. Where they are not alike before they are moved, just that.
    """
    i, j = pair
    squares = images.squares[i], images.squares[j]
    floor = BLANK * INNER**2
    if min(squares) < floor:
        return 1.0 if max(squares) < floor and bits <= BLANK_BITS else 0.0
    product = dot(images.details[i].reshape(-1)[START : START + STRETCH], second)
    both = product - images.sums[i] * images.sums[j] / INNER**2
    unmoved = both / np.sqrt(squares[0] * squares[1])
    if unmoved < ROUGH:
        return unmoved
    picture = images.details[j, :, ::-1].copy() if turned else images.details[j]
    return partial(products(images.details[i], picture))


@compiled
@no_type_check
def dot(a: Int8[np.ndarray, " stretch"], b: Int8[np.ndarray, " stretch"]) -> int:
    """Sum of products, without the gaps of a two-dimensional loop."""
    total = np.int32(0)
    for k in range(a.shape[0]):
        total += np.int32(a[k]) * np.int32(b[k])
    return np.int64(total)


@compiled
@no_type_check
def inside(details: Details) -> Inside:
    """(m, stretch) of some details, with zeros in place of what lies at the border."""
    found = np.zeros((details.shape[0], STRETCH), np.int8)
    for k in range(details.shape[0]):
        for y in range(INNER):
            for x in range(INNER):
                found[k, y * SIDE + x] = details[k, y + BORDER, x + BORDER]
    return found


@compiled
@no_type_check
def sums(details: Details) -> tuple[Int64[np.ndarray, " m"], Float64[np.ndarray, " m"]]:
    """Sum of the details without their border, and sum of their centred squares."""
    total, square = np.empty(len(details), np.int64), np.empty(len(details))
    flat = inside(details)
    for k in range(len(details)):
        total[k] = flat[k].sum()
        square[k] = dot(flat[k], flat[k]) - total[k] * total[k] / INNER**2
    return total, square


@adding
@no_type_check
def products(a: Picture, b: Picture) -> Float64[np.ndarray, "7 7"]:
    """Products of: a constant, slope across, slope down, zoom, turn, and the two pictures."""
    values = np.ones((7, INNER * INNER))  # whole numbers: the order of a sum does not matter
    for y in range(INNER):
        top, down = y + BORDER, 2 * y - (INNER - 1)
        for x in range(INNER):
            left, along, here = x + BORDER, 2 * x - (INNER - 1), y * INNER + x
            across = np.int32(a[top, left + 1]) - np.int32(a[top, left - 1])
            across += np.int32(b[top, left + 1]) - np.int32(b[top, left - 1])
            upright = np.int32(a[top + 1, left]) - np.int32(a[top - 1, left])
            upright += np.int32(b[top + 1, left]) - np.int32(b[top - 1, left])
            values[1, here], values[2, here] = across, upright
            values[3, here] = across * along + upright * down
            values[4, here] = across * down - upright * along
            values[5, here], values[6, here] = a[top, left], b[top, left]
    found = np.empty((7, 7))
    for row in range(7):
        for column in range(row, 7):
            total = 0.0
            for here in range(INNER * INNER):
                total += values[row, here] * values[column, here]
            found[row, column] = total
    return found


@compiled
@no_type_check
def partial(products: Float64[np.ndarray, "7 7"]) -> float:
    """Correlation of the last two of seven variables, given the others."""
    for k in range(5):
        if products[k, k] <= 0.0:
            continue
        for row in range(k + 1, 7):
            share = products[k, row] / products[k, k]
            for column in range(row, 7):
                products[row, column] -= share * products[k, column]
    scale = products[5, 5] * products[6, 6]
    return products[5, 6] / np.sqrt(scale) if scale > 0.0 else 0.0
