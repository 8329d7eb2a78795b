"""Copies, near ones and exact ones: clusters, and labels on which they contradict each other.

``n`` samples, ``p`` pairs. A table of pairs has the columns ``first`` and ``second`` (row numbers,
the first one smaller), ``kind`` ("exact", "near" or "mirrored"), ``bits`` (of 256, in which the
perceptual hashes differ) and ``correlation`` (in [-1, 1], of the details).
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float32, Float64, Int8, Int64, Shaped, UInt64

from debias.ingesting.labels import coded
from debias.statistics.groupings import UNKNOWN
from debias.types import Rejected, ShardedImages


def exact_pairs(sha256: Shaped[np.ndarray, " n"]) -> pd.DataFrame:
    """Pair every copy of a content with the first row that has it; an empty text equals nothing."""
    first = _first_rows(pd.Series(sha256, dtype=object))
    second = np.flatnonzero(first != np.arange(len(first)))
    columns = {"first": first[second], "second": second, "kind": "exact", "bits": 0}
    pairs = pd.DataFrame(columns | {"correlation": np.ones(len(second))})
    return pairs.sort_values(["first", "second"], ignore_index=True)


def kept_rows(
    samples: pd.DataFrame, columns: Sequence[str] = ()
) -> tuple[Bool[np.ndarray, " n"], list[Rejected]]:
    """Which of the files with equal content stays: one of the test, or the first by its id.

    Args:
        samples: With ``sample_id`` and ``sha256`` (empty: equals nothing), and ``path`` and
            ``split`` where they are known. The order of the rows makes no difference.
        columns: Labels and attributes; the record of a copy names those in which it contradicts
            the file that stays.

    Returns:
        (n,), whether the row stays; and a record of each that does not, by id.
    """
    order = _by_preference(samples)
    instead = np.empty(len(samples), dtype=np.int64)  # the row that stays in place of each
    instead[order] = order[_first_rows(samples["sha256"].iloc[order])]
    kept = instead == np.arange(len(samples))
    left = order[~kept[order]]
    conflict = conflicts(samples, pd.DataFrame({"first": instead[left], "second": left}), columns)
    told = samples.iloc[left].assign(
        stays=samples["sample_id"].to_numpy()[instead[left]],
        conflict=conflict["conflict"].to_numpy(),
    )
    rejected = [
        Rejected(
            sample_id=str(row["sample_id"]),
            path=str(row.get("path", "")),
            reason="exact duplicate",
            detail=f"same content as {row['stays']}"
            + (f", but they disagree on {row['conflict']}" if row["conflict"] else ""),
            sha256=str(row["sha256"]),
        )
        for row in told.to_dict("records")
    ]
    return kept, sorted(rejected, key=lambda record: record.sample_id)


def _by_preference(samples: pd.DataFrame) -> Int64[np.ndarray, " n"]:
    other = samples["split"] != "test" if "split" in samples else np.ones(len(samples), dtype=bool)
    keys = pd.DataFrame({"other": np.asarray(other), "id": samples["sample_id"].to_numpy()})
    return keys.sort_values(["other", "id"]).index.to_numpy(dtype=np.int64)


def _first_rows(content: pd.Series) -> Int64[np.ndarray, " n"]:
    """The first row with the content of each; itself where that is unknown."""
    codes = pd.factorize(content.replace("", None))[0]
    rows = np.arange(len(codes))
    known = np.flatnonzero(codes >= 0)
    _, first = np.unique(codes[known], return_index=True)
    rows[known] = known[first][codes[known]]
    return rows.astype(np.int64)


def clusters(n: int, pairs: pd.DataFrame) -> Int64[np.ndarray, " n"]:
    """(n,) number of the duplicates that each row belongs to, through chains of pairs.

    From 0, by the first row of each cluster; -1 for a row without a duplicate.
    """
    ends = pairs["first"].to_numpy(dtype=np.int64), pairs["second"].to_numpy(dtype=np.int64)
    component = connected(*ends, n)
    found = np.full(n, -1, dtype=np.int64)
    paired = np.unique(np.concatenate(ends))
    found[paired] = pd.factorize(component[paired])[0]
    return found


def connected(
    first: Int64[np.ndarray, " p"], second: Int64[np.ndarray, " p"], n: int
) -> Int64[np.ndarray, " n"]:
    """Number of what each of ``n`` things is tied to, through chains of pairs."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(n, n))
    return connected_components(graph.tocsr(), directed=False)[1].astype(np.int64)


