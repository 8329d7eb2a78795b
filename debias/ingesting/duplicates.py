"""Exact copies, clusters of duplicates, and labels on which duplicates contradict each other.

``n`` samples, ``p`` pairs; tables of pairs as in :mod:`debias.ingesting.near`.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64, Shaped

from debias.ingesting.columns import coded
from debias.statistics.groupings import UNKNOWN
from debias.types import Rejected


def exact_pairs(sha256: Shaped[np.ndarray, " n"]) -> pd.DataFrame:
    """Pair every copy of a content with the first row that has it.

    Args:
        sha256: (n,) text; empty where the content is unknown, which equals nothing.
    """
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
    records = samples.iloc[left].assign(
        stays=samples["sample_id"].to_numpy()[instead[left]],
        conflict=conflict["conflict"].to_numpy(),
    )
    rejected = [_record(row) for row in records.to_dict("records")]
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


def _record(row: dict[str, object]) -> Rejected:
    detail = f"same content as {row['stays']}"
    if row["conflict"]:
        detail += f", but they disagree on {row['conflict']}"
    return Rejected(
        sample_id=str(row["sample_id"]),
        path=str(row.get("path", "")),
        reason="exact duplicate",
        detail=detail,
        sha256=str(row["sha256"]),
    )


def clusters(n: int, pairs: pd.DataFrame) -> Int64[np.ndarray, " n"]:
    """Number of the duplicates that each row belongs to, through chains of pairs.

    Returns:
        (n,), numbered from 0 by the first row of each cluster; -1 for a row without a duplicate.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = pairs["first"].to_numpy(dtype=np.int64), pairs["second"].to_numpy(dtype=np.int64)
    graph = coo_array((np.ones(len(pairs), dtype=np.int8), ends), shape=(n, n))
    component = connected_components(graph.tocsr(), directed=False)[1]
    found = np.full(n, -1, dtype=np.int64)
    paired = np.unique(np.concatenate(ends))
    found[paired] = pd.factorize(component[paired])[0]
    return found


def conflicts(samples: pd.DataFrame, pairs: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Add the column ``conflict``: the names of the columns in which a pair disagrees.

    Values are compared as text; an empty or unknown one contradicts nothing.

    Returns:
        The pairs; names joined by ", ", in the order of ``columns``, empty for no conflict.
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
