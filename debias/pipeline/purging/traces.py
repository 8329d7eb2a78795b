"""What names a person in files, and whether a file still holds it."""

import html
import json
import mmap
import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool

from debias.storage.suppressed import CONTENT, SAMPLE, SUBJECT, as_text, normal

SHORTEST = 5  # characters by which a name can be told from other words of a text
SHORTEST_NUMBER = 12  # digits by which a number can be
OWN = (SAMPLE, SUBJECT, CONTENT)
TOGETHER = 100  # names in one regular expression
BETWEEN_WORDS = r"[^0-9A-Za-z_\-\x{80}-\x{10FFFF}]"
PICTURES = re.compile(rb"data:image/(png|jpe?g|webp|gif)")


@dataclass(frozen=True)
class Traces:
    """The names under which one person stands in files.

    Attributes:
        asked: The name that was asked for.
        subject: Who it is; empty if only single images are meant.
        ids: Sample ids of the images.
        sha256: Of the image files' contents.
        paths: Of the image files, whole and their last parts; none that stands for others, too.
    """

    asked: str = ""
    subject: str = ""
    ids: frozenset[str] = frozenset()
    sha256: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()

    @property
    def names(self) -> frozenset[str]:
        return (self.ids | self.sha256 | self.paths | {self.subject}) - {""}

    @cached_property
    def searchable(self) -> frozenset[str]:
        """Names that mean nothing else wherever they stand; ``7`` or ``ann`` could mean anything.

        The others are found in the columns and under the keys that are made for them.
        """
        return frozenset(name for name in self.names if _is_distinct(name))

    @cached_property
    def _patterns(self) -> list[str]:
        """Regular expressions (RE2) that match any of the needles, some of them each."""
        names = [re.escape(needle.decode()) for needle in self._needles]
        parts = ("|".join(names[at : at + TOGETHER]) for at in range(0, len(names), TOGETHER))
        return [f"(^|{BETWEEN_WORDS})({part})($|{BETWEEN_WORDS})" for part in parts]

    @cached_property
    def _needles(self) -> tuple[bytes, ...]:
        """The searchable names, as plain text, JSON and HTML spell them."""
        spelt = {
            spelling
            for name in self.searchable
            for letters in {name, normal(name), unicodedata.normalize("NFD", name)}
            for spelling in (letters, json.dumps(letters)[1:-1], html.escape(letters))
        }
        return tuple(sorted(text.encode(errors="backslashreplace") for text in spelt))

    def in_bytes(self, content: bytes | mmap.mmap) -> bool:
        """Whether a searchable name stands there as a word of its own."""
        return any(_stands_in(needle, content) for needle in self._needles)

    def in_text(self, text: str) -> bool:
        return self.in_bytes(text.encode(errors="backslashreplace"))

    def is_named(self, key: str, value: object) -> bool:
        """Whether the value of a key, such as ``sample_id: s1``, names the person."""
        if not isinstance(value, str | int) or isinstance(value, bool):
            return False
        text = str(value)
        if (key == SUBJECT and self.is_person(text)) or (is_id(key) and text in self.ids):
            return True
        return self.in_text(text)

    def is_person(self, name: str) -> bool:
        return bool(self.subject) and normal(name) == normal(self.subject)

    def rows(self, frame: pd.DataFrame) -> Bool[np.ndarray, " n"]:
        """Rows of a table that are about the person.

        Where a row is about one image, ``sample_id`` and who and what it shows decide; in any other
        table, such as one of pairs, every column does.
        """
        names = OWN if "sample_id" in frame else map(str, frame.columns)
        found = np.zeros(len(frame), dtype=bool)
        for name in names:
            if name in frame:
                found |= self._cells(name, frame[name])
        return found

    def _cells(self, name: str, column: "pd.Series[Any]") -> Bool[np.ndarray, " n"]:
        if name == SUBJECT:
            return self.is_subject(column)
        if is_id(name):
            return as_text(column).isin(self.ids).to_numpy(dtype=bool)
        if name == CONTENT:
            return as_text(column).isin(self.sha256).to_numpy(dtype=bool)
        return self.texts(column)

    def texts(self, column: "pd.Series[Any]") -> Bool[np.ndarray, " n"]:
        """Cells in whose text a searchable name stands."""
        if pd.api.types.is_numeric_dtype(column):
            return np.zeros(len(column), dtype=bool)
        if not isinstance(column.dtype, pd.StringDtype):
            column = column.astype(object).map(_only_text)
        return self._cells_with(column.fillna(""))

    def _cells_with(self, text: "pd.Series[str]") -> Bool[np.ndarray, " n"]:
        import pyarrow  # type: ignore[import-untyped]
        from pyarrow import compute

        array = pyarrow.array(text, pyarrow.large_string())
        found = np.zeros(len(text), dtype=bool)
        for pattern in self._patterns:  # linear in the text, however many names there are
            found |= compute.match_substring_regex(array, pattern).to_numpy(zero_copy_only=False)
        return found

    def is_subject(self, column: "pd.Series[Any]") -> Bool[np.ndarray, " n"]:
        """Rows of a column of people that are this one."""
        if not self.subject:
            return np.zeros(len(column), dtype=bool)
        texts = as_text(column).map(normal)
        return (texts == normal(self.subject)).to_numpy(dtype=bool)


