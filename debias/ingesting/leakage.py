"""The check that no person and no photograph stands on two sides of a split, whoever made it.

``n`` samples, ``u`` people or photographs, ``s`` sides.
"""

import numpy as np
import pandas as pd
from jaxtyping import Int64

from debias.errors import SplitLeakageError
from debias.ingesting.columns import clean_text, coded
from debias.statistics.groupings import UNKNOWN

COLUMNS = {
    "person": "subject_id",
    "duplicate cluster": "duplicate_cluster",
    "file content": "sha256",
    "people with one photograph": "linked_people",
}
NUMBERED = ("duplicate_cluster", "linked_people")  # -1: none
PLURALS = {
    "person": "people",
    "duplicate cluster": "duplicate clusters",
    "file content": "file contents",
    "people with one photograph": "sets of people with one photograph",
}
SHOWN = 3  # examples of each kind
ADVICE = "have the split drawn anew, by unit"


def members(samples: pd.DataFrame, kind: str) -> Int64[np.ndarray, " n"]:
    """Number of the person, duplicate cluster or content of each row; -1 where nothing is known.

    Args:
        samples: May lack the column.
        kind: One of ``COLUMNS``.
    """
    column = COLUMNS[kind]
    if column not in samples:
        return np.full(len(samples), -1)
    values = samples[column]
    if column in NUMBERED:
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return pd.factorize(np.where(numbers < 0, np.nan, numbers))[0].astype(np.int64)
    if kind == "file content":
        return pd.factorize(values.where(values != ""))[0].astype(np.int64)
    codes, names = coded(values)
    nobody = np.array([*(name == UNKNOWN for name in names), True])  # -1 finds the last entry
    return np.where(nobody[codes], -1, codes)


def leaks(samples: pd.DataFrame) -> pd.DataFrame:
    """People, duplicate clusters and contents that stand on more than one side.

    Args:
        samples: With ``split``, and ``subject_id``, ``duplicate_cluster`` and ``sha256`` where
            they are known.

    Returns:
        One row each: ``kind``, ``unit`` (its name), ``splits`` (joined by ", "), ``images`` (on
        all sides together).
    """
    side, sides = pd.factorize(samples["split"], sort=True)
    tables = [_leaks_of(samples, kind, side.astype(np.int64), list(sides)) for kind in COLUMNS]
    return pd.concat(tables, ignore_index=True)


def _leaks_of(
    samples: pd.DataFrame, kind: str, side: Int64[np.ndarray, " n"], sides: list[str]
) -> pd.DataFrame:
    unit = members(samples, kind)
    rows = np.flatnonzero((unit >= 0) & (side >= 0))
    width = max(1, len(sides))
    cells = np.bincount(unit[rows] * width + side[rows], minlength=width * (unit.max() + 1))
    images = cells.reshape(-1, width)  # (u, s)
    leaking = np.flatnonzero((images > 0).sum(axis=1) > 1)
    return pd.DataFrame(
        {
            "kind": [kind] * len(leaking),
            "unit": _names(samples, kind, unit, leaking),
            "splits": [
                ", ".join(sides[place] for place in np.flatnonzero(row)) for row in images[leaking]
            ],
            "images": images[leaking].sum(axis=1),
        }
    )


def _names(
    samples: pd.DataFrame,
    kind: str,
    unit: Int64[np.ndarray, " n"],
    leaking: Int64[np.ndarray, " u"],
) -> list[str]:
    if not len(leaking):
        return []
    numbers, first = np.unique(unit, return_index=True)
    rows = first[np.searchsorted(numbers, leaking)]
    return [clean_text(name) for name in samples[COLUMNS[kind]].iloc[rows]]


def require_no_leak(samples: pd.DataFrame, advice: str = ADVICE) -> None:
    """Refuse a split that divides a person, a duplicate cluster or equal files.

    Args:
        samples: As for :func:`leaks`.
        advice: What to do about it.

    Raises:
        SplitLeakageError: With how many of each kind and the first three.
    """
    found = leaks(samples)
    if found.empty:
        return
    counts, examples = [], []
    for kind, table in found.groupby("kind", sort=False):
        counts.append(f"{len(table)} {str(kind) if len(table) == 1 else PLURALS[str(kind)]}")
        first = table.head(SHOWN)
        named = ", ".join(
            f"{unit} ({on})" for unit, on in zip(first["unit"], first["splits"], strict=True)
        )
        examples.append(f"{kind} {named}")
    verb = "stands" if len(found) == 1 else "stand"
    raise SplitLeakageError(
        f"{', '.join(counts)} {verb} on more than one side of the split, first: "
        f"{'; '.join(examples)}; {advice}"
    )
