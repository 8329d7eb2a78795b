"""Compiled loops that compare every image with every earlier one.

``n`` images. Import this file inside the function that needs it, as :mod:`debias.loops`.
"""

from typing import no_type_check

import numba
import numpy as np
from jaxtyping import Float64, Int8, Int64, UInt64
from numba.extending import intrinsic

from debias.ingesting.duplicates import SIDE
from debias.loops import compiled

BORDER = 3  # left out: what a shift brings in there, the other image does not have
INNER = SIDE - 2 * BORDER
BLANK = 1.0  # mean square of the details below which there is nothing to compare
BLANK_BITS = 8
ROUGH = 0.7  # correlation without movement below which none is looked for
INVERTED = 128  # bits that mirroring inverts: the first two words
TILE = 128  # hashes compared in one go before any of them is looked at alone
MOST_FOUND = 16

Words = UInt64[np.ndarray, "4 n"]  # the hashes
Details = Int8[np.ndarray, "n side side"]
Picture = Int8[np.ndarray, "side side"]


@intrinsic
@no_type_check
def count_ones(context, word):  # noqa: ANN001, ANN201
    """Number of set bits; one instruction on most processors."""
    uint64 = numba.types.uint64
    return uint64(uint64), lambda _, builder, __, given: builder.ctpop(given[0])


@compiled
@no_type_check
def find(
    words: Words, details: Details, rows: tuple[int, int], limits: tuple[int, float]
) -> tuple[
    Int64[np.ndarray, " rows"], Int64[np.ndarray, "rows 16 3"], Float64[np.ndarray, "rows 16"]
]:
    """The first 16 earlier images that look like each image of a range.

    Sixteen, because a million pictures of one object would be 5e11 pairs; each joined to sixteen
    earlier ones, they are one cluster all the same. No image waits for another, so the ranges can
    be searched in any order.

    ``rows`` are the first one to look at and the one after the last, ``limits`` the most bits that
    differ and the least correlation.

    Returns:
        (rows,), how many were found; (rows, 16, 3), the row of each, whether it is mirrored, the
        bits that differ; (rows, 16), the correlation.
    """
    start, stop = rows
    count = np.zeros(stop - start, np.int64)
    found = np.empty((stop - start, MOST_FOUND, 3), np.int64)
    agreement = np.empty((stop - start, MOST_FOUND))
    for low in range(0, stop, TILE):
        for j in range(max(start, low + 1), stop):
            row, high = j - start, min(low + TILE, j)
            if count[row] == MOST_FOUND or closest(words, (low, high), j) > limits[0]:
                continue
            for i in range(low, high):
                mirrored, bits, agreed = compare(words, details, (i, j), limits[0])
                if agreed >= limits[1] and count[row] < MOST_FOUND:
                    agreement[row, count[row]] = agreed
                    found[row, count[row]] = i, mirrored, bits
                    count[row] += 1
    return count, found, agreement


@compiled
@no_type_check
def closest(words: Words, rows: tuple[int, int], j: int) -> int:
    """Fewest bits in which a range of hashes differs from that of row ``j``, mirrored or not."""
    low, high = rows
    # Arrays without gaps, or the compiler does not compare eight hashes at a time.
    a, b, c, d = words[0, low:high], words[1, low:high], words[2, low:high], words[3, low:high]
    least = 256
    for i in range(high - low):
        odd = np.int64(count_ones(a[i] ^ words[0, j]) + count_ones(b[i] ^ words[1, j]))
        even = np.int64(count_ones(c[i] ^ words[2, j]) + count_ones(d[i] ^ words[3, j]))
        least = min(least, even + min(odd, INVERTED - odd))
    return least


@compiled
@no_type_check
def compare(
    words: Words, details: Details, pair: tuple[int, int], most: int
) -> tuple[int, int, float]:
    """Whether two images agree better when one is mirrored, the bits, and the correlation.

    An orientation in which more than ``most`` bits differ is not looked at.
    """
    i, j = pair
    odd = even = np.int64(0)
    for word in range(2):
        odd += np.int64(count_ones(words[word, i] ^ words[word, j]))
        even += np.int64(count_ones(words[word + 2, i] ^ words[word + 2, j]))
    mirrored, bits, agreed = 0, even + odd, -2.0
    if bits <= most:
        agreed = correlation(details[i], details[j], bits)
    bits_turned = even + INVERTED - odd
    if bits_turned <= most:
        turned = correlation(details[i], details[j, :, ::-1].copy(), bits_turned)
        if turned > agreed:
            mirrored, bits, agreed = 1, bits_turned, turned
    return mirrored, bits, agreed


@compiled
@no_type_check
def correlation(a: Picture, b: Picture, bits: int) -> float:
    """Correlation of two pictures that may be a little shifted, zoomed and turned.

    A small movement changes a picture by a multiple of its slopes, so what the slopes of the two
    together explain is taken out of both first (a partial correlation). It does not matter which
    of the two comes first.

    Returns:
        In [-1, 1]. Where one picture is blank, 0; where both are, 1 if the hashes are nearly
        the same and otherwise 0. Where they are not alike before they are moved, just that.
    """
    first, second, both = plain_products(a, b)
    floor = BLANK * INNER**2
    if min(first, second) < floor:
        return 1.0 if max(first, second) < floor and bits <= BLANK_BITS else 0.0
    unmoved = both / np.sqrt(first * second)
    return unmoved if unmoved < ROUGH else partial(products(a, b))


@compiled
@no_type_check
def plain_products(a: Picture, b: Picture) -> tuple[float, float, float]:
    """Centred squares of two pictures, and their product."""
    sum_a = sum_b = square_a = square_b = product = np.int32(0)
    for y in range(BORDER, SIDE - BORDER):
        for x in range(BORDER, SIDE - BORDER):
            here, there = np.int32(a[y, x]), np.int32(b[y, x])
            sum_a += here
            sum_b += there
            square_a += here * here
            square_b += there * there
            product += here * there
    pixels = INNER**2
    return (
        square_a - sum_a * sum_a / pixels,
        square_b - sum_b * sum_b / pixels,
        product - sum_a * sum_b / pixels,
    )


@compiled
@no_type_check
def products(a: Picture, b: Picture) -> Float64[np.ndarray, "7 7"]:
    """Products of: a constant, slope across, slope down, zoom, turn, and the two pictures."""
    values = np.ones((7, INNER, INNER))  # whole numbers: the order of a sum does not matter
    for y in range(INNER):
        for x in range(INNER):
            values[5, y, x] = a[y + BORDER, x + BORDER]
            values[6, y, x] = b[y + BORDER, x + BORDER]
    for y in range(INNER):
        top, down = y + BORDER, 2.0 * y - (INNER - 1)
        for x in range(INNER):
            left, along = x + BORDER, 2.0 * x - (INNER - 1)
            across = 0.0 + a[top, left + 1] - a[top, left - 1] + b[top, left + 1] - b[top, left - 1]
            upright = (
                0.0 + a[top + 1, left] - a[top - 1, left] + b[top + 1, left] - b[top - 1, left]
            )
            values[1, y, x], values[2, y, x] = across, upright
            values[3, y, x] = across * along + upright * down
            values[4, y, x] = across * down - upright * along
    flat = values.reshape(7, INNER * INNER)
    return np.dot(flat, flat.T)


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
