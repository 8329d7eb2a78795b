"""Whom a folder was purged of, so that no later ingest reads them into it again.

The list names nobody: of every name and content it keeps a keyed hash (BLAKE2b), under a random key
of this folder alone. Whoever has the list can still ask it about a name that they know.
"""

import hashlib
import json
import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool

from debias.errors import StorageError
from debias.storage.files import storage_error
from debias.storage.sealed import PRIVATE_FILE, write_json

FILE = "purged.json"
SUBJECT, SAMPLE, CONTENT = "subject_id", "sample_id", "sha256"  # what is looked for, by column
KEY_BYTES, HASH_BYTES = 32, 16
Name = tuple[str, str]  # one of these columns, and what stands there


@dataclass(frozen=True)
class Entry:
    """One purge: its day, the hash of the name that was asked for, those of all that went."""

    day: str
    asked: str
    gone: frozenset[str]


@dataclass(frozen=True)
class Suppressed:
    """The list of one folder; false where nobody is on it."""

    path: Path
    key: bytes
    entries: tuple[Entry, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.entries)

    def holds(self, samples: pd.DataFrame) -> Bool[np.ndarray, " n"]:
        """Rows of which the person, the sample or the content of the file was purged."""
        gone = frozenset[str]().union(*(entry.gone for entry in self.entries))
        found = np.zeros(len(samples), dtype=bool)
        for column in (SUBJECT, SAMPLE, CONTENT) if gone else ():
            if column in samples:
                named = as_text(samples[column])
                known = {name: self._hash((column, name)) in gone for name in named.unique()}
                found |= named.map(known).to_numpy(dtype=bool)
        return found

    def day(self, asked: Name) -> str | None:
        """When somebody was purged who was asked for like this; None if nobody was."""
        days = [entry.day for entry in self.entries if entry.asked == self._hash(asked)]
        return max(days, default=None)

    def add(self, asked: Name, gone: Iterable[Name]) -> None:
        """Note a purge on disk; or StorageError."""
        day, first = datetime.now(UTC).date().isoformat(), self._hash(asked)
        hashes = frozenset({first, *(self._hash(name) for name in gone if name[1])})
        self._write([*self.entries, Entry(day, first, hashes)])

    def forget(self, asked: Name) -> None:
        """Take somebody off the list, whoever else is purged stays; or StorageError."""
        first = self._hash(asked)
        self._write([entry for entry in self.entries if entry.asked != first])

    def _hash(self, name: Name) -> str:
        text = json.dumps([name[0], normal(name[1])]).encode()
        return hashlib.blake2b(text, key=self.key, digest_size=HASH_BYTES).hexdigest()

    def _write(self, entries: Iterable[Entry]) -> None:
        about = [
            {"day": one.day, "asked": one.asked, "gone": sorted(one.gone)}
            for one in dict.fromkeys(entries)
        ]
        try:
            write_json(self.path, {"key": self.key.hex(), "purged": about}, mode=PRIVATE_FILE)
        except OSError as error:
            raise storage_error(error, self.path.parent) from error


def suppressed_in(folder: Path) -> Suppressed:
    """The list of a run folder or store; an empty one, with a new key, where there is none.

    Raises:
        StorageError: It cannot be read, so nobody knows who must not be read again.
    """
    path = folder / FILE
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        entries = [
            Entry(one["day"], one["asked"], frozenset(one["gone"])) for one in about["purged"]
        ]
        return Suppressed(path, bytes.fromhex(about["key"]), tuple(entries))
    except FileNotFoundError:
        return Suppressed(path, os.urandom(KEY_BYTES))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{path.absolute()} cannot be read ({error}), so it is not known who was purged from "
            "this folder; restore it from a backup, or delete it and purge them again"
        ) from error


def as_text(column: "pd.Series[Any]") -> "pd.Series[str]":
    """A column as text: empty where nothing is said, whole numbers without a fraction."""
    whole = column.convert_dtypes() if pd.api.types.is_float_dtype(column) else column
    return whole.astype("string").fillna("").astype(str)


def normal(text: str) -> str:
    """One spelling for letters that can be written in two ways."""
    return unicodedata.normalize("NFC", text)
