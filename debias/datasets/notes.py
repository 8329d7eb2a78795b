"""What stands beside images in small files of JSON: one object an image, columns of all of them."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from debias.storage.files import is_text, safe_text, shown

LARGEST_SIDECAR = 1 << 20  # bytes
MOST_COLUMNS = 1000
MOST_REMARKS = 10
LARGEST_NUMBER = 2**63  # whole numbers below it fit into a column
# What to do about a column with a name of ours, which decides nothing by itself.
USE = {
    "subject_id": "used with --subject subject_id",
    "split": "used with --set data.split_column=split",
}
RENAME = "a name of ours; rename it"
WHOLE = ""  # in place of a column: nothing of the note is read
Scalar = str | int | float | bool | None


class NoteColumns:
    """The notes beside some images, in a few bytes an image."""

    def __init__(self) -> None:
        self.count = 0  # images so far
        self.columns: dict[str, list[Scalar]] = {}
        self.unused: Counter[tuple[str, str]] = Counter()  # by column and what it holds there
        self._texts: dict[str, str] = {}  # the same few words for a million rows

    def take(self, said: Mapping[str, Scalar], unused: Iterable[tuple[str, str]]) -> None:
        """One more row of attributes, which need not all have the same names."""
        self.unused.update(unused)
        for name in sorted(said.keys() - self.columns.keys()):
            if len(self.columns) < MOST_COLUMNS:
                self.columns[name] = [None] * self.count
            else:
                self.unused[name, f"a value beside {MOST_COLUMNS:,} other columns"] += 1
        for name, column in self.columns.items():
            value = said.get(name)
            column.append(self._texts.setdefault(value, value) if isinstance(value, str) else value)
        self.count += 1

    def frame(self) -> pd.DataFrame:
        """A row an image, a column a name."""
        columns = {name: _column(self.columns[name]) for name in sorted(self.columns)}
        return pd.DataFrame(columns, index=range(self.count))

    def remarks(self) -> list[str]:
        """Which values of the notes are not used, and why."""
        found = self.unused.most_common()
        told = [
            f"{f'Column {shown(name)!r}' if name else 'A note'} is left out where it holds {what}: "
            f"{count:,} of {self.count:,} samples."
            for (name, what), count in found[:MOST_REMARKS]
        ]
        rest = len(found) - len(told)
        return [*told, *([f"So are values of {rest:,} more columns."] if rest else [])]


@dataclass(frozen=True)
class _Unused:
    """Stands for a value that no column can hold."""

    what: str


def flat(content: bytes) -> tuple[dict[str, Scalar], list[tuple[str, str]]]:
    """Texts, numbers, truth values and nulls of a JSON object by name, and what the others hold.

    A number that is none (NaN) is missing. A ValueError says that this is no JSON.
    """
    try:
        read = json.loads(content.decode(), object_pairs_hook=_once, parse_int=_whole)
    except RecursionError:
        raise ValueError("values within values, too deep to be read") from None
    if not isinstance(read, dict):
        return {}, [(WHOLE, "no JSON object")]
    row: dict[str, Scalar] = {}
    unused: list[tuple[str, str]] = []
    for name, value in read.items():
        if what := _why_unused(name, value):
            unused.append((safe_text(name), what))
        else:
            row[name] = None if isinstance(value, float) and math.isnan(value) else value
    return row, unused


def says_nothing(unused: Iterable[tuple[str, str]]) -> bool:
    """Whether of a note, of which this is not used, nothing is."""
    return any(name == WHOLE for name, _ in unused)


def _why_unused(name: str, value: object) -> str:
    """What a value is that no column can hold; empty for all others."""
    if isinstance(value, _Unused):
        return value.what
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    if isinstance(value, float) and math.isinf(value):
        return "no finite number"
    is_half = not is_text(name) or (isinstance(value, str) and not is_text(value))
    return "half a character, which no file can hold" if is_half else ""


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    counts = Counter(name for name, _ in pairs)
    return {name: value if counts[name] == 1 else _Unused("two values") for name, value in pairs}


def _whole(digits: str) -> int | _Unused:
    if len(digits) > 20 or not -LARGEST_NUMBER <= int(digits) < LARGEST_NUMBER:
        return _Unused(f"a whole number of {len(digits)} digits")
    return int(digits)


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
