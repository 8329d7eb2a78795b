"""Columns of a table as clean text, whatever they hold: the form in which values are compared.

``n`` samples.
"""

import unicodedata
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Int64

from debias.errors import DataError
from debias.statistics.groupings import CROSS, UNKNOWN, held_cells


def clean_text(value: object) -> str:
    """One value as text that every writer can write.

    Blanks around it are dropped, letters are composed (NFC), and control characters and lone
    surrogates are written as backslash escapes. A whole number is written without a point: pandas
    makes fractions of whole numbers as soon as one cell of their column is empty.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip()
    if text.isascii() and text.isprintable():
        return text
    composed = unicodedata.normalize("NFC", text)
    return "".join(_written(character) for character in composed)


def _written(character: str) -> str:
    if unicodedata.category(character) in ("Cc", "Cs"):
        return character.encode("unicode_escape").decode("ascii")
    return character


def coded(column: pd.Series, empty: str = "") -> tuple[Int64[np.ndarray, " n"], list[str]]:
    """Number the values of a column and name each in clean text.

    Every distinct value is cleaned once, so a million rows of few values cost no more than
    numbering them.

    Args:
        column: Of any type.
        empty: Name of empty and blank cells; without one they have no number.

    Returns:
        (n,) index into the names, -1 for cells without a number; the names, each once.

    Raises:
        DataError: The column holds lists or the like, which cannot be compared.
    """
    try:
        codes, values = pd.factorize(column.array)
    except TypeError as error:
        raise DataError(f"column {column.name!r} holds values that are no text: {error}") from error
    found = [clean_text(value) or empty for value in values.tolist()]
    found.append(empty if (codes < 0).any() else "")  # where the code -1 looks
    names = list(dict.fromkeys(name for name in found if name))
    number = {name: position for position, name in enumerate(names)}
    merged = np.array([number.get(name, -1) for name in found], dtype=np.int64)
    return merged[codes], names


def cleaned(column: pd.Series) -> pd.Series:
    """The column as clean text; empty and blank cells say "unknown"."""
    codes, names = coded(column, UNKNOWN)
    return pd.Series(pd.Index(names).take(codes), index=column.index, name=column.name)


def crossed(samples: pd.DataFrame, columns: Sequence[str]) -> Int64[np.ndarray, " n"]:
    """(n,) cell of each row in the crossing of some columns, in the order of first appearance."""
    return held_cells([coded(samples[column], UNKNOWN)[0] for column in columns], len(samples))


def cell_name(samples: pd.DataFrame, columns: Sequence[str], row: int) -> str:
    """What the cell of one row is called."""
    one = samples.iloc[[row]]
    return CROSS.join(coded(one[column], UNKNOWN)[1][0] for column in columns)


def place_in_cell(cells: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """How many earlier rows share the cell of each row."""
    return pd.Series(cells).groupby(cells, sort=False).cumcount().to_numpy(dtype=np.int64)
