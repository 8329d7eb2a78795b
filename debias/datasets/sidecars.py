"""What stands beside an image in an archive: a flat JSON object, or the name of its class."""

import json
import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from debias.storage.names import is_text

Scalar = str | int | float | bool | None

MOST_COLUMNS = 1000
LARGEST_NUMBER = 2**63  # whole numbers below it fit into a column


def read_attributes(content: bytes) -> dict[str, Scalar]:
    """A flat JSON object of texts, numbers, truth values and nulls.

    Raises:
        ValueError: It is anything else: nested, NaN or infinite, not UTF-8, or with a name twice.
    """
    try:
        value = json.loads(
            content.decode(), object_pairs_hook=_once, parse_constant=_refused, parse_int=_whole
        )
    except RecursionError:
        raise ValueError("values within values") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")
    for name, item in value.items():
        if isinstance(item, list | dict):
            raise ValueError(f"{name[:40]!r} holds several values")
        if isinstance(item, float) and not math.isfinite(item):
            raise ValueError(f"{name[:40]!r} is no finite number")
        if not is_text(name) or (isinstance(item, str) and not is_text(item)):
            raise ValueError("half a character, which no file can hold")
    return value


def read_class(content: bytes) -> str:
    """The text of a class file, a number or a name on one line.

    Raises:
        ValueError: It is empty, has several lines or is not UTF-8.
    """
    text = content.decode().strip()
    if not text or len(text.splitlines()) > 1:
        raise ValueError("not one line of text")
    return text


class Columns:
    """Rows of attributes that need not all have the same names, kept column by column."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Scalar]] = {}
        self._texts: dict[str, str] = {}  # the same few words for a million rows
        self._rows = 0

    def add(self, row: dict[str, Scalar]) -> None:
        """Take in one row.

        Raises:
            ValueError: There would be more than a thousand columns.
        """
        for name in row.keys() - self._columns.keys():
            if len(self._columns) == MOST_COLUMNS:
                raise ValueError(f"a new name beside {MOST_COLUMNS} others")
            self._columns[name] = [None] * self._rows
        for name, column in self._columns.items():
            value = row.get(name)
            column.append(self._texts.setdefault(value, value) if isinstance(value, str) else value)
        self._rows += 1

    def frame(self) -> pd.DataFrame:
        """One row a row taken in; columns in alphabetical order."""
        columns = {name: _column(self._columns[name]) for name in sorted(self._columns)}
        return pd.DataFrame(columns, index=range(self._rows))


def _column(values: Iterable[Scalar]) -> pd.Series:
    """Numbers where all values are; else texts, as JSON writes truth values and numbers."""
    given = pd.Series(list(values), dtype=object)
    kinds = {type(value) for value in given} - {type(None)}
    if kinds and kinds <= {int, float}:
        if float in kinds:
            return given.astype("float64")
        return given.astype("Int64") if given.isna().any() else given.astype("int64")
    texts = given.map(lambda value: value if isinstance(value, str) else json.dumps(value))
    return texts.where(given.notna(), None).astype("str")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        raise ValueError("a name stands there twice")
    return names


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _whole(digits: str) -> int:
    if len(digits) > 20 or not -LARGEST_NUMBER <= int(digits) < LARGEST_NUMBER:
        raise ValueError(f"a whole number of {len(digits)} digits")
    return int(digits)