def conflicts(samples: pd.DataFrame, pairs: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Add the column ``conflict``: the names of the columns in which a pair disagrees, with ", ".

    Values are compared as text; an empty or unknown one contradicts nothing.
    """
    first, second = (pairs[end].to_numpy(dtype=np.int64) for end in ("first", "second"))
    conflict = np.full(len(pairs), "", dtype=object)
    for column in columns:
        codes, names = coded(samples[column])
        known = np.array([name.lower() != UNKNOWN for name in names] + [False])[codes]
        differ = known[first] & known[second] & (codes[first] != codes[second])
        comma = np.where(conflict[differ] == "", "", ", ")
        conflict[differ] = conflict[differ] + comma.astype(object) + column
    return pairs.assign(conflict=conflict)


SIDE = 32
SHARP, SOFT = 0.85, 1.65  # standard deviations of the two blurs, in pixels of the picture
LIGHT = (0.5, 1.0, 0.5)  # luminance, in halves of a grey level
AT_ONCE = 64  # images


def read_details(images: ShardedImages) -> Int8[np.ndarray, "n side side"]:
    """Difference of two blurs of the luminance, in halves of a grey level, in [-127, 127].

    What varies slowly is gone, and with it most of what all faces share under equal light; what
    varies so fast that a shift by half a pixel would turn it into its opposite is gone, too.
    """
    from debias.loops import in_threads

    height, width = images.shape[1:3]
    blurs = [(_blur(height, spread), _blur(width, spread).T) for spread in (SHARP, SOFT)]

    def read(start: int) -> Int8[np.ndarray, "m side side"]:
        rows = np.arange(start, min(start + AT_ONCE, len(images)))
        light = images[rows].astype(np.float32) @ np.array(LIGHT, dtype=np.float32)
        sharp, soft = (down @ light @ across for down, across in blurs)
        return np.clip(np.rint(sharp - soft), -127, 127).astype(np.int8)

    details = np.empty((len(images), SIDE, SIDE), dtype=np.int8)
    starts = range(0, len(images), AT_ONCE)
    for start, piece in zip(starts, in_threads(read, starts), strict=True):
        details[start : start + len(piece)] = piece
    return details


def _blur(length: int, spread: float) -> Float32[np.ndarray, "side length"]:
    """Weights of the pixels of a row in each of the 32 pixels that are made of it."""
    place = (np.arange(length) + 0.5) * SIDE / length
    distance = (np.arange(SIDE)[:, None] + 0.5 - place) / spread
    weight = np.exp(-0.5 * distance**2)
    return (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)


MOST_BITS = 80
LEAST_CORRELATION = 0.92
RULE = (
    f"At most {MOST_BITS} of the 256 bits of their perceptual hashes differ, and the details of "
    "the one, moved a little and mirrored where that is better, "
    f"correlate with those of the other at {LEAST_CORRELATION} or more."
)
ROWS = 512  # searched at a time


def near_pairs(
    images: ShardedImages,
    perceptual: UInt64[np.ndarray, "n 4"],
    *,
    advance: Callable[[int], object] | None = None,
) -> pd.DataFrame:
    """Pairs that are one photograph: encoded again, mirrored, moved a little, grey, brighter.

    Two images are a pair when at most 80 bits of their hashes differ, as they are or with one of
    them mirrored, and the partial correlation of their details, given what a small shift, zoom or
    turn would change, is at least 0.92. An image that looks like very many is joined to 16.

    All pairs of hashes are looked at, so none is missed: time grows with n^2 (3 s for 100,000
    images and 208 s for a million on two cores, ``benchmarks/lookalikes.py``), memory with n (2 KB
    an image).

    No index that was tried does better. Two of a pair may differ in 80 of 256 bits, so that of 16
    pieces of 16 bits one differs in at most 5 (the pigeonhole principle of multi-index hashing,
    Norouzi, Punjani, Fleet 2014): 6,885 of 65,536 values in each of 16 tables, more than all pairs.
    Lists of what has similar coarse details (an inverted file of 512 cells, two for each image, 64
    looked in) missed 347 of 362,406 pairs among a million and took 198 s: what takes the time is to
    compare the details of faces whose hashes are near, and these are in the same cells.

    Measured on the 17,926 aligned faces of UTKFace, stored at 64 x 64: all of 200 copies each are
    found of those encoded at quality 70, mirrored, and shifted by 2 pixels of 128 in four
    directions with three kinds of edge, and 16,000 of 16,000 shifted and encoded again (at most
    77 bits, correlation at least 0.959). Shifts by 4 of 128 and crops to 94 % are partly missed,
    covered faces wholly. Of 63 pairs among the originals, two are, by eye, other photographs.
    (A 64-bit difference hash at 4 bits finds 7,448 pairs there, 23 of the 40 that are not
    mirrored, and 36 % of the shifts to the left.)

    Args:
        images: (n, H, W, 3).
        perceptual: (n, 4), of :func:`debias.decoding.perceptual.perceptual_hash`.
        advance: Told how many more rows have been searched.

    Returns:
        Sorted by ``first``, then ``second``. A pair is "mirrored" when it correlates better so.
    """
    if len(images) != len(perceptual):
        sizes = len(images), len(perceptual)
        raise ValueError(f"images and perceptual have {sizes} rows; they must agree")
    pieces = [(np.empty((0, 4), dtype=np.int64), np.empty(0))]
    if len(images) > 1:
        pieces += _searched(images, perceptual, advance or (lambda rows: None))
    numbers, correlation = (np.concatenate(piece) for piece in zip(*pieces, strict=True))
    first, second, mirrored, bits = numbers.T
    kind = np.where(mirrored == 1, "mirrored", "near").astype(object)
    columns = {"first": first, "second": second, "kind": kind, "bits": bits}
    pairs = pd.DataFrame(columns | {"correlation": correlation})
    return pairs.sort_values(["first", "second"], ignore_index=True)


def _searched(
    images: ShardedImages,
    perceptual: UInt64[np.ndarray, "n 4"],
    advance: Callable[[int], object],
) -> list[tuple[Int64[np.ndarray, "p 4"], Float64[np.ndarray, " p"]]]:
    """First row, second row, whether mirrored and bits of every pair; and its correlation."""
    from debias.ingesting.lookalikes import Images, find, sums
    from debias.loops import in_threads

    total, details = len(images), read_details(images)
    sum_of, square = sums(details)
    known = Images(np.ascontiguousarray(perceptual.T), details, sum_of, square)

    def search(start: int) -> tuple[Int64[np.ndarray, "p 4"], Float64[np.ndarray, " p"]]:
        rows = start, min(start + ROWS, total)
        found = find(known, rows, (MOST_BITS, LEAST_CORRELATION))
        taken = np.arange(found.pairs.shape[1]) < found.number[:, None]  # (rows, 16)
        second = np.repeat(np.arange(*rows), found.number)
        return np.insert(found.pairs[taken], 1, second, axis=1), found.correlation[taken]

    pieces = []
    starts = range(0, total, ROWS)
    for start, piece in zip(starts, in_threads(search, starts), strict=True):
        pieces.append(piece)
        advance(min(ROWS, total - start))
    return pieces