def combined(several: Iterable[Traces]) -> Traces:
    """All the names of one person, wherever they were found."""
    found = list(several)
    return Traces(
        found[0].asked,
        found[0].subject,
        ids=frozenset[str]().union(*(traces.ids for traces in found)),
        sha256=frozenset[str]().union(*(traces.sha256 for traces in found)),
        paths=frozenset[str]().union(*(traces.paths for traces in found)),
    )


def paths_of(gone: "pd.Series[str]", staying: "pd.Series[str]") -> frozenset[str]:
    """Paths of removed images by which they can be told from those that stay.

    An archive is the path of all its images, and every person's folder may have a ``1.jpg``.
    """
    whole = set(gone.unique()) - {""}
    names = whole | {re.split(r"[/\\]", path)[-1] for path in whole}
    found = [Traces(paths=frozenset({name})) for name in names if _is_distinct(name)]
    together = Traces(paths=frozenset(name for one in found for name in one.paths))
    others = staying[together.texts(staying)].unique()
    return frozenset[str]().union(
        *(one.paths for one in found if not any(one.in_text(other) for other in others))
    )


def is_id(name: str) -> bool:
    """Whether a column or key holds sample ids."""
    return name in ("id", "ids", "first", "second") or (name.endswith("_id") and name != SUBJECT)


def is_shown_in(path: Path) -> bool:
    """Whether a page holds pictures that are not drawings."""
    return PICTURES.search(path.read_bytes()) is not None


def names_person(path: Path, traces: Traces) -> bool:
    """Whether a person stands in a file: in a table, a list, JSON, any text, or its name."""
    if traces.in_text(path.name):
        return True
    with suppress(ValueError, OSError):  # not what its ending says, so its bytes decide
        if _named_in(path, traces):
            return True
    if path.suffix in (".npy", ".safetensors") or not path.stat().st_size:
        return False  # numbers
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return traces.in_bytes(content)


def _named_in(path: Path, traces: Traces) -> bool:
    match path.suffix:
        case ".parquet":
            return _in_table(pd.read_parquet(path), traces)
        case ".csv":
            return _in_table(pd.read_csv(path, dtype=str, keep_default_na=False), traces)
        case ".json":
            return _in_value(json.loads(path.read_text(encoding="utf-8")), traces)
        case ".jsonl":
            lines = path.read_text(encoding="utf-8").split("\n")
            return any(_in_value(json.loads(line), traces) for line in lines if line.strip())
        case ".npy":
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            texts = array.dtype.kind in "US"
            return texts and bool(np.isin(array.astype(str), list(traces.names)).any())
    return False


def _in_table(frame: pd.DataFrame, traces: Traces) -> bool:
    return bool(traces.rows(frame).any()) or any(traces.texts(frame[x]).any() for x in frame)


def _in_value(value: object, traces: Traces, key: str = "") -> bool:
    if isinstance(value, dict):
        return any(traces.in_text(k) or _in_value(v, traces, k) for k, v in value.items())
    if isinstance(value, list):
        return any(_in_value(item, traces, key) for item in value)
    return traces.is_named(key, value)


def _only_text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _is_distinct(name: str) -> bool:
    return len(name) >= (SHORTEST_NUMBER if name.isdecimal() else SHORTEST)


def _stands_in(needle: bytes, content: bytes | mmap.mmap) -> bool:
    at = content.find(needle)
    while at >= 0:
        after = at + len(needle)
        before = content[max(at - 1, 0) : at]
        if not (_continues_word(before) or _continues_word(content[after : after + 1])):
            return True
        at = content.find(needle, at + 1)
    return False


def _continues_word(byte: bytes) -> bool:
    """Letters, digits and what joins them; every byte of a letter that is not ASCII."""
    return byte.isalnum() or byte in (b"_", b"-") or byte > b"\x7f"
